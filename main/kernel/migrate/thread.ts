/**
 * A thread of a machine: attaches to the memory that its process has mapped, and lives the life of its role.
 *
 * Its process hands it addresses, not objects; a fault in one of these threads puts that thread to sleep and no other.
 */
import { workerData } from 'node:worker_threads'
import { Mapping } from '../sys/mapping.ts'
import { Area } from './area.ts'
import { Board } from './board.ts'
import { Control } from './control.ts'
import { runFaultThread } from './fault_thread.ts'
import { NO_GUEST, readGuest, type SharedGuest } from './guest_memfd.ts'
import { ListenThread } from './listen_thread.ts'
import { MigrationThread } from './migration_thread.ts'
import { ReturnPathThread } from './return_path_thread.ts'
import type { ThreadSetup } from './setup.ts'
import { VcpuThread } from './vcpu_thread.ts'

export function runThread(): void {
  const setup = workerData as ThreadSetup
  const { pages } = setup.shape
  const board = new Board(Mapping.existing(setup.boardAddress, Board.bytes(setup.shape)).buffer, setup.shape)
  const area = Area.at(setup.areaAddress, pages)
  const control = new Control(setup.control)
  const life = lifeOf(setup, area, board, control)
  control.add('threads', 1)
  life()
}

function guestOf({ guest, guestAddress }: ThreadSetup): SharedGuest {
  return guest === null ? NO_GUEST : readGuest(Mapping.existing(guestAddress, guest.bytes).buffer, guest)
}

function lifeOf(setup: ThreadSetup, area: Area, board: Board, control: Control): () => void {
  switch (setup.role) {
    case 'vcpu': {
      const thread = new VcpuThread(setup, area, board, control, guestOf(setup))
      return () => thread.run()
    }
    case 'migration': {
      const thread = new MigrationThread(setup, area, board, control)
      return () => thread.run()
    }
    case 'return path': {
      const thread = new ReturnPathThread(setup, area, board, control)
      return () => thread.run()
    }
    case 'listen':
    case 'preempt': {
      const thread = new ListenThread(setup, area, board, control)
      return () => thread.run()
    }
    case 'fault':
      return () => runFaultThread(setup, area, board, control)
  }
}
