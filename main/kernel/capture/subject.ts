/**
 * The process whose memory is captured: one that runs already, or one that is started for it and that is ours to end.
 *
 * Whatever speaks against it is one sentence: no such process (exit 1), one that may not be read (126), a kernel thread, or this very
 * program. A command is started without a shell; its stdin, stdout and stderr are ours.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { ExitCode, HostError } from '../../../core/shell/host.ts'
import { codeOf } from '../../files/whole_file.ts'
import { NotPermitted } from '../sys/errors.ts'
import { type PopulatedPages, populatedPages } from './populated_pages.ts'

const KILL_AFTER_MS = 2000
const YAMA = '/proc/sys/kernel/yama/ptrace_scope'

export interface Subject {
  readonly pid: number
  readonly name: string
  /** Open for reading: /proc/PID/mem. */
  readonly memory: number
  readonly populated: PopulatedPages
  close(): void
}

/** Throws HostError, or NotPermitted. */
export function openProcess(pid: number): Subject {
  if (process.platform !== 'linux')
    throw new NotPermitted(`memory of a process is read from Linux's /proc, and this is ${process.platform}; run this on Linux`)
  if (pid === process.pid) throw new HostError(`process ${pid} is this very program, which changes as it looks; name another`)
  const status = statusOf(pid)
  const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? null
  if (field('State')?.startsWith('Z') === true) throw endedTooSoon(pid)
  if (field('VmSize') === null)
    throw new HostError(`process ${pid} is a thread of the kernel, which has no memory of its own; name a process`)
  let memory = -1
  try {
    memory = openSync(`/proc/${pid}/mem`, 'r')
    const populated = populatedPages(pid)
    const close = () => {
      populated.close()
      closeSync(memory)
    }
    return { pid, name: nameOf(field('Name') ?? ''), memory, populated, close }
  } catch (error) {
    if (memory >= 0) closeSync(memory)
    const code = codeOf(error)
    if (code === null) throw error
    if (code === 'EACCES' || code === 'EPERM') throw notPermitted(pid, field('Uid'))
    throw endedTooSoon(pid)
  }
}

export function endedTooSoon(pid: number): HostError {
  return new HostError(`process ${pid} ended before its memory was looked at; name one that runs longer`)
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    throw new HostError(`there is no process ${pid}; ps -e lists those that run`)
  }
}

/** A process chooses its name, and a terminal does what some characters say. */
function nameOf(field: string): string {
  return field.replace(/\p{C}/gu, '?')
}

/** `uids`: the real one, then the others. */
function notPermitted(pid: number, uids: string | null): NotPermitted {
  const owner = Number(uids?.split(/\s/, 1)[0] ?? 0)
  return new NotPermitted(`the memory of process ${pid} may not be read by this user; ${remedy(owner)}`)
}

function remedy(owner: number): string {
  const own = process.getuid?.()
  if (own === 0) return 'root has no capability SYS_PTRACE here; in a container, add it (docker run --cap-add SYS_PTRACE)'
  if (own !== owner) return `it is of user ${owner}; run as that user, or as root`
  return mayTraceOwn()
    ? 'it has more rights than its user, or hides its memory; run as root'
    : 'run as root, or allow it with: sysctl -w kernel.yama.ptrace_scope=0'
}

/** Whether this host lets a user look into any process of its own. */
function mayTraceOwn(): boolean {
  try {
    return readFileSync(YAMA, 'utf8').trim() === '0'
  } catch {
    return true
  }
}

/** A command that was started. */
export class StartedCommand {
  readonly #child: ChildProcess
  readonly #exit: Promise<unknown>

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#exit = once(child, 'exit')
  }

  /** Resolves when it runs its own program. Throws HostError. */
  static async start(words: readonly string[], stdoutIsTaken: boolean): Promise<StartedCommand> {
    const [program = '', ...rest] = words
    const child = spawn(program, rest, { stdio: ['inherit', stdoutIsTaken ? process.stderr : 'inherit', 'inherit'] })
    try {
      await once(child, 'spawn')
    } catch (error) {
      const code = codeOf(error)
      if (code === 'ENOENT')
        throw new HostError(`there is no program ${program}; check its name, or give its path`, ExitCode.unknownCommand)
      throw new HostError(`${program} cannot be started (${code}); check its path and its permissions`, ExitCode.notPermitted)
    }
    return new StartedCommand(child)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  async ended(): Promise<void> {
    if (!this.hasEnded) await this.#exit
  }

  /** Asks it to end; after two seconds it is made to. */
  async end(): Promise<void> {
    if (this.hasEnded) return
    this.#child.kill('SIGTERM')
    const force = setTimeout(() => this.#child.kill('SIGKILL'), KILL_AFTER_MS)
    await this.ended()
    clearTimeout(force)
  }
}
