export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/src', '<rootDir>/test'], // without src, uncovered files vanish from coverage
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  // One more than the two cores of a small machine: many tests wait, for a disk, a process or a timer.
  maxWorkers: 3,
  // Modules of a test file stay in memory when it is done, and collecting garbage among them takes long.
  workerIdleMemoryLimit: '600MB',
  testSequencer: '<rootDir>/test/sequencer.mjs',
  testTimeout: 30_000,
  // Zero tests are an error too, but one that the reporter gets to see.
  passWithNoTests: true,
  reporters: ['default', '<rootDir>/test/reporter.mjs'],
  watchman: false,
  coverageProvider: 'v8',
  collectCoverageFrom: ['src/**/*.ts', '!src/gen/**'],
};
