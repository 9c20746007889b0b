// A reader: one sink's place in one lineage. It turns blocks of files into entries, in order, and knows from where to
// begin again. Three places matter: `offset` (read so far), the committed snapshot (acknowledged: where a rewind or a
// restart begins) and, between them, what was acknowledged already for one source stream. The block is the caller's and
// is used only during `fill`; nothing but open partial lines is held between two calls.
import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import type { Position } from '../checkpoint/position.ts'
import {
  type Entry,
  MARK_CUT,
  MARK_FUTURE_TIME,
  MARK_GAP,
  MARK_INVALID_UTF8,
  MARK_NOT_CRI,
  MARK_PARTIAL_OPEN,
  newEntry,
  STDOUT,
} from '../core/entry.ts'
import type { Events } from '../core/events.ts'
import type { Ledger } from '../core/ledger.ts'
import { parseCri } from '../parse/cri.ts'
import { parseDockerJson } from '../parse/docker-json.ts'
import { Partial } from '../parse/partial.ts'
import { newRow } from '../parse/row.ts'
import { Timeline } from '../parse/timeline.ts'
import type { Clock } from '../ports/clock.ts'
import type { ReadFileSystem } from '../ports/fs.ts'
import type { Gunzip } from '../ports/gunzip.ts'
import { readWitness, type TailedFile } from './file.ts'
import { GzipReader, WAIT } from './gzip.ts'
import type { FileUser, Lineage } from './lineage.ts'
import { findResumption } from './resume.ts'
import { Stamps } from './stamps.ts'

/** Bytes before the offset that every read repeats and compares: a file rewritten under us does not go unnoticed. */
const OVERLAP_BYTES = 64
/** An open partial line is closed as it is when this much of the lineage was read since it began. */
const PARTIAL_SPAN_BYTES_MAX = 16 * 1024 * 1024
/** A superseded file is finished when it has been at its end for this long since its successor came. */
const SUPERSEDED_GRACE_MS = 1000
const UNLINKED_GRACE_MS = 5000
const FUTURE_SECONDS_MAX = 600
/** The least that is read at once; a line that is not whole in what was read then is taken in pieces. */
const PIECE_BYTES_MIN = 128 * 1024

/** Where entries go. The reader asks before it changes any state, so that a line that does not fit is read again. */
export interface EntryWriter {
  /** Whether an entry with a message of so many bytes can be written. */
  fits(entry: Entry, messageBytes: number): boolean
  write(entry: Entry): void
  /** Bytes that may still be written, about. */
  readonly roomBytes: number
}

/** full: the writer has no room; dry: nothing more to read now; wait: decompression is under way, `wake` is called. */
export type FillEnd = 'full' | 'dry' | 'wait'

export interface ReaderOptions {
  sink: string
  format: 'container' | 'plain'
  startAt: 'beginning' | 'end'
  /** Milliseconds, null: off. */
  startAgeMax: number | null
  lineBytesMax: number
  ledger: Ledger
  /** Read to the end, then take every file as finished. */
  once: boolean
  /** Called when a `wait` is over. */
  wake: () => void
}

export interface ReaderDeps {
  fs: ReadFileSystem
  clock: Clock
  gunzip: Gunzip
  events: Events
}

/** A place to begin again, with the state of the time rule there. */
interface Snapshot {
  file: TailedFile
  offset: number
  logical: number
  times: number[]
  /** A hole that is still to be written. */
  gap: Gap | null
}

interface Acked {
  file: TailedFile
  offset: number
}

interface Gap {
  path: string
  from: number
  to: number | null
  cause: string
}

export class Reader implements FileUser {
  readonly lineage: Lineage
  readonly options: ReaderOptions
  readonly #deps: ReaderDeps
  readonly #saved: Position | undefined
  readonly #entry = newEntry()
  readonly #row = newRow()
  readonly #timeline = new Timeline()
  // stdout, stderr, and a raw line of no format that is longer than a block.
  readonly #partials = [new Partial<Snapshot>(), new Partial<Snapshot>(), new Partial<Snapshot>()] as const
  #openPartials = 0
  /** The partial that the pieces of an over-long raw line go to, and whether the line ends the message. */
  #raw: Partial<Snapshot> | null = null
  #rawStream = STDOUT
  #rawEnds = true
  #file: TailedFile | null = null
  #offset = 0
  /** Bytes of the lineage read since the start: offsets that do not begin again with each file. */
  #logical = 0
  #tail = Buffer.alloc(OVERLAP_BYTES)
  #tailBytes = 0
  #gzip: GzipReader | null = null
  #committed: Snapshot | null = null
  readonly #acked: [Acked | null, Acked | null] = [null, null]
  #gap: Gap | null = null
  readonly #stamps: Stamps
  #skipBeforeSeconds = Number.NEGATIVE_INFINITY
  #futureSeconds = 0
  // Skipped since the last commit: settled by the next one, given back by a rewind.
  #skippedBytes = 0
  #skippedLines = 0
  readonly #lossesCounted = new Set<string>()
  /** The end of this file was dealt with; there was no next one. */
  #ended: TailedFile | null = null
  #waiting = false
  /** Taken from the file and not settled: what a rewind gives back. */
  unsettledBytes = 0
  unsettledLines = 0
  /** Marks seen since `takeMarks`: MARK bit -> lines. */
  readonly marks = new Map<number, number>()

  constructor(lineage: Lineage, saved: Position | undefined, options: ReaderOptions, deps: ReaderDeps) {
    this.lineage = lineage
    this.options = options
    this.#deps = deps
    this.#saved = saved
    this.#stamps = new Stamps(deps.clock)
    lineage.users.push(this)
  }

  get oldestNeeded(): TailedFile | null {
    return this.#committed?.file ?? null
  }

  get current(): TailedFile | null {
    return this.#file
  }

  /** Read position in `current`. */
  get offset(): number {
    return this.#offset
  }

  get committedOffset(): number {
    return this.#committed?.offset ?? 0
  }

  /** Unread bytes (compressed files count as stored). */
  get unreadBytes(): number {
    return this.#bytesFrom(this.#file, this.#offset)
  }

  /** Bytes that are not acknowledged. */
  get lagBytes(): number {
    return this.#bytesFrom(this.#committed?.file ?? null, this.committedOffset)
  }

  /** Whether `fill` may find something: unread bytes, or a file whose end may have come. */
  get hasWork(): boolean {
    const file = this.#file
    if (file === null) return this.lineage.files.length > 0
    if (this.#gap !== null || file.gone !== null) return true
    if (this.#waiting) return false
    if (!file.compressed && file.sizeSeen > this.#offset + this.#incompleteBytes) return true
    if (this.#ended === file) return this.lineage.next(file) !== null
    return file.compressed || this.#isFinished(file)
  }

  /** Bytes of an unfinished last line that were looked at already: no work until there are more. */
  #incompleteBytes = 0

  /** Makes the first place: from the checkpoint, or where the options say. False when there is no file yet. */
  #begin(): boolean {
    const { lineage, options } = this
    const first = lineage.files[0]
    if (first === undefined) return false
    const { fs, clock, gunzip, events } = this.#deps
    if (this.#saved !== undefined) {
      const saved = this.#saved
      const found = findResumption(lineage, saved, fs, gunzip)
      this.#timeline.load(saved.times)
      this.#place(found.file, found.offset)
      if (found.offset > 0) this.#stamps.load(found.file, saved.stamps)
      if (found.lost !== null) this.#recordLoss(found.lost)
    } else if (options.startAt === 'end' && !options.once) {
      const last = lineage.files.at(-1) as TailedFile
      const bytes = this.#bytesFrom(first, 0)
      options.ledger.take(bytes, 0)
      options.ledger.settle('skipped', 'startAt', bytes, 0)
      this.#place(last, last.compressed ? 0 : last.sizeSeen)
    } else {
      if (options.startAgeMax !== null) {
        this.#skipBeforeSeconds = (clock.now() - options.startAgeMax) / 1000
      }
      this.#place(first, 0)
    }
    const file = this.#file as TailedFile
    const { source, key } = lineage.info
    const resumed = this.#saved !== undefined
    events.emit('file.opened', {
      source,
      path: file.path,
      lineage: key,
      sink: options.sink,
      offset: this.#offset,
      resumed,
    })
    this.#commitHere()
    return true
  }

  /** Reads and writes entries until there is no room, nothing more to read, or `bytesMax` were consumed. */
  fill(out: EntryWriter, block: Buffer, bytesMax: number): FillEnd {
    if (this.#file === null && !this.#begin()) return 'dry'
    this.#futureSeconds = this.#deps.clock.now() / 1000 + FUTURE_SECONDS_MAX
    const until = this.#logical + bytesMax
    for (;;) {
      if (this.#gap !== null && !this.#writeGap(out)) return 'full'
      const file = this.#file as TailedFile
      if (file.gone !== null) {
        if (!this.#leaveGone(file)) return 'dry'
        continue
      }
      if (this.#logical >= until) return 'full'
      if (this.#offset === 0 && file.mtimeMs / 1000 < this.#skipBeforeSeconds) this.#skipFile(file)
      if (this.#ended === file) {
        const next = this.lineage.next(file)
        if (next !== null) {
          this.#place(next, 0)
          continue
        }
        if (file.compressed) return 'dry'
      }
      const overlap = file.compressed ? 0 : this.#tailBytes
      const wantMax = file.compressed ? PIECE_BYTES_MIN : block.length - overlap
      const want = Math.min(wantMax, Math.max(out.roomBytes + 4096, PIECE_BYTES_MIN))
      const got = this.#read(file, block, overlap + want, this.#offset - overlap)
      if (got === WAIT) return this.#wait()
      if (got === null) return 'dry'
      if (overlap > 0 && (got < overlap || block.compare(this.#tail, 0, overlap, 0, overlap) !== 0)) {
        this.lineage.truncated(file, this.#deps.fs.fstat(file.fd).size)
        continue
      }
      const available = got - overlap
      const lastNewline = available === 0 ? -1 : block.lastIndexOf(10, got - 1)
      if (lastNewline >= overlap) {
        const end = this.#limit(file, overlap, lastNewline + 1)
        const consumed = this.#rows(file, block, overlap, end, out)
        this.#consume(block, overlap, consumed)
        if (consumed < end - overlap) return 'full'
        if (available === want || end <= lastNewline) continue
      } else if (available >= want) {
        this.#rawPiece(block, overlap, got)
        this.#consume(block, overlap, available)
        continue
      }
      // All that is there was seen.
      const rest = lastNewline >= overlap ? got - lastNewline - 1 : available
      this.#incompleteBytes = rest
      if (!this.#isFinished(file)) return file.compressed ? this.#wait() : 'dry'
      // A read may have been short: only what the file ends with can be its last line.
      if (!file.compressed && this.#deps.fs.fstat(file.fd).size > this.#offset + rest) return 'dry'
      if (rest > 0 && lastNewline < overlap) {
        if (!this.#lastLine(block, overlap, got, out)) return 'full'
        this.#consume(block, overlap, available)
      } else if (available > 0) continue
      if (!this.#leaveFinished(file, out)) return 'full'
      if (this.#ended !== null && this.#gap === null) return 'dry'
    }
  }

  /** Everything written so far is acknowledged: it will not be read again. */
  commit(): void {
    const open = this.#earliestOpen()
    if (open === null) this.#commitHere()
    else {
      this.#committed = open
      this.#acked[0] = this.#acked[1] = this.#here()
    }
    if (this.#skippedLines > 0 || this.#skippedBytes > 0) {
      this.options.ledger.settle('skipped', 'startAgeMax', this.#skippedBytes, this.#skippedLines)
      this.settled(this.#skippedBytes, this.#skippedLines)
      this.#skippedBytes = 0
      this.#skippedLines = 0
    }
    const committed = this.#committed as Snapshot
    this.#stamps.prune(committed.file, committed.offset)
    this.lineage.trim()
  }

  /** The entries of one source stream up to here are acknowledged, the others not: a rewind will not write them again. */
  ackStream(stream: number): void {
    this.#acked[stream as 0 | 1] = this.#here()
  }

  /** Goes back to the committed place; what was taken since and is not settled goes back to the file. */
  rewind(): void {
    const to = this.#committed
    if (to === null) return
    this.options.ledger.untake(this.unsettledBytes, this.unsettledLines)
    this.unsettledBytes = 0
    this.unsettledLines = 0
    this.#skippedBytes = 0
    this.#skippedLines = 0
    this.#gap = to.gap
    for (const partial of this.#partials) partial.close()
    this.#openPartials = 0
    this.#raw = null
    this.#timeline.load(to.times)
    this.#place(to.file, to.offset)
    this.#logical = to.logical
  }

  /** An amount of what was written is settled (acked, dropped, dead-lettered). */
  settled(bytes: number, lines: number): void {
    this.unsettledBytes -= bytes
    this.unsettledLines -= lines
  }

  /** The committed place for the checkpoint; null when there is nothing to say yet. */
  position(): Position | null {
    const at = this.#committed
    if (at === null || at.file.head.bytes === 0 || at.file.fd < 0) return null
    const { path, dev, ino, head, compressed, fd } = at.file
    const witness = compressed ? '' : readWitness(this.#deps.fs, fd, at.offset)
    const sizeSeen = compressed ? at.offset : Math.max(at.file.sizeSeen, at.offset)
    const stamps = this.#stamps.save(at.file)
    return {
      path,
      dev,
      ino,
      head: head.hash,
      headBytes: head.bytes,
      offset: at.offset,
      witness,
      sizeSeen,
      times: at.times,
      stamps,
    }
  }

  /** Whether lines that were given a time of arrival wait to be acknowledged: their stamps must be durable first. */
  get hasFreshStamps(): boolean {
    return this.#stamps.fresh
  }

  stampsSaved(): void {
    this.#stamps.fresh = false
  }

  /** Gives idle memory back. */
  release(): void {
    for (const partial of this.#partials) partial.release()
  }

  /** Bytes held by open partial lines. */
  get heldBytes(): number {
    return this.#partials[0].keptBytes + this.#partials[1].keptBytes + this.#partials[2].keptBytes
  }

  close(): void {
    this.#gzip?.close()
    this.#gzip = null
    const index = this.lineage.users.indexOf(this)
    if (index >= 0) this.lineage.users.splice(index, 1)
  }

  #place(file: TailedFile, offset: number): void {
    if (this.#gzip !== null && this.#file !== file) {
      this.#gzip.close()
      this.#gzip = null
    }
    this.#file = file
    this.#offset = offset
    this.#ended = null
    this.#waiting = false
    this.#incompleteBytes = 0
    this.#tailBytes = 0
    if (offset > 0 && !file.compressed && file.fd >= 0) {
      const length = Math.min(OVERLAP_BYTES, offset)
      this.#tailBytes = this.#deps.fs.read(file.fd, this.#tail, 0, length, offset - length)
    }
  }

  /** What has been read to. The end of a file is a place of its own, after its last byte: open lines are ended there. */
  #here(): Acked {
    const file = this.#file as TailedFile
    return { file, offset: this.#offset + (this.#ended === file ? 1 : 0) }
  }

  #commitHere(): void {
    this.#committed = {
      file: this.#file as TailedFile,
      offset: this.#offset,
      logical: this.#logical,
      times: this.#timeline.save(),
      gap: this.#gap,
    }
    this.#acked[0] = null
    this.#acked[1] = null
  }

  #bytesFrom(from: TailedFile | null, offset: number): number {
    let bytes = 0
    for (const file of this.lineage.files) {
      if (from === null || file.sequence > from.sequence) bytes += file.gone === null ? file.sizeSeen : 0
      else if (file === from && file.gone === null && !file.compressed) bytes += Math.max(0, file.sizeSeen - offset)
      else if (file === from && file.compressed && !this.#gzip?.ended) bytes += 1
    }
    return bytes
  }

  /** Returns bytes read, WAIT, or null when the read failed (an event; tried again). */
  #read(file: TailedFile, block: Buffer, length: number, position: number): number | null {
    const { fs, gunzip, events } = this.#deps
    try {
      if (!file.compressed) return fs.read(file.fd, block, 0, length, position)
      this.#gzip ??= new GzipReader(fs, file.fd, gunzip, () => {
        this.#waiting = false
        this.options.wake()
      })
      return this.#gzip.read(block, 0, length, position)
    } catch (error) {
      const { source } = this.lineage.info
      events.emit('file.error', { source, path: file.path, operation: 'read', error })
      return null
    }
  }

  #wait(): FillEnd {
    this.#waiting = true
    return 'wait'
  }

  /** Leaves out a whole file that was last written before the limit of startAgeMax. */
  #skipFile(file: TailedFile): void {
    const bytes = file.sizeSeen
    this.#count(bytes, 0)
    this.#skippedBytes += bytes
    this.#place(file, file.compressed ? 0 : bytes)
    if (file.compressed) this.#ended = file
  }

  #consume(block: Buffer, from: number, bytes: number): void {
    if (bytes === 0) return
    this.#offset += bytes
    this.#logical += bytes
    this.#incompleteBytes = 0
    // The overlap before `from` and the bytes after it are adjacent in the block, as they are in the file.
    const length = Math.min(OVERLAP_BYTES, from + bytes, this.#offset)
    block.copy(this.#tail, 0, from + bytes - length, from + bytes)
    this.#tailBytes = length
  }

  /** Plain lines take a time of arrival per range; a range that has one is not read beyond its end. */
  #limit(file: TailedFile, from: number, end: number): number {
    if (this.options.format !== 'plain') return end
    return from + this.#stamps.range(file, this.#offset, this.#offset + end - from) - this.#offset
  }

  /** Handles whole lines in block[from, end); returns the bytes consumed. */
  #rows(file: TailedFile, block: Buffer, from: number, end: number, out: EntryWriter): number {
    const valid = isUtf8(block.subarray(from, end))
    let at = from
    if (this.#raw !== null) {
      const newline = block.indexOf(10, at)
      if (!this.#rawEnd(block, at, newline, newline + 1, out)) return 0
      at = newline + 1
    }
    const container = this.options.format === 'container'
    const base = this.#offset - from
    while (at < end) {
      if (container && valid) at = this.#plainRows(block, at, end, base, out)
      if (at === end) break
      const newline = block.indexOf(10, at)
      if (!this.#line(file, block, at, newline, newline + 1, base + at, valid, container, out)) break
      at = newline + 1
    }
    return at - from
  }

  /**
   * The rows that nearly all are: whole lines in valid UTF-8 of the usual size and time, while nothing is open or
   * acknowledged in part. The same as `#line` does with them, without asking each for everything that may be otherwise.
   * Returns where it stopped: at `end`, or at a row for `#line`.
   */
  #plainRows(block: Buffer, from: number, end: number, base: number, out: EntryWriter): number {
    if (this.#openPartials > 0 || this.#acked[0] !== null) return from
    const row = this.#row
    const entry = this.#entry
    const timeline = this.#timeline
    const lineBytesMax = this.options.lineBytesMax
    const secondsMin = this.#skipBeforeSeconds
    const secondsMax = this.#futureSeconds
    let at = from
    let lines = 0
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
      out.write(entry)
      timeline.row(seconds, row.nanos)
      at = newline + 1
      lines++
    }
    if (lines > 0) this.#count(at - from, lines)
    return at
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
    container: boolean,
    out: EntryWriter,
  ): boolean {
    const row = this.#row
    let marks = 0
    if (container) {
      if (!parseCri(block, start, end, row) && !parseDockerJson(block, start, end, row)) {
        marks = MARK_NOT_CRI
        this.#takeAsItIs(block, start, end)
      }
    } else this.#takeAsItIs(block, start, end)
    if (row.seconds < this.#skipBeforeSeconds) {
      this.#skip(row.stream, offset + next - start, next - start)
      return true
    }
    const entry = this.#entry
    if (row.seconds > this.#futureSeconds) {
      marks |= MARK_FUTURE_TIME
      entry.originalTime = formatTime(row.seconds, row.nanos)
      this.#setArrival()
    }
    const partial = this.#partials[row.stream as 0 | 1]
    if (row.partial || partial.start !== null || this.#openPartials > 0) {
      return this.#piece(file, partial, next - start, offset, marks, valid, out)
    }
    entry.buffer = row.buffer
    entry.messageStart = row.messageStart
    entry.messageEnd = row.messageEnd
    entry.stream = row.stream
    entry.marks = marks
    entry.offset = offset
    entry.sourceBytes = next - start
    entry.sourceLines = 1
    return this.#emit(row.seconds, row.nanos, offset + next - start, valid, out, true)
  }

  /** A line that is of no format: the whole of it, on stdout, with the time of the line before or of arrival. */
  #takeAsItIs(block: Buffer, start: number, end: number): void {
    const row = this.#row
    row.buffer = block
    row.messageStart = start
    row.messageEnd = end
    row.stream = STDOUT
    row.partial = false
    if (this.options.format === 'container' && this.#timeline.rowSeconds >= 0) {
      row.seconds = this.#timeline.rowSeconds
      row.nanos = this.#timeline.rowNanos
    } else this.#setArrival()
  }

  #setArrival(): void {
    if (this.options.format === 'plain') {
      this.#row.seconds = this.#stamps.seconds
      this.#row.nanos = this.#stamps.nanos
    } else {
      const now = this.#deps.clock.now()
      this.#row.seconds = Math.floor(now / 1000)
      this.#row.nanos = Math.floor(now % 1000) * 1_000_000
    }
  }

  /** A row while some partial line is open, or one that opens one. */
  #piece(
    file: TailedFile,
    partial: Partial<Snapshot>,
    rowBytes: number,
    offset: number,
    marks: number,
    valid: boolean,
    out: EntryWriter,
  ): boolean {
    const row = this.#row
    const limit = this.options.lineBytesMax
    const logical = this.#logical + offset - this.#offset
    // Room for all that this row may emit: forced ends of open lines, and its own.
    let needed = row.messageEnd - row.messageStart + (row.partial ? 0 : partial.keptBytes) + 4096
    for (const open of this.#partials) {
      if (open.start !== null && logical - open.start.logical > PARTIAL_SPAN_BYTES_MAX) needed += open.keptBytes
    }
    if (!out.fits(this.#entry, needed)) return false
    for (const [stream, open] of this.#partials.entries()) {
      if (open.start === null || logical - open.start.logical <= PARTIAL_SPAN_BYTES_MAX) continue
      open.marks |= MARK_PARTIAL_OPEN
      this.#endPartial(open, stream, offset + rowBytes, out)
    }
    // A line of no format does not belong to the open line of stdout.
    if ((marks & MARK_NOT_CRI) === 0 && (row.partial || partial.start !== null)) {
      if (partial.start === null) this.#openPartial(partial, file, offset, logical)
      partial.append(row.buffer, row.messageStart, row.messageEnd, limit)
      partial.marks |= marks
      partial.sourceBytes += rowBytes
      partial.sourceLines++
      this.#timeline.row(row.seconds, row.nanos)
      if (!row.partial) this.#endPartial(partial, row.stream, offset + rowBytes, out)
      return true
    }
    const entry = this.#entry
    entry.buffer = row.buffer
    entry.messageStart = row.messageStart
    entry.messageEnd = row.messageEnd
    entry.stream = row.stream
    entry.marks = marks
    entry.offset = offset
    entry.sourceBytes = rowBytes
    entry.sourceLines = 1
    return this.#emit(row.seconds, row.nanos, offset + rowBytes, valid, out, true)
  }

  #openPartial(partial: Partial<Snapshot>, file: TailedFile, offset: number, logical: number): void {
    partial.open({ file, offset, logical, times: this.#timeline.save(), gap: null })
    partial.seconds = this.#row.seconds
    partial.nanos = this.#row.nanos
    partial.offset = offset
    this.#openPartials++
  }

  #endPartial(partial: Partial<Snapshot>, stream: number, endOffset: number, out: EntryWriter): void {
    const entry = this.#entry
    entry.buffer = partial.bytes
    entry.messageStart = 0
    entry.messageEnd = partial.keptBytes
    entry.stream = stream === 2 ? STDOUT : stream
    entry.marks = partial.marks
    entry.originalBytes = partial.totalBytes
    entry.originalSha256 = partial.sha256()
    if (entry.originalSha256 !== '') entry.marks |= MARK_CUT
    entry.offset = partial.offset
    entry.sourceBytes = partial.sourceBytes
    entry.sourceLines = partial.sourceLines
    this.#emit(partial.seconds, partial.nanos, endOffset, false, out, false)
    partial.close()
    this.#openPartials--
  }

  /** Emits #entry under the time rule. `ask` whether there is room: false leaves everything as it was. */
  #emit(seconds: number, nanos: number, endOffset: number, valid: boolean, out: EntryWriter, ask: boolean): boolean {
    const entry = this.#entry
    const length = entry.messageEnd - entry.messageStart
    if (ask && !out.fits(entry, Math.min(length, this.options.lineBytesMax) + 1024)) return false
    if (!valid || length > this.options.lineBytesMax) this.#repair()
    this.#timeline.emit(entry.stream, seconds, nanos)
    if (ask && (entry.marks & MARK_FUTURE_TIME) === 0) this.#timeline.row(seconds, nanos)
    entry.seconds = this.#timeline.seconds
    entry.nanos = this.#timeline.nanos
    const acked = this.#acked[entry.stream as 0 | 1]
    if (acked !== null && this.#isBefore(endOffset, acked)) return true
    this.#count(entry.sourceBytes, entry.sourceLines)
    if (entry.marks !== 0) this.#noteMarks(entry.marks, entry.sourceLines)
    out.write(entry)
    return true
  }

  /** Makes the message valid UTF-8 and no longer than allowed, marking what it did. */
  #repair(): void {
    const entry = this.#entry
    const limit = this.options.lineBytesMax
    let message = entry.buffer.subarray(entry.messageStart, entry.messageEnd)
    const cutBefore = (entry.marks & MARK_CUT) !== 0
    if (!cutBefore) entry.originalBytes = message.length
    const original = message
    let cut = false
    if (message.length > limit) {
      message = message.subarray(0, limit)
      cut = true
    }
    if (cut || cutBefore) message = message.subarray(0, wholeCharacters(message))
    if (!isUtf8(message)) {
      entry.marks |= MARK_INVALID_UTF8
      message = Buffer.from(message.toString('utf8'))
      if (message.length > limit) {
        message = message.subarray(0, limit)
        message = message.subarray(0, wholeCharacters(message))
        cut = true
      }
    }
    if (cut && !cutBefore) {
      entry.marks |= MARK_CUT
      entry.originalSha256 = createHash('sha256').update(original).digest('hex')
    }
    entry.buffer = message
    entry.messageStart = 0
    entry.messageEnd = message.length
  }

  /** A block without any newline: the beginning or the middle of a raw line longer than a block. */
  #rawPiece(block: Buffer, start: number, end: number): void {
    const row = this.#row
    const limit = this.options.lineBytesMax
    if (this.#raw === null) {
      let marks = 0
      let partial: Partial<Snapshot> = this.#partials[2]
      this.#rawStream = 2
      this.#rawEnds = true
      if (this.options.format === 'plain') {
        this.#stamps.range(this.#file as TailedFile, this.#offset, this.#offset + end - start)
        this.#takeAsItIs(block, start, end)
      } else if (parseCri(block, start, end, row)) {
        partial = this.#partials[row.stream as 0 | 1]
        this.#rawStream = row.stream
        this.#rawEnds = !row.partial
      } else {
        this.#takeAsItIs(block, start, end)
        marks = MARK_NOT_CRI
      }
      if (partial.start === null) this.#openPartial(partial, this.#file as TailedFile, this.#offset, this.#logical)
      partial.marks |= marks
      partial.append(block, row.messageStart, row.messageEnd, limit)
      this.#timeline.row(row.seconds, row.nanos)
      this.#raw = partial
    } else this.#raw.append(block, start, end, limit)
    this.#raw.sourceBytes += end - start
  }

  #rawEnd(block: Buffer, start: number, end: number, next: number, out: EntryWriter): boolean {
    const raw = this.#raw as Partial<Snapshot>
    if (!out.fits(this.#entry, raw.keptBytes + end - start + 4096)) return false
    raw.append(block, start, end, this.options.lineBytesMax)
    raw.sourceBytes += next - start
    raw.sourceLines++
    this.#raw = null
    const endOffset = this.#offset + next - start
    if (this.#rawEnds) this.#endPartial(raw, this.#rawStream, endOffset, out)
    return true
  }

  /** The last line of a finished file, which has no newline. */
  #lastLine(block: Buffer, start: number, end: number, out: EntryWriter): boolean {
    if (this.#raw !== null) return this.#rawEnd(block, start, end, end, out)
    const file = this.#file as TailedFile
    const container = this.options.format === 'container'
    if (!container) this.#stamps.range(file, this.#offset, this.#offset + end - start)
    return this.#line(file, block, start, end, end, this.#offset, false, container, out)
  }

  #isFinished(file: TailedFile): boolean {
    if (this.options.once) return file.compressed ? this.#gzip?.ended === true : true
    if (file.compressed) return this.#gzip?.ended === true
    const now = this.#deps.clock.monotonic()
    if (this.lineage.next(file) !== null) {
      return file.supersededAt !== null && now - Math.max(file.supersededAt, file.grewAt) >= SUPERSEDED_GRACE_MS
    }
    return file.unlinkedAt !== null && now - Math.max(file.unlinkedAt, file.grewAt) >= UNLINKED_GRACE_MS
  }

  /** At the very end of a finished file: on to the next one. False when there is none. */
  #leaveFinished(file: TailedFile, out: EntryWriter): boolean {
    const next = this.lineage.next(file)
    if (file.compressed && this.#gzip?.failure) {
      const cause = `the compressed file is damaged: ${this.#gzip.failure}`
      if (!this.#endPartials(out)) return false
      this.#recordLoss({ path: file.path, from: this.#offset, to: null, cause })
    } else if (next === null || next.order.restart !== file.order.restart) {
      // A container that ended without a newline leaves an open line behind; nothing will end it.
      if (!this.#endPartials(out)) return false
    }
    if (next !== null) this.#place(next, 0)
    else this.#ended = file
    return true
  }

  #endPartials(out: EntryWriter): boolean {
    if (this.#openPartials === 0) return true
    if (!out.fits(this.#entry, this.heldBytes + 4096)) return false
    for (const [stream, partial] of this.#partials.entries()) {
      if (partial.start !== null) this.#endPartial(partial, stream, this.#offset + 1, out)
    }
    this.#raw = null
    return true
  }

  /** The rest of the file is gone: note the loss and go on with the copy or the next file, at the right place. */
  #leaveGone(file: TailedFile): boolean {
    const next = this.lineage.next(file)
    if (next === null) {
      if (this.#ended === file) return false
      this.#ended = file
    } else if (file.gone === 'truncated' && next.gone === null && next.ino !== file.ino) {
      if (continuesAt(next, this.#offset, this.#tail.subarray(0, this.#tailBytes), this.#deps.fs)) {
        this.#place(next, this.#offset)
        return true
      }
    }
    if (file.sizeSeen > this.#offset) {
      this.#recordLoss({ path: file.path, from: this.#offset, to: file.sizeSeen, cause: file.gone as string })
    }
    if (next !== null) this.#place(next, 0)
    return true
  }

  #recordLoss(gap: Gap): void {
    const { events } = this.#deps
    const { key } = this.lineage.info
    this.#gap = gap
    // A rewind leads here again: counted and told once.
    const id = `${gap.path}:${gap.from}`
    if (this.#lossesCounted.has(id)) return
    this.#lossesCounted.add(id)
    this.options.ledger.lose(gap.cause, gap.to === null ? 0 : gap.to - gap.from)
    events.emit('bytes.lost', {
      sink: this.options.sink,
      path: gap.path,
      lineage: key,
      fromOffset: gap.from,
      toOffset: gap.to,
      cause: gap.cause,
    })
  }

  /** Ships the hole itself as an entry of the same stream. */
  #writeGap(out: EntryWriter): boolean {
    const gap = this.#gap as Gap
    const range = gap.to === null ? `from offset ${gap.from}` : `${gap.to - gap.from} bytes [${gap.from}, ${gap.to})`
    const text = Buffer.from(`taffrail: lost ${range} of ${gap.path}: ${gap.cause}`)
    const entry = this.#entry
    if (!out.fits(entry, text.length + 1024)) return false
    entry.buffer = text
    entry.messageStart = 0
    entry.messageEnd = text.length
    entry.stream = STDOUT
    entry.marks = MARK_GAP
    entry.offset = gap.from
    entry.sourceBytes = 0
    entry.sourceLines = 0
    let { rowSeconds: seconds, rowNanos: nanos } = this.#timeline
    if (seconds < 0) {
      this.#setArrival()
      seconds = this.#row.seconds
      nanos = this.#row.nanos
    }
    this.#gap = null
    return this.#emit(seconds, nanos, this.#offset, true, out, false)
  }

  #count(bytes: number, lines: number): void {
    this.unsettledBytes += bytes
    this.unsettledLines += lines
    this.options.ledger.take(bytes, lines)
  }

  #skip(stream: number, endOffset: number, bytes: number): void {
    const acked = this.#acked[stream === 1 ? 1 : 0]
    if (acked !== null && this.#isBefore(endOffset, acked)) return
    this.#count(bytes, 1)
    this.#skippedBytes += bytes
    this.#skippedLines++
  }

  #noteMarks(marks: number, lines: number): void {
    for (let bit = 1; bit <= marks; bit <<= 1) {
      if ((marks & bit) !== 0) this.marks.set(bit, (this.marks.get(bit) ?? 0) + lines)
    }
  }

  /** Whether `endOffset` in the current file is at or before an acknowledged place. */
  #isBefore(endOffset: number, acked: Acked): boolean {
    const sequence = (this.#file as TailedFile).sequence
    return sequence < acked.file.sequence || (sequence === acked.file.sequence && endOffset <= acked.offset)
  }

  #earliestOpen(): Snapshot | null {
    let earliest: Snapshot | null = null
    for (const { start } of this.#partials) {
      if (start !== null && (earliest === null || start.logical < earliest.logical)) earliest = start
    }
    return earliest
  }
}

/** Whether `file` holds, just before `offset`, the bytes in `tail`. */
function continuesAt(file: TailedFile, offset: number, tail: Buffer, fs: ReadFileSystem): boolean {
  if (file.compressed || file.fd < 0 || file.sizeSeen < offset) return false
  const bytes = Buffer.alloc(tail.length)
  return fs.read(file.fd, bytes, 0, tail.length, offset - tail.length) === tail.length && bytes.equals(tail)
}

/** Length of the longest prefix that does not end inside a UTF-8 character. */
export function wholeCharacters(bytes: Buffer): number {
  let start = bytes.length
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back] as number
    if ((byte & 0xc0) === 0x80) continue
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    if (needed > back) start = bytes.length - back
    break
  }
  return start
}

function formatTime(seconds: number, nanos: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(nanos).padStart(9, '0')}Z`
}
