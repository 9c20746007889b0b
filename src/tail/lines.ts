// From rows to entries: takes the lines of a block, one after the other, joins the pieces of long ones per source stream,
// gives each its time, and hands it to the writer. It reads nothing and knows no files but by their offsets. A line that does
// not fit leaves everything as it was. Open lines are all that it holds between two calls.
import { isUtf8 } from 'node:buffer'
import { AUDIT_LINE_BYTES_MAX, type AuditLines } from '../audit/lines.ts'
import { MARK_FUTURE_TIME, MARK_NOT_CRI, MARK_PARTIAL_OPEN, newEntry, STDOUT } from '../core/entry.ts'
import { parseCri } from '../parse/cri.ts'
import { parseDockerJson } from '../parse/docker-json.ts'
import type { MultilineConfig } from '../parse/multiline.ts'
import { newRow } from '../parse/row.ts'
import type { Timeline } from '../parse/timeline.ts'
import type { Account } from './account.ts'
import type { Cuts } from './cuts.ts'
import { Emitter, UNKNOWN_SECONDS } from './emitter.ts'
import type { TailedFile } from './file.ts'
import { formatTime, type Gap } from './gap.ts'
import { type OpenLine, OpenLines, RAW } from './open-lines.ts'
import { type Acked, AT_END, type Place, type Snapshot } from './place.ts'
import type { Stamps } from './stamps.ts'
import type { CriRows, EntryWriter, EventRows } from './writer.ts'

const NOTHING = Buffer.alloc(0)
/** With one of these the time is not the row's own, and none for rows after it. */
const MARKS_WITHOUT_TIME = MARK_FUTURE_TIME | MARK_NOT_CRI

export interface LinesOptions {
  format: 'container' | 'plain'
  lineBytesMax: number
  /** For an audit log: what is done with each line before it is an entry. */
  audit: AuditLines | null
}

export class Lines {
  readonly #place: Place
  readonly #account: Account
  readonly #container: boolean
  /** Lines have times of their own. */
  readonly #hasTimes: boolean
  readonly #lineBytesMax: number
  readonly #audit: AuditLines | null
  readonly #entry = newEntry()
  readonly #row = newRow()
  readonly #emitter: Emitter
  readonly #open: OpenLines
  /** The partial that the pieces of an over-long raw line go to, and whether the line ends the message. */
  #raw: OpenLine | null = null
  #rawStream = STDOUT
  #rawEnds = true
  /** It is older than startAgeMax allows. */
  #rawSkipped = false
  /** `place` is where block[from] lies, whenever a method is given a block. */
  constructor(place: Place, account: Account, options: LinesOptions) {
    this.#place = place
    this.#account = account
    this.#container = options.format === 'container'
    this.#audit = options.audit
    // An audit event is made to fit by what it can lose, once all of it is there.
    this.#lineBytesMax = options.audit === null ? options.lineBytesMax : AUDIT_LINE_BYTES_MAX
    this.#hasTimes = this.#container || options.audit !== null
    this.#emitter = new Emitter(place, account, this.#hasTimes, this.#lineBytesMax)
    this.#open = new OpenLines(place, this.#emitter, options.audit, this.#lineBytesMax, this.#entry, this.#row)
  }

  /** A raw line longer than a block is open. */
  get isInRaw(): boolean {
    return this.#raw !== null
  }

  get timeline(): Timeline {
    return this.#emitter.timeline
  }

  get stamps(): Stamps {
    return this.#emitter.stamps
  }

  get cuts(): Cuts {
    return this.#open.cuts
  }

  /** Rows with a time before it are skipped (startAgeMax). */
  get skipBeforeSeconds(): number {
    return this.#emitter.skipBeforeSeconds
  }

  set skipBeforeSeconds(seconds: number) {
    this.#emitter.skipBeforeSeconds = seconds
  }

  /** Marks seen since the last call: MARK bit -> lines; null: there were none. */
  takeMarks(): ReadonlyMap<number, number> | null {
    const { marks } = this.#emitter
    this.#emitter.marks = null
    return marks
  }

  /** A round of reading begins; wall clock. */
  beginRound(nowMs: number): void {
    this.#emitter.nowMs = nowMs
  }

  /** Which lines are one record from here on; null: each is one. Only while nothing is open. */
  set multiline(config: MultilineConfig | null) {
    this.#open.multiline = config
  }

  /** A record that more lines may belong to is open. */
  get hasOpenRecord(): boolean {
    return this.#open.hasRecord
  }

  /** Bytes held by open lines. */
  get heldBytes(): number {
    return this.#open.heldBytes
  }

  /** Gives idle memory back. */
  release(): void {
    this.#open.release()
    this.#audit?.release()
  }

  /** Forgets what is open, for a rewind to where the time rule was at `times`. */
  reset(times: readonly number[]): void {
    this.#open.reset()
    this.#emitter.reset(times)
    this.#raw = null
  }

  /**
   * How far in block[from, end) rows may be handled alike: to the end of the range that has the same time of arrival.
   * Plain lines all take one; others where they need it, and there what lies in the future is judged by it.
   */
  limit(file: TailedFile, from: number, end: number): number {
    const { offset } = this.#place
    const to = this.cuts.next(file, offset, offset + end - from)
    return from + this.#emitter.limit(file, to) - offset
  }

  /** Handles whole lines in block[from, end); returns the bytes consumed. */
  rows(file: TailedFile, block: Buffer, from: number, end: number, out: EntryWriter): number {
    const valid = isUtf8(block.subarray(from, end))
    let at = from
    if (this.#raw !== null) {
      const newline = block.indexOf(10, at)
      if (!this.rawEnd(block, at, newline, newline + 1, out)) return 0
      at = newline + 1
    }
    const base = this.#place.offset - from
    while (at < end) {
      if (this.#container && valid && this.#audit === null) {
        const before = at
        at = this.#plainRows(file, block, at, end, base, out)
        if (at === end) break
        if (at > before) continue
      } else if (valid && this.#audit !== null) {
        at = this.#eventsAtOnce(this.#audit, file, block, at, end, base, out)
        if (at === end) break
      }
      const newline = block.indexOf(10, at)
      if (!this.#line(file, block, at, newline, newline + 1, base + at, valid, out)) break
      at = newline + 1
    }
    return at - from
  }

  /**
   * The rows that nearly all are: whole lines in valid UTF-8 of the usual size and time, while nothing is open or
   * acknowledged in part. The same as `#line` does with them, without asking each for everything that may be otherwise.
   * Returns where it stopped: at `end`, or at a row for `#line`.
   */
  #plainRows(file: TailedFile, block: Buffer, from: number, end: number, base: number, out: EntryWriter): number {
    if (this.#open.hasPieces || !this.#open.areAlone || !this.#account.isPlain) return from
    const atOnce = this.#rowsAtOnce(file, block, from, end, base, out)
    const first = atOnce ?? from
    if (first === end) return end
    const row = this.#row
    const entry = this.#entry
    const { timeline, skipBeforeSeconds: secondsMin, futureSeconds: secondsMax } = this.#emitter
    const lineBytesMax = this.#lineBytesMax
    let at = first
    let lines = 0
    let rowSeconds = 0
    let rowNanos = 0
    entry.file = file
    entry.buffer = block
    entry.marks = 0
    entry.sourceLines = 1
    while (at < end) {
      const newline = block.indexOf(10, at)
      if (!parseCri(block, at, newline, row) || row.partial) break
      const { seconds, messageStart, stream } = row
      const messageBytes = newline - messageStart
      if (seconds < secondsMin || seconds > secondsMax || messageBytes > lineBytesMax) break
      entry.stream = stream
      if (!out.fits(entry, messageBytes)) break
      timeline.emit(stream, seconds, row.nanos)
      entry.messageStart = messageStart
      entry.messageEnd = newline
      entry.seconds = timeline.seconds
      entry.nanos = timeline.nanos
      entry.offset = base + at
      entry.sourceBytes = newline + 1 - at
      rowSeconds = seconds
      rowNanos = row.nanos
      out.write(entry)
      at = newline + 1
      lines++
      if (atOnce !== null) break
    }
    if (lines > 0) {
      timeline.row(rowSeconds, rowNanos)
      this.#account.take(at - first, lines)
    }
    return at
  }

  /** As many rows as the writer takes at once; returns where they end, null where it takes them one by one. */
  #rowsAtOnce(
    file: TailedFile,
    block: Buffer,
    from: number,
    end: number,
    base: number,
    out: EntryWriter,
  ): number | null {
    const { timeline, skipBeforeSeconds: secondsMin, futureSeconds: secondsMax } = this.#emitter
    const limits = { secondsMin, secondsMax, lineBytesMax: this.#lineBytesMax }
    const rows: CriRows = { file, block, from, end, base, timeline, ...limits, lines: 0 }
    if (out.writeRows?.(rows) !== true) return null
    if (rows.lines > 0) this.#account.take(rows.from - from, rows.lines)
    return rows.from
  }

  /** As many events as the writer takes at once; returns where they end. */
  #eventsAtOnce(
    audit: AuditLines,
    file: TailedFile,
    block: Buffer,
    from: number,
    end: number,
    base: number,
    out: EntryWriter,
  ): number {
    if (this.#container || this.#open.hasPieces || !this.#open.areAlone || !this.#account.isPlain) return from
    const { skipBeforeSeconds: secondsMin, futureSeconds: secondsMax } = this.#emitter
    const limits = { secondsMin, secondsMax }
    const nothing = { lines: 0, seconds: 0, nanos: 0, droppedLines: 0, droppedBytes: 0 }
    const events: EventRows = { file, block, from, end, base, audit, ...limits, ...nothing }
    if (out.writeEvents?.(events) !== true || events.from === from) return from
    const { droppedLines, droppedBytes } = events
    if (events.lines > 0) {
      this.timeline.row(events.seconds, events.nanos)
      this.#account.take(events.from - from - droppedBytes, events.lines)
    }
    if (droppedLines > 0) {
      this.#account.skip(STDOUT, base + events.from, droppedBytes, droppedLines, 'auditPolicy')
    }
    return events.from
  }

  /** One line in block[start, end), its file range being [offset, offset + next - start). False: no room, nothing changed. */
  #line(
    file: TailedFile,
    block: Buffer,
    start: number,
    end: number,
    next: number,
    offset: number,
    valid: boolean,
    out: EntryWriter,
    mark = 0,
  ): boolean {
    const row = this.#row
    let marks = mark
    if (this.#container) {
      if (!parseCri(block, start, end, row) && !parseDockerJson(block, start, end, row)) {
        marks |= MARK_NOT_CRI
        this.#takeAsItIs(block, start, end, offset)
      }
    } else this.#takeAsItIs(block, start, end, offset)
    const partial = this.#open.of(row.stream)
    if (this.#isTooOld(partial)) {
      this.#account.skip(row.stream, offset + next - start, next - start, 1)
      return true
    }
    const entry = this.#entry
    // Whether it fits is a question of its own stream.
    entry.stream = row.stream
    if (row.seconds > this.#emitter.futureSeconds) {
      marks |= MARK_FUTURE_TIME
      entry.originalTime = formatTime(row)
      this.#emitter.arrive(offset, row)
    }
    if (row.partial || partial.start !== null || this.#open.hasPieces || !this.#open.areAlone) {
      return this.#piece(file, partial, block, start, next, offset, marks, valid, out)
    }
    if (!out.fits(entry, Math.min(row.messageEnd - row.messageStart, this.#lineBytesMax) + 1024)) return false
    if (this.#audit?.ahead(file, offset, NOTHING, 0, row.buffer, row.messageStart, row.messageEnd) === false)
      return false
    entry.file = file
    entry.buffer = row.buffer
    entry.messageStart = row.messageStart
    entry.messageEnd = row.messageEnd
    entry.stream = row.stream
    entry.marks = marks
    entry.offset = offset
    entry.sourceBytes = next - start
    entry.sourceLines = 1
    this.#emitRow(offset + next - start, valid, out)
    return true
  }

  /** startAgeMax, by the row's own time; a line that has begun is not torn. */
  #isTooOld(partial: OpenLine): boolean {
    const row = this.#row
    if (!this.#container || row.seconds >= this.skipBeforeSeconds || partial.start !== null) return false
    this.timeline.row(row.seconds, row.nanos)
    return true
  }

  /** A line that is of no format: the whole of it, on stdout, with the time of the line before or of arrival. */
  #takeAsItIs(block: Buffer, start: number, end: number, offset: number): void {
    const row = this.#row
    row.buffer = block
    row.messageStart = start
    row.messageEnd = end
    row.stream = STDOUT
    row.partial = false
    if (this.#hasTimes && this.timeline.rowSeconds >= 0) {
      row.seconds = this.timeline.rowSeconds
      row.nanos = this.timeline.rowNanos
    } else if (this.#audit === null || this.#container) this.#emitter.arrive(offset, row)
    else row.seconds = UNKNOWN_SECONDS // until it is known whether it has one of its own
  }

  /** A row while some partial line is open, or one that opens one. */
  #piece(
    file: TailedFile,
    partial: OpenLine,
    block: Buffer,
    start: number,
    next: number,
    offset: number,
    marks: number,
    valid: boolean,
    out: EntryWriter,
  ): boolean {
    const row = this.#row
    const limit = this.#lineBytesMax
    const rowBytes = next - start
    const logical = this.#place.logical + offset - this.#place.offset
    // Room for all that this row may emit: forced ends of open lines, and its own.
    let needed = row.messageEnd - row.messageStart + (row.partial ? 0 : partial.keptBytes) + 4096
    const isTooFar = this.#open.isTooFar(logical)
    needed += isTooFar ? this.#open.heldBytes : this.#open.recordBytes
    if (!out.fits(this.#entry, needed)) return false
    if (!row.partial && this.#audit !== null && partial.start !== null) {
      const { file: begun } = partial.start
      const { messageStart, messageEnd } = row
      if (
        !this.#audit.ahead(
          begun,
          partial.offset,
          partial.bytes,
          partial.keptBytes,
          row.buffer,
          messageStart,
          messageEnd,
        )
      )
        return false
    }
    if (isTooFar) this.#open.end(MARK_PARTIAL_OPEN, offset + rowBytes, out)
    const isOwnTime = (marks & MARKS_WITHOUT_TIME) === 0
    this.#open.beginRow(block, start, offset, logical, isOwnTime, offset + rowBytes, out)
    // A line of no format does not belong to the open line of stdout.
    if ((marks & MARK_NOT_CRI) === 0 && (row.partial || partial.start !== null)) {
      if (partial.start === null) this.#open.open(partial, file, block, start, offset, logical, marks)
      partial.append(row.buffer, row.messageStart, row.messageEnd, limit)
      partial.sourceBytes += rowBytes
      partial.sourceLines++
      partial.marks |= marks & MARK_PARTIAL_OPEN
      if ((marks & MARK_FUTURE_TIME) === 0) this.timeline.row(row.seconds, row.nanos)
      if (!row.partial) this.#open.endLine(partial, row.stream, offset + rowBytes, out)
      return true
    }
    const entry = this.#entry
    entry.file = file
    entry.buffer = row.buffer
    entry.messageStart = row.messageStart
    entry.messageEnd = row.messageEnd
    entry.stream = row.stream
    entry.marks = marks
    entry.offset = offset
    entry.sourceBytes = rowBytes
    entry.sourceLines = 1
    this.#emitRow(offset + rowBytes, valid, out)
    return true
  }

  /** Emits #entry as the row that it was made of. */
  #emitRow(endOffset: number, valid: boolean, out: EntryWriter): void {
    const { seconds, nanos } = this.#row
    const isOwnTime = (this.#entry.marks & MARKS_WITHOUT_TIME) === 0 && (this.#audit === null || this.#container)
    this.#open.emit(seconds, nanos, endOffset, valid, out)
    if (isOwnTime) this.timeline.row(seconds, nanos)
  }

  /** A block without any newline: the beginning or the middle of a raw line longer than a block. */
  rawPiece(block: Buffer, start: number, end: number): void {
    const row = this.#row
    if (this.#raw !== null) this.#raw.append(block, start, end, this.#rawBytesMax)
    else {
      const file = this.#place.file as TailedFile
      let marks = 0
      let partial = this.#open.of(RAW)
      this.#rawStream = RAW
      this.#rawEnds = true
      this.limit(file, start, end)
      if (this.#container && parseCri(block, start, end, row)) {
        partial = this.#open.of(row.stream)
        this.#rawStream = row.stream
        this.#rawEnds = !row.partial
      } else {
        this.#takeAsItIs(block, start, end, this.#place.offset)
        if (this.#container) marks = MARK_NOT_CRI
      }
      this.#rawSkipped = this.#isTooOld(partial)
      if (row.seconds > this.#emitter.futureSeconds && !this.#rawSkipped) {
        marks |= MARK_FUTURE_TIME
        this.#entry.originalTime = formatTime(row)
        this.#emitter.arrive(this.#place.offset, row)
      }
      if (partial.start === null)
        this.#open.open(partial, file, block, start, this.#place.offset, this.#place.logical, marks)
      partial.append(block, row.messageStart, row.messageEnd, this.#rawBytesMax)
      if ((marks & MARKS_WITHOUT_TIME) === 0 && row.seconds !== UNKNOWN_SECONDS) {
        this.timeline.row(row.seconds, row.nanos)
      }
      this.#raw = partial
    }
    this.#raw.sourceBytes += end - start
  }

  get #rawBytesMax(): number {
    return this.#rawSkipped ? 0 : this.#lineBytesMax
  }

  /** The end of the raw line: block[start, end), up to the byte before `next`. False: no room. */
  rawEnd(block: Buffer, start: number, end: number, next: number, out: EntryWriter): boolean {
    const raw = this.#raw as OpenLine
    this.#entry.stream = this.#rawStream === RAW ? STDOUT : this.#rawStream
    if (!out.fits(this.#entry, raw.keptBytes + this.#open.recordBytes + end - start + 4096)) return false
    if (this.#audit !== null && this.#rawEnds && !this.#rawSkipped && raw.start !== null) {
      if (!this.#audit.ahead(raw.start.file, raw.offset, raw.bytes, raw.keptBytes, block, start, end)) return false
    }
    raw.append(block, start, end, this.#rawBytesMax)
    raw.sourceBytes += next - start
    raw.sourceLines++
    this.#raw = null
    const endOffset = this.#place.offset + (next > start ? next - start : AT_END)
    if (this.#rawSkipped) {
      this.#account.skip(this.#rawStream, endOffset, raw.sourceBytes, 1)
      this.#open.close(raw)
    } else if (this.#rawEnds) this.#open.endLine(raw, this.#rawStream, endOffset, out)
    return true
  }

  /** The last line of a finished file, which has no newline; `mark` if it is not the whole of it. */
  lastLine(block: Buffer, start: number, end: number, out: EntryWriter, mark: number): boolean {
    if (this.#raw !== null) {
      this.#raw.marks |= mark
      return this.rawEnd(block, start, end, end, out)
    }
    const file = this.#place.file as TailedFile
    this.limit(file, start, end)
    return this.#line(file, block, start, end, end, this.#place.offset, false, out, mark)
  }

  /** Ends the open lines, where nothing can follow any more. False: no room for them. */
  endPartials(out: EntryWriter, mark: number): boolean {
    if (!this.#open.hasPieces && !this.#open.hasRecord) return true
    if (!out.fits(this.#entry, this.heldBytes + 4096)) return false
    this.#open.end(mark, this.#place.offset + AT_END, out)
    this.#raw = null
    return true
  }

  /** Ends the open records here, for good. False: no room for them. */
  cut(out: EntryWriter): boolean {
    return this.#open.cut(out)
  }

  /** Ends the open records where that was decided before. False: no room for them. */
  cutAgain(out: EntryWriter): boolean {
    return this.#open.cutAgain(out)
  }

  /** What a cut ended at the present place is behind it. */
  get isCut(): boolean {
    return this.#open.isCut
  }

  /** Writes a hole's record. False: no room. */
  writeGap(gap: Gap, out: EntryWriter): boolean {
    return this.#emitter.writeGap(this.#entry, gap, out)
  }

  /** Where the last entry of a source stream ended, while one of its lines is open; null while none is. */
  emittedTo(stream: 0 | 1): Acked | null {
    return this.#open.emittedTo(stream)
  }

  /** The last place at which no line was open, null when that is here. */
  get openSince(): Snapshot | null {
    return this.#open.since
  }
}
