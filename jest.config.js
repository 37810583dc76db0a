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
  maxWorkers: 2,
  testTimeout: 30_000,
  // Zero tests are an error too, but one that the reporter gets to see.
  passWithNoTests: true,
  reporters: ['default', '<rootDir>/test/reporter.mjs'],
  watchman: false,
  coverageProvider: 'v8',
  collectCoverageFrom: ['src/**/*.ts', '!src/gen/**'],
};
