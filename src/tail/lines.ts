// From rows to entries: takes the lines of a block, one after the other, joins the pieces of long ones per source stream,
// gives each its time, and hands it to the writer. It reads nothing and knows no files but by their offsets. A line that does
// not fit leaves everything as it was. Open lines are all that it holds between two calls.
import { isUtf8 } from 'node:buffer'
import { AUDIT_LINE_BYTES_MAX, type AuditLines } from '../audit/lines.ts'
import {
  type Entry,
  MARK_CUT,
  MARK_FUTURE_TIME,
  MARK_GAP,
  MARK_NOT_CRI,
  MARK_PARTIAL_OPEN,
  newEntry,
  STDOUT,
} from '../core/entry.ts'
import { parseCri } from '../parse/cri.ts'
import { parseDockerJson } from '../parse/docker-json.ts'
import { LineGroup } from '../parse/line-group.ts'
import { MULTILINE_BYTES_MAX, type MultilineConfig, multilineRule, multilineText } from '../parse/multiline.ts'
import { Partial } from '../parse/partial.ts'
import { repair } from '../parse/repair.ts'
import { newRow } from '../parse/row.ts'
import { Timeline } from '../parse/timeline.ts'
import type { Account } from './account.ts'
import { Cuts } from './cuts.ts'
import type { TailedFile } from './file.ts'
import { formatTime, type Gap, gapText } from './gap.ts'
import { type Acked, AT_CUT, AT_END, isBefore, OVERLAP_BYTES, type Place, type Snapshot } from './place.ts'
import { Stamps } from './stamps.ts'
import type { CriRows, EntryWriter, EventRows } from './writer.ts'

/** Open lines are closed as they are when this much of the lineage was read since none was open. */
const PARTIAL_SPAN_BYTES_MAX = 16 * 1024 * 1024
/**
 * Records of several lines are closed as they are, where a row begins, when so much was read since nothing was open: with
 * both source streams busy one of them always is, and there would be no place to begin again.
 */
const GROUP_SPAN_BYTES_MAX = 256 * 1024
const FUTURE_SECONDS_MAX = 600
const UNKNOWN_SECONDS = -1
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
  readonly timeline = new Timeline()
  readonly stamps = new Stamps()
  readonly cuts = new Cuts()
  /** Rows with a time before it are skipped (startAgeMax). */
  skipBeforeSeconds = Number.NEGATIVE_INFINITY
  /** Wall clock of this round. */
  nowMs = 0
  /** Marks seen since they were taken: MARK bit -> lines. Most readers see none. */
  marks: Map<number, number> | null = null
  readonly #place: Place
  readonly #account: Account
  readonly #container: boolean
  /** Lines have times of their own. */
  readonly #hasTimes: boolean
  readonly #lineBytesMax: number
  readonly #audit: AuditLines | null
  readonly #entry = newEntry()
  readonly #row = newRow()
  // stdout, stderr, and a raw line of no format that is longer than a block.
  readonly #partials = [new Partial<Snapshot>(), new Partial<Snapshot>(), new Partial<Snapshot>()] as const
  #openPartials = 0
  /** By source stream, the lines that are one record; null: each line is one. */
  #groups: readonly [LineGroup, LineGroup] | null = null
  #openGroups = 0
  /** What is written of a record of several lines; the other entry is the line that ends it. */
  #groupEntry: ReturnType<typeof newEntry> | null = null
  /** The row at hand: where a record may begin. */
  readonly #at = { block: NOTHING, start: 0, offset: 0, logical: 0 }
  /** Where the open records were last ended by a cut. */
  #cutAt: { file: TailedFile; offset: number } | null = null
  /** By source stream, while one of its lines is open: where the last entry that was handed out ended. */
  readonly #emitted: [Acked | null, Acked | null] = [null, null]
  /** Where the first of the open lines began, while none of those before it was open any more. */
  #openSince: Snapshot | null = null
  /** The partial that the pieces of an over-long raw line go to, and whether the line ends the message. */
  #raw: Partial<Snapshot> | null = null
  #rawStream = STDOUT
  #rawEnds = true
  /** It is older than startAgeMax allows. */
  #rawSkipped = false
  /** The latest that the wall clock has ever been. */
  #latestMs = Number.NEGATIVE_INFINITY
  /** From where on a time is taken for a mistake. */
  #futureSeconds = 0
  /** File offset of the end of the rows that are being handled. */
  #rowsEnd = 0

  /** `place` is where block[from] lies, whenever a method is given a block. */
  constructor(place: Place, account: Account, options: LinesOptions) {
    this.#place = place
    this.#account = account
    this.#container = options.format === 'container'
    this.#audit = options.audit
    // An audit event is made to fit by what it can lose, once all of it is there.
    this.#lineBytesMax = options.audit === null ? options.lineBytesMax : AUDIT_LINE_BYTES_MAX
    this.#hasTimes = this.#container || options.audit !== null
  }

  /** A raw line longer than a block is open. */
  get isInRaw(): boolean {
    return this.#raw !== null
  }

  /** Which lines are one record from here on; null: each is one. Only while nothing is open. */
  set multiline(config: MultilineConfig | null) {
    if (this.#openSince !== null) throw new Error('a line is open, which would be another one then')
    const rule = config === null ? null : multilineRule(config)
    this.#groups = rule === null ? null : [new LineGroup(rule), new LineGroup(rule)]
  }

  /** A record that more lines may belong to is open. */
  get hasOpenRecord(): boolean {
    return this.#openGroups > 0
  }

  /** Bytes held by open lines. */
  get heldBytes(): number {
    return this.#partials[0].keptBytes + this.#partials[1].keptBytes + this.#partials[2].keptBytes + this.#groupBytes
  }

  get #groupBytes(): number {
    return this.#groups === null ? 0 : this.#groups[0].text.keptBytes + this.#groups[1].text.keptBytes
  }

  /** Gives idle memory back. */
  release(): void {
    for (const partial of this.#partials) partial.release()
    for (const group of this.#groups ?? []) group.text.release()
    this.#audit?.release()
  }

  /** Forgets what is open, for a rewind to where the time rule was at `times`. */
  reset(times: readonly number[]): void {
    for (const partial of this.#partials) partial.close()
    for (const group of this.#groups ?? []) group.close()
    this.#openPartials = 0
    this.#openGroups = 0
    this.#openSince = null
    this.#cutAt = null
    this.#raw = null
    this.#emitted.fill(null)
    this.timeline.load(times)
  }

  /**
   * How far in block[from, end) rows may be handled alike: to the end of the range that has the same time of arrival.
   * Plain lines all take one; others where they need it, and there what lies in the future is judged by it.
   */
  limit(file: TailedFile, from: number, end: number): number {
    const to = this.cuts.next(file, this.#place.offset, this.#place.offset + end - from)
    const stamps = this.stamps
    this.#rowsEnd = this.#hasTimes
      ? stamps.extent(file, this.#place.offset, to)
      : stamps.range(file, this.#place.offset, to, this.nowMs)
    // What was let pass once is let pass again, though somebody has set the clock back meanwhile.
    this.#latestMs = Math.max(this.#latestMs, this.nowMs)
    const arrivalSeconds = stamps.found ? stamps.seconds : Math.floor(this.#latestMs / 1000)
    this.#futureSeconds = this.#hasTimes ? arrivalSeconds + FUTURE_SECONDS_MAX : Number.POSITIVE_INFINITY
    return from + this.#rowsEnd - this.#place.offset
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
    if (this.#openPartials > 0 || this.#groups !== null || !this.#account.isPlain) return from
    const atOnce = this.#rowsAtOnce(file, block, from, end, base, out)
    const first = atOnce ?? from
    if (first === end) return end
    const row = this.#row
    const entry = this.#entry
    const timeline = this.timeline
    const lineBytesMax = this.#lineBytesMax
    const secondsMin = this.skipBeforeSeconds
    const secondsMax = this.#futureSeconds
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
    const { timeline, skipBeforeSeconds: secondsMin } = this
    const limits = { secondsMin, secondsMax: this.#futureSeconds, lineBytesMax: this.#lineBytesMax }
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
    if (this.#container || this.#openPartials > 0 || this.#groups !== null || !this.#account.isPlain) return from
    const limits = { secondsMin: this.skipBeforeSeconds, secondsMax: this.#futureSeconds }
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
    const partial = this.#partials[row.stream as 0 | 1]
    if (this.#isTooOld(partial)) {
      this.#account.skip(row.stream, offset + next - start, next - start, 1)
      return true
    }
    const entry = this.#entry
    // Whether it fits is a question of its own stream.
    entry.stream = row.stream
    if (row.seconds > this.#futureSeconds) {
      marks |= MARK_FUTURE_TIME
      entry.originalTime = formatTime(row)
      this.#setArrival(offset)
    }
    if (row.partial || partial.start !== null || this.#openPartials > 0 || this.#groups !== null) {
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
  #isTooOld(partial: Partial<Snapshot>): boolean {
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
    } else if (this.#audit === null || this.#container) this.#setArrival(offset)
    else row.seconds = UNKNOWN_SECONDS // until it is known whether it has one of its own
  }

  /** The time of arrival of the row at `offset`; the rows after it in this block have the same one. */
  #setArrival(offset: number): void {
    const stamps = this.stamps
    stamps.range(this.#place.file as TailedFile, offset, Math.max(this.#rowsEnd, offset + 1), this.nowMs)
    this.#row.seconds = stamps.seconds
    this.#row.nanos = stamps.nanos
  }

  /** A row while some partial line is open, or one that opens one. */
  #piece(
    file: TailedFile,
    partial: Partial<Snapshot>,
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
    const isTooFar = this.#openSince !== null && logical - this.#openSince.logical > PARTIAL_SPAN_BYTES_MAX
    if (isTooFar) needed += this.heldBytes
    else needed += this.#groupBytes
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
    if (isTooFar) this.#endOpen(MARK_PARTIAL_OPEN, offset + rowBytes, out)
    if (this.#groups !== null) {
      const isOwnTime = (marks & MARKS_WITHOUT_TIME) === 0
      this.#endOver(this.#groups, isOwnTime, logical, offset + rowBytes, out)
      Object.assign(this.#at, { block, start, offset, logical })
    }
    // A line of no format does not belong to the open line of stdout.
    if ((marks & MARK_NOT_CRI) === 0 && (row.partial || partial.start !== null)) {
      if (partial.start === null) this.#openPartial(partial, file, block, start, offset, logical, marks)
      partial.append(row.buffer, row.messageStart, row.messageEnd, limit)
      partial.sourceBytes += rowBytes
      partial.sourceLines++
      partial.marks |= marks & MARK_PARTIAL_OPEN
      if ((marks & MARK_FUTURE_TIME) === 0) this.timeline.row(row.seconds, row.nanos)
      if (!row.partial) this.#endPartial(partial, row.stream, offset + rowBytes, out)
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

  /** `block[start]` is the byte at `offset` in the file. What is remarkable about the first piece is about the line. */
  #openPartial(
    partial: Partial<Snapshot>,
    file: TailedFile,
    block: Buffer,
    start: number,
    offset: number,
    logical: number,
    marks: number,
  ): void {
    const here = this.#snapshot(file, block, start, offset, logical)
    this.#openSince ??= here
    partial.open(here)
    partial.seconds = this.#row.seconds
    partial.nanos = this.#row.nanos
    partial.marks = marks
    partial.originalTime = (marks & MARK_FUTURE_TIME) === 0 ? '' : this.#entry.originalTime
    partial.offset = offset
    this.#openPartials++
    this.#noteEmitted(this.#row.stream, file, offset)
  }

  #snapshot(file: TailedFile, block: Buffer, start: number, offset: number, logical: number): Snapshot {
    const tail = file.compressed
      ? ''
      : block.toString('latin1', Math.max(0, start - Math.min(offset, OVERLAP_BYTES)), start)
    return { file, offset, logical, tail, times: this.timeline.save(), ended: false, gaps: [] }
  }

  #endPartial(partial: Partial<Snapshot>, stream: number, endOffset: number, out: EntryWriter): void {
    const entry = this.#entry
    entry.file = (partial.start as Snapshot).file
    entry.buffer = partial.bytes
    entry.messageStart = 0
    entry.messageEnd = partial.keptBytes
    entry.stream = stream === 2 ? STDOUT : stream
    entry.marks = partial.marks
    entry.originalBytes = partial.totalBytes
    entry.originalSha256 = partial.sha256()
    entry.originalTime = partial.originalTime
    if (entry.originalSha256 !== '') entry.marks |= MARK_CUT
    entry.offset = partial.offset
    entry.sourceBytes = partial.sourceBytes
    entry.sourceLines = partial.sourceLines
    this.#emit(partial.seconds, partial.nanos, endOffset, false, out)
    this.#closePartial(partial)
  }

  #closePartial(partial: Partial<Snapshot>): void {
    partial.close()
    if (--this.#openPartials === 0 && this.#openGroups === 0) this.#openSince = null
  }

  /**
   * Takes #entry into the open record of its stream; or ends that and begins another one with it. False: it is a record of
   * its own, and written at once. There must be room.
   */
  #join(
    [out0, err0]: readonly [LineGroup, LineGroup],
    seconds: number,
    nanos: number,
    endOffset: number,
    out: EntryWriter,
  ) {
    const entry = this.#entry
    const group = entry.stream === STDOUT ? out0 : err0
    // What is remarkable about a line is about it alone.
    const mayJoin = entry.marks === 0 && entry.messageEnd - entry.messageStart <= this.#groupBytesMax
    const line = mayJoin ? multilineText(entry.buffer, entry.messageStart, entry.messageEnd) : ''
    if (mayJoin && group.isOpen && group.join(entry, line, seconds, nanos, this.#groupBytesMax)) return true
    if (group.isOpen) this.#endGroup(group, entry.stream, endOffset, out)
    if (!mayJoin) return false
    const { block, start, offset, logical } = this.#at
    this.#openSince ??= this.#snapshot(entry.file as TailedFile, block, start, offset, logical)
    group.open(entry, line, seconds, nanos)
    this.#openGroups++
    this.#noteEmitted(entry.stream, entry.file as TailedFile, offset)
    return true
  }

  get #groupBytesMax(): number {
    return Math.min(MULTILINE_BYTES_MAX, this.#lineBytesMax)
  }

  /** Ends the records to which a row of the present time cannot belong any more, or all that have been open for too long. */
  #endOver(
    groups: readonly LineGroup[],
    isOwnTime: boolean,
    logical: number,
    endOffset: number,
    out: EntryWriter,
  ): void {
    const { seconds, nanos } = this.#row
    const since = this.#openPartials > 0 ? null : this.#openSince
    const isTooFar = since !== null && logical - since.logical > GROUP_SPAN_BYTES_MAX
    for (const [stream, group] of groups.entries()) {
      if (!group.isOpen) continue
      if (isTooFar || (isOwnTime && group.isOver(seconds, nanos))) this.#endGroup(group, stream, endOffset, out)
    }
  }

  #endGroup(group: LineGroup, stream: number, endOffset: number, out: EntryWriter): void {
    this.#groupEntry ??= newEntry()
    const entry = this.#groupEntry
    const { text } = group
    entry.file = text.start
    entry.buffer = text.bytes
    entry.messageStart = 0
    entry.messageEnd = text.keptBytes
    entry.stream = stream
    entry.marks = 0
    entry.offset = text.offset
    entry.sourceBytes = text.sourceBytes
    entry.sourceLines = text.sourceLines
    this.#write(entry, text.seconds, text.nanos, endOffset, false, out)
    group.close()
    if (--this.#openGroups === 0 && this.#openPartials === 0) this.#openSince = null
  }

  /** Ends the open records here, for good. False: no room for them. */
  cut(out: EntryWriter): boolean {
    const { file, offset } = this.#place
    if (this.#groups === null || file === null || this.#openGroups === 0) return true
    if (!out.fits(this.#entry, this.#groupBytes + 4096)) return false
    this.cuts.add(file, offset)
    this.#cutAt = { file, offset }
    for (const [stream, group] of this.#groups.entries()) {
      if (group.isOpen) this.#endGroup(group, stream, offset + AT_CUT, out)
    }
    return true
  }

  /** Ends the open records where that was decided before. False: no room for them. */
  cutAgain(out: EntryWriter): boolean {
    return this.#openGroups === 0 || !this.cuts.has(this.#place.file, this.#place.offset) || this.cut(out)
  }

  /** What a cut ended at the present place is behind it. */
  get isCut(): boolean {
    return this.#cutAt !== null && this.#cutAt.file === this.#place.file && this.#cutAt.offset === this.#place.offset
  }

  /** Emits #entry as the row that it was made of. */
  #emitRow(endOffset: number, valid: boolean, out: EntryWriter): void {
    const { seconds, nanos } = this.#row
    const isOwnTime = (this.#entry.marks & MARKS_WITHOUT_TIME) === 0 && (this.#audit === null || this.#container)
    this.#emit(seconds, nanos, endOffset, valid, out)
    if (isOwnTime) this.timeline.row(seconds, nanos)
  }

  /** Emits #entry, or what it ends. There must be room. */
  #emit(seconds: number, nanos: number, endOffset: number, valid: boolean, out: EntryWriter): void {
    const entry = this.#entry
    if (this.#audit !== null && (entry.marks & MARK_GAP) === 0) {
      this.#emitAudit(this.#audit, seconds, nanos, endOffset, valid, out)
      return
    }
    if (this.#groups !== null && this.#join(this.#groups, seconds, nanos, endOffset, out)) return
    this.#write(entry, seconds, nanos, endOffset, valid, out)
  }

  /** Writes an entry under the time rule, unless it is acknowledged. */
  #write(entry: Entry, seconds: number, nanos: number, endOffset: number, valid: boolean, out: EntryWriter): void {
    if (!valid || entry.messageEnd - entry.messageStart > this.#lineBytesMax) repair(entry, this.#lineBytesMax)
    this.timeline.emit(entry.stream, seconds, nanos)
    entry.seconds = this.timeline.seconds
    entry.nanos = this.timeline.nanos
    this.#noteEmitted(entry.stream, this.#place.file as TailedFile, endOffset)
    if (this.#account.isAcked(entry.stream, endOffset)) return
    this.#account.take(entry.sourceBytes, entry.sourceLines)
    if (entry.marks !== 0) this.#noteMarks(entry.marks, entry.sourceLines)
    out.write(entry)
  }

  /** Emits #entry as a line of an audit log: an event has its own time, exactly; other lines are under the time rule. */
  #emitAudit(
    audit: AuditLines,
    rowSeconds: number,
    rowNanos: number,
    endOffset: number,
    valid: boolean,
    out: EntryWriter,
  ): void {
    const entry = this.#entry
    const { stream, offset, sourceBytes, sourceLines } = entry
    this.#noteEmitted(stream, this.#place.file as TailedFile, endOffset)
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
        return
      }
      if (entry.seconds > this.#futureSeconds) {
        entry.marks |= MARK_FUTURE_TIME
        entry.originalTime = formatTime(entry)
        this.#setArrival(offset)
        entry.seconds = this.#row.seconds
        entry.nanos = this.#row.nanos
      } else this.timeline.row(entry.seconds, entry.nanos)
    } else {
      const isKnown = rowSeconds !== UNKNOWN_SECONDS
      if (!isKnown) this.#setArrival(offset)
      this.timeline.emit(stream, isKnown ? rowSeconds : this.#row.seconds, isKnown ? rowNanos : this.#row.nanos)
      entry.seconds = this.timeline.seconds
      entry.nanos = this.timeline.nanos
    }
    this.#account.take(sourceBytes, sourceLines)
    if (entry.marks !== 0) this.#noteMarks(entry.marks, sourceLines)
    out.write(entry)
    entry.audit = null
  }

  /** A block without any newline: the beginning or the middle of a raw line longer than a block. */
  rawPiece(block: Buffer, start: number, end: number): void {
    const row = this.#row
    if (this.#raw !== null) this.#raw.append(block, start, end, this.#rawBytesMax)
    else {
      const file = this.#place.file as TailedFile
      let marks = 0
      let partial: Partial<Snapshot> = this.#partials[2]
      this.#rawStream = 2
      this.#rawEnds = true
      this.limit(file, start, end)
      if (this.#container && parseCri(block, start, end, row)) {
        partial = this.#partials[row.stream as 0 | 1]
        this.#rawStream = row.stream
        this.#rawEnds = !row.partial
      } else {
        this.#takeAsItIs(block, start, end, this.#place.offset)
        if (this.#container) marks = MARK_NOT_CRI
      }
      this.#rawSkipped = this.#isTooOld(partial)
      if (row.seconds > this.#futureSeconds && !this.#rawSkipped) {
        marks |= MARK_FUTURE_TIME
        this.#entry.originalTime = formatTime(row)
        this.#setArrival(this.#place.offset)
      }
      if (partial.start === null)
        this.#openPartial(partial, file, block, start, this.#place.offset, this.#place.logical, marks)
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
    const raw = this.#raw as Partial<Snapshot>
    this.#entry.stream = this.#rawStream === 2 ? STDOUT : this.#rawStream
    if (!out.fits(this.#entry, raw.keptBytes + this.#groupBytes + end - start + 4096)) return false
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
      this.#closePartial(raw)
    } else if (this.#rawEnds) this.#endPartial(raw, this.#rawStream, endOffset, out)
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
    if (this.#openPartials === 0 && this.#openGroups === 0) return true
    if (!out.fits(this.#entry, this.heldBytes + 4096)) return false
    this.#endOpen(mark, this.#place.offset + AT_END, out)
    this.#raw = null
    return true
  }

  /** There must be room. */
  #endOpen(mark: number, endOffset: number, out: EntryWriter): void {
    for (const [stream, partial] of this.#partials.entries()) {
      if (partial.start === null) continue
      partial.marks |= mark
      this.#endPartial(partial, stream, endOffset, out)
    }
    for (const [stream, group] of this.#groups?.entries() ?? []) {
      if (group.isOpen) this.#endGroup(group, stream, endOffset, out)
    }
  }

  /** Writes a hole's record. It stands for no bytes and leaves the time rule as it is. False: no room. */
  writeGap(gap: Gap, out: EntryWriter): boolean {
    const text = Buffer.from(gapText(gap))
    const entry = this.#entry
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
  #noteEmitted(stream: number, file: TailedFile, offset: number): void {
    const here = { file, offset }
    const before = this.#emitted[stream as 0 | 1]
    if (before == null || isBefore(before, here)) this.#emitted[stream as 0 | 1] = here
  }

  /**
   * Where the last entry of a source stream ended, while one of its lines is open; null while none is, and all that was
   * read is handed out. Where the open line ends may turn out otherwise when it is read again: at the end of a file, if
   * those after it were empty and are gone; so nothing behind its beginning counts as handed out before it is.
   */
  emittedTo(stream: 0 | 1): Acked | null {
    const isOpen =
      this.#partials[stream].start !== null ||
      (stream === STDOUT && this.#partials[2].start !== null) ||
      this.#groups?.[stream].isOpen === true
    return isOpen ? this.#emitted[stream] : null
  }

  #noteMarks(marks: number, lines: number): void {
    this.marks ??= new Map()
    for (let bit = 1; bit <= marks; bit <<= 1) {
      if ((marks & bit) !== 0) this.marks.set(bit, (this.marks.get(bit) ?? 0) + lines)
    }
  }

  /**
   * The last place at which no line was open, null when that is here. Only from such a place the same lines are made
   * again: where one of stdout begins, one of stderr may be in its middle.
   */
  get openSince(): Snapshot | null {
    return this.#openSince
  }
}
