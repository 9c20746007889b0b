// Hints that something may have changed, over chokidar. A hint wakes a scan; a missed one costs latency, never data.
import { watch } from 'chokidar'

export interface Hints {
  close(): Promise<void>
}

/** Watches the entries of `directories` (not what links lead to) and calls `onHint` for every change. */
export type WatchDirectories = (
  directories: readonly string[],
  onHint: () => void,
  onError: (error: unknown) => void,
) => Hints

export const watchDirectories: WatchDirectories = (directories, onHint, onError) => {
  const watcher = watch([...directories], {
    depth: 0,
    followSymlinks: false,
    ignoreInitial: true,
    ignorePermissionErrors: true,
  })
  watcher.on('add', onHint).on('unlink', onHint).on('addDir', onHint).on('unlinkDir', onHint).on('error', onError)
  return { close: () => watcher.close() }
}
