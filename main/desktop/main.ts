/**
 * The desktop host: one sandboxed Electron window on the built screen.
 *
 * It serves the screen over app:// with the headers of the web host, so both run the same files under the same rules, and
 * refuses every way out: navigation, new windows, webviews, permissions. The engine runs in the page's worker; nothing of it
 * is here. What it asks of this machine's kernel goes through a port to a utility process (kernel_relay.ts). Decisions live in app_url.ts, permissions.ts and menu.ts, where plain tests reach them; this file only wires them up.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  app,
  BrowserWindow,
  type IpcMainEvent,
  ipcMain,
  Menu,
  MessageChannelMain,
  nativeTheme,
  protocol,
  session,
  type UtilityProcess,
  utilityProcess,
  type WebContents,
} from 'electron'
import { fileHeaders, SECURITY_HEADERS } from '../web/headers.ts'
import { type Site, scanSite } from '../web/site.ts'
import { APP_ORIGIN, APP_SCHEME, APP_START_URL, type AppAnswer, answerAppUrl } from './app_url.ts'
import { menuTemplate } from './menu.ts'
import { isPermitted } from './permissions.ts'

/** The page's own ground in both themes, so that the window opens without a flash. */
const BACKGROUND = { dark: '#12171E', light: '#FFFFFF' }

app.enableSandbox()
protocol.registerSchemesAsPrivileged([
  { scheme: APP_SCHEME, privileges: { standard: true, secure: true, supportFetchAPI: true, stream: true, codeCache: true } },
])
app.on('web-contents-created', (_event, contents) => closeWaysOut(contents))

if (app.requestSingleInstanceLock()) {
  app.on('second-instance', showWindow)
  app.on('activate', showWindow)
  app.on('window-all-closed', () => {
    if (process.platform !== 'darwin') app.quit()
  })
  // Not awaited at the top level: Electron is ready only after this module has been evaluated.
  app.whenReady().then(open).catch(fail)
} else {
  app.quit()
}

async function open(): Promise<void> {
  const site = await scanSite(join(import.meta.dirname, '../renderer'))
  protocol.handle(APP_SCHEME, (request) => respond(site, request))
  denyPermissions()
  ipcMain.on('kernel', connectKernel)
  Menu.setApplicationMenu(Menu.buildFromTemplate(menuTemplate(process.platform)))
  openWindow()
}

function openWindow(): void {
  const window = new BrowserWindow({
    title: 'Pageferry',
    width: 1440,
    height: 900,
    minWidth: 800,
    minHeight: 600,
    show: false,
    backgroundColor: nativeTheme.shouldUseDarkColors ? BACKGROUND.dark : BACKGROUND.light,
    webPreferences: {
      preload: join(import.meta.dirname, '../preload/preload.cjs'),
      sandbox: true,
      contextIsolation: true,
      nodeIntegration: false,
      webviewTag: false,
    },
  })
  window.once('ready-to-show', () => window.show())
  window.loadURL(APP_START_URL).catch(fail)
}

let relay: UtilityProcess | null = null

/** Gives the page a port to the process that asks the kernel; nothing else asks for one. */
function connectKernel({ sender, senderFrame }: IpcMainEvent): void {
  if (senderFrame === null || originOf(senderFrame.url) !== APP_ORIGIN) return
  if (relay === null) {
    relay = utilityProcess.fork(join(import.meta.dirname, 'kernel_relay.mjs'), [], { serviceName: 'Pageferry kernel' })
    relay.once('exit', () => {
      relay = null
    })
  }
  const { port1, port2 } = new MessageChannelMain()
  relay.postMessage(null, [port1])
  sender.postMessage('kernel', null, [port2])
}

function showWindow(): void {
  const [window] = BrowserWindow.getAllWindows()
  if (window === undefined) {
    if (app.isReady()) openWindow()
    return
  }
  if (window.isMinimized()) window.restore()
  window.focus()
}

async function respond(site: Site, request: Request): Promise<Response> {
  const answer = answerAppUrl(site, request.method, request.url)
  if (answer.kind === 'refusal') return refuse(answer)
  const body = answer.withBody ? await readFile(answer.file) : null
  return new Response(body, { headers: fileHeaders(answer.sitePath) })
}

function refuse(answer: AppAnswer & { kind: 'refusal' }): Response {
  return new Response(`${answer.reason}\n`, {
    status: answer.status,
    headers: { ...SECURITY_HEADERS, 'Content-Type': 'text/plain; charset=utf-8' },
  })
}

function closeWaysOut(contents: WebContents): void {
  contents.on('will-navigate', (event) => event.preventDefault())
  contents.on('will-frame-navigate', (event) => event.preventDefault())
  contents.on('will-redirect', (event) => event.preventDefault())
  contents.on('will-attach-webview', (event) => event.preventDefault())
  contents.setWindowOpenHandler(() => ({ action: 'deny' }))
}

function denyPermissions(): void {
  const own = session.defaultSession
  own.setPermissionRequestHandler((_contents, permission, answer, details) =>
    answer(isPermitted(permission, originOf(details.requestingUrl))),
  )
  own.setPermissionCheckHandler((_contents, permission, origin) => isPermitted(permission, origin))
  own.setDevicePermissionHandler(() => false)
}

/** URL.origin is `null` for a scheme it does not know, so the origin is put together by hand. */
function originOf(url: string): string {
  if (!URL.canParse(url)) return ''
  const { protocol: scheme, host } = new URL(url)
  return `${scheme}//${host}`
}

function fail(error: unknown): void {
  process.stderr.write(`pageferry: ${error instanceof Error ? error.message : String(error)}\n`)
  app.exit(1)
}
