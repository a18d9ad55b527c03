/**
 * The response headers of the screen, the same from the loopback server and from Electron's app:// protocol.
 *
 * COOP and COEP make the page cross-origin isolated, CORP keeps other origins from embedding its files, and the content
 * policy lets nothing run or load that did not come from here. Styles may be inline because xterm makes style elements
 * at run time; scripts may not. WebAssembly may be compiled, since a compressor of migrations is libzstd; eval may not. Where the page may ask the kernel,
 * it may connect to the WebSocket of this very address, which not every browser takes for 'self'. Pairs with site.ts, which says which file a path names.
 */

export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "worker-src 'self' blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
}

const MIME_TYPE: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  gz: 'application/gzip',
  html: 'text/html; charset=utf-8',
  ico: 'image/x-icon',
  js: 'text/javascript; charset=utf-8',
  json: 'application/json; charset=utf-8',
  map: 'application/json; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  png: 'image/png',
  svg: 'image/svg+xml; charset=utf-8',
  txt: 'text/plain; charset=utf-8',
  webp: 'image/webp',
  woff2: 'font/woff2',
}

/** The type by the name's ending; with nosniff an unknown one is only ever downloaded. */
export function mimeType(path: string): string {
  const ending = path.slice(path.lastIndexOf('.') + 1).toLowerCase()
  return MIME_TYPE[ending] ?? 'application/octet-stream'
}

/** A build names what lies in assets/ after its content, so those files never change; every other file is asked for again. */
export function cacheControl(sitePath: string): string {
  return sitePath.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache'
}

/** All headers of a file that is served under `sitePath`; `socket`: the address of a WebSocket that it may connect to, if any. */
export function fileHeaders(sitePath: string, socket: string | null = null): Record<string, string> {
  const policy = CONTENT_SECURITY_POLICY.replace("connect-src 'self'", `connect-src 'self'${socket === null ? '' : ` ${socket}`}`)
  return {
    ...SECURITY_HEADERS,
    'Content-Security-Policy': policy,
    'Content-Type': mimeType(sitePath),
    'Cache-Control': cacheControl(sitePath),
  }
}
