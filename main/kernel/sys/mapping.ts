/**
 * Memory mapped into this process, with a view of it that any thread's code can read and write.
 *
 * Touching a view is touching the memory: where it is registered with a userfaultfd, the thread sleeps in the kernel, in the middle of
 * a line of JavaScript. A view outlives `unmap` no better than a pointer does: touching it then kills the process.
 *
 * Source: man 2 mmap, madvise.
 */

import { KernelError } from './errors.ts'
import { checked, errnoName, isMapFailed, libc } from './libc.ts'
import { MADV, MAP, PROT } from './uapi.ts'

export const PAGE_BYTES = 4096

export class Mapping {
  #buffer: ArrayBuffer | null = null

  private constructor(
    readonly address: number,
    readonly length: number,
  ) {}

  /** Private anonymous memory, readable and writable, without huge pages unless asked. */
  static anonymous(bytes: number, options: { readonly hugePages?: boolean; readonly populate?: boolean } = {}): Mapping {
    const flags = MAP.private | MAP.anonymous | MAP.noReserve
    const mapping = Mapping.#map(bytes, PROT.read | PROT.write, flags, -1)
    // Refused where the kernel has no huge pages at all, which is what is wanted.
    libc().madvise(mapping.address, mapping.length, options.hugePages === true ? MADV.hugePage : MADV.noHugePage)
    if (options.populate === true) mapping.advise(MADV.populateWrite)
    return mapping
  }

  /** Memory of a file or memfd that processes share. */
  static shared(fd: number, bytes: number): Mapping {
    return Mapping.#map(bytes, PROT.read | PROT.write, MAP.shared, fd)
  }

  /** Memory that this process mapped before, or that another thread of it did. */
  static existing(address: number, bytes: number): Mapping {
    return new Mapping(address, bytes)
  }

  static #map(bytes: number, prot: number, flags: number, fd: number): Mapping {
    const length = Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES
    const address = libc().mmap(0, length, prot, flags, fd, 0)
    if (isMapFailed(address)) {
      const errno = libc().errno()
      throw new KernelError(`mmap of ${length} bytes`, errno, errnoName(errno))
    }
    return new Mapping(address, length)
  }

  /** The memory itself; made at the first use. */
  get buffer(): ArrayBuffer {
    this.#buffer ??= libc().koffi.view(this.address, this.length)
    return this.#buffer
  }

  advise(advice: number, offset = 0, length = this.length - offset): void {
    checked(libc().madvise(this.address + offset, length, advice), 'madvise')
  }

  protect(prot: number, offset = 0, length = this.length - offset): void {
    checked(libc().mprotect(this.address + offset, length, prot), 'mprotect')
  }

  unmap(): void {
    this.#buffer = null
    checked(libc().munmap(this.address, this.length), 'munmap')
  }
}
