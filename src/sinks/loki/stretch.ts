// A stretch: the entries of one stream in one segment, on the wire already, with an index over them: to name, take out,
// divide and describe single entries after a refusal. Made only when there is one.
import { Part } from '../../batch/part.ts'
import { PROBE_MARK, probeText } from '../probe.ts'
import type { PushedEntries } from './refused.ts'
import {
  closeStream,
  ENTRY_OVERHEAD_BYTES,
  encodeMetadata,
  newWireEntry,
  readEntry,
  readMetadata,
  type WireEntry,
  writeEntry,
} from './wire.ts'

export class Stretch implements PushedEntries {
  /** Which records of it the entries are, by index. */
  readonly part: Part
  readonly records: readonly number[]
  readonly header: Buffer
  readonly seconds: Float64Array
  readonly nanos: Float64Array
  readonly lineBytes: Float64Array
  readonly #starts: Float64Array
  /** Of the stream, as it was pushed. */
  readonly message: Buffer
  readonly #gone: Uint8Array
  /** Entries that were not taken out, as indexes into the whole. */
  alive: number[]

  /** The entries of a stream message, behind its header. */
  constructor(part: Part, records: readonly number[], header: Buffer, message: Buffer) {
    const count = records.length
    this.part = part
    this.records = records
    this.header = header
    this.message = message
    this.seconds = new Float64Array(count)
    this.nanos = new Float64Array(count)
    this.lineBytes = new Float64Array(count)
    this.#starts = new Float64Array(count)
    this.#gone = new Uint8Array(count)
    this.alive = Array.from({ length: count }, (_, i) => i)
    const entry = newWireEntry()
    let at = header.length
    for (let i = 0; i < count; i++) {
      readEntry(message, at, entry)
      this.#starts[i] = at
      this.seconds[i] = entry.seconds
      this.nanos[i] = entry.nanos
      this.lineBytes[i] = entry.lineEnd - entry.lineStart
      at = entry.end
    }
  }

  get count(): number {
    return this.seconds.length
  }

  isAlive(index: number): boolean {
    return this.#gone[index] === 0
  }

  remove(indexes: Iterable<number>): void {
    for (const index of indexes) this.#gone[index] = 1
    this.alive = this.alive.filter((index) => this.#gone[index] === 0)
  }

  /** The stream message of the given entries under `header`. A copy. */
  body(indexes: readonly number[], header: Buffer = this.header): Buffer {
    const pieces: Buffer[] = [header]
    for (const index of indexes) pieces.push(this.message.subarray(this.#starts[index], this.#endOf(index)))
    const body = Buffer.concat(pieces)
    closeStream(body, 0, body.length)
    return body
  }

  /** The stream message of a probe beside that entry: of its time, and with nothing else of it. */
  probe(index: number): Buffer {
    const { header, part, records } = this
    const line = Buffer.from(probeText(part.bytesOf(records[index]!)))
    const metadata = encodeMetadata({ taffrail_mark: PROBE_MARK })
    const own = new Part(0)
    own.reserve(header.length + ENTRY_OVERHEAD_BYTES + metadata.length + line.length)
    own.end = header.copy(own.buffer)
    writeEntry(own, this.seconds[index]!, this.nanos[index]!, line, 0, line.length, metadata)
    closeStream(own.buffer, 0, own.end)
    return own.buffer.subarray(0, own.end)
  }

  entry(index: number): WireEntry {
    const entry = newWireEntry()
    readEntry(this.message, this.#starts[index] as number, entry)
    return entry
  }

  metadataOf(index: number): { bytes: number; pairs: number } {
    const { metadataStart, metadataEnd } = this.entry(index)
    const pairs = Object.entries(readMetadata(this.message, metadataStart, metadataEnd))
    const bytes = pairs.reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), 0)
    return { bytes, pairs: pairs.length }
  }

  #endOf(index: number): number {
    return (index + 1 < this.#starts.length ? this.#starts[index + 1] : this.message.length) as number
  }
}

/** How many of the entries, of which `pieces` hold some each, lie within so many seconds of each other from the first on; infinite: all. */
export function entriesWithin(pieces: Iterable<Buffer>, spanSecondsMax: number): number {
  const entry = newWireEntry()
  let oldest = Number.POSITIVE_INFINITY
  let newest = Number.NEGATIVE_INFINITY
  let count = 0
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at = entry.end) {
      readEntry(piece, at, entry)
      oldest = Math.min(oldest, entry.seconds)
      newest = Math.max(newest, entry.seconds)
      if (newest - oldest > spanSecondsMax) return count
      count++
    }
  }
  return Number.POSITIVE_INFINITY
}
