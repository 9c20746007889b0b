// Hints that something may have changed. A hint wakes a scan or a look; a missed one costs latency, never data. New names
// are chokidar's; a quiet file is watched by the runtime's own watcher, because chokidar adds 30 KiB and a scan of the
// directory to each (measured with 1,000 files), and is asked to wake us once.
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

/**
 * Watches one file and calls `onHint` at every change of its content or name. Returns what ends it; throws when the
 * system has no more watches to give (ENOSPC) or the file is gone.
 */
export type WatchFile = (path: string, onHint: () => void) => () => void

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
