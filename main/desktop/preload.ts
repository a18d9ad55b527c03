/**
 * All that the desktop window tells the page: that it is the desktop, and which system it runs on.
 *
 * Plain values only: no function of Electron or Node crosses into the page. Bundled into one CommonJS file, because a
 * sandboxed preload can be nothing else. Pairs with main.ts, which loads it.
 */
import { contextBridge } from 'electron'

contextBridge.exposeInMainWorld('pageferryHost', { kind: 'desktop', platform: process.platform })
