/**
 * All that the desktop window tells the page: that it is the desktop, and which system it runs on; and a port to the kernel of this
 * machine, for the page that asks for one.
 *
 * Plain values and that port only: no function of Electron or Node crosses into the page. Bundled into one CommonJS file, because a
 * sandboxed preload can be nothing else. Pairs with main.ts, which loads it.
 */
/// <reference lib="dom" />
import { contextBridge, ipcRenderer } from 'electron'

contextBridge.exposeInMainWorld('pageferryHost', { kind: 'desktop', platform: process.platform })

window.addEventListener('message', ({ source, data }) => {
  if (source === window && data === 'pageferry-kernel-wanted') ipcRenderer.send('kernel')
})
ipcRenderer.on('kernel', ({ ports }) => window.postMessage('pageferry-kernel', window.origin, [...ports]))
