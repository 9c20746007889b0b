// A shipment: what is read and encoded for one request or a few, from one lane or from several calm ones. It holds two
// parts, one per source stream; a segment is one lane's stretch of each. It is filled in one go when it is due (until
// then the lines wait in their files), and given back as soon as every segment's fate is known.
import type { Entry } from '../core/entry.ts'
import type { Amount } from '../core/ledger.ts'
import type { TailedFile } from '../tail/file.ts'
import type { Reader } from '../tail/reader.ts'
import type { CriRows, EntryWriter, EventRows } from '../tail/writer.ts'
import type { Lane } from './lane.ts'
import type { Part, PartPool } from './part.ts'
import type { EntryEncoder, Room } from './target.ts'

/** One lane's stretch of a shipment. Indexes and offsets are into the parts, by source stream. */
export interface Segment {
  lane: Lane
  starts: [number, number]
  ends: [number, number]
  firstRecords: [number, number]
  endRecords: [number, number]
  shares: Share[]
}

/** What one reader of the lane added. */
export interface Share {
  reader: Reader
  /** Where it began. */
  fromFile: TailedFile | null
  fromOffset: number
  /** The files that the records are from, and by source stream the first record of each. */
  files: { path: string; firstRecords: [number, number] }[]
  /** Bytes and lines of its files by source stream. */
  bytes: [number, number]
  lines: [number, number]
  /** What rules left out. */
  leftOut: LeftOut[]
}

/** Lines of a source stream that do not go out, for one reason. */
export interface LeftOut extends Amount {
  kind: 'skipped' | 'dropped'
  reason: string
  stream: 0 | 1
}

/** What of a sink a shipment needs: what it writes around the entries of one lane in one part. */
export interface SegmentFrame {
  /** Whether stdout and stderr are encoded into parts of their own; else all goes into the first, in the file's order. */
  readonly separateStreams: boolean
  /** Called around the entries of one lane in one part. */
  beginSegment(part: Part, laneKey: string, stream: number): void
  endSegment(part: Part, segment: Segment, stream: number): void
}

export class Shipment implements EntryWriter {
  readonly parts: readonly [Part, Part]
  readonly segments: Segment[] = []
  /** What it has of the budget beyond what each has. */
  moreBytes = 0
  readonly #frame: SegmentFrame
  readonly #pool: PartPool
  readonly #separate: boolean
  #bytesMax = 0
  #together = true
  #recordsMax = Number.POSITIVE_INFINITY
  #encoder: EntryEncoder | null = null
  #segment: Segment | null = null
  #reader: Reader | null = null
  /** The file that the last record was from; null before the first of a share. */
  #file: TailedFile | null = null

  constructor(frame: SegmentFrame, pool: PartPool) {
    this.#frame = frame
    this.#pool = pool
    this.#separate = frame.separateStreams
    this.parts = [pool.take(), pool.take()]
  }

  /** What its parts hold. */
  get bytes(): number {
    return this.parts[0].end + this.parts[1].end
  }

  get records(): number {
    return this.parts[0].count + this.parts[1].count
  }

  get roomBytes(): number {
    return Math.max(0, this.#bytesMax - Math.max(this.#filled(0), this.#filled(1)))
  }

  /** What counts against the limit: all that shares a request with the stream. */
  #filled(stream: number): number {
    return this.#together ? this.parts[0].size + this.parts[1].size : this.parts[stream as 0 | 1].size
  }

  /**
   * Opens a lane's segment. A request takes at most so many bytes, and the shipment so many records; `together`: both
   * parts go in one request.
   */
  begin(lane: Lane, bytesMax: number, recordsMax: number, together: boolean): void {
    this.#together = together || !this.#separate
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

  /** So many bytes more may follow from the same reader. */
  extend(bytes: number): void {
    this.#bytesMax = Math.max(this.#filled(0), this.#filled(1)) + bytes
  }

  /** What follows comes from this reader, encoded so. */
  from(reader: Reader, encoder: EntryEncoder): void {
    this.#closeShare()
    this.#encoder = encoder
    const [out, err] = this.parts
    const bytes: [number, number] = [-out.sourceBytes, -err.sourceBytes]
    const lines: [number, number] = [-out.sourceLines, -err.sourceLines]
    const { current: fromFile, offset: fromOffset } = reader
    this.#reader = reader
    this.#file = null
    const share = { reader, fromFile, fromOffset, files: [], bytes, lines, leftOut: [] }
    const segment = this.#segment as Segment
    // Nearly always there is one: an array that is pushed to has room for seventeen.
    if (segment.shares.length === 0) segment.shares = [share]
    else segment.shares.push(share)
  }

  /** Closes the segment and returns it. */
  end(): Segment {
    this.#closeShare()
    const segment = this.#segment as Segment
    for (const [stream, part] of this.parts.entries() as ArrayIterator<[0 | 1, Part]>) {
      segment.ends[stream] = part.end
      segment.endRecords[stream] = part.count
      if (part.count > segment.firstRecords[stream]) this.#frame.endSegment(part, segment, stream)
    }
    this.#segment = null
    this.segments.push(segment)
    return segment
  }

  fits(entry: Entry, messageBytes: number): boolean {
    const records = this.parts[0].count + this.parts[1].count
    if (records === 0) return true
    if (records >= this.#recordsMax) return false
    return this.#filled(entry.stream) + (this.#encoder as EntryEncoder).sizeMax(entry, messageBytes) <= this.#bytesMax
  }

  write(entry: Entry): void {
    const stream = this.#separate ? (entry.stream as 0 | 1) : 0
    const part = this.parts[stream]
    const segment = this.#segment as Segment
    if ((this.#reader as Reader).current !== this.#file) this.#noteFile()
    if (part.count === segment.firstRecords[stream]) this.#frame.beginSegment(part, segment.lane.key, stream)
    ;(this.#encoder as EntryEncoder).write(part, entry)
    part.note(entry.offset, entry.sourceBytes, entry.sourceLines)
  }

  /** Notes a line that does not go out, and why. */
  leaveOut(entry: Entry, kind: LeftOut['kind'], reason: string): void {
    const share = this.#segment?.shares.at(-1) as Share
    const stream = this.#separate ? (entry.stream as 0 | 1) : 0
    let amount = share.leftOut.find((each) => each.stream === stream && each.kind === kind && each.reason === reason)
    if (amount === undefined) {
      amount = { kind, reason, stream, bytes: 0, lines: 0 }
      share.leftOut.push(amount)
    }
    amount.bytes += entry.sourceBytes
    amount.lines += entry.sourceLines
  }

  writeRows(rows: CriRows): boolean {
    return (this.#encoder as EntryEncoder).writeRows?.(rows, this.#room()) === true
  }

  writeEvents(events: EventRows): boolean {
    const encoder = this.#encoder as EntryEncoder
    if (encoder.writeEvents === undefined) return false
    const [part] = this.parts
    const segment = this.#segment as Segment
    const start = part.end
    const begins = part.count === segment.firstRecords[0]
    if (begins) this.#frame.beginSegment(part, segment.lane.key, 0)
    const mayTake = encoder.writeEvents(events, this.#room())
    // Nothing was taken: it begins with the next record.
    if (begins && part.count === segment.firstRecords[0]) part.end = start
    return mayTake
  }

  #room(): Room {
    const { firstRecords } = this.#segment as Segment
    const [out, err] = this.parts
    if ((this.#reader as Reader).current !== this.#file) this.#noteFile()
    return {
      parts: this.parts,
      begun: [out.count > firstRecords[0], err.count > firstRecords[1]],
      bytesLeft: [this.#bytesMax - this.#filled(0), this.#bytesMax - this.#filled(1)],
      together: this.#together,
      recordsLeft: this.#recordsMax - this.records,
    }
  }

  release(): void {
    // The last one given is the first one taken: so each comes back in its place, and what hardly holds anything stays small.
    for (const part of this.parts.toReversed()) this.#pool.give(part)
  }

  #noteFile(): void {
    this.#file = (this.#reader as Reader).current
    const [out, err] = this.parts
    const path = this.#file?.path ?? ''
    const share = this.#segment?.shares.at(-1) as Share
    const file: Share['files'][number] = { path, firstRecords: [out.count, err.count] }
    if (share.files.length === 0) share.files = [file]
    else share.files.push(file)
  }

  /** A share began with the negated sums of the parts; now it gets the difference. */
  #closeShare(): void {
    const share = this.#segment?.shares.at(-1)
    if (share === undefined) return
    for (const [stream, part] of this.parts.entries() as ArrayIterator<[0 | 1, Part]>) {
      share.bytes[stream] += part.sourceBytes
      share.lines[stream] += part.sourceLines
    }
  }
}

/** The path of the file that a record is from. */
export function pathOf(segment: Segment, stream: 0 | 1, record: number): string {
  const files = segment.shares.flatMap((share) => share.files)
  return files.findLast(({ firstRecords }) => firstRecords[stream] <= record)?.path ?? ''
}
