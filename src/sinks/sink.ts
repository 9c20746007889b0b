// The contract of a sink: how lineages map to lanes, and what became of what was sent. How entries become bytes is in
// batch/target.ts. Invariant: what a sink is made of (parts, segments, shipments, targets) knows no sink.

import type { Segment, SegmentFrame, Shipment } from '../batch/shipment.ts'
import type { Target } from '../batch/target.ts'
import type { Shaper } from '../core/entry.ts'
import type { LineageInfo } from '../core/lineage-info.ts'
import type { Metadata } from '../core/metadata.ts'
import type { DeadLetter } from '../deliver/dead-letter.ts'
import type { Resent } from '../deliver/replay.ts'
import type { DroppedRange } from '../tail/gap.ts'

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

export interface Sink extends SegmentFrame {
  readonly name: string
  readonly type: string
  /** A shipment is sent when it holds so many bytes, or when its oldest line waited so long. */
  readonly batchBytesMax: number
  readonly batchAgeMaxMs: number
  /** Shipments under way at once. */
  readonly concurrency: number
  readonly lineBytesMax: number
  /** The lane and encoder for a lineage with this metadata; asked again when another one is to take effect. */
  target(lineage: LineageInfo, metadata: Metadata): Target
  /** What the encoders of audit logs need of a large event and is dear to find. Absent: nothing. */
  readonly shapeEvent?: Shaper
  /** Whether the lane's entries may share a shipment with others now; with those of the lane `withKey`, if it is given. */
  mayShare(laneKey: string, withKey?: string): boolean
  /**
   * How much more of a lane a shipment takes that is full, where the lane's records go in several requests, each of them within
   * the batch's bytes. Absent: nothing.
   */
  moreBytes?(laneKey: string, shipment: Pick<Shipment, 'parts'>): number
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
