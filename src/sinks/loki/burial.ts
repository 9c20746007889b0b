// The dead letters of one stream's segment: made from the entries on the wire, written, and remembered until the segment
// is settled, so that a segment that has to be sent again does not bury its records twice.
import type { Part } from '../../batch/part.ts'
import { pathOf, type Segment } from '../../batch/shipment.ts'
import type { Events } from '../../core/events.ts'
import {
  bury,
  type DeadLetter,
  type DeadLetters,
  letterKey,
  letterLine,
  quotaOf,
  UNWRITABLE_REASON,
} from '../../deliver/dead-letter.ts'
import type { Clock } from '../../ports/clock.ts'
import type { DroppedRange } from '../../tail/gap.ts'
import type { Refused } from '../sink.ts'
import type { LokiStream } from './stream.ts'
import type { Stretch } from './stretch.ts'
import { readMetadata } from './wire.ts'

const MESSAGE_CHARS_MAX = 1024

export interface BurialDeps {
  sink: string
  /** Where it is not the sink's own. */
  tenant: string | null
  deadLetters: Pick<DeadLetters, 'write'>
  events: Events
  clock: Clock
}

/** Why records are buried: a fixed word, the sink's own words, its status. */
export interface Verdict {
  reason: string
  message: string
  status: number
}

export class Burial {
  /** What was buried, for the account. */
  readonly refused: Refused[] = []
  readonly #segment: Segment
  readonly #streamIndex: 0 | 1
  readonly #stream: LokiStream
  readonly #stretch: Stretch
  readonly #deps: BurialDeps

  constructor(segment: Segment, streamIndex: 0 | 1, stream: LokiStream, stretch: Stretch, deps: BurialDeps) {
    this.#segment = segment
    this.#streamIndex = streamIndex
    this.#stream = stream
    this.#stretch = stretch
    this.#deps = deps
  }

  /** Writes the letters of these entries and takes the entries out; false when the disk does not take them. */
  async bury(indexes: readonly number[], verdict: Verdict): Promise<boolean> {
    if (indexes.length === 0) return true
    const letters = indexes.map((index) => this.#letter(index, verdict))
    const fresh = letters.filter((letter) => !this.#stream.buried?.has(letterKey(letter)))
    const done = await bury(this.#deps.deadLetters, fresh)
    if (done === 'held') return false
    if (done === 'buried') this.#noteBuried(indexes, fresh, verdict)
    else {
      const dropped = new Set(fresh)
      this.#noteBuried(
        indexes.filter((_, i) => !dropped.has(letters[i] as DeadLetter)),
        [],
        verdict,
      )
      this.#noteDropped(
        indexes.filter((_, i) => dropped.has(letters[i] as DeadLetter)),
        fresh,
        verdict,
      )
    }
    this.#stretch.remove(indexes)
    return true
  }

  #noteBuried(indexes: readonly number[], fresh: readonly DeadLetter[], { reason, message }: Verdict): void {
    const { events, sink } = this.#deps
    for (const letter of fresh) {
      const { path, offset } = letter
      this.#stream.buried ??= new Map()
      this.#stream.buried.set(letterKey(letter), { path, offset })
    }
    if (indexes.length === 0) return
    const amount = this.#amountOf(indexes)
    this.refused.push({ kind: 'deadLettered', reason, stream: this.#streamIndex, ...amount })
    if (fresh.length === 0) return
    const bytes = fresh.reduce((sum, letter) => sum + letter.bytes, 0)
    const lane = this.#segment.lane.key
    events.emit('records.deadLettered', { sink, lane, reason, records: fresh.length, bytes, message })
  }

  /** Given up: no letter can be written. One gap for each file, but none for a gap. */
  #noteDropped(indexes: readonly number[], letters: readonly DeadLetter[], { reason, message }: Verdict): void {
    const { events, sink } = this.#deps
    const amount = this.#amountOf(indexes)
    const dropped = { kind: 'dropped', reason: UNWRITABLE_REASON, stream: this.#streamIndex } as const
    this.refused.push({ ...dropped, ...amount })
    const lane = this.#segment.lane.key
    events.emit('records.dropped', { sink, lane, reason, records: letters.length, bytes: amount.bytes, message })
    const cause = `${sink} refused them (${reason}), and their dead letters could not be written`
    const lines = letters.filter(({ bytes }) => bytes > 0)
    for (const [path, own] of Map.groupBy(lines, (letter) => letter.path)) {
      const from = own.reduce((least, { offset }) => Math.min(least, offset), Number.POSITIVE_INFINITY)
      const to = own.reduce((most, { offset, bytes }) => Math.max(most, offset + bytes), 0)
      const hole: DroppedRange = { path, from, to, records: own.length, cause }
      this.refused.push({ ...dropped, bytes: 0, lines: 0, hole })
    }
  }

  #amountOf(indexes: readonly number[]): { bytes: number; lines: number } {
    const { part, records } = this.#stretch
    const amount = { bytes: 0, lines: 0 }
    for (const index of indexes) {
      amount.bytes += part.bytesOf(records[index]!)
      amount.lines += part.linesOf(records[index]!)
    }
    return amount
  }

  #letter(index: number, { reason, message, status }: Verdict): DeadLetter {
    const { part, records, message: pushed } = this.#stretch
    const record = records[index]!
    const entry = this.#stretch.entry(index)
    const [share] = this.#segment.shares
    const isAudit = share !== undefined && quotaOf(share.reader.lineage.info.sourceType) === 'audit'
    return {
      at: new Date(this.#deps.clock.now()).toISOString(),
      sink: this.#deps.sink,
      ...(this.#deps.tenant !== null && { tenant: this.#deps.tenant }),
      ...(isAudit && { quota: 'audit' as const }),
      lane: this.#segment.lane.key,
      reason,
      message: message.slice(0, MESSAGE_CHARS_MAX),
      status,
      path: pathOf(this.#segment, this.#streamIndex, record),
      offset: part.offsetOf(record),
      bytes: part.bytesOf(record),
      rows: part.linesOf(record),
      timestamp: (BigInt(entry.seconds) * 1_000_000_000n + BigInt(entry.nanos)).toString(),
      labels: this.#stream.labels,
      metadata: readMetadata(pushed, entry.metadataStart, entry.metadataEnd),
      ...letterLine(pushed.subarray(entry.lineStart, entry.lineEnd)),
    }
  }
}

/** The records of one stream's segment are settled: their letters need not be remembered any more. */
export function forgetLetters(segment: Segment, streamIndex: 0 | 1, stream: LokiStream, part: Part): void {
  if (stream.buried === null) return
  const ends = new Map<string, number>()
  for (let record = segment.firstRecords[streamIndex]; record < segment.endRecords[streamIndex]; record++) {
    ends.set(pathOf(segment, streamIndex, record), part.offsetOf(record))
  }
  for (const [key, { path, offset }] of stream.buried) {
    if (offset <= (ends.get(path) ?? -1)) stream.buried.delete(key)
  }
  if (stream.buried.size === 0) stream.buried = null
}
