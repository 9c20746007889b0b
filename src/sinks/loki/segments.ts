// What of a shipment goes to Loki: which source streams a segment holds records of, their bytes, and their entries.
import type { Lane } from '../../batch/lane.ts'
import type { Part } from '../../batch/part.ts'
import type { Segment, Shipment } from '../../batch/shipment.ts'
import type { LokiLane } from './lane.ts'
import { Stretch } from './stretch.ts'

/** What of a shipment is sent. */
export type Load = Pick<Shipment, 'parts' | 'segments'>

/** A segment of so many records in the first part, which nobody has read from a file. */
export function segmentOf(lane: Lane, records: number): Segment {
  return { lane, starts: [0, 0], ends: [0, 0], firstRecords: [0, 0], endRecords: [records, 0], shares: [] }
}

/** By which of the two source streams are there; asked several times for each lane of a shipment. */
const STREAMS: readonly (readonly (0 | 1)[])[] = [[], [0], [1], [0, 1]]

/** The source streams of which a segment holds records. */
export function streamsOf({ firstRecords, endRecords }: Segment): readonly (0 | 1)[] {
  const out = endRecords[0] > firstRecords[0] ? 1 : 0
  const err = endRecords[1] > firstRecords[1] ? 2 : 0
  return STREAMS[out + err] as readonly (0 | 1)[]
}

export function recordsIn(segment: Segment): number {
  const { firstRecords, endRecords } = segment
  return endRecords[0] - firstRecords[0] + endRecords[1] - firstRecords[1]
}

/** The push of several segments. A PushRequest is its streams one after the other, so the parts are joined as they are. */
export function bodyOf(shipment: Load, segments: readonly Segment[], all: boolean): Buffer {
  const [out, err] = shipment.parts
  if (all) {
    // Behind the first part's end, in its own buffer: a new one for every push would wait for a collection.
    out.reserve(err.end)
    err.buffer.copy(out.buffer, out.end, 0, err.end)
    return out.buffer.subarray(0, out.end + err.end)
  }
  const pieces: Buffer[] = []
  for (const segment of segments) {
    for (const stream of streamsOf(segment)) {
      pieces.push(shipment.parts[stream].buffer.subarray(segment.starts[stream], segment.ends[stream]))
    }
  }
  return Buffer.concat(pieces)
}

/** The entries of one source stream of a segment, in its part. */
export function stretchOf(lane: LokiLane, segment: Segment, index: 0 | 1, part: Part): Stretch {
  const { starts, ends, firstRecords, endRecords } = segment
  const first = firstRecords[index]
  const records = Array.from({ length: endRecords[index] - first }, (_, i) => first + i)
  return new Stretch(part, records, lane.streams[index].header, part.buffer.subarray(starts[index], ends[index]))
}
