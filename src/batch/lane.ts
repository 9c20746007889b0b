// A lane: an ordered path to a sink. At most one shipment of it is under way, so order holds and the watermark is simply
// what the last answered shipment reached. Lineages that go to the same Loki stream share a lane: those of one pod's name and
// container one after the other, the oldest first; others beside each other, and who filled a shipment is the last in the next.
import type { Selection } from '../select/selection.ts'
import type { Reader } from '../tail/reader.ts'
import type { FillEnd } from '../tail/reading.ts'
import type { Target } from './target.ts'

export interface LaneMember {
  reader: Reader
  target: Target
  /** Which of its lines go out; null: all, as they are. */
  selection: Selection | null
}

export class Lane {
  readonly key: string
  readonly #members = new Map<Reader, LaneMember>()
  /** The same readers: gone through thousands of times a second, where a map would make an iterator each time. */
  readonly #readers: Reader[] = []
  /** By pod and container, oldest lineage first; the series in the order of their turns. Null: there was never a second member. */
  #series: Map<string, LaneMember[]> | null = null
  #busy = false
  /** Monotonic ms when it is due, as far as was known when `isStirred` was last cleared; infinite: not by itself. */
  dueAt = Number.POSITIVE_INFINITY
  /** When it is due may have changed since. There may be thousands of lanes, and they are gone through for each shipment. */
  isStirred = true
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

  /** A shipment with entries of this lane is under way. */
  get busy(): boolean {
    return this.#busy
  }

  set busy(busy: boolean) {
    this.#busy = busy
    this.isStirred = true
  }

  /** It has nothing to do, and will have nothing before one of its readers says so. */
  get isAtRest(): boolean {
    for (const reader of this.#readers) if (!reader.isAtRest) return false
    return true
  }

  get size(): number {
    return this.#members.size
  }

  get members(): Iterable<LaneMember> {
    return this.#members.values()
  }

  member(reader: Reader): LaneMember | undefined {
    return this.#members.get(reader)
  }

  add(member: LaneMember): void {
    const { reader } = member
    if (!this.#members.has(reader)) this.#readers.push(reader)
    this.#members.set(reader, member)
    reader.stirs = this
    this.isStirred = true
    if (this.#series !== null) this.#series.set(seriesOf(reader), [...this.#seriesWith(reader), member])
    else if (this.size > 1) this.#series = Map.groupBy(this.#members.values(), (each) => seriesOf(each.reader))
  }

  #seriesWith(reader: Reader): readonly LaneMember[] {
    return this.#series?.get(seriesOf(reader)) ?? []
  }

  remove(reader: Reader): void {
    if (this.#members.delete(reader)) this.#readers.splice(this.#readers.indexOf(reader), 1)
    reader.stirs = null
    this.isStirred = true
    const rest = this.#seriesWith(reader).filter((member) => member.reader !== reader)
    if (rest.length > 0) this.#series?.set(seriesOf(reader), rest)
    else this.#series?.delete(seriesOf(reader))
  }

  /**
   * Calls `fill` for each member that has work. One that has to wait holds up what comes after it in its series, and one
   * that has filled the shipment ends the round: its series is the last one in the next.
   */
  fill(fill: (member: LaneMember) => FillEnd): void {
    if (this.#series === null) {
      for (const member of this.#members.values()) if (member.reader.hasWork) fill(member)
      return
    }
    for (const [key, series] of this.#series) {
      for (const member of series) {
        if (!member.reader.hasWork) continue
        const end = fill(member)
        if (end === 'wait') break
        if (end === 'dry') continue
        this.#series.delete(key)
        this.#series.set(key, series)
        return
      }
    }
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
    for (const reader of this.#readers) if (reader.hasWork) return true
    return false
  }

  /** Monotonic ms since which something waits in a file that was not open until now; infinite when there is no such file. */
  get wantedSince(): number {
    let since = Number.POSITIVE_INFINITY
    for (const reader of this.#readers) if (reader.wantedSince < since) since = reader.wantedSince
    return since
  }

  get isWaiting(): boolean {
    for (const reader of this.#readers) if (reader.isWaiting) return true
    return false
  }

  get unreadBytes(): number {
    let bytes = 0
    for (const reader of this.#readers) bytes += reader.unreadBytes
    return bytes
  }

  /** Monotonic ms when the first of what it has not delivered would be lost. */
  get lossAt(): number {
    let at = Number.POSITIVE_INFINITY
    for (const reader of this.#readers) if (reader.lossAt < at) at = reader.lossAt
    return at
  }

  get lagBytes(): number {
    let bytes = 0
    for (const reader of this.#readers) bytes += reader.lagBytes
    return bytes
  }
}

/** Whose lines follow each other: a pod that came back under its name goes on where the one before ended. */
function seriesOf({ lineage }: Reader): string {
  const { namespace, pod, container, key } = lineage.info
  return pod === '' ? key : `${namespace}/${pod}/${container}`
}
