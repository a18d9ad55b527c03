/**
 * How electron-vite builds the desktop host: `npx electron-vite build -c electron.config.ts`, into out/.
 *
 * The main process and the preload are bundled whole, so out/ needs no node_modules beside it. The screen is built exactly
 * as for the browser host (main/start/screen_config.mjs), which keeps the two from drifting apart.
 */
import { defineConfig } from 'electron-vite'
import { screenConfig } from './main/start/screen_config.mjs'

// Electron 45 runs Node 24; pinned, because electron-vite's own table of versions can lag behind.
const NODE_TARGET = 'node24'

export default defineConfig({
  main: {
    build: {
      target: NODE_TARGET,
      outDir: 'out/main',
      externalizeDeps: false,
      rolldownOptions: {
        input: {
          main: 'main/desktop/main.ts',
          kernel_relay: 'main/desktop/kernel_relay.ts',
          kernel_host: 'main/desktop/kernel_host.ts',
          calibrate_process: 'main/kernel/calibrate/calibrate_process.ts',
          kernel_machine: 'main/kernel/kernel_machine.ts',
        },
        // The processes of the kernel's side look for each other by these names, beside their own file.
        output: {
          format: 'es',
          entryFileNames: ({ name }) => (name === 'main' ? '[name].js' : '[name].mjs'),
          chunkFileNames: '[name]-[hash].mjs',
        },
      },
    },
  },
  preload: {
    build: {
      target: NODE_TARGET,
      outDir: 'out/preload',
      externalizeDeps: false,
      rolldownOptions: { input: { preload: 'main/desktop/preload.ts' }, output: { format: 'cjs', entryFileNames: '[name].cjs' } },
    },
  },
  renderer: screenConfig('out/renderer'),
})
