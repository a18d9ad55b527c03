/**
 * A prepaging policy of one's own: pushes at the distance that the last two requests kept, and leaves the rest to Pageferry.
 *
 *     pageferry migrate --prepaging docs/examples/stride.js
 *
 * docs/prepaging.md says what each function is told and may answer.
 */
let last = -1
let stride = 0
let steps = 0

/** The migration begins. A file is loaded anew for each run, so this is the place for what depends on the guest's size. */
export function start(pages) {
  last = pages
}

/** The guest has asked for this page; it is sent at once, whatever next() says. */
export function requested(page) {
  stride = page - last
  last = page
  steps = 0
}

/** Which page is pushed next? -1: no opinion. */
export function next(unsent, most) {
  if (stride < -512 || stride > 512) return -1
  while (stride !== 0 && steps < 64) {
    steps++
    const page = last + steps * stride
    if (page < 0 || page >= unsent.length) return -1
    if (!unsent.has(page)) continue
    if (stride !== 1) return page
    // Neighbours go as one run, which is one question instead of many.
    const count = unsent.run(page, Math.min(most, 64 - steps + 1))
    steps += count - 1
    return [page, count]
  }
  return -1
}
