/**
 * Varints come back as they were put, take as few bytes as they may, and end where their bytes do; CRC-32 is the one of the standard.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Crc32 } from '../../core/base/crc32.ts'
import { VarintReader, VarintWriter } from '../../core/base/varint.ts'

const numbers = fc.array(fc.oneof(fc.nat(300), fc.maxSafeNat()), { maxLength: 200 })

describe('varints', () => {
  it('come back as they were put', () => {
    fc.assert(
      fc.property(numbers, (list) => {
        const writer = new VarintWriter()
        for (const n of list) writer.put(n)
        const reader = new VarintReader(writer.bytes)
        expect(list.map(() => reader.take())).toEqual(list)
        expect(reader.isAtEnd).toBe(true)
        expect(reader.take()).toBe(-1)
      }),
    )
  })

  it.each([
    [127, 1],
    [128, 2],
    [16_383, 2],
    [2 ** 32, 5],
  ])('%d takes %d bytes', (n, bytes) => {
    const writer = new VarintWriter()
    writer.put(n)
    expect(writer.bytes).toHaveLength(bytes)
  })

  it.each([[[128]], [[255, 255, 255, 255, 255, 255, 255, 255, 1]], [[255, 255, 255, 255, 255, 255, 255, 127]]])(
    'that are cut off or too large, %j, are none',
    (bytes) => expect(new VarintReader(Uint8Array.from(bytes)).take()).toBe(-1),
  )
})

describe('CRC-32', () => {
  it('of 123456789 is the one that the standard gives, in one block or in two', () => {
    const bytes = new TextEncoder().encode('123456789')
    const whole = new Crc32()
    whole.add(bytes)
    const halves = new Crc32()
    halves.add(bytes.subarray(0, 4))
    halves.add(bytes.subarray(4))
    expect([whole.value, halves.value]).toEqual([0xcbf43926, 0xcbf43926])
  })
})
