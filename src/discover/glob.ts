// Finds the paths that a pattern matches. Names are matched by picomatch; directories are walked here, because the file
// system is a port and a walk must not follow links round in circles.
import { dirname, join } from 'node:path'
import picomatch from 'picomatch'
import { errorCode } from '../core/errors.ts'
import type { ReadFileSystem } from '../ports/fs.ts'

/** A walk never goes deeper below the fixed part than this. */
const DEPTH_MAX = 16

export interface Pattern {
  text: string
  /** The directory that all matches are under. */
  fixed: string
  matches: (path: string) => boolean
  /** Directory levels below `fixed` that matches lie at, at most. */
  depth: number
}

/** Compiles an absolute path or glob. */
export function compilePattern(text: string): Pattern {
  const { isGlob, base, glob } = picomatch.scan(text, { unescape: true })
  if (!isGlob) return { text, fixed: dirname(base), matches: (path) => path === base, depth: 0 }
  const depth = glob.includes('**') ? DEPTH_MAX : glob.split('/').length - 1
  return { text, fixed: base === '' ? '/' : base, matches: picomatch(text, { dot: true, windows: false }), depth }
}

/** All paths below the pattern's fixed part that match, directories excluded; `onError` hears of directories that cannot be read. */
export function findMatches(
  fs: ReadFileSystem,
  pattern: Pattern,
  onError: (path: string, error: unknown) => void,
): string[] {
  const found: string[] = []
  const walk = (directory: string, depth: number): void => {
    let names: string[]
    try {
      names = fs.readdir(directory)
    } catch (error) {
      const code = errorCode(error)
      if (code !== 'ENOENT' && code !== 'ENOTDIR') onError(directory, error)
      return
    }
    for (const name of names) {
      const path = join(directory, name)
      // `**` matches directories too: what is meant is what lies in them.
      if (depth > 0 && isDirectory(fs, path)) walk(path, depth - 1)
      else if (pattern.matches(path)) found.push(path)
    }
  }
  walk(pattern.fixed, pattern.depth)
  return found
}

/** A real directory, not a link to one. */
function isDirectory(fs: ReadFileSystem, path: string): boolean {
  try {
    return fs.lstat(path)?.kind === 'directory'
  } catch {
    return false // gone or unreadable: nothing in it can be opened either
  }
}
