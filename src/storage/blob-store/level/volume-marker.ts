import { join } from 'node:path';
import { utf8 } from '../../../base/bytes.ts';
import { crc32 } from '../../../base/crc32.ts';
import { isErrorLike, TephraError } from '../../../base/errors.ts';
import type { FileSystem } from '../../../base/file-system.ts';

/** Version of everything in a volume's directory. */
export const VOLUME_FORMAT = 1;
const FILE = 'volume.json';

/** What a volume says of itself in `volume.json`. */
export interface VolumeMarker {
  /** Hexadecimal id of the store that made it. */
  readonly storeId: string;
  readonly kind: string;
  readonly period: string;
}

/**
 * Writes the marker durably. It is a file of its own and no LevelDB key, so that a volume of a newer
 * format is recognised without LevelDB having touched it.
 */
export async function writeMarker(
  fs: FileSystem,
  path: string,
  marker: VolumeMarker,
): Promise<void> {
  const file = join(path, FILE);
  await fs.writeFile(file, encodeMarker(marker));
  await fs.syncFile(file);
}

/**
 * Checks that the directory at `path` holds the volume it should. Throws `unknown_format_version`
 * for a newer one, `volume_quarantined` where the marker is lost, damaged or another's.
 */
export async function checkMarker(
  fs: FileSystem,
  path: string,
  expected: VolumeMarker,
): Promise<void> {
  let bytes: Uint8Array;
  try {
    bytes = await fs.readFile(join(path, FILE));
  } catch (error) {
    const why = isErrorLike(error) ? error.message : String(error);
    throw new TephraError('volume_quarantined', `${path}: no marker: ${why}`, { cause: error });
  }
  const fields = parse(bytes);
  const format = fields?.['format'];
  if (typeof format === 'number' && format > VOLUME_FORMAT) {
    throw new TephraError(
      'unknown_format_version',
      `${path}: expected format ${VOLUME_FORMAT} or older, found ${format}`,
    );
  }
  if (Buffer.compare(bytes, encodeMarker(expected)) !== 0) {
    throw new TephraError(
      'volume_quarantined',
      `${join(path, FILE)}: damaged, or of another store or volume`,
    );
  }
}

/** The bytes of a marker: JSON of known fields in a fixed order, with a CRC-32 of them. */
export function encodeMarker(marker: VolumeMarker): Uint8Array {
  const { storeId, kind, period } = marker;
  const crc = crc32(utf8(JSON.stringify([VOLUME_FORMAT, storeId, kind, period])));
  return utf8(`${JSON.stringify({ format: VOLUME_FORMAT, storeId, kind, period, crc })}\n`);
}

function parse(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    // Told as damage by the caller.
    return undefined;
  }
}
