// The dead letters of one stream's segment: made from the entries on the wire, written, and remembered until the segment
// is settled, so that a segment that has to be sent again does not bury its records twice.
import type { Part } from '../../batch/part.ts'
import { pathOf, type Segment } from '../../batch/shipment.ts'
import type { Events } from '../../core/events.ts'
import type { DeadLetter, DeadLetters } from '../../deliver/dead-letter.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Refused } from '../sink.ts'
import type { LokiStream } from './stream.ts'
import type { Stretch } from './stretch.ts'
import { readMetadata } from './wire.ts'

const MESSAGE_CHARS_MAX = 1024

export interface BurialDeps {
  sink: string
  deadLetters: DeadLetters
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
    const { deadLetters, events, sink } = this.#deps
    const letters = indexes.map((index) => this.#letter(index, verdict))
    const fresh = letters.filter((letter) => !this.#stream.buried.has(keyOf(letter)))
    try {
      if (fresh.length > 0) await deadLetters.write(fresh)
    } catch {
      return false // the dead letters have told of it
    }
    for (const letter of fresh) {
      const { path, offset } = letter
      this.#stream.buried.set(keyOf(letter), { path, offset })
    }
    const { reason, message } = verdict
    const amount = this.#amountOf(indexes)
    this.refused.push({ kind: 'deadLettered', reason, stream: this.#streamIndex, ...amount })
    if (fresh.length > 0) {
      const bytes = fresh.reduce((sum, letter) => sum + letter.bytes, 0)
      const lane = this.#segment.lane.key
      events.emit('records.deadLettered', { sink, lane, reason, records: fresh.length, bytes, message })
    }
    this.#stretch.remove(indexes)
    return true
  }

  #amountOf(indexes: readonly number[]): { bytes: number; lines: number } {
    const { part, firstRecord } = this.#stretch
    const amount = { bytes: 0, lines: 0 }
    for (const index of indexes) {
      amount.bytes += part.bytesOf(firstRecord + index)
      amount.lines += part.linesOf(firstRecord + index)
    }
    return amount
  }

  #letter(index: number, { reason, message, status }: Verdict): DeadLetter {
    const { part, firstRecord } = this.#stretch
    const { buffer } = part
    const entry = this.#stretch.entry(index)
    return {
      at: new Date(this.#deps.clock.now()).toISOString(),
      sink: this.#deps.sink,
      lane: this.#segment.lane.key,
      reason,
      message: message.slice(0, MESSAGE_CHARS_MAX),
      status,
      path: pathOf(this.#segment, this.#streamIndex, firstRecord + index),
      offset: part.offsetOf(firstRecord + index),
      bytes: part.bytesOf(firstRecord + index),
      timestamp: (BigInt(entry.seconds) * 1_000_000_000n + BigInt(entry.nanos)).toString(),
      labels: this.#stream.labels,
      metadata: readMetadata(buffer, entry.metadataStart, entry.metadataEnd),
      line: buffer.toString('utf8', entry.lineStart, entry.lineEnd),
    }
  }
}

/** The records of one stream's segment are settled: their letters need not be remembered any more. */
export function forgetLetters(segment: Segment, streamIndex: 0 | 1, stream: LokiStream, part: Part): void {
  if (stream.buried.size === 0) return
  const ends = new Map<string, number>()
  for (let record = segment.firstRecords[streamIndex]; record < segment.endRecords[streamIndex]; record++) {
    ends.set(pathOf(segment, streamIndex, record), part.offsetOf(record))
  }
  for (const [key, { path, offset }] of stream.buried) {
    if (offset <= (ends.get(path) ?? -1)) stream.buried.delete(key)
  }
}

function keyOf({ path, offset, timestamp }: DeadLetter): string {
  return `${path} ${offset} ${timestamp}`
}
