/**
 * `--cpu NAME|FILE`: a CPU by its name, or as a file: a preset as JSON.
 *
 *     { "schema": "pageferry.cpu/1", "id": "mine", "name": "My CPU", "base": "zen5",
 *       "syscallNs": { "value": 90, "kind": "measured", "source": "getppid, 1,000,000 calls" } }
 *
 * Fields and their meaning: core/hw/preset.ts. What is absent is taken from the preset that `base` names; without a base every
 * field has to be there. Names never have a dot or a slash in them, and a path always has. `calibration`, if there is one, is all that was
 * measured on the host that the file is of (calibration_file.ts).
 */
import { z } from 'zod'
import type { Calibration } from '../hw/calibration.ts'
import { type CpuPreset, PROVENANCES, type ProgramCosts } from '../hw/preset.ts'
import { CPU_PRESETS } from '../hw/presets/catalog.ts'
import { tlbGeometry, tlbProblem } from '../hw/tlb.ts'
import { ArgumentError } from './arguments.ts'
import { CommandError } from './command.ts'
import { readText } from './commands/text_file.ts'
import { type Host, HostError } from './host.ts'
import { didYouMean } from './suggestion.ts'

export const CPU_SCHEMA = 'pageferry.cpu/1'
const LARGEST_BYTES = 2 ** 18

function sourced(lowest: number, highest = Number.MAX_SAFE_INTEGER) {
  return z.strictObject({
    value: z.number().min(lowest).max(highest),
    kind: z.enum(PROVENANCES),
    source: z.string().min(1),
  })
}

const cost = sourced(0, 1e9)
const entries = sourced(1, 2 ** 27)
const walkCache = sourced(1, 254)
/** 0: a CPU without. */
const nestedCache = sourced(0, 254)

const FIELDS = {
  clockGHz: sourced(0.001, 1000),
  l1Entries: sourced(1, 255),
  l1Ways: sourced(1, 255),
  l1HugeEntries: sourced(0, 254),
  l1HugeWays: sourced(0, 254),
  l2Entries: entries,
  l2Ways: sourced(1, 31),
  l2PenaltyCycles: cost,
  pwcEntries: z.tuple([walkCache, walkCache, walkCache]),
  nestedPwcEntries: z.tuple([nestedCache, nestedCache, nestedCache]),
  nestedTlbEntries: nestedCache,
  nearTableLines: entries,
  nearReadCycles: cost,
  farTableLines: entries,
  farReadCycles: cost,
  memoryReadCycles: cost,
  accessCycles: cost,
  invlpgCycles: cost,
  ipiSendNs: cost,
  ipiClusterCpus: sourced(1, 65_536),
  ipiHandleNs: cost,
  syscallNs: cost,
  faultNs: cost,
  allocPageNs: cost,
  clearPageNs: cost,
  copyPageNs: cost,
  wakeupNs: cost,
  lockNs: cost,
  wakerNs: cost,
  lineTransferNs: cost,
  writeProtectNs: cost.optional(),
} satisfies Record<Exclude<keyof CpuPreset, 'id' | 'name' | 'program'>, z.ZodType>

const bytes = sourced(1, 2 ** 40)
const PROGRAM = z.strictObject({
  setupNs: cost,
  savePageNs: cost,
  saveRunNs: cost,
  loadCopiedPageNs: cost,
  loadMovedPageNs: cost,
  loadPrecopyPageNs: cost,
  loadZeroNs: cost,
  loadPrecopyZeroNs: cost,
  loadRunNs: cost,
  discardNs: cost,
  deviceSaveNs: cost,
  deviceLoadNs: cost,
  deviceBytes: bytes,
  haltNs: cost,
  accessNs: cost.optional(),
  sleepNs: cost.optional(),
  sendBufferBytes: bytes,
  receiveBufferBytes: bytes,
  placeBatchPages: sourced(1, 1024),
  processors: sourced(1, 4096).optional(),
}) satisfies z.ZodType<ProgramCosts>

const NAMES = CPU_PRESETS.map(({ id }) => id)
const NAMED = { id: z.string().min(1), name: z.string().min(1) }
const preset = z.strictObject({ ...NAMED, ...FIELDS, program: PROGRAM.optional() }) satisfies z.ZodType<CpuPreset>
const finite = z.number().min(0)
const calibration = z.strictObject({
  schema: z.literal('pageferry.calibration/1'),
  release: z.string(),
  cpu: z.strictObject({ name: z.string(), vendor: z.string(), family: finite, model: finite, cpus: z.number().min(1) }),
  measured: z.array(
    z.strictObject({
      name: z.string().min(1),
      what: z.string(),
      unit: z.enum(['ns', 'bytes/s']),
      value: finite,
      seen: finite,
      low: finite,
      high: finite,
      medians: z.array(finite),
      calls: finite,
    }),
  ),
  reach: z.array(z.strictObject({ pages: finite, ns: finite })),
  pipeline: z.array(
    z.strictObject({
      mode: z.enum(['precopy', 'postcopy', 'hybrid']),
      resolver: z.enum(['copy', 'move']),
      guest: z.string(),
      setupNs: finite,
      downtimeNs: finite,
      totalNs: finite,
      totals: z.array(finite),
      accessNs: finite,
    }),
  ),
}) satisfies z.ZodType<Calibration>
const file = z.strictObject({
  schema: z.literal(CPU_SCHEMA),
  base: z.enum(NAMES).optional(),
  calibration: calibration.optional(),
  ...NAMED,
  ...z.strictObject(FIELDS).partial().shape,
  program: PROGRAM.optional(),
})

function isPath(text: string): boolean {
  return /[./\\]/.test(text)
}

/** The value of --cpu, if it is a name that is known or the path of a file. */
export function cpuOf(text: string): string {
  if (isPath(text) || NAMES.includes(text)) return text
  throw new ArgumentError(
    `--cpu ${text} is neither a preset nor a file (a name with a dot or a slash); presets are ${NAMES.join(', ')}${didYouMean(text, NAMES)}`,
  )
}

/** The preset in the file that `cpu` names; null if it is a name. */
export async function ownCpu(cpu: string, host: Host): Promise<CpuPreset | null> {
  if (!isPath(cpu)) return null
  const text = await readText(cpu, host, LARGEST_BYTES)
  if (text === null) throw new HostError(`there is no file ${cpu}; name a preset (${NAMES.join(', ')}) or a file that is there`)
  return parseCpu(text, cpu)
}

export function parseCpu(text: string, path: string): CpuPreset {
  return parseCpuFile(text, path).cpu
}

export interface CpuFile {
  readonly cpu: CpuPreset
  readonly calibration: Calibration | null
}

export function parseCpuFile(text: string, path: string): CpuFile {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new CommandError(`${path} is not JSON; a CPU file is one object with "schema": "${CPU_SCHEMA}"`)
  }
  const read = file.safeParse(json)
  if (!read.success) throw new CommandError(wrong(path, read.error))
  const { schema: _schema, base, calibration: measured = null, ...given } = read.data
  const whole = preset.safeParse({ ...CPU_PRESETS.find(({ id }) => id === base), ...given })
  if (!whole.success) throw new CommandError(wrong(path, whole.error))
  const problem = tlbProblem(tlbGeometry(whole.data))
  if (problem !== null) throw new CommandError(`${path}: ${problem}`)
  return { cpu: whole.data, calibration: measured }
}

/** The first thing that is wrong, and where. */
function wrong(path: string, error: z.ZodError): string {
  const [issue] = error.issues
  const at = issue.path.join('.')
  const remedy =
    at !== '' && issue.code === 'invalid_type' ? '; fields that are absent are those of "base", for example "base": "zen5"' : ''
  return `${path}${at === '' ? '' : `, ${at}`}: ${issue.message.charAt(0).toLowerCase()}${issue.message.slice(1)}${remedy}`
}
