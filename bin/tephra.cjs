#!/usr/bin/env node
'use strict';

// LevelDB and gzip work in libuv's pool of threads, whose size is read once, before its first use:
// that is why this file is CommonJS and imports nothing that could use the pool.
process.env.UV_THREADPOOL_SIZE ??= '16';

const { existsSync } = require('node:fs');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');

const main = join(__dirname, '..', 'dist', 'cli', 'main.js');
if (existsSync(main)) {
  import(pathToFileURL(main).href);
} else {
  process.stderr.write(
    'tephra: dist/ is missing: run `npm start` or `npm test` once in the clone, which builds it\n',
  );
  process.exitCode = 1;
}
