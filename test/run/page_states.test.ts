/**
 * The live map of pages: its numbers are those of the protocol, and what it shows at each moment fits what the machines are
 * doing: everything at the source first, everything at the destination last.
 */
import { describe, expect, it } from 'vitest'
import { PageState } from '../../core/api/protocol.ts'
import { MigrationRun } from '../../core/run/migration_run.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { finish, small } from './small.ts'

describe('cells', () => {
  it('have the numbers of PageState', () => {
    expect(PageState).toEqual({ missing: 0, zero: 1, resident: 2, inflight: 3, dirty: 4, fault: 5, stale: 6, error: 7 })
  })

  it('are missing everywhere before the first turn, and resident or zero at the destination at the end', () => {
    const run = new MigrationRun(small(), new Recorder({ keep: false }))
    const [s, d] = [new Uint8Array(run.pages), new Uint8Array(run.pages)]
    run.pageStates(s, d)
    expect(new Set([...s, ...d])).toEqual(new Set([PageState.missing]))
    const done = finish({ guest: 'idle', resolver: 'copy' })
    done.pageStates(s, d)
    expect(new Set(d)).toEqual(new Set([PageState.zero, PageState.resident]))
    expect([...d].filter((c) => c === PageState.resident).length).toBeGreaterThanOrEqual(done.pages / 4)
  })

  it('on the way: what is not at the source’s to send is at the destination, on the wire or asked for', () => {
    const run = new MigrationRun(small(), new Recorder({ keep: false }))
    const [s, d] = [new Uint8Array(run.pages), new Uint8Array(run.pages)]
    const seen = new Set<number>()
    while (run.advance(20) !== 'done') {
      run.pageStates(s, d)
      for (const cell of d) seen.add(cell)
      const here = [...d].filter((c) => c === PageState.zero || c === PageState.resident).length
      expect(here).toBeLessThanOrEqual((run.incoming?.map.received ?? 0) + 1)
      if (run.outgoing !== null && run.state.status === 'postcopy-active') {
        for (let p = 0; p < run.pages; p++) {
          if (d[p] === PageState.missing) expect(run.outgoing.bitmap.has(p)).toBe(true)
        }
      }
    }
    expect(seen.has(PageState.inflight)).toBe(true)
    expect(seen.has(PageState.fault)).toBe(true)
    expect(seen.has(PageState.error)).toBe(false)
  })
})
