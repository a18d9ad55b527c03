/**
 * Where the regions of a case lie: apart, each between two unmapped pages, so that areas never join by accident.
 *
 * One with its own page table has the 2 MiB around it for itself. Every world puts them so, from another address on.
 */
import type { Region } from './case.ts'

const PAGES_PER_TABLE = 512

/** The first page of each region; the first of all lies at `first` or behind. */
export function regionPlaces(regions: Readonly<Record<string, Region>>, first: number): ReadonlyMap<string, number> {
  const places = new Map<string, number>()
  const roundUp = (page: number) => Math.ceil(page / PAGES_PER_TABLE) * PAGES_PER_TABLE
  let page = first
  for (const [name, { pages, ownTable }] of Object.entries(regions)) {
    if (ownTable) page = roundUp(page)
    places.set(name, page)
    page += pages + 2
    if (ownTable) page = roundUp(page)
  }
  return places
}
