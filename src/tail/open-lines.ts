// The lines of one reader that have begun and have no end yet: lines in pieces, of each source stream, a raw line that is
// longer than a block, and records of several lines. Invariant: `since` is the last place at which none was open, and only
// from such a place the same lines are made again: where one of stdout begins, one of stderr may be in its middle. Bound: a line's
// limit for each of them, and the spans of the file after which they are ended as they are.
import type { AuditLines } from '../audit/lines.ts'
import { type Entry, MARK_CUT, MARK_FUTURE_TIME, MARK_GAP, newEntry, STDOUT } from '../core/entry.ts'
import { LineGroup } from '../parse/line-group.ts'
import { MULTILINE_BYTES_MAX, type MultilineConfig, multilineRule, multilineText } from '../parse/multiline.ts'
import { Partial } from '../parse/partial.ts'
import type { Row } from '../parse/row.ts'
import { Cuts } from './cuts.ts'
import type { Emitter } from './emitter.ts'
import type { TailedFile } from './file.ts'
import { type Acked, AT_CUT, OVERLAP_BYTES, type Place, type Snapshot } from './place.ts'
import type { EntryWriter } from './writer.ts'

/** The open lines of a raw line of no format, which belongs to no source stream until it is whole. */
export const RAW = 2
/** Open lines are closed as they are when this much of the lineage was read since none was open. */
const PARTIAL_SPAN_BYTES_MAX = 16 * 1024 * 1024
/**
 * Records of several lines are closed as they are, where a row begins, when so much was read since nothing was open: with
 * both source streams busy one of them always is, and there would be no place to begin again.
 */
const GROUP_SPAN_BYTES_MAX = 256 * 1024

/** A line in pieces. */
export type OpenLine = Partial<Snapshot>

export class OpenLines {
  /** Where open records were ended for good. */
  readonly cuts = new Cuts()
  /** Where the first of the open lines began, while none of those before it was open any more; null: none is open. */
  since: Snapshot | null = null
  readonly #place: Place
  readonly #emitter: Emitter
  readonly #audit: AuditLines | null
  readonly #lineBytesMax: number
  /** What is written, and the row at hand: the reader's own. */
  readonly #entry: Entry
  readonly #row: Row
  /** Of stdout, of stderr, and of RAW. */
  readonly #partials: readonly [OpenLine, OpenLine, OpenLine] = [new Partial(), new Partial(), new Partial()]
  #pieces = 0
  /** By source stream, the lines that are one record; null: each line is one. */
  #groups: readonly [LineGroup, LineGroup] | null = null
  #records = 0
  /** What is written of a record of several lines; the other entry is the line that ends it. */
  #groupEntry: Entry | null = null
  /** Where the row at hand lies, at which a record may begin. */
  readonly #at = { block: Buffer.alloc(0), start: 0, offset: 0, logical: 0 }
  /** Where the open records were last ended by a cut. */
  #cutAt: { file: TailedFile; offset: number } | null = null

  constructor(place: Place, emitter: Emitter, audit: AuditLines | null, lineBytesMax: number, entry: Entry, row: Row) {
    this.#place = place
    this.#emitter = emitter
    this.#audit = audit
    this.#lineBytesMax = lineBytesMax
    this.#entry = entry
    this.#row = row
  }

  /** The line in pieces of a source stream, or of RAW; nothing is open of it where its `start` is null. */
  of(stream: number): OpenLine {
    return this.#partials[stream as 0 | 1 | 2]
  }

  /** A line in pieces is open. */
  get hasPieces(): boolean {
    return this.#pieces > 0
  }

  /** A record that more lines may belong to is open. */
  get hasRecord(): boolean {
    return this.#records > 0
  }

  /** Lines are records each, none waits for another one. */
  get areAlone(): boolean {
    return this.#groups === null
  }

  /** Which lines are one record from here on; null: each is one. Only while nothing is open. */
  set multiline(config: MultilineConfig | null) {
    if (this.since !== null) throw new Error('a line is open, which would be another one then')
    const rule = config === null ? null : multilineRule(config)
    this.#groups = rule === null ? null : [new LineGroup(rule), new LineGroup(rule)]
  }

  get heldBytes(): number {
    return this.#partials[0].keptBytes + this.#partials[1].keptBytes + this.#partials[2].keptBytes + this.recordBytes
  }

  /** Those of records of several lines. */
  get recordBytes(): number {
    return this.#groups === null ? 0 : this.#groups[0].text.keptBytes + this.#groups[1].text.keptBytes
  }

  /** Gives idle memory back. */
  release(): void {
    for (const partial of this.#partials) partial.release()
    for (const group of this.#groups ?? []) group.text.release()
  }

  /** Forgets all of them, for a rewind. */
  reset(): void {
    for (const partial of this.#partials) partial.close()
    for (const group of this.#groups ?? []) group.close()
    this.#pieces = 0
    this.#records = 0
    this.since = null
    this.#cutAt = null
  }

  /**
   * Where the last entry of a source stream ended, while one of its lines is open; null while none is, and all that was
   * read is handed out. Where the open line ends may turn out otherwise when it is read again: at the end of a file, if
   * those after it were empty and are gone; so nothing behind its beginning counts as handed out before it is.
   */
  emittedTo(stream: 0 | 1): Acked | null {
    const isOpen =
      this.#partials[stream].start !== null ||
      (stream === STDOUT && this.#partials[RAW].start !== null) ||
      this.#groups?.[stream].isOpen === true
    return isOpen ? this.#emitter.emittedTo(stream) : null
  }

  /** Whether lines have been open for so long that they are to be ended before the row at `logical` (`end`). */
  isTooFar(logical: number): boolean {
    return this.since !== null && logical - this.since.logical > PARTIAL_SPAN_BYTES_MAX
  }

  /** Opens a line with the row at hand; block[start] is the byte at `offset` in the file. `marks` of the first piece are about the line. */
  open(
    line: OpenLine,
    file: TailedFile,
    block: Buffer,
    start: number,
    offset: number,
    logical: number,
    marks: number,
  ): void {
    const here = this.#snapshot(file, block, start, offset, logical)
    this.since ??= here
    line.open(here)
    line.seconds = this.#row.seconds
    line.nanos = this.#row.nanos
    line.marks = marks
    line.originalTime = (marks & MARK_FUTURE_TIME) === 0 ? '' : this.#entry.originalTime
    line.offset = offset
    this.#pieces++
    this.#emitter.noteEmitted(this.#row.stream, file, offset)
  }

  /** The line is whole: emits it. There must be room. */
  endLine(line: OpenLine, stream: number, endOffset: number, out: EntryWriter): void {
    const entry = this.#entry
    entry.file = (line.start as Snapshot).file
    entry.buffer = line.bytes
    entry.messageStart = 0
    entry.messageEnd = line.keptBytes
    entry.stream = stream === RAW ? STDOUT : stream
    entry.marks = line.marks
    entry.originalBytes = line.totalBytes
    entry.originalSha256 = line.sha256()
    entry.originalTime = line.originalTime
    if (entry.originalSha256 !== '') entry.marks |= MARK_CUT
    entry.offset = line.offset
    entry.sourceBytes = line.sourceBytes
    entry.sourceLines = line.sourceLines
    this.emit(line.seconds, line.nanos, endOffset, false, out)
    this.close(line)
  }

  /** Forgets the line. */
  close(line: OpenLine): void {
    line.close()
    this.#pieces--
    this.#noteClosed()
  }

  /** The row at hand lies there: ends the records to which it cannot belong any more, or all that have been open for too long. */
  beginRow(
    block: Buffer,
    start: number,
    offset: number,
    logical: number,
    isOwnTime: boolean,
    endOffset: number,
    out: EntryWriter,
  ): void {
    if (this.#groups === null) return
    const { seconds, nanos } = this.#row
    const since = this.#pieces > 0 ? null : this.since
    const isTooFar = since !== null && logical - since.logical > GROUP_SPAN_BYTES_MAX
    for (const [stream, group] of this.#groups.entries()) {
      if (!group.isOpen) continue
      if (isTooFar || (isOwnTime && group.isOver(seconds, nanos))) this.#endGroup(group, stream, endOffset, out)
    }
    Object.assign(this.#at, { block, start, offset, logical })
  }

  /** Emits the entry, or takes it into the open record of its stream. There must be room for it and for what it ends. */
  emit(seconds: number, nanos: number, endOffset: number, valid: boolean, out: EntryWriter): void {
    const entry = this.#entry
    if (this.#audit !== null && (entry.marks & MARK_GAP) === 0) {
      this.#emitter.writeAudit(this.#audit, entry, seconds, nanos, endOffset, valid, out)
      return
    }
    if (this.#groups !== null && this.#join(this.#groups, seconds, nanos, endOffset, out)) return
    this.#emitter.write(entry, seconds, nanos, endOffset, valid, out)
  }

  /** Ends the open records here, for good. False: no room for them. */
  cut(out: EntryWriter): boolean {
    const { file, offset } = this.#place
    if (this.#groups === null || file === null || this.#records === 0) return true
    if (!out.fits(this.#entry, this.recordBytes + 4096)) return false
    this.cuts.add(file, offset)
    this.#cutAt = { file, offset }
    this.#endGroups(offset + AT_CUT, out)
    return true
  }

  /** Ends the open records where that was decided before. False: no room for them. */
  cutAgain(out: EntryWriter): boolean {
    return this.#records === 0 || !this.cuts.has(this.#place.file, this.#place.offset) || this.cut(out)
  }

  /** What a cut ended at the present place is behind it. */
  get isCut(): boolean {
    return this.#cutAt !== null && this.#cutAt.file === this.#place.file && this.#cutAt.offset === this.#place.offset
  }

  /** Ends all open lines as they are, marked with `mark`. There must be room. */
  end(mark: number, endOffset: number, out: EntryWriter): void {
    for (const [stream, line] of this.#partials.entries()) {
      if (line.start === null) continue
      line.marks |= mark
      this.endLine(line, stream, endOffset, out)
    }
    this.#endGroups(endOffset, out)
  }

  /**
   * Takes the entry into the open record of its stream; or ends that and begins another one with it. False: it is a record of
   * its own, and to be written at once. There must be room.
   */
  #join(
    [stdout, stderr]: readonly [LineGroup, LineGroup],
    seconds: number,
    nanos: number,
    endOffset: number,
    out: EntryWriter,
  ): boolean {
    const entry = this.#entry
    const group = entry.stream === STDOUT ? stdout : stderr
    const bytesMax = Math.min(MULTILINE_BYTES_MAX, this.#lineBytesMax)
    // What is remarkable about a line is about it alone.
    const mayJoin = entry.marks === 0 && entry.messageEnd - entry.messageStart <= bytesMax
    const line = mayJoin ? multilineText(entry.buffer, entry.messageStart, entry.messageEnd) : ''
    if (mayJoin && group.isOpen && group.join(entry, line, seconds, nanos, bytesMax)) return true
    if (group.isOpen) this.#endGroup(group, entry.stream, endOffset, out)
    if (!mayJoin) return false
    const { block, start, offset, logical } = this.#at
    this.since ??= this.#snapshot(entry.file as TailedFile, block, start, offset, logical)
    group.open(entry, line, seconds, nanos)
    this.#records++
    this.#emitter.noteEmitted(entry.stream, entry.file as TailedFile, offset)
    return true
  }

  #endGroups(endOffset: number, out: EntryWriter): void {
    for (const [stream, group] of this.#groups?.entries() ?? []) {
      if (group.isOpen) this.#endGroup(group, stream, endOffset, out)
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
    this.#emitter.write(entry, text.seconds, text.nanos, endOffset, false, out)
    group.close()
    this.#records--
    this.#noteClosed()
  }

  #noteClosed(): void {
    if (this.#pieces === 0 && this.#records === 0) this.since = null
  }

  #snapshot(file: TailedFile, block: Buffer, start: number, offset: number, logical: number): Snapshot {
    const tail = file.compressed
      ? ''
      : block.toString('latin1', Math.max(0, start - Math.min(offset, OVERLAP_BYTES)), start)
    return { file, offset, logical, tail, times: this.#emitter.timeline.save(), ended: false, gaps: [] }
  }
}
