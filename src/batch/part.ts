// Encoded records of one source stream, growing in one buffer, with what each stands for in its file. Parts are reused:
// a pool keeps as many as are ever needed at once, at the size that the traffic made them grow to.

import { release } from '../core/memory.ts'

const BUFFER_BYTES_MIN = 64 * 1024
const RECORDS_MIN = 512
/** Of what a shipment usually needs, so much is kept in a part at most. */
const USUAL_MOST = 4
const LINES_UNIT = 2 ** 32

export class Part {
  buffer: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES_MIN)
  /** Over the same bytes as `buffer`. */
  view: DataView = new DataView(this.buffer.buffer)
  end = 0
  /** By how much what lies here is shorter than what goes out of it: some sinks compress as they write. */
  savedBytes = 0
  /** Number of records. */
  count = 0
  /** Bytes and lines of the files that all records together stand for. */
  sourceBytes = 0
  sourceLines = 0
  readonly #usualBytes: number
  // Two numbers per record: the offset in its file, and its bytes plus LINES_UNIT times its lines.
  #records = new Float64Array(2 * RECORDS_MIN)

  constructor(usualBytes: number) {
    this.#usualBytes = usualBytes
  }

  /** Makes room for `bytes` more; `buffer` may be another one afterwards. */
  reserve(bytes: number): void {
    if (this.end + bytes > this.buffer.length) this.#grow(bytes)
  }

  #grow(bytes: number): void {
    // Not what `transfer` makes longer: that clears what it adds. And the old memory must not wait for a collection.
    const { buffer } = this
    this.buffer = Buffer.allocUnsafeSlow(Math.max(this.#nextBytes(), this.end + bytes))
    this.view = new DataView(this.buffer.buffer)
    buffer.copy(this.buffer, 0, 0, this.end)
    release(buffer)
  }

  /**
   * Doubled until it is near what the largest usual shipment needs, which it then reaches exactly. What is more is a
   * backlog's, and comes at once: it is not there before it is written to, and each step would copy all.
   */
  #nextBytes(): number {
    const { length } = this.buffer
    const most = USUAL_MOST * this.#usualBytes
    if (length >= most) return length + this.#usualBytes
    if (length >= this.#usualBytes) return most
    return 2 * length > this.#usualBytes / 2 ? this.#usualBytes : 2 * length
  }

  /** Bytes of the records before any compression. */
  get size(): number {
    return this.end + this.savedBytes
  }

  /** Appends `bytes` of encoded records with their notes (two numbers each, as they are kept here). */
  append(bytes: Buffer, notes: Float64Array, sourceBytes: number): void {
    this.put(bytes)
    this.noteMany(notes, sourceBytes)
  }

  /** Appends bytes of records that are noted later. */
  put(bytes: Buffer): void {
    this.reserve(bytes.length)
    bytes.copy(this.buffer, this.end)
    this.end += bytes.length
  }

  /** Notes the records that were just put, two numbers each. */
  noteMany(notes: Float64Array, sourceBytes: number): void {
    const at = 2 * this.count
    if (at + notes.length > this.#records.length) this.#growRecords(at + notes.length)
    this.#records.set(notes, at)
    this.count += notes.length / 2
    this.sourceBytes += sourceBytes
    this.sourceLines += notes.length / 2
  }

  #growRecords(length: number): void {
    const grown = new Float64Array(Math.max(length, 2 * this.#records.length))
    grown.set(this.#records)
    this.#records = grown
  }

  /** Notes the record that was just written. */
  note(offset: number, sourceBytes: number, sourceLines: number): void {
    const at = 2 * this.count++
    if (at === this.#records.length) this.#growRecords(at + 2)
    this.#records[at] = offset
    this.#records[at + 1] = sourceBytes + sourceLines * LINES_UNIT
    this.sourceBytes += sourceBytes
    this.sourceLines += sourceLines
  }

  offsetOf(record: number): number {
    return this.#records[2 * record] as number
  }

  bytesOf(record: number): number {
    return (this.#records[2 * record + 1] as number) % LINES_UNIT
  }

  linesOf(record: number): number {
    return Math.floor((this.#records[2 * record + 1] as number) / LINES_UNIT)
  }

  clear(): void {
    this.end = 0
    this.savedBytes = 0
    this.count = 0
    this.sourceBytes = 0
    this.sourceLines = 0
  }
}

/** Parts to be used again. Holds at most `countMax`; more are left to the garbage collector. */
export class PartPool {
  readonly #free: Part[] = []
  readonly #countMax: number
  readonly #usualBytes: number

  constructor(countMax: number, usualBytes: number) {
    this.#countMax = countMax
    this.#usualBytes = usualBytes
  }

  take(): Part {
    return this.#free.pop() ?? new Part(this.#usualBytes)
  }

  give(part: Part): void {
    // A part that a backlog made that large is not what the next shipments need.
    if (part.buffer.length > USUAL_MOST * Math.max(this.#usualBytes, BUFFER_BYTES_MIN)) {
      release(part.buffer)
      return
    }
    part.clear()
    if (this.#free.length < this.#countMax) this.#free.push(part)
  }
}
