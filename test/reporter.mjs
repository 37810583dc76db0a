/**
 * Prints the outcome as the very last line: `N passed, N failed`, and `, N skipped` when some were.
 * A file that does not load counts as one failure. A run without any test fails.
 */
export default class ClosingLineReporter {
  #line = '0 passed, 0 failed';
  #error;

  constructor() {
    // jest may still complain about open handles after the reporters are done.
    process.once('exit', () => process.stdout.write(`${this.#line}\n`));
  }

  onRunComplete(_contexts, results) {
    const skipped = results.numPendingTests + results.numTodoTests;
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    this.#line =
      `${results.numPassedTests} passed, ${failed} failed` +
      (skipped > 0 ? `, ${skipped} skipped` : '');
    if (results.numTotalTests === 0) {
      this.#error = new Error('no test ran');
      process.stderr.write('no test ran, which counts as a failure\n');
    }
  }

  getLastError() {
    return this.#error;
  }
}
