// A lineage's entries for Loki. Labels and metadata are functions of the path (and, for marked lines, of the bytes), so
// that a repeat makes identical entries; they are encoded once per lineage.
import type { Part } from '../../batch/part.ts'
import type { EntryEncoder, Room } from '../../batch/target.ts'
import { type Entry, MARK_INVALID_UTF8 } from '../../core/entry.ts'
import type { Labels } from '../../core/labels.ts'
import { withMarks } from '../../core/marks.ts'
import { type DeadLetter, lineOf } from '../../deliver/dead-letter.ts'
import type { CriRows } from '../../tail/writer.ts'
import type { LokiLane } from './lane.ts'
import type { RowsAtOnce } from './rows.ts'
import { ENTRY_OVERHEAD_BYTES, encodeMetadata, type Metadata, writeEntry } from './wire.ts'

/** Bytes that the metadata of a marked entry may add. */
const MARKS_BYTES_MAX = 512

export class LokiEntryEncoder implements EntryEncoder {
  readonly #lane: LokiLane
  readonly #pairs: Labels
  readonly #metadata: Metadata
  readonly #rowsAtOnce: RowsAtOnce | null

  /** `rowsAtOnce`: what takes rows together; null: they are written one by one. */
  constructor(lane: LokiLane, metadata: Labels, rowsAtOnce: RowsAtOnce | null = null) {
    this.#rowsAtOnce = rowsAtOnce
    this.#lane = lane
    this.#pairs = metadata
    this.#metadata = encodeMetadata(metadata)
  }

  sizeMax(_entry: Entry, messageBytes: number): number {
    return messageBytes + this.#overheadBytes
  }

  get #overheadBytes(): number {
    return this.#metadata.length + ENTRY_OVERHEAD_BYTES + MARKS_BYTES_MAX
  }

  write(part: Part, entry: Entry): void {
    // Replaced bytes show themselves; a mark would be stored with every line of a binary log.
    const marks = entry.marks & ~MARK_INVALID_UTF8
    const metadata = marks === 0 ? this.#metadata : encodeMetadata(withMarks(this.#pairs, entry, marks))
    const stream = this.#lane.streams[entry.stream as 0 | 1]
    if (entry.seconds < stream.pendingOldest) stream.pendingOldest = entry.seconds
    if (entry.seconds > stream.pendingNewest) stream.pendingNewest = entry.seconds
    part.reserve(this.sizeMax(entry, entry.messageEnd - entry.messageStart))
    writeEntry(part, entry.seconds, entry.nanos, entry.buffer, entry.messageStart, entry.messageEnd, metadata)
  }

  writeRows(rows: CriRows, room: Room): boolean {
    const spans = this.#rowsAtOnce?.take(rows, room, this.#metadata, this.#overheadBytes) ?? null
    if (spans === null) return false
    for (const [stream, { oldest, newest }] of spans.entries()) {
      const target = this.#lane.streams[stream as 0 | 1]
      if (newest < 0) continue
      target.pendingOldest = Math.min(target.pendingOldest, oldest)
      target.pendingNewest = Math.max(target.pendingNewest, newest)
    }
    return true
  }

  /** Appends a dead letter as the entry that it was, with `index` as its offset. */
  writeLetter(part: Part, letter: DeadLetter, index: number): void {
    const stream = this.#lane.streams[0]
    const line = lineOf(letter)
    const metadata = encodeMetadata(letter.metadata)
    const time = BigInt(letter.timestamp)
    const seconds = Number(time / 1_000_000_000n)
    stream.pendingOldest = Math.min(stream.pendingOldest, seconds)
    stream.pendingNewest = Math.max(stream.pendingNewest, seconds)
    part.reserve(line.length + metadata.length + ENTRY_OVERHEAD_BYTES)
    writeEntry(part, seconds, Number(time % 1_000_000_000n), line, 0, line.length, metadata)
    part.note(index, letter.bytes, letter.rows ?? 1)
  }
}
