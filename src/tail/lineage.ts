// A lineage: one container's (or one path's) sequence of files, oldest first. It owns the files and their descriptors;
// the readers (one per sink) own their positions. Invariant: `files` is in reading order, holds every file that some
// reader has not finished, and ends with the file that is (or was last) live. A file is recognised by device+inode while
// it is open, by its name's place in the rotation, and by its head; never excluded by any of them.
import type { Events } from '../core/events.ts'
import type { LineageInfo } from '../discover/lineage-info.ts'
import { compareOrder, type FileOrder, LIVE } from '../discover/names.ts'
import type { Clock } from '../ports/clock.ts'
import type { FileStat, ReadFileSystem } from '../ports/fs.ts'
import type { Gunzip } from '../ports/gunzip.ts'
import { type Head, readHead, sameHead, type TailedFile } from './file.ts'
import { openGuarded } from './guard.ts'

/** A path that may be a file of the lineage. */
export interface Candidate {
  path: string
  order: FileOrder
  compressed: boolean
}

/** Lists the candidates of a lineage, and tells cheaply whether the list may have changed. */
export interface Listing {
  /** A number that moves when the list may have changed. May throw the system's error. */
  version(): number
  /** In reading order. */
  candidates(): Candidate[]
}

export interface LineageDeps {
  fs: ReadFileSystem
  clock: Clock
  gunzip: Gunzip
  events: Events
  counters: { rotations: number; truncations: number; filesRefused: number; fileErrors: number }
}

interface FinishedFile {
  head: Head
  order: FileOrder
  size: number
  /** Another name's copy of a file that is still being read: where a truncated file's rest may be found. */
  copyOf: TailedFile | null
  path: string
}

/** What a reader tells its lineage, so that files are kept as long as they are needed. */
export interface FileUser {
  /** The earliest file that the reader may still have to read; null before it has begun. */
  readonly oldestNeeded: TailedFile | null
  /** The file that it reads; null before it has begun. */
  readonly current: TailedFile | null
}

export class Lineage {
  readonly info: LineageInfo
  readonly files: TailedFile[] = []
  readonly users: FileUser[] = []
  /** False until the first complete look. */
  looked = false
  /** Monotonic ms of the last rotation and the interval before it. */
  rotatedAt = Number.NEGATIVE_INFINITY
  rotationIntervalMs = Number.POSITIVE_INFINITY
  /** Monotonic ms: when any file last grew or came. */
  activeAt: number
  readonly #deps: LineageDeps
  readonly #listing: Listing
  readonly #roots: readonly string[]
  #version = -1
  #sequence = 0
  // Files that all readers are past, and copies of others, as long as they are listed: not to be read again.
  readonly #known = new Map<string, FinishedFile>()
  readonly #reported = new Map<string, string>()

  constructor(info: LineageInfo, listing: Listing, roots: readonly string[], deps: LineageDeps) {
    this.info = info
    this.#listing = listing
    this.#roots = roots
    this.#deps = deps
    this.activeAt = deps.clock.monotonic()
  }

  /** Looks at names and sizes. Never throws for what the file system does; that is an event and is tried again. */
  look(): void {
    try {
      const version = this.#listing.version()
      if (version !== this.#version && this.#reconcile()) this.#version = version
      this.looked = true
    } catch (error) {
      this.#failed(this.info.path, 'readdir', error)
    }
    for (const file of [...this.files]) this.#measure(file)
  }

  /** The file after `file` in reading order, or null. */
  next(file: TailedFile): TailedFile | null {
    return this.files[this.files.indexOf(file) + 1] ?? null
  }

  /** Closes the files that no reader needs any more and remembers them while they are listed. */
  trim(): void {
    while (this.files.length > 0) {
      const file = this.files[0] as TailedFile
      if (this.users.some((user) => user.oldestNeeded === null || user.oldestNeeded.sequence <= file.sequence)) return
      this.#finish(file)
      this.files.shift()
    }
  }

  /** Nothing is left of it: no names and no open files but empty or finished ones. */
  get gone(): boolean {
    return this.looked && this.files.every((file) => !file.linked) && this.#listing.candidates().length === 0
  }

  /**
   * The content of `file` was cut off in place (or replaced under the same inode). It becomes a gone file, followed by
   * a fresh one on the same descriptor; a copy made before (copytruncate) takes its place if there is one.
   */
  truncated(file: TailedFile, sizeNow: number): void {
    const index = this.files.indexOf(file)
    if (index < 0 || file.gone !== null) return
    this.#deps.counters.truncations++
    this.#emitTruncated(file, sizeNow)
    const fresh: TailedFile = { ...file, sequence: 0, sizeSeen: 0, grewAt: this.#deps.clock.monotonic() }
    file.gone = 'truncated'
    file.fd = -1
    file.linked = false
    this.#refreshHead(fresh)
    const copy = this.#openCopyOf(file)
    this.files.splice(index + 1, 0, ...(copy === null ? [fresh] : [copy, fresh]))
    this.#renumber(index + 1)
    this.activeAt = this.#deps.clock.monotonic()
    this.#version = -1
  }

  /** Closes a file that cannot be held any longer; readers before its end record a gap with this cause. */
  giveUp(file: TailedFile, cause: string): void {
    this.#close(file)
    file.gone = cause
  }

  close(): void {
    for (const file of this.files) this.#close(file)
    this.files.length = 0
  }

  #emitTruncated(file: TailedFile, toBytes: number): void {
    const { source, key } = this.info
    this.#deps.events.emit('file.truncated', {
      source,
      path: file.path,
      lineage: key,
      fromBytes: file.sizeSeen,
      toBytes,
    })
  }

  /** Takes in the listing; false when something failed and it should be done again. */
  #reconcile(): boolean {
    const { fs, clock } = this.#deps
    const now = clock.monotonic()
    const listed = new Set<string>()
    const present = new Set<TailedFile>()
    const fresh: TailedFile[] = []
    let complete = true
    const candidates = this.#listing.candidates()
    for (const candidate of candidates) {
      let stat: FileStat | null
      try {
        stat = fs.stat(candidate.path)
      } catch (error) {
        this.#failed(candidate.path, 'stat', error)
        complete = false
        continue
      }
      if (stat === null) continue
      const id = identity(stat.dev, stat.ino)
      listed.add(id)
      const open = this.files.find((file) => file.fd >= 0 && file.dev === stat.dev && file.ino === stat.ino)
      if (open !== undefined) {
        open.path = candidate.path
        open.order = candidate.order
        present.add(open)
        continue
      }
      if (this.#isKnown(id, candidate, stat)) continue
      const file = this.#open(candidate)
      if (file === 'later') complete = false
      else if (file !== null) {
        listed.add(identity(file.dev, file.ino))
        fresh.push(file)
      }
    }
    for (const id of this.#known.keys()) if (!listed.has(id)) this.#known.delete(id)
    for (const path of this.#reported.keys()) {
      if (!candidates.some((candidate) => candidate.path === path)) this.#reported.delete(path)
    }
    for (const file of this.files) {
      const linked = present.has(file)
      if (file.linked && !linked) file.unlinkedAt = now
      if (linked) file.unlinkedAt = null
      file.linked = linked
    }
    for (const file of fresh) this.#insert(file, present)
    if (fresh.length > 0) this.#noteRotation(now)
    for (const [index, file] of this.files.entries()) {
      if (index < this.files.length - 1) file.supersededAt ??= now
    }
    return complete
  }

  /** Whether a listed file needs no reading: finished before, the compressed twin of one we have, or a copy of one. */
  #isKnown(id: string, candidate: Candidate, stat: FileStat): boolean {
    const known = this.#known.get(id)
    if (known !== undefined) {
      if (known.copyOf !== null || (stat.size === known.size && known.order.rank !== LIVE)) {
        known.path = candidate.path
        known.order = candidate.order
        return true
      }
      // Same inode, but grown or under the live name: the number may have been given to a new file.
      if (this.#contentHas(candidate, known.head) && stat.size === known.size) {
        known.order = candidate.order
        return true
      }
      this.#known.delete(id)
      return false
    }
    if (!candidate.compressed) return false
    const twin =
      this.files.some(
        (file) => file.gone === null && !file.compressed && compareOrder(file.order, candidate.order) === 0,
      ) || [...this.#known.values()].some((each) => compareOrder(each.order, candidate.order) === 0)
    if (twin) this.#remember(id, { bytes: 0, hash: '' }, candidate, stat.size, null)
    return twin
  }

  #contentHas(candidate: Candidate, head: Head): boolean {
    const opened = openGuarded(this.#deps.fs, candidate.path, this.#roots)
    if (opened.kind !== 'opened') return false
    try {
      const { fs, gunzip } = this.#deps
      const now = readHead(fs, opened.fd, candidate.compressed, gunzip)
      return sameHead(fs, opened.fd, candidate.compressed, gunzip, now, head)
    } catch {
      return false // read again as a new file, which is harmless
    } finally {
      this.#deps.fs.close(opened.fd)
    }
  }

  /** Opens a candidate. null: not to be read; 'later': it could not be opened now. */
  #open(candidate: Candidate): TailedFile | 'later' | null {
    const { fs, gunzip, clock } = this.#deps
    const opened = openGuarded(fs, candidate.path, this.#roots)
    if (opened.kind === 'missing') return 'later'
    if (opened.kind === 'refused') {
      this.#refused(candidate.path, opened.reason)
      return null
    }
    if (opened.kind === 'failed') {
      this.#failed(candidate.path, opened.operation, opened.error)
      return 'later'
    }
    const { fd, stat } = opened
    let head: Head
    try {
      head = readHead(fs, fd, candidate.compressed, gunzip)
      const original = this.#originalOf(fd, candidate, head)
      if (original !== null) {
        fs.close(fd)
        const copyOf = 'sequence' in original ? original : null
        this.#remember(identity(stat.dev, stat.ino), head, candidate, stat.size, copyOf)
        return null
      }
    } catch (error) {
      fs.close(fd)
      this.#failed(candidate.path, 'read', error)
      return 'later'
    }
    this.#reported.delete(candidate.path)
    return {
      sequence: 0,
      path: candidate.path,
      dev: stat.dev,
      ino: stat.ino,
      fd,
      compressed: candidate.compressed,
      order: candidate.order,
      linked: true,
      sizeSeen: stat.size,
      mtimeMs: stat.mtimeMs,
      head,
      grewAt: clock.monotonic(),
      supersededAt: null,
      unlinkedAt: null,
      gone: null,
    }
  }

  /** The file of which a newly met rotated file is a copy (copytruncate, compression that we did not see), or null. */
  #originalOf(fd: number, candidate: Candidate, head: Head): TailedFile | FinishedFile | null {
    if (candidate.order.rank === LIVE) return null
    const { fs, gunzip } = this.#deps
    const same = (known: Head) => sameHead(fs, fd, candidate.compressed, gunzip, head, known)
    // A copy is exact up to where the original is read, else it is another file that begins alike.
    for (const file of this.files) {
      if (file.gone !== null || !same(file.head)) continue
      if (candidate.compressed || this.users.length === 0 || this.#agrees(fd, file)) return file
    }
    if (!candidate.compressed) return null
    for (const known of this.#known.values()) if (same(known.head)) return known
    return null
  }

  /** Whether the plain file behind `fd` has the same bytes as `file` at the end of what both hold. */
  #agrees(fd: number, file: TailedFile): boolean {
    const { fs } = this.#deps
    const length = Math.min(fs.fstat(fd).size, fs.fstat(file.fd).size)
    const witness = Math.min(4096, length)
    const ours = Buffer.alloc(witness)
    const theirs = Buffer.alloc(witness)
    fs.read(fd, ours, 0, witness, length - witness)
    fs.read(file.fd, theirs, 0, witness, length - witness)
    return ours.equals(theirs)
  }

  #insert(file: TailedFile, present: ReadonlySet<TailedFile>): void {
    // Before the first file whose place is known and later. Files whose names are gone were seen before this one came.
    let index = this.files.length
    for (let i = this.files.length - 1; i >= 0; i--) {
      const other = this.files[i] as TailedFile
      const placed = present.has(other) || other.sequence === 0 || !this.looked
      if (!placed || compareOrder(other.order, file.order) <= 0) break
      index = i
    }
    const begun = this.#newestBegun()
    if (begun !== null) index = Math.max(index, this.files.indexOf(begun) + 1)
    this.files.splice(index, 0, file)
    this.#renumber(index)
    this.activeAt = this.#deps.clock.monotonic()
  }

  /** The newest file that some reader has begun; what is met later cannot come before it. */
  #newestBegun(): TailedFile | null {
    let newest: TailedFile | null = null
    for (const user of this.users) {
      const file = user.current
      if (file !== null && (newest === null || file.sequence > newest.sequence)) newest = file
    }
    return newest
  }

  #renumber(from: number): void {
    for (let i = from; i < this.files.length; i++) {
      const before = this.files[i - 1]?.sequence ?? 0
      const file = this.files[i] as TailedFile
      if (file.sequence <= before) file.sequence = Math.max(before + 1, ++this.#sequence)
      this.#sequence = Math.max(this.#sequence, file.sequence)
    }
  }

  #noteRotation(now: number): void {
    if (!this.looked) return
    this.#deps.counters.rotations++
    this.rotationIntervalMs = now - this.rotatedAt
    this.rotatedAt = now
    const { source, key, path } = this.info
    this.#deps.events.emit('file.rotated', { source, path, lineage: key })
  }

  #measure(file: TailedFile): void {
    if (file.fd < 0) return
    let stat: FileStat
    try {
      stat = this.#deps.fs.fstat(file.fd)
    } catch (error) {
      this.#failed(file.path, 'fstat', error)
      return
    }
    const now = this.#deps.clock.monotonic()
    if (stat.nlink === 0 && file.unlinkedAt === null) file.unlinkedAt = now
    if (stat.size === file.sizeSeen) return
    if (stat.size < file.sizeSeen) {
      if (!file.compressed) {
        this.truncated(file, stat.size)
        return
      }
    } else {
      file.grewAt = now
      this.activeAt = now
    }
    file.sizeSeen = stat.size
    file.mtimeMs = stat.mtimeMs
    if (file.head.bytes < 1024) this.#refreshHead(file)
  }

  /** Takes the head again while the first line may have been incomplete. */
  #refreshHead(file: TailedFile): void {
    try {
      file.head = readHead(this.#deps.fs, file.fd, file.compressed, this.#deps.gunzip)
    } catch (error) {
      this.#failed(file.path, 'read', error)
    }
  }

  #openCopyOf(original: TailedFile): TailedFile | null {
    try {
      this.#listing.version()
    } catch (error) {
      this.#failed(this.info.path, 'readdir', error)
    }
    const { fs, gunzip } = this.#deps
    for (const candidate of this.#listing.candidates().reverse()) {
      if (candidate.order.rank === LIVE) continue
      const stat = fs.stat(candidate.path)
      if (stat === null || (stat.dev === original.dev && stat.ino === original.ino)) continue
      const known = this.#known.get(identity(stat.dev, stat.ino))
      if (known !== undefined && known.copyOf !== original) continue
      const opened = openGuarded(fs, candidate.path, this.#roots)
      if (opened.kind !== 'opened') continue
      const head = readHead(fs, opened.fd, candidate.compressed, gunzip)
      if (sameHead(fs, opened.fd, candidate.compressed, gunzip, head, original.head)) {
        this.#known.delete(identity(stat.dev, stat.ino))
        const { path, compressed, order } = candidate
        const { dev, ino, size, mtimeMs } = opened.stat
        const now = this.#deps.clock.monotonic()
        const file = { path, compressed, order, dev, ino, mtimeMs, head, fd: opened.fd, sizeSeen: size, sequence: 0 }
        return { ...file, linked: true, grewAt: now, supersededAt: now, unlinkedAt: null, gone: null }
      }
      fs.close(opened.fd)
    }
    return null
  }

  #finish(file: TailedFile): void {
    if (file.fd >= 0 && file.linked) {
      this.#remember(identity(file.dev, file.ino), file.head, file, file.sizeSeen, null)
    }
    this.#close(file)
  }

  #remember(id: string, head: Head, at: Candidate, size: number, copyOf: TailedFile | null): void {
    this.#known.set(id, { head, order: at.order, size, copyOf, path: at.path })
  }

  #close(file: TailedFile): void {
    if (file.fd >= 0) this.#deps.fs.close(file.fd)
    file.fd = -1
  }

  #refused(path: string, reason: string): void {
    if (this.#reported.get(path) === reason) return
    this.#reported.set(path, reason)
    this.#deps.counters.filesRefused++
    this.#deps.events.emit('file.refused', { source: this.info.source, path, reason })
  }

  #failed(path: string, operation: string, error: unknown): void {
    this.#deps.counters.fileErrors++
    this.#deps.events.emit('file.error', { source: this.info.source, path, operation, error })
  }
}

function identity(dev: number, ino: number): string {
  return `${dev}:${ino}`
}
