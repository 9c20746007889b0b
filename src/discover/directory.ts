// Listings of directories, shared by all lineages in them and read again only when the directory's modification time
// moves: a look at a quiet directory is one stat. A listing taken in the same instant as a change may have missed it
// (the kernel's clock ticks every few ms), so a fresh modification time is not trusted yet.
import { errorCode } from '../core/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { ReadFileSystem } from '../ports/fs.ts'

const SETTLED_MS = 100

export class Directory {
  readonly path: string
  /** Counts the listings; a lineage compares it with the one it knows. */
  version = 0
  /** Names, in no order; null when there is no such directory. */
  names: string[] | null = null
  #grouped: { version: number; groups: Map<string, string[]> } | null = null
  #mtimeMs = -1
  #ino = -1
  #settled = false
  /** Wall clock less monotonic ms when it was listed last. */
  #skewMs = 0
  readonly #fs: ReadFileSystem
  readonly #clock: Clock

  constructor(path: string, fs: ReadFileSystem, clock: Clock) {
    this.path = path
    this.#fs = fs
    this.#clock = clock
  }

  /** Looks, and lists again if something may have changed. Returns the version. Throws EACCES, EIO and the like. */
  refresh(): number {
    const stat = this.#fs.stat(this.path)
    if (stat === null || stat.kind !== 'directory') {
      if (this.names !== null || this.version === 0) this.#replace(null)
      this.#mtimeMs = -1
      this.#ino = -1
      return this.version
    }
    const now = this.#clock.now()
    const ageMs = now - stat.mtimeMs
    const skewMs = now - this.#clock.monotonic()
    // Where the clock was set back it comes to the directory's time once more: a change may have had just that.
    const isAgain = skewMs < this.#skewMs - SETTLED_MS && ageMs > -SETTLED_MS
    if (stat.mtimeMs === this.#mtimeMs && stat.ino === this.#ino && this.#settled && !isAgain) return this.version
    // Judged before the listing is read, by the directory's own time: what comes later moves it on.
    this.#settled = Math.abs(ageMs) > SETTLED_MS
    this.#skewMs = skewMs
    this.#mtimeMs = stat.mtimeMs
    this.#ino = stat.ino
    try {
      this.#replace(this.#fs.readdir(this.path))
    } catch (error) {
      this.#mtimeMs = -1
      if (errorCode(error) !== 'ENOENT') throw error
      this.#replace(null)
    }
    return this.version
  }

  /** The names grouped by `baseOf`; made once per listing, whoever asks. */
  group(baseOf: (name: string) => string): Map<string, string[]> {
    if (this.#grouped?.version === this.version) return this.#grouped.groups
    const groups = new Map<string, string[]>()
    for (const name of this.names ?? []) {
      const base = baseOf(name)
      const group = groups.get(base)
      if (group === undefined) groups.set(base, [name])
      else group.push(name)
    }
    this.#grouped = { version: this.version, groups }
    return groups
  }

  #replace(names: string[] | null): void {
    this.names = names
    this.version++
  }
}

/** All directories that somebody looks at, by path. */
export class Directories {
  readonly #byPath = new Map<string, Directory>()
  readonly #fs: ReadFileSystem
  readonly #clock: Clock

  constructor(fs: ReadFileSystem, clock: Clock) {
    this.#fs = fs
    this.#clock = clock
  }

  at(path: string): Directory {
    let directory = this.#byPath.get(path)
    if (directory === undefined) {
      directory = new Directory(path, this.#fs, this.#clock)
      this.#byPath.set(path, directory)
    }
    return directory
  }

  forget(path: string): void {
    this.#byPath.delete(path)
  }
}
