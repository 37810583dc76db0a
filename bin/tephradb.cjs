#!/usr/bin/env node
'use strict';

// `npx tephradb` serves; with arguments it is `tephra`. A file of its own, as Windows does not tell a
// program by which of its names it was called.
if (process.argv.length === 2) process.argv.push('serve');
// Not by import(): that reads files in the pool of threads, whose size tephra.cjs sets first.
module.exports = require('./tephra.cjs');
