// A lineage: one container's (or one path's) sequence of files, oldest first. It owns the files and their descriptors;
// the readers (one per sink) own their positions. Invariant: `files` is in reading order, holds every file that some
// reader has not finished, and ends with the file that is (or was last) live. A file is recognised by device+inode while
// it is open, by its name's place in the rotation, and by its head; never excluded by any of them. Nothing here throws
// for what the file system does: that is an event and is tried again.
import { errorCode } from '../core/errors.ts'
import type { Events } from '../core/events.ts'
import type { LineageInfo } from '../core/lineage-info.ts'
import { compareOrder, type FileOrder, hasPlaceForEver, isUnique, LIVE } from '../discover/names.ts'
import type { Clock } from '../ports/clock.ts'
import type { FileStat, ReadFileSystem } from '../ports/fs.ts'
import type { Gunzip } from '../ports/gunzip.ts'
import type { Descriptors } from './descriptors.ts'
import {
  gzipContentBytes,
  type Head,
  headMatcher,
  isBeginningOf,
  isCompressionOf,
  isCopyOf,
  keepsHead,
  readHead,
  readWitness,
  sameHead,
  type TailedFile,
} from './file.ts'
import { type FinishedFile, FinishedFiles, identity } from './finished.ts'
import { openGuarded } from './guard.ts'
import { Rotation, type RotationHabit } from './rotation.ts'

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
  /** What the lineages of a source learn from each other; one of its own when left out. */
  habit?: RotationHabit
  /** How many files may be open, in all lineages together; left out: as many as there are. */
  descriptors?: Descriptors
  counters: { rotations: number; truncations: number; filesRefused: number; fileErrors: number }
}

/** A file that cannot be opened for so long is gone on without. */
const SETTLE_MS_MAX = 10_000
const RETRY_MS_MAX = 1000
/** A file with a successor that holds something is not written any more when it has not been for so long. */
const MOVED_ON_MS = 1000

/** A name of which it is not known what it leads to; monotonic ms, and where that would come; null: anywhere. */
interface Unknown {
  since: number
  order: FileOrder | null
}

/** What a reader tells its lineage, so that files are kept as long as they are needed. */
export interface FileUser {
  /** The earliest file that the reader may still have to read; null before it has begun. */
  readonly oldestNeeded: TailedFile | null
  /** The file that it reads; null before it has begun. */
  readonly current: TailedFile | null
  /** The last file of which it has read something; null: it would go back before its first one. */
  readonly begun: TailedFile | null
  /** It has a place to find again, and has not found it yet. */
  readonly isSearching: boolean
  /** The lineage was looked at. */
  looked(): void
  /** Called when there are files that were not there before, in whatever place. */
  filesCame(): void
  /** How far it read a file that it has left; undefined when it never read it. */
  leftAt(file: TailedFile): number | undefined
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
  readonly rotation: Rotation
  /** It holds no descriptors and no files; its readers remember their places. */
  asleep = false
  /** Monotonic ms since which it waits for descriptors; null: it does not. */
  waitingSince: number | null = null
  /** Monotonic ms since which there was something to do when it was woken last; infinite when it was never woken. */
  wantedSince = Number.POSITIVE_INFINITY
  /** Bytes that came while it slept, as far as names and sizes tell. */
  asleepBytes = 0
  /** While it slept its live file's name came to lead elsewhere. */
  wasRotated = false
  /** All that was there at some time since it was woken is, or was, open: what is missing came later. */
  wasWhole = false
  /** A file could not be opened, for there was no descriptor for it. */
  starved = false
  /** How large and when written its live file was seen while it slept; null: not at all. */
  seenAsleep: Pick<FileStat, 'dev' | 'ino' | 'size' | 'mtimeMs'> | null = null
  /** The live file as it was when it fell asleep, and the names then. */
  #left: Pick<TailedFile, 'path' | 'dev' | 'ino' | 'sizeSeen' | 'mtimeMs'> | null = null
  #leftNames: string | null = null
  #leftVersion = -1
  /** Bytes written since the last look. */
  #grownBytes = 0
  /** Files that the look that is under way has opened. */
  #opening = 0
  readonly #deps: LineageDeps
  readonly #listing: Listing
  readonly #roots: readonly string[]
  #version = -1
  #sequence = 0
  // Files that all readers are past, and copies of others, as long as they are listed: not to be read again.
  readonly #known = new FinishedFiles()
  #reported: Map<string, string> | null = null
  /** Monotonic ms since which some part of the listing has failed; null when the last one was complete. */
  #incompleteSince: number | null = null
  /** By name, what it is not known to lead to; '' for all names. Null: there is nothing. */
  #unknown: Map<string, Unknown> | null = null
  /** Monotonic ms since which names and files do not go together; null: they do. */
  #blindSince: number | null = null
  #retryAt = Number.NEGATIVE_INFINITY

  constructor(info: LineageInfo, listing: Listing, roots: readonly string[], deps: LineageDeps) {
    this.info = info
    this.#listing = listing
    this.#roots = roots
    this.#deps = deps
    this.activeAt = deps.clock.monotonic()
    this.rotation = new Rotation(deps.habit ?? { sizeBytes: null, filesMax: null }, this.activeAt)
  }

  /** Looks at names and sizes. */
  look(): void {
    const now = this.#deps.clock.monotonic()
    // What was truncated is noticed first: a copy of it that is met then is no new file.
    this.measure()
    if (now >= this.#retryAt) {
      try {
        const version = this.#listing.version()
        if (version !== this.#version || this.#knownChanged(now)) {
          const { counters } = this.#deps
          const errors = counters.fileErrors
          const complete = this.#reconcile()
          // A directory that moves is listed again soon, however long it has been moving.
          if (counters.fileErrors === errors && !this.starved) this.#incompleteSince = null
          if (complete) this.#version = version
          this.#noteComplete(complete, now)
        } else this.#allPlaced() // nothing has moved since all of it was met
        if (!this.looked) this.rotation.guess(this.files)
        this.looked = true
      } catch (error) {
        this.#failed(this.info.path, 'readdir', error)
        this.#unknown ??= new Map()
        if (!this.#unknown.has('')) this.#unknown.set('', { since: now, order: null })
        this.#noteComplete(false, now)
      }
    }
    this.rotation.written.add(this.#grownBytes, now)
    this.#grownBytes = 0
    for (const user of this.users) user.looked()
  }

  /** Looks at the files that are open. */
  measure(): void {
    for (const file of [...this.files]) this.#measure(file)
  }

  /** How many files there are to open at most; 0 when that cannot be told now. */
  get listedFiles(): number {
    try {
      this.#listing.version()
      return this.#listing.candidates().length
    } catch {
      return 0 // whoever looks meets the same error, and tells it
    }
  }

  /** Whether all that it has to read can be found by name again, in the same order. */
  get canSleep(): boolean {
    if (this.asleep || (this.#incompleteSince !== null && !this.starved)) return false
    return this.files.every((file, i) => {
      const next = this.files[i + 1]
      return next === undefined || (next.begin === 0 && compareOrder(file.order, next.order) < 0)
    })
  }

  /**
   * Closes all files. The readers must have left them (Reader.sleep). From now on `stirs` tells whether there may be
   * something new, and `wake` opens what is there then.
   */
  sleep(): void {
    const live = this.files.at(-1)
    this.#left = live === undefined || !live.linked ? null : { ...live }
    this.#leftVersion = -1
    this.#leftNames = this.looked ? this.#names() : null
    this.#known.letGo((original) => original.linked && this.files.includes(original))
    this.close()
    this.asleep = true
    this.asleepBytes = 0
    this.seenAsleep = null
    this.wasRotated = false
    this.looked = false
    this.wasWhole = false
    this.#version = -1
    this.#incompleteSince = null
    this.#unknown = null
  }

  /** Whether something may have changed since it fell asleep: two or three stats. Keeps account of what came. */
  stirs(): boolean {
    const left = this.#left
    let hasNews = false
    try {
      const version = this.#listing.version()
      if (version !== this.#leftVersion) {
        if (this.#names() !== this.#leftNames) hasNews = true
        else this.#leftVersion = version
      }
      const stat = left === null ? null : this.#deps.fs.stat(left.path)
      if (left !== null) {
        const isSame = stat !== null && stat.dev === left.dev && stat.ino === left.ino && stat.size >= left.sizeSeen
        this.wasRotated ||= !isSame
        if (isSame) this.seenAsleep = stat
        this.asleepBytes = isSame ? stat.size - left.sizeSeen : (stat?.size ?? 0)
        hasNews ||= !isSame || stat.mtimeMs !== left.mtimeMs
      }
      return hasNews || this.#knownChanged(this.#deps.clock.monotonic())
    } catch {
      return true // whoever looks meets the same error, and tells it
    }
  }

  /** Opens what is there, or what could not be opened before. */
  wake(): void {
    const now = this.#deps.clock.monotonic()
    if (this.asleep) this.#grownBytes += this.asleepBytes
    this.asleep = false
    this.wantedSince = this.waitingSince ?? now
    this.waitingSince = null
    this.#retryAt = Number.NEGATIVE_INFINITY
    this.look()
    if (this.wasRotated) this.#noteRotation(now)
    this.wasRotated = false
  }

  #names(): string {
    return this.#listing
      .candidates()
      .map(({ path }) => path)
      .join('\n')
  }

  /** Whether `files` holds all there is, or has had time enough to: a place of long ago may be searched for in it. */
  get settled(): boolean {
    // A place is searched for among all files, however long it takes until there are descriptors for them.
    if (this.starved && this.users.some((user) => user.isSearching)) return false
    if (!this.looked) return false
    if (this.#unknown === null) return true
    const now = this.#deps.clock.monotonic()
    return [...this.#unknown.values()].every(({ since }) => now - since > SETTLE_MS_MAX)
  }

  /** Whether what `next` says is so: no file that is not known yet can come between. */
  isNextCertain(file: TailedFile): boolean {
    const { files } = this
    const index = files.indexOf(file) + 1
    if (index === files.length) return this.settled
    for (let i = index; i < files.length; i++) if (files[i]?.placed) return true
    return false
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
   * a fresh one on the same descriptor; copies made before (copytruncate) come between them. `isOutgrown`: it was noticed by what
   * is in it, not by its size.
   */
  truncated(file: TailedFile, sizeNow: number, isOutgrown = false): void {
    const index = this.files.indexOf(file)
    if (file.gone !== null) return
    this.#deps.counters.truncations++
    this.#emitTruncated(file, sizeNow)
    const nothing = { sequence: 0, sizeSeen: 0, begin: 0, head: NO_HEAD }
    const fresh: TailedFile = { ...file, ...nothing, grewAt: this.#deps.clock.monotonic() }
    file.gone = 'truncated'
    file.fd = -1
    file.linked = false
    if (index < 0) return // the lineage is closed
    this.#headHolds(fresh)
    // Files that turned up behind the live one while it was read are copies that were made since: older than what is in it now.
    const after = this.files.slice(index + 1)
    const isNewer = ({ order: { rank } }: TailedFile) => file.order.rank !== LIVE || rank === LIVE
    const made = after.splice(0, after.findIndex(isNewer) < 0 ? after.length : after.findIndex(isNewer))
    const copy = this.#openCopyOf(file)
    if (copy === 'later') {
      fresh.placed = false
      this.#known.forgetCopiesOf(file)
    } else if (copy !== null) made.push(copy)
    made.sort((a, b) => compareOrder(a.order, b.order))
    // The size that was seen may be that of what is in it now; the copy's is that of what was.
    const [first] = made
    if (isOutgrown && first !== undefined && !first.compressed && first.head.hash === file.head.hash) {
      file.sizeSeen = Math.min(file.sizeSeen, first.sizeSeen)
    }
    this.files.splice(index + 1, Number.POSITIVE_INFINITY, ...made, fresh, ...after)
    this.#renumber(index + 1)
    this.activeAt = this.#deps.clock.monotonic()
    this.#version = -1
  }

  /** Whether the file is open and not empty, so that it can be known again. */
  hasHead(file: TailedFile): boolean {
    if (file.fd < 0) return false
    // It was empty when it was last looked at, and may have been read since.
    if (file.head.bytes === 0) this.#headHolds(file)
    return file.head.bytes > 0
  }

  /**
   * Puts a file without a byte in the place of files that are all gone, so that a reader can begin there and tell what a
   * checkpoint says of them. `path` is the last one's.
   */
  standIn(path: string): void {
    const now = this.#deps.clock.monotonic()
    const nothing = { fd: -1, dev: 0, ino: 0, sizeSeen: 0, begin: 0, mtimeMs: 0, head: NO_HEAD }
    const seen = { linked: false, grewAt: now, supersededAt: now, unlinkedAt: now, gone: 'deleted' }
    const order = { restart: 0, rank: LIVE }
    this.files.push({ ...nothing, ...seen, sequence: ++this.#sequence, path, compressed: false, order, placed: true })
    this.looked = true
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
    const now = this.#deps.clock.monotonic()
    const listed = new Set<string>()
    const present = new Set<TailedFile>()
    const fresh: TailedFile[] = []
    const unknown = new Map<string, Unknown>()
    const noteUnknown = (path: string, order: FileOrder | null) =>
      unknown.set(path, { since: this.#unknown?.get(path)?.since ?? now, order })
    const pathsBefore = new Map(this.files.filter(({ placed }) => !placed).map((file) => [file, file.path]))
    let complete = true
    let failed = false
    this.starved = false
    this.#opening = 0
    const candidates = this.#listing.candidates()
    const led = new Map<string, string>()
    const unopened: { candidate: Candidate; stat: FileStat; id: string }[] = []
    for (const candidate of candidates) {
      const stat = this.#statOf(candidate)
      led.set(candidate.path, identityOf(stat))
      if (stat === 'later') {
        complete = false
        failed = true
        if (!this.#hadName(candidate)) noteUnknown(candidate.path, candidate.order)
      }
      if (stat === null || stat === 'later') continue
      const id = identity(stat.dev, stat.ino)
      listed.add(id)
      const open = this.files.find((file) => file.fd >= 0 && file.dev === stat.dev && file.ino === stat.ino)
      if (open !== undefined) {
        open.path = candidate.path
        open.order = candidate.order
        this.#noteRankBefore(open, candidates)
        present.add(open)
      } else if (!this.#known.has(id, candidate, stat)) unopened.push({ candidate, stat, id })
    }
    const isBlind = this.#isBlind(present, now, () => failed || !this.#leads(led))
    if (isBlind) {
      complete = false
      failed = true
    }
    const late: { candidate: Candidate; content: string }[] = []
    for (const { candidate, stat, id } of unopened) {
      if (isBlind) {
        noteUnknown(candidate.path, candidate.order)
        continue
      }
      if (this.#isTwin(candidate, present, fresh)) {
        this.#remember(id, NO_HEAD, candidate, stat, '', null)
        continue
      }
      const file = this.#open(candidate)
      if (file === 'later') {
        complete = false
        noteUnknown(candidate.path, candidate.order)
        late.push({ candidate, content: contentOf(stat) })
      } else if (file !== null) {
        listed.add(identity(file.dev, file.ino))
        this.#noteRankBefore(file, candidates)
        fresh.push(file)
        this.#opening = fresh.length
      }
    }
    for (const { candidate, content } of late) {
      for (const file of [...present, ...fresh]) {
        if (compareOrder(candidate.order, file.order) < 0) (file.unopenedBefore ??= new Set()).add(content)
      }
    }
    // A name that could not be looked at says nothing about what it led to before.
    if (complete) this.#known.forgetUnlisted(listed)
    for (const path of this.#reported?.keys() ?? []) {
      if (!candidates.some((candidate) => candidate.path === path)) this.#reported?.delete(path)
    }
    for (const file of this.files) {
      const linked = present.has(file) || (file.fd >= 0 && listed.has(identity(file.dev, file.ino)))
      if (failed && !linked) continue
      if (file.linked && !linked) file.unlinkedAt = now
      if (linked) file.unlinkedAt = null
      file.linked = linked
    }
    this.#dropCopies(fresh)
    for (const file of fresh) this.#insert(file, present)
    if (fresh.length > 0) for (const user of this.users) user.filesCame()
    this.#opening = 0
    if (fresh.some((file) => file.begin === 0)) this.#noteRotation(now)
    for (const [index, file] of this.files.entries()) {
      if (index === this.files.length - 1 || file.supersededAt !== null) continue
      file.supersededAt = now
      this.#noteMovedOn(file, this.files[index + 1] as TailedFile)
      if (!file.compressed) this.rotation.superseded(file.sizeSeen)
    }
    if (complete) this.rotation.listed(candidates)
    this.#place(pathsBefore, present, [...unknown.values()])
    // Between a listing and a look at each of its names files are renamed and compressed, and one of them may be met under
    // no name; a reader that has a place to find must not miss it.
    const isSearched = this.users.some((user) => user.current === null)
    const stillLeads = complete && (!isSearched || this.#leads(led))
    if (isSearched && stillLeads) this.#allPlaced()
    if (complete && !stillLeads) noteUnknown('', null)
    this.#unknown = unknown.size === 0 ? null : unknown
    return stillLeads
  }

  /**
   * Of which files it is certain that all that come before them are known: those that were met under the same name twice
   * in succession, or have no name any more, with no name among those before them that leads nobody knows where. What was
   * listed between two looks at a file is what there was while it had that name.
   */
  #place(pathsBefore: ReadonlyMap<TailedFile, string>, present: ReadonlySet<TailedFile>, unknown: Unknown[]): void {
    const now = this.#deps.clock.monotonic()
    const waited = unknown.filter(({ since }) => now - since <= SETTLE_MS_MAX)
    for (const [file, path] of pathsBefore) {
      const isMet = present.has(file)
      const isNamed = file.fd >= 0 && file.linked && file.unlinkedAt === null
      if (isMet ? file.path !== path : isNamed) continue
      const order = isMet || hasPlaceForEver(file.order) ? file.order : null
      file.placed = waited.every((each) => order !== null && each.order !== null && compareOrder(each.order, order) > 0)
    }
  }

  #allPlaced(): void {
    for (const file of this.files) file.placed = true
  }

  #noteRankBefore(file: TailedFile, candidates: readonly Candidate[]): void {
    const { restart, rank } = file.order
    if (rank !== LIVE) return
    const before = candidates.findLast(({ order }) => order.restart === restart && hasPlaceForEver(order))
    file.rankBefore = before?.order.rank ?? ''
  }

  /**
   * Whether names and files do not go together (`isMoving`) and some file was not met whose place among the others changes
   * with its name: then nobody knows where others belong. Not for ever: it may have gone elsewhere.
   */
  #isBlind(present: ReadonlySet<TailedFile>, now: number, isMoving: () => boolean): boolean {
    // What comes after a live file is known when all that comes before it is, and what has no name left is not missed.
    const isMissed = (file: TailedFile) =>
      file.fd >= 0 &&
      file.linked &&
      file.unlinkedAt === null &&
      !present.has(file) &&
      !hasPlaceForEver(file.order) &&
      !(file.placed && file.order.rank === LIVE)
    if (!this.files.some(isMissed) || !isMoving()) {
      this.#blindSince = null
      return false
    }
    this.#blindSince ??= now
    return now - this.#blindSince <= SETTLE_MS_MAX
  }

  /**
   * Of two files that are met at once one may be the copy of the other that logrotate has just made and is about to cut:
   * the copy is remembered, for when that is done. What was cut a moment ago is seen as it is now.
   */
  #dropCopies(fresh: TailedFile[]): void {
    const { fs, gunzip } = this.#deps
    const live = fresh.at(-1)
    const copy = fresh.at(-2)
    if (live === undefined || copy === undefined || live.order.rank !== LIVE || live.compressed || copy.compressed)
      return
    try {
      if (copy.sizeSeen === 0 || !sameHead(fs, copy.fd, false, gunzip, copy.head, live.head)) return
      const { size } = fs.fstat(live.fd)
      if (size < live.sizeSeen) {
        if (copy.sizeSeen < live.sizeSeen) return
        live.sizeSeen = size
        live.head = readHead(fs, live.fd, false, gunzip)
      } else if (isCopyOf(fs, copy.fd, live.fd, size)) {
        this.#remember(identity(copy.dev, copy.ino), copy.head, copy, { ...copy, size: copy.sizeSeen }, '', live)
        this.#closeFd(copy.fd)
        fresh.splice(-2, 1)
      }
    } catch (error) {
      this.#failed(live.path, 'read', error)
    }
  }

  /** Whether what the candidate's name leads to is known from an earlier look: it is one file's for ever. */
  #hadName({ path, order }: Candidate): boolean {
    if (!hasPlaceForEver(order)) return false
    if (this.files.some((file) => file.fd >= 0 && file.path === path)) return true
    return this.#known.hasPath(path)
  }

  /** Where descriptors are short, a file whose writer has moved on, as the times of writing tell, is not waited for. */
  #noteMovedOn(file: TailedFile, next: TailedFile): void {
    if (this.wantedSince === Number.POSITIVE_INFINITY || file.compressed || next.sizeSeen === 0) return
    if (this.#deps.clock.now() - file.mtimeMs < MOVED_ON_MS) return
    file.supersededAt = Number.NEGATIVE_INFINITY
    file.grewAt = Number.NEGATIVE_INFINITY
  }

  /** Whether the names are still the same and lead where they led. */
  #leads(led: ReadonlyMap<string, string>): boolean {
    this.#listing.version()
    const candidates = this.#listing.candidates()
    if (candidates.length !== led.size) return false
    return candidates.every((candidate) => led.get(candidate.path) === identityOf(this.#statOf(candidate)))
  }

  /** What a candidate's name leads to. null: nothing, or nothing that may be read; 'later': it cannot be told now. */
  #statOf(candidate: Candidate): FileStat | 'later' | null {
    const { fs } = this.#deps
    try {
      const stat = fs.stat(candidate.path)
      if (stat !== null) return stat
      // Renamed since it was listed: what it led to is not gone, it has another name.
      if (fs.lstat(candidate.path) === null) return 'later'
      this.#refused(candidate.path, 'it is a link that leads nowhere')
      return null
    } catch (error) {
      if (errorCode(error) === 'ELOOP') {
        this.#refused(candidate.path, 'its links go round in a circle')
        return null
      }
      this.#failed(candidate.path, 'stat', error)
      return 'later'
    }
  }

  /** Whether it is the compressed form, finished or in the making, of a plain file that we have, by its name. */
  #isTwin(candidate: Candidate, present: ReadonlySet<TailedFile>, fresh: readonly TailedFile[]): boolean {
    if (!candidate.compressed) return false
    const { order } = candidate
    const twin = (each: { compressed: boolean; order: FileOrder }) =>
      !each.compressed && compareOrder(each.order, order) === 0
    if (fresh.some(twin)) return true
    // Of a number only the name that is there now tells.
    const unique = isUnique(order.rank)
    if (this.files.some((file) => file.gone === null && twin(file) && (unique || present.has(file)))) return true
    return unique && this.#known.hasPlain(order)
  }

  /** Opens a candidate. null: not to be read; 'later': it could not be opened now. */
  #open(candidate: Candidate): TailedFile | 'later' | null {
    const { fs, gunzip, clock, descriptors } = this.#deps
    if (descriptors?.isFull && !this.#isAlone(descriptors)) {
      this.starved = true
      return 'later'
    }
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
    if (descriptors !== undefined) descriptors.open++
    let head: Head
    let begin: number
    try {
      head = readHead(fs, fd, candidate.compressed, gunzip)
      begin = this.#readBefore(fd, stat, candidate, head)
      if (begin < 0) {
        this.#closeFd(fd)
        return null
      }
    } catch (error) {
      this.#closeFd(fd)
      this.#failed(candidate.path, 'read', error)
      return 'later'
    }
    this.#reported?.delete(candidate.path)
    const id = identity(stat.dev, stat.ino)
    // Another one that has lost its number with its last name may turn up yet, compressed or as a copy.
    if (begin === 0) this.#known.move(id)
    else this.#known.delete(id)
    return {
      sequence: 0,
      path: candidate.path,
      dev: stat.dev,
      ino: stat.ino,
      fd,
      compressed: candidate.compressed,
      order: candidate.order,
      linked: true,
      placed: false,
      sizeSeen: stat.size,
      begin,
      mtimeMs: stat.mtimeMs,
      head,
      grewAt: clock.monotonic(),
      supersededAt: null,
      unlinkedAt: null,
      gone: null,
    }
  }

  /** Nobody else has a descriptor: a lineage of more files than there may be open takes of what is kept for other things. */
  #isAlone({ open }: Descriptors): boolean {
    return open <= this.files.length + this.#opening
  }

  /** How much of a newly opened file was read before, under this name or another; -1 when all of it was or will be. */
  #readBefore(fd: number, stat: FileStat, candidate: Candidate, head: Head): number {
    const { fs, gunzip } = this.#deps
    const { compressed } = candidate
    const id = identity(stat.dev, stat.ino)
    const known = this.#known.get(id)
    if (
      known !== undefined &&
      known.copyOf === null &&
      stat.size >= known.size &&
      known.witness !== '' &&
      sameHead(fs, fd, compressed, gunzip, head, known.head) &&
      readWitness(fs, fd, known.size) === known.witness
    ) {
      if (stat.size > known.size) return known.size
      this.#remember(id, head, candidate, stat, known.witness, null)
      return -1
    }
    const original = this.#originalOf(fd, candidate, head)
    if (original === null) return this.#isOpen(id) ? -1 : 0
    this.#remember(id, head, candidate, stat, '', 'sequence' in original ? original : null)
    return -1
  }

  /** The file of which a newly met rotated file is a copy (copytruncate, compression that we did not see), or null. */
  #originalOf(fd: number, candidate: Candidate, head: Head): TailedFile | FinishedFile | null {
    if (candidate.order.rank === LIVE) return null
    const { fs, gunzip } = this.#deps
    const { compressed } = candidate
    const same = headMatcher(fs, fd, compressed, gunzip, head)
    // Files may begin alike: more than the head must agree.
    for (const file of [...this.files]) {
      if (file.gone !== null || file.compressed) continue
      if (!same(file.head)) {
        if (compressed && fs.fstat(file.fd).nlink === 0 && isBeginningOf(fs, fd, gunzip, file.fd)) return file
        continue
      }
      const { size } = fs.fstat(file.fd)
      if (compressed ? isCompressionOf(fs, fd, gunzip, file.fd) : isCopyOf(fs, fd, file.fd, size)) {
        this.sawBytes(file, size)
        // Its compressed form has the name that it had itself in the end.
        const isNamed = compressed && !hasPlaceForEver(file.order) && hasPlaceForEver(candidate.order)
        if (isNamed && fs.fstat(file.fd).nlink === 0) file.order = candidate.order
        return file
      }
      // Cut since it was looked at: this is its copy, and takes its place then.
      this.#measure(file)
      if (file.gone !== null) return null
    }
    if (!compressed) return null
    const bytes = gzipContentBytes(fs, fd)
    for (const known of this.#known.all()) {
      if (!known.compressed && known.size % 2 ** 32 === bytes && same(known.head)) return known
    }
    return null
  }

  /** Whether a finished file that is still listed has changed: some go on writing to a file that was renamed long ago. */
  #knownChanged(now: number): boolean {
    return this.#known.changed(now, this.#deps.fs, (path, error) => this.#failed(path, 'stat', error))
  }

  /** `present`: the files whose names were met in this look, this one's from now on. */
  #insert(file: TailedFile, present: Set<TailedFile>): void {
    // Before the first file that is known to be later. Files whose names are gone were seen before this one came, unless
    // they follow one that is later.
    let index = this.files.length
    for (let i = this.files.length - 1; i >= 0; i--) {
      const other = this.files[i] as TailedFile
      const isPlaced = present.has(other) || hasPlaceForEver(other.order) || !this.looked
      if (isPlaced && compareOrder(other.order, file.order) <= 0) break
      if (isPlaced || wasThereBefore(file, other) || other.unopenedBefore?.has(contentOf(file))) index = i
    }
    present.add(file)
    const begun = this.#newestBegun()
    if (begun !== null) index = Math.max(index, this.files.indexOf(begun) + 1)
    this.files.splice(index, 0, file)
    this.#renumber(index)
    if (this.looked && !file.compressed) this.#grownBytes += file.sizeSeen - file.begin
    this.activeAt = this.#deps.clock.monotonic()
  }

  /** The newest file that some reader has begun; what is met later cannot come before it. */
  #newestBegun(): TailedFile | null {
    let newest: TailedFile | null = null
    for (const user of this.users) {
      const file = user.begun
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
    if (stat.size === file.sizeSeen && stat.mtimeMs === file.mtimeMs) return
    if (!file.compressed && (stat.size < file.sizeSeen || !this.#headHolds(file))) {
      this.truncated(file, stat.size)
      return
    }
    this.sawBytes(file, stat.size)
    file.sizeSeen = stat.size
    file.mtimeMs = stat.mtimeMs
  }

  /** A file has at least so many bytes: should they vanish, they are lost. */
  sawBytes(file: TailedFile, bytes: number): void {
    if (bytes <= file.sizeSeen) return
    this.#grownBytes += bytes - file.sizeSeen
    file.sizeSeen = bytes
    file.grewAt = this.#deps.clock.monotonic()
    this.activeAt = file.grewAt
  }

  /** Takes the head again, as the first line may have been incomplete; false when it is another one. */
  #headHolds(file: TailedFile): boolean {
    const { fs, gunzip } = this.#deps
    try {
      if (!file.compressed && keepsHead(fs, file)) return true
      const head = readHead(fs, file.fd, file.compressed, gunzip)
      if (file.head.bytes > 0 && !sameHead(fs, file.fd, file.compressed, gunzip, head, file.head)) return false
      file.head = head
    } catch (error) {
      this.#failed(file.path, 'read', error)
    }
    return true
  }

  /**
   * The copy that was made of a file before it was truncated: the oldest that is not known, for newer ones may begin alike.
   * 'later': it may be one that could not be looked at now; the next listing meets it.
   */
  #openCopyOf(original: TailedFile): TailedFile | 'later' | null {
    let isCertain = true
    try {
      this.#listing.version()
      for (const candidate of this.#listing.candidates()) {
        if (candidate.order.rank === LIVE) continue
        const copy = this.#openIfCopy(candidate, original)
        if (copy === 'later') isCertain = false
        else if (copy !== null) return copy
      }
    } catch (error) {
      this.#failed(this.info.path, 'readdir', error)
      isCertain = false
    }
    return isCertain ? null : 'later'
  }

  #isOpen(id: string): boolean {
    return this.files.some((file) => file.fd >= 0 && identity(file.dev, file.ino) === id)
  }

  #openIfCopy(candidate: Candidate, original: TailedFile): TailedFile | 'later' | null {
    const { fs, gunzip, clock, descriptors } = this.#deps
    const stat = this.#statOf(candidate)
    if (stat === null || stat === 'later') return stat
    const id = identity(stat.dev, stat.ino)
    if (id === identity(original.dev, original.ino)) return null
    if (this.#isOpen(id)) return null
    const known = this.#known.get(id)
    const isSame = known?.size === stat.size && known.mtimeMs === stat.mtimeMs
    if (known !== undefined && isSame && known.copyOf !== original) return null
    if (descriptors?.isExhausted) return null
    const opened = openGuarded(fs, candidate.path, this.#roots)
    if (opened.kind === 'failed') this.#failed(candidate.path, opened.operation, opened.error)
    if (opened.kind !== 'opened') return opened.kind === 'refused' ? null : 'later'
    const { path, compressed, order } = candidate
    const { fd } = opened
    if (descriptors !== undefined) descriptors.open++
    const { dev, ino, size, mtimeMs } = opened.stat
    let head: Head | 'later' | null = null
    try {
      head = readHead(fs, fd, compressed, gunzip)
      if (!sameHead(fs, fd, compressed, gunzip, head, original.head)) head = null
    } catch (error) {
      this.#failed(path, 'read', error)
      head = 'later'
    }
    if (head === null || head === 'later') {
      this.#closeFd(fd)
      return head
    }
    if (isSame) this.#known.delete(id)
    else this.#known.move(id)
    const now = clock.monotonic()
    const file = { path, compressed, order, dev, ino, mtimeMs, head, fd, sizeSeen: size, sequence: 0, begin: 0 }
    return { ...file, linked: true, placed: true, grewAt: now, supersededAt: now, unlinkedAt: null, gone: null }
  }

  #finish(file: TailedFile): void {
    // Without a name, too: its compressed form may be there, and could not be opened yet.
    if (file.fd >= 0) this.#rememberFinished(file)
    this.#close(file)
  }

  #rememberFinished(file: TailedFile): void {
    const { fs } = this.#deps
    const id = identity(file.dev, file.ino)
    try {
      const stat = fs.fstat(file.fd)
      const left = this.users.map((user) => user.leftAt(file)).filter((offset) => offset !== undefined)
      const size = file.compressed || left.length === 0 ? stat.size : Math.min(...left)
      const witness = file.compressed ? '' : readWitness(fs, file.fd, size)
      this.#remember(id, file.head, file, { size, mtimeMs: stat.mtimeMs }, witness, null)
    } catch (error) {
      this.#failed(file.path, 'read', error)
      this.#remember(id, file.head, file, { size: file.sizeSeen, mtimeMs: file.mtimeMs }, '', null)
    }
  }

  #remember(
    id: string,
    head: Head,
    { path, order, compressed }: Candidate,
    { size, mtimeMs }: Pick<FileStat, 'size' | 'mtimeMs'>,
    witness: string,
    copyOf: TailedFile | null,
  ): void {
    this.#known.set(id, { head, order, compressed, size, mtimeMs, witness, copyOf, path })
  }

  #close(file: TailedFile): void {
    if (file.fd >= 0) this.#closeFd(file.fd)
    file.fd = -1
  }

  #closeFd(fd: number): void {
    const { descriptors } = this.#deps
    if (descriptors !== undefined) descriptors.open--
    try {
      this.#deps.fs.close(fd)
    } catch (error) {
      this.#failed(this.info.path, 'close', error) // the descriptor is gone all the same
    }
  }

  #noteComplete(complete: boolean, now: number): void {
    if (complete) {
      this.wasWhole = true
      this.#incompleteSince = null
      return
    }
    // Soon at first, because a rotation may be under way; then less and less often.
    this.#incompleteSince ??= now
    this.#retryAt = now + Math.min(RETRY_MS_MAX, (now - this.#incompleteSince) / 2)
  }

  #refused(path: string, reason: string): void {
    if (this.#reported?.get(path) === reason) return
    this.#reported ??= new Map()
    this.#reported.set(path, reason)
    this.#deps.counters.filesRefused++
    this.#deps.events.emit('file.refused', { source: this.info.source, path, reason })
  }

  #failed(path: string, operation: string, error: unknown): void {
    this.#deps.counters.fileErrors++
    this.#deps.events.emit('file.error', { source: this.info.source, path, operation, error })
  }
}

const NO_HEAD: Head = { hash: '', bytes: 0, sum: 0 }

/** Whether `file`, as its name tells, was rotated already when `other` was live. */
function wasThereBefore({ order }: TailedFile, other: TailedFile): boolean {
  if (order.restart !== other.order.restart) return order.restart < other.order.restart
  return hasPlaceForEver(order) && order.rank <= (other.rankBefore ?? '')
}

/** What a file is known by over renames while it is not written to; its number alone may come back in another one. */
function contentOf({ dev, ino, mtimeMs }: Pick<FileStat, 'dev' | 'ino' | 'mtimeMs'>): string {
  return `${identity(dev, ino)} ${mtimeMs}`
}

/** '' for what leads nowhere, or cannot be told. */
function identityOf(stat: FileStat | 'later' | null): string {
  return stat === null || stat === 'later' ? '' : identity(stat.dev, stat.ino)
}
