// The dead letters of one shipment: made from the documents as they lie encoded, written, and remembered by their lanes until
// their segments are settled, so that a segment that has to be sent again does not bury its records twice.
import { pathOf, type Segment } from '../../batch/shipment.ts'
import type { Events } from '../../core/events.ts'
import {
  bury,
  type DeadLetter,
  type DeadLetters,
  letterKey,
  quotaOf,
  UNWRITABLE_REASON,
} from '../../deliver/dead-letter.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Refused } from '../sink.ts'
import type { Refusal } from './conversation.ts'
import type { BulkRecords } from './records.ts'

export interface BurialDeps {
  sink: string
  /** Where records go that name no index. */
  index: string
  deadLetters: Pick<DeadLetters, 'write'>
  events: Events
  clock: Clock
  /** What the lane of a segment has buried already. */
  buriedOf(segment: Segment): Set<string>
}

export class Burial {
  /** What was buried or dropped, for the account. */
  readonly refused: ReadonlyMap<Segment, Refused[]>
  readonly #records: BulkRecords
  readonly #segments: readonly Segment[]
  readonly #deps: BurialDeps

  constructor(records: BulkRecords, segments: readonly Segment[], deps: BurialDeps) {
    this.#records = records
    this.#segments = segments
    this.#deps = deps
    this.refused = new Map(segments.map((segment) => [segment, []]))
  }

  /** Writes the letters of these records; false when the disk does not take them now. */
  async bury(records: readonly number[], refusals: readonly Refusal[]): Promise<boolean> {
    const letters = records.map((record, i) => this.#letter(record, refusals[i] as Refusal))
    const segments = records.map((record) => this.#segmentOf(record))
    const isFresh = letters.map((letter, i) => !this.#deps.buriedOf(segments[i] as Segment).has(letterKey(letter)))
    const end = await bury(
      this.#deps.deadLetters,
      letters.filter((_, i) => isFresh[i]),
    )
    if (end === 'held') return false
    for (const [i, letter] of letters.entries()) {
      const segment = segments[i] as Segment
      if (end === 'dropped' && isFresh[i]) this.#noteDropped(segment, letter)
      else this.#noteBuried(segment, letter, refusals[i] as Refusal, isFresh[i] as boolean)
    }
    return true
  }

  #noteBuried(segment: Segment, letter: DeadLetter, { says }: Refusal, isFresh: boolean): void {
    const { reason, bytes, rows: lines = 1 } = letter
    this.refused.get(segment)?.push({ kind: 'deadLettered', reason, stream: 0, bytes, lines })
    if (!isFresh) return
    const { events, sink, buriedOf } = this.#deps
    buriedOf(segment).add(letterKey(letter))
    const lane = segment.lane.key
    events.emit('records.deadLettered', { sink, lane, reason, records: 1, bytes, message: says })
  }

  /** Given up: no letter can be written. A gap is written in its place, but none for a gap. */
  #noteDropped(segment: Segment, { reason, path, offset: from, bytes, rows: lines = 1 }: DeadLetter): void {
    const { events, sink } = this.#deps
    const cause = `${sink} refused them (${reason}), and their dead letters could not be written`
    const hole = bytes > 0 && { hole: { path, from, to: from + bytes, records: 1, cause } }
    this.refused.get(segment)?.push({ kind: 'dropped', reason: UNWRITABLE_REASON, stream: 0, bytes, lines, ...hole })
    const lane = segment.lane.key
    events.emit('records.dropped', { sink, lane, reason, records: 1, bytes, message: reason })
  }

  #segmentOf(record: number): Segment {
    const holds = ({ firstRecords, endRecords }: Segment) => record >= firstRecords[0] && record < endRecords[0]
    return this.#segments.find(holds) as Segment
  }

  #letter(record: number, { type, message, status }: Refusal): DeadLetter {
    const { part } = this.#records
    const segment = this.#segmentOf(record)
    const { _index: index = this.#deps.index, _id: id } = this.#records.action(record)
    const document = this.#records.document(record)
    const [share] = segment.shares
    const isAudit = share !== undefined && quotaOf(share.reader.lineage.info.sourceType) === 'audit'
    return {
      at: new Date(this.#deps.clock.now()).toISOString(),
      sink: this.#deps.sink,
      ...(isAudit && { quota: 'audit' as const }),
      lane: segment.lane.key,
      reason: type,
      message,
      status,
      path: pathOf(segment, 0, record),
      offset: part.offsetOf(record),
      bytes: part.bytesOf(record),
      rows: part.linesOf(record),
      timestamp: nanosOf(document),
      labels: {},
      metadata: {},
      create: { index, ...(id !== undefined && { id }), document },
    }
  }
}

/** `@timestamp` in nanoseconds since the epoch. */
function nanosOf(document: string): string {
  const time = (JSON.parse(document) as { '@timestamp': string })['@timestamp']
  const nanos = time.endsWith('Z') ? time.slice(20, -1).padEnd(9, '0') : '0'
  return String(BigInt(Date.parse(`${time.slice(0, 19)}Z`)) * 1_000_000n + BigInt(nanos || 0))
}
