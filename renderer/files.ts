/**
 * Files in and out of the window: dropped traces become known to the engine under their names, and what a command writes
 * is offered as a download. While a file is dragged over the window, `data-dragging` on the root element shows where to.
 */
import type { Engine } from './engine_client.ts'

/** Long enough for the slowest disk; the browser holds the content until then. */
const DOWNLOAD_KEPT_MS = 60_000

export function takeDroppedFiles(engine: Engine, tell: (sentence: string) => void): void {
  const root = document.documentElement
  window.addEventListener('dragover', (event) => {
    event.preventDefault()
    root.dataset.dragging = 'yes'
  })
  window.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) delete root.dataset.dragging
  })
  window.addEventListener('drop', (event) => {
    event.preventDefault()
    delete root.dataset.dragging
    for (const file of event.dataTransfer?.files ?? []) {
      void engine.registerFile(file).then(() => tell(`${file.name} is here. Run: migrate --guest ${file.name}`))
    }
  })
}

export function offerDownloads(engine: Engine): void {
  void engine.onDownload(({ name, content }) => {
    const url = URL.createObjectURL(content)
    const link = document.createElement('a')
    link.href = url
    link.download = name
    link.click()
    setTimeout(() => URL.revokeObjectURL(url), DOWNLOAD_KEPT_MS)
  })
}
