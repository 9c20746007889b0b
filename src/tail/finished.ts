// The files of a lineage that are not to be read (again): those that all readers are past, as long as names lead to them,
// and copies of files that are still being read. They are known by device and inode, which may come back in another file:
// so size and time of last writing must agree, or, where the file has been written since, head and second witness. One
// that has lost its number is known for two whole listings more, because its compressed form or a copy may turn up.
// Bound: one record for each name that is listed.
import { compareOrder, type FileOrder, LIVE } from '../discover/names.ts'
import type { FileStat, ReadFileSystem } from '../ports/fs.ts'
import type { Head, TailedFile } from './file.ts'

/** How often the sizes of finished files are looked at: some writers stay in a renamed file for a long time. */
const CHANGED_MS = 10_000

export interface FinishedFile {
  head: Head
  path: string
  order: FileOrder
  compressed: boolean
  /** As stored; of a plain file that was read, how far. Another size or time: to be looked at again. */
  size: number
  mtimeMs: number
  /** The second witness at `size`; '' for what is not known or compressed. */
  witness: string
  /** Another name's copy of a file that is still being read: where a truncated file's rest may be found. */
  copyOf: TailedFile | null
}

export class FinishedFiles {
  /** By `identity`. */
  readonly #files = new Map<string, FinishedFile>()
  /** Not in the last listing. */
  readonly #unlisted = new Set<string>()
  #moved = 0
  #changedAt = Number.NEGATIVE_INFINITY

  get(id: string): FinishedFile | undefined {
    return this.#files.get(id)
  }

  all(): IterableIterator<FinishedFile> {
    return this.#files.values()
  }

  set(id: string, file: FinishedFile): void {
    this.#files.set(id, file)
    this.#unlisted.delete(id)
  }

  /** Whether a listed file was dealt with before and has not changed since; it has this name now. */
  has(id: string, { path, order }: Pick<FinishedFile, 'path' | 'order'>, stat: FileStat): boolean {
    const known = this.#files.get(id)
    // Inode and size may come back within a second, in a new file; with the time of last writing, no more.
    if (known === undefined || stat.size !== known.size || stat.mtimeMs !== known.mtimeMs) return false
    known.path = path
    known.order = order
    return true
  }

  hasPath(path: string): boolean {
    for (const known of this.#files.values()) if (known.path === path) return true
    return false
  }

  /** The order of the compressed form of an open file, where that is listed now; null: it is not. */
  formOf(original: TailedFile, listed: ReadonlySet<string>): FileOrder | null {
    for (const [id, { copyOf, compressed, order }] of this.#files) {
      if (copyOf === original && compressed && listed.has(id)) return order
    }
    return null
  }

  /** A plain one of that order. */
  hasPlain(order: FileOrder): boolean {
    for (const known of this.#files.values())
      if (!known.compressed && compareOrder(known.order, order) === 0) return true
    return false
  }

  delete(id: string): void {
    this.#files.delete(id)
    this.#unlisted.delete(id)
  }

  /** What is in them is nowhere else any more. */
  forgetCopiesOf(original: TailedFile): void {
    for (const [id, known] of this.#files) if (known.copyOf === original) this.delete(id)
  }

  /** Another file has the number now. */
  move(id: string): void {
    const known = this.#files.get(id)
    if (known === undefined) return
    this.delete(id)
    this.#files.set(`${id} before ${++this.#moved}`, known)
  }

  /** Forgets what is listed no more; not at once, for names may move while a listing is gone through. */
  forgetUnlisted(listed: ReadonlySet<string>): void {
    for (const id of this.#files.keys()) {
      if (listed.has(id)) this.#unlisted.delete(id)
      else if (this.#unlisted.has(id)) this.delete(id)
      else this.#unlisted.add(id)
    }
  }

  /** All descriptors are closed: `isFoundAgain` tells of which files the copies will be found to be copies again. */
  letGo(isFoundAgain: (original: TailedFile) => boolean): void {
    for (const [id, known] of this.#files) {
      // A copy of what was read is not read.
      if (known.copyOf !== null && isFoundAgain(known.copyOf)) this.delete(id)
      else known.copyOf = null
    }
  }

  /** Whether one that is still listed has changed; asked of the disk now and then. `failed` is told what it says no to. */
  changed(now: number, fs: ReadFileSystem, failed: (path: string, error: unknown) => void): boolean {
    if (now < this.#changedAt || this.#files.size === 0) return false
    this.#changedAt = now + CHANGED_MS
    for (const [id, known] of this.#files) {
      if (known.compressed) continue
      // The live file is finished only by an older one that turned up late: then it is not finished at all.
      if (known.order.rank === LIVE) this.#changedAt = now
      let stat: FileStat | null = null
      try {
        stat = fs.stat(known.path)
      } catch (error) {
        failed(known.path, error)
      }
      if (stat !== null && identity(stat.dev, stat.ino) === id && stat.size !== known.size) return true
    }
    return false
  }
}

/** A file's name for as long as it is open. */
export function identity(dev: number, ino: number): string {
  return `${dev}:${ino}`
}
