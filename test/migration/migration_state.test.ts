/**
 * The states of a migration: of all pairs of QEMU's 15 states only the arrows that a post-copy takes are accepted, each is
 * recorded, and completed and failed are the ends.
 */
import { expect, it } from 'vitest'
import { MigrationState } from '../../core/migration/migration_state.ts'
import { EventKind, MIGRATION_STATUS } from '../../core/trace/event.ts'
import { Rig } from '../mm/rig.ts'

const LEGAL = new Set([
  'none setup',
  'setup active',
  'setup failed',
  'active device',
  'active failed',
  'device postcopy-active',
  'device failed',
  'postcopy-active completed',
  'postcopy-active failed',
])

it('of 15 * 15 = 225 arrows exactly the 9 of a post-copy are accepted', () => {
  const accepted: string[] = []
  for (const from of MIGRATION_STATUS) {
    for (const to of MIGRATION_STATUS) {
      const rig = new Rig()
      const state = new MigrationState(rig.recorder)
      state.status = from
      const seen: string[] = []
      state.onChange = (status) => seen.push(status)
      const k = rig.machine.makeThread('t')
      try {
        state.set(k, to)
      } catch {
        expect(state.status).toBe(from)
        expect(rig.recorder.rows).toBe(0)
        continue
      }
      accepted.push(`${from} ${to}`)
      expect(seen).toEqual([to])
      expect(rig.recorder.kind(0)).toBe(EventKind.State)
      expect(MIGRATION_STATUS[rig.recorder.arg(0)]).toBe(to)
      expect(state.isOver).toBe(to === 'completed' || to === 'failed')
    }
  }
  expect(new Set(accepted)).toEqual(LEGAL)
})
