import { describe, expect, test } from '@jest/globals';
import { LAYERS, layerComplaints, layerOf } from './layers.ts';
import { readSources } from './source-file.ts';

const file = (path: string, text: string) => ({ path, text });

describe('layers', () => {
  test('a folder of src is a layer, and so is app.ts', () => {
    expect(layerOf('src/storage/block/encode.ts')).toBe('storage');
    expect(layerOf('src/app.ts')).toBe('app');
    expect(layerOf('test/base/bytes.test.ts')).toBeUndefined();
  });

  test('an import downwards is allowed', () => {
    const text = "import { assert } from '../../base/assert.ts';\n";
    expect(layerComplaints(file('src/storage/block/encode.ts', text))).toEqual([]);
  });

  test.each([
    ['upwards', 'src/base/bytes.ts', "import type { Label } from '../profile/labels.ts';"],
    ['sideways', 'src/ingest/a.ts', "import { b } from '../query/b.ts';"],
    ['over several lines', 'src/base/a.ts', "import {\n  b,\n  c,\n} from '../query/b.ts';"],
    ['as a re-export', 'src/storage/a.ts', "export { b } from '../server/b.ts';"],
    ['for its effect', 'src/storage/a.ts', "import '../server/b.ts';"],
    ['on demand', 'src/storage/a.ts', "const b = await import('../server/b.ts');"],
    ['out of src', 'src/base/a.ts', "import { b } from '../../test/b.ts';"],
    ['by an unknown layer', 'src/utils/a.ts', "import { b } from '../base/b.ts';"],
  ])('an import %s is refused', (_kind, path, text) => {
    expect(layerComplaints(file(path, text))).toHaveLength(1);
  });

  test('a type may be all that a layer may import', () => {
    const path = 'src/server/rpc/push.ts';
    const type = "import type { PushItem } from '../../ingest/push.ts';";
    expect(layerComplaints(file(path, type))).toEqual([]);
    expect(layerComplaints(file(path, type.replace(' type', '')))).toHaveLength(1);
  });

  test('the table has no cycle', () => {
    const reach = (layer: string): readonly string[] =>
      (LAYERS[layer] ?? []).flatMap((below) => [below, ...reach(below)]);
    for (const layer of Object.keys(LAYERS)) expect(reach(layer)).not.toContain(layer);
  });

  test('every import between folders of src is allowed', () => {
    const sources = readSources('src');
    expect(sources.length).toBeGreaterThan(10);
    expect(sources.flatMap(layerComplaints)).toEqual([]);
  });
});
