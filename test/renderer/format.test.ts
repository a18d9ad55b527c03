/** Numbers as people read them. */
import { describe, expect, test } from 'vitest'
import {
  formatAddress,
  formatBitRate,
  formatBytes,
  formatPage,
  formatSpeed,
  formatTick,
  formatTime,
  megabytesPerSec,
} from '../../renderer/format.ts'

describe('format', () => {
  test('times carry the unit that leaves few digits before the point', () => {
    expect([0, 412, 412_300, 12_345_000, 1_234_000_000].map(formatTime)).toEqual([
      '0 ns',
      '412 ns',
      '412.3 µs',
      '12.345 ms',
      '1.234 s',
    ])
  })

  test('ticks have no more digits than their step needs', () => {
    expect(formatTick(50e6, 10e6)).toBe('50 ms')
    expect(formatTick(1_500_000, 500_000)).toBe('1,500 µs')
    expect(formatTick(0, 10e6)).toBe('0')
  })

  test('sizes are powers of 1024 and rates powers of 1000', () => {
    expect([512, 4096, 33_554_432, 5000].map(formatBytes)).toEqual(['512 B', '4 KiB', '32 MiB', '4.9 KiB'])
    expect([1e9, 2.5e9, 100e6].map(formatBitRate)).toEqual(['1 Gb/s', '2.5 Gb/s', '100 Mb/s'])
  })

  test('a speed is simulated time for each second', () => {
    expect([2.5e6, 999_000, 1e9].map(formatSpeed)).toEqual(['2.50 ms/s', '999 µs/s', '1.00 s/s'])
  })

  test('page numbers and addresses are grouped by four hex digits from the right', () => {
    expect(formatPage(0x1f3)).toBe('0x1f3')
    expect(formatPage(0x1_0000)).toBe('0x1_0000')
    expect(formatAddress(0x1f3)).toBe('0x001f_3000')
    expect(formatAddress(0xf_ffff)).toBe('0xffff_f000')
  })

  test('a full 10 Gb/s wire is 1250 MB/s', () => {
    expect(megabytesPerSec(1.25e6, 1e6)).toBe(1250)
    expect(megabytesPerSec(1, 0)).toBe(0)
  })
})
