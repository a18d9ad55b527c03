/**
 * How the screen is bundled with Vite, the same for the browser host and the desktop.
 *
 * The result obeys the content policy of main/web/headers.ts: scripts and the engine's worker are files of their own with
 * hashed names, and nothing is inlined. Pairs with bundle.mjs and electron.config.ts, the two that build it.
 */
import { resolve } from 'node:path'
import react from '@vitejs/plugin-react'
import { ROOT } from './project.mjs'

/**
 * @param {string} output  from the project's folder
 * @returns {import('vite').UserConfig & { build: import('vite').BuildEnvironmentOptions }}
 */
export function screenConfig(output) {
  const root = resolve(ROOT, 'renderer')
  return {
    root,
    // Relative, so that the files work under any origin.
    base: './',
    plugins: [react()],
    worker: {
      format: 'es',
      // The race explorer tells where in the kernel a step is, and knows it from the names of functions.
      rolldownOptions: { output: { keepNames: true } },
    },
    build: {
      target: 'es2023',
      outDir: resolve(ROOT, output),
      emptyOutDir: true,
      minify: true,
      reportCompressedSize: false,
      // The policy lets a font or a picture come from a file only, and a script never stand in the page.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      rolldownOptions: { input: resolve(root, 'index.html') },
    },
  }
}
