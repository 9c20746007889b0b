// How a name becomes a file of its lineage: what it leads to, whether that is a file that we have, had, or have a copy of,
// and how much of it was read before. Invariant: nothing is taken for another file by its name or number alone; what cannot be
// told now is 'later', never a guess. Owns no files: what it opens belongs to whoever called (files.ts).
import { errorCode } from '../core/errors.ts'
import { compareOrder, type FileOrder, hasPlaceForEver, isUnique, LIVE } from '../discover/names.ts'
import type { FileStat } from '../ports/fs.ts'
import type { Candidate, Listing } from './candidates.ts'
import { mayBeCopy } from './copies.ts'
import type { Descriptors } from './descriptors.ts'
import {
  gzipContentBytes,
  type Head,
  headMatcher,
  insist,
  isBeginningOf,
  isCompressionOf,
  isCopyOf,
  readHead,
  readHeadAndSize,
  readWitness,
  sameHead,
  type TailedFile,
} from './file.ts'
import type { Files, FilesDeps } from './files.ts'
import { type FinishedFile, identity } from './finished.ts'
import { openGuarded } from './guard.ts'
import type { Reports } from './reports.ts'

/** What stands in a name for bytes that are no text; by that name nothing is found. */
const NOT_TEXT = '\ufffd'

export class Openings {
  /** A file could not be opened, for there was no descriptor for it. */
  starved = false
  /** Files that the look that is under way has opened. */
  opening = 0
  readonly #deps: FilesDeps
  readonly #files: Files
  readonly #reports: Reports
  readonly #roots: readonly string[]

  constructor(files: Files, roots: readonly string[], reports: Reports, deps: FilesDeps) {
    this.#files = files
    this.#roots = roots
    this.#reports = reports
    this.#deps = deps
  }

  /** What a candidate's name leads to. null: nothing, or nothing that may be read; 'later': it cannot be told now. */
  statOf(candidate: Candidate): FileStat | 'later' | null {
    const { fs } = this.#deps
    try {
      const stat = fs.stat(candidate.path)
      if (stat !== null) return stat
      if (fs.lstat(candidate.path) === null) {
        if (candidate.path.includes(NOT_TEXT)) this.#reports.refused(candidate.path, 'its name is not valid UTF-8')
        // Renamed since it was listed: what it led to is not gone, it has another name.
        return 'later'
      }
      this.#reports.refused(candidate.path, 'it is a link that leads nowhere')
      return null
    } catch (error) {
      if (errorCode(error) === 'ELOOP') {
        this.#reports.refused(candidate.path, 'its links go round in a circle')
        return null
      }
      this.#reports.failed(candidate.path, 'stat', error)
      return 'later'
    }
  }

  /** Whether it is the compressed form, finished or in the making, of a plain file that we have, by its name. */
  isTwin(candidate: Candidate, present: ReadonlySet<TailedFile>, fresh: readonly TailedFile[]): boolean {
    if (!candidate.compressed) return false
    const { order } = candidate
    const twin = (each: { compressed: boolean; order: FileOrder }) =>
      !each.compressed && compareOrder(each.order, order) === 0
    if (fresh.some(twin)) return true
    // Of a number only the name that is there now tells.
    const unique = isUnique(order.rank)
    if (this.#files.list.some((file) => file.gone === null && twin(file) && (unique || present.has(file)))) return true
    return unique && this.#files.known.hasPlain(order)
  }

  /** Opens a candidate. null: not to be read; 'later': it could not be opened now. */
  open(candidate: Candidate): TailedFile | 'later' | null {
    const { fs, gunzip, clock, descriptors } = this.#deps
    if (descriptors?.isFull && !this.#isAlone(descriptors)) {
      this.starved = true
      return 'later'
    }
    const opened = openGuarded(fs, candidate.path, this.#roots)
    if (opened.kind === 'missing') return 'later'
    if (opened.kind === 'refused') {
      this.#reports.refused(candidate.path, opened.reason)
      return null
    }
    if (opened.kind === 'failed') {
      this.#reports.failed(candidate.path, opened.operation, opened.error)
      return 'later'
    }
    const { fd, stat } = opened
    this.#files.noteOpened()
    let head: Head
    let seenBytes: number
    let begin: number
    try {
      ;[head, seenBytes] = readHeadAndSize(fs, fd, candidate.compressed, gunzip)
      begin = this.#readBefore(fd, stat, candidate, head)
      if (begin < 0) {
        this.#files.closeFd(fd)
        return null
      }
    } catch (error) {
      this.#files.closeFd(fd)
      this.#reports.failed(candidate.path, 'read', error)
      return 'later'
    }
    this.#reports.opened(candidate.path)
    const id = identity(stat.dev, stat.ino)
    // Another one that has lost its number with its last name may turn up yet, compressed or as a copy.
    if (begin === 0) this.#files.known.move(id)
    else this.#files.known.delete(id)
    return {
      sequence: 0,
      path: candidate.path,
      dev: stat.dev,
      ino: stat.ino,
      fd,
      compressed: candidate.compressed,
      order: candidate.order,
      linked: true,
      met: true,
      placed: false,
      sizeSeen: Math.max(stat.size, seenBytes),
      begin,
      mtimeMs: stat.mtimeMs,
      head,
      marks: null,
      grewAt: clock.monotonic(),
      supersededAt: null,
      unlinkedAt: null,
      gone: null,
    }
  }

  /** Nobody else has a descriptor: a lineage of more files than there may be open takes of what is kept for other things. */
  #isAlone({ open }: Descriptors): boolean {
    return open <= this.#files.list.length + this.opening
  }

  /** How much of a newly opened file was read before, under this name or another; -1 when all of it was or will be. */
  #readBefore(fd: number, stat: FileStat, candidate: Candidate, head: Head): number {
    const { fs, gunzip } = this.#deps
    const { compressed } = candidate
    const id = identity(stat.dev, stat.ino)
    const known = this.#files.known.get(id)
    if (
      known !== undefined &&
      known.copyOf === null &&
      stat.size >= known.size &&
      known.witness !== '' &&
      sameHead(fs, fd, compressed, gunzip, head, known.head) &&
      readWitness(fs, fd, known.size) === known.witness
    ) {
      if (stat.size > known.size) return known.size
      this.#files.remember(id, head, candidate, stat, known.witness, null)
      return -1
    }
    const original = this.#originalOf(fd, candidate, head)
    if (original === null) return this.#files.isOpen(id) ? -1 : 0
    this.#files.remember(id, head, candidate, stat, '', 'sequence' in original ? original : null)
    return -1
  }

  /** The file of which a newly met rotated file is a copy (copytruncate, compression that we did not see), or null. */
  #originalOf(fd: number, candidate: Candidate, head: Head): TailedFile | FinishedFile | null {
    if (candidate.order.rank === LIVE) return null
    const { fs, gunzip } = this.#deps
    const { compressed } = candidate
    const same = headMatcher(fs, fd, compressed, gunzip, head)
    // Files may begin alike: more than the head must agree.
    for (const file of [...this.#files.list]) {
      if (file.gone !== null || file.compressed) continue
      // Empty, or it could not be read, when it was looked at: what is in it now tells what this is. There may be many.
      if (file.head.bytes === 0 && (compressed || file.order.rank === LIVE)) insist(() => this.#files.takeHead(file))
      if (!same(file.head)) {
        const isCutOff = () => fs.fstat(file.fd).nlink === 0 && isBeginningOf(fs, fd, gunzip, file.fd)
        if (compressed && insist(isCutOff)) return file
        continue
      }
      const { size } = fs.fstat(file.fd)
      let isForm: boolean
      try {
        isForm = compressed ? isCompressionOf(fs, fd, gunzip, file.fd) : isCopyOf(fs, fd, file.fd, size)
      } catch (error) {
        if (this.#files.headHolds(file)) this.#files.sawBytes(file, size)
        throw error
      }
      if (isForm) {
        this.#files.sawBytes(file, size)
        // Its compressed form has the name that it had itself in the end.
        const isNamed = compressed && !hasPlaceForEver(file.order) && hasPlaceForEver(candidate.order)
        if (isNamed && fs.fstat(file.fd).nlink === 0) file.order = candidate.order
        return file
      }
      // Cut since it was looked at: this is its copy, and takes its place then.
      if (size >= file.sizeSeen && this.#files.takeHead(file)) continue
      this.#files.onCut(file, size)
      return null
    }
    return compressed ? this.#finishedFormOf(fd, same) : null
  }

  /** The file that was read of which this is the compressed form. */
  #finishedFormOf(fd: number, same: (known: Head) => boolean): FinishedFile | null {
    const bytes = gzipContentBytes(this.#deps.fs, fd)
    for (const known of this.#files.known.all()) {
      if (!known.compressed && known.size % 2 ** 32 === bytes && same(known.head)) return known
    }
    return null
  }

  /** The file, open or read, of which this is the compressed form by more than its head. */
  #plainFormOf(fd: number, head: Head): TailedFile | FinishedFile | null {
    const { fs, gunzip } = this.#deps
    const same = headMatcher(fs, fd, true, gunzip, head)
    for (const file of this.#files.list) {
      if (file.gone !== null || file.compressed || !same(file.head)) continue
      if (isCompressionOf(fs, fd, gunzip, file.fd)) return file
    }
    return this.#finishedFormOf(fd, same)
  }

  /**
   * Of two files that are met at once one may be the copy of the other that logrotate has just made and is about to cut:
   * the copy is remembered, for when that is done. What was cut a moment ago is seen as it is now. Returns a file that
   * may be one, which cannot be told now: it is closed, to be met again. `unmet`: the live file, where it could not be opened.
   */
  dropCopies(fresh: TailedFile[], unmet: Candidate | null): TailedFile | null {
    const { fs, gunzip } = this.#deps
    if (unmet !== null) {
      const newest = fresh.findLast(({ order }) => order.restart === unmet.order.restart) ?? null
      if (newest === null || newest.compressed || newest.sizeSeen === 0) return null
      this.#leaveOut(fresh, newest)
      return newest
    }
    const live = fresh.at(-1)
    const copy = fresh.at(-2)
    if (live === undefined || copy === undefined || live.order.rank !== LIVE || live.compressed || copy.compressed)
      return null
    try {
      if (copy.sizeSeen === 0 || !sameHead(fs, copy.fd, false, gunzip, copy.head, live.head)) return null
      const { size } = fs.fstat(live.fd)
      if (size < live.sizeSeen) {
        if (copy.sizeSeen < live.sizeSeen) return null
        live.sizeSeen = size
        live.head = readHead(fs, live.fd, false, gunzip)
      } else {
        live.sizeSeen = size
        if (isCopyOf(fs, copy.fd, live.fd, size)) {
          this.#files.remember(
            identity(copy.dev, copy.ino),
            copy.head,
            copy,
            { ...copy, size: copy.sizeSeen },
            '',
            live,
          )
          this.#leaveOut(fresh, copy)
        }
      }
    } catch (error) {
      this.#reports.failed(live.path, 'read', error)
      this.#leaveOut(fresh, copy)
      return copy
    }
    return null
  }

  #leaveOut(fresh: TailedFile[], file: TailedFile): void {
    this.#files.closeFd(file.fd)
    fresh.splice(fresh.indexOf(file), 1)
  }

  /**
   * The copy that was made of a file before it was truncated: the oldest that is not known, for newer ones may begin alike.
   * 'later': it may be one that could not be looked at now; the next listing meets it.
   */
  openCopyOf(original: TailedFile, listing: Listing): TailedFile | 'later' | null {
    let isCertain = true
    try {
      listing.version()
      for (const candidate of listing.candidates()) {
        if (candidate.order.rank === LIVE) continue
        const copy = this.#openIfCopy(candidate, original)
        if (copy === 'later') isCertain = false
        else if (copy !== null) return copy
      }
    } catch (error) {
      this.#reports.failed(this.#reports.path, 'readdir', error)
      isCertain = false
    }
    return isCertain ? null : 'later'
  }

  #openIfCopy(candidate: Candidate, original: TailedFile): TailedFile | 'later' | null {
    const { fs, gunzip, clock, descriptors } = this.#deps
    const stat = this.statOf(candidate)
    if (stat === null || stat === 'later') return stat
    const id = identity(stat.dev, stat.ino)
    if (!mayBeCopy({ ...stat, order: candidate.order, gone: null }, original) || this.#files.isOpen(id)) return null
    const known = this.#files.known.get(id)
    const isSame = known?.size === stat.size && known.mtimeMs === stat.mtimeMs
    if (known !== undefined && isSame && known.copyOf !== original) return null
    if (descriptors?.isExhausted) return null
    const opened = openGuarded(fs, candidate.path, this.#roots)
    if (opened.kind === 'failed') this.#reports.failed(candidate.path, opened.operation, opened.error)
    if (opened.kind !== 'opened') return opened.kind === 'refused' ? null : 'later'
    const { path, compressed, order } = candidate
    const { fd } = opened
    this.#files.noteOpened()
    const { dev, ino, size, mtimeMs } = opened.stat
    let head: Head | 'later' | null = null
    try {
      head = readHead(fs, fd, compressed, gunzip)
      // Of a first line that was not whole there is little to know a copy by.
      const isAlike = sameHead(fs, fd, compressed, gunzip, head, original.head)
      if (!isAlike || (compressed && this.#plainFormOf(fd, head) !== null)) head = null
    } catch (error) {
      this.#reports.failed(path, 'read', error)
      head = 'later'
    }
    if (head === null || head === 'later') {
      this.#files.closeFd(fd)
      return head
    }
    if (isSame) this.#files.known.delete(id)
    else this.#files.known.move(id)
    const now = clock.monotonic()
    const file = { path, compressed, order, dev, ino, mtimeMs, head, fd, sizeSeen: size, sequence: 0, begin: 0 }
    return {
      ...file,
      marks: null,
      linked: true,
      met: true,
      placed: true,
      grewAt: now,
      supersededAt: now,
      unlinkedAt: null,
      gone: null,
    }
  }
}
