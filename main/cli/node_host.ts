/**
 * The Host of core/shell for Node: files, time and memory of this process.
 *
 * A file is read as a stream and unpacked on the way if its first two bytes say gzip. A file is written under a temporary
 * name in the same folder, synced and renamed, so that its name never stands for half of it; what is under way when the
 * process ends is removed. A pipe or a device (`/dev/stdout`) has no other name to be renamed to and is written straight.
 */
import { constants, createReadStream, rmSync } from 'node:fs'
import { access, open, readdir, realpath, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { createGunzip } from 'node:zlib'
import { ExitCode, type Host, HostError } from '../../core/shell/host.ts'
import { hostKernel } from '../kernel/host_kernel.ts'
import { openSearchPool, searchThreads } from './search_pool.ts'
import { sourceFinder } from './source_finder.ts'

const BLOCK_BYTES = 1 << 18
const MOST_COMPLETIONS = 200

/** Temporary files of writes under way. */
const temporary = new Set<string>()

export const nodeHost: Host = {
  open: readFile,
  write: writeFile,
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

/** For the end of the process, whatever ended it. */
export function removeTemporaryFiles(): void {
  for (const path of temporary) rmSync(path, { force: true })
  temporary.clear()
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

async function checkWritable(path: string): Promise<void> {
  if (await isDevice(path)) return access(path, constants.W_OK).catch((error) => Promise.reject(writeError(error, path)))
  // What is asked is whether a file can be made there, and only making one answers that.
  const target = await resolveTarget(path)
  const probe = temporaryName(target)
  try {
    temporary.add(probe)
    await (await open(probe, 'wx')).close()
    await unlink(probe)
  } catch (error) {
    throw writeError(error, path)
  } finally {
    temporary.delete(probe)
  }
}

async function writeFile(path: string, chunks: Iterable<string>): Promise<void> {
  const isDirect = await isDevice(path)
  const target = isDirect ? path : await resolveTarget(path)
  const name = isDirect ? path : temporaryName(target)
  if (!isDirect) temporary.add(name)
  try {
    const file = await open(name, isDirect ? 'w' : 'wx').catch((error) => Promise.reject(writeError(error, path)))
    try {
      await writeChunks(file, chunks, path)
      if (!isDirect) await file.sync().catch((error) => Promise.reject(writeError(error, path)))
    } finally {
      await file.close()
    }
    if (!isDirect) await rename(name, target).catch((error) => Promise.reject(writeError(error, path)))
  } catch (error) {
    if (!isDirect) await unlink(name).catch(() => undefined)
    throw error
  } finally {
    temporary.delete(name)
  }
}

/** Errors of the chunks themselves pass as they are: they are not the file's. */
async function writeChunks(file: Awaited<ReturnType<typeof open>>, chunks: Iterable<string>, path: string): Promise<void> {
  let text = ''
  const flush = async () => {
    if (text !== '') await file.writeFile(text).catch((error) => Promise.reject(writeError(error, path)))
    text = ''
  }
  for (const chunk of chunks) {
    text += chunk
    if (text.length >= BLOCK_BYTES) await flush()
  }
  await flush()
}

async function isDevice(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null)
  return found !== null && !found.isFile() && !found.isDirectory()
}

/** The file itself behind a symbolic link: a rename would put a file in the link's place. */
async function resolveTarget(path: string): Promise<string> {
  const found = await stat(path).catch(() => null)
  if (found === null) return path
  if (found.isDirectory()) throw new HostError(`${path} is a folder; name a file in it`)
  // A file that its owner protected stays, though its folder would allow to replace it.
  await access(path, constants.W_OK).catch((error) => Promise.reject(writeError(error, path)))
  return realpath(path)
}

function temporaryName(target: string): string {
  return join(dirname(target), `.${basename(target)}.${process.pid}.tmp`)
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

function writeError(error: unknown, path: string): unknown {
  switch (codeOf(error)) {
    case null:
      return error
    case 'ENOENT':
      return new HostError(`${path} cannot be written, because there is no folder ${dirname(path)}; make it first`)
    case 'ENOTDIR':
      return new HostError(`${path} cannot be written, because ${dirname(path)} is not a folder; name another`)
    case 'EISDIR':
      return new HostError(`${path} is a folder; name a file in it`)
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new HostError(`${path} may not be written by this user; name another folder`)
    case 'ENOSPC':
    case 'EDQUOT':
      return new HostError(`${path} cannot be written, because the disk is full; make room or name another`)
    default:
      return new HostError(`${path} cannot be written (${codeOf(error)}); name another file`)
  }
}

function codeOf(error: unknown): string | null {
  if (error instanceof HostError || !(error instanceof Error) || !('code' in error)) return null
  return typeof error.code === 'string' ? error.code : null
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
