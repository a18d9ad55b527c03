/**
 * The parts of a migration on the real kernel that need no kernel: how messages lie on the wire, the board, the watchdog, and the comparison
 * at the end, which finds each way in which a page can be wrong.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ownStamp, ownWordAt, versionAt } from '../../core/guest/own_words.ts'
import { StreamMessage } from '../../core/migration/ram_stream.ts'
import type { Area } from '../../main/kernel/migrate/area.ts'
import { Board, PageState } from '../../main/kernel/migrate/board.ts'
import { compareAll, writtenPages } from '../../main/kernel/migrate/compare.ts'
import { bodyBytes, channelOfHello, pageAt, putHeader, putHello, typeAt } from '../../main/kernel/migrate/framing.ts'
import { Watchdog } from '../../main/kernel/migrate/watchdog.ts'

const view = () => new DataView(new ArrayBuffer(64))

describe('a record on the wire', () => {
  it('says its page and its type, whatever the page', () => {
    const type = fc.constantFrom(...Object.values(StreamMessage))
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 36 }), type, (page, kind) => {
        const at = view()
        putHeader(at, 8, kind, page)
        return pageAt(at, 8) === page && typeAt(at, 8) === kind
      }),
    )
  })

  it('is as long as the model counts', () => {
    expect([bodyBytes(StreamMessage.Page, 7), bodyBytes(StreamMessage.Zero, 7), bodyBytes(StreamMessage.End, 0)]).toEqual([
      4096, 1, 0,
    ])
  })

  it('of a connection that does not know the token is not ours', () => {
    const at = view()
    putHello(at, 0, 1, '00112233445566778899aabbccddeeff')
    expect(channelOfHello(at, 0, '00112233445566778899aabbccddeeff')).toBe(1)
    expect(channelOfHello(at, 0, '00112233445566778899aabbccddee00')).toBe(-1)
  })
})

const SHAPE = { pages: 8, vcpus: 2, keepsEvents: false }

function newBoard(): Board {
  return new Board(new ArrayBuffer(Board.bytes(SHAPE)), SHAPE)
}

/** Memory and shadow in which every vCPU has stored to each word of each page: page n, n + 1 times. */
function written() {
  const board = newBoard()
  const ram = new Int32Array(SHAPE.pages * 1024)
  for (let page = 0; page < SHAPE.pages; page++) {
    for (let vcpu = 0; vcpu < SHAPE.vcpus; vcpu++) {
      for (let word = 0; word < 2; word++) {
        board.versions[versionAt(page, word, vcpu, SHAPE.pages)] = page + 1
        ram[ownWordAt(page, word, vcpu)] = ownStamp(page, word, vcpu, page + 1)
      }
    }
  }
  return { board, ram, compare: (onlyReceived = false) => compareAll({ ram } as unknown as Area, board, onlyReceived) }
}

describe('the comparison at the end', () => {
  it('finds nothing where nothing is wrong', () => {
    expect(written().compare()).toMatchObject({ pagesCompared: 8, lost: 0, stale: 0, misplaced: 0, duplicated: 0, first: null })
  })

  it('finds a page of zeros', () => {
    const { ram, compare } = written()
    ram.fill(0, 3 * 1024, 4 * 1024)
    expect(compare()).toMatchObject({ lost: 1, first: { page: 3, cause: 'lost', expected: 4 } })
  })

  it('finds a word that is older than the last store', () => {
    const { ram, compare } = written()
    ram[ownWordAt(5, 1, 1)] = ownStamp(5, 1, 1, 5)
    expect(compare()).toMatchObject({ stale: 1, first: { page: 5, cause: 'stale' } })
  })

  it("finds another page's content, which is in its own place, too", () => {
    const { ram, compare } = written()
    ram.copyWithin(2 * 1024, 6 * 1024, 7 * 1024)
    expect(compare()).toMatchObject({ duplicated: 1, first: { page: 2, cause: 'duplicated' } })
  })

  it('finds two pages that changed places', () => {
    const { ram, compare } = written()
    const page = ram.slice(2 * 1024, 3 * 1024)
    ram.copyWithin(2 * 1024, 6 * 1024, 7 * 1024)
    ram.set(page, 6 * 1024)
    expect(compare()).toMatchObject({ lost: 0, stale: 0, misplaced: 2, duplicated: 0, first: { page: 2 } })
  })

  it('finds a word where nobody writes', () => {
    const { ram, compare } = written()
    ram[4 * 1024 + 512] = 1
    expect(compare()).toMatchObject({ misplaced: 1, first: { page: 4 } })
  })

  it('leaves out what has not come, if told so', () => {
    const { board, ram, compare } = written()
    ram.fill(0)
    ram[ownWordAt(1, 0, 0)] = 77
    board.states[1] = PageState.received
    expect(compare(true)).toMatchObject({ pagesCompared: 1, misplaced: 1 })
  })
})

describe('the board', () => {
  it('gives the guest to whoever takes it first, for good', () => {
    const board = newBoard()
    expect([board.isHandedOver, board.takeGuest('destination'), board.takeGuest('source')]).toEqual([false, true, false])
    expect(board.isHandedOver).toBe(true)
    const other = newBoard()
    expect([other.takeGuest('source'), other.takeGuest('destination'), other.isHandedOver]).toEqual([true, false, false])
    expect(other.takeGuest('source')).toBe(true)
  })

  it('keeps the states in order, and every column to itself', () => {
    const board = newBoard()
    board.enter('setup', board.eventsOf('migration'))
    board.enter('active', board.eventsOf('migration'))
    board.states.fill(PageState.received)
    board.sleeps.fill(7)
    board.versions.fill(9)
    expect([board.statesEntered, board.status, board.stateEntered(0).status]).toEqual([2, 'active', 'setup'])
    expect([board.get('startNs'), board.sum('loadsChecked'), board.isHandedOver, board.firstWrong]).toEqual([0, 0, false, null])
    expect(writtenPages(board)).toBe(8)
  })
})

describe('the watchdog', () => {
  const listens = (board: Board) => board.add('idleLooks', 1)
  const asks = (board: Board) => {
    board.states[3] = PageState.requested
    listens(board)
  }
  it.each<[string, (board: Board) => void, boolean]>([
    ['nothing moves', () => undefined, true],
    ['bytes are sent', (board) => board.add('urgentBytes', 1), false],
    ['the connection is down', (board) => board.enter('postcopy-paused', board.eventsOf('migration')), false],
    ['the source listens, and nobody wants a page', listens, false],
    ['the source listens, and somebody waits for a page', asks, true],
  ])('when %s', async (_what, happen, hasHadEnough) => {
    const board = newBoard()
    const watchdog = new Watchdog(board, 10e6)
    watchdog.hasHadEnough()
    await new Promise((resolve) => setTimeout(resolve, 20))
    happen(board)
    expect(watchdog.hasHadEnough()).toBe(hasHadEnough)
  })
})
