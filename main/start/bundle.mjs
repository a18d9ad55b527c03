/**
 * Bundles one target with Vite: `node main/start/bundle.mjs TARGET FOLDER`.
 *
 * A Node program becomes one file: its packages are taken in and only Node's own modules stay outside, so that it starts
 * without walking node_modules. A further program (a worker, say) is one more line in NODE_PROGRAMS and one more target in
 * fresh.mjs. It is a process of its own, because bundlers take memory and set NODE_ENV, and the program that is started
 * after the build must see neither.
 */
import { resolve } from 'node:path'
import { build as buildDesktop } from 'electron-vite'
import { build } from 'vite'
import { giveUp, ROOT, SetupError } from './project.mjs'
import { screenConfig } from './screen_config.mjs'

/** @type {Readonly<Record<string, { entry: string, file: string }>>} */
const NODE_PROGRAMS = {
  cli: { entry: 'main/cli/main.ts', file: 'pageferry.mjs' },
  webHost: { entry: 'main/web/host.ts', file: 'host.mjs' },
}

/** @type {{ configFile: false, envDir: false, logLevel: 'warn' }} */
const QUIET = { configFile: false, envDir: false, logLevel: 'warn' }

// Whoever starts this (a test runner, say), what it builds is what users get.
process.env.NODE_ENV = 'production'

const [name = '', output = ''] = process.argv.slice(2)
await bundle(name, resolve(ROOT, output)).catch((error) => giveUp(new SetupError(error.message)))

/**
 * @param {string} name
 * @param {string} output
 */
async function bundle(name, output) {
  const program = NODE_PROGRAMS[name]
  if (program !== undefined) await build({ ...QUIET, ...nodeConfig(program, output) })
  else if (name === 'screen') await build({ ...QUIET, ...screenConfig(output) })
  else if (name === 'desktop')
    await buildDesktop({ root: ROOT, configFile: 'electron.config.ts', logLevel: 'warn', build: { outDir: output } })
  else throw new Error(`There is no target ${name}.`)
}

/**
 * @param {{ entry: string, file: string }} program
 * @param {string} output
 * @returns {import('vite').UserConfig}
 */
function nodeConfig(program, output) {
  return {
    root: ROOT,
    publicDir: false,
    ssr: { noExternal: true, target: 'node' },
    build: {
      ssr: program.entry,
      target: 'node20',
      outDir: output,
      emptyOutDir: true,
      minify: false,
      reportCompressedSize: false,
      rolldownOptions: { output: { entryFileNames: program.file, codeSplitting: false } },
    },
  }
}
