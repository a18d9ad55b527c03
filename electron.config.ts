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
      rolldownOptions: { input: { main: 'main/desktop/main.ts' }, output: { format: 'es', entryFileNames: '[name].js' } },
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
