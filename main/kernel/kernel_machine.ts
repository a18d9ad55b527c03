/**
 * The program of a machine of `kernel migrate`: a process of its own, and each of its threads.
 *
 * An entry of its own in the bundle (main/start/bundle.mjs); the coordinator starts it, and it starts itself as threads.
 */
import { isMainThread } from 'node:worker_threads'
import { runMachine } from './migrate/machine.ts'
import { runThread } from './migrate/thread.ts'

if (isMainThread) runMachine()
else runThread()
