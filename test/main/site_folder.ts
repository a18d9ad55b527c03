/**
 * A small built screen in a temporary folder, with a secret beside it and a link that leads to the secret.
 *
 * For the tests of the two hosts that serve a screen: serve.test.ts and app_url.test.ts.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SiteFolder {
  readonly root: string
  remove(): void
}

export function makeSiteFolder(): SiteFolder {
  const parent = mkdtempSync(join(tmpdir(), 'pageferry-site-'))
  const root = join(parent, 'renderer')
  mkdirSync(join(root, 'assets'), { recursive: true })
  writeFileSync(join(parent, 'secret.txt'), 'secret')
  writeFileSync(join(root, 'index.html'), '<!doctype html><title>Pageferry</title>')
  writeFileSync(join(root, 'assets', 'index-3f2a.js'), 'export const one = 1\n')
  writeFileSync(join(root, 'two words.txt'), 'two words')
  symlinkSync(join(parent, 'secret.txt'), join(root, 'link.txt'))
  symlinkSync(parent, join(root, 'up'))
  return { root, remove: () => rmSync(parent, { recursive: true, force: true }) }
}
