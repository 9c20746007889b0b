// What the sink remembers of a lane and its two Loki streams: their headers, and whether a stream is calm. Loki's answer
// to a push of several streams tells the last one's result only, so a stream shares a push only while no refusal is to
// be expected: after its first 2xx, not after a silence, not far behind its newest entry, not fast.
import type { Labels } from '../../core/labels.ts'
import { streamHeader } from './wire.ts'

const SILENCE_MS_MAX = 15 * 60_000
const BEHIND_SECONDS_MAX = 30 * 60
const CALM_BYTES_PER_SECOND_MAX = 1_000_000

export class LokiStream {
  readonly labels: Labels
  readonly header: Buffer
  /** Monotonic ms of the last 2xx; null before the first. */
  okAt: number | null = null
  /** Seconds of the newest entry that was sent. */
  newestSeconds = Number.NEGATIVE_INFINITY
  /** Range of what is in the shipment under way, in seconds. */
  pendingOldest = Number.POSITIVE_INFINITY
  pendingNewest = Number.NEGATIVE_INFINITY
  #bytesPerSecond = 0

  constructor(labels: Labels) {
    this.labels = labels
    this.header = streamHeader(labels)
  }

  begin(): void {
    this.pendingOldest = Number.POSITIVE_INFINITY
    this.pendingNewest = Number.NEGATIVE_INFINITY
  }

  /** Whether what is in the shipment may share a push now. */
  isCalm(now: number): boolean {
    return (
      this.okAt !== null &&
      now - this.okAt < SILENCE_MS_MAX &&
      this.pendingOldest >= this.newestSeconds - BEHIND_SECONDS_MAX &&
      this.#bytesPerSecond <= CALM_BYTES_PER_SECOND_MAX
    )
  }

  get isSlow(): boolean {
    return this.#bytesPerSecond <= CALM_BYTES_PER_SECOND_MAX
  }

  delivered(now: number, bytes: number): void {
    // The rate of this push alone, over at least a quarter second: a burst counts when it comes.
    const elapsedMs = this.okAt === null ? 1000 : Math.max(250, now - this.okAt)
    this.#bytesPerSecond = (bytes * 1000) / elapsedMs
    this.okAt = now
    if (this.pendingNewest > this.newestSeconds) this.newestSeconds = this.pendingNewest
  }
}

export class LokiLane {
  readonly key: string
  /** By source stream. */
  readonly streams: readonly [LokiStream, LokiStream]
  /** Refused in company: it goes alone until it is answered 2xx. */
  solo = false
  /** Failures since the last success, and the monotonic ms of the first. */
  attempts = 0
  failingSince = 0
  /** The last answer that was a plain server error, how often it came in a row, and since when. */
  sameError = { signature: '', count: 0, since: 0 }

  constructor(key: string, labels: Labels, hasSourceStreams: boolean) {
    this.key = key
    const stream = (name: string) => new LokiStream(hasSourceStreams ? { ...labels, stream: name } : labels)
    this.streams = [stream('stdout'), stream('stderr')]
  }

  /** Judged before a shipment is filled; whether what it got is calm too is judged after. */
  get mayShare(): boolean {
    const [out, err] = this.streams
    return !this.solo && (out.okAt !== null || err.okAt !== null) && out.isSlow && err.isSlow
  }
}
