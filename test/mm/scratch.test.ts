import { expect, it } from 'vitest'
import { mprotect } from '../../core/mm/mprotect.ts'
import { at, P, Rig } from './rig.ts'
it('x', () => {
  const rig = new Rig()
  const a = rig.map(8)
  rig.call((k) => mprotect(k, rig.mm, at(a + 4), 4 * P, 1))
  console.log(rig.areas())
  rig.call((k) => mprotect(k, rig.mm, at(a), 6 * P, 1))
  console.log(rig.areas())
})
