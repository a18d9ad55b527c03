/**
 * What the shell needs of the machine it runs on. Each host (command line, browser worker, desktop) hands one in, so
 * that core itself touches no file, no clock and no process.
 */
export interface Host {
  /**
   * Opens a file and yields its bytes in blocks, decompressed if it is gzip. Throws HostError with one sentence that
   * names the file and the remedy when it is missing, unreadable or its compression is broken.
   */
  open(path: string): AsyncIterable<Uint8Array>
  /** Writes a file under a temporary name and renames it; nothing is left behind on failure. Throws HostError. */
  write(path: string, chunks: Iterable<string>): Promise<void>
  /** Throws HostError if `write` to this path would fail as things stand; asked before a long run starts. */
  checkWritable?(path: string): Promise<void>
  /** Paths that begin with this text, folders with a slash at their end; for completion. Absent where there are no files. */
  listFiles?(prefix: string): Promise<readonly string[]>
  /** Lets the host's events in (signals, messages). Called every few milliseconds by anything long. */
  breathe(): Promise<void>
  /** Seconds of host time from some fixed moment; for `host` figures and progress only. */
  wallSeconds(): number
  /** Largest resident memory of this process so far, bytes; 0 where the host cannot tell. */
  peakRssBytes(): number
  /** `v20.20.2`, or the browser's name. */
  readonly platform: string
}

/** Exit codes of the command contract. */
export const ExitCode = {
  good: 0,
  failed: 1,
  usage: 2,
  /** An invariant or the consistency check broke. */
  broken: 3,
  timeLimit: 124,
  notPermitted: 126,
  unknownCommand: 127,
  interrupted: 130,
} as const

/** An error that is the user's to mend. `message` is one sentence: what was wrong, where, and the remedy. */
export class HostError extends Error {
  constructor(
    message: string,
    readonly exitCode: number = 1,
  ) {
    super(message)
  }
}
