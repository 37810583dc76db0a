/**
 * Adds to package-lock.json the optional packages that npm left out of it.
 *
 * Packages with a native part name one optional package for each platform. A registry mirror may
 * lack those of other platforms; npm then writes a lock without them, which `npm ci` refuses on every
 * machine ("Missing: ... from lock file"). What such an entry needs can be told from the name and
 * from the exact version that its parent asks for; only the integrity hash cannot, so npm verifies
 * these packages by the registry's own word. Run it after `npm install` has changed the lock.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const file = join(dirname(fileURLToPath(import.meta.url)), '..', 'package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8'));

const OS = { darwin: 1, linux: 1, win32: 1, android: 1, freebsd: 1, openharmony: 1 };
const CPU = { arm64: 1, arm: 1, x64: 1, ia32: 1, ppc64: 1, riscv64: 1, s390x: 1, loong64: 1 };

let added = 0;
for (const [path, parent] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    const nested = `${path}/node_modules/${name}`;
    const own = `node_modules/${name}`;
    if (own in lock.packages || nested in lock.packages) continue;
    if (!/^\d+\.\d+\.\d+/.test(version)) throw new Error(`${name}: ${version} is no exact version`);
    const { cpu, libc, os } = platformOf(name);
    const { dev, license } = parent;
    // In npm's order of keys, so that npm leaves the entry as it is.
    lock.packages[own] = { version, cpu, dev, libc, license, optional: true, os };
    added += 1;
  }
}
const sorted = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
lock.packages = Object.fromEntries(sorted);
if (added > 0) writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(`${added} packages added\n`);

/** `os`, `cpu` and `libc` from a name such as `@swc/core-linux-arm-gnueabihf`. */
function platformOf(name) {
  const words = name.split('/').at(-1).split('-');
  const os = words.find((word) => word in OS);
  const cpu = words.map((word) => (word === 'armv7' ? 'arm' : word)).find((word) => word in CPU);
  if (os === undefined || cpu === undefined) throw new Error(`${name}: which platform is that?`);
  const libc = /musl/.test(name) ? 'musl' : /gnu/.test(name) ? 'glibc' : undefined;
  return { cpu: [cpu], libc: libc === undefined ? undefined : [libc], os: [os] };
}
