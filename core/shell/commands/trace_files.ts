/**
 * The files that --trace and --perfetto ask for: every event of a run, of the model or of a real kernel.
 *
 * 1. Before the run: names that differ, none of them a file that the run reads, and both can be written.
 * 2. After it each is written whole or not at all.
 * 3. What went wrong with that is told behind the report, which must not be lost with them, and turns a good end into a failed one.
 */
import type { RealRun } from '../../trace/event.ts'
import { writePerfetto } from '../../trace/perfetto.ts'
import type { Recorder } from '../../trace/recorder.ts'
import { writeText } from '../../trace/text.ts'
import { ArgumentError, type Arguments } from '../arguments.ts'
import type { StopSignal, Terminal } from '../command.ts'
import { complain, troubleOf } from '../complain.ts'
import { ExitCode, type Host, HostError } from '../host.ts'

export class TraceFiles {
  readonly #host: Host
  readonly #trace: string | null
  readonly #perfetto: string | null
  #trouble: HostError | null = null

  private constructor(host: Host, trace: string | null, perfetto: string | null) {
    this.#host = host
    this.#trace = trace
    this.#perfetto = perfetto
  }

  /** 1. `inputs`: what the run reads. Throws ArgumentError and HostError. */
  static async asked(given: Arguments, inputs: readonly string[], host: Host): Promise<TraceFiles> {
    const [trace, perfetto] = [given.text('trace'), given.text('perfetto')]
    if (trace !== null && trace === perfetto)
      throw new ArgumentError('--trace and --perfetto name the same file; give each its own')
    for (const [name, path] of Object.entries({ trace, perfetto })) {
      if (path === null) continue
      if (inputs.includes(path))
        throw new ArgumentError(`--${name} would overwrite the guest's own file ${path}; name another file`)
      await host.checkWritable?.(path)
    }
    return new TraceFiles(host, trace, perfetto)
  }

  /** Events are wanted at all. */
  get areWanted(): boolean {
    return this.#trace !== null || this.#perfetto !== null
  }

  /** 2. When `stop` ends it nothing half-written is left; whoever called looks at it. */
  async write(recorder: Recorder, stop: StopSignal, real: RealRun | null = null): Promise<void> {
    this.#trouble = await troubleOf(this.#write(recorder, stop, real))
  }

  async #write(recorder: Recorder, stop: StopSignal, real: RealRun | null): Promise<void> {
    if (this.#trace !== null) await this.#host.write(this.#trace, untilStopped(writeText(recorder, real), stop))
    if (this.#perfetto !== null) await this.#host.write(this.#perfetto, untilStopped(writePerfetto(recorder, real), stop))
  }

  /** 3. The exit code of a run that ended with `code`. */
  exitCode(code: number, who: string, terminal: Terminal): number {
    if (this.#trouble === null) return code
    const failed = complain(this.#trouble, who, terminal)
    return code === ExitCode.good ? failed : code
  }
}

/** Ends a file's chunks when the user interrupts; the host then leaves nothing behind. */
function* untilStopped(chunks: Iterable<string>, stop: StopSignal): Generator<string> {
  for (const chunk of chunks) {
    if (stop.aborted) throw new HostError('interrupted', ExitCode.interrupted)
    yield chunk
  }
}
