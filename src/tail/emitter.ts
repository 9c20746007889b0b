// Where one reader's entries leave: each once and under the time rule, counted and marked; and the times that lines get which
// have none, or none that can be. Invariant: what is acknowledged is not written again, and a line that comes again has the time
// that it had. Nothing of a line is held.
import type { AuditLines } from '../audit/lines.ts'
import { type Entry, MARK_CUT, MARK_FUTURE_TIME, MARK_GAP } from '../core/entry.ts'
import { repair } from '../parse/repair.ts'
import { Timeline } from '../parse/timeline.ts'
import type { Account } from './account.ts'
import type { TailedFile } from './file.ts'
import { formatTime, type Gap, gapText, type Time } from './gap.ts'
import { type Acked, isBefore, type Place } from './place.ts'
import { Stamps } from './stamps.ts'
import type { EntryWriter } from './writer.ts'

/** A line that has no time so far. */
export const UNKNOWN_SECONDS = -1
const FUTURE_SECONDS_MAX = 600

export class Emitter {
  readonly timeline = new Timeline()
  readonly stamps = new Stamps()
  /** Rows with a time before it are skipped (startAgeMax). */
  skipBeforeSeconds = Number.NEGATIVE_INFINITY
  /** Wall clock of this round. */
  nowMs = 0
  /** Marks seen since they were taken: MARK bit -> lines. Most readers see none. */
  marks: Map<number, number> | null = null
  /** From where on a time is taken for a mistake. */
  futureSeconds = 0
  readonly #place: Place
  readonly #account: Account
  /** Lines have times of their own. */
  readonly #hasTimes: boolean
  readonly #lineBytesMax: number
  /** By source stream, while one of its lines is open: where the last entry that was handed out ended. */
  readonly #emitted: [Acked | null, Acked | null] = [null, null]
  /** The latest that the wall clock has ever been. */
  #latestMs = Number.NEGATIVE_INFINITY
  /** File offset of the end of the rows that are being handled. */
  #rowsEnd = 0

  constructor(place: Place, account: Account, hasTimes: boolean, lineBytesMax: number) {
    this.#place = place
    this.#account = account
    this.#hasTimes = hasTimes
    this.#lineBytesMax = lineBytesMax
  }

  /** Nothing is handed out beyond the place of a rewind, where the time rule was at `times`. */
  reset(times: readonly number[]): void {
    this.#emitted.fill(null)
    this.timeline.load(times)
  }

  /**
   * How far from the place, at most to `to`, rows may be handled alike: to the end of the range that has the same time of
   * arrival. Plain lines all take one; others where they need it, and there what lies in the future is judged by it.
   */
  limit(file: TailedFile, to: number): number {
    const { stamps } = this
    const { offset } = this.#place
    this.#rowsEnd = this.#hasTimes ? stamps.extent(file, offset, to) : stamps.range(file, offset, to, this.nowMs)
    // What was let pass once is let pass again, though somebody has set the clock back meanwhile.
    this.#latestMs = Math.max(this.#latestMs, this.nowMs)
    const arrivalSeconds = stamps.found ? stamps.seconds : Math.floor(this.#latestMs / 1000)
    this.futureSeconds = this.#hasTimes ? arrivalSeconds + FUTURE_SECONDS_MAX : Number.POSITIVE_INFINITY
    return this.#rowsEnd
  }

  /** Gives `at` the time of arrival of the row at `offset`; the rows after it that are handled alike have the same one. */
  arrive(offset: number, at: Time): void {
    const { stamps } = this
    stamps.range(this.#place.file as TailedFile, offset, Math.max(this.#rowsEnd, offset + 1), this.nowMs)
    at.seconds = stamps.seconds
    at.nanos = stamps.nanos
  }

  /** Writes an entry, which ends at `endOffset`, under the time rule, unless it is acknowledged. There must be room. */
  write(entry: Entry, seconds: number, nanos: number, endOffset: number, valid: boolean, out: EntryWriter): void {
    if (!valid || entry.messageEnd - entry.messageStart > this.#lineBytesMax) repair(entry, this.#lineBytesMax)
    this.timeline.emit(entry.stream, seconds, nanos)
    entry.seconds = this.timeline.seconds
    entry.nanos = this.timeline.nanos
    this.noteEmitted(entry.stream, this.#place.file as TailedFile, endOffset)
    if (this.#account.isAcked(entry.stream, endOffset)) return
    this.#account.take(entry.sourceBytes, entry.sourceLines)
    if (entry.marks !== 0) this.#noteMarks(entry.marks, entry.sourceLines)
    out.write(entry)
  }

  /** The same for a line of an audit log: an event has its own time, exactly; other lines are under the time rule. */
  writeAudit(
    audit: AuditLines,
    entry: Entry,
    rowSeconds: number,
    rowNanos: number,
    endOffset: number,
    valid: boolean,
    out: EntryWriter,
  ): void {
    const { stream, offset, sourceBytes, sourceLines } = entry
    this.noteEmitted(stream, this.#place.file as TailedFile, endOffset)
    if (this.#account.isAcked(stream, endOffset)) return
    if (!audit.apply(entry, (entry.marks & MARK_CUT) === 0)) {
      this.#account.skip(stream, endOffset, sourceBytes, sourceLines, 'auditPolicy')
      return
    }
    if (!valid) repair(entry, Number.POSITIVE_INFINITY)
    if (entry.audit?.hasTime) {
      entry.seconds = entry.audit.seconds
      entry.nanos = entry.audit.nanos
      if (entry.seconds < this.skipBeforeSeconds) {
        this.#account.skip(stream, endOffset, sourceBytes, sourceLines)
        entry.audit = null
        entry.shape = null
        return
      }
      if (entry.seconds > this.futureSeconds) {
        entry.marks |= MARK_FUTURE_TIME
        entry.originalTime = formatTime(entry)
        this.arrive(offset, entry)
      } else this.timeline.row(entry.seconds, entry.nanos)
    } else {
      entry.seconds = rowSeconds
      entry.nanos = rowNanos
      if (rowSeconds === UNKNOWN_SECONDS) this.arrive(offset, entry)
      this.timeline.emit(stream, entry.seconds, entry.nanos)
      entry.seconds = this.timeline.seconds
      entry.nanos = this.timeline.nanos
    }
    this.#account.take(sourceBytes, sourceLines)
    if (entry.marks !== 0) this.#noteMarks(entry.marks, sourceLines)
    out.write(entry)
    entry.audit = null
    entry.shape = null
  }

  /** Writes a hole's record as `entry`. It stands for no bytes and leaves the time rule as it is. False: no room. */
  writeGap(entry: Entry, gap: Gap, out: EntryWriter): boolean {
    const text = Buffer.from(gapText(gap))
    if (!out.fits(entry, text.length + 1024)) return false
    entry.file = { head: { hash: gap.head }, order: { restart: gap.restart } }
    entry.buffer = text
    entry.messageStart = 0
    entry.messageEnd = text.length
    entry.stream = gap.stream
    entry.marks = MARK_GAP
    entry.confidence = gap.confidence ?? 'certain'
    entry.seconds = gap.seconds
    entry.nanos = gap.nanos
    entry.offset = gap.from
    entry.sourceBytes = 0
    entry.sourceLines = 0
    out.write(entry)
    return true
  }

  /** An entry of the stream ended there, or a line was opened there: all before it was handed out. */
  noteEmitted(stream: number, file: TailedFile, offset: number): void {
    const here = { file, offset }
    const before = this.#emitted[stream as 0 | 1]
    if (before == null || isBefore(before, here)) this.#emitted[stream as 0 | 1] = here
  }

  /** Where the last entry of a source stream ended. */
  emittedTo(stream: 0 | 1): Acked | null {
    return this.#emitted[stream]
  }

  #noteMarks(marks: number, lines: number): void {
    this.marks ??= new Map()
    for (let bit = 1; bit <= marks; bit <<= 1) {
      if ((marks & bit) !== 0) this.marks.set(bit, (this.marks.get(bit) ?? 0) + lines)
    }
  }
}
