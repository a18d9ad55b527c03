/**
 * What people read after a run: QEMU's layout for `info migrate`, our own report, the histogram, the verdict.
 */
import { describe, expect, it } from 'vitest'
import { infoMigrateText } from '../../core/shell/commands/info_text.ts'
import { histogram, reportText, verdictText } from '../../core/shell/commands/report_text.ts'
import { sampleReport } from './sample_report.ts'

describe('info migrate', () => {
  it('is the layout of QEMU 10.1, line for line', () => {
    const lines = infoMigrateText(sampleReport(), true).split('\n')
    expect(lines.slice(0, 15)).toEqual([
      'Status: completed',
      'Time (ms): total=6522, setup=33, down=16',
      'RAM info:',
      '  Throughput (Mbps): 949.60',
      '  Sizes: pagesize=4 KiB, total=16 GiB',
      '  Transfers: transferred=703 MiB, remain=5.4 GiB',
      '    Channels: precopy=111 MiB, multifd=0 B, postcopy=592 MiB',
      '    Page Types: normal=178447, zero=508031',
      '  Page Rates (pps): transfer=167581',
      '  Others: dirty_syncs=2, postcopy_req=1652',
      'Postcopy Blocktime (ms): 134',
      'Postcopy vCPU Blocktime (ms):',
      ' [120, 148]',
      'Postcopy Latency (us): 16075',
      'Postcopy Latency Distribution:',
    ])
    expect(lines[21]).toBe('  [    64 us -   128 us ]:      10169')
    expect(lines.slice(15, -1).length).toBe(24)
    expect(lines.at(-2)).toBe('  [    8 sec -   16 sec ]:          0')
  })

  it('leaves the post-copy lines out where no page was asked for', () => {
    const report = sampleReport()
    report.migration.ram['postcopy-requests'] = 0
    report.migration['postcopy-blocktime'] = 0
    expect(infoMigrateText(report, true)).not.toContain('Postcopy')
  })

  it('tells the latency of each vCPU where it was counted', () => {
    const report = sampleReport()
    Object.assign(report.migration, {
      'postcopy-vcpu-latency': [24_730_000, 25_350_000],
      'postcopy-non-vcpu-latency': 14_743_000,
    })
    expect(infoMigrateText(report, true)).toContain(
      'Postcopy Latency (us): 16075\nPostcopy non-vCPU Latencies (us): 14743\nPostcopy vCPU Latencies (us):\n [24730, 25350]\n',
    )
  })

  it('tells how long vCPUs sleep for their dirty limit, before what belongs to post-copy', () => {
    const report = sampleReport()
    Object.assign(report.migration, { 'dirty-limit-throttle-time-per-round': 6_916_932, 'dirty-limit-ring-full-time': 69_868 })
    const limit = 'Dirty-limit Throttle (us): 6916932\nDirty-limit Ring Full (us): 69868\nPostcopy Blocktime (ms): 134\n'
    expect(infoMigrateText(report, true)).toContain(limit)
    expect(infoMigrateText(report, false)).not.toContain('Dirty-limit')
  })

  it('tells what a migration under way expects, and with -a how much auto-converge takes', () => {
    const report = sampleReport()
    Object.assign(report.migration, { 'expected-downtime': 299.6, 'cpu-throttle-percentage': 40 })
    expect(infoMigrateText(report, true)).toContain('Time (ms): total=6522, setup=33, exp_down=300\n')
    expect(infoMigrateText(report, true)).toContain('CPU Throttle (%): 40\nPostcopy')
    expect(infoMigrateText(report, false)).not.toContain('Throttle')
  })

  it('tells what went by the channels of multifd, and with -a what xbzrle did', () => {
    const report = sampleReport()
    report.migration.ram['multifd-bytes'] = 3 * 2 ** 20
    const rates = { 'cache-miss-rate': 0.25, 'encoding-rate': 21.5 }
    Object.assign(report.migration, {
      'xbzrle-cache': { 'cache-size': 67108864, bytes: 4711, pages: 12, 'cache-miss': 188451, ...rates, overflow: 3 },
    })
    const all = infoMigrateText(report, true)
    expect(all).toContain('Channels: precopy=111 MiB, multifd=3 MiB, postcopy=592 MiB')
    expect(all).toContain(
      'XBZRLE: size=67108864, transferred=4711, pages=12, miss=188451\n  miss_rate=0.25, encode_rate=21.50, overflow=3\nPostcopy',
    )
    expect(infoMigrateText(report, false)).not.toContain('XBZRLE')
  })

  it('without -a tells the migration alone', () => {
    const all = infoMigrateText(sampleReport(), true)
    const brief = infoMigrateText(sampleReport(), false)
    expect(brief).toBe(all.slice(0, all.indexOf('Postcopy')))
  })

  it('tells the rates and bytes that are not zero, and ten vCPUs a line', () => {
    const report = sampleReport()
    report.migration.ram['dirty-pages-rate'] = 300
    report.migration.ram['downtime-bytes'] = 4096
    report.migration.ram['postcopy-requests'] = 0
    report.migration['postcopy-vcpu-blocktime'] = Array.from({ length: 12 }, (_, vcpu) => vcpu)
    const text = infoMigrateText(report, true)
    expect(text).toContain('  Page Rates (pps): transfer=167581, dirty=300\n  Others: dirty_syncs=2, downtime_bytes=4096\n')
    expect(text).toContain('\n [0, 1, 2, 3, 4, 5, 6, 7, 8, 9,\n  10, 11]\n')
  })
})

describe('the histogram', () => {
  it('spans from the first bucket with a count to the last, and the fullest fills the bar', () => {
    expect(histogram(sampleReport().migration['postcopy-latency-dist'], 44)).toBe(
      [
        '[64, 128)      10,169 |@@@@@@@@@@@@@@@@@@@@|\n',
        '[128, 256)         40 |@                   |\n',
        '[256, 512)          0 |                    |\n',
        '[512, 1K)           1 |@                   |\n',
      ].join(''),
    )
  })

  it('of nothing is nothing', () => {
    expect(histogram(new Array<number>(24).fill(0), 80)).toBe('')
  })

  it('the first bucket begins at zero and the last has no end', () => {
    const buckets = new Array<number>(24).fill(1)
    const lines = histogram(buckets, 80).split('\n')
    expect([lines[0]?.slice(0, 6), lines[23]?.slice(0, 9)]).toEqual(['[0, 2)', '[8M, ...)'])
  })
})

describe('the report', () => {
  it('has the figures with their units, and how to make the run again', () => {
    const text = reportText(sampleReport(), 'pageferry migrate --guest kv --seed 7', 100, false)
    for (const part of [
      'total-time     6.52 s, setup-time 33.0 ms, downtime 16.2 ms',
      '950 Mbps, 703 MiB transferred, 5.40 GiB remaining',
      '178,447 normal, 508,031 duplicate, of 686,478',
      'mean 16.1 ms, p50 80.0 us, p99 190 us, p999 260 us, max 700 us',
      '1.42 times slower during',
      'again          pageferry migrate --guest kv --seed 7',
    ]) {
      expect(text).toContain(part)
    }
  })

  it('tells what became of vCPUs that wrote, where a limit set in or a snapshot was taken', () => {
    const report = sampleReport()
    const text = () => reportText(report, 'migrate', 200, false)
    expect(text()).not.toMatch(/dirty limit|snapshot/)
    const faults = { 'write-faults': 456, 'write-fault-latency': 5723, 'write-fault-latency-max': 18_151 }
    Object.assign(report.migration, {
      'dirty-limit-throttle-time-per-round': 6_916_932,
      'dirty-limit-ring-full-time': 69_868,
      'background-snapshot': faults,
    })
    expect(text()).toContain('dirty limit    vCPUs sleep up to 6.92 s when their ring is full, which takes 69.9 ms')
    expect(text()).toContain('456 stores waited for their page, 5.72 us on the average, 18.2 us at most')
  })

  it('ends with the verdict', () => {
    const text = reportText(sampleReport(), 'migrate', 100, false)
    expect(text.trimEnd().split('\n').at(-1)).toBe('✓ consistent: 1,234,567 loads checked, 65,536 pages compared')
  })

  it('a run whose pages were not compared has no verdict', () => {
    const consistency = { ...sampleReport().consistency, loadsChecked: 7, pagesCompared: 0 }
    expect(verdictText(consistency, 100, false)).toBe(
      'no verdict: the run ended before its pages could be compared; 7 loads checked\n',
    )
  })

  it('has no colour unless it may, and green never without its sign', () => {
    expect(reportText(sampleReport(), 'migrate', 100, false)).not.toContain('\u001b')
    expect(verdictText(sampleReport().consistency, 100, true)).toMatch(/^\u001b\[32m✓ consistent\u001b\[0m/)
  })

  it('counts what a crash took as lost, though nothing that is left is wrong', () => {
    const consistency = { ...sampleReport().consistency, lost: 23_224 }
    expect(verdictText(consistency, 100, false)).toMatch(/^✕ 23,224 pages lost; what is left is consistent: /)
  })

  it('a broken check names the causes, and the first violation in full', () => {
    const { consistency } = sampleReport()
    const message = 'page 0x3 is stale: vCPU 1 loaded version 1 at 12.3 ms, and version 2 was written before the switch'
    consistency.verdict = 'inconsistent'
    Object.assign(consistency, { mismatches: 4, stale: 3, torn: 1 })
    consistency.firstViolation = {
      cause: 'stale',
      page: 3,
      seenBy: 'vCPU 1',
      timeNs: 12_300_000,
      expectedVersion: 2,
      foundVersion: 1,
      message,
    }
    const text = verdictText(consistency, 200, false)
    expect(text).toBe(
      `✕ inconsistent: 4 mismatches (3 stale, 1 torn); 1,234,567 loads checked, 65,536 pages compared\n  first: ${message}\n`,
    )
  })

  it('fits forty columns but for what cannot be broken', () => {
    const wide = reportText(sampleReport(), 'migrate', 40, false)
      .split('\n')
      .filter((line) => line.length > 40)
    // The verdict is one line for grep, whatever the terminal is.
    expect(wide.filter((line) => !line.startsWith('✓'))).toEqual([])
  })
})
