/**
 * The screen in a real browser, served by the real program: nothing between the user and the engine is replaced.
 *
 * Any message of level error on the console and any uncaught error fails the test that caused it. The trace hash is read
 * from the badge of the top bar, whose `data-trace-hash` holds the hash of the run on the screen as the browser's worker
 * computed it; the same command under Node must give the same.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

const CHROMIUM = process.env.PAGEFERRY_CHROMIUM ?? process.env.CHROMIUM ?? '/usr/bin/chromium'
const PROGRAM = 'main/start/pageferry.mjs'
const SECOND_RUN = 'migrate --guest kv --mem 16M --seed 3'
const REGIONS = ['Source', 'Destination', 'Link', 'Timeline', 'Terminal', 'Inspector', 'Checks', 'Charts', 'Race explorer']

let server: ChildProcess
let url: string
/** With the token, for the page that may ask the kernel. */
let kernelUrl: string
let browser: Browser
let page: Page
let complaints: string[]

beforeAll(async () => {
  server = spawn(process.execPath, [PROGRAM, 'serve', '--port', '0', '--json'], { stdio: ['ignore', 'pipe', 'inherit'] })
  if (!server.stdout) throw new Error('the server has no standard output')
  const [line] = await once(createInterface({ input: server.stdout }), 'line')
  ;({ url, kernelUrl } = JSON.parse(String(line)))
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
})

afterAll(async () => {
  await browser?.close()
  server?.kill('SIGTERM')
})

beforeEach(async () => {
  complaints = []
  page = await browser.newPage({ viewport: { width: 1440, height: 900 } })
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`${message.text()} (${message.location().url})`)
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  await page.goto(url)
})

afterEach(async () => {
  await page.close()
  expect(complaints).toEqual([])
})

const button = (name: string) => page.getByRole('button', { name, exact: true })
const shownRow = async () => Number((await page.getByTestId('row').innerText()).replace(/\D/g, ''))
const playhead = async () => Number(await page.getByRole('slider', { name: 'Playhead' }).getAttribute('aria-valuenow'))
const traceHash = () => page.locator('[data-trace-hash]').getAttribute('data-trace-hash')

/** What the terminal shows, rows joined. */
const terminalText = () => page.locator('.xterm-rows').innerText()

/** The same without the ends of rows, which cut words. */
const unwrapped = async () => (await terminalText()).replaceAll('\n', '')

async function typeCommand(line: string): Promise<void> {
  await page.locator('.xterm-helper-textarea').focus()
  await page.keyboard.type(line)
  await page.keyboard.press('Enter')
}

async function openingRunDone(): Promise<void> {
  await expect.poll(traceHash, { timeout: 30_000 }).toMatch(/^[0-9a-f]{16}$/)
}

describe('the screen in a browser', () => {
  test('it is cross-origin isolated and has every region, button and canvas twin', async () => {
    await openingRunDone()
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true)
    for (const name of REGIONS) expect(await page.getByRole('region', { name, exact: true }).count(), name).toBe(1)
    for (const name of ['Pause', 'Step forward', 'Step back']) expect(await button(name).count(), name).toBe(1)
    const mute = await page.evaluate(
      () =>
        [...document.querySelectorAll('canvas')].filter((canvas) => canvas.getAttribute('role') !== 'img' || !canvas.ariaLabel)
          .length,
    )
    expect(mute).toBe(0)
  })

  test('it opens already running: the playhead moves by itself, Pause holds it, Play goes on', async () => {
    await expect.poll(playhead, { timeout: 30_000 }).toBeGreaterThan(0)
    await openingRunDone()
    const first = await playhead()
    await expect.poll(playhead).toBeGreaterThan(first)
    await button('Pause').click()
    // The last frame that was under way may still be painted.
    await page.waitForTimeout(200)
    const held = await playhead()
    await page.waitForTimeout(300)
    expect(await playhead()).toBe(held)
    await button('Play').click()
    await expect.poll(playhead).toBeGreaterThan(held)
  })

  test('while paused no animation frame is asked for', async () => {
    await openingRunDone()
    await button('Pause').click()
    await page.waitForTimeout(600)
    await page.evaluate(() => {
      const real = window.requestAnimationFrame.bind(window)
      document.body.dataset.frames = '0'
      window.requestAnimationFrame = (callback) => {
        document.body.dataset.frames = String(Number(document.body.dataset.frames) + 1)
        return real(callback)
      }
    })
    await page.waitForTimeout(1000)
    expect(await page.evaluate(() => document.body.dataset.frames)).toBe('0')
  })

  test('Step forward and Step back change the event by one, by button and by key', async () => {
    await openingRunDone()
    await button('Pause').click()
    await expect.poll(shownRow).toBeGreaterThan(0)
    await page.waitForTimeout(200)
    const row = await shownRow()
    await button('Step forward').click()
    await expect.poll(shownRow).toBe(row + 1)
    await button('Step back').click()
    await expect.poll(shownRow).toBe(row)
    await page.keyboard.press('.')
    await page.keyboard.press('.')
    await expect.poll(shownRow).toBe(row + 2)
    await page.keyboard.press(',')
    await expect.poll(shownRow).toBe(row + 1)
  })

  test('dragging the timeline scrubs both maps', async () => {
    await openingRunDone()
    await button('Pause').click()
    const area = await page.getByRole('slider', { name: 'Playhead' }).boundingBox()
    if (!area) throw new Error('the timeline has no size')
    const at = (share: number) => [area.x + share * area.width, area.y + area.height * 0.6] as const
    await page.mouse.move(...at(0.9))
    await page.mouse.down()
    const placed = () => page.getByRole('region', { name: 'Destination' }).locator('.facts').innerText()
    const late = await placedAfterSettling(placed)
    await page.mouse.move(...at(0.2), { steps: 5 })
    await page.mouse.up()
    await expect.poll(async () => numberIn(await placed())).toBeLessThan(late)
  })

  test('hovering a page speaks of it in the inspector, and a click keeps it', async () => {
    await openingRunDone()
    await button('Pause').click()
    const map = await page.locator('.source .map-rings').boundingBox()
    if (!map) throw new Error('the map has no size')
    await page.mouse.move(map.x + 40, map.y + 40)
    const inspector = page.getByRole('region', { name: 'Inspector' })
    await expect.poll(() => inspector.innerText()).toMatch(/hovered[\s\S]*page 0x/)
    await page.mouse.down()
    await page.mouse.up()
    await page.mouse.move(10, 10)
    await expect.poll(() => inspector.innerText()).toMatch(/kept[\s\S]*Populate/)
    await page.keyboard.press('Escape')
    await button('Next fault').click()
    await expect.poll(() => inspector.innerText()).toContain('newest fault')
  })

  test('the terminal answers help, a second migration and info migrate, and completes with Tab', async () => {
    await openingRunDone()
    const first = await traceHash()
    await typeCommand('help')
    await expect.poll(terminalText).toMatch(/help COMMAND says more/)
    await typeCommand('clear-is-no-command')
    await expect.poll(terminalText).toMatch(/clear-is-no-command/)
    await typeCommand(SECOND_RUN)
    await expect
      .poll(async () => (await page.locator('.command').innerText()).includes('--seed 3'), { timeout: 30_000 })
      .toBe(true)
    await expect.poll(traceHash, { timeout: 30_000 }).toMatch(/^[0-9a-f]{16}$/)
    expect(await traceHash()).not.toBe(first)
    await typeCommand('info migrate | grep postcopy_req')
    await expect.poll(terminalText).toMatch(/postcopy_req=[1-9]/)
    await page.keyboard.type('mig')
    await page.keyboard.press('Tab')
    await expect.poll(terminalText).toMatch(/> migrate\s*$/)
  })

  test('letters typed into the terminal do not steer the window', async () => {
    await openingRunDone()
    await page.locator('.xterm-helper-textarea').focus()
    await page.keyboard.type('a . , ?')
    expect(await button('Pause').count()).toBe(1)
    expect(await page.getByRole('dialog', { name: 'Shortcuts' }).isVisible()).toBe(false)
    await page.keyboard.press('F6')
    await page.keyboard.press('?')
    await expect.poll(() => page.getByRole('dialog', { name: 'Shortcuts' }).isVisible()).toBe(true)
  })

  test("the same run has the same trace hash in the browser's worker and in Node", async () => {
    await openingRunDone()
    await typeCommand(SECOND_RUN)
    await expect
      .poll(async () => (await page.locator('.command').innerText()).includes('--seed 3'), { timeout: 30_000 })
      .toBe(true)
    await expect.poll(traceHash, { timeout: 30_000 }).toMatch(/^[0-9a-f]{16}$/)
    const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, ...SECOND_RUN.split(' '), '--json'])
    expect(await traceHash()).toBe(JSON.parse(stdout).traceHash)
  })

  test('a trace dropped on the window can be migrated by its name, a name that is not there is refused in one sentence', async () => {
    await openingRunDone()
    await page.evaluate(() => {
      const lines = Array.from(
        { length: 4000 },
        (_, at) => ` ${at % 3 === 0 ? 'S' : 'L'} ${(0x1000000 + at * 512).toString(16)},8`,
      )
      const files = new DataTransfer()
      files.items.add(new File([`${lines.join('\n')}\n`], 'dropped.lackey'))
      window.dispatchEvent(new DragEvent('drop', { dataTransfer: files, bubbles: true, cancelable: true }))
    })
    await expect.poll(terminalText).toMatch(/dropped\.lackey is here/)
    await typeCommand('migrate --guest absent.lackey')
    await expect.poll(terminalText).toMatch(/absent\.lackey: no such file in this window/)
    await typeCommand('migrate --guest dropped.lackey --mem 16M')
    await expect
      .poll(async () => (await page.locator('.command').innerText()).includes('dropped.lackey'), { timeout: 30_000 })
      .toBe(true)
    await expect.poll(() => page.getByRole('region', { name: 'Checks' }).innerText(), { timeout: 30_000 }).toContain('consistent')
  })

  test('Ctrl-C in the terminal stops a long run at once, and the next command runs', async () => {
    await openingRunDone()
    await typeCommand('migrate --guest kv --mem 1G --bandwidth 100Mbps --duration 100s')
    await expect.poll(async () => (await page.locator('.command').innerText()).includes('100s'), { timeout: 30_000 }).toBe(true)
    await page.keyboard.press('Control+c')
    await expect.poll(() => page.getByRole('region', { name: 'Checks' }).innerText(), { timeout: 5000 }).toContain('interrupted')
    await typeCommand('version')
    await expect.poll(terminalText).toMatch(/pageferry \d/i)
  })

  test('the race explorer opens from its line, finds a race and tells it step by step', async () => {
    await openingRunDone()
    const explorer = page.getByRole('region', { name: 'Race explorer' })
    await explorer.getByRole('button', { name: 'Open' }).click()
    expect(await page.getByRole('region', { name: 'Source', exact: true }).count()).toBe(0)
    await explorer.getByRole('searchbox').fill('R36 two movers')
    await explorer.getByRole('button', { name: 'two-movers-one-destination' }).click()
    await explorer.getByRole('button', { name: 'Find the race' }).click()
    const steps = explorer.getByRole('table', { name: 'Steps of the schedule' }).locator('tbody tr')
    await expect.poll(() => steps.count(), { timeout: 30_000 }).toBeGreaterThan(20)
    expect(await explorer.locator('.step-detail').innerText()).toContain('replay two-movers-one-destination:remap-pte-recheck:')
    const last = await steps.count()
    await expect.poll(() => explorer.locator('[aria-current=step] th').innerText()).toBe(String(last))
    await explorer.locator('.step-detail').click()
    await page.keyboard.press(',')
    await expect.poll(() => explorer.locator('[aria-current=step] th').innerText()).toBe(String(last - 1))

    await explorer.getByRole('checkbox').check()
    await explorer.getByRole('button', { name: 'Verify' }).click()
    await expect.poll(() => explorer.locator('.race-case .verdict').innerText(), { timeout: 30_000 }).toContain('verified')
    await explorer.getByRole('button', { name: 'Back to the migration' }).click()
    expect(await page.getByRole('region', { name: 'Source', exact: true }).count()).toBe(1)
  })

  test.each([
    [1440, 900],
    [1100, 700],
  ])('at %i x %i nothing scrolls and every region is inside the window', async (width, height) => {
    await page.setViewportSize({ width, height })
    await openingRunDone()
    const outside = await page.evaluate(() =>
      [...document.querySelectorAll('[data-region]')].flatMap((region) => {
        const box = region.getBoundingClientRect()
        const inside =
          box.left >= 0 &&
          box.top >= 0 &&
          box.right <= innerWidth &&
          box.bottom <= innerHeight &&
          box.width > 100 &&
          // The race explorer is one line until it is opened.
          box.height > (region.classList.contains('races') ? 20 : 80)
        return inside ? [] : [`${region.ariaLabel}: ${JSON.stringify(box)}`]
      }),
    )
    expect(outside).toEqual([])
    expect(await page.evaluate(() => document.documentElement.scrollHeight <= innerHeight)).toBe(true)
  })
})

const numberIn = (text: string) => Number(/placed ([\d,]+)/.exec(text)?.[1]?.replaceAll(',', '') ?? Number.NaN)

async function placedAfterSettling(read: () => Promise<string>): Promise<number> {
  await expect.poll(async () => numberIn(await read())).toBeGreaterThan(1000)
  return numberIn(await read())
}

/** Tests of the real kernel are skipped by name where it may not be used. */
const hasKernel = spawnSync(process.execPath, [PROGRAM, 'kernel', 'info']).status === 0
const named = (name: string) => (hasKernel ? name : `${name} (skipped: this host does not permit userfaultfd)`)

describe('the real kernel from the page', () => {
  test('kernel info answers in the terminal of the page that was opened with the token, which leaves the address', async () => {
    await page.goto('about:blank')
    await page.goto(kernelUrl)
    await openingRunDone()
    expect(page.url()).toBe(url)
    await typeCommand('kernel info')
    await expect.poll(terminalText, { timeout: 30_000 }).toContain('PAGEMAP_SCAN')
    // The tab keeps it.
    await page.reload()
    await openingRunDone()
    await typeCommand('kernel info --json')
    await expect.poll(terminalText, { timeout: 30_000 }).toContain('"release":')
  })

  test('a page that was opened without it is told the way, and asks nothing', async () => {
    await openingRunDone()
    await typeCommand('kernel info')
    await expect.poll(terminalText, { timeout: 30_000 }).toContain('there is no way from here to the kernel of this machine')
  })

  test.skipIf(!hasKernel)(named('kernel migrate runs on this machine and reports in the page'), async () => {
    await page.goto('about:blank')
    await page.goto(kernelUrl)
    await openingRunDone()
    await typeCommand('kernel migrate --guest sweep --mem 16M --duration 10ms --no-predict')
    await expect.poll(unwrapped, { timeout: 60_000 }).toMatch(/consistent: [\d,]+ loads checked, 4,096 pages compared/)
    const checks = page.getByRole('region', { name: 'Checks', exact: true })
    await expect.poll(() => checks.innerText()).toMatch(/real kernel \d/)
    expect(await page.locator('.top-bar').innerText()).toContain('real kernel')
    await expect.poll(() => page.getByRole('region', { name: 'Timeline' }).innerText()).toMatch(/ of \d/)
    expect(await checks.getByRole('row').count()).toBe(6)
    await typeCommand(SECOND_RUN)
    await expect.poll(() => checks.innerText(), { timeout: 30_000 }).not.toContain('real kernel')
  })

  test.skipIf(!hasKernel)(named('a capture goes on in the page until Ctrl-C, and a command is not started there'), async () => {
    await page.goto('about:blank')
    await page.goto(kernelUrl)
    await openingRunDone()
    await typeCommand('capture -- sh')
    await expect.poll(unwrapped, { timeout: 30_000 }).toContain('in a terminal only')
    const subject = spawn('sleep', ['120'])
    await typeCommand(`capture --pid ${subject.pid} --duration 60s -o ${tmpdir()}/pageferry-e2e.pfguest`)
    await page.waitForTimeout(1500)
    await page.keyboard.press('Control+c')
    await expect.poll(unwrapped, { timeout: 30_000 }).toContain('what was captured by then')
    subject.kill()
    rmSync(`${tmpdir()}/pageferry-e2e.pfguest`)
  })
})
