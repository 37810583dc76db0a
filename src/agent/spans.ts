import type { SampleContexts } from './context.ts';

/** Where `@opentelemetry/api` 1.x keeps its parts, and the key of the active span: both are global. */
const API = Symbol.for('opentelemetry.js.api.1');
const SPAN = Symbol.for('OpenTelemetry Context Key SPAN');
const PATCHED = Symbol('tephradb');

interface ContextManager {
  with(
    context: OtelContext,
    run: (...args: unknown[]) => unknown,
    self?: unknown,
    ...args: unknown[]
  ): unknown;
  /** Where its spans go. */
  [PATCHED]?: SampleContexts;
}

interface OtelContext {
  getValue(key: symbol): { spanContext?(): { spanId?: string; traceId?: string } } | undefined;
}

/** Whether a context manager of OpenTelemetry is registered, so that spans can be active. */
export function hasSpans(): boolean {
  return managerOf() !== undefined;
}

/**
 * From now on samples carry the active span of OpenTelemetry; false where no context manager is registered
 * yet. The api package is not needed: managers are found where it keeps them.
 */
export function followSpans(contexts: SampleContexts): boolean {
  const manager = managerOf();
  if (manager === undefined) return false;
  const known = manager[PATCHED];
  // Another agent of this process may have stopped: its successor takes over.
  manager[PATCHED] = contexts;
  if (known !== undefined) return true;
  const original = manager.with;
  manager.with = (context, run, self, ...args) => {
    const inside = (): unknown => original.call(manager, context, run, self, ...args);
    const followed = manager[PATCHED];
    if (followed?.isActive !== true) return inside();
    const { spanId, traceId } = spanOf(context);
    return followed.runInSpan(spanId, traceId, inside);
  };
  return true;
}

function managerOf(): ContextManager | undefined {
  const api = (globalThis as Record<symbol, unknown>)[API];
  return (api as { context?: ContextManager } | undefined)?.context;
}

function spanOf(context: OtelContext): { readonly spanId: string; readonly traceId: string } {
  const { spanId = '', traceId = '' } = context.getValue(SPAN)?.spanContext?.() ?? {};
  // All zeros is no span.
  return /^0*$/.test(spanId) ? NO_SPAN : { spanId, traceId };
}

const NO_SPAN = { spanId: '', traceId: '' };
