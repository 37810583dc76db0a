import { SPAN_KEY, TRACE_KEY, type SampleContexts } from './context.ts';
import type { SampleContext } from './profiler.ts';

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
  [PATCHED]?: true;
}

interface OtelContext {
  getValue(key: symbol): { spanContext?(): { spanId?: string; traceId?: string } } | undefined;
}

/**
 * From now on samples carry the active span of OpenTelemetry. Its context manager is looked up again at
 * each call, because it may be registered after us; does nothing where there is none. The api package is
 * not needed.
 */
export function followSpans(contexts: SampleContexts): void {
  const api = (globalThis as Record<symbol, unknown>)[API];
  const manager = (api as { context?: ContextManager } | undefined)?.context;
  if (manager === undefined || manager[PATCHED] === true) return;
  const original = manager.with;
  manager[PATCHED] = true;
  manager.with = (context, run, self, ...args) => {
    const inside = (): unknown => original.call(manager, context, run, self, ...args);
    const span = spanOf(context);
    return span === undefined ? inside() : contexts.run(span, inside);
  };
}

function spanOf(context: OtelContext): SampleContext | undefined {
  const { spanId, traceId } = context.getValue(SPAN)?.spanContext?.() ?? {};
  if (spanId === undefined || traceId === undefined) return undefined;
  return { [SPAN_KEY]: spanId, [TRACE_KEY]: traceId };
}
