// What became of a shipment's segments, put into effect: what was delivered moves the watermark and is saved, everything else
// goes back to the files; the ledger is told of every line. Invariant: what is settled for a source stream is what its
// shares hold, less what was refused, which ended another way; so nothing is counted twice, and nothing is left out.
import type { CheckpointStore } from '../checkpoint/checkpoints.ts'
import { Ledger } from '../core/ledger.ts'
import type { Clock } from '../ports/clock.ts'
import type { Refused, SegmentResult } from '../sinks/sink.ts'
import type { Reader } from '../tail/reader.ts'
import type { HeldLines } from './held.ts'
import type { Lane } from './lane.ts'
import type { Segment } from './shipment.ts'

/** A lane's limits from a refusal double again each time something was sent within them. */
const LIMIT_GROWTH = 2
/** A lane that seemed to have work and had none (a file that cannot be read) is asked again after so long. */
const NOTHING_MS = 200

export class Settlement {
  readonly ledger = new Ledger()
  /** ms since the epoch when the sink last took something; null before the first time. */
  lastAckAt: number | null = null
  readonly #sink: string
  readonly #clock: Clock
  readonly #checkpoints: CheckpointStore
  readonly #held: HeldLines

  constructor(sink: string, held: HeldLines, deps: { clock: Clock; checkpoints: CheckpointStore }) {
    this.#sink = sink
    this.#held = held
    this.#clock = deps.clock
    this.#checkpoints = deps.checkpoints
  }

  /** Settles a segment of a shipment that was begun at `startedAt` (monotonic ms); its lane is free again. */
  settle(segment: Segment, result: SegmentResult, startedAt: number): void {
    const { lane } = segment
    const clock = this.#clock
    const acked = result.kind === 'acked' ? [0, 1] : result.ackedStreams
    for (const stream of acked as (0 | 1)[]) this.#ackStream(segment, stream, result.refused)
    if (result.kind === 'acked') {
      const hasRecords = recordsOf(segment) > 0
      if (hasRecords) this.#taken(lane)
      lane.attempts = 0
      lane.retryAt = Number.NEGATIVE_INFINITY
      for (const { reader } of segment.shares) reader.commit()
      this.#noteDropped(segment, result.refused)
      for (const { reader } of segment.shares) {
        this.savePosition(reader)
        this.#held.note(reader, lane, clock.monotonic())
      }
      if (!hasRecords && !hasMoved(segment)) lane.retryAt = clock.monotonic() + NOTHING_MS
      lane.laggingSince =
        lane.lagBytes === 0 ? null : Math.max(lane.laggingSince ?? startedAt, lane.backlog ? 0 : startedAt)
    } else {
      for (const { reader } of segment.shares) {
        for (const stream of acked) reader.ackStream(stream)
        reader.rewind()
        this.#held.forget(reader)
      }
      this.#noteDropped(segment, result.refused)
      lane.backlog = true
      // Without a delay it is no failure: it only has to go another way.
      if (result.delayMs > 0) lane.attempts++
      lane.retryAt = clock.monotonic() + result.delayMs
      if (result.bytesMax !== undefined) lane.bytesMax = result.bytesMax
      if (result.recordsMax !== undefined) lane.recordsMax = result.recordsMax
    }
    lane.busy = false
  }

  /** Fills that found nothing to send leave the limits: they would be gone by the time that there is something. */
  #taken(lane: Lane): void {
    this.lastAckAt = this.#clock.now()
    lane.bytesMax *= LIMIT_GROWTH
    lane.recordsMax *= LIMIT_GROWTH
  }

  /** Settles one source stream of a segment: everything but what was refused is acknowledged. */
  #ackStream(segment: Segment, stream: 0 | 1, refused: readonly Refused[]): void {
    let bytes = 0
    let lines = 0
    for (const share of segment.shares) {
      bytes += share.bytes[stream]
      lines += share.lines[stream]
      share.reader.settled(share.bytes[stream], share.lines[stream])
      for (const each of share.leftOut) {
        if (each.stream !== stream) continue
        this.ledger.settle(each.kind, each.reason, each.bytes, each.lines)
        share.reader.settled(each.bytes, each.lines)
      }
    }
    for (const each of refused) {
      if (each.stream !== stream) continue
      bytes -= each.bytes
      lines -= each.lines
      this.ledger.settle(each.kind, each.reason, each.bytes, each.lines)
    }
    this.ledger.ack(bytes, lines)
  }

  /** A gap goes in the place of records that were dropped, from the reader that had read them. */
  #noteDropped(segment: Segment, refused: readonly Refused[]): void {
    for (const { hole } of refused) {
      if (hole === undefined) continue
      const share = segment.shares.find(({ files }) => files.some(({ path }) => path === hole.path))
      ;(share ?? segment.shares[0])?.reader.noteDropped(hole)
    }
  }

  /** Saves where the reader is to begin again; false where that is not known yet. */
  savePosition(reader: Reader): boolean {
    const position = reader.position()
    if (position !== null) this.#checkpoints.set(this.#sink, reader.lineage.info.key, position)
    return position !== null
  }
}

/** Whether any reader is elsewhere than where it began. */
function hasMoved(segment: Segment): boolean {
  return segment.shares.some(
    ({ reader, fromFile, fromOffset }) => reader.current !== fromFile || reader.offset !== fromOffset,
  )
}

/** How many records it holds, of both source streams. */
export function recordsOf(segment: Segment): number {
  return segment.endRecords[0] - segment.firstRecords[0] + segment.endRecords[1] - segment.firstRecords[1]
}
