#!/usr/bin/env node
/**
 * `pageferry ARGS` from a checkout: installs and builds what is missing, then runs the command line program in this process.
 *
 * Arguments, exit code, signals and both streams are the program's own; this file says what it does on stderr, and nothing
 * when there is nothing to do. Pairs with install.mjs and fresh.mjs.
 */
import module from 'node:module'
import { ensureBuilt } from './fresh.mjs'
import { ensureInstalled } from './install.mjs'
import { giveUp, urlOf } from './project.mjs'

try {
  await ensureInstalled()
  await ensureBuilt('cli')
  if (process.argv[2] === 'serve') await ensureBuilt('screen')
} catch (error) {
  giveUp(error)
}
// npm changes into the project's folder; a path in the arguments means the folder the user stands in.
if (process.env.npm_lifecycle_event === 'pageferry' && process.env.INIT_CWD) process.chdir(process.env.INIT_CWD)
// Node 22 and later can keep the compiled program between starts; the types are those of Node 20.
const { enableCompileCache } = /** @type {{ enableCompileCache?: () => unknown }} */ (module)
enableCompileCache?.()
await import(urlOf('dist/cli/pageferry.mjs'))
