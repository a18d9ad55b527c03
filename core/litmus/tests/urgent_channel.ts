/**
 * Litmus tests of the channel for requested pages: two threads send, two threads place, and both channels come to an end.
 *
 * Source: QEMU, migration/ram.c (ram_save_host_page_urgent) and postcopy-ram.c (postcopy_preempt_thread).
 */
import { ReturnMessage } from '../../migration/ram_stream.ts'
import { IoctlResolver } from '../../migration/resolver.ts'
import { expectEqual, type Litmus, type Scene } from '../litmus.ts'
import { incomingRam, litmusLink, outgoingPage } from '../migration_scenes.ts'
import type { World } from '../world.ts'

/** A post-copy of one page, from its first message to the destination's word; the page is asked for already. */
function pushedAndAskedFor(world: World): Scene {
  const urgent = litmusLink('the urgent channel')
  const { page, incoming, stream, returnPath } = incomingRam(world, new IoctlResolver(world.process, 'copy', 1, 2), { urgent })
  const { source, process } = outgoingPage(world, 2, { stream, returnPath, urgent, precopied: false, active: false })
  world.call((k) => returnPath.send(k, ReturnMessage.RequestPages, 0, 0))
  world.daemon('preempt', 0, (k) => incoming.preempt(k, urgent))
  world.actor('listen', 1, (k) => incoming.listen(k))
  world.actor('return path', 2, (k) => source.returnPath(k), process)
  world.actor('migration', 2, (k) => source.migrate(k), process)
  return {
    judge: () =>
      expectEqual('I-DATA', 'the page at the destination', 1, world.word(page)) ??
      expectEqual('I-ONCE', 'pages that came twice', 0, incoming.duplicates),
    outcome: () => `page=${world.word(page)}`,
  }
}

export const URGENT_CHANNEL: readonly Litmus[] = [
  {
    name: 'page-pushed-and-asked-for',
    title: 'A page that is asked for while it is pushed comes by no channel, or after its channel has ended',
    result: 'never',
    refs: [],
    protections: ['urgent-before-end', 'urgent-before-disarm'],
    memoryModel: 'sc',
    start: `
      destination: page missing, asked for      source: page 1, dirty; nothing sent
      return path: send what is asked for       migration: push; say the end of both channels
      preempt: place what comes that way        listen: place; both channels read: disarm, SHUT`,
    world: { cpus: 3 },
    build: pushedAndAskedFor,
  },
]
