// A reader: one sink's place in one lineage. It turns blocks of files into entries, in order, and knows from where to
// begin again. Three places matter: `offset` (read so far), the committed snapshot (acknowledged: where a rewind or a
// restart begins) and, between them, what was acknowledged already for one source stream. The block is the caller's and
// is used only during `fill`; nothing but open partial lines is held between two calls.
import { Continuity } from '../audit/continuity/continuity.ts'
import { AuditLines } from '../audit/lines.ts'
import type { Position } from '../checkpoint/position.ts'
import type { Amount } from '../core/ledger.ts'
import type { ContinuityStatus } from '../core/status.ts'
import type { MultilineConfig } from '../parse/multiline.ts'
import { Account } from './account.ts'
import { Beginning } from './beginning.ts'
import { Committed } from './committed.ts'
import { Cursor } from './cursor.ts'
import type { TailedFile } from './file.ts'
import { FileEnds } from './file-ends.ts'
import type { FileUser } from './file-user.ts'
import { Forecast } from './forecast.ts'
import type { DroppedRange } from './gap.ts'
import { HandedOut } from './handed-out.ts'
import { Holes } from './holes.ts'
import type { Lineage } from './lineage.ts'
import { Lines } from './lines.ts'
import type { ReaderParts } from './parts.ts'
import { type Acked, AT_CUT, AT_END } from './place.ts'
import type { ReaderDeps, ReaderOptions } from './reader-options.ts'
import { type FillEnd, Reading } from './reading.ts'
import type { EntryWriter } from './writer.ts'

export class Reader implements FileUser {
  readonly lineage: Lineage
  readonly options: ReaderOptions
  readonly #cursor: Cursor
  readonly #account: Account
  readonly #lines: Lines
  readonly #audit: AuditLines | null
  readonly #continuity: Continuity | null
  readonly #holes: Holes
  readonly #committed: Committed
  readonly #handedOut: HandedOut
  readonly #beginning: Beginning
  readonly #ends: FileEnds
  readonly #reading: Reading
  readonly #forecast: Forecast
  /** Told whenever there may be something to do that was not there before. */
  stirs: { isStirred: boolean } | null = null

  constructor(lineage: Lineage, saved: Position | undefined, options: ReaderOptions, deps: ReaderDeps) {
    this.lineage = lineage
    this.options = options
    const ready = () => {
      this.#endWait()
    }
    this.#cursor = new Cursor(lineage, deps, ready)
    this.#account = new Account(options.ledger, this.#cursor.place)
    const { audit, lineBytesMax } = options
    const monotonic = () => deps.clock.monotonic()
    this.#continuity = audit === undefined ? null : new Continuity(monotonic, saved?.continuity, audit.isSpool === true)
    this.#audit =
      audit === undefined || this.#continuity === null
        ? null
        : new AuditLines({
            ...audit,
            continuity: this.#continuity,
            lineBytesMax,
            pause: () => deps.clock.yield(),
            ready,
          })
    this.#lines = new Lines(this.#cursor.place, this.#account, { ...options, audit: this.#audit })
    this.#forecast = new Forecast(deps.clock.monotonic())
    const parts: ReaderParts = {
      lineage,
      options,
      deps,
      cursor: this.#cursor,
      account: this.#account,
      lines: this.#lines,
      continuity: this.#continuity,
    }
    this.#holes = new Holes(parts, (gap) => this.#committed.add(gap))
    this.#committed = new Committed(parts, this.#holes, saved)
    this.#handedOut = new HandedOut(lineage, options.endsAtRestart === true)
    this.#beginning = new Beginning(parts, this.#holes, this.#committed, this.#handedOut, saved)
    this.#ends = new FileEnds(parts, this.#holes, this.#committed)
    this.#reading = new Reading(parts, this.#audit, this.#beginning, this.#holes, this.#committed, this.#ends)
    lineage.users.push(this)
  }

  /** Which life of its container the next line is of. */
  get restart(): number {
    return this.current?.order.restart ?? this.#beginning.restart
  }

  /**
   * Nothing that was ever handed out is to be handed out again, and no line is open: what follows goes out for the first
   * time. Only here may it be decided anew how lines go out.
   */
  get isAtFreshLine(): boolean {
    const { at } = this.#committed
    if (this.current === null) return !this.#beginning.isAsleep && !this.options.decidedBefore
    return at !== null && this.#lines.openSince === null && this.#handedOut.isBefore(at)
  }

  /** Which lines are one record from here on; null: each is one. Only at a fresh line. */
  set multiline(config: MultilineConfig | null) {
    this.#lines.multiline = config
  }

  /** Something is to be decided anew: what follows the next `fill` should be at a fresh line, as far as that can be. */
  wantFreshLine(): void {
    this.#reading.wantsFreshLine = this.#lines.hasOpenRecord
  }

  get oldestNeeded(): TailedFile | null {
    return this.#committed.at?.file ?? null
  }

  /** MARK bit -> lines with that mark since the last call; null: there were none. */
  takeMarks(): ReadonlyMap<number, number> | null {
    return this.#lines.takeMarks()
  }

  get current(): TailedFile | null {
    return this.#cursor.place.file
  }

  /** The last file of which something was read: what is met late may still come before one that was found empty. */
  get begun(): TailedFile | null {
    const { cameFrom, ended, place } = this.#cursor
    const { file, offset, logical } = place
    const isUntouched = file !== null && offset === file.begin && ended !== file && this.#handedOut.isUpTo(logical)
    return isUntouched ? cameFrom : file
  }

  /** Files were met late: they may come before the one of which nothing is read yet. */
  filesCame(): void {
    const file = this.current
    const from = this.begun
    if (file === null || from === file) return
    const first = this.lineage.files.find(({ sequence }) => sequence > (from?.sequence ?? 0))
    if (first === undefined || first.sequence >= file.sequence) return
    this.#cursor.goTo(first, first.begin)
    if (this.#committed.at?.file === file) this.#committed.toHere()
  }

  /** Read position in `current`. */
  get offset(): number {
    return this.#cursor.place.offset
  }

  /** Acknowledged since the start, in all files. */
  get ackedBytes(): number {
    return this.#committed.at?.logical ?? this.#cursor.place.logical
  }

  get committedOffset(): number {
    return this.#committed.at?.offset ?? 0
  }

  /** Unread bytes (compressed files count as stored). */
  get unreadBytes(): number {
    return this.#cursor.bytesFrom(this.current, this.offset)
  }

  /** Bytes that are not acknowledged; at least one while a hole is to be told. */
  get lagBytes(): number {
    const { asleep, sleeping, waitingSince } = this.lineage
    if (!asleep) return this.#committed.lagBytes || (this.current === null && this.#beginning.hasUnread ? 1 : 0)
    return this.#beginning.sleptLagBytes + (waitingSince === null ? 0 : Math.max(1, sleeping.bytes))
  }

  /**
   * Called after each look at the files: when the first of what is not acknowledged would be lost, if nothing more of it
   * were read from now on.
   */
  foresee(now: number): void {
    const { at } = this.#committed
    this.#forecast.look(now, at?.logical ?? null, this.lineage, at?.file, this.lagBytes)
    if (this.#continuity !== null) {
      this.#continuity.look(this.#liveEnd, this.#cursor.place.logical)
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
    if (this.current === null || live === undefined || !this.lineage.settled || this.options.once) return null
    const isThere = live.linked && live.gone === null && !live.compressed
    return isThere ? this.#cursor.place.logical + this.unreadBytes : null
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
    const cursor = this.#cursor
    const { file, offset } = cursor.place
    if (this.isAtRest || cursor.isRetrying) return false
    if (file === null) return this.#beginning.isPossible
    if (this.#holes.next !== undefined) return true
    if (this.#continuity?.hasFindings && !this.#account.isUnsettled) return true
    const isFresh = offset === file.begin && cursor.ended !== file
    if (file.gone === null) {
      if (cursor.isWaiting || (isFresh && !this.#ends.mayBegin(file))) return false
      if (!file.compressed && file.sizeSeen > offset + cursor.incompleteBytes) return true
    }
    if (this.#reading.hasLineToEnd) return true
    const next = this.lineage.next(file)
    if (this.#holes.missing.length > 0 && next === null) return true
    if (cursor.ended === file && this.#ends.isHeld(file)) return false
    if (cursor.ended === file && (file.gone !== null || file.compressed)) return this.#ends.mayGoOn(file)
    if (file.gone === 'truncated' && !this.#ends.mayGoOn(file)) return false
    if (file.compressed && cursor.isGzipEnded && file.gone === null) return this.#ends.isFinished(file)
    if (file.gone !== null || file.compressed) return true
    return (cursor.ended !== file || next !== null) && this.#ends.isFinished(file)
  }

  /**
   * At the end of the last file, which still grows, with nothing open: the state of nearly all. It has nothing to do, and
   * no passing of time gives it anything: `stirs` is told when that may be over.
   */
  get isAtRest(): boolean {
    const { file, offset } = this.#cursor.place
    const { asleep, files } = this.lineage
    if (file === null) return asleep
    return (
      file.sizeSeen <= offset + this.#cursor.incompleteBytes &&
      file.unlinkedAt === null &&
      file.gone === null &&
      !file.compressed &&
      !this.options.once &&
      this.#holes.next === undefined &&
      this.#holes.missing.length === 0 &&
      !this.#lines.hasOpenRecord &&
      !this.#continuity?.hasFindings &&
      files.at(-1) === file
    )
  }

  /** Monotonic ms since which its first lines wait, when its files were closed until now; else infinite. */
  get wantedSince(): number {
    return this.current === null ? this.lineage.wantedSince : Number.POSITIVE_INFINITY
  }

  get isSearching(): boolean {
    return this.current === null && this.#beginning.hasPlace
  }

  leftAt(file: TailedFile): number | undefined {
    return this.#ends.leftAt(file)
  }

  /** Nothing to do now, but more will come by itself: decompression is under way, or what failed is tried again. */
  get isWaiting(): boolean {
    const { isRetrying, isWaiting } = this.#cursor
    if (this.current === null) return this.lineage.files.length > 0 && (!this.lineage.settled || isRetrying)
    return this.#lines.hasOpenRecord || isWaiting || isRetrying
  }

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

  /** Finds its place, if it has not yet and it can: what was seen after it is in its position from then on. */
  findPlace(): void {
    if (this.current === null) this.#beginning.begin()
  }

  /** Whether it could leave its files now and find its place again. Nothing of its lane may be under way. */
  get canSleep(): boolean {
    const { at } = this.#committed
    if (this.current === null) return true // it has not begun
    if (at === null || this.#cursor.isWaiting || at.file.gone !== null) return false
    if (this.#holes.next !== undefined || at.gaps.length + this.#holes.missing.length > 0) return false
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
    const { at } = this.#committed
    if (this.current === null || at === null) return 'start' // it has not begun, and does not move
    const { files } = this.lineage
    const isEmpty = at.offset === 0 && files.length === 1 && !this.lineage.hasHead(at.file)
    return isEmpty ? 'start' : this.position()
  }

  /** Lets go of its files, to go on at `place` when the lineage is woken. What is read and not acknowledged goes back. */
  sleep(place: Position | 'start'): void {
    if (this.current === null) return
    const { lagBytes, restart } = this
    this.rewind()
    this.#lines.stamps.clear()
    this.#cursor.leave()
    this.#committed.leave()
    this.#beginning.sleep(place, { lagBytes, restart })
  }

  /** Reads and writes entries until there is no room, nothing more to read, or `bytesMax` were consumed. */
  fill(out: EntryWriter, block: Buffer, bytesMax: number): FillEnd {
    const end = this.#reading.fill(out, block, bytesMax)
    this.#handedOut.note(this.#cursor.place.logical)
    return end
  }

  /** Everything written so far is acknowledged: it will not be read again. */
  commit(): void {
    if (this.current === null) return // it has not begun; others of its lane have
    this.#holes.noteFindings()
    const open = this.#lines.openSince
    if (open === null) this.#committed.toHere()
    else this.#committed.to(open)
    this.ackStream(0)
    this.ackStream(1)
    const { file, offset } = this.#committed.at!
    this.#lines.stamps.prune(file, offset)
    this.#lines.cuts.prune(file, offset)
    this.lineage.trim()
  }

  /** The entries of one source stream up to here are acknowledged, the others not: a rewind will not write them again. */
  ackStream(stream: number): void {
    if (this.current === null) return
    this.#account.ack(stream as 0 | 1, this.#lines.emittedTo(stream as 0 | 1) ?? this.#here, this.#committed.at)
  }

  /** Goes back to the committed place; what was taken since and is not settled goes back to the file. */
  rewind(): void {
    const to = this.#committed.at
    if (to === null) return
    this.#account.rewind()
    this.#holes.rewind(to.gaps)
    this.#lines.reset(to.times)
    this.#stir()
    this.#cursor.goTo(to.file, to.offset, to.tail)
    if (to.ended) this.#cursor.ended = to.file
    this.#cursor.place.logical = to.logical
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
    return this.#committed.position()
  }

  /** Whether there are files, or bytes, that were not there when the position was last told. */
  get hasUntoldUnread(): boolean {
    return this.#committed.hasUntoldUnread
  }

  /** Which files are unread, whatever their sizes. */
  get hasUntoldFiles(): boolean {
    return this.#committed.hasUntoldFiles
  }

  /** Whether something was decided that must be durable before it is sent: times of arrival, the records of holes. */
  get hasFreshDecisions(): boolean {
    return this.#lines.stamps.fresh || this.#lines.cuts.fresh || this.#holes.hasFresh
  }

  decisionsSaved(): void {
    this.#lines.stamps.fresh = false
    this.#lines.cuts.fresh = false
    this.#holes.hasFresh = false
  }

  /** Writes a gap for records that were read and dropped, before anything else is written. */
  noteDropped(range: DroppedRange): void {
    this.#holes.noteDropped(range)
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
    this.#cursor.closeGzip()
    const index = this.lineage.users.indexOf(this)
    if (index >= 0) this.lineage.users.splice(index, 1)
  }

  /** What has been read to. The end of a file is a place of its own, after its last byte: open lines are ended there. */
  get #here(): Acked {
    const file = this.current as TailedFile
    const behind = this.#cursor.ended === file ? AT_END : this.#lines.isCut ? AT_CUT : 0
    return { file, offset: this.offset + behind }
  }

  #endWait(): void {
    this.#cursor.isWaiting = false
    this.#stir()
    this.options.wake()
  }
}
