/**
 * Measures a real QEMU, and asks the simulation for the same: what docs/fidelity.md says of a QEMU that nobody tuned to.
 *
 *     npm run fidelity [ROW ...]
 *
 * Needs qemu-system-x86_64 (Debian: apt-get install qemu-system-x86). Two of them migrate a guest over TCP on loopback, under TCG: its
 * dirty log is not KVM's, but rounds, convergence, limits and post-copy are QEMU's own. The guest is a boot sector (qemu_guest.s)
 * that writes a page every so many ticks of the host's time stamp counter, going round a set: the simulation's `sweep`.
 * max-bandwidth makes the link, far below what loopback carries. Prints a table; run it on a quiet machine.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** The code of qemu_guest.s: as --32 qemu_guest.s -o g.o && ld -m elf_i386 -Ttext=0x7c00 --oformat=binary -o g.bin g.o */
const BOOT_SECTOR = Buffer.from(
  '+jHAjtjkkgwC5pJmDwEWkHwPIMBmg8gBDyLAZuojfAAACABmuBAAjtiOwI7QuwAAEAD/A4HDABAAADsd8H0AAHLwuwAAEAAPMYnG/wOBwwAQAAA7HfB9AAByBbsAABAADzEp8Hj6IwXsfQAAAcYDNfR9AADr1WaQAAAAAAAAAAD//wAAAJrPAP//AAAAks8AFwB4fA==',
  'base64',
)
/** Where its numbers stand: whether it forgets that it was held up, the end of the set, and ticks a page. */
const FORGET_AT = 0x1ec
const END_AT = 0x1f0
const STEP_AT = 0x1f4
const SET_START = 2 ** 20
const DISK_BYTES = 8 * 2 ** 20
const PORT = 45_454

/** MiB, MB written a second, MB/s of the link, ms. */
const ROWS = [
  { name: 'fits', mode: 'precopy', mem: 256, set: 64, rate: 20, link: 62.5, limit: 300 },
  { name: 'fits, 100 ms', mode: 'precopy', mem: 256, set: 64, rate: 20, link: 62.5, limit: 100 },
  { name: 'large set', mode: 'precopy', mem: 256, set: 128, rate: 30, link: 50, limit: 300 },
  { name: 'fast link', mode: 'precopy', mem: 512, set: 256, rate: 50, link: 125, limit: 300 },
  { name: 'slow link', mode: 'precopy', mem: 256, set: 64, rate: 5, link: 12.5, limit: 300 },
  { name: 'tight limit', mode: 'precopy', mem: 256, set: 128, rate: 10, link: 50, limit: 50 },
  { name: 'idle', mode: 'precopy', mem: 512, set: 16, rate: 0.1, link: 62.5, limit: 300 },
  { name: 'hybrid', mode: 'hybrid', mem: 256, set: 128, rate: 200, link: 50, limit: 300 },
  { name: 'hybrid, small', mode: 'hybrid', mem: 256, set: 64, rate: 100, link: 25, limit: 300 },
  { name: 'hybrid, fast writer', mode: 'hybrid', mem: 256, set: 64, rate: 400, link: 100, limit: 300 },
  { name: 'hybrid, slow writer', mode: 'hybrid', mem: 512, set: 256, rate: 20, link: 40, limit: 300 },
  { name: 'hybrid, large', mode: 'hybrid', mem: 512, set: 256, rate: 100, link: 80, limit: 300 },
]

/** @typedef {typeof ROWS[number]} Row */
/** @typedef {{ total: number, downtime: number, passes: number, normal: number, duplicate: number, requests: number }} Figures */

const tscHz = 1e6 * Number(/cpu MHz\s*:\s*([\d.]+)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? Number.NaN)
const folder = mkdtempSync(join(tmpdir(), 'pageferry-qemu-'))

/** One monitor: a function that sends a command and resolves with its answer. @param {string} path */
async function monitor(path) {
  const socket = await connect(path)
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]()
  await lines.next()
  /** @param {string} execute @param {object} [args] @returns {Promise<any>} */
  const command = async (execute, args = {}) => {
    socket.write(`${JSON.stringify({ execute, arguments: args })}\n`)
    for (;;) {
      const { value, done } = await lines.next()
      if (done) throw new Error(`QEMU went away during ${execute}`)
      const answer = JSON.parse(value)
      if ('error' in answer) throw new Error(`${execute}: ${answer.error.desc}`)
      if ('return' in answer) return answer.return
    }
  }
  await command('qmp_capabilities')
  return command
}

/** @param {string} path @returns {Promise<import('node:net').Socket>} */
async function connect(path) {
  for (let tries = 0; ; tries++) {
    try {
      return await new Promise((resolve, reject) => {
        const socket = createConnection(path, () => resolve(socket)).on('error', reject)
      })
    } catch (error) {
      if (tries === 100) throw error
      await pause(50)
    }
  }
}

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** @param {Row} row @returns {Promise<Figures>} */
async function qemu(row) {
  const disk = Buffer.alloc(DISK_BYTES)
  BOOT_SECTOR.copy(disk)
  // The simulated sweep forgets a wait for a page, and has no neighbours that take its CPU while memory is all there.
  disk.writeInt32LE(row.mode === 'precopy' ? 0 : -1, FORGET_AT)
  disk.writeUInt32LE(SET_START + row.set * 2 ** 20, END_AT)
  disk.writeUInt32LE(Math.round((tscHz * 4096) / (row.rate * 1e6)), STEP_AT)
  disk.writeUInt16LE(0xaa55, 0x1fe)
  const image = join(folder, 'disk.img')
  writeFileSync(image, disk)
  const start = (/** @type {string} */ name, /** @type {string[]} */ more) =>
    spawn(
      'qemu-system-x86_64',
      [
        ...['-accel', 'tcg', '-m', String(row.mem), '-display', 'none', '-nodefaults', '-no-user-config'],
        ...['-drive', `file=${image},format=raw,if=ide,snapshot=on`, '-monitor', 'none', '-serial', 'none'],
        ...['-qmp', `unix:${join(folder, name)},server,nowait`, ...more],
      ],
      { stdio: ['ignore', 'ignore', 'ignore'] },
    )
  const machines = [start('source', []), start('destination', ['-incoming', 'defer'])]
  try {
    const source = await monitor(join(folder, 'source'))
    const destination = await monitor(join(folder, 'destination'))
    if (row.mode !== 'precopy') {
      const capabilities = [{ capability: 'postcopy-ram', state: true }]
      for (const machine of [source, destination]) await machine('migrate-set-capabilities', { capabilities })
    }
    await destination('migrate-incoming', { uri: `tcp:127.0.0.1:${PORT}` })
    // The guest boots and fills its set.
    await pause(3000)
    const bytes = row.link * 1e6
    await source('migrate-set-parameters', {
      'max-bandwidth': bytes,
      'max-postcopy-bandwidth': bytes,
      'downtime-limit': row.limit,
    })
    await source('migrate', { uri: `tcp:127.0.0.1:${PORT}` })
    for (let switched = false; ; ) {
      const info = await source('query-migrate')
      const { ram } = info
      if (info.status === 'failed') throw new Error(`QEMU: ${info['error-desc'] ?? 'failed'}`)
      if (info.status === 'completed')
        return {
          total: info['total-time'],
          downtime: info.downtime,
          passes: ram['dirty-sync-count'],
          normal: ram.normal,
          duplicate: ram.duplicate,
          requests: ram['postcopy-requests'],
        }
      if (row.mode !== 'precopy' && !switched && info.status === 'active' && ram['dirty-sync-count'] > 1) {
        await source('migrate-start-postcopy')
        switched = true
      }
      await pause(10)
    }
  } finally {
    for (const machine of machines) machine.kill('SIGKILL')
  }
}

/** The same, simulated: QEMU's way to place pages, a link that only max-bandwidth limits. @param {Row} row @returns {Figures} */
function simulated(row) {
  const bytes = Math.round(row.link * 1e6)
  const words = [
    ...['migrate', '--json', '--mode', row.mode, '--resolver', 'copy', '--vcpus', '1', '--devices', '1', '--mem', `${row.mem}M`],
    ...['--guest', `sweep:set=${row.set}M,rate=${row.rate * 1000}kB/s`, '--bandwidth', '20Gbps', '--rtt', '50us'],
    ...['--downtime-limit', `${row.limit}ms`, '--parameter', `max-bandwidth=${bytes}`],
    ...(row.mode === 'precopy' ? [] : ['--parameter', `max-postcopy-bandwidth=${bytes}`]),
  ]
  const stdio = /** @type {const} */ (['ignore', 'pipe', 'ignore'])
  const text = execFileSync(process.execPath, ['main/start/pageferry.mjs', ...words], { encoding: 'utf8', stdio })
  const { migration } = JSON.parse(text)
  return {
    total: Math.round(migration['total-time']),
    downtime: Math.round(migration.downtime),
    passes: migration.ram['dirty-sync-count'],
    normal: migration.ram.normal,
    duplicate: migration.ram.duplicate,
    requests: migration.ram['postcopy-requests'],
  }
}

/** @param {number} model @param {number} real */
const error = (model, real) => (real === 0 ? '' : ` (${model >= real ? '+' : ''}${Math.round((100 * (model - real)) / real)} %)`)

const wanted = process.argv.slice(2)
const names = /** @type {const} */ (['total', 'downtime', 'passes', 'normal', 'duplicate', 'requests'])
console.log(`| row | ${names.join(' | ')} |\n|---|${'---|'.repeat(names.length)}`)
try {
  for (const row of ROWS.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
    const real = await qemu(row)
    const model = simulated(row)
    const cells = names.map((name) => `${real[name]} / ${model[name]}${error(model[name], real[name])}`)
    console.log(`| ${row.name} | ${cells.join(' | ')} |`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
