/**
 * A process to be captured: so many MiB of pages that all differ, a MiB that is zero, a secret, and the first `busy` pages written again and again.
 *
 * node subject.mjs MIB BUSY [LIFE_MS]; says `ready` when its memory is as it is to be.
 */
const [mib, busy, lifeMs] = process.argv.slice(2).map(Number)
const memory = new Uint32Array((mib * 2 ** 20) / 4)
for (let at = 0; at < memory.length; at += 4) memory[at] = at + 1
// fill writes the zeros: memory that is only allocated is not populated.
const zeros = Buffer.allocUnsafeSlow(2 ** 20).fill(0)
const secret = Buffer.allocUnsafeSlow(2 ** 16).fill('the password is swordfish; ')
let round = 0
setInterval(() => {
  round++
  for (let page = 0; page < busy; page++) memory[page * 1024 + 4] = round
  zeros[0] = 0
  secret[0] = 't'.charCodeAt(0)
}, 5)
process.stdout.write('ready\n')
if (lifeMs > 0) setTimeout(() => process.exit(), lifeMs)
