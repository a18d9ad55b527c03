/**
 * Memory that processes share and no file stands for: a descriptor that a child inherits, mapped here.
 *
 * It is gone with the last who has it mapped or open. A host that has no room for it says so at the first touch, not here.
 *
 * Source: man 2 memfd_create, ftruncate.
 */
import { checked, libc } from './libc.ts'
import { Mapping } from './mapping.ts'

const MFD_CLOEXEC = 1

export class Memfd {
  private constructor(
    readonly fd: number,
    readonly mapping: Mapping,
  ) {}

  /** Throws KernelError. */
  static make(name: string, bytes: number): Memfd {
    const fd = checked(libc().memfdCreate(name, MFD_CLOEXEC), 'memfd_create')
    try {
      checked(libc().ftruncate(fd, bytes), 'ftruncate')
      return new Memfd(fd, Mapping.shared(fd, bytes))
    } catch (error) {
      libc().close(fd)
      throw error
    }
  }

  get buffer(): ArrayBuffer {
    return this.mapping.buffer
  }

  close(): void {
    this.mapping.unmap()
    libc().close(this.fd)
  }
}
