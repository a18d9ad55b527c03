/**
 * Electron's utility process between a window and this machine's kernel: it starts the system's Node with kernel_host.ts, and passes
 * messages on, without looking into them. Where there is no such Node, it answers itself, with the remedy.
 *
 * Each window that asks gets a port and a process of its own; when either is gone, so is the other. Pairs with main.ts, which hands
 * the ports over.
 */
import { fork } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { ExitCode, HostError } from '../../core/shell/host.ts'
import type { HostKernel } from '../../core/shell/host_kernel.ts'
import { serveDesk } from '../kernel/desk_server.ts'

const PROGRAM = join(import.meta.dirname, 'kernel_host.mjs')

process.parentPort.on('message', ({ ports: [port] }: Electron.MessageEvent) => {
  if (port === undefined) return
  const node = findNode()
  if (node === null)
    answer(
      port,
      kernelWithout(
        'there is no Node.js on the PATH of this desktop, which its kernel work runs in; install Node 20.19 or later',
      ),
    )
  else relay(port, node)
  port.start()
})

function relay(port: Electron.MessagePortMain, node: string): void {
  const child = fork(PROGRAM, [], { execPath: node, execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  port.on('message', ({ data }) => {
    if (child.connected) child.send(data)
  })
  port.on('close', () => {
    if (child.connected) child.disconnect()
  })
  child.on('message', (message) => port.postMessage(message))
  child.on('error', () => port.close())
  child.on('exit', () => port.close())
}

function answer(port: Electron.MessagePortMain, kernel: HostKernel): void {
  const desk = serveDesk(kernel, (message) => port.postMessage(message))
  port.on('message', ({ data }) => {
    if (!desk.receive(data)) port.close()
  })
}

/** Refuses everything, in one sentence. */
function kernelWithout(sentence: string): HostKernel {
  const refuse = async () => {
    throw new HostError(sentence, ExitCode.notPermitted)
  }
  return {
    info: refuse,
    conform: refuse,
    calibrate: refuse,
    calibrationPath: refuse,
    keptCalibration: refuse,
    keepCalibration: refuse,
    identity: refuse,
    capture: refuse,
    migrate: refuse,
  }
}

function findNode(): string | null {
  const name = process.platform === 'win32' ? 'node.exe' : 'node'
  const paths = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name))
  return paths.find(isProgram) ?? null
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
