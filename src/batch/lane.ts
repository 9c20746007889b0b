// A lane: an ordered path to a sink. At most one shipment of it is under way, so order holds and the watermark is simply
// what the last answered shipment reached. Lineages that go to the same Loki stream share a lane, oldest first.
import type { Selection } from '../select/selection.ts'
import type { Target } from '../sinks/sink.ts'
import type { Reader } from '../tail/reader.ts'

export interface LaneMember {
  reader: Reader
  target: Target
  /** Which of its lines go out; null: all, as they are. */
  selection: Selection | null
}

export class Lane {
  readonly key: string
  /** Oldest lineage first. */
  readonly members: LaneMember[] = []
  /** A shipment with entries of this lane is under way. */
  busy = false
  /** Monotonic ms: when there was first something to do since the last shipment; null while there is nothing. */
  waitingSince: number | null = null
  /** Monotonic ms before which nothing is sent again. */
  retryAt = Number.NEGATIVE_INFINITY
  /** Repeats since the last success. */
  attempts = 0
  /** The last shipment filled up: there is more, and it is late already. */
  backlog = false
  /** Monotonic ms since which something is unacknowledged; null when all is. */
  laggingSince: number | null = null
  /** Limits set by a sink that refused a larger shipment. */
  bytesMax = Number.POSITIVE_INFINITY
  recordsMax = Number.POSITIVE_INFINITY
  /** Monotonic ms until which it is parked, unless there is more to read before. */
  parkedUntil = Number.NEGATIVE_INFINITY
  #parkedBytes = 0

  constructor(key: string) {
    this.key = key
  }

  /** What is unread now has been read and put back: it can wait until there is more, or until then. */
  park(until: number): void {
    this.parkedUntil = until
    this.#parkedBytes = this.unreadBytes
  }

  isParked(now: number): boolean {
    return now < this.parkedUntil && this.unreadBytes === this.#parkedBytes
  }

  get hasWork(): boolean {
    for (const { reader } of this.members) if (reader.hasWork) return true
    return false
  }

  /** Monotonic ms since which something waits in a file that was not open until now; infinite when there is no such file. */
  get wantedSince(): number {
    let since = Number.POSITIVE_INFINITY
    for (const { reader } of this.members) if (reader.wantedSince < since) since = reader.wantedSince
    return since
  }

  get isWaiting(): boolean {
    return this.members.some(({ reader }) => reader.isWaiting)
  }

  get unreadBytes(): number {
    let bytes = 0
    for (const { reader } of this.members) bytes += reader.unreadBytes
    return bytes
  }

  /** Monotonic ms when the first of what it has not delivered would be lost. */
  get lossAt(): number {
    let at = Number.POSITIVE_INFINITY
    for (const { reader } of this.members) if (reader.lossAt < at) at = reader.lossAt
    return at
  }

  get lagBytes(): number {
    let bytes = 0
    for (const { reader } of this.members) bytes += reader.lagBytes
    return bytes
  }
}
