import { readdir, readFile } from 'node:fs/promises';

/** Where the page's files lie, beside this folder in dist/. */
const FOLDER = new URL('../page/', import.meta.url);

/**
 * The files of the page by name. Empty where they cannot be read: a server without its page still
 * takes and answers everything else.
 */
export async function readPageFiles(): Promise<ReadonlyMap<string, Uint8Array>> {
  try {
    const names = (await readdir(FOLDER)).filter((name) => /\.(?:css|html|js|svg)$/.test(name));
    const read = names.map(async (name) => {
      return [name, new Uint8Array(await readFile(new URL(name, FOLDER)))] as const;
    });
    return new Map(await Promise.all(read));
  } catch {
    return new Map();
  }
}
