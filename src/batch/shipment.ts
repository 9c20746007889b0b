// A shipment: what is read and encoded for one request or a few, from one lane or from several calm ones. It holds two
// parts, one per source stream; a segment is one lane's stretch of each. It is filled in one go when it is due (until
// then the lines wait in their files), and given back as soon as every segment's fate is known.
import type { Entry } from '../core/entry.ts'
import type { EntryEncoder, Sink } from '../sinks/sink.ts'
import type { EntryWriter, Reader } from '../tail/reader.ts'
import type { Lane } from './lane.ts'
import type { Part, PartPool } from './part.ts'

/** One lane's stretch of a shipment. Indexes and offsets are into the parts, by source stream. */
export interface Segment {
  lane: Lane
  starts: [number, number]
  ends: [number, number]
  firstRecords: [number, number]
  endRecords: [number, number]
  /** What each reader of the lane added, bytes and lines of its files by source stream. */
  shares: { reader: Reader; bytes: [number, number]; lines: [number, number] }[]
}

export class Shipment implements EntryWriter {
  readonly parts: readonly [Part, Part]
  readonly segments: Segment[] = []
  readonly #sink: Sink
  readonly #pool: PartPool
  #bytesMax = 0
  #recordsMax = Number.POSITIVE_INFINITY
  #encoder: EntryEncoder | null = null
  #segment: Segment | null = null
  #share: Segment['shares'][number] | null = null

  constructor(sink: Sink, pool: PartPool) {
    this.#sink = sink
    this.#pool = pool
    this.parts = [pool.take(), pool.take()]
  }

  get bytes(): number {
    return this.parts[0].end + this.parts[1].end
  }

  get records(): number {
    return this.parts[0].count + this.parts[1].count
  }

  get roomBytes(): number {
    return Math.max(0, this.#bytesMax - this.bytes)
  }

  /** Opens a lane's segment; the shipment as a whole takes at most so many bytes and records. */
  begin(lane: Lane, bytesMax: number, recordsMax: number): void {
    this.#bytesMax = bytesMax
    this.#recordsMax = recordsMax
    const [out, err] = this.parts
    this.#segment = {
      lane,
      starts: [out.end, err.end],
      ends: [out.end, err.end],
      firstRecords: [out.count, err.count],
      endRecords: [out.count, err.count],
      shares: [],
    }
  }

  /** What follows comes from this reader, encoded so. */
  from(reader: Reader, encoder: EntryEncoder): void {
    this.#encoder = encoder
    this.#share = { reader, bytes: [0, 0], lines: [0, 0] }
    this.#segment?.shares.push(this.#share)
  }

  /** Closes the segment and returns it, or null when nothing was written. */
  end(): Segment {
    const segment = this.#segment as Segment
    for (const [stream, part] of this.parts.entries() as ArrayIterator<[0 | 1, Part]>) {
      segment.ends[stream] = part.end
      segment.endRecords[stream] = part.count
      if (part.count > segment.firstRecords[stream]) this.#sink.endSegment(part, segment, stream)
    }
    this.#segment = null
    this.segments.push(segment)
    return segment
  }

  fits(entry: Entry, messageBytes: number): boolean {
    if (this.records === 0) return true
    if (this.records >= this.#recordsMax) return false
    return this.bytes + (this.#encoder as EntryEncoder).sizeMax(entry, messageBytes) <= this.#bytesMax
  }

  write(entry: Entry): void {
    const stream = this.#sink.separateStreams ? (entry.stream as 0 | 1) : 0
    const part = this.parts[stream]
    const segment = this.#segment as Segment
    const encoder = this.#encoder as EntryEncoder
    if (part.count === segment.firstRecords[stream]) this.#sink.beginSegment(part, segment.lane.key, stream)
    part.reserve(encoder.sizeMax(entry, entry.messageEnd - entry.messageStart))
    encoder.write(part, entry)
    part.note(entry.offset, entry.sourceBytes, entry.sourceLines)
    const share = this.#share as Segment['shares'][number]
    share.bytes[stream] += entry.sourceBytes
    share.lines[stream] += entry.sourceLines
  }

  release(): void {
    for (const part of this.parts) this.#pool.give(part)
  }
}
