// When each lineage is looked at: active ones a few times a second, as far as a CPU allowance has room for it; quiet ones are
// watched instead, and those that rotate fast are never put off for others. Owns the round of looks and the watches.
// Invariant: a lineage that is not watched is due again at a time that is known (`lookAt`). Bound: a round is cut into turns
// of 4 ms, one watch a lineage.
import type { CpuAllowance } from '../core/cpu-allowance.ts'
import type { Events } from '../core/events.ts'
import type { Clock } from '../ports/clock.ts'
import type { WatchFile } from '../ports/hints.ts'
import type { Lineage } from '../tail/lineage.ts'
import type { Ration } from './ration.ts'
import type { Tailed } from './tailed.ts'

/** Looks at thousands of files are spread over turns of so long, with a breath for everything else between them. */
const LOOK_TURN_MS = 4
export const LOOK_MS_MIN = 25
const LOOKS_TIMED = 16
const LOOK_MS = 200
const LOOK_MS_MAX = 2000
/** Of a CPU allowance, what looks at lineages that do not rotate fast may take; they are not put off for longer than that. */
const ALLOWANCE_SHARE = 1 / 8
const PUT_OFF_MS_MAX = 2000
/** The weight of the latest measurement of what a look costs. */
const LATEST = 0.1
/** A round ends with this, whatever is due. */
const ROUND_MS_MAX = 1000
/** A lineage that was quiet for so long is watched, and looked at rarely. */
const QUIET_MS = 4000
const WATCHED_LOOK_MS = 30_000

export interface LooksDeps {
  clock: Clock
  events: Events
  watchFile: WatchFile | undefined
  ration: Ration
  /** null: no limit. */
  allowance: CpuAllowance | null
  /** What there is now is all there is: a file that goes on growing is read as far as it reached when it was seen. */
  once: boolean
  /** Asks for a round soon: a watched file has changed. */
  onChange: () => void
}

export class Looks {
  readonly #tailed: ReadonlyMap<string, Tailed>
  readonly #deps: LooksDeps
  /** A round that is not through yet, and how many of those that it has passed are not watched. */
  #round: { left: MapIterator<Tailed>; next: number; active: number } | null = null
  /** Those that rotate fast: what comes and goes between two looks is lost, so they wait for nobody's round. */
  readonly #hurried = new Set<Tailed>()
  #looks = 0
  /** What a look costs, in milliseconds of CPU. */
  #lookMs = 0
  /** How often those that nothing hurries are looked at. */
  #intervalMs = LOOK_MS

  constructor(tailed: ReadonlyMap<string, Tailed>, deps: LooksDeps) {
    this.#tailed = tailed
    this.#deps = deps
  }

  /**
   * Looks at the lineages that are due, for no longer than a turn may take; null when some of them are left for the next
   * one, which goes on there. Else monotonic ms when some lineage is due again.
   */
  go(now: number): number | null {
    const { allowance } = this.#deps
    if (allowance === null) return this.#turn(now)
    const [cpuMs, looks] = [allowance.cpuMs(), this.#looks]
    const next = this.#turn(now)
    const looked = this.#looks - looks
    if (looked >= LOOKS_TIMED) this.#lookMs += LATEST * ((allowance.cpuMs() - cpuMs) / looked - this.#lookMs)
    return next
  }

  #turn(now: number): number | null {
    const { clock } = this.#deps
    const round = (this.#round ??= { left: this.#tailed.values(), next: now + ROUND_MS_MAX, active: 0 })
    let steps = 0
    const lasts = (ms: number) => ++steps % LOOKS_TIMED === 0 && clock.monotonic() - now > ms
    for (const tailed of this.#hurried) {
      if (tailed.lookAt <= now) this.#look(tailed, now)
      // The other half is the others', however many rotate fast.
      if (lasts(LOOK_TURN_MS / 2)) break
    }
    // What is left when it is ended early is there the next time: an iterator of a map goes on where it was.
    for (const tailed of round.left) {
      if (tailed.lookAt <= now) this.#look(tailed, now)
      if (tailed.unwatch === null) round.active++
      round.next = Math.min(round.next, tailed.lookAt)
      if (lasts(LOOK_TURN_MS)) return null
    }
    this.#round = null
    this.#intervalMs = this.#intervalFor(round.active)
    return round.next
  }

  /** So long that looking at so many lineages takes no more than looks may. */
  #intervalFor(active: number): number {
    const { allowance } = this.#deps
    if (allowance === null) return LOOK_MS
    const share = (ALLOWANCE_SHARE * allowance.millicores) / 1000
    return Math.max(LOOK_MS, Math.min(PUT_OFF_MS_MAX, (active * this.#lookMs) / share))
  }

  /** Begins a new round with the next turn, in which everything is due that may still change. */
  begin(): void {
    for (const each of this.#tailed.values()) if (!this.#isFixed(each)) each.lookAt = Number.NEGATIVE_INFINITY
    this.#round = null
  }

  /** Ends the watch on a lineage's live file, if there is one. */
  unwatch(tailed: Tailed): void {
    tailed.unwatch?.()
    tailed.unwatch = null
  }

  /** Lets go of a lineage that is gone. */
  forget(tailed: Tailed): void {
    this.unwatch(tailed)
    this.#hurried.delete(tailed)
  }

  #isFixed({ lineage }: Tailed): boolean {
    return this.#deps.once && lineage.settled
  }

  #look(tailed: Tailed, now: number): void {
    const { lineage } = tailed
    const { ration, once } = this.#deps
    if (lineage.asleep || ration.mustWait(lineage, now)) {
      if (lineage.stirs() && !once) lineage.waitingSince ??= now
      const interval = lineage.waitingSince === null ? this.#intervalOf(tailed, now) : LOOK_MS_MAX
      tailed.lookAt = now + (tailed.unwatch === null ? interval : WATCHED_LOOK_MS)
      return
    }
    lineage.look()
    this.#looks++
    if (lineage.starved) lineage.waitingSince ??= now
    for (const reader of tailed.readers.values()) reader.foresee(now)
    if (this.#isFixed(tailed)) {
      tailed.lookAt = Number.POSITIVE_INFINITY
      return
    }
    const quietMs = now - lineage.activeAt
    if (quietMs < QUIET_MS) this.unwatch(tailed)
    else if (tailed.unwatch === null && this.#watchLive(tailed)) {
      // What happened just before the watch began is seen by one more look.
      lineage.look()
    }
    tailed.lookAt = now + (tailed.unwatch === null ? this.#intervalOf(tailed, now) : WATCHED_LOOK_MS)
  }

  /** How long a lineage may go unlooked at; those that may not for long are noted. */
  #intervalOf(tailed: Tailed, now: number): number {
    const interval = lookInterval(tailed.lineage, now, this.#intervalMs)
    if (interval < LOOK_MS) this.#hurried.add(tailed)
    else this.#hurried.delete(tailed)
    return interval
  }

  /** Watches the live file of a quiet lineage; false when it cannot be watched, or there is more to look after than its end. */
  #watchLive(tailed: Tailed): boolean {
    const { watchFile, events, onChange } = this.#deps
    const [file, ...more] = tailed.lineage.files
    if (watchFile === undefined || file === undefined || more.length > 0 || !file.linked) return false
    try {
      tailed.unwatch = watchFile(file.path, () => {
        this.unwatch(tailed)
        tailed.lookAt = Number.NEGATIVE_INFINITY
        onChange()
      })
      return true
    } catch (error) {
      events.emit('hints.failed', { path: file.path, error })
      return false
    }
  }
}

/** The quieter a lineage is, the longer, from `intervalMs` on; while it rotates fast, a part of a rotation. */
function lookInterval(lineage: Lineage, now: number, intervalMs: number): number {
  const quiet = Math.min(LOOK_MS_MAX, Math.max(intervalMs, (now - lineage.activeAt) / 8))
  const { rotatedAt, rotationIntervalMs } = lineage
  if (now - rotatedAt > 10 * rotationIntervalMs) return quiet
  return Math.min(quiet, Math.max(LOOK_MS_MIN, rotationIntervalMs / 4))
}
