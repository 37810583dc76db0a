import { gzipSync } from 'node:zlib';
import { toBinary } from '@bufbuild/protobuf';
import { unreachable } from '../../base/assert.ts';
import { type Profile, ProfileSchema } from '../../gen/google/v1/profile_pb.ts';
import { diffTable } from '../forms/diff-table.ts';
import { dot } from '../forms/dot.ts';
import { folded } from '../forms/folded.ts';
import { diffJson, mergeJson, topJson, type Told } from '../forms/tree-json.ts';
import { callTable, topTable } from '../forms/merge-table.ts';
import { speedscope, speedscopeSides } from '../forms/speedscope.ts';
import { flameGraphSvg } from '../forms/svg/flame-graph.ts';
import type { TextStyle } from '../forms/text-table.ts';
import type { Answer, Form } from '../output.ts';
import type { CallNode } from '../tree/call-tree.ts';

/** Forms that are made from a tree; pprof has its own way, because it knows files and lines. */
export type TreeForm = Exclude<Form, 'pprof'>;

/** What stands beside the tree. */
export interface Drawing {
  readonly style: TextStyle;
  readonly title: string;
  readonly layout: 'icicle' | 'flame';
  readonly told: Told;
}

/** A diff has more to say. */
export interface DiffDrawing extends Drawing {
  readonly left: string;
  readonly right: string;
  readonly floor: number;
  readonly by: 'self' | 'total';
  readonly stacks: number;
}

/** A merged tree in one of the forms. */
export function writeMerge(
  kind: 'merge' | 'top',
  form: TreeForm,
  root: CallNode,
  drawing: Drawing,
): Answer {
  const { style, title, layout, told } = drawing;
  const { unit } = style;
  switch (form) {
    case 'table':
      return [kind === 'top' ? topTable(root, style) : callTable(root, style)];
    case 'json':
      return kind === 'top' ? topJson(root, told) : mergeJson(root, told);
    case 'folded':
      return folded(root, false);
    case 'speedscope':
      return speedscope([{ name: title, root }], unit);
    case 'dot':
      return dot(root, { unit, isDiff: false, floor: 0 });
    case 'svg':
      return flameGraphSvg(root, { unit, title, layout });
    default:
      return unreachable(form);
  }
}

/** Two trees laid over each other in one of the forms. */
export function writeDiff(form: TreeForm, root: CallNode, drawing: DiffDrawing): Answer {
  const { style, title, layout, told, left, right, floor } = drawing;
  const { unit } = style;
  switch (form) {
    case 'table':
      return [diffTable(root, { ...style, ...drawing })];
    case 'json':
      return diffJson(root, told, drawing);
    case 'folded':
      return folded(root, true);
    case 'speedscope':
      return speedscope(speedscopeSides(root, left, right), unit);
    case 'dot':
      return dot(root, { unit, isDiff: true, floor });
    case 'svg':
      return flameGraphSvg(root, { unit, title, layout, diff: { left, right, floor } });
    default:
      return unreachable(form);
  }
}

/** A profile as `go tool pprof` and every viewer of pprof reads it. */
export function writePprof(profile: Profile): Uint8Array {
  return gzipSync(toBinary(ProfileSchema, profile));
}
