/**
 * Files that are whole or not there: written under a temporary name in the same folder, synced and renamed.
 *
 * What is under way when the process ends is removed. A pipe or a device (`/dev/stdout`) has no other name to be renamed to and is
 * written straight. Chunks are text or bytes, and may come one after the other as they are made.
 */
import { constants, rmSync } from 'node:fs'
import { access, open, realpath, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { HostError } from '../../core/shell/host.ts'

const BLOCK_BYTES = 1 << 18

export type Chunks = Iterable<string> | AsyncIterable<Uint8Array>

/** Temporary files of writes under way. */
const temporary = new Set<string>()

/** For the end of the process, whatever ended it. */
export function removeTemporaryFiles(): void {
  for (const path of temporary) rmSync(path, { force: true })
  temporary.clear()
}

export async function checkWritable(path: string): Promise<void> {
  if (await isDevice(path)) return access(path, constants.W_OK).catch(saying(path))
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

/** `mode`: who may read it, but for the umask. */
export async function writeWhole(path: string, chunks: Chunks, mode = 0o666): Promise<void> {
  const isDirect = await isDevice(path)
  const target = isDirect ? path : await resolveTarget(path)
  const name = isDirect ? path : temporaryName(target)
  if (!isDirect) temporary.add(name)
  try {
    const file = await open(name, isDirect ? 'w' : 'wx', mode).catch(saying(path))
    try {
      await writeChunks(file, chunks, path)
      if (!isDirect) await file.sync().catch(saying(path))
    } finally {
      // A network's file system may find out only here that there was no room.
      await file.close().catch(saying(path))
    }
    if (!isDirect) await rename(name, target).catch(saying(path))
  } catch (error) {
    if (!isDirect) await unlink(name).catch(() => undefined)
    throw error
  } finally {
    temporary.delete(name)
  }
}

/** Errors of the chunks themselves pass as they are: they are not the file's. */
async function writeChunks(file: Awaited<ReturnType<typeof open>>, chunks: Chunks, path: string): Promise<void> {
  let text = ''
  const flush = async () => {
    if (text !== '') await file.writeFile(text).catch(saying(path))
    text = ''
  }
  for await (const chunk of chunks) {
    if (typeof chunk === 'string') text += chunk
    else await file.writeFile(chunk).catch(saying(path))
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
  await access(path, constants.W_OK).catch(saying(path))
  return realpath(path)
}

function temporaryName(target: string): string {
  return join(dirname(target), `.${basename(target)}.${process.pid}.tmp`)
}

/** For what fails while this path is written. */
function saying(path: string): (error: unknown) => Promise<never> {
  return (error) => Promise.reject(writeError(error, path))
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

/** Of an error of the file system; null: it is none. */
export function codeOf(error: unknown): string | null {
  if (error instanceof HostError || !(error instanceof Error) || !('code' in error)) return null
  return typeof error.code === 'string' ? error.code : null
}
