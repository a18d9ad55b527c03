/**
 * The files of a built screen, as a closed list: what is not in it cannot be served.
 *
 * The folder is walked once, at start. A request is answered by looking its path up in the list, never by joining it to a
 * folder, so no spelling of `..` and no symbolic link leads out of the folder. Pairs with serve.ts and desktop/app_url.ts,
 * the two hosts that ask.
 */
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { HostError } from '../../core/shell/host.ts'

/** Path as the page asks for it (`/assets/index-3f.js`) to the file on disk. */
export type Site = ReadonlyMap<string, string>

export type Lookup =
  | { readonly found: true; readonly sitePath: string; readonly file: string }
  | { readonly found: false; readonly status: 400 | 404; readonly reason: string }

/** Walks `root`. Throws HostError when no screen was built there. */
export async function scanSite(root: string): Promise<Site> {
  const site = new Map<string, string>()
  await addFolder(site, root, '')
  if (!site.has('/index.html')) {
    throw new HostError(`There is no built screen in ${root}: index.html is missing; \`npm start\` in the project builds it.`)
  }
  return site
}

/** Looks up the path of a request: still percent-encoded, beginning with a slash, without its query. */
export function lookUp(site: Site, encodedPath: string): Lookup {
  let sitePath: string
  try {
    sitePath = decodeURIComponent(encodedPath)
  } catch {
    return { found: false, status: 400, reason: 'The path is not percent-encoded UTF-8.' }
  }
  if (sitePath === '/') sitePath = '/index.html'
  const file = site.get(sitePath)
  return file === undefined ? { found: false, status: 404, reason: 'There is no such file.' } : { found: true, sitePath, file }
}

async function addFolder(site: Map<string, string>, folder: string, sitePrefix: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    const path = join(folder, name)
    // lstat, so that a symbolic link is neither a file nor a folder and stays out.
    const kind = await lstat(path)
    if (kind.isDirectory()) await addFolder(site, path, `${sitePrefix}/${name}`)
    else if (kind.isFile()) site.set(`${sitePrefix}/${name}`, path)
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch {
    return []
  }
}
