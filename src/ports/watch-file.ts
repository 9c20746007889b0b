// The runtime's own watcher for a quiet file. By itself, so that who watches no directories does not load chokidar.
import { watch } from 'node:fs'
import type { WatchFile } from './hints.ts'

export const watchFile: WatchFile = (path, onHint) => {
  const watcher = watch(path, { persistent: false }, onHint)
  watcher.on('error', onHint)
  return () => watcher.close()
}
