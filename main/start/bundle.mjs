/**
 * Bundles one target with Vite: `node main/start/bundle.mjs TARGET FOLDER`.
 *
 * A Node program becomes a few files: its packages are taken in and only Node's own modules stay outside, so that it starts
 * without walking node_modules. A worker is one more entry of its program, and what both need is a file of its own. A package
 * that starts workers of its own must find its files, and stays in node_modules. Source maps lie beside the files: a race that
 * is told names the lines of the source. Bundling is a process of its own, because bundlers take memory and set NODE_ENV, and the program that is started
 * after the build must see neither.
 */
import { resolve } from 'node:path'
import { build as buildDesktop } from 'electron-vite'
import { build } from 'vite'
import { procsAtOnce } from './at_once.mjs'
import { giveUp, ROOT, SetupError } from './project.mjs'
import { screenConfig } from './screen_config.mjs'

/** What the kernel's side of a program starts as processes of their own. */
const KERNEL_PROCESSES = {
  calibrate_process: 'main/kernel/calibrate/calibrate_process.ts',
  kernel_machine: 'main/kernel/kernel_machine.ts',
}

/** Of each program, its files and the sources they begin with. @type {Readonly<Record<string, Readonly<Record<string, string>>>>} */
const NODE_PROGRAMS = {
  cli: {
    pageferry: 'main/cli/main.ts',
    search_worker: 'main/cli/search_worker.ts',
    ...KERNEL_PROCESSES,
  },
  webHost: { host: 'main/web/host.ts', ...KERNEL_PROCESSES },
}

// ws asks for packages that may be missing, and a bundler would give it empty ones.
const KEPT_OUTSIDE = ['piscina', 'koffi', 'ws']

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
 * @param {Readonly<Record<string, string>>} entries
 * @param {string} output
 * @returns {import('vite').UserConfig}
 */
function nodeConfig(entries, output) {
  return {
    root: ROOT,
    publicDir: false,
    plugins: [procsAtOnce()],
    ssr: { noExternal: true, external: KEPT_OUTSIDE, target: 'node' },
    build: {
      ssr: true,
      target: 'node20',
      outDir: output,
      emptyOutDir: true,
      minify: false,
      sourcemap: true,
      reportCompressedSize: false,
      rolldownOptions: {
        input: { ...entries },
        output: { entryFileNames: '[name].mjs', chunkFileNames: '[name]-[hash].mjs' },
        // That a plugin took most of a short build is nothing that a user can mend.
        checks: { pluginTimings: false },
      },
    },
  }
}
