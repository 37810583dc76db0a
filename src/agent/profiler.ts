import { isErrorLike } from '../base/errors.ts';

/** A profile as `@datadog/pprof` gives it: pprof as objects. Indices are into `stringTable.strings`. */
export interface PprofObject {
  readonly sampleType: readonly { readonly type: Whole; readonly unit: Whole }[];
  readonly sample: readonly PprofSample[];
  /** Ids are 1, 2, … in this order. */
  readonly location: readonly {
    readonly id: Whole;
    readonly line: readonly { readonly functionId: Whole; readonly line: Whole }[];
  }[];
  readonly function: readonly {
    readonly id: Whole;
    readonly name: Whole;
    readonly filename: Whole;
  }[];
  readonly stringTable: { readonly strings: readonly string[] };
  readonly period: Whole;
}

/** A sample: locations leaf first. */
export interface PprofSample {
  readonly locationId: readonly Whole[];
  readonly value: readonly Whole[];
  readonly label: readonly { readonly key: Whole; readonly str: Whole; readonly num: Whole }[];
}

/** Whole numbers of the package: BigInt only where they are large. */
export type Whole = number | bigint;

/** What the profiler is told about the samples that are taken now. */
export type SampleContext = Readonly<Record<string, string>>;

/** A sample, when its labels are asked for: `context` is what the profiler was told, if anything. */
export interface SampledContext {
  readonly context?: object;
}

/** The part of `@datadog/pprof` that is used. */
export interface Profiler {
  readonly time: {
    start(options: Readonly<Record<string, unknown>>): void;
    stop(
      restart: boolean,
      labels: (of: { readonly context?: SampledContext }) => SampleContext,
    ): PprofObject;
    /** Samples from now on have it; not with AsyncContextFrame. */
    setContext(context: object): void;
    /** Samples within `run`, and of what it starts, have it; only with AsyncContextFrame. */
    runWithContext<R>(context: SampleContext, run: () => R): R;
    getContext(): object | undefined;
    /** By `constants.kSampleCount`, how many samples were taken. */
    getState(): { readonly [index: number]: number };
    readonly constants: { readonly kSampleCount: number };
    /** The others throw where it is false. */
    isStarted(): boolean;
  };
  readonly heap: {
    start(intervalBytes: number, stackDepth: number): void;
    stop(): void;
    profile(): PprofObject;
  };
}

/** The package is optional: not installed, or without a binary for this machine. */
export async function loadProfiler(): Promise<Profiler | string> {
  try {
    const loaded: unknown = await import('@datadog/pprof');
    const { default: common, ...named } = loaded as { readonly default?: unknown };
    return (common ?? named) as Profiler;
  } catch (error) {
    return isErrorLike(error) ? (error.message.split('\n')[0] ?? '') : String(error);
  }
}
