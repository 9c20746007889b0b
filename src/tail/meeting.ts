// Takes in what is listed: which names lead to files that are open, which files are new, and where each belongs among the
// others. Invariant: a file that cannot be met now is not gone, and none is put before one that some reader has begun. Owns
// nothing: files.ts holds the files, placing.ts what is not certain of them. Bound: a stat for each name, two when a place is
// searched for.
import { compareOrder, hasPlaceForEver, LIVE } from '../discover/names.ts'
import type { Clock } from '../ports/clock.ts'
import type { FileStat } from '../ports/fs.ts'
import type { Candidate, Listing } from './candidates.ts'
import { isLikeCopy } from './copies.ts'
import type { TailedFile } from './file.ts'
import type { FileUser } from './file-user.ts'
import { type Files, NO_HEAD } from './files.ts'
import { identity } from './finished.ts'
import type { Openings } from './openings.ts'
import type { Placing } from './placing.ts'
import type { Reports } from './reports.ts'
import type { Rotation } from './rotation.ts'

/** A file with a successor that holds something is not written any more when it has not been for so long. */
const MOVED_ON_MS = 1000
/** So much is remembered of what came before a file and could not be opened. */
const UNOPENED_MAX = 256

export interface MeetingDeps {
  clock: Clock
  listing: Listing
  reports: Reports
  rotation: Rotation
  files: Files
  openings: Openings
  placing: Placing
  users: readonly FileUser[]
  /** Files may be copied and cut: no runtime does that to the log of a container. */
  mayBeCopied: boolean
}

export class Meeting {
  readonly #deps: MeetingDeps
  readonly #list: TailedFile[]

  constructor(deps: MeetingDeps) {
    this.#deps = deps
    this.#list = deps.files.list
  }

  /**
   * Takes in the listing; false when something failed and it should be done again. `looked`: it has been taken in before.
   * `isScarce`: there are fewer descriptors than files. `onNew`: a file came that nobody had seen.
   */
  takeIn(looked: boolean, isScarce: boolean, onNew: (now: number) => void): boolean {
    const { clock, listing, reports, rotation, users, placing, openings } = this.#deps
    const now = clock.monotonic()
    const listed = new Set<string>()
    const present = new Set<TailedFile>()
    const fresh: TailedFile[] = []
    const { known } = this.#deps.files
    placing.begin()
    const pathsBefore = new Map(this.#list.filter(({ placed }) => !placed).map((file) => [file, file.path]))
    let complete = true
    let failed = false
    openings.starved = false
    openings.opening = 0
    const candidates = listing.candidates()
    const led = new Map<string, string>()
    let unmetLive: Candidate | null = null
    const unopened: { candidate: Candidate; stat: FileStat; id: string }[] = []
    for (const candidate of candidates) {
      const stat = openings.statOf(candidate)
      led.set(candidate.path, identityOf(stat))
      if (stat === 'later') {
        complete = false
        failed = true
        if (isLive(candidate)) unmetLive = candidate
        if (!this.#hadName(candidate)) placing.noteUnknown(candidate.path, candidate.order, now)
      }
      if (stat === null || stat === 'later') continue
      const id = identity(stat.dev, stat.ino)
      listed.add(id)
      const open = this.#list.find((file) => file.fd >= 0 && file.dev === stat.dev && file.ino === stat.ino)
      if (open !== undefined) {
        open.path = candidate.path
        open.order = candidate.order
        this.#noteRankBefore(open, candidates)
        present.add(open)
      } else if (!known.has(id, candidate, stat)) unopened.push({ candidate, stat, id })
    }
    const isBlind = placing.isBlind(present, now, () => failed || !this.#leads(led))
    if (isBlind) {
      complete = false
      failed = true
    }
    const late: { candidate: Candidate; content: string }[] = []
    for (const { candidate, stat, id } of unopened) {
      if (isBlind) {
        placing.noteUntried(candidate.path, candidate.order, now)
        continue
      }
      if (openings.isTwin(candidate, present, fresh)) {
        this.#deps.files.remember(id, NO_HEAD, candidate, stat, '', null)
        continue
      }
      const file = openings.open(candidate)
      if (file === 'later') {
        complete = false
        if (isLive(candidate)) unmetLive = candidate
        placing.noteUnknown(candidate.path, candidate.order, now)
        late.push({ candidate, content: contentOf(stat) })
      } else if (file !== null) {
        listed.add(identity(file.dev, file.ino))
        this.#noteRankBefore(file, candidates)
        fresh.push(file)
        openings.opening = fresh.length
      }
    }
    this.#passNames(present)
    for (const { candidate, content } of late) {
      for (const file of [...present, ...fresh]) {
        if (compareOrder(candidate.order, file.order) < 0) noteUnopened(file, content)
      }
    }
    // A name that could not be looked at says nothing about what it led to before.
    if (complete) known.forgetUnlisted(listed)
    reports.forgetUnlisted(candidates)
    for (const file of this.#list) {
      file.met = present.has(file)
      const linked = present.has(file) || (file.fd >= 0 && listed.has(identity(file.dev, file.ino)))
      if (failed && !linked) continue
      if (file.linked && !linked) file.unlinkedAt = now
      if (linked) file.unlinkedAt = null
      file.linked = linked
    }
    // What has been open is compared with each file that is met; only at first nothing is.
    const isFirst = this.#deps.mayBeCopied && this.#list.every(({ fd, compressed }) => fd < 0 || compressed)
    const unmet = isFirst && unmetLive !== null && placing.isAwaited(unmetLive.path, now) ? unmetLive : null
    const unsure = openings.dropCopies(fresh, unmet)
    if (unsure !== null) {
      complete = false
      placing.noteUnknown(unsure.path, unsure.order, now)
    }
    for (const file of fresh) this.#insert(file, present, listed, looked)
    if (fresh.length > 0) for (const user of users) user.filesCame()
    openings.opening = 0
    if (fresh.some((file) => file.begin === 0)) onNew(now)
    for (const [index, file] of this.#list.entries()) {
      if (index === this.#list.length - 1 || file.supersededAt !== null) continue
      file.supersededAt = now
      if (isScarce) this.#noteMovedOn(file, this.#list[index + 1] as TailedFile)
      if (!file.compressed) rotation.superseded(file.sizeSeen)
    }
    if (complete) rotation.listed(candidates)
    placing.place(pathsBefore, present, now)
    // Between a listing and a look at each of its names files are renamed and compressed, and one of them may be met under
    // no name; a reader that has a place to find must not miss it.
    const isSearched = users.some((user) => user.current === null)
    const stillLeads = complete && (!isSearched || this.#leads(led))
    if (isSearched && stillLeads) placing.allPlaced()
    if (complete && !stillLeads) placing.noteUnknown('', null, now)
    placing.end()
    return stillLeads
  }

  /** What was cut while copies were looked for has left its name to what is in it now. */
  #passNames(present: Set<TailedFile>): void {
    for (const { dev, ino, gone } of [...present]) {
      if (gone === null) continue
      for (const file of this.#list) {
        if (file.dev !== dev || file.ino !== ino) continue
        if (file.fd >= 0) present.add(file)
        else present.delete(file)
      }
    }
  }

  #noteRankBefore(file: TailedFile, candidates: readonly Candidate[]): void {
    const { restart, rank } = file.order
    if (rank !== LIVE) return
    const before = candidates.findLast(({ order }) => order.restart === restart && hasPlaceForEver(order))
    file.rankBefore = before?.order.rank ?? ''
  }

  /** Whether what the candidate's name leads to is known from an earlier look: it is one file's for ever. */
  #hadName({ path, order }: Candidate): boolean {
    if (!hasPlaceForEver(order)) return false
    if (this.#list.some((file) => file.fd >= 0 && file.path === path)) return true
    return this.#deps.files.known.hasPath(path)
  }

  /** Where descriptors are short, a file whose writer has moved on, as the times of writing tell, is not waited for. */
  #noteMovedOn(file: TailedFile, next: TailedFile): void {
    if (file.compressed || next.sizeSeen === 0) return
    if (this.#deps.clock.now() - file.mtimeMs < MOVED_ON_MS) return
    file.supersededAt = Number.NEGATIVE_INFINITY
    file.grewAt = Number.NEGATIVE_INFINITY
  }

  /** Whether the names are still the same and lead where they led. */
  #leads(led: ReadonlyMap<string, string>): boolean {
    const { listing, openings } = this.#deps
    listing.version()
    const candidates = listing.candidates()
    if (candidates.length !== led.size) return false
    return candidates.every((candidate) => led.get(candidate.path) === identityOf(openings.statOf(candidate)))
  }

  /** `present`: the files whose names were met in this look, this one's from now on; `listed`: all that names led to. */
  #insert(file: TailedFile, present: Set<TailedFile>, listed: ReadonlySet<string>, looked: boolean): void {
    const byName = this.#indexByName(file, present, listed, looked)
    present.add(file)
    const begun = this.#newestBegun()
    const original = this.#originalOf(file)
    let index: number
    if (original !== null) index = this.#indexBehindOriginal(original, byName, begun)
    else {
      // Nothing comes between a file that was cut and its copy.
      const [before, after] = [this.#list[byName - 1], this.#list[byName]]
      index = before !== undefined && after !== undefined && isLikeCopy(after, before) ? byName - 1 : byName
    }
    if (begun !== null) index = Math.max(index, this.#indexBehind(begun))
    this.#list.splice(index, 0, file)
    this.#deps.files.renumber(0)
    if (looked && !file.compressed) this.#deps.files.grew(file.sizeSeen - file.begin)
    this.#deps.files.activeAt = this.#deps.clock.monotonic()
  }

  /** Before the first file that is known to be later. Files whose names are gone were seen before this one came, unless they follow one that is later. */
  #indexByName(
    file: TailedFile,
    present: ReadonlySet<TailedFile>,
    listed: ReadonlySet<string>,
    looked: boolean,
  ): number {
    let index = this.#list.length
    for (let i = this.#list.length - 1; i >= 0; i--) {
      const other = this.#list[i] as TailedFile
      // Where it has no name, its compressed form may have one.
      const form = present.has(other) ? null : this.#deps.files.known.formOf(other, listed)
      const isPlaced = form !== null || present.has(other) || hasPlaceForEver(other.order) || !looked
      if (isPlaced && compareOrder(form ?? other.order, file.order) <= 0) break
      const wasBefore = wasThereBefore(file, other) || other.unopenedBefore?.has(contentOf(file)) === true
      if (isPlaced || wasBefore) index = i
    }
    return index
  }

  /** The file that was cut of which this is likely to be the copy, if that is not there yet. */
  #originalOf(file: TailedFile): TailedFile | null {
    const isWithoutCopy = (cut: TailedFile, i: number) => {
      const next = this.#list[i + 1]
      return isLikeCopy(file, cut) && (next === undefined || !isLikeCopy(next, cut))
    }
    return this.#list.findLast(isWithoutCopy) ?? null
  }

  /**
   * Where the copy of a file that was cut comes: right behind that, and before what is in it now, though the name of that may not
   * have been met. What lies between by its name, and is not begun, comes before both.
   */
  #indexBehindOriginal(original: TailedFile, byName: number, begun: TailedFile | null): number {
    const list = this.#list
    const at = list.indexOf(original)
    const now = list.findIndex(({ dev, ino }, i) => i > at && dev === original.dev && ino === original.ino)
    const index = now < 0 ? byName : Math.min(byName, now)
    if (index <= at + 1 || (begun !== null && begun.sequence >= original.sequence)) return at + 1
    list.splice(at, 1)
    list.splice(index - 1, 0, original)
    return index
  }

  /** Where what is met late comes: behind the copy, too, when the file was cut. */
  #indexBehind(begun: TailedFile): number {
    const index = this.#list.indexOf(begun) + 1
    const next = this.#list[index]
    return next !== undefined && isLikeCopy(next, begun) ? index + 1 : index
  }

  /** The newest file that some reader has begun; what is met later cannot come before it. */
  #newestBegun(): TailedFile | null {
    let newest: TailedFile | null = null
    for (const user of this.#deps.users) {
      const file = user.begun
      if (file !== null && (newest === null || file.sequence > newest.sequence)) newest = file
    }
    return newest
  }
}

/** Notes what came before a file and could not be opened. While somebody writes to it there is another content at each look. */
function noteUnopened(file: TailedFile, content: string): void {
  file.unopenedBefore ??= new Set()
  file.unopenedBefore.add(content)
  const [oldest] = file.unopenedBefore
  if (file.unopenedBefore.size > UNOPENED_MAX && oldest !== undefined) file.unopenedBefore.delete(oldest)
}

function isLive({ order, compressed }: Candidate): boolean {
  return order.rank === LIVE && !compressed
}

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
