/**
 * `npm start`: opens Pageferry in the best host there is, and says which one it chose and why.
 *
 * 1. Install what is missing. 2. Take the hosts in the order of choose_host.mjs, or the one that --host names.
 * 3. Build what that host needs and run it; if it cannot run, say why and take the next.
 * The terminal host is the demo migration of the command line program, in this process.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { chooseHosts, forcedHost } from './choose_host.mjs'
import { ensureElectron } from './electron.mjs'
import { ensureBuilt } from './fresh.mjs'
import { ensureInstalled } from './install.mjs'
import { giveUp, ROOT, SetupError, say, urlOf } from './project.mjs'

/** An end with an error within this time counts as a host that could not start. */
const STARTED_MS = 10_000

const forced = readForced()

async function start() {
  await ensureInstalled()
  const choice = chooseHosts({ platform: process.platform, env: process.env, superuser: process.getuid?.() === 0 })
  const order = forced === null ? choice.order : [forced]
  let why = forced === null ? choice.why : `--host=${forced} asks for it.`
  for (const host of order) {
    const obstacle = await hosts[host](why)
    if (obstacle === null) return
    if (forced !== null) throw new SetupError(`The ${host} host cannot run: ${obstacle} Try --host=browser or --host=terminal.`)
    why = obstacle
  }
}

/**
 * Each runs Pageferry to its end and answers null, or answers in a sentence why it cannot run here.
 * @type {Record<import('./choose_host.mjs').HostName, (why: string) => Promise<string | null>>}
 */
const hosts = {
  async desktop(why) {
    const binary = await ensureElectron()
    if (binary === null) return "Electron's binary is not installed and could not be fetched."
    await ensureBuilt('desktop')
    announce('desktop window (Electron)', why)
    return runElectron(binary)
  },

  async browser(why) {
    await ensureBuilt('screen')
    await ensureBuilt('webHost')
    announce('browser', why)
    const { hostInBrowser } = await import(urlOf('dist/web/host.mjs'))
    await hostInBrowser(join(ROOT, 'dist', 'renderer'), say)
    return null
  },

  async terminal(why) {
    await ensureBuilt('cli')
    announce('terminal', why)
    process.argv = [process.execPath, join(ROOT, 'main', 'start', 'pageferry.mjs'), 'migrate']
    await import(urlOf('dist/cli/pageferry.mjs'))
    return null
  },
}

// Here and not above: `hosts` must have its value.
await start().catch(giveUp)

/**
 * @param {string} host
 * @param {string} why
 */
function announce(host, why) {
  say(`Host: ${host}.${why === '' ? '' : ` ${why}`}`)
}

/**
 * @param {string} binary
 * @returns {Promise<string | null>}
 */
function runElectron(binary) {
  return new Promise((resolve) => {
    const startedMs = Date.now()
    const child = spawn(binary, [ROOT], { cwd: ROOT, stdio: ['ignore', 2, 2] })
    for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, () => child.kill(signal))
    child.once('error', (error) => resolve(`Electron did not start (${error.message}).`))
    child.once('close', (code, signal) => {
      const early = Date.now() - startedMs < STARTED_MS
      if (code !== null && code !== 0 && early) resolve(`Electron ended at once with ${code} (its reason stands above).`)
      else if (signal !== null && early && signal !== 'SIGINT' && signal !== 'SIGTERM')
        resolve(`Electron was ended by ${signal}.`)
      else {
        process.exitCode = code ?? 1
        resolve(null)
      }
    })
  })
}

function readForced() {
  try {
    return forcedHost(process.argv.slice(2))
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    say(`pageferry: ${error.message}`)
    process.exit(2)
  }
}
