/**
 * Runs the program without the capability SYS_PTRACE, as a user without privilege would: node without_ptrace.mjs PROGRAM WORDS...
 *
 * capset takes it from this one thread, which is the one that makes the program's system calls; prctl from what it starts, too.
 */
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const SYS_PTRACE = 19
const VERSION_3 = 0x20080522
const PR_CAPBSET_DROP = 24

const lib = createRequire(import.meta.url)('koffi').load(null)
const capget = lib.func('int capget(void *header, void *data)')
const capset = lib.func('int capset(void *header, void *data)')
const prctl = lib.func('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)')
if (prctl(PR_CAPBSET_DROP, SYS_PTRACE, 0, 0, 0) !== 0) throw new Error('prctl failed')
const header = new Uint32Array([VERSION_3, 0])
// Effective, permitted and inheritable, twice: capabilities 0 to 31, and those behind.
const data = new Uint32Array(6)
const words = (array) => Buffer.from(array.buffer)
if (capget(words(header), words(data)) !== 0) throw new Error('capget failed')
for (const set of [0, 1, 2]) data[set] &= ~(1 << SYS_PTRACE)
if (capset(words(header), words(data)) !== 0) throw new Error('capset failed')

process.argv.splice(1, 1)
await import(pathToFileURL(resolve(process.argv[1])).href)
