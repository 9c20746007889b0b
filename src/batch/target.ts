// What a lane writes with: where a lineage's entries go, and the encoder that makes them bytes in a part. Sinks make both;
// a target holds for its lineage as long as its metadata does.
import type { Entry } from '../core/entry.ts'
import type { CriRows, EventRows } from '../tail/writer.ts'
import type { Part } from './part.ts'

/** What is constant for one lineage at one sink. */
export interface EntryEncoder {
  /** Upper bound of the encoded size of an entry with a message of `messageBytes`. */
  sizeMax(entry: Entry, messageBytes: number): number
  /** Appends the entry to the part, reserving the room itself. */
  write(part: Part, entry: Entry): void
  /** Appends as many rows as it can, with their notes, and moves `rows.from` behind them. False: not of this block. */
  writeRows?(rows: CriRows, room: Room): boolean
  /** The same for lines of an audit log. */
  writeEvents?(events: EventRows, room: Room): boolean
}

/** What a shipment takes yet; the pairs are by source stream. */
export interface Room {
  parts: readonly [Part, Part]
  /** Whether the stream's stretch of the segment has begun; else its first row is not taken with others. */
  begun: readonly [boolean, boolean]
  bytesLeft: readonly [number, number]
  /** What one stream takes is taken from the other too. */
  together: boolean
  recordsLeft: number
}

/** Where a lineage's entries go. Lineages with equal keys share a lane and, in a segment, everything `begin` wrote. */
export interface Target {
  readonly key: string
  readonly encoder: EntryEncoder
}
