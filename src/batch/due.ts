// When the lanes of a sink are due, and which of those that are comes first. Invariant: a lane that nothing has stirred since
// it was last worked out is not asked again, for there may be thousands, and they are gone through for each shipment. It
// starts nothing; all that it keeps is in the lanes.
import type { Sink } from '../sinks/sink.ts'
import type { Lane } from './lane.ts'

/** One of so many shipments begins with the lane that has waited longest, whatever others are about to lose. */
const AGE_TURNS = 4

export class DueLanes {
  readonly #lanes: ReadonlyMap<string, Lane>
  readonly #sink: Pick<Sink, 'batchBytesMax' | 'batchAgeMaxMs'>

  constructor(lanes: ReadonlyMap<string, Lane>, sink: Pick<Sink, 'batchBytesMax' | 'batchAgeMaxMs'>) {
    this.#lanes = lanes
    this.#sink = sink
  }

  /**
   * Of the lanes that are due the one that is closest to losing data, but each time one in AGE_TURNS the one that is due for
   * longest: a quiet log is not late for hours because loud ones are in danger. And when the next of the others will be due.
   * Nothing is made for a lane: there may be thousands, and this is done for each shipment. `turn`: how many shipments were
   * begun; `hurry`: nothing waits for the batch's age.
   */
  look(now: number, turn: number, hurry: boolean): { first: Lane | null; nextAt: number } {
    const byAge = turn % AGE_TURNS === 0
    let first: Lane | null = null
    let firstAt = Number.POSITIVE_INFINITY
    let firstLossAt = Number.POSITIVE_INFINITY
    let nextAt = Number.POSITIVE_INFINITY
    for (const lane of this.#lanes.values()) {
      const at = lane.isStirred || hurry ? this.#workOut(lane, now, hurry) : lane.dueAt
      if (at > now) {
        nextAt = Math.min(nextAt, at)
        continue
      }
      const lossAt = byAge ? 0 : lane.lossAt
      if (first !== null && (lossAt > firstLossAt || (lossAt === firstLossAt && at >= firstAt))) continue
      first = lane
      firstAt = at
      firstLossAt = lossAt
    }
    return { first, nextAt }
  }

  #workOut(lane: Lane, now: number, hurry: boolean): number {
    lane.dueAt = this.#dueAt(lane, now, hurry)
    // What is not known to be at rest may come to have something to do by the passing of time.
    lane.isStirred = !lane.busy && (lane.isParked(now) || (lane.dueAt === Number.POSITIVE_INFINITY && !lane.isAtRest))
    return lane.dueAt
  }

  /** Monotonic ms at which the lane is due; infinite when it is busy or has nothing to do. */
  #dueAt(lane: Lane, now: number, hurry: boolean): number {
    if (lane.busy) return Number.POSITIVE_INFINITY
    if (!lane.hasWork) {
      lane.waitingSince = null
      return Number.POSITIVE_INFINITY
    }
    if (lane.isParked(now)) return lane.parkedUntil
    lane.waitingSince ??= Math.min(now, lane.wantedSince)
    lane.laggingSince ??= now
    const full = hurry || lane.backlog || lane.unreadBytes >= this.#sink.batchBytesMax
    return Math.max(lane.retryAt, full ? lane.waitingSince : lane.waitingSince + this.#sink.batchAgeMaxMs)
  }
}
