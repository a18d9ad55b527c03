/**
 * Microseconds a userfault and ns a page placed, from JavaScript and from C, on this machine, in turn.
 *
 *     npm run kernel-vs-c [-- TURNS]
 *
 * Compiles compare.c where a compiler is found (cc, gcc or clang), bundles here.ts, and runs the two alternately, TURNS times [7]: whatever
 * else goes on falls on both. Of each figure it prints the lowest of all turns, the quartiles, and the ratios: of the lowest, and the median of the
 * turns' own. Exits 1 where the lowest break the bounds: 1.15 a fault, 1.2 a page placed in bulk.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { quantile } from 'simple-statistics'
import { build } from 'vite'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const FOLDER = join(ROOT, 'out', 'kernel-vs-c')
const FAULT_BOUND = 1.15
const BULK_BOUND = 1.2
/** A page a call is no batch: what a call costs stands out, and no bound holds for it. */
const UNBOUND = /^bulk-1-/

const turns = Number(process.argv[2] ?? 7)
const compiler = ['cc', 'gcc', 'clang'].find((name) => spawnSync(name, ['--version']).status === 0)
if (compiler === undefined) {
  console.error('There is no C compiler here (cc, gcc or clang); install one to compare.')
  process.exit(1)
}
mkdirSync(FOLDER, { recursive: true })
const inC = join(FOLDER, 'compare')
execFileSync(compiler, ['-O2', '-Wall', '-pthread', '-o', inC, join(ROOT, 'test/kernel/compare/compare.c')], { stdio: 'inherit' })
await build({
  configFile: false,
  root: ROOT,
  logLevel: 'warn',
  ssr: { noExternal: true, external: ['koffi'], target: 'node' },
  build: {
    ssr: true,
    target: 'node20',
    outDir: FOLDER,
    emptyOutDir: false,
    minify: false,
    rolldownOptions: { input: { here: join(ROOT, 'test/kernel/compare/here.ts') }, output: { entryFileNames: '[name].mjs' } },
  },
})

const cpus = twoCpus()
/** @type {Map<string, { c: number[], here: number[] }>} */
const found = new Map()
for (let turn = 0; turn < turns; turn++) {
  for (const [who, words] of /** @type {const} */ ([
    ['c', [inC]],
    ['here', [process.execPath, join(FOLDER, 'here.mjs')]],
  ])) {
    const [program, ...first] = words
    for (const line of execFileSync(program, [...first, ...cpus], { encoding: 'utf8' })
      .trim()
      .split('\n')) {
      const [name, ns] = line.split(' ')
      const row = found.get(name) ?? { c: [], here: [] }
      row[who].push(Number(ns))
      found.set(name, row)
    }
  }
}
rmSync(FOLDER, { recursive: true, force: true })

let broken = 0
console.log(
  `| ${turns} turns, us | C | quartiles | Pageferry | quartiles | lowest to lowest | median ratio of a turn | bound |\n|---|---|---|---|---|---|---|---|`,
)
for (const [name, { c, here }] of found) {
  const ratio = Math.min(...here) / Math.min(...c)
  const ratios = here.map((ns, i) => ns / c[i])
  const bound = UNBOUND.test(name) ? null : name.startsWith('fault') ? FAULT_BOUND : BULK_BOUND
  if (bound !== null && ratio > bound) broken++
  const cells = [
    lowest(c),
    spread(c),
    lowest(here),
    spread(here),
    ratio.toFixed(2),
    quantile([...ratios], 0.5).toFixed(2),
    bound ?? '-',
  ]
  console.log(`| ${name} | ${cells.join(' | ')} |`)
}
process.exit(broken === 0 ? 0 : 1)

/** @param {number[]} values */
function lowest(values) {
  return us(Math.min(...values))
}

/** @param {number[]} values */
function spread(values) {
  return `${us(quantile([...values], 0.25))} to ${us(quantile([...values], 0.75))}`
}

/** @param {number} ns */
function us(ns) {
  return (ns / 1000).toPrecision(3)
}

/** The first two that this process may use; one twice where there is but one. */
function twoCpus() {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  const all = list.split(',').flatMap((part) => {
    const [first, last = first] = part.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => String(first + i))
  })
  return [all[0], all[1] ?? all[0]]
}
