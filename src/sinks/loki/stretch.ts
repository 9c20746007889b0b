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
  readonly part: Part
  header: Buffer
  readonly firstRecord: number
  readonly seconds: Float64Array
  readonly nanos: Float64Array
  readonly lineBytes: Float64Array
  readonly #starts: Float64Array
  readonly #end: number
  readonly #gone: Uint8Array
  /** Entries that were not taken out, as indexes into the whole. */
  alive: number[]

  /** Entries in part.buffer[start, end) behind their stream header, records from `firstRecord` on. */
  constructor(part: Part, header: Buffer, start: number, end: number, firstRecord: number, count: number) {
    this.part = part
    this.header = header
    this.firstRecord = firstRecord
    this.seconds = new Float64Array(count)
    this.nanos = new Float64Array(count)
    this.lineBytes = new Float64Array(count)
    this.#starts = new Float64Array(count)
    this.#gone = new Uint8Array(count)
    this.#end = end
    this.alive = Array.from({ length: count }, (_, i) => i)
    const entry = newWireEntry()
    let at = start + header.length
    for (let i = 0; i < count; i++) {
      readEntry(part.buffer, at, entry)
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

  /** From now on only these entries are there, and go under another header. */
  restrict(indexes: readonly number[], header: Buffer): void {
    this.#gone.fill(1)
    for (const index of indexes) this.#gone[index] = 0
    this.alive = [...indexes]
    this.header = header
  }

  remove(indexes: Iterable<number>): void {
    for (const index of indexes) this.#gone[index] = 1
    this.alive = this.alive.filter((index) => this.#gone[index] === 0)
  }

  /** The stream message of the given entries under `header`. A copy. */
  body(indexes: readonly number[], header: Buffer = this.header): Buffer {
    const pieces: Buffer[] = [header]
    for (const index of indexes) pieces.push(this.part.buffer.subarray(this.#starts[index], this.#endOf(index)))
    const body = Buffer.concat(pieces)
    closeStream(body, 0, body.length)
    return body
  }

  /** The stream message of a probe beside that entry: of its time, and with nothing else of it. */
  probe(index: number): Buffer {
    const { header, part, firstRecord } = this
    const line = Buffer.from(probeText(part.bytesOf(firstRecord + index)))
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
    readEntry(this.part.buffer, this.#starts[index] as number, entry)
    return entry
  }

  metadataOf(index: number): { bytes: number; pairs: number } {
    const { metadataStart, metadataEnd } = this.entry(index)
    const pairs = Object.entries(readMetadata(this.part.buffer, metadataStart, metadataEnd))
    const bytes = pairs.reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), 0)
    return { bytes, pairs: pairs.length }
  }

  #endOf(index: number): number {
    return (index + 1 < this.#starts.length ? this.#starts[index + 1] : this.#end) as number
  }
}

/** How many of the `count` entries from `start` on lie within so many seconds of each other; at least one. */
export function entriesWithin(part: Part, start: number, count: number, spanSecondsMax: number): number {
  const entry = newWireEntry()
  let oldest = Number.POSITIVE_INFINITY
  let newest = Number.NEGATIVE_INFINITY
  let at = start
  for (let i = 0; i < count; i++) {
    readEntry(part.buffer, at, entry)
    oldest = Math.min(oldest, entry.seconds)
    newest = Math.max(newest, entry.seconds)
    if (newest - oldest > spanSecondsMax) return i
    at = entry.end
  }
  return count
}
