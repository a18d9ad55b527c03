/**
 * The Host of core/shell for Node: files, time and memory of this process.
 *
 * A file is read as a stream and unpacked on the way if its first two bytes say gzip. A file is written under a temporary
 * name and renamed (main/files/whole_file.ts), so that its name never stands for half of it.
 */
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { createGunzip } from 'node:zlib'
import { ExitCode, type Host, HostError } from '../../core/shell/host.ts'
import { checkWritable, codeOf, writeWhole } from '../files/whole_file.ts'
import { hostKernel } from '../kernel/host_kernel.ts'
import { openSearchPool, searchThreads } from './search_pool.ts'
import { sourceFinder } from './source_finder.ts'

const BLOCK_BYTES = 1 << 18
const MOST_COMPLETIONS = 200

export const nodeHost: Host = {
  open: readFile,
  write: writeWhole,
  checkWritable,
  listFiles,
  breathe: () => new Promise((resolve) => setImmediate(resolve)),
  wallSeconds: () => performance.now() / 1000,
  peakRssBytes: () => process.resourceUsage().maxRSS * 1024,
  platform: process.version,
  searchThreads,
  kernel: hostKernel,
  openSearchPool: (threads) => openSearchPool(threads),
  // The program lies two folders below the project's, bundled (dist/cli) or not (main/cli).
  sourceAt: sourceFinder(fileURLToPath(new URL('../..', import.meta.url))),
}

async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  const found = await stat(path).catch((error) => Promise.reject(readError(error, path)))
  if (found.isDirectory()) throw new HostError(`${path} is a folder; name a file in it`)
  if (!found.isFile())
    throw new HostError(`${path} is not a plain file, and a trace may be read more than once; write it to a file first`)
  const file = createReadStream(path, { highWaterMark: BLOCK_BYTES })
  try {
    const blocks: AsyncIterator<Buffer> = file[Symbol.asyncIterator]()
    const start = await firstBytes(blocks)
    const rest = Readable.from(startingWith(start, blocks))
    if (start[0] !== 0x1f || start[1] !== 0x8b) yield* rest
    else {
      const unpacked = createGunzip({ chunkSize: BLOCK_BYTES })
      // A failure of either end surfaces where `unpacked` is read.
      pipeline(rest, unpacked).catch(() => undefined)
      yield* unpacked
    }
  } catch (error) {
    throw readError(error, path)
  } finally {
    file.destroy()
  }
}

/** At least two bytes, unless the file is shorter. */
async function firstBytes(blocks: AsyncIterator<Buffer>): Promise<Buffer> {
  let start: Buffer = Buffer.alloc(0)
  while (start.length < 2) {
    const { done, value } = await blocks.next()
    if (done) break
    start = start.length === 0 ? value : Buffer.concat([start, value])
  }
  return start
}

async function* startingWith(start: Buffer, blocks: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (start.length > 0) yield start
  for (let next = await blocks.next(); !next.done; next = await blocks.next()) yield next.value
}

async function listFiles(prefix: string): Promise<readonly string[]> {
  const cut = prefix.lastIndexOf('/') + 1
  const folder = prefix.slice(0, cut)
  const start = prefix.slice(cut)
  const entries = await readdir(folder || '.', { withFileTypes: true }).catch(() => [])
  return entries
    .filter(({ name }) => name.startsWith(start) && (start.startsWith('.') || !name.startsWith('.')))
    .slice(0, MOST_COMPLETIONS)
    .map((entry) => `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}`)
    .sort()
}

function readError(error: unknown, path: string): unknown {
  switch (codeOf(error)) {
    case null:
      return error
    case 'ENOENT':
    case 'ENOTDIR':
      return new HostError(`there is no file ${path}; check the path`, ExitCode.failed, true)
    case 'EACCES':
    case 'EPERM':
      return new HostError(`${path} may not be read by this user; change its permissions or copy it`)
    case 'Z_BUF_ERROR':
      return new HostError(`${path} ends in the middle of its gzip data; copy or compress it again`)
    case 'Z_DATA_ERROR':
    case 'Z_STREAM_ERROR':
    case 'Z_NEED_DICT':
      return new HostError(`the gzip data of ${path} is damaged (${messageOf(error)}); copy or compress it again`)
    default:
      return new HostError(`${path} cannot be read (${codeOf(error)}); check the disk it lies on`)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
