/**
 * The desk behind any line of messages: it answers calls of the desk, and says no to everything else of comlink.
 *
 * What the desktop's kernel_host.ts and the WebSocket of the browser host are made of.
 */
import { describe, expect, it } from 'vitest'
import type { HostKernel } from '../../core/shell/host_kernel.ts'
import { serveDesk } from '../../main/kernel/desk_server.ts'

const raw = (value: unknown) => ({ type: 'RAW', value })
const ask = (id: string, name: string) => ({ id, type: 'APPLY', path: ['ask'], argumentList: [raw(1), raw(name), raw(null)] })

describe('the desk server', () => {
  it('answers a call by the id that it came with', async () => {
    const sent: unknown[] = []
    const server = serveDesk({ info: async () => ({ release: '6' }) } as unknown as HostKernel, (message) => sent.push(message))
    expect(server.receive(ask('a', 'info'))).toBe(true)
    await expect.poll(() => sent).toEqual([{ ...raw({ ok: true, value: { release: '6' }, news: [] }), id: 'a' }])
  })

  it.each([
    ['nothing', null],
    ['another type', { ...ask('a', 'info'), type: 'SET' }],
    ['another path', { ...ask('a', 'info'), path: ['kernel', 'info'] }],
    ['a field too much', { ...ask('a', 'info'), value: 1 }],
    ['four arguments', { ...ask('a', 'info'), argumentList: [raw(1), raw(1), raw(1), raw(1)] }],
  ])('says no to %s, and hands it to nobody', async (_, message) => {
    const sent: unknown[] = []
    const server = serveDesk({} as HostKernel, (one) => sent.push(one))
    expect(server.receive(message)).toBe(false)
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(sent).toEqual([])
  })

  it('stops what is under way when it is closed', async () => {
    let aborted = false
    const kernel = {
      calibrate: async ({ stop }: { stop: { aborted: boolean } }) => {
        while (!stop.aborted) await new Promise((resolve) => setTimeout(resolve, 1))
        aborted = true
        return null
      },
    }
    const server = serveDesk(kernel as unknown as HostKernel, () => undefined)
    server.receive({ id: 'a', type: 'APPLY', path: ['ask'], argumentList: [raw(1), raw('calibrate'), raw({ passes: 1 })] })
    await new Promise((resolve) => setTimeout(resolve, 5))
    server.close()
    await expect.poll(() => aborted).toBe(true)
  })
})
