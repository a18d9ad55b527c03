/** Batches of output: order, completeness, back-pressure. */
import { describe, expect, test } from 'vitest'
import { OutputBatcher } from '../../renderer/output_batcher.ts'

function receiver() {
  const got: string[] = []
  let open = 0
  let most = 0
  const take = (stream: string) => async (text: string) => {
    open++
    most = Math.max(most, open)
    await new Promise((resolve) => setTimeout(resolve, 1))
    open--
    got.push(`${stream}:${text}`)
  }
  return {
    got,
    most: () => most,
    output: { out: take('out') as (text: string) => void, err: take('err') as (text: string) => void },
  }
}

describe('output batcher', () => {
  test('everything arrives before flushed resolves, in order, streams kept apart', async () => {
    const { got, output } = receiver()
    const batcher = new OutputBatcher(output)
    batcher.out('a')
    batcher.out('b')
    batcher.err('c')
    batcher.out('d')
    await batcher.flushed()
    expect(got).toEqual(['out:ab', 'err:c', 'out:d'])
  })

  test('one batch is under way at a time, however much is printed', async () => {
    const { got, most, output } = receiver()
    const batcher = new OutputBatcher(output)
    for (let line = 0; line < 200; line++) {
      batcher.out(`${line}\n`)
      if (line % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await batcher.flushed()
    expect(most()).toBe(1)
    expect(got.map((entry) => entry.slice(4)).join('')).toBe(Array.from({ length: 200 }, (_, line) => `${line}\n`).join(''))
    expect(got.length).toBeLessThan(10)
  })

  test('with nothing printed, flushed resolves at once', async () => {
    const { got, output } = receiver()
    await new OutputBatcher(output).flushed()
    expect(got).toEqual([])
  })
})
