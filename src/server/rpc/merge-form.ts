import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { EncodedAnswer, GoPgoShape, MergeRequest } from '../../query/request.ts';
import type { Engine } from '../../shards/engine.ts';

/** Forms of a merge; the numbers are those of `querier.v1.ProfileFormat` and `tephra.v1.MergeFormat`. */
const FLAMEGRAPH_DEFAULT = 0;
const FLAMEGRAPH = 1;
const TREE = 2;
const DOT = 3;
const PPROF = 4;

/** Fields `pprof` of the answer and `profile` in it. */
const PPROF_FIELDS = [5, 1];

/**
 * A merge as a `querier.v1.SelectMergeStacktracesResponse`, whose fields `tephra.v1.MergeResponse` has
 * too. Throws `unimplemented` for a form that is not known: clients fall back on that.
 */
export async function encodedMerge(
  engine: Engine,
  merge: MergeRequest,
  format: number,
  goPgo?: GoPgoShape,
): Promise<EncodedAnswer> {
  const maxNodes = merge.maxNodes ?? LIMITS.flameGraphNodesDefault;
  switch (format) {
    case FLAMEGRAPH_DEFAULT:
    case FLAMEGRAPH:
      return engine.flameGraph(merge);
    case TREE:
      return engine.tree(merge, { kind: 'tree', maxNodes });
    case DOT: {
      const nodes = merge.maxNodes ?? LIMITS.dotNodesDefault;
      return engine.tree(merge, { kind: 'dot', maxNodes: nodes });
    }
    case PPROF:
      return engine.pprof({ ...merge, maxNodes: undefined, goPgo, within: PPROF_FIELDS });
    default:
      throw new TephraError('unimplemented', `format ${format} is not built`);
  }
}
