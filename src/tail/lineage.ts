// A lineage: one container's (or one path's) sequence of files, oldest first. It owns the files and their descriptors;
// the readers (one per sink) own their positions. Invariant: `files` is in reading order, holds every file that some
// reader has not finished, and ends with the file that is (or was last) live. A file is recognised by device+inode while
// it is open, by its name's place in the rotation, and by its head; never excluded by any of them. Nothing here throws
// for what the file system does: that is an event and is tried again.
import type { Events } from '../core/events.ts'
import type { LineageInfo } from '../core/lineage-info.ts'
import { compareOrder, LIVE } from '../discover/names.ts'
import { Asleep } from './asleep.ts'
import type { Listing } from './candidates.ts'
import { isLikeCopy } from './copies.ts'
import type { TailedFile } from './file.ts'
import type { FileUser } from './file-user.ts'
import { Files, type FilesDeps, NO_HEAD } from './files.ts'
import { Meeting } from './meeting.ts'
import { Openings } from './openings.ts'
import { Placing } from './placing.ts'
import { Reports } from './reports.ts'
import { Rotation, type RotationHabit } from './rotation.ts'

export interface LineageDeps extends FilesDeps {
  events: Events
  /** What the lineages of a source learn from each other; one of its own when left out. */
  habit?: RotationHabit
  counters: { rotations: number; truncations: number; filesRefused: number; fileErrors: number }
}

const RETRY_MS_MAX = 1000

export class Lineage {
  readonly info: LineageInfo
  readonly files: TailedFile[]
  readonly users: FileUser[] = []
  /** False until the first complete look. */
  looked = false
  /** Monotonic ms of the last rotation and the interval before it. */
  rotatedAt = Number.NEGATIVE_INFINITY
  rotationIntervalMs = Number.POSITIVE_INFINITY
  readonly rotation: Rotation
  /** It holds no descriptors and no files; its readers remember their places. */
  asleep = false
  /** What is seen of it while it sleeps, and was last. */
  readonly sleeping: Asleep
  /** Monotonic ms since which it waits for descriptors; null: it does not. */
  waitingSince: number | null = null
  /** Monotonic ms since which there was something to do when it was woken last; infinite when it was never woken. */
  wantedSince = Number.POSITIVE_INFINITY
  /** All that was there at some time since it was woken is, or was, open: what is missing came later. */
  wasWhole = false
  readonly #deps: LineageDeps
  readonly #listing: Listing
  readonly #reports: Reports
  readonly #files: Files
  readonly #openings: Openings
  readonly #meeting: Meeting
  readonly #placing: Placing
  #version = -1
  /** Monotonic ms since which some part of the listing has failed; null when the last one was complete. */
  #incompleteSince: number | null = null
  #retryAt = Number.NEGATIVE_INFINITY

  constructor(info: LineageInfo, listing: Listing, roots: readonly string[], deps: LineageDeps) {
    this.info = info
    this.#listing = listing
    this.#deps = deps
    this.#reports = new Reports(info, deps.events, deps.counters)
    this.#files = new Files(deps, this.#reports)
    this.#files.onCut = (file, sizeNow) => this.truncated(file, sizeNow)
    this.files = this.#files.list
    this.#openings = new Openings(this.#files, roots, this.#reports, deps)
    this.#placing = new Placing(this.files)
    this.sleeping = new Asleep(listing, deps.fs)
    this.rotation = new Rotation(deps.habit ?? { sizeBytes: null, filesMax: null }, this.activeAt)
    const { users, rotation } = this
    const parts = { files: this.#files, openings: this.#openings, placing: this.#placing, reports: this.#reports }
    const mayBeCopied = info.podUid === ''
    this.#meeting = new Meeting({ ...parts, clock: deps.clock, listing, rotation, users, mayBeCopied })
  }

  /** Monotonic ms: when any file last grew or came. */
  get activeAt(): number {
    return this.#files.activeAt
  }

  /** A file could not be opened, for there was no descriptor for it. */
  get starved(): boolean {
    return this.#openings.starved
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
          const { errors } = this.#reports
          const isScarce = this.wantedSince < Number.POSITIVE_INFINITY
          const complete = this.#meeting.takeIn(this.looked, isScarce, (at) => this.#noteRotation(at))
          // A directory that moves is listed again soon, however long it has been moving.
          if (this.#reports.errors === errors && !this.starved) this.#incompleteSince = null
          if (complete) this.#version = version
          this.#noteComplete(complete, now)
        } else this.#placing.allPlaced() // nothing has moved since all of it was met
        if (!this.looked) this.rotation.guess(this.files)
        this.looked = true
      } catch (error) {
        this.#reports.failed(this.info.path, 'readdir', error)
        this.#placing.noteUnlisted(now)
        this.#noteComplete(false, now)
      }
    }
    this.rotation.written.add(this.#files.takeGrown(), now)
    for (const user of this.users) user.looked()
  }

  /** Looks at the files that are open. */
  measure(): void {
    this.#files.measureAll()
  }

  /** Looks at a file that was found empty. */
  lookInto(file: TailedFile): void {
    this.#files.measure(file)
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
    this.sleeping.begin(this.files.at(-1), this.looked)
    this.#files.known.letGo((original) => original.linked && this.files.includes(original))
    this.close()
    this.asleep = true
    this.looked = false
    this.wasWhole = false
    this.#version = -1
    this.#incompleteSince = null
    this.#placing.clear()
  }

  /** Whether something may have changed since it fell asleep: two or three stats. Keeps account of what came. */
  stirs(): boolean {
    try {
      return this.sleeping.hasNews() || this.#knownChanged(this.#deps.clock.monotonic())
    } catch {
      return true // whoever looks meets the same error, and tells it
    }
  }

  /** Opens what is there, or what could not be opened before. */
  wake(): void {
    const now = this.#deps.clock.monotonic()
    if (this.asleep) this.#files.grew(this.sleeping.bytes)
    this.asleep = false
    this.wantedSince = this.waitingSince ?? now
    this.waitingSince = null
    this.#retryAt = Number.NEGATIVE_INFINITY
    this.look()
    if (this.sleeping.wasRotated) this.#noteRotation(now)
    this.sleeping.wasRotated = false
  }

  /** Whether `files` holds all there is, or has had time enough to: a place of long ago may be searched for in it. */
  get settled(): boolean {
    // A place is searched for among all files, however long it takes until there are descriptors for them.
    if (this.starved && this.users.some((user) => user.isSearching)) return false
    if (!this.looked) return false
    return this.#placing.isSettled(this.#deps.clock.monotonic())
  }

  /** Whether what `next` says is so: no file that is not known yet can come between. */
  isNextCertain(file: TailedFile): boolean {
    const { files } = this
    const index = files.indexOf(file) + 1
    return index === files.length ? this.settled : this.#isPlaced(index)
  }

  /** Whether what is in the file now can be begun: nothing that was in it before can turn up yet. */
  isCertain(file: TailedFile): boolean {
    return file.filled !== true || this.#isPlaced(this.files.indexOf(file))
  }

  /** Whether all files before this one are known. */
  #isPlaced(index: number): boolean {
    for (let i = index; i < this.files.length; i++) if (this.files[i]?.placed) return true
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
      const left = this.users.map((user) => user.leftAt(file)).filter((offset) => offset !== undefined)
      this.#files.finish(file, left)
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
    const nothing = { sequence: 0, sizeSeen: 0, begin: 0, head: NO_HEAD, marks: null }
    const fresh: TailedFile = { ...file, ...nothing, grewAt: this.#deps.clock.monotonic() }
    // What comes before it from now on does not come before what was.
    if (file.unopenedBefore !== undefined) fresh.unopenedBefore = new Set(file.unopenedBefore)
    file.gone = 'truncated'
    file.fd = -1
    file.linked = false
    if (index < 0) return // the lineage is closed
    this.#files.headHolds(fresh)
    // Files that turned up behind the live one while it was read are copies that were made since: older than what is in it now.
    const after = this.files.slice(index + 1)
    const isNewer = ({ order: { rank } }: TailedFile) => file.order.rank !== LIVE || rank === LIVE
    const made = after.splice(0, after.findIndex(isNewer) < 0 ? after.length : after.findIndex(isNewer))
    const copy = this.#openings.openCopyOf(file, this.#listing)
    if (copy === 'later') {
      fresh.placed = false
      this.#files.known.forgetCopiesOf(file)
    } else if (copy !== null) made.push(copy)
    made.sort((a, b) => compareOrder(a.order, b.order))
    // The size that was seen may be that of what is in it now, if that is so large; the copy's is that of what was.
    const [first] = made
    const mayBeOfNow = isOutgrown && sizeNow >= file.sizeSeen
    if (mayBeOfNow && first?.compressed === false && isLikeCopy(first, file)) {
      file.sizeSeen = Math.min(file.sizeSeen, first.sizeSeen)
    }
    this.files.splice(index + 1, Number.POSITIVE_INFINITY, ...made, fresh, ...after)
    this.#files.renumber(index + 1)
    this.#files.activeAt = this.#deps.clock.monotonic()
    this.#version = -1
  }

  /**
   * Puts files in the order in which they were read or seen, whatever their names tell: those of times lie when the clock was
   * set back. False: that would be another order, and a reader that is among them goes by the one that there is.
   */
  arrange(inOrder: readonly TailedFile[]): boolean {
    for (const [i, file] of inOrder.entries()) {
      const before = inOrder[i - 1]
      if (before === undefined || before.sequence <= file.sequence) continue
      const isAmong = ({ current, oldestNeeded }: FileUser) =>
        current !== null && current.sequence >= file.sequence && (oldestNeeded ?? current).sequence <= before.sequence
      if (this.users.some(isAmong)) return false
      this.files.splice(this.files.indexOf(file), 1)
      this.files.splice(this.files.indexOf(before) + 1, 0, file)
      this.#files.renumber(this.files.indexOf(file))
    }
    return true
  }

  /** Whether the file is open and not empty, so that it can be known again. */
  hasHead(file: TailedFile): boolean {
    if (file.fd < 0) return false
    // It was empty when it was last looked at, and may have been read since.
    if (file.head.bytes === 0) this.#files.headHolds(file)
    return file.head.bytes > 0
  }

  /**
   * Puts a file without a byte in the place of files that are all gone, so that a reader can begin there and tell what a
   * checkpoint says of them. `path` is the last one's.
   */
  standIn(path: string): void {
    const now = this.#deps.clock.monotonic()
    const nothing = { fd: -1, dev: 0, ino: 0, sizeSeen: 0, begin: 0, mtimeMs: 0, head: NO_HEAD, marks: null }
    const seen = { linked: false, met: false, grewAt: now, supersededAt: now, unlinkedAt: now, gone: 'deleted' }
    const order = { restart: 0, rank: LIVE }
    this.files.push({
      ...nothing,
      ...seen,
      sequence: this.#files.nextSequence,
      path,
      compressed: false,
      order,
      placed: true,
    })
    this.looked = true
  }

  /** A file has at least so many bytes: should they vanish, they are lost. */
  sawBytes(file: TailedFile, bytes: number): void {
    this.#files.sawBytes(file, bytes)
  }

  /** Closes a file that cannot be held any longer; readers before its end record a gap with this cause. */
  giveUp(file: TailedFile, cause: string): void {
    this.#files.close(file)
    file.gone = cause
  }

  close(): void {
    for (const file of this.files) this.#files.close(file)
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

  /** Whether a finished file that is still listed has changed: some go on writing to a file that was renamed long ago. */
  #knownChanged(now: number): boolean {
    return this.#files.known.changed(now, this.#deps.fs, (path, error) => this.#reports.failed(path, 'stat', error))
  }

  #noteRotation(now: number): void {
    if (!this.looked) return
    this.#deps.counters.rotations++
    this.rotationIntervalMs = now - this.rotatedAt
    this.rotatedAt = now
    const { source, key, path } = this.info
    this.#deps.events.emit('file.rotated', { source, path, lineage: key })
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
}
