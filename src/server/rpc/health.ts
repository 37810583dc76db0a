import { create } from '@bufbuild/protobuf';
import type { Timers } from '../../base/clock.ts';
import { TephraError } from '../../base/errors.ts';
import {
  Health,
  HealthCheckResponse_ServingStatus as State,
  HealthCheckResponseSchema,
  type HealthCheckResponse,
} from '../../gen/grpc/health/v1/health_pb.ts';
import { ProfilesService } from '../../gen/opentelemetry/proto/collector/profiles/v1development/profiles_service_pb.ts';
import { PusherService } from '../../gen/push/v1/push_pb.ts';
import { IngestService } from '../../gen/tephra/v1/ingest_pb.ts';
import { rpcMethod, rpcStream, type AnyRpc } from './method.ts';

/** What can be asked about beside services by their full names; '' is the whole server. */
const SERVICES = ['', 'ingest', 'query'];
/** Of these and of the others, those that a full disk stops. */
const PUSHED_TO: ReadonlySet<string> = new Set([
  'ingest',
  PusherService.typeName,
  IngestService.typeName,
  ProfilesService.typeName,
]);
/** How often a watcher's answer is looked at again: a disk that is full tells nobody. */
const LOOK_MS = 1_000;

/** What readiness is told from. */
export interface ReadinessOptions {
  readonly timers: Timers;
  readonly takesPushes?: (() => boolean) | undefined;
}

/** Whether requests are taken, for those who ask once and those who want to be told. */
export class Readiness {
  #ready = true;
  #ended = false;
  readonly #waiting = new Set<() => void>();
  readonly #timers: Timers;
  readonly #takesPushes: () => boolean;

  /** `takesPushes`: whether there is room for them; always unless given. */
  constructor({ timers, takesPushes = () => true }: ReadinessOptions) {
    this.#timers = timers;
    this.#takesPushes = takesPushes;
  }

  /** Whether requests are taken. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Whether pushes are taken. */
  get takesPushes(): boolean {
    return this.#ready && this.#takesPushes();
  }

  /** True when nobody is told any more, because the server stops. */
  get ended(): boolean {
    return this.#ended;
  }

  /** From now on requests are refused. */
  setNotReady(): void {
    this.#ready = false;
    this.#wake();
  }

  /** Ends the streams of all who wait. */
  end(): void {
    this.#ready = false;
    this.#ended = true;
    this.#wake();
  }

  /** Resolves at the next change, after a second, or when `signal` fires. */
  change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        forget();
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const forget = this.#timers.after(LOOK_MS, wake);
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake);
      if (signal.aborted) wake();
    });
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }
}

/** `grpc.health.v1.Health`, which knows also `services` by their full names, as its protocol suggests. */
export function healthMethods(readiness: Readiness, services: readonly string[]): AnyRpc[] {
  const known = new Set([...SERVICES, ...services]);
  const stateOf = (service: string): State => {
    if (!known.has(service)) return State.SERVICE_UNKNOWN;
    const isServing = PUSHED_TO.has(service) ? readiness.takesPushes : readiness.ready;
    return isServing ? State.SERVING : State.NOT_SERVING;
  };
  const reply = (status: State): { message: HealthCheckResponse } => ({
    message: create(HealthCheckResponseSchema, { status }),
  });
  return [
    rpcMethod(Health.method.check, ({ service }) => {
      const state = stateOf(service);
      if (state === State.SERVICE_UNKNOWN) {
        const asked = JSON.stringify(service.slice(0, 128));
        const there = '"", "ingest", "query" and full names such as "querier.v1.QuerierService"';
        return Promise.reject(
          new TephraError('not_found', `no service ${asked}; there are ${there}`),
        );
      }
      return Promise.resolve(reply(state));
    }),
    rpcStream(Health.method.watch, async function* watch({ service }, call) {
      let told: State | undefined;
      while (!call.signal.aborted) {
        const state = stateOf(service);
        if (state !== told) yield reply(state);
        told = state;
        if (readiness.ended) return;
        await readiness.change(call.signal);
      }
    }),
  ];
}
