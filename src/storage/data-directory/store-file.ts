import { utf8 } from '../../base/bytes.ts';
import { crc32 } from '../../base/crc32.ts';
import { TephraError } from '../../base/errors.ts';

/** Version of the whole data directory. */
export const STORE_FORMAT = 1;

/** What `store.json` says. */
export interface StoreFile {
  /** 32 hexadecimal digits, chosen when the directory was made. */
  readonly storeId: string;
  /** How often the directory was opened, from 1. Part of the identity of every fragment. */
  readonly incarnation: number;
}

/** The bytes of `store.json`: one line of JSON, with a CRC-32 of the fields. */
export function encodeStoreFile(file: StoreFile): Uint8Array {
  const { storeId, incarnation } = file;
  const crc = checksum(file);
  return utf8(`${JSON.stringify({ format: STORE_FORMAT, storeId, incarnation, crc })}\n`);
}

/**
 * Reads `store.json`; `path` is for messages. Throws `unknown_format_version` for a newer one,
 * `data_dir_unusable` for a damaged one: to guess an incarnation would let two fragments share a key.
 */
export function decodeStoreFile(bytes: Uint8Array, path: string): StoreFile {
  const fields = parse(bytes);
  const { format, storeId, incarnation, crc } = fields;
  if (typeof format === 'number' && format > STORE_FORMAT) {
    throw new TephraError(
      'unknown_format_version',
      `${path}: expected format ${STORE_FORMAT} or older, found ${format}; start the newer Tephra`,
    );
  }
  if (
    format === STORE_FORMAT &&
    typeof storeId === 'string' &&
    typeof incarnation === 'number' &&
    crc === checksum({ storeId, incarnation })
  ) {
    return { storeId, incarnation };
  }
  throw new TephraError(
    'data_dir_unusable',
    `${path} is damaged: restore it from a backup, or use another directory`,
  );
}

function checksum(file: StoreFile): number {
  return crc32(utf8(JSON.stringify([STORE_FORMAT, file.storeId, file.incarnation])));
}

interface Fields {
  readonly format?: unknown;
  readonly storeId?: unknown;
  readonly incarnation?: unknown;
  readonly crc?: unknown;
}

function parse(bytes: Uint8Array): Fields {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    // No fields: told as damage.
    return {};
  }
}
