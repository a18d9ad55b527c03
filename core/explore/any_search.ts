/**
 * A search of any strategy as one that can be asked where it stands and begun from there.
 *
 * Where it stands is plain data that names its strategy, so that it can be kept in a file and pass between threads. It is good for the
 * same program and the same options alone; begun from a state of another program, most searches throw at once. Pairs with
 * simplest.ts, which goes through several of them.
 */
import { fail } from '../base/assert.ts'
import type { ChanceState } from './chance.ts'
import { DfsSearch, type DfsState } from './dfs.ts'
import { DporSearch, type DporState } from './dpor.ts'
import { pctSearch } from './pct.ts'
import type { Program } from './program.ts'
import { randomSearch } from './random.ts'
import type { Search, SearchOptions } from './search.ts'

export type AnyStrategy = 'dfs' | 'dpor' | 'random' | 'pct'

export type SearchState =
  | { readonly strategy: 'dfs'; readonly state: DfsState }
  | { readonly strategy: 'dpor'; readonly state: DporState }
  | { readonly strategy: 'random' | 'pct'; readonly state: ChanceState }

export interface AnySearch {
  search(): Search
  /** Ask at a yield. */
  state(): SearchState
}

/** `from`: a state of this strategy, or null for its beginning. */
export function anySearch(strategy: AnyStrategy, program: Program, options: SearchOptions, from: SearchState | null): AnySearch {
  if (from !== null && from.strategy !== strategy) fail(`${strategy} cannot go on from a state of ${from.strategy}`)
  switch (strategy) {
    case 'dfs': {
      const search = new DfsSearch(program, options, from?.strategy === 'dfs' ? from.state : null)
      return { search: () => search.search(), state: () => ({ strategy, state: search.state() }) }
    }
    case 'dpor': {
      const search = new DporSearch(program, options, from?.strategy === 'dpor' ? from.state : null)
      return { search: () => search.search(), state: () => ({ strategy, state: search.state() }) }
    }
    case 'random':
    case 'pct': {
      const begin = strategy === 'random' ? randomSearch : pctSearch
      const search = begin(program, options, from?.strategy === strategy ? from.state : null)
      return { search: () => search.search(), state: () => ({ strategy, state: search.state() }) }
    }
  }
}
