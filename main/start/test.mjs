/**
 * `npm test`: sets up what the tests need, then runs every check and test; `npm test -- PATTERN` runs only the test files
 * whose path contains PATTERN.
 *
 * 1. Install packages and a Chromium if missing. 2. Types of every layer, lint and format. 3. Builds. 4. vitest, screen tests
 * included. Each of the first counts as one check, each test as one. What is skipped is listed with its reason, and the last line
 * is `N passed, N failed`.
 */
import { ensureChromium } from './chromium.mjs'
import { ensureBuilt } from './fresh.mjs'
import { ensureInstalled } from './install.mjs'
import { giveUp, ROOT, run, SetupError, say } from './project.mjs'
import { Tally } from './tally.mjs'

const patterns = process.argv.slice(2)
const tally = new Tally()

await test().catch(giveUp)

async function test() {
  await ensureInstalled()
  await check('Chromium is there', installChromium)
  if (patterns.length === 0) {
    await check('types', () => tool('node_modules/typescript/bin/tsc', ['--build', 'tsconfig.json']))
    await check('lint and format', () => tool('node_modules/@biomejs/biome/bin/biome', ['ci', '--colors=off']))
  }
  for (const target of /** @type {const} */ (['cli', 'screen', 'webHost', 'desktop'])) {
    await check(`build of ${target}`, () => builds(target))
  }
  await runVitest()

  for (const skipped of tally.skipped) console.log(`skipped: ${skipped}`)
  console.log(`${tally.passed} passed, ${tally.failed} failed`)
  process.exit(tally.failed === 0 ? 0 : 1)
}

/**
 * @param {string} name
 * @param {() => Promise<boolean>} work
 */
async function check(name, work) {
  const startedMs = Date.now()
  const good = await work()
  if (good) tally.passed++
  else tally.failed++
  say(`${good ? 'ok    ' : 'FAILED'} ${name} (${((Date.now() - startedMs) / 1000).toFixed(1)} s)`)
}

async function installChromium() {
  const path = await ensureChromium()
  if (path !== null) process.env.PAGEFERRY_CHROMIUM = path
  else say('No Chromium was found and none could be installed: install one, or name it in PAGEFERRY_CHROMIUM.')
  return path !== null
}

/**
 * @param {string} script
 * @param {readonly string[]} args
 */
async function tool(script, args) {
  return (await run(process.execPath, [`${ROOT}/${script}`, ...args])) === 0
}

/** @param {import('./fresh.mjs').TargetName} target */
async function builds(target) {
  try {
    await ensureBuilt(target)
    return true
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    say(error.message)
    return false
  }
}

async function runVitest() {
  const { startVitest } = await import('vitest/node')
  const vitest = await startVitest('test', patterns, { root: ROOT, run: true, watch: false, reporters: ['default', tally] })
  await vitest.close()
  if (vitest.state.getFiles().length === 0) {
    say(`No test file has ${patterns.join(' or ')} in its path.`)
    tally.failed++
  }
}
