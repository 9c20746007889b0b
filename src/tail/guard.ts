// Opens a path only if it is safe to read: it must resolve to a regular file under one of the source's roots, it is
// opened without blocking, and what was opened must be what was looked at. Whoever may write into a log directory may
// plant links to /etc/shadow, FIFOs that never open and devices that never end; none of them is read.
import { basename, dirname, join } from 'node:path'
import { errorCode } from '../core/errors.ts'
import type { FileStat, ReadFileSystem } from '../ports/fs.ts'

export type OpenOutcome =
  | { kind: 'opened'; fd: number; stat: FileStat }
  /** Nothing there now (a rename or deletion may be under way). */
  | { kind: 'missing' }
  /** Must not be read; `reason` in words. */
  | { kind: 'refused'; reason: string }
  /** The system said no (EACCES, EMFILE, EIO, …): try again later. */
  | { kind: 'failed'; operation: string; error: unknown }

/** Opens `path` under the rule above. `roots` are directories, resolved or not. */
export function openGuarded(fs: ReadFileSystem, path: string, roots: readonly string[]): OpenOutcome {
  let operation = 'realpath'
  let fd = -1
  try {
    const real = fs.realpath(path)
    if (!isRealUnder(fs, real, roots)) {
      return { kind: 'refused', reason: `it resolves to ${real}, outside of ${roots.join(', ')}` }
    }
    operation = 'stat'
    const before = fs.lstat(real)
    if (before === null) return { kind: 'missing' }
    if (before.kind !== 'file') return { kind: 'refused', reason: `it is a ${before.kind}, not a regular file` }
    operation = 'open'
    fd = fs.open(real)
    operation = 'fstat'
    const stat = fs.fstat(fd)
    // The path is resolved once more: had a directory on the way been swapped for a link, it would lead elsewhere now.
    const isSame = stat.kind === 'file' && stat.dev === before.dev && stat.ino === before.ino
    if (isSame && fs.realpath(path) === real && isOpenedUnder(fs, fd, roots)) return { kind: 'opened', fd, stat }
    closeQuietly(fs, fd)
    return { kind: 'missing' }
  } catch (error) {
    if (fd >= 0) closeQuietly(fs, fd)
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'missing' }
    if (code === 'ELOOP') return { kind: 'refused', reason: 'its links go round in a circle' }
    if (code === 'ENXIO') return { kind: 'refused', reason: 'it is a socket or FIFO, not a regular file' }
    return { kind: 'failed', operation, error }
  }
}

/** Whether the directory of `path` resolves to a place such that `path` lies under one of the roots. */
export function isUnderRoots(fs: ReadFileSystem, path: string, roots: readonly string[]): boolean {
  try {
    return isRealUnder(fs, join(fs.realpath(dirname(path)), basename(path)), roots)
  } catch {
    return false // nothing is there, or nothing that can be looked at
  }
}

/** What was opened, as Linux itself names it: links that were there only for the moment of the open show themselves. */
function isOpenedUnder(fs: ReadFileSystem, fd: number, roots: readonly string[]): boolean {
  let path: string
  try {
    path = fs.readlink(`/proc/self/fd/${fd}`)
  } catch {
    return true // no /proc: what else was checked has to do
  }
  return !path.startsWith('/') || isRealUnder(fs, path, roots)
}

function isRealUnder(fs: ReadFileSystem, real: string, roots: readonly string[]): boolean {
  return roots.some((each) => isUnder(real, each) || isUnder(real, realOrSame(fs, each)))
}

function closeQuietly(fs: ReadFileSystem, fd: number): void {
  try {
    fs.close(fd)
  } catch {
    // Nothing was written, and the descriptor is gone all the same.
  }
}

function isUnder(path: string, root: string): boolean {
  return path.startsWith(root.endsWith('/') ? root : `${root}/`)
}

function realOrSame(fs: ReadFileSystem, path: string): string {
  try {
    return fs.realpath(path)
  } catch {
    return path // a root that is not there matches nothing
  }
}
