/**
 * The same work as compare.c, through the binding that kernel migrate uses: prints one line "name ns" for each figure.
 *
 * Bundled and run by compare.mjs, with the two CPUs as arguments. Its second thread is the partner of a calibration, started before the clock.
 */
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { median } from 'simple-statistics'
import { makeCalls } from '../../../main/kernel/calibrate/calls.ts'
import { bePartner, PARTNER_BYTES, Partner } from '../../../main/kernel/calibrate/partner.ts'
import { Mapping, PAGE_BYTES } from '../../../main/kernel/sys/mapping.ts'
import { MADV, UFFDIO_REGISTER_MODE } from '../../../main/kernel/sys/uapi.ts'
import { Userfaultfd } from '../../../main/kernel/sys/userfaultfd.ts'

const FAULTS = 256
const FAULT_ROUNDS = 61
const BULK_BYTES = 64 * 2 ** 20
const BULK_ROUNDS = 5
const BATCHES = [1, 16, 64]

const calls = makeCalls()

function compare([first = 0, second = 0]: readonly number[]): void {
  const shared = new SharedArrayBuffer(PARTNER_BYTES)
  new Worker(new URL(import.meta.url), { workerData: shared })
  const partner = new Partner(shared)
  calls.pin([first])
  for (const how of ['copy', 'move'] as const) {
    for (const [name, cpu] of [
      ['same', first],
      ['other', second],
    ] as const) {
      partner.pin(cpu)
      print(`fault-${name}-cpu-${how}`, fault(partner, how))
    }
    for (const pages of BATCHES) print(`bulk-${pages}-${how}`, bulk(pages, how))
  }
  partner.end()
}

function print(name: string, values: readonly number[]): void {
  console.log(`${name} ${median([...values]).toFixed(1)}`)
}

class Places {
  readonly uffd: Userfaultfd
  readonly to: Mapping
  readonly from: Mapping
  readonly how: 'copy' | 'move'

  constructor(bytes: number, how: 'copy' | 'move', blocking: boolean) {
    this.how = how
    this.uffd = Userfaultfd.open(how === 'move' ? ['MOVE'] : [], { blocking })
    this.to = Mapping.anonymous(bytes)
    this.from = Mapping.anonymous(bytes)
    this.uffd.register(this.to.address, bytes, UFFDIO_REGISTER_MODE.missing)
  }

  renew(): void {
    this.to.advise(MADV.dontNeed)
    this.from.advise(MADV.populateWrite)
  }

  place(offset: number, length: number): void {
    const { uffd, to, from, how } = this
    const done =
      how === 'copy'
        ? uffd.copy(to.address + offset, from.address + offset, length)
        : uffd.move(to.address + offset, from.address + offset, length)
    if (done !== length) throw new Error(`${how} of ${length} bytes answered ${done}`)
  }

  close(): void {
    this.uffd.close()
    this.to.unmap()
    this.from.unmap()
  }
}

function fault(partner: Partner, how: 'copy' | 'move'): number[] {
  const places = new Places(FAULTS * PAGE_BYTES, how, true)
  const values = Array.from({ length: FAULT_ROUNDS }, () => {
    places.renew()
    partner.touch(places.to.address, FAULTS)
    for (let served = 0; served < FAULTS; ) {
      for (const message of places.uffd.read()) {
        places.place(message.get('word1') - places.to.address, PAGE_BYTES)
        served++
      }
    }
    return partner.wait() / FAULTS
  })
  places.close()
  return values
}

function bulk(pages: number, how: 'copy' | 'move'): number[] {
  const places = new Places(BULK_BYTES, how, false)
  const length = pages * PAGE_BYTES
  const values = Array.from({ length: BULK_ROUNDS }, () => {
    places.renew()
    const startedAt = performance.now()
    for (let offset = 0; offset < BULK_BYTES; offset += length) places.place(offset, length)
    return ((performance.now() - startedAt) * 1e6) / (BULK_BYTES / PAGE_BYTES)
  })
  places.close()
  return values
}

if (isMainThread) compare(process.argv.slice(2).map(Number))
else bePartner(workerData, calls, [0])
