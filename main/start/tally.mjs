/**
 * A vitest reporter that only counts: passed, failed and skipped tests, with the reason of each skip.
 *
 * What breaks outside a test (a file that does not load, an error nobody caught) counts as failed too. Pairs with test.mjs.
 */

export class Tally {
  passed = 0
  failed = 0
  /** @type {string[]} */
  skipped = []

  /**
   * @param {ReadonlyArray<import('vitest/node').TestModule>} modules
   * @param {ReadonlyArray<unknown>} unhandledErrors
   */
  onTestRunEnd(modules, unhandledErrors) {
    this.failed += unhandledErrors.length
    for (const testModule of modules) {
      this.failed += testModule.errors().length
      for (const test of testModule.children.allTests()) this.#count(testModule, test)
      for (const suite of testModule.children.allSuites()) this.failed += suite.errors().length
    }
  }

  /**
   * @param {import('vitest/node').TestModule} testModule
   * @param {import('vitest/node').TestCase} test
   */
  #count(testModule, test) {
    const result = test.result()
    if (result.state === 'passed') this.passed++
    else if (result.state === 'skipped') {
      this.skipped.push(`${testModule.relativeModuleId} > ${test.fullName}: ${result.note ?? 'no reason given'}`)
    } else this.failed++
  }
}
