/**
 * Footprints in words, for what is kept beyond one search or compared between two: names are numbers of one search only.
 *
 * A touched name is object, label and mode.
 */
import type { Footprint, Names } from '../engine/footprint.ts'

export type PlainFootprint = readonly (readonly [object: number, label: string, mode: number])[]

export function plainFootprint(names: Names, footprint: Footprint): PlainFootprint {
  const plain: [number, string, number][] = []
  for (let i = 0; i < footprint.length; i += 2) {
    plain.push([names.object(footprint[i]), names.label(footprint[i]), footprint[i + 1]])
  }
  return plain
}

export function footprintOf(names: Names, plain: PlainFootprint): Footprint {
  return plain.flatMap(([object, label, mode]) => [names.id(object, label), mode])
}
