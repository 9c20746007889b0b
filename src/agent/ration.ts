// Who may hold descriptors when there are fewer of them than files: lets those who wait have some, as far as others can do
// without (tail/descriptor-turns.ts says who). Invariant: a lineage is closed only if all of its readers can find their places
// again. Bound: a turn of 4 ms, and the descriptors of the process.
import type { Consumer } from '../batch/consumer.ts'
import type { Position } from '../checkpoint/position.ts'
import type { Clock } from '../ports/clock.ts'
import { givers, waiting } from '../tail/descriptor-turns.ts'
import type { Descriptors } from '../tail/descriptors.ts'
import type { Lineage } from '../tail/lineage.ts'
import type { Tailed } from './tailed.ts'

const TURN_MS = 4
/** How often somebody's turn may come while some wait for descriptors. */
const RATION_MS = 50

export class Ration {
  readonly #tailed: ReadonlyMap<string, Tailed>
  readonly #consumers: readonly Consumer[]
  readonly #descriptors: Descriptors
  readonly #clock: Clock
  /** The last turn was ended before all who could have their turn had it. */
  isCut = false

  constructor(
    tailed: ReadonlyMap<string, Tailed>,
    consumers: readonly Consumer[],
    descriptors: Descriptors,
    clock: Clock,
  ) {
    this.#tailed = tailed
    this.#consumers = consumers
    this.#descriptors = descriptors
    this.#clock = clock
  }

  get hasWaiting(): boolean {
    for (const { lineage } of this.#tailed.values()) if (lineage.waitingSince !== null) return true
    return false
  }

  /** Whether a lineage that is new has to wait for descriptors; then it sleeps. */
  mustWait(lineage: Lineage, now: number): boolean {
    if (lineage.looked || lineage.files.length > 0 || this.#room > lineage.listedFiles) return false
    lineage.sleep()
    lineage.waitingSince ??= now
    return true
  }

  /** Lets those who wait for descriptors have some, as far as others can do without. Returns monotonic ms of the next time. */
  share(now: number): number {
    this.isCut = false
    const begunAt = this.#clock.monotonic()
    const queue = waiting(this.#tailed.values())
    if (queue.length === 0) return Number.POSITIVE_INFINITY
    let from: Tailed[] | null = null
    for (const tailed of queue) {
      const { lineage } = tailed
      const wanted = lineage.asleep ? Math.min(lineage.listedFiles + 1, this.#descriptors.max) : 1
      while (this.#room < wanted) {
        from ??= givers(this.#tailed.values(), now)
        const giver = from.shift()
        this.isCut = this.#clock.monotonic() - begunAt > TURN_MS
        if (giver === undefined || this.isCut) return now + RATION_MS
        if (giver !== tailed) this.#sleep(giver, now)
      }
      tailed.wake(now)
      this.isCut = this.#clock.monotonic() - begunAt > TURN_MS
      if (this.isCut) break
    }
    return now + RATION_MS
  }

  get #room(): number {
    return this.#descriptors.max - this.#descriptors.open
  }

  /** Closes the files of a lineage, if all of its readers can find their places again. */
  #sleep({ lineage, readers }: Tailed, now: number): void {
    const members = this.#consumers.flatMap((consumer) => {
      const reader = readers.get(consumer.sink.name)
      return reader === undefined ? [] : [{ consumer, reader }]
    })
    for (const { reader } of members) reader.findPlace()
    const canSleep = () => lineage.canSleep && members.every(({ consumer, reader }) => consumer.canSleep(reader))
    if (!canSleep()) return
    lineage.look() // what was renamed or deleted since is known before it is let go
    if (!canSleep()) return
    const places = members.map(({ reader }) => reader.placeToSleep())
    if (places.includes(null)) return
    const hasUnread = members.some(({ reader }) => reader.lagBytes > 0)
    for (const [i, { consumer, reader }] of members.entries()) consumer.sleep(reader, places[i] as Position | 'start')
    lineage.sleep()
    if (hasUnread) lineage.waitingSince = now
  }
}
