/**
 * Which host `npm start` opens Pageferry in, as a decision over plain values: best first, with the reason for what is left out.
 *
 * Desktop, then browser, then terminal. Without a display only the terminal is left. Pairs with start.mjs, which tries them in order.
 */

/** @typedef {'desktop' | 'browser' | 'terminal'} HostName */

/** @type {readonly HostName[]} */
export const HOSTS = ['desktop', 'browser', 'terminal']

/**
 * @typedef {object} Surroundings
 * @property {string} platform
 * @property {Readonly<Record<string, string | undefined>>} env
 * @property {boolean} superuser
 */

/**
 * @param {Surroundings} here
 * @returns {{ order: readonly HostName[], why: string }}  `why` is a sentence, or empty where nothing is left out
 */
export function chooseHosts(here) {
  const noDisplay = whyNoDisplay(here)
  if (noDisplay !== '') return { order: ['terminal'], why: `There is no display (${noDisplay}).` }
  if (here.superuser && here.platform === 'linux') {
    return { order: ['browser'], why: 'Electron keeps its sandbox, and that does not start for root.' }
  }
  return { order: ['desktop', 'browser'], why: '' }
}

/**
 * The host that the arguments force, or null. Throws a RangeError with one sentence on anything else.
 * @param {readonly string[]} args
 * @returns {HostName | null}
 */
export function forcedHost(args) {
  const [first, ...rest] = args
  if (first === undefined) return null
  const name = first === '--host' ? rest.shift() : first.startsWith('--host=') ? first.slice('--host='.length) : undefined
  const host = HOSTS.find((known) => known === name)
  if (host === undefined || rest.length > 0) {
    throw new RangeError(`npm start does not know \`${args.join(' ')}\`: it takes --host=${HOSTS.join(', --host=')}, or nothing.`)
  }
  return host
}

/** @param {Surroundings} here */
function whyNoDisplay({ platform, env }) {
  if (platform === 'win32') return ''
  if (platform === 'darwin') return env.SSH_CONNECTION ? 'this is a remote login' : ''
  return env.DISPLAY || env.WAYLAND_DISPLAY ? '' : 'neither DISPLAY nor WAYLAND_DISPLAY is set'
}
