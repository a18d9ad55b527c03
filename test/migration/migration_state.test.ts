/**
 * The states of a migration: of all pairs of QEMU's 15 states only QEMU's arrows are accepted, each is recorded, and completed,
 * failed and cancelled are the ends.
 */
import { expect, it } from 'vitest'
import { MigrationState } from '../../core/migration/migration_state.ts'
import { EventKind, MIGRATION_STATUS } from '../../core/trace/event.ts'
import { Rig } from '../mm/rig.ts'

/** One line a state, as the callers of migrate_set_state have it. */
const LEGAL = new Set([
  'none setup',
  ...['setup active', 'setup wait-unplug', 'setup failed', 'setup cancelling'],
  ...['wait-unplug active', 'wait-unplug cancelling'],
  ...['active pre-switchover', 'active device', 'active completed', 'active failed', 'active cancelling'],
  ...['pre-switchover device', 'pre-switchover failed', 'pre-switchover cancelling'],
  ...['device postcopy-active', 'device completed', 'device colo', 'device failed', 'device cancelling'],
  ...['postcopy-active completed', 'postcopy-active failed', 'postcopy-active postcopy-paused'],
  'postcopy-paused postcopy-recover-setup',
  ...['postcopy-recover-setup postcopy-recover', 'postcopy-recover-setup postcopy-paused'],
  ...['postcopy-recover postcopy-active', 'postcopy-recover postcopy-paused'],
  'colo completed',
  'cancelling cancelled',
])
const ENDS = ['completed', 'failed', 'cancelled']

it('of 15 * 15 = 225 arrows exactly the 30 of QEMU are accepted', () => {
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
      expect(state.isOver).toBe(ENDS.includes(to))
    }
  }
  expect(new Set(accepted)).toEqual(LEGAL)
  expect(accepted.length).toBe(30)
})

it('nothing follows an end, and an end can be reached from everywhere', () => {
  const ways = new Map<string, string[]>(MIGRATION_STATUS.map((status) => [status, []]))
  for (const arrow of LEGAL) {
    const [from = '', to = ''] = arrow.split(' ')
    ways.get(from)?.push(to)
  }
  expect(
    [...ways]
      .filter(([, next]) => next.length === 0)
      .map(([status]) => status)
      .sort(),
  ).toEqual([...ENDS].sort())
  for (const start of MIGRATION_STATUS) {
    const reached = new Set([start as string])
    for (const status of reached) for (const next of ways.get(status) ?? []) reached.add(next)
    expect(ENDS.some((end) => reached.has(end))).toBe(true)
  }
})

it('a sync of the bitmap is an event with the number of dirty pages', () => {
  const { machine, recorder } = new Rig()
  const state = new MigrationState(recorder)
  const k = machine.makeThread('t')
  state.passed(k, k.nowNs, 0, 300)
  state.passed(k, k.nowNs, 0, 7)
  expect([state.dirtySyncCount, state.remaining]).toEqual([2, 7])
  expect([0, 1].map((row) => [recorder.kind(row), recorder.page(row), recorder.arg(row)])).toEqual([
    [EventKind.Pass, -1, 300],
    [EventKind.Pass, -1, 7],
  ])
})
