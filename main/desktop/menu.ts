/**
 * The desktop window's menu as plain data, in the words of Electron's roles.
 *
 * Outside macOS the terminal's own keys (Ctrl-C, Ctrl-R, Ctrl-W and so on) are Ctrl keys too, so no item may take one:
 * the clipboard items only show theirs (Chromium acts on them in text fields by itself), and there is neither Close nor
 * Reload. Pairs with main.ts, which hands the data to Electron.
 */

type MenuRole =
  | 'about'
  | 'copy'
  | 'cut'
  | 'hide'
  | 'hideOthers'
  | 'minimize'
  | 'paste'
  | 'quit'
  | 'redo'
  | 'resetZoom'
  | 'selectAll'
  | 'toggleDevTools'
  | 'togglefullscreen'
  | 'undo'
  | 'unhide'
  | 'zoomIn'
  | 'zoomOut'

export interface MenuEntry {
  label?: string
  role?: MenuRole
  type?: 'separator'
  accelerator?: string
  /** False: the key is shown and not taken. */
  registerAccelerator?: boolean
  submenu?: MenuEntry[]
}

export function menuTemplate(platform: NodeJS.Platform): MenuEntry[] {
  const mac = platform === 'darwin'
  return [...(mac ? [appMenu()] : [{ label: 'File', submenu: [quit()] }]), editMenu(mac), viewMenu(), windowMenu(mac)]
}

function appMenu(): MenuEntry {
  return {
    label: 'Pageferry',
    submenu: [{ role: 'about' }, separator(), { role: 'hide' }, { role: 'hideOthers' }, { role: 'unhide' }, separator(), quit()],
  }
}

function editMenu(mac: boolean): MenuEntry {
  const item = (role: MenuRole): MenuEntry => (mac ? { role } : { role, registerAccelerator: false })
  return {
    label: 'Edit',
    submenu: [item('undo'), item('redo'), separator(), item('cut'), item('copy'), item('paste'), item('selectAll')],
  }
}

function viewMenu(): MenuEntry {
  return {
    label: 'View',
    submenu: [
      // Ctrl-0 to Ctrl-9 store bookmarks, so the zoom's reset moves over.
      { role: 'resetZoom', accelerator: 'CommandOrControl+Shift+0' },
      { role: 'zoomIn' },
      { role: 'zoomOut' },
      separator(),
      { role: 'togglefullscreen' },
      { role: 'toggleDevTools' },
    ],
  }
}

function windowMenu(mac: boolean): MenuEntry {
  return { label: 'Window', submenu: [mac ? { role: 'minimize' } : { role: 'minimize', registerAccelerator: false }] }
}

function quit(): MenuEntry {
  return { role: 'quit', accelerator: 'CommandOrControl+Q' }
}

function separator(): MenuEntry {
  return { type: 'separator' }
}
