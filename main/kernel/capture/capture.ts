/**
 * `capture`: looks at the memory of a process again and again, and writes what it saw into a guest file.
 *
 * 1. The process is found, or the command started, and the file is made sure of.
 * 2. The first look finds its populated pages and their contents.
 * 3. A look each interval finds what changed. A look that takes longer makes the next wait: at most half of a CPU is used.
 * 4. The file is written, whole or not at all; then a command that is ours is waited for.
 *
 * Ctrl-C ends 3 at once and keeps what was captured, as perf record does; before the first look is over there is nothing to keep. The
 * look that it cuts short is dropped. A command that was started for it is ended then, and only then.
 */
import { randomInt } from 'node:crypto'
import { mkdir, rmdir, stat } from 'node:fs/promises'
import { release } from 'node:os'
import { dirname } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { createGzip } from 'node:zlib'
import { type Capture, changesOf, ZERO_CONTENT } from '../../../core/guest/capture.ts'
import { MOST_SAMPLES, writeCapture } from '../../../core/guest/capture_file.ts'
import { ExitCode, HostError } from '../../../core/shell/host.ts'
import type { CaptureReport, CaptureRequest, CaptureWatch } from '../../../core/shell/host_kernel.ts'
import { checkWritable, writeWhole } from '../../files/whole_file.ts'
import { Recording, TooLarge } from './recording.ts'
import { endedTooSoon, openProcess, StartedCommand, type Subject } from './subject.ts'

/** Of one CPU, at most. */
const CPU_SHARE = 0.5
/** How long Ctrl-C may wait for a sleep to end. */
const NAP_MS = 20
const SEED_BOUND = 2 ** 32
const BLOCK_BYTES = 2 ** 20
/** Where a process has its memory, and what it had in there, is for nobody else. */
const OWNER_ONLY = 0o600

/** Throws HostError and NotPermitted. */
export async function capture(request: CaptureRequest, watch: CaptureWatch): Promise<CaptureReport> {
  // 1.
  const removeFolder = await makeFolder(request.output)
  let command: StartedCommand | null = null
  try {
    await checkWritable(request.output)
    if (request.pid === null) command = await StartedCommand.start(request.command, request.stdoutIsTaken)
    const subject = openProcess(request.pid ?? command?.pid ?? 0)
    try {
      const report = await record(request, watch, subject, command)
      if (report.ended === 'interrupted') await command?.end()
      return report
    } finally {
      subject.close()
    }
  } catch (error) {
    await command?.end()
    await removeFolder()
    if (error instanceof TooLarge) throw new HostError(`process ${request.pid ?? command?.pid} ${error.message}`)
    throw error
  } finally {
    await untilEnded(command, watch)
  }
}

async function record(
  request: CaptureRequest,
  watch: CaptureWatch,
  subject: Subject,
  command: StartedCommand | null,
): Promise<CaptureReport> {
  const { pid, memory, populated } = subject
  const seed = [randomInt(SEED_BOUND), randomInt(SEED_BOUND)] as const
  const recording = new Recording(pid, memory, populated, seed, request.withContents)
  const breathe = async () => {
    await new Promise((resolve) => setImmediate(resolve))
    return !watch.stop.aborted
  }
  // 2.
  const first = await recording.look(0, breathe)
  if (first === 'stopped')
    throw new HostError('interrupted before the first look at the memory was over; nothing was written', ExitCode.interrupted)
  if (first === 'gone') throw endedTooSoon(pid)
  if (first === 'replaced') throw new HostError(`process ${pid} began to run another program just then; capture it once more`)
  // 3.
  const startedAt = performance.now()
  const ended = await sample(recording, request, watch, command, startedAt, breathe)
  // 4.
  const duration = performance.now() - startedAt
  const captured = recording.capture({
    command: subject.name,
    kernel: release(),
    intervalUs: Math.round(request.intervalNs / 1000),
  })
  await writeWhole(request.output, packed(captured), OWNER_ONLY)
  return report(captured, request, pid, ended, duration, (await stat(request.output)).size)
}

/** Looks until something ends it; answers what did. */
async function sample(
  recording: Recording,
  { durationNs, intervalNs }: CaptureRequest,
  watch: CaptureWatch,
  command: StartedCommand | null,
  startedAt: number,
  breathe: () => Promise<boolean>,
): Promise<CaptureReport['ended']> {
  const endAt = startedAt + (durationNs ?? Number.POSITIVE_INFINITY) / 1e6
  let nextAt = startedAt + intervalNs / 1e6
  for (;;) {
    while (performance.now() < Math.min(nextAt, endAt)) {
      await sleep(Math.min(NAP_MS, Math.max(0, Math.min(nextAt, endAt) - performance.now())))
      if (watch.stop.aborted) return 'interrupted'
      if (command?.hasEnded === true) return 'exit'
    }
    const at = performance.now()
    const before = process.cpuUsage()
    const end = await recording.look(Math.round((at - startedAt) * 1000), breathe)
    if (end === 'gone') return 'exit'
    if (end === 'replaced') return 'exec'
    if (end === 'stopped') return 'interrupted'
    watch.onProgress({ seconds: (at - startedAt) / 1000, pages: recording.pages, samples: recording.samples.length })
    if (at >= endAt) return 'duration'
    if (recording.samples.length === MOST_SAMPLES) return 'full'
    const { user, system } = process.cpuUsage(before)
    nextAt = Math.max(at + intervalNs / 1e6, at + (user + system) / 1000 / CPU_SHARE)
  }
}

/** The file's bytes, as gzip. */
function packed(captured: Capture): AsyncIterable<Uint8Array> {
  return Readable.from(inBlocks(writeCapture(captured)), { objectMode: false }).pipe(createGzip({ chunkSize: BLOCK_BYTES }))
}

/** A part may be a gigabyte, which a stream would take at once. */
function* inBlocks(parts: Iterable<Uint8Array>): Generator<Uint8Array, void, void> {
  for (const part of parts) for (let at = 0; at < part.length; at += BLOCK_BYTES) yield part.subarray(at, at + BLOCK_BYTES)
}

function report(
  captured: Capture,
  { output, withContents }: CaptureRequest,
  pid: number,
  ended: CaptureReport['ended'],
  durationMs: number,
  bytes: number,
): CaptureReport {
  const { command, contentOf, firstPages, kindOf, areas, samples } = captured
  const changes = changesOf(captured)
  const lastMs = (samples.at(-1)?.timeUs ?? 0) / 1000
  const rounded = (value: number) => Math.round(value * 1000) / 1000
  return {
    pid,
    command,
    pages: contentOf.length,
    zeroPages: contentOf.reduce((n, content) => n + (content === ZERO_CONTENT ? 1 : 0), 0),
    laterPages: contentOf.length - firstPages,
    distinctPages: kindOf.length,
    vmas: areas.length,
    samples: samples.length,
    sampleInterval: samples.length === 0 ? 0 : rounded(lastMs / samples.length),
    duration: rounded(durationMs),
    changedPages: changes.pages,
    dirtyPagesRate: lastMs === 0 ? 0 : Math.round((changes.total * 1000) / lastMs),
    output,
    bytes,
    withContents,
    ended,
  }
}

/** Makes the folder that the file is to lie in; answers how to take it away again, if there was none. */
async function makeFolder(output: string): Promise<() => Promise<void>> {
  const folder = dirname(output)
  const made = await mkdir(folder).then(
    () => true,
    () => false,
  )
  return async () => {
    if (made) await rmdir(folder).catch(() => undefined)
  }
}

/** A command that was started is waited for; Ctrl-C ends it. */
async function untilEnded(command: StartedCommand | null, { stop }: CaptureWatch): Promise<void> {
  if (command === null) return
  let isOver = false
  void command.ended().then(() => {
    isOver = true
  })
  while (!isOver) {
    await sleep(NAP_MS)
    if (stop.aborted) await command.end()
  }
}
