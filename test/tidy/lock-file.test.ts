import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { lockComplaints, type LockFile } from './lock-file.ts';

const PARENT = { optionalDependencies: { 'b-darwin-arm64': '1.0.0' } };

describe('package-lock.json', () => {
  test('a package of another platform that the lock lacks is told', () => {
    expect(lockComplaints({ packages: { 'node_modules/b': PARENT } })).toHaveLength(1);
    const whole = { 'node_modules/b': PARENT, 'node_modules/b-darwin-arm64': {} };
    expect(lockComplaints({ packages: whole })).toEqual([]);
    const nested = { 'node_modules/b': PARENT, 'node_modules/b/node_modules/b-darwin-arm64': {} };
    expect(lockComplaints({ packages: nested })).toEqual([]);
  });

  test('the address of a registry is told', () => {
    const packages = { 'node_modules/a': { resolved: 'https://registry.example/a.tgz' } };
    expect(lockComplaints({ packages })).toHaveLength(1);
  });

  test('the lock installs on every platform, from any registry', () => {
    const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as LockFile;
    expect(Object.keys(lock.packages).length).toBeGreaterThan(100);
    expect(lockComplaints(lock)).toEqual([]);
  });
});
