// The contract of a sink: how lineages map to lanes, how entries become bytes, and what became of what was sent.

import type { Part } from '../batch/part.ts'
import type { Segment, Shipment } from '../batch/shipment.ts'
import type { Entry } from '../core/entry.ts'
import type { LineageInfo } from '../core/lineage-info.ts'
import type { Metadata } from '../core/metadata.ts'
import type { DeadLetter } from '../deliver/dead-letter.ts'
import type { Resent } from '../deliver/replay.ts'
import type { CriRows, EventRows } from '../tail/writer.ts'

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

/** What became of a segment. */
export type SegmentResult =
  | {
      kind: 'acked'
      /** Of the segment's records, those that ended as dead letters (durable) or were dropped. */
      refused: Refused[]
    }
  | {
      /** To be read and sent again, not before `delayMs`, alone in its shipment, with at most so many records or bytes. */
      kind: 'again'
      delayMs: number
      recordsMax?: number
      bytesMax?: number
      /** Source streams of which everything was delivered, or refused for good. */
      ackedStreams: number[]
      /** Of those streams' records alone. */
      refused: Refused[]
    }

/** Records that ended otherwise than acked. */
export interface Refused {
  kind: 'deadLettered' | 'dropped'
  reason: string
  stream: number
  bytes: number
  lines: number
  /** Of dropped records: where they were. A gap is written in their place. */
  hole?: DroppedRange
}

/** Records of one file that were dropped. */
export interface DroppedRange {
  path: string
  /** From the first byte of the first one to the last byte of the last one; others may lie between. */
  from: number
  to: number
  records: number
  cause: string
}

export interface Sink {
  readonly name: string
  readonly type: string
  /** A shipment is sent when it holds so many bytes, or when its oldest line waited so long. */
  readonly batchBytesMax: number
  readonly batchAgeMaxMs: number
  /** Shipments under way at once. */
  readonly concurrency: number
  readonly lineBytesMax: number
  /** Whether stdout and stderr are encoded into parts of their own; else all goes into the first, in the file's order. */
  readonly separateStreams: boolean
  /** The lane and encoder for a lineage with this metadata; asked again when another one is to take effect. */
  target(lineage: LineageInfo, metadata: Metadata): Target
  /** Whether the lane's entries may share a shipment with others now; with those of the lane `withKey`, if it is given. */
  mayShare(laneKey: string, withKey?: string): boolean
  /** Called around the entries of one lane in one part. */
  beginSegment(part: Part, laneKey: string, stream: number): void
  endSegment(part: Part, segment: Segment, stream: number): void
  /** Sends the shipment; one result per segment, in order. Never rejects for what a server or a network does. */
  ship(shipment: Shipment): Promise<SegmentResult[]>
  /**
   * Whether the segment lies too far ahead of what is acknowledged and perhaps not durable yet: killed now, the agent would
   * send that again, and the sink would no longer take it for a repeat. The checkpoints must be durable before it is shipped.
   */
  outrunsCheckpoint(segment: Segment): boolean
  /** All that is acknowledged is being made durable. */
  checkpointing(): void
  /**
   * One attempt at dead letters with equal labels and tenant, oldest first, under the sink's own rules; refused ones make no new
   * letters. Absent where a sink refuses nothing.
   */
  resend?(letters: readonly DeadLetter[]): Promise<Resent>
  /** A lane has no lineages any more. */
  forget(laneKey: string): void
  status(): SinkState
  close(): Promise<void>
}

/** What the sink itself knows for the status page. */
export interface SinkState {
  state: 'ok' | 'retrying' | 'halted'
  lastError: string | null
  requestsInFlight: number
  requests: Record<string, number>
  retries: Record<string, number>
  requestSeconds: { bounds: number[]; counts: number[]; sum: number }
}
