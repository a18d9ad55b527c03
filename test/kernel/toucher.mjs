/**
 * A thread that reads the first word of pages it is told, and says what it found. In the kernel it may sleep meanwhile.
 *
 * workerData: { address, length }. A message is a byte offset; the answer is { offset, value }.
 */
import { parentPort, workerData } from 'node:worker_threads'
import koffi from 'koffi'

const words = new Uint32Array(koffi.view(workerData.address, workerData.length))
parentPort?.on('message', (offset) => parentPort?.postMessage({ offset, value: words[offset / 4] }))
