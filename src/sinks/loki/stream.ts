// What the sink remembers of one Loki stream: its header, and whether it is calm. Loki's answer
// to a push of several streams tells the last one's result only, so a stream shares a push only while no refusal is to
// be expected: after its first 2xx, not after a silence, not far behind its newest entry, not fast.
import type { Labels } from '../../core/labels.ts'
import { streamHeader } from './wire.ts'

const SILENCE_MS_MAX = 15 * 60_000
const BEHIND_SECONDS_MAX = 30 * 60
/**
 * What is pushed together lies within so much time, half of what a stream lets its entries be behind: after a push whose
 * answer was lost, its first entries are not behind its last ones.
 */
export const SPAN_SECONDS_MAX = 30 * 60
/**
 * A bucket that every push fills with its bytes and that leaks so many a second. With more than one second's worth in it the
 * stream is fast: so a limit of 1 MB/s or more, with a burst of 1 MB and a push, never meets what shares one.
 */
const LEAK_BYTES_PER_SECOND = 1_000_000
const CALM_BYTES_MAX = 1_000_000
/** It holds no more, so that a stream which has caught up is calm again seconds later. */
const BUCKET_BYTES_MAX = 16_000_000

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
  /** How far records were delivered by attempts of which others failed, by file, until that is passed. */
  readonly #storedTo = new Map<object, number>()
  /** Records whose dead letters are written while their segment is not settled yet; null: none. */
  buried: Map<string, { path: string; offset: number }> | null = null
  /** What was in the bucket at `#filledAt`. */
  #bucketBytes = 0
  #filledAt = 0
  #wasRefused = false
  /** Seconds of the oldest entry that was delivered since the checkpoints were last made durable. */
  #unsavedOldest = Number.POSITIVE_INFINITY

  constructor(labels: Labels) {
    this.labels = labels
    this.header = streamHeader(labels)
  }

  /** All that the file holds of it up to `offset` was delivered, by an attempt of which others may fail. */
  stored(file: object, offset: number): void {
    this.#storedTo.set(file, offset)
  }

  hasStored(file: object, offset: number): boolean {
    return this.#storedTo.size > 0 && offset <= (this.#storedTo.get(file) ?? -1)
  }

  get remembersStored(): boolean {
    return this.#storedTo.size > 0
  }

  /** All of the file up to the record at `offset` is settled. */
  passed(file: object, offset: number): void {
    if ((this.#storedTo.get(file) ?? Number.POSITIVE_INFINITY) <= offset) this.#storedTo.delete(file)
  }

  /** Notes the time of an entry in the shipment. */
  note(seconds: number): void {
    if (seconds < this.pendingOldest) this.pendingOldest = seconds
    if (seconds > this.pendingNewest) this.pendingNewest = seconds
  }

  /** Whether what is in the shipment lies within what may be pushed together, also with an entry of this time. */
  isNear(seconds: number): boolean {
    return Math.max(this.pendingNewest, seconds) - Math.min(this.pendingOldest, seconds) <= SPAN_SECONDS_MAX
  }

  begin(): void {
    this.pendingOldest = Number.POSITIVE_INFINITY
    this.pendingNewest = Number.NEGATIVE_INFINITY
  }

  /** Whether what is in the shipment may share a push now, the answer to which may tell nothing of it. */
  isCalm(now: number): boolean {
    return this.isWelcome(now) && this.isSlow(now)
  }

  /** Whether nothing but its speed speaks against it: it may be the last one in a push that others share. */
  isWelcome(now: number): boolean {
    return (
      this.okAt !== null &&
      !this.#wasRefused &&
      now - this.okAt < SILENCE_MS_MAX &&
      this.pendingOldest >= this.newestSeconds - BEHIND_SECONDS_MAX
    )
  }

  /** A push of it alone was not taken as it was: it goes alone until one is. */
  refused(): void {
    this.#wasRefused = true
  }

  isSlow(now: number): boolean {
    return this.#bytesLeft(now) <= CALM_BYTES_MAX
  }

  /** So much was pushed, whatever the answer: Loki may have counted it, and counts a repeat once more. */
  pushed(now: number, bytes: number): void {
    this.#bucketBytes = Math.min(BUCKET_BYTES_MAX, this.#bytesLeft(now) + bytes)
    this.#filledAt = now
  }

  #bytesLeft(now: number): number {
    return Math.max(0, this.#bucketBytes - ((now - this.#filledAt) * LEAK_BYTES_PER_SECOND) / 1000)
  }

  /** What is in the shipment would put entries behind that are sent again after a kill. */
  get outrunsCheckpoint(): boolean {
    return this.pendingNewest - this.#unsavedOldest > SPAN_SECONDS_MAX
  }

  checkpointing(): void {
    this.#unsavedOldest = Number.POSITIVE_INFINITY
  }

  /** `newestSeconds` of what was stored. */
  delivered(now: number, newestSeconds: number): void {
    this.okAt = now
    this.#wasRefused = false
    if (newestSeconds > this.newestSeconds) this.newestSeconds = newestSeconds
    if (this.pendingOldest < this.#unsavedOldest) this.#unsavedOldest = this.pendingOldest
  }
}
