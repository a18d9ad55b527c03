/**
 * Text in ASCII, and as bytes, for files that core itself reads and writes: it has no decoder of its own.
 *
 * Pairs with core/shell/commands/text_file.ts and core/guest/capture_file.ts.
 */

/** JSON in ASCII: other characters are escaped. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\u0080-\uffff]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

export function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (sign) => sign.charCodeAt(0))
}

/** A byte above 127 becomes a character of Latin 1. */
export function asciiText(bytes: Uint8Array): string {
  const parts: string[] = []
  for (let at = 0; at < bytes.length; at += 4096) parts.push(String.fromCharCode(...bytes.subarray(at, at + 4096)))
  return parts.join('')
}
