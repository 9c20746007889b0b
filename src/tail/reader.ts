// A reader: one sink's place in one lineage. It turns blocks of files into entries, in order, and knows from where to
// begin again. Three places matter: `offset` (read so far), the committed snapshot (acknowledged: where a rewind or a
// restart begins) and, between them, what was acknowledged already for one source stream. The block is the caller's and
// is used only during `fill`; nothing but open partial lines is held between two calls.
import { basename } from 'node:path'
import { Continuity, type ContinuityState } from '../audit/continuity/continuity.ts'
import type { FilterOptions } from '../audit/filter.ts'
import { AuditLines } from '../audit/lines.ts'
import type { Position } from '../checkpoint/position.ts'
import { MARK_PARTIAL_OPEN, STDOUT } from '../core/entry.ts'
import type { Events } from '../core/events.ts'
import type { Amount, Ledger } from '../core/ledger.ts'
import type { ContinuityStatus } from '../core/status.ts'
import { compareOrder, hasPlaceForEver, kubeletSibling } from '../discover/names.ts'
import type { MultilineConfig } from '../parse/multiline.ts'
import type { Clock } from '../ports/clock.ts'
import type { ReadFileSystem } from '../ports/fs.ts'
import type { Gunzip } from '../ports/gunzip.ts'
import { Account } from './account.ts'
import { bytesInCopy, readTail, type Witness } from './copies.ts'
import { insistOnWitness, lastLineStart, readFirstTime, type TailedFile, takeHead, WITNESS_BYTES } from './file.ts'
import type { FileUser } from './file-user.ts'
import { Forecast } from './forecast.ts'
import { type DroppedRange, decideGap, type Gap, type Hole } from './gap.ts'
import { GzipReader, WAIT } from './gzip.ts'
import type { Lineage } from './lineage.ts'
import { Lines } from './lines.ts'
import { type Acked, AT_CUT, AT_END, OVERLAP_BYTES, type Place, type Snapshot } from './place.ts'
import { comesBefore, findResumption, holeOf, type Missing, type Resumption } from './resume.ts'
import { SeenFiles } from './seen-files.ts'
import type { EntryWriter } from './writer.ts'

export type { EntryWriter } from './writer.ts'

/** A superseded file is finished when it has been at its end for this long since its successor came. */
const SUPERSEDED_GRACE_MS = 1000
const UNLINKED_GRACE_MS = 5000
/** After a failed read; a compressed file that ends too early is being written for so long. */
const RETRY_MS = 1000
const GROWING_GZIP_MS = 2000
/** For so long a place is searched for in files that cannot be read. */
const SEARCH_MS_MAX = 10_000
/** A record of several lines is whole when nothing came for so long. */
const RECORD_QUIET_MS = 1000
/** The least that is read at once; a line that is not whole in what was read then is taken in pieces. */
const PIECE_BYTES_MIN = 128 * 1024
/** Committed places that are remembered. */
const WITNESSES = 4
const NO_GAPS: readonly Gap[] = []
const CAUSE_ASLEEP = 'gone or replaced while there was no descriptor for it'
/** full: the writer has no room; dry: nothing more to read now; wait: decompression is under way, `wake` is called. */
export type FillEnd = 'full' | 'dry' | 'wait'

export interface ReaderOptions {
  sink: string
  format: 'container' | 'plain'
  startAt: 'beginning' | 'end'
  /** Milliseconds, null: off. */
  startAgeMax: number | null
  lineBytesMax: number
  /** Of an audit log: what is kept of it. */
  audit?: Pick<FilterOptions, 'policy' | 'mask'> & { isSpool?: boolean }
  ledger: Ledger
  /** Read to the end, then take every file as finished. */
  once: boolean
  /** Lines of a container's restarts do not go out together: `fill` ends where another one's begin. */
  endsAtRestart?: boolean
  /** It was decided by the process before how lines go out: it may have handed some out. */
  decidedBefore?: boolean
  /** Called when a `wait` is over. */
  wake: () => void
}

export interface ReaderDeps {
  fs: ReadFileSystem
  clock: Clock
  gunzip: Gunzip
  events: Events
}

/** What is told of a reader while it sleeps. */
interface Slept {
  restart: number
  lagBytes: number
}

export class Reader implements FileUser {
  readonly lineage: Lineage
  readonly options: ReaderOptions
  readonly #deps: ReaderDeps
  #saved: Position | undefined
  readonly #place: Place = { file: null, offset: 0, logical: 0 }
  readonly #account: Account
  readonly #lines: Lines
  readonly #audit: AuditLines | null
  /** Of an audit log: what is missing in it. */
  readonly #continuity: Continuity | null
  #tail = Buffer.allocUnsafe(OVERLAP_BYTES)
  #tailBytes = 0
  #gzip: GzipReader | null = null
  #committed: Snapshot | null = null
  /** The committed places before it, the last one first: copies of a truncated file are known by them. */
  #witnesses: Witness[] = []
  /** Holes whose records are to be written next. */
  #gaps: Gap[] = []
  /** Files the loss of which, or of whose rest, was noticed, and from where on. */
  #holed: WeakMap<TailedFile, number> | null = null
  /** Files that were seen by an earlier process, are gone, and have not been come to yet. */
  #missing: readonly Missing[] = []
  /** Holes were noticed that no checkpoint holds yet. */
  #hasFreshGaps = false
  /** The last one that was told, or given at the start. */
  #lastPosition: Position | undefined
  /** It left its place for a while (`sleep`), and has not come back to it yet. */
  #slept: Slept | null = null
  /** What lay unread when it was told: files and bytes. */
  #toldUnread = ''
  readonly #seenFiles: SeenFiles
  /** The file before the present one when that was come to; null: there was none. */
  #cameFrom: TailedFile | null = null
  /** How far a file had been read when it was left. */
  #left: WeakMap<TailedFile, number> | null = null
  /** Monotonic ms before which nothing is tried again. */
  #retryAt = Number.NEGATIVE_INFINITY
  /** The end of this file was dealt with; there was no next one. */
  #ended: TailedFile | null = null
  #waiting = false
  /** Monotonic ms of the first search for the checkpoint's place; null before it. */
  #searchedSince: number | null = null
  /** Monotonic ms when something was read last. */
  #movedAt = 0
  /** Open records are to end at the next place, so that it is a fresh line. */
  #wantsFreshLine = false
  /** Told whenever there may be something to do that was not there before. */
  stirs: { isStirred: boolean } | null = null
  readonly #forecast: Forecast
  /** How far lines were ever handed out, in this process (logical) and perhaps by the one before it (what there was then). */
  #handedOut = 0
  #handedOutBefore: { file: TailedFile; offset: number } | null = null

  constructor(lineage: Lineage, saved: Position | undefined, options: ReaderOptions, deps: ReaderDeps) {
    this.lineage = lineage
    this.options = options
    this.#deps = deps
    this.#saved = saved
    this.#lastPosition = saved
    this.#account = new Account(options.ledger, this.#place)
    const { audit } = options
    const monotonic = () => deps.clock.monotonic()
    const continuity = audit === undefined ? null : new Continuity(monotonic, saved?.continuity, audit.isSpool === true)
    this.#continuity = continuity
    this.#audit =
      audit === undefined || continuity === null
        ? null
        : new AuditLines({
            ...audit,
            continuity,
            lineBytesMax: options.lineBytesMax,
            pause: () => deps.clock.yield(),
            ready: () => {
              this.#endWait()
            },
          })
    this.#lines = new Lines(this.#place, this.#account, { ...options, audit: this.#audit })
    this.#forecast = new Forecast(deps.clock.monotonic())
    this.#seenFiles = new SeenFiles(deps.fs, (error) => this.#failed('read', error))
    lineage.users.push(this)
  }

  /** Which life of its container the next line is of. */
  get restart(): number {
    const { file } = this.#place
    if (file !== null) return file.order.restart
    if (this.#slept !== null) return this.#slept.restart
    const saved = this.#saved === undefined ? null : kubeletSibling(basename(this.#saved.path))
    return (saved ?? this.lineage.files[0])?.order.restart ?? 0
  }

  /**
   * Nothing that was ever handed out is to be handed out again, and no line is open: what follows goes out for the first
   * time. Only here may it be decided anew how lines go out.
   */
  get isAtFreshLine(): boolean {
    const at = this.#committed
    if (this.#place.file === null) return this.#slept === null && !this.options.decidedBefore
    if (at === null || at.logical < this.#handedOut || this.#lines.openSince !== null) return false
    const before = this.#handedOutBefore
    if (before === null) return true
    const isPast =
      at.file.sequence > before.file.sequence || (at.file === before.file && (at.ended || at.offset >= before.offset))
    if (isPast) this.#handedOutBefore = null
    return isPast
  }

  /** Which lines are one record from here on; null: each is one. Only at a fresh line. */
  set multiline(config: MultilineConfig | null) {
    this.#lines.multiline = config
  }

  /** Something is to be decided anew: what follows the next `fill` should be at a fresh line, as far as that can be. */
  wantFreshLine(): void {
    this.#wantsFreshLine = this.#lines.hasOpenRecord
  }

  /** A record of several lines is open at the end of all there is, and nothing has come for a while. */
  get #isRecordOver(): boolean {
    const file = this.#place.file
    if (!this.#lines.hasOpenRecord || file === null || file.gone !== null || file.compressed) return false
    // What goes on in the next file is not over.
    if (this.#lines.isInRaw || this.lineage.next(file) !== null) return false
    return this.#deps.clock.monotonic() - this.#movedAt >= RECORD_QUIET_MS
  }

  get oldestNeeded(): TailedFile | null {
    return this.#committed?.file ?? null
  }

  /** MARK bit -> lines with that mark since the last call; null: there were none. */
  takeMarks(): ReadonlyMap<number, number> | null {
    const { marks } = this.#lines
    this.#lines.marks = null
    return marks
  }

  get current(): TailedFile | null {
    return this.#place.file
  }

  /** The last file of which something was read: what is met late may still come before one that was found empty. */
  get begun(): TailedFile | null {
    const { file, offset, logical } = this.#place
    const isUntouched = file !== null && offset === file.begin && this.#ended !== file && this.#handedOut <= logical
    return isUntouched ? this.#cameFrom : file
  }

  /** Files were met late: they may come before the one of which nothing is read yet. */
  filesCame(): void {
    const { file } = this.#place
    const from = this.begun
    if (file === null || from === file) return
    const first = this.lineage.files.find(({ sequence }) => sequence > (from?.sequence ?? 0))
    if (first === undefined || first.sequence >= file.sequence) return
    this.#goTo(first, first.begin)
    if (this.#committed?.file === file) this.#commitHere()
  }

  /** Read position in `current`. */
  get offset(): number {
    return this.#place.offset
  }

  /** Acknowledged since the start, in all files. */
  get ackedBytes(): number {
    return this.#committed?.logical ?? this.#place.logical
  }

  get committedOffset(): number {
    return this.#committed?.offset ?? 0
  }

  /** Unread bytes (compressed files count as stored). */
  get unreadBytes(): number {
    return this.#bytesFrom(this.#place.file, this.#place.offset)
  }

  /** Bytes that are not acknowledged. */
  get lagBytes(): number {
    const { asleep, sleeping, waitingSince } = this.lineage
    if (asleep) return (this.#slept?.lagBytes ?? 0) + (waitingSince === null ? 0 : Math.max(1, sleeping.bytes))
    return this.#bytesFrom(this.#committed?.file ?? null, this.committedOffset)
  }

  /**
   * Called after each look at the files: when the first of what is not acknowledged would be lost, if nothing more of it
   * were read from now on.
   */
  foresee(now: number): void {
    const at = this.#committed
    this.#forecast.look(now, at?.logical ?? null, this.lineage, at?.file, this.lagBytes)
    if (this.#continuity !== null) {
      this.#continuity.look(this.#liveEnd, this.#place.logical)
      this.looked() // what it found is something to do
    }
  }

  /** Monotonic ms, as foreseen at the last look; infinite when there is nothing to lose, or nothing known. */
  get lossAt(): number {
    return this.#forecast.lossAt
  }

  /** Where the log ends, as a place like `logical`; null when its live file is not there or may be another one. */
  get #liveEnd(): number | null {
    const live = this.lineage.files.at(-1)
    if (this.#place.file === null || live === undefined || !this.lineage.settled || this.options.once) return null
    return live.linked && live.gone === null && !live.compressed ? this.#place.logical + this.unreadBytes : null
  }

  /** What is known of the course of an audit log; null for others. */
  get continuity(): ContinuityStatus | null {
    return this.#continuity?.status() ?? null
  }

  /**
   * Seconds until something is lost that is not acknowledged, should it be written and acknowledged as fast as lately; 0 when
   * its file has lost its name and is only held open, null when there is no such danger.
   */
  lossSeconds(now: number): number | null {
    return this.#forecast.seconds(now, this.lineage)
  }

  /** Whether `fill` may find something: unread bytes, or a file whose end may have come. */
  get hasWork(): boolean {
    const file = this.#place.file
    if (this.isAtRest || this.#retryAt > this.#deps.clock.monotonic()) return false
    if (file === null) return this.#canBegin
    if (this.#gaps.length > 0) return true
    if (this.#continuity?.hasFindings && !this.#isUnsettled) return true
    if (file.gone === null) {
      if (this.#waiting) return false
      if (!file.compressed && file.sizeSeen > this.#place.offset + this.#incompleteBytes) return true
    }
    if (this.#isRecordOver || (this.#wantsFreshLine && this.#lines.hasOpenRecord)) return true
    if (this.#missing.length > 0 && this.lineage.next(file) === null) return true
    if (this.#ended === file && (file.gone !== null || file.compressed)) return this.#mayGoOn(file)
    if (file.gone === 'truncated' && !this.#mayGoOn(file)) return false
    if (file.compressed && this.#gzip?.ended && file.gone === null) return this.#isFinished(file)
    if (file.gone !== null || file.compressed) return true
    return (this.#ended !== file || this.lineage.next(file) !== null) && this.#isFinished(file)
  }

  /**
   * At the end of the last file, which still grows, with nothing open: the state of nearly all. It has nothing to do, and
   * no passing of time gives it anything: `stirs` is told when that may be over.
   */
  get isAtRest(): boolean {
    const { file } = this.#place
    const { asleep, files } = this.lineage
    if (file === null) return asleep
    return (
      file.sizeSeen <= this.#place.offset + this.#incompleteBytes &&
      file.unlinkedAt === null &&
      file.gone === null &&
      !file.compressed &&
      !this.options.once &&
      this.#gaps.length === 0 &&
      this.#missing.length === 0 &&
      !this.#lines.hasOpenRecord &&
      !this.#continuity?.hasFindings &&
      files.at(-1) === file
    )
  }

  /** A place is searched for only when all files are known that it may be in, or that come before it. */
  get #canBegin(): boolean {
    const { files, settled, starved, wasWhole } = this.lineage
    return files.length > 0 && (settled || (starved && wasWhole))
  }

  /** Monotonic ms since which its first lines wait, when its files were closed until now; else infinite. */
  get wantedSince(): number {
    return this.#place.file === null ? this.lineage.wantedSince : Number.POSITIVE_INFINITY
  }

  get isSearching(): boolean {
    return this.#place.file === null && this.#saved !== undefined
  }

  leftAt(file: TailedFile): number | undefined {
    return this.#left?.get(file)
  }

  /** Nothing to do now, but more will come by itself: decompression is under way, or what failed is tried again. */
  get isWaiting(): boolean {
    const isRetrying = this.#retryAt > this.#deps.clock.monotonic()
    if (this.#place.file === null) return this.lineage.files.length > 0 && (!this.lineage.settled || isRetrying)
    if (this.#lines.hasOpenRecord) return true
    return this.#waiting || isRetrying
  }

  /** Bytes of an unfinished last line that were looked at already: no work until there are more. */
  #incompleteBytes = 0

  /** Nobody will go on from here: what has no end yet goes out as it stands. */
  finish(): void {
    this.options.once = true
    this.#stir()
  }

  looked(): void {
    if (!this.isAtRest) this.#stir()
  }

  #stir(): void {
    if (this.stirs !== null) this.stirs.isStirred = true
  }

  /** Makes the first place: from the checkpoint, or where the options say. False when there is no file yet. */
  #begin(): boolean {
    const { lineage, options } = this
    const first = lineage.files[0]
    if (first === undefined || !this.#canBegin) return false
    const { clock, events } = this.#deps
    const slept = this.#slept
    if (this.#saved !== undefined) {
      if (!this.#resume(slept === null ? this.#saved : this.#asSeen(this.#saved))) return false
    } else if (slept !== null) this.#goTo(first, first.begin)
    else if (options.startAt === 'end' && !options.once) this.#beginAtEnd()
    else {
      if (options.startAgeMax !== null) {
        this.#lines.skipBeforeSeconds = (clock.now() - options.startAgeMax) / 1000
      }
      this.#goTo(first, first.begin)
    }
    this.#commitHere()
    const file = this.#place.file as TailedFile
    this.#noteMissing(
      this.#missing.filter((each) => comesBefore(each, file)),
      file,
    )
    if (slept === null ? options.decidedBefore : this.#handedOutBefore !== null)
      this.#handedOutBefore = this.#reach(file)
    this.#slept = null
    if (slept !== null) return true
    const { source, key } = lineage.info
    const resumed = this.#saved !== undefined
    events.emit('file.opened', {
      source,
      path: file.path,
      lineage: key,
      sink: options.sink,
      offset: this.#place.offset,
      resumed,
    })
    return true
  }

  /** The place with what was seen of its file since: should it be gone, that is lost. */
  #asSeen(saved: Position): Position {
    const { seen } = this.lineage.sleeping
    const isOther = seen === null || seen.dev !== saved.dev || seen.ino !== saved.ino
    if (isOther || saved.ended || seen.size <= saved.sizeSeen) return saved
    return { ...saved, sizeSeen: seen.size, mtimeMs: seen.mtimeMs }
  }

  /**
   * Goes to the place of a checkpoint, or to what is left of it, and takes up the holes that it speaks of. False: a file
   * cannot be read in which the place may be; it is searched for again a little later.
   */
  #resume(saved: Position): boolean {
    const { fs, gunzip, clock } = this.#deps
    const cause = this.#slept === null ? undefined : CAUSE_ASLEEP
    // What was cut off since the last look may be found in a copy, which nobody knows yet.
    this.lineage.measure()
    this.#searchedSince ??= clock.monotonic()
    let resumption: Resumption
    let tail = ''
    try {
      const isLate = clock.monotonic() - this.#searchedSince > SEARCH_MS_MAX
      resumption = findResumption(this.lineage, saved, fs, gunzip, isLate, cause)
      if (resumption.found) tail = readTail(fs, resumption.file, resumption.offset)
    } catch (error) {
      this.#failed('read', error)
      return false
    }
    const { file, offset, found, lost, missing, named } = resumption
    this.#account.goOnIn(found ? file : null)
    this.#lines.timeline.load(saved.times)
    this.#lines.skipBeforeSeconds = saved.skipBeforeSeconds ?? Number.NEGATIVE_INFINITY
    this.#goTo(file, offset, tail)
    this.#lines.stamps.load(named, saved.stamps)
    if (Array.isArray(saved.cuts)) this.#lines.cuts.load(named, saved.cuts)
    if (found && saved.ended) this.#ended = file
    // What was cut off is told with the place, if that was in it; what was written and cut since then is a loss of its own.
    // One without a byte stands for a lineage that has no files any more.
    const { head } = file
    const isAlike = head.bytes === saved.headBytes && head.hash === saved.head
    const isOther = head.bytes > 0 && (!isAlike || saved.gone !== undefined)
    if (this.#ended === file || (file.gone !== null && !found && !isOther)) this.#noteHoled(file, offset)
    this.#gaps = Array.isArray(saved.gaps) ? [...saved.gaps] : []
    for (const gap of this.#gaps) if (gap.records === undefined) this.#tellLoss(gap)
    this.#missing = missing
    if (found) this.#continuity?.goOnIn(file)
    else this.#continuity?.noteGone()
    if (lost !== null) this.#noteHole(lost, file)
    return true
  }

  /** Finds its place, if it has not yet and it can: what was seen after it is in its position from then on. */
  findPlace(): void {
    if (this.#place.file === null) this.#begin()
  }

  /** Whether it could leave its files now and find its place again. Nothing of its lane may be under way. */
  get canSleep(): boolean {
    const at = this.#committed
    if (this.#place.file === null) return true // it has not begun
    if (at === null || this.#waiting || at.file.gone !== null) return false
    if (this.#gaps.length + at.gaps.length + this.#missing.length > 0) return false
    if (!this.#account.isWithin(at.file)) return false
    const { files } = this.lineage
    // A file without a name is held by our descriptor alone: nobody would find it again.
    return files.every(
      (file) => file.sequence < at.file.sequence || file.unlinkedAt === null || (file === at.file && at.ended),
    )
  }

  /**
   * Where it would go on if it left its files now, as a position for the checkpoint; `start`: at the beginning of the one
   * that is there, which is empty; null: that cannot be told now.
   */
  placeToSleep(): Position | 'start' | null {
    const at = this.#committed
    if (this.#place.file === null || at === null) return 'start' // it has not begun, and does not move
    const { files } = this.lineage
    const isEmpty = at.offset === 0 && files.length === 1 && !this.lineage.hasHead(at.file)
    return isEmpty ? 'start' : this.position()
  }

  /** Lets go of its files, to go on at `place` when the lineage is woken. What is read and not acknowledged goes back. */
  sleep(place: Position | 'start'): void {
    if (this.#place.file === null) return
    const { lagBytes, restart } = this
    this.rewind()
    this.#closeGzip()
    this.#lines.stamps.clear()
    this.#slept = { lagBytes, restart }
    this.#saved = place === 'start' ? undefined : place
    this.#place.file = null
    this.#place.offset = 0
    this.#committed = null
    this.#witnesses = []
    this.#ended = null
    this.#incompleteBytes = 0
    this.#searchedSince = null
  }

  /** How far the process before, killed, may have handed out lines from `file` on as was decided for them: all there was. */
  #reach(file: TailedFile): { file: TailedFile; offset: number } {
    const { files } = this.lineage
    const isSame = (each: TailedFile) => !this.options.endsAtRestart || each.order.restart === file.order.restart
    const last = files.findLast(isSame) ?? file
    return { file: last, offset: last.compressed ? Number.POSITIVE_INFINITY : last.sizeSeen }
  }

  /** The last line that has begun, and what comes after it. */
  #beginAtEnd(): void {
    const { files } = this.lineage
    const { ledger } = this.options
    const last = files.at(-1) as TailedFile
    let bytes = this.#bytesFrom(null, 0)
    if (last.compressed) {
      this.#goTo(last, 0)
      this.#ended = last
    } else {
      let offset = last.sizeSeen
      try {
        offset = lastLineStart(this.#deps.fs, last.fd, last.sizeSeen)
      } catch (error) {
        this.#failed('read', error)
      }
      bytes -= last.sizeSeen - offset
      this.#goTo(last, offset)
    }
    ledger.take(bytes, 0)
    ledger.settle('skipped', 'startAt', bytes, 0)
  }

  /** Reads and writes entries until there is no room, nothing more to read, or `bytesMax` were consumed. */
  fill(out: EntryWriter, block: Buffer, bytesMax: number): FillEnd {
    const end = this.#fill(out, block, bytesMax)
    this.#handedOut = Math.max(this.#handedOut, this.#place.logical)
    return end
  }

  #fill(out: EntryWriter, block: Buffer, bytesMax: number): FillEnd {
    this.#lines.nowMs = this.#deps.clock.now()
    if (this.#place.file === null && !this.#begin()) return 'dry'
    this.#retryAt = Number.NEGATIVE_INFINITY
    if (!this.#isUnsettled) this.#noteFindings()
    const until = this.#place.logical + bytesMax
    for (;;) {
      while (this.#gaps.length > 0) {
        if (!this.#lines.writeGap(this.#gaps[0] as Gap, out)) return 'full'
        this.#gaps.shift()
      }
      if (!this.#lines.cutAgain(out)) return 'full'
      if (this.#wantsFreshLine && !this.#lines.isInRaw) {
        if (!this.#lines.cut(out)) return 'full'
        this.#wantsFreshLine = false
        return 'full'
      }
      const file = this.#place.file as TailedFile
      if (file.gone !== null) {
        const end = this.#leaveGone(file, out)
        if (end !== null) return end
        continue
      }
      if (this.#place.logical >= until) return 'full'
      if (
        this.#place.offset === file.begin &&
        this.#ended !== file &&
        file.mtimeMs / 1000 < this.#lines.skipBeforeSeconds
      ) {
        this.#skipFile(file)
      }
      if (this.#ended === file && file.compressed) {
        const end = this.#goOn(file, out)
        if (end !== null) return end
        continue
      }
      if (this.#tailBytes === 0 && this.#place.offset > 0 && !file.compressed) {
        const end = this.#readTail(file)
        if (end !== null) return end
        continue
      }
      const overlap = file.compressed ? 0 : this.#tailBytes
      const wantMax = file.compressed ? Math.min(PIECE_BYTES_MIN, block.length) : block.length - overlap
      const want = Math.min(wantMax, Math.max(out.roomBytes + 4096, PIECE_BYTES_MIN))
      const got = this.#read(file, block, overlap + want, this.#place.offset - overlap)
      if (got === WAIT) return this.#wait()
      if (got === null) return 'dry'
      if (got < overlap) {
        if (this.#noteShort(file, this.#place.offset)) continue
        return 'dry'
      }
      if (this.#place.offset === 0 && !file.compressed && got < Math.min(want, file.head.bytes)) {
        // It is shorter than its first line was, or the read was.
        if (this.#noteShort(file, file.head.bytes)) continue
        return 'dry'
      }
      // Written anew since it was last looked at, or since the last read.
      const isOther =
        overlap > 0
          ? block.compare(this.#tail, 0, overlap, 0, overlap) !== 0
          : this.#place.offset === 0 && !file.compressed && !takeHead(file, block.subarray(0, got))
      if (isOther) {
        this.lineage.truncated(file, this.#size(file) ?? 0, true)
        continue
      }
      const available = got - overlap
      // Less than was seen: cut since then, and what is there now may begin alike.
      const isLess = !file.compressed && available < want && this.#place.offset + available < file.sizeSeen
      if (isLess && this.#isCutBelow(file, file.sizeSeen)) continue
      if (!file.compressed) this.lineage.sawBytes(file, this.#place.offset + available)
      const lastNewline = available === 0 ? -1 : block.lastIndexOf(10, got - 1)
      if (lastNewline >= overlap) {
        const end = this.#lines.limit(file, overlap, lastNewline + 1)
        const consumed = this.#lines.rows(file, block, overlap, end, out)
        this.#consume(block, overlap, consumed)
        if (consumed < end - overlap) return this.#noRoom()
        if (available === want || end <= lastNewline) continue
      } else if (available >= want) {
        this.#lines.rawPiece(block, overlap, got)
        this.#consume(block, overlap, available)
        continue
      }
      // All that is there was seen.
      const rest = lastNewline >= overlap ? got - lastNewline - 1 : available
      this.#incompleteBytes = rest
      if (!file.compressed && this.#place.offset + rest < file.sizeSeen) {
        if (this.#noteShort(file, file.sizeSeen) || lastNewline >= overlap) continue
        return 'dry'
      }
      if (this.#isRecordOver && !this.#lines.cut(out)) return 'full'
      if (!this.#isFinished(file)) {
        if (file.compressed) return this.#gzip?.ended ? 'dry' : this.#wait()
        const end = this.lineage.next(file) === null ? this.#goOn(file, out) : 'dry'
        if (end !== null) return end
        continue
      }
      if (file.compressed && this.#gzip?.failure && this.#mayGrow(file)) {
        this.#closeGzip()
        this.#retryLater()
        return 'dry'
      }
      // Only what the file ends with can be its last line.
      if (!file.compressed && !this.#isAllOf(file, this.#place.offset + rest)) return 'dry'
      if (rest > 0 && lastNewline < overlap) {
        // Where a damaged file ends a line does not.
        const mark = file.compressed && this.#gzip?.failure ? MARK_PARTIAL_OPEN : 0
        if (!this.#lines.lastLine(block, overlap, got, out, mark)) return this.#noRoom()
        this.#consume(block, overlap, available)
      } else if (available > 0) continue
      else if (this.#lines.isInRaw && !this.#lines.rawEnd(block, got, got, got, out)) return this.#noRoom()
      const end = this.#leaveFinished(file, out)
      if (end !== null) return end
    }
  }

  /** Everything written so far is acknowledged: it will not be read again. */
  commit(): void {
    if (this.#place.file === null) return // it has not begun; others of its lane have
    this.#noteFindings()
    const open = this.#lines.openSince
    if (open === null) this.#commitHere()
    else this.#committed = { ...open, gaps: this.#gapsToWrite, ...this.#course }
    this.ackStream(0)
    this.ackStream(1)
    const committed = this.#committed as Snapshot
    this.#lines.stamps.prune(committed.file, committed.offset)
    this.#lines.cuts.prune(committed.file, committed.offset)
    this.lineage.trim()
  }

  /** The entries of one source stream up to here are acknowledged, the others not: a rewind will not write them again. */
  ackStream(stream: number): void {
    if (this.#place.file === null) return
    this.#account.ack(stream as 0 | 1, this.#lines.emittedTo(stream as 0 | 1) ?? this.#here(), this.#committed)
  }

  /** Goes back to the committed place; what was taken since and is not settled goes back to the file. */
  rewind(): void {
    const to = this.#committed
    if (to === null) return
    this.#account.rewind()
    this.#gaps = [...to.gaps]
    this.#lines.reset(to.times)
    this.#stir()
    this.#goTo(to.file, to.offset, to.tail)
    this.#ended = to.ended ? to.file : null
    this.#place.logical = to.logical
  }

  /** Taken from the files and not settled yet. */
  get unsettled(): Readonly<Amount> {
    return this.#account.unsettled
  }

  /** An amount of what was written is settled (acked, dropped, dead-lettered). */
  settled(bytes: number, lines: number): void {
    this.#account.settled(bytes, lines)
  }

  /** The committed place for the checkpoint; null when there is nothing to say, or when it cannot be said now. */
  position(): Position | null {
    const at = this.#committedByName
    if (at === null) return null
    const { file, offset, times, gaps, ended, continuity } = at
    const witness = this.#witnessAt(at)
    if (witness === null) return null
    const { path, dev, ino, head, compressed, gone, sizeSeen, mtimeMs } = file
    const holedFrom = this.#holed?.get(file)
    // What lies between the place and a hole behind it is in a copy.
    const isOver = (holedFrom !== undefined && holedFrom <= offset) || (compressed && ended)
    const { files } = this.lineage
    const skipBeforeSeconds = this.#lines.skipBeforeSeconds
    const later = this.#seenFiles.after(file, files, this.#missing, (each) => this.#isHoled(each))
    const named = [file, ...later.map((each) => each.file)]
    const cuts = this.#lines.cuts.save(named)
    const end = offset < WITNESS_BYTES && !isOver ? this.#seenFiles.endOf(file) : null
    this.#toldUnread = this.#unread
    this.#lastPosition = {
      path,
      dev,
      ino,
      head: head.hash,
      headBytes: head.bytes,
      offset,
      witness,
      ...(end !== null && end.offset > offset && end.witness !== '' && { end }),
      sizeSeen: compressed || isOver ? offset : Math.max(holedFrom ?? sizeSeen, offset),
      mtimeMs,
      times,
      stamps: this.#lines.stamps.save(named),
      ...(cuts.length > 0 && { cuts }),
      ...(isOver && { ended: true as const }),
      ...(gone !== null && { gone }),
      ...(gaps.length > 0 && { gaps: [...gaps] }),
      ...(later.length > 0 && { later: later.map(({ seen }) => seen) }),
      ...(Number.isFinite(skipBeforeSeconds) && { skipBeforeSeconds }),
      ...(continuity !== undefined && { continuity }),
    }
    return this.#lastPosition
  }

  /** The committed place; at a file that was left as empty as it had come, which has no name, the beginning of the next one. */
  get #committedByName(): Snapshot | null {
    const at = this.#committed
    if (at === null) return null
    let { file } = at
    while (file !== this.#place.file && file.head.bytes === 0 && file.gone === null) {
      const next = this.lineage.next(file)
      if (next === null) break
      file = next
    }
    return file === at.file ? at : { ...at, file, offset: file.begin, tail: '', ended: false }
  }

  /** The second witness of a committed place; null when the place cannot be named now. */
  #witnessAt({ file, offset, tail }: Snapshot): string | null {
    if (file.gone !== null) {
      // Nobody will find it, unless a copy was made of it: that is known by what was told before.
      const last = this.#lastPosition
      if (last?.offset === offset && last.head === file.head.hash) return last.witness
      return this.#isHoled(file) ? '' : null
    }
    if (!this.lineage.hasHead(file)) return null
    if (file.compressed) return ''
    try {
      // No witness: what was read is not there any more, which the next read will find out.
      return insistOnWitness(this.#deps.fs, file.fd, offset, tail) || null
    } catch (error) {
      this.#failed('read', error)
      return null
    }
  }

  /** Whether there are files, or bytes, that were not there when the position was last told. */
  get hasUntoldUnread(): boolean {
    return this.#committed !== null && this.#unread !== this.#toldUnread
  }

  /** Which files are unread, whatever their sizes. */
  get hasUntoldFiles(): boolean {
    return this.#committed !== null && this.#unread.split(' ', 1)[0] !== this.#toldUnread.split(' ', 1)[0]
  }

  get #unread(): string {
    const last = this.lineage.files.at(-1)
    return `${last?.sequence ?? 0} ${this.lagBytes}`
  }

  /** Whether something was decided that must be durable before it is sent: times of arrival, the records of holes. */
  get hasFreshDecisions(): boolean {
    return this.#lines.stamps.fresh || this.#lines.cuts.fresh || this.#hasFreshGaps
  }

  decisionsSaved(): void {
    this.#lines.stamps.fresh = false
    this.#lines.cuts.fresh = false
    this.#hasFreshGaps = false
  }

  /** Writes a gap for records that were read and dropped, before anything else is written. */
  noteDropped(range: DroppedRange): void {
    const file = this.#place.file
    const hole = { ...range, head: file?.head.hash ?? '', restart: file?.order.restart ?? 0, writtenMs: null }
    this.#addGap(hole, null)
  }

  /** Gives idle memory back. */
  release(): void {
    this.#lines.release()
  }

  /** Bytes held by open partial lines. */
  get heldBytes(): number {
    return this.#lines.heldBytes
  }

  close(): void {
    this.#closeGzip()
    const index = this.lineage.users.indexOf(this)
    if (index >= 0) this.lineage.users.splice(index, 1)
  }

  /** Goes there. `tail` is what was read before it, where that is known. */
  #goTo(file: TailedFile, offset: number, tail = ''): void {
    if (this.#place.file !== file) {
      this.#closeGzip()
      const { files } = this.lineage
      this.#cameFrom = files[files.indexOf(file) - 1] ?? null
    }
    this.#place.file = file
    this.#place.offset = offset
    this.#ended = null
    this.#waiting = false
    this.#incompleteBytes = 0
    this.#tailBytes = this.#tail.write(tail, 'latin1')
  }

  #closeGzip(): void {
    this.#gzip?.close()
    this.#gzip = null
  }

  /** Reads the tail before a place whose bytes were looked at by somebody else. null: go on. */
  #readTail(file: TailedFile): FillEnd | null {
    const length = Math.min(OVERLAP_BYTES, this.#place.offset)
    const got = this.#read(file, this.#tail, length, this.#place.offset - length)
    if (got === length) this.#tailBytes = length
    else if (got === null || !this.#noteShort(file, this.#place.offset)) return 'dry'
    return null
  }

  #tailText(): string {
    return this.#tail.toString('latin1', 0, this.#tailBytes)
  }

  /**
   * A read ended before `offset`, where there had been something. True when the file is shorter now, and was noted to
   * be; else it was the read that was short, and is tried again a little later.
   */
  #noteShort(file: TailedFile, offset: number): boolean {
    if (this.#isCutBelow(file, offset)) return true
    this.#retryLater()
    return false
  }

  /** Whether a file is shorter now than the `bytes` that it had; it is noted to be. */
  #isCutBelow(file: TailedFile, bytes: number): boolean {
    const size = this.#size(file)
    if (size === null || size >= bytes) return false
    this.lineage.truncated(file, size)
    return true
  }

  /** Size of a plain file; null when it cannot be told now. */
  #size(file: TailedFile): number | null {
    try {
      return this.#deps.fs.fstat(file.fd).size
    } catch (error) {
      this.#failed('fstat', error)
      return null
    }
  }

  /** Whether a plain file has so many bytes and no more. */
  #isAllOf(file: TailedFile, bytes: number): boolean {
    const size = this.#size(file)
    if (size !== null) this.lineage.sawBytes(file, size)
    return size === bytes
  }

  #failed(operation: string, error: unknown): void {
    const { source, path } = this.lineage.info
    this.#deps.events.emit('file.error', { source, path: this.#place.file?.path ?? path, operation, error })
    this.#retryLater()
  }

  #retryLater(): void {
    this.#retryAt = this.#deps.clock.monotonic() + RETRY_MS
  }

  /** What has been read to. The end of a file is a place of its own, after its last byte: open lines are ended there. */
  #here(): Acked {
    const file = this.#place.file as TailedFile
    const behind = this.#ended === file ? AT_END : this.#lines.isCut ? AT_CUT : 0
    return { file, offset: this.#place.offset + behind }
  }

  #commitHere(): void {
    const file = this.#place.file as TailedFile
    const last = this.#committed
    if (last !== null && (last.file !== file || last.offset !== this.#place.offset)) {
      const { file: inFile, offset, tail } = last
      this.#witnesses = [{ file: inFile, offset, tail }, ...this.#witnesses.slice(0, WITNESSES - 1)]
    }
    this.#committed = {
      file,
      offset: this.#place.offset,
      logical: this.#place.logical,
      tail: file.compressed ? '' : this.#tailText(),
      times: this.#lines.timeline.save(),
      ended: this.#ended === file,
      gaps: this.#gapsToWrite,
      ...this.#course,
    }
  }

  get #gapsToWrite(): readonly Gap[] {
    return this.#gaps.length === 0 ? NO_GAPS : [...this.#gaps]
  }

  get #course(): { continuity?: ContinuityState } {
    return this.#continuity === null ? {} : { continuity: this.#continuity.save() }
  }

  #bytesFrom(from: TailedFile | null, offset: number): number {
    let bytes = 0
    const copy = from?.gone === 'truncated' ? this.lineage.next(from) : null
    for (const file of this.lineage.files) {
      if (file === copy && from !== null && isLikeCopy(from, copy)) bytes += Math.max(0, copy.sizeSeen - offset)
      else if (from === null || file.sequence > from.sequence)
        bytes += file.gone === null ? file.sizeSeen - file.begin : 0
      else if (file === from && file.gone === null && !file.compressed) bytes += Math.max(0, file.sizeSeen - offset)
      else if (file === from && file.compressed && !this.#gzip?.ended) bytes += 1
    }
    return bytes
  }

  /** Returns bytes read, WAIT, or null when the read failed (an event; tried again). */
  #read(file: TailedFile, block: Buffer, length: number, position: number): number | null {
    const { fs, gunzip } = this.#deps
    try {
      if (!file.compressed) return fs.read(file.fd, block, 0, length, position)
      this.#gzip ??= new GzipReader(fs, file.fd, gunzip, () => {
        this.#endWait()
      })
      const committed = this.#committed
      return this.#gzip.read(block, 0, length, position, committed?.file === file ? committed.offset : 0)
    } catch (error) {
      this.#failed('read', error)
      return null
    }
  }

  /** The next line was not taken: there is no room, or it is large and is being worked on. */
  #noRoom(): FillEnd {
    return this.#audit?.isWorking ? this.#wait() : 'full'
  }

  #endWait(): void {
    this.#waiting = false
    this.#stir()
    this.options.wake()
  }

  #wait(): FillEnd {
    this.#waiting = true
    return 'wait'
  }

  /** Leaves out a whole file that was last written before the limit of startAgeMax. */
  #skipFile(file: TailedFile): void {
    const { sizeSeen } = file
    this.#account.skip(STDOUT, file.compressed ? AT_END : sizeSeen, sizeSeen - file.begin, 0)
    this.#goTo(file, file.compressed ? 0 : sizeSeen)
    if (file.compressed) this.#ended = file
  }

  #consume(block: Buffer, from: number, bytes: number): void {
    if (bytes === 0) return
    this.#movedAt = this.#deps.clock.monotonic()
    this.#ended = null
    this.#place.offset += bytes
    this.#place.logical += bytes
    this.#incompleteBytes = 0
    // The overlap before `from` and the bytes after it are adjacent in the block, as they are in the file.
    const length = Math.min(OVERLAP_BYTES, from + bytes, this.#place.offset)
    block.copy(this.#tail, 0, from + bytes - length, from + bytes)
    this.#tailBytes = length
  }

  #isFinished(file: TailedFile): boolean {
    if (this.options.once) return file.compressed ? this.#gzip?.ended === true : true
    if (!this.lineage.isNextCertain(file)) return false
    if (file.compressed) return this.#gzip?.ended === true
    const now = this.#deps.clock.monotonic()
    if (this.lineage.next(file) !== null) {
      return file.supersededAt !== null && now - Math.max(file.supersededAt, file.grewAt) >= SUPERSEDED_GRACE_MS
    }
    return file.unlinkedAt !== null && now - Math.max(file.unlinkedAt, file.grewAt) >= UNLINKED_GRACE_MS
  }

  /** At the very end of a finished file: on to the next one. null: go on. */
  #leaveFinished(file: TailedFile, out: EntryWriter): FillEnd | null {
    const next = this.#nextToRead(file)
    if (this.#ended !== file) {
      const failure = file.compressed ? (this.#gzip?.failure ?? null) : null
      if (failure !== null) {
        if (!this.#lines.endPartials(out, MARK_PARTIAL_OPEN)) return 'full'
        if (!this.#isHoled(file)) {
          if (this.#isUnsettled) return 'full'
          const cause = `the compressed file is damaged: ${failure}`
          this.#noteRest(file, { from: this.#place.offset, to: null, cause, writtenMs: null }, next)
        }
      } else if (next === null || !isContinuedBy(file, next)) {
        // A container that ended without a newline leaves an open line behind; nothing will end it.
        if (!this.#lines.endPartials(out, 0)) return 'full'
      }
      this.#ended = file
      this.#noteLeft(file, this.#place.offset)
      if (this.#gaps.length > 0) return null
    }
    // A checkpoint cannot name an empty file: the end of this one must be acknowledged, and saved, before it is left.
    if (next !== null && next.head.bytes === 0 && this.#isUnsettled) return 'dry'
    return this.#goOn(file, out)
  }

  /** From the end of a file to the next one, past what is missing between them. null: go on. */
  #goOn(file: TailedFile, out: EntryWriter): FillEnd | null {
    const next = this.lineage.next(file)
    const due = this.#missing.length === 0 ? [] : this.#missing.filter((each) => isDue(each, next))
    if (due.length > 0) {
      if (!this.#lines.endPartials(out, MARK_PARTIAL_OPEN) || this.#isUnsettled) return 'full'
      this.#noteMissing(due, next)
      return null
    }
    if (next === null || !this.#mayGoOn(file)) return 'dry'
    this.#goTo(next, next.begin)
    return this.options.endsAtRestart && next.order.restart !== file.order.restart ? 'full' : null
  }

  /** Whether there is a next file, and nothing that is not known yet can come before it. */
  #mayGoOn(file: TailedFile): boolean {
    return this.lineage.next(file) !== null && (this.options.once || this.lineage.isNextCertain(file))
  }

  /** The file after this one, without those that came to their end empty. */
  #nextToRead(file: TailedFile): TailedFile | null {
    let next = this.lineage.next(file)
    while (next !== null && next.head.bytes === 0 && next.gone === null && this.#isFinished(next)) {
      const after = this.lineage.next(next)
      if (after === null) break
      this.#noteLeft(next, 0)
      next = after
    }
    return next
  }

  /** A compressed file that ends too early may be one that is being written. */
  #mayGrow(file: TailedFile): boolean {
    return !this.options.once && this.#deps.clock.monotonic() - file.grewAt < GROWING_GZIP_MS
  }

  /** The rest of the file is gone: on to the copy or the next file, at the right place, noting what is lost. null: go on. */
  #leaveGone(file: TailedFile, out: EntryWriter): FillEnd | null {
    if (this.#ended === file) return this.#goOn(file, out)
    const next = this.lineage.next(file)
    // Its copy may be one that cannot be looked at yet.
    if (file.gone === 'truncated' && !this.#mayGoOn(file)) return 'dry'
    const offset = this.#place.offset
    const copyBytes = next === null ? -1 : this.#bytesInCopy(file, next)
    if (copyBytes === null) return 'dry'
    const from = Math.max(offset, copyBytes)
    const isRead = this.#isHoled(file) || (file.compressed ? this.#gzip?.ended === true : file.sizeSeen <= from)
    if (copyBytes < 0 && (!isRead || this.#lines.isInRaw) && !this.#lines.endPartials(out, MARK_PARTIAL_OPEN))
      return 'full'
    if (!isRead) {
      // What was read of it before may yet be refused, and then it is lost with the rest.
      if (this.#isUnsettled) return 'full'
      const { compressed, sizeSeen, mtimeMs } = file
      const end = compressed ? { to: null, writtenMs: null } : { to: sizeSeen, writtenMs: mtimeMs }
      this.#noteRest(file, { from, ...end, cause: file.gone as string }, next)
    }
    if (next !== null && copyBytes >= offset) {
      this.#lines.stamps.carry(file, next)
      this.#lines.cuts.carry(file, next)
      this.#goTo(next, offset, this.#tailText())
    } else if (next !== null && copyBytes >= 0) this.#goTo(next, copyBytes)
    else {
      this.#closeGzip()
      this.#ended = file
    }
    return null
  }

  /** How much of a truncated file is in its copy (copytruncate); -1: `next` is not a copy of it, null: it cannot be told now. */
  #bytesInCopy(file: TailedFile, next: TailedFile): number | null {
    const here = { file, offset: this.#place.offset, tail: this.#tailText() }
    try {
      return bytesInCopy(this.#deps.fs, this.#deps.gunzip, next, here, [
        this.#committed as Snapshot,
        ...this.#witnesses,
      ])
    } catch (error) {
      this.#failed('read', error)
      return null
    }
  }

  /** Something that was read is not acknowledged: a rewind would lead before it. */
  get #isUnsettled(): boolean {
    return this.#account.unsettled.lines > 0
  }

  // Most readers never leave a file: what few need is made when it is needed, for there may be thousands.
  #noteLeft(file: TailedFile, offset: number): void {
    this.#left ??= new WeakMap()
    this.#left.set(file, offset)
  }

  #noteHoled(file: TailedFile, from: number): void {
    this.#holed ??= new WeakMap()
    this.#holed.set(file, from)
  }

  #isHoled(file: TailedFile): boolean {
    return this.#holed?.has(file) ?? false
  }

  /** Notes the loss of a file's rest. */
  #noteRest(file: TailedFile, rest: Pick<Hole, 'from' | 'to' | 'cause' | 'writtenMs'>, next: TailedFile | null): void {
    this.#noteHoled(file, rest.from)
    this.#noteHole({ path: file.path, head: file.head.hash, restart: file.order.restart, ...rest }, next)
  }

  /** Notes the loss of files that were seen before `next` and are not there. */
  #noteMissing(due: readonly Missing[], next: TailedFile | null): void {
    this.#missing = this.#missing.filter((each) => !due.includes(each))
    for (const { seen } of due) this.#noteHole(holeOf(seen), next)
  }

  /**
   * Decides on the record of a hole before `next`, and tells of it: once for each hole, since nothing that may be read
   * again lies between the committed place and here.
   */
  #noteHole(hole: Hole, next: TailedFile | null): void {
    this.#continuity?.noteHole()
    this.#tellLoss(this.#addGap(hole, next))
  }

  /** What is missing in an audit log becomes a gap. All that was read must be acknowledged. */
  #noteFindings(): void {
    if (!this.#continuity?.hasFindings) return
    const { path, head, order } = this.#place.file as TailedFile
    const { offset } = this.#place
    const here = { path, head: head.hash, restart: order.restart, from: offset, to: offset, writtenMs: null }
    for (const { kind, confidence, text } of this.#continuity.take()) {
      this.#tellLoss(this.#addGap({ ...here, finding: kind, confidence, cause: text }, null))
    }
  }

  #addGap(hole: Hole, next: TailedFile | null): Gap {
    const { fs, clock, gunzip } = this.#deps
    const isArrival = this.options.format === 'plain'
    let first = null
    try {
      if (next !== null && !isArrival) first = readFirstTime(fs, next, gunzip)
    } catch (error) {
      this.#failed('read', error)
    }
    const gap = decideGap(hole, this.#lines.timeline, first, clock.now(), isArrival)
    this.#gaps.push(gap)
    const committed = this.#committed
    if (committed !== null) this.#committed = { ...committed, gaps: [...committed.gaps, gap], ...this.#course }
    this.#hasFreshGaps = true
    return gap
  }

  /** Counts a hole and says so: once in each process that has to do with it. */
  #tellLoss({ path, from, to, cause, finding, confidence = 'certain' }: Gap): void {
    const { sink } = this.options
    const { source, key: lineage } = this.lineage.info
    if (finding !== undefined) {
      this.#deps.events.emit('audit.gap', { source, sink, path, finding, confidence, text: cause })
      return
    }
    this.#account.lose(cause, to === null ? 0 : to - from)
    this.#deps.events.emit('bytes.lost', { sink, path, lineage, fromOffset: from, toOffset: to, cause })
  }
}

/** Whether what was read of a file that was cut is likely to be in the next one, too: for what is told of it. */
function isLikeCopy(cut: TailedFile, next: TailedFile): boolean {
  return next.gone === null && next.ino !== cut.ino && !next.compressed && next.head.hash === cut.head.hash
}

/** Whether a missing file comes before `next`. */
function isDue(missing: Missing, next: TailedFile | null): boolean {
  return missing.before === null || (next !== null && comesBefore(missing, next))
}

/** Whether a line that is open at the end of `file` may go on in `next`: of the same life, and not an older file met late. */
function isContinuedBy(file: TailedFile, next: TailedFile): boolean {
  if (file.order.restart !== next.order.restart) return false
  // Other names hold only while they are there.
  const isOrderKnown = ({ linked, order }: TailedFile) => linked || hasPlaceForEver(order)
  return !isOrderKnown(file) || !isOrderKnown(next) || compareOrder(file.order, next.order) < 0
}
