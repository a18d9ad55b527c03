/**
 * What the app:// protocol answers to a request: a file of the built screen, or a refusal with its reason.
 *
 * A decision without Electron, so that plain tests reach it. Paths are looked up in the closed list of web/site.ts. Pairs
 * with main.ts, which turns the answer into a Response.
 */
import { lookUp, type Site } from '../web/site.ts'

export const APP_SCHEME = 'app'
const APP_HOST = 'pageferry'
export const APP_ORIGIN = `${APP_SCHEME}://${APP_HOST}`
export const APP_START_URL = `${APP_ORIGIN}/index.html`

export type AppAnswer =
  | { readonly kind: 'file'; readonly file: string; readonly sitePath: string; readonly withBody: boolean }
  | { readonly kind: 'refusal'; readonly status: 400 | 403 | 404 | 405; readonly reason: string }

export function answerAppUrl(site: Site, method: string, url: string): AppAnswer {
  if (!URL.canParse(url)) return refusal(400, 'The address is not a URL.')
  const { protocol, host, pathname } = new URL(url)
  // The host is part of the origin: another one would be another origin with the same files.
  if (protocol !== `${APP_SCHEME}:` || host !== APP_HOST) return refusal(403, `Only ${APP_ORIGIN} is served here.`)
  if (method !== 'GET' && method !== 'HEAD') return refusal(405, 'Only GET and HEAD are answered here.')

  const found = lookUp(site, pathname)
  if (!found.found) return refusal(found.status, found.reason)
  return { kind: 'file', file: found.file, sitePath: found.sitePath, withBody: method === 'GET' }
}

function refusal(status: 400 | 403 | 404 | 405, reason: string): AppAnswer {
  return { kind: 'refusal', status, reason }
}
