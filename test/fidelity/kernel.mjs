/**
 * What the model predicts beside what this host's kernel takes: the table "Against this host's kernel" of docs/fidelity.md.
 *
 *     npm run kernel-fidelity [-- RUNS]
 *
 * Calibrates the host once, then runs kernel migrate RUNS [5] times for each guest and mode, and prints medians with the lowest and the highest. The
 * prediction of a row is one: it is a function of options, seed and calibration. Needs Linux with userfaultfd; run it on a quiet machine.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { median } from 'simple-statistics'

const PROGRAM = fileURLToPath(new URL('../../main/start/pageferry.mjs', import.meta.url))
const GUESTS = ['kv', 'sweep', 'uniform']
const MODES = ['postcopy', 'precopy', 'hybrid']

const runs = Number(process.argv[2] ?? 5)
const state = mkdtempSync(join(tmpdir(), 'pageferry-fidelity-'))
const env = { ...process.env, XDG_STATE_HOME: state }

try {
  pageferry(['kernel', 'calibrate', '--json'])
  console.log(
    '| guest, mode | total measured, ms | predicted | ratio | downtime measured, ms | predicted | requests measured | predicted |',
  )
  console.log('|---|---|---|---|---|---|---|---|')
  for (const guest of GUESTS) for (const mode of MODES) row(guest, mode)
  console.log(
    `load of the machine at the end: ${loadavg()
      .map((load) => load.toFixed(1))
      .join(', ')}`,
  )
} finally {
  rmSync(state, { recursive: true, force: true })
}

/** @param {string[]} words */
function pageferry(words) {
  const stdio = /** @type {const} */ (['ignore', 'pipe', 'ignore'])
  return JSON.parse(execFileSync(process.execPath, [PROGRAM, ...words], { env, encoding: 'utf8', maxBuffer: 2 ** 26, stdio }))
}

/**
 * @param {string} guest
 * @param {string} mode
 */
function row(guest, mode) {
  const reports = Array.from({ length: runs }, () => {
    return pageferry(['kernel', 'migrate', '--guest', guest, '--mem', '128M', '--mode', mode, '--json'])
  })
  const model = reports[0].predicted.migration
  const totals = reports.map(({ migration }) => migration['total-time'])
  const downtimes = reports.map(({ migration }) => migration.downtime)
  const requests = reports.map(({ migration }) => migration.ram['postcopy-requests'])
  const ratio = (model['total-time'] / median(totals)).toFixed(2)
  const cells = [spread(totals), model['total-time'].toFixed(0), ratio, spread(downtimes), model.downtime.toFixed(0)]
  console.log(`| ${guest}, ${mode} | ${cells.join(' | ')} | ${spread(requests)} | ${model.ram['postcopy-requests']} |`)
}

/** @param {number[]} values */
function spread(values) {
  return `${median(values).toFixed(0)} (${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)})`
}
