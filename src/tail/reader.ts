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
  STDERR,
  STDOUT,
} from '../core/entry.ts'
import type { Events } from '../core/events.ts'
import type { Amount, Ledger } from '../core/ledger.ts'
import { LIVE } from '../discover/names.ts'
import { parseCri } from '../parse/cri.ts'
import { parseDockerJson } from '../parse/docker-json.ts'
import { Partial } from '../parse/partial.ts'
import { newRow } from '../parse/row.ts'
import { Timeline } from '../parse/timeline.ts'
import type { Clock } from '../ports/clock.ts'
import type { ReadFileSystem } from '../ports/fs.ts'
import type { Gunzip } from '../ports/gunzip.ts'
import { gzipContentBytes, lastLineStart, readWitness, type TailedFile } from './file.ts'
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
/** After a failed read; a compressed file that ends too early is being written for so long. */
const RETRY_MS = 1000
const GROWING_GZIP_MS = 2000
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
  /** The bytes before it (latin1), at most OVERLAP_BYTES of them, as they were when they were read. */
  tail: string
  times: number[]
  /** The end of the file was dealt with. */
  ended: boolean
  /** A hole that is still to be written. */
  gap: Gap | null
}

/** Entries that end at or before it are acknowledged; what the end of a file ends counts half a byte more. */
interface Acked {
  file: TailedFile
  offset: number
}

const AT_END = 0.5

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
  /** It is older than startAgeMax allows. */
  #rawSkipped = false
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
  readonly #stamps = new Stamps()
  #skipBeforeSeconds = Number.NEGATIVE_INFINITY
  /** Wall clock of this `fill`, and from where on a time is taken for a mistake. */
  #nowMs = 0
  #futureSeconds = 0
  /** File offset of the end of the rows that are being handled. */
  #rowsEnd = 0
  // Skipped since the last commit, by source stream: settled by the next ack, given back by a rewind.
  readonly #skipped: [Amount, Amount] = [newAmount(), newAmount()]
  /** From which offset on the loss of a file's rest is counted already. */
  readonly #lossesCounted = new WeakMap<TailedFile, number>()
  /** How far a file had been read when it was left. */
  readonly #left = new WeakMap<TailedFile, number>()
  /** Monotonic ms before which nothing is tried again. */
  #retryAt = Number.NEGATIVE_INFINITY
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
    if (this.#retryAt > this.#deps.clock.monotonic()) return false
    if (file === null) return this.#canBegin
    if (this.#gap !== null) return true
    if (file.gone === null) {
      if (this.#waiting) return false
      if (!file.compressed && file.sizeSeen > this.#offset + this.#incompleteBytes) return true
    }
    if (this.#ended === file && (file.gone !== null || file.compressed)) return this.lineage.next(file) !== null
    if (file.gone !== null || file.compressed) return true
    return (this.#ended !== file || this.lineage.next(file) !== null) && this.#isFinished(file)
  }

  /** A saved place is searched for only when all files are known that it may be in. */
  get #canBegin(): boolean {
    return this.lineage.files.length > 0 && (this.#saved === undefined || this.lineage.settled)
  }

  leftAt(file: TailedFile): number | undefined {
    return this.#left.get(file)
  }

  /** Nothing to do now, but more will come by itself: decompression is under way, or what failed is tried again. */
  get isWaiting(): boolean {
    return this.#waiting || this.#retryAt > this.#deps.clock.monotonic()
  }

  /** Bytes of an unfinished last line that were looked at already: no work until there are more. */
  #incompleteBytes = 0

  /** Makes the first place: from the checkpoint, or where the options say. False when there is no file yet. */
  #begin(): boolean {
    const { lineage, options } = this
    const first = lineage.files[0]
    if (first === undefined || !this.#canBegin) return false
    const { fs, clock, gunzip, events } = this.#deps
    if (this.#saved !== undefined) {
      const saved = this.#saved
      const place = findResumption(lineage, saved, fs, gunzip)
      this.#timeline.load(saved.times)
      this.#skipBeforeSeconds = saved.skipBeforeSeconds ?? Number.NEGATIVE_INFINITY
      this.#place(place.file, place.offset)
      if (place.found) this.#stamps.load(lineage.files.slice(lineage.files.indexOf(place.file)), saved.stamps)
      if (place.lost !== null) this.#recordLoss(place.lost, null)
    } else if (options.startAt === 'end' && !options.once) this.#beginAtEnd()
    else {
      if (options.startAgeMax !== null) {
        this.#skipBeforeSeconds = (clock.now() - options.startAgeMax) / 1000
      }
      this.#place(first, first.begin)
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

  /** The last line that has begun, and what comes after it. */
  #beginAtEnd(): void {
    const { files } = this.lineage
    const { ledger } = this.options
    const last = files.at(-1) as TailedFile
    let bytes = this.#bytesFrom(null, 0)
    if (last.compressed) {
      this.#place(last, 0)
      this.#ended = last
    } else {
      let offset = last.sizeSeen
      try {
        offset = lastLineStart(this.#deps.fs, last.fd, last.sizeSeen)
      } catch (error) {
        this.#failed('read', error)
      }
      bytes -= last.sizeSeen - offset
      this.#place(last, offset)
    }
    ledger.take(bytes, 0)
    ledger.settle('skipped', 'startAt', bytes, 0)
  }

  /** Reads and writes entries until there is no room, nothing more to read, or `bytesMax` were consumed. */
  fill(out: EntryWriter, block: Buffer, bytesMax: number): FillEnd {
    if (this.#file === null && !this.#begin()) return 'dry'
    this.#nowMs = this.#deps.clock.now()
    this.#retryAt = Number.NEGATIVE_INFINITY
    const container = this.options.format === 'container'
    const until = this.#logical + bytesMax
    for (;;) {
      if (this.#gap !== null && !this.#writeGap(out)) return 'full'
      const file = this.#file as TailedFile
      if (file.gone !== null) {
        const end = this.#leaveGone(file, out)
        if (end !== null) return end
        continue
      }
      if (this.#logical >= until) return 'full'
      if (this.#offset === file.begin && this.#ended !== file && file.mtimeMs / 1000 < this.#skipBeforeSeconds) {
        this.#skipFile(file)
      }
      if (this.#ended === file && file.compressed) {
        const next = this.lineage.next(file)
        if (next === null) return 'dry'
        this.#place(next, next.begin)
        continue
      }
      if (this.#tailBytes === 0 && this.#offset > 0 && !file.compressed) {
        const end = this.#readTail(file)
        if (end !== null) return end
        continue
      }
      const overlap = file.compressed ? 0 : this.#tailBytes
      const wantMax = file.compressed ? Math.min(PIECE_BYTES_MIN, block.length) : block.length - overlap
      const want = Math.min(wantMax, Math.max(out.roomBytes + 4096, PIECE_BYTES_MIN))
      const got = this.#read(file, block, overlap + want, this.#offset - overlap)
      if (got === WAIT) return this.#wait()
      if (got === null) return 'dry'
      if (got < overlap) {
        if (this.#noteShort(file, this.#offset)) continue
        return 'dry'
      }
      if (overlap > 0 && block.compare(this.#tail, 0, overlap, 0, overlap) !== 0) {
        this.lineage.truncated(file, this.#size(file) ?? 0)
        continue
      }
      const available = got - overlap
      const lastNewline = available === 0 ? -1 : block.lastIndexOf(10, got - 1)
      if (lastNewline >= overlap) {
        const end = this.#limit(file, overlap, lastNewline + 1, container)
        const consumed = this.#rows(file, block, overlap, end, out)
        this.#consume(block, overlap, consumed)
        if (consumed < end - overlap) return 'full'
        if (available === want || end <= lastNewline) continue
      } else if (available >= want) {
        this.#rawPiece(block, overlap, got, container)
        this.#consume(block, overlap, available)
        continue
      }
      // All that is there was seen.
      const rest = lastNewline >= overlap ? got - lastNewline - 1 : available
      this.#incompleteBytes = rest
      if (!file.compressed && this.#offset + rest < file.sizeSeen) {
        if (this.#noteShort(file, file.sizeSeen) || lastNewline >= overlap) continue
        return 'dry'
      }
      if (!this.#isFinished(file)) return file.compressed ? this.#wait() : 'dry'
      // Only what the file ends with can be its last line.
      if (!file.compressed && this.#size(file) !== this.#offset + rest) return 'dry'
      if (rest > 0 && lastNewline < overlap) {
        if (!this.#lastLine(block, overlap, got, out)) return 'full'
        this.#consume(block, overlap, available)
      } else if (available > 0) continue
      else if (this.#raw !== null && !this.#rawEnd(block, got, got, got, out)) return 'full'
      const end = this.#leaveFinished(file, out)
      if (end !== null) return end
    }
  }

  /** Everything written so far is acknowledged: it will not be read again. */
  commit(): void {
    const open = this.#earliestOpen()
    if (open === null) this.#commitHere()
    else this.#committed = open
    this.ackStream(0)
    this.ackStream(1)
    const committed = this.#committed as Snapshot
    this.#stamps.prune(committed.file, committed.offset)
    this.lineage.trim()
  }

  /** The entries of one source stream up to here are acknowledged, the others not: a rewind will not write them again. */
  ackStream(stream: number): void {
    const here = this.#here()
    // Never backwards: after a rewind a batch may end before what was acknowledged.
    const acked = this.#acked[stream as 0 | 1]
    if (acked === null || !isBefore(here, acked)) this.#acked[stream as 0 | 1] = here
    this.#forgetAcked(stream as 0 | 1)
    const skipped = this.#skipped[stream as 0 | 1]
    if (skipped.bytes === 0 && skipped.lines === 0) return
    this.options.ledger.settle('skipped', 'startAgeMax', skipped.bytes, skipped.lines)
    this.settled(skipped.bytes, skipped.lines)
    clear(skipped)
  }

  /** Goes back to the committed place; what was taken since and is not settled goes back to the file. */
  rewind(): void {
    const to = this.#committed
    if (to === null) return
    this.options.ledger.untake(this.unsettledBytes, this.unsettledLines)
    this.unsettledBytes = 0
    this.unsettledLines = 0
    for (const skipped of this.#skipped) clear(skipped)
    this.#gap = to.gap
    for (const partial of this.#partials) partial.close()
    this.#openPartials = 0
    this.#raw = null
    this.#timeline.load(to.times)
    this.#place(to.file, to.offset, to.tail)
    this.#ended = to.ended ? to.file : null
    this.#logical = to.logical
  }

  /** An amount of what was written is settled (acked, dropped, dead-lettered). */
  settled(bytes: number, lines: number): void {
    this.unsettledBytes -= bytes
    this.unsettledLines -= lines
  }

  /** The committed place for the checkpoint; null when there is nothing to say, or when it cannot be said now. */
  position(): Position | null {
    const at = this.#committed
    if (at === null || at.file.head.bytes === 0 || at.file.fd < 0) return null
    const { path, dev, ino, head, compressed, fd } = at.file
    const { files } = this.lineage
    let witness = ''
    try {
      // No witness: what was read is not there any more, which the next read will find out.
      if (!compressed) witness = readWitness(this.#deps.fs, fd, at.offset, at.tail)
      if (!compressed && witness === '') return null
    } catch (error) {
      this.#failed('read', error)
      return null
    }
    const sizeSeen = compressed ? at.offset : Math.max(at.file.sizeSeen, at.offset)
    const stamps = this.#stamps.save(files.slice(files.indexOf(at.file)))
    const skipBeforeSeconds = this.#skipBeforeSeconds
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
      ...(Number.isFinite(skipBeforeSeconds) && { skipBeforeSeconds }),
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

  /** Goes there. `tail` is what was read before it, where that is known. */
  #place(file: TailedFile, offset: number, tail = ''): void {
    if (this.#file !== file) this.#closeGzip()
    this.#file = file
    this.#offset = offset
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
    const length = Math.min(OVERLAP_BYTES, this.#offset)
    const got = this.#read(file, this.#tail, length, this.#offset - length)
    if (got === length) this.#tailBytes = length
    else if (got === null || !this.#noteShort(file, this.#offset)) return 'dry'
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
    const size = this.#size(file)
    if (size === null) return false
    if (size < offset) {
      this.lineage.truncated(file, size)
      return true
    }
    this.#retryLater()
    return false
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

  #failed(operation: string, error: unknown): void {
    const { source, path } = this.lineage.info
    this.#deps.events.emit('file.error', { source, path: this.#file?.path ?? path, operation, error })
    this.#retryLater()
  }

  #retryLater(): void {
    this.#retryAt = this.#deps.clock.monotonic() + RETRY_MS
  }
  /** What has been read to. The end of a file is a place of its own, after its last byte: open lines are ended there. */
  #here(): Acked {
    const file = this.#file as TailedFile
    return { file, offset: this.#offset + (this.#ended === file ? AT_END : 0) }
  }

  #commitHere(): void {
    const file = this.#file as TailedFile
    this.#committed = {
      file,
      offset: this.#offset,
      logical: this.#logical,
      tail: file.compressed ? '' : this.#tailText(),
      times: this.#timeline.save(),
      ended: this.#ended === file,
      gap: this.#gap,
    }
  }

  /** What is acknowledged matters only while a rewind may lead before it. */
  #forgetAcked(stream: 0 | 1): void {
    const acked = this.#acked[stream]
    const committed = this.#committed
    if (acked === null || committed === null) return
    const { file, offset, ended } = committed
    if (isBefore(acked, { file, offset: offset + (ended ? AT_END : 0) })) this.#acked[stream] = null
  }

  #bytesFrom(from: TailedFile | null, offset: number): number {
    let bytes = 0
    for (const file of this.lineage.files) {
      if (from === null || file.sequence > from.sequence) bytes += file.gone === null ? file.sizeSeen - file.begin : 0
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
        this.#waiting = false
        this.options.wake()
      })
      return this.#gzip.read(block, 0, length, position)
    } catch (error) {
      this.#failed('read', error)
      return null
    }
  }

  #wait(): FillEnd {
    this.#waiting = true
    return 'wait'
  }

  /** Leaves out a whole file that was last written before the limit of startAgeMax. */
  #skipFile(file: TailedFile): void {
    const { sizeSeen } = file
    const acked = this.#acked[STDOUT]
    if (acked === null || !isBefore({ file, offset: file.compressed ? AT_END : sizeSeen }, acked)) {
      this.#count(sizeSeen - file.begin, 0)
      this.#skipped[STDOUT].bytes += sizeSeen - file.begin
    }
    this.#place(file, file.compressed ? 0 : sizeSeen)
    if (file.compressed) this.#ended = file
  }

  #consume(block: Buffer, from: number, bytes: number): void {
    if (bytes === 0) return
    this.#ended = null
    this.#offset += bytes
    this.#logical += bytes
    this.#incompleteBytes = 0
    // The overlap before `from` and the bytes after it are adjacent in the block, as they are in the file.
    const length = Math.min(OVERLAP_BYTES, from + bytes, this.#offset)
    block.copy(this.#tail, 0, from + bytes - length, from + bytes)
    this.#tailBytes = length
  }

  /**
   * How far in block[from, end) rows may be handled alike: to the end of the range that has the same time of arrival.
   * Plain lines all take one; others where they need it, and there what lies in the future is judged by it.
   */
  #limit(file: TailedFile, from: number, end: number, container: boolean): number {
    const to = this.#offset + end - from
    const stamps = this.#stamps
    this.#rowsEnd = container
      ? stamps.extent(file, this.#offset, to)
      : stamps.range(file, this.#offset, to, this.#nowMs)
    const arrivalSeconds = stamps.found ? stamps.seconds : Math.floor(this.#nowMs / 1000)
    this.#futureSeconds = container ? arrivalSeconds + FUTURE_SECONDS_MAX : Number.POSITIVE_INFINITY
    return from + this.#rowsEnd - this.#offset
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
    if (this.#openPartials > 0 || this.#acked[0] !== null || this.#acked[1] !== null) return from
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
        this.#takeAsItIs(block, start, end, offset)
      }
    } else this.#takeAsItIs(block, start, end, offset)
    const partial = this.#partials[row.stream as 0 | 1]
    if (this.#isTooOld(container, partial)) {
      this.#skip(row.stream, offset + next - start, next - start)
      return true
    }
    const entry = this.#entry
    if (row.seconds > this.#futureSeconds) {
      marks |= MARK_FUTURE_TIME
      entry.originalTime = formatTime(row.seconds, row.nanos)
      this.#setArrival(offset)
    }
    if (row.partial || partial.start !== null || this.#openPartials > 0) {
      return this.#piece(file, partial, block, start, next, offset, marks, valid, out)
    }
    if (!out.fits(entry, Math.min(row.messageEnd - row.messageStart, this.options.lineBytesMax) + 1024)) return false
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
  #isTooOld(container: boolean, partial: Partial<Snapshot>): boolean {
    const row = this.#row
    if (!container || row.seconds >= this.#skipBeforeSeconds || partial.start !== null) return false
    this.#timeline.row(row.seconds, row.nanos)
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
    if (this.options.format === 'container' && this.#timeline.rowSeconds >= 0) {
      row.seconds = this.#timeline.rowSeconds
      row.nanos = this.#timeline.rowNanos
    } else this.#setArrival(offset)
  }

  /** The time of arrival of the row at `offset`; the rows after it in this block have the same one. */
  #setArrival(offset: number): void {
    const stamps = this.#stamps
    stamps.range(this.#file as TailedFile, offset, Math.max(this.#rowsEnd, offset + 1), this.#nowMs)
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
    const limit = this.options.lineBytesMax
    const rowBytes = next - start
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
      if (partial.start === null) this.#openPartial(partial, file, block, start, offset, logical, marks)
      partial.append(row.buffer, row.messageStart, row.messageEnd, limit)
      partial.sourceBytes += rowBytes
      partial.sourceLines++
      if ((marks & MARK_FUTURE_TIME) === 0) this.#timeline.row(row.seconds, row.nanos)
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
    const tail = file.compressed
      ? ''
      : block.toString('latin1', Math.max(0, start - Math.min(offset, OVERLAP_BYTES)), start)
    partial.open({ file, offset, logical, tail, times: this.#timeline.save(), ended: false, gap: null })
    partial.seconds = this.#row.seconds
    partial.nanos = this.#row.nanos
    partial.marks = marks
    partial.originalTime = (marks & MARK_FUTURE_TIME) === 0 ? '' : this.#entry.originalTime
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
    entry.originalTime = partial.originalTime
    if (entry.originalSha256 !== '') entry.marks |= MARK_CUT
    entry.offset = partial.offset
    entry.sourceBytes = partial.sourceBytes
    entry.sourceLines = partial.sourceLines
    this.#emit(partial.seconds, partial.nanos, endOffset, false, out)
    partial.close()
    this.#openPartials--
  }

  /** Emits #entry as the row that it was made of. */
  #emitRow(endOffset: number, valid: boolean, out: EntryWriter): void {
    const { seconds, nanos } = this.#row
    const isOwnTime = (this.#entry.marks & MARK_FUTURE_TIME) === 0
    this.#emit(seconds, nanos, endOffset, valid, out)
    if (isOwnTime) this.#timeline.row(seconds, nanos)
  }

  /** Emits #entry under the time rule, unless it is acknowledged. There must be room. */
  #emit(seconds: number, nanos: number, endOffset: number, valid: boolean, out: EntryWriter): void {
    const entry = this.#entry
    if (!valid || entry.messageEnd - entry.messageStart > this.options.lineBytesMax) this.#repair()
    this.#timeline.emit(entry.stream, seconds, nanos)
    entry.seconds = this.#timeline.seconds
    entry.nanos = this.#timeline.nanos
    if (this.#isAcked(entry.stream, endOffset)) return
    this.#count(entry.sourceBytes, entry.sourceLines)
    if (entry.marks !== 0) this.#noteMarks(entry.marks, entry.sourceLines)
    out.write(entry)
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
  #rawPiece(block: Buffer, start: number, end: number, container: boolean): void {
    const row = this.#row
    if (this.#raw !== null) this.#raw.append(block, start, end, this.#rawBytesMax)
    else {
      const file = this.#file as TailedFile
      let marks = 0
      let partial: Partial<Snapshot> = this.#partials[2]
      this.#rawStream = 2
      this.#rawEnds = true
      this.#limit(file, start, end, container)
      if (container && parseCri(block, start, end, row)) {
        partial = this.#partials[row.stream as 0 | 1]
        this.#rawStream = row.stream
        this.#rawEnds = !row.partial
      } else {
        this.#takeAsItIs(block, start, end, this.#offset)
        if (container) marks = MARK_NOT_CRI
      }
      this.#rawSkipped = this.#isTooOld(container, partial)
      if (row.seconds > this.#futureSeconds && !this.#rawSkipped) {
        marks |= MARK_FUTURE_TIME
        this.#entry.originalTime = formatTime(row.seconds, row.nanos)
        this.#setArrival(this.#offset)
      }
      if (partial.start === null) this.#openPartial(partial, file, block, start, this.#offset, this.#logical, marks)
      partial.append(block, row.messageStart, row.messageEnd, this.#rawBytesMax)
      if ((marks & MARK_FUTURE_TIME) === 0) this.#timeline.row(row.seconds, row.nanos)
      this.#raw = partial
    }
    this.#raw.sourceBytes += end - start
  }

  get #rawBytesMax(): number {
    return this.#rawSkipped ? 0 : this.options.lineBytesMax
  }

  #rawEnd(block: Buffer, start: number, end: number, next: number, out: EntryWriter): boolean {
    const raw = this.#raw as Partial<Snapshot>
    if (!out.fits(this.#entry, raw.keptBytes + end - start + 4096)) return false
    raw.append(block, start, end, this.#rawBytesMax)
    raw.sourceBytes += next - start
    raw.sourceLines++
    this.#raw = null
    const endOffset = this.#offset + (next > start ? next - start : AT_END)
    if (this.#rawSkipped) {
      this.#skip(this.#rawStream, endOffset, raw.sourceBytes)
      raw.close()
      this.#openPartials--
    } else if (this.#rawEnds) this.#endPartial(raw, this.#rawStream, endOffset, out)
    return true
  }

  /** The last line of a finished file, which has no newline. */
  #lastLine(block: Buffer, start: number, end: number, out: EntryWriter): boolean {
    if (this.#raw !== null) return this.#rawEnd(block, start, end, end, out)
    const file = this.#file as TailedFile
    const container = this.options.format === 'container'
    this.#limit(file, start, end, container)
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

  /** At the very end of a finished file: on to the next one. null: go on. */
  #leaveFinished(file: TailedFile, out: EntryWriter): FillEnd | null {
    const next = this.lineage.next(file)
    if (this.#ended !== file) {
      const failure = file.compressed ? (this.#gzip?.failure ?? null) : null
      if (failure !== null && this.#mayGrow(file)) {
        this.#closeGzip()
        this.#retryLater()
        return 'dry'
      }
      if (failure !== null) {
        if (!this.#endPartials(out, MARK_PARTIAL_OPEN)) return 'full'
        const cause = `the compressed file is damaged: ${failure}`
        this.#recordLoss({ path: file.path, from: this.#offset, to: null, cause }, file)
      } else if (next === null || next.order.restart !== file.order.restart) {
        // A container that ended without a newline leaves an open line behind; nothing will end it.
        if (!this.#endPartials(out, 0)) return 'full'
      }
      this.#ended = file
      this.#left.set(file, this.#offset)
      if (this.#gap !== null) return null
    }
    if (next === null) return 'dry'
    this.#place(next, next.begin)
    return null
  }

  /** A compressed file that ends too early may be one that is being written. */
  #mayGrow(file: TailedFile): boolean {
    return !this.options.once && this.#deps.clock.monotonic() - file.grewAt < GROWING_GZIP_MS
  }

  /** Ends the open lines, where nothing can follow any more. False: no room for them. */
  #endPartials(out: EntryWriter, mark: number): boolean {
    if (this.#openPartials === 0) return true
    if (!out.fits(this.#entry, this.heldBytes + 4096)) return false
    for (const [stream, partial] of this.#partials.entries()) {
      if (partial.start === null) continue
      partial.marks |= mark
      this.#endPartial(partial, stream, this.#offset + AT_END, out)
    }
    this.#raw = null
    return true
  }

  /** The rest of the file is gone: on to the copy or the next file, at the right place, noting what is lost. null: go on. */
  #leaveGone(file: TailedFile, out: EntryWriter): FillEnd | null {
    const next = this.lineage.next(file)
    if (this.#ended === file) {
      if (next === null) return 'dry'
      this.#place(next, next.begin)
      return null
    }
    const offset = this.#offset
    const copyBytes = next === null ? -1 : this.#bytesInCopy(file, next)
    const lostFrom = Math.max(offset, copyBytes)
    const isRead = file.compressed ? this.#gzip?.ended === true : file.sizeSeen <= lostFrom
    if (copyBytes < 0 && (!isRead || this.#raw !== null) && !this.#endPartials(out, MARK_PARTIAL_OPEN)) return 'full'
    if (!isRead) {
      const to = file.compressed ? null : file.sizeSeen
      this.#recordLoss({ path: file.path, from: lostFrom, to, cause: file.gone as string }, file)
    }
    if (next !== null && copyBytes >= offset) this.#place(next, offset, this.#tailText())
    else if (next !== null && copyBytes >= 0) this.#place(next, copyBytes)
    else {
      this.#closeGzip()
      this.#ended = file
    }
    return null
  }

  /** How much of a truncated file is in its copy (copytruncate); -1 when `next` is not a copy of it. */
  #bytesInCopy(file: TailedFile, next: TailedFile): number {
    if (file.gone !== 'truncated' || next.gone !== null || next.ino === file.ino || next.order.rank === LIVE) return -1
    const { fs } = this.#deps
    const committed = this.#committed as Snapshot
    try {
      // Compressed already: known by its head.
      if (next.compressed) return gzipContentBytes(fs, next.fd)
      const { size } = fs.fstat(next.fd)
      // What was written after the copy was made may have been read: the place before that is a witness, too.
      const isCopy =
        holds(fs, next, size, this.#offset, this.#tailText()) ||
        (committed.file === file && committed.offset > 0 && holds(fs, next, size, committed.offset, committed.tail))
      return isCopy ? size : -1
    } catch (error) {
      this.#failed('read', error)
      return -1
    }
  }

  /** `file` is the one whose rest is lost, null when it is not open. */
  #recordLoss(gap: Gap, file: TailedFile | null): void {
    const { events } = this.#deps
    const { key } = this.lineage.info
    this.#gap = gap
    // A rewind may lead here again, and from an earlier place: counted and told once.
    const counted = file === null ? undefined : this.#lossesCounted.get(file)
    if (counted !== undefined && counted <= gap.from) return
    if (file !== null) this.#lossesCounted.set(file, gap.from)
    this.options.ledger.lose(gap.cause, gap.to === null ? 0 : (counted ?? gap.to) - gap.from)
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
      seconds = Math.floor(this.#nowMs / 1000)
      nanos = 0
    }
    this.#gap = null
    // Whatever was acknowledged: the hole stands for no bytes of the file.
    this.#emit(seconds, nanos, Number.POSITIVE_INFINITY, true, out)
    return true
  }

  #count(bytes: number, lines: number): void {
    this.unsettledBytes += bytes
    this.unsettledLines += lines
    this.options.ledger.take(bytes, lines)
  }

  #skip(stream: number, endOffset: number, bytes: number): void {
    if (this.#isAcked(stream, endOffset)) return
    this.#count(bytes, 1)
    const skipped = this.#skipped[stream === STDERR ? STDERR : STDOUT]
    skipped.bytes += bytes
    skipped.lines++
  }

  #noteMarks(marks: number, lines: number): void {
    for (let bit = 1; bit <= marks; bit <<= 1) {
      if ((marks & bit) !== 0) this.marks.set(bit, (this.marks.get(bit) ?? 0) + lines)
    }
  }

  /** Whether what ends at `endOffset` of the current file was acknowledged for its stream. */
  #isAcked(stream: number, endOffset: number): boolean {
    const acked = this.#acked[stream === STDERR ? STDERR : STDOUT]
    if (acked === null) return false
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

/** Whether `file` of `size` bytes has the bytes `tail` (latin1) just before `offset`. */
function holds(fs: ReadFileSystem, file: TailedFile, size: number, offset: number, tail: string): boolean {
  if (size < offset || (tail === '' && offset > 0)) return false
  const bytes = Buffer.alloc(tail.length)
  const got = fs.read(file.fd, bytes, 0, bytes.length, offset - bytes.length)
  return got === bytes.length && bytes.toString('latin1') === tail
}

function isBefore(a: Acked, b: Acked): boolean {
  return a.file.sequence < b.file.sequence || (a.file === b.file && a.offset <= b.offset)
}

function newAmount(): Amount {
  return { bytes: 0, lines: 0 }
}

function clear(amount: Amount): void {
  amount.bytes = 0
  amount.lines = 0
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
