// What is remembered of a lineage whose files are all closed, for want of descriptors, and what its names and sizes tell
// meanwhile. Owns no descriptor; two or three stats a question.
import type { FileStat, ReadFileSystem } from '../ports/fs.ts'
import type { Listing } from './candidates.ts'
import type { TailedFile } from './file.ts'

export class Asleep {
  /** Bytes that came while it slept, as far as names and sizes tell. */
  bytes = 0
  /** While it slept its live file's name came to lead elsewhere. */
  wasRotated = false
  /** How large and when written its live file was seen while it slept; null: not at all. */
  seen: Pick<FileStat, 'dev' | 'ino' | 'size' | 'mtimeMs'> | null = null
  readonly #fs: ReadFileSystem
  readonly #listing: Listing
  /** The live file as it was when it fell asleep, and the names then. */
  #left: Pick<TailedFile, 'path' | 'dev' | 'ino' | 'sizeSeen' | 'mtimeMs'> | null = null
  #leftNames: string | null = null
  #leftVersion = -1

  constructor(listing: Listing, fs: ReadFileSystem) {
    this.#listing = listing
    this.#fs = fs
  }

  /** It falls asleep; `looked`: its files had been met. */
  begin(live: TailedFile | undefined, looked: boolean): void {
    this.#left = live === undefined || !live.linked ? null : { ...live }
    this.#leftVersion = -1
    this.#leftNames = looked ? this.#names() : null
    this.bytes = 0
    this.seen = null
    this.wasRotated = false
  }

  /** Whether something may have changed since. Keeps account of what came. Throws the system's error. */
  hasNews(): boolean {
    const left = this.#left
    let hasNews = false
    const version = this.#listing.version()
    if (version !== this.#leftVersion) {
      if (this.#names() !== this.#leftNames) hasNews = true
      else this.#leftVersion = version
    }
    const stat = left === null ? null : this.#fs.stat(left.path)
    if (left !== null) {
      const isSame = stat !== null && stat.dev === left.dev && stat.ino === left.ino && stat.size >= left.sizeSeen
      this.wasRotated ||= !isSame
      if (isSame) this.seen = stat
      this.bytes = isSame ? stat.size - left.sizeSeen : (stat?.size ?? 0)
      hasNews ||= !isSame || stat.mtimeMs !== left.mtimeMs
    }
    return hasNews
  }

  #names(): string {
    return this.#listing
      .candidates()
      .map(({ path }) => path)
      .join('\n')
  }
}
