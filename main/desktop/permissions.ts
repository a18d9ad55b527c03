/**
 * What a page in the desktop window may ask of the system: to put text on the clipboard, and nothing else.
 *
 * Copying a link to a view, a table or a replay command needs that one. Pairs with main.ts, which asks on every request and check.
 */
import { APP_ORIGIN } from './app_url.ts'

const PERMITTED: readonly string[] = ['clipboard-sanitized-write']

/** `origin` as Chromium gives it: with or without a slash at its end. */
export function isPermitted(permission: string, origin: string): boolean {
  return PERMITTED.includes(permission) && origin.replace(/\/$/, '') === APP_ORIGIN
}
