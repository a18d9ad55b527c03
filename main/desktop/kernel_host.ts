/**
 * The desk of this machine's kernel for the desktop, in a process of the system's Node: Electron's own forbids memory that was mapped
 * outside of its heap, which is what the kernel's structures and a guest's memory are.
 *
 * Messages come and go by the process's IPC channel. It ends when the channel does. Pairs with kernel_relay.ts, which starts it.
 */
import { serveDesk } from '../kernel/desk_server.ts'
import { hostKernel } from '../kernel/host_kernel.ts'

const desk = serveDesk(hostKernel, (message) => void process.send?.(message as object))

process.on('message', (message) => {
  if (!desk.receive(message)) process.disconnect()
})
process.on('disconnect', () => {
  desk.close()
  // What is under way ends by itself, leaves nothing behind, and keeps the process alive for so long.
  process.removeAllListeners('message')
})
