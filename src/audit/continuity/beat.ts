// The heartbeat of an audit log, learned from the times of its events: leases and health checks make a steady beat under
// most policies. What is usual is the second longest pause of the last day, hour by hour, so one outage makes nobody deaf
// and what comes again is learned at its second time. Time goes by what the events say; a pause counts at most
// STEP_SECONDS_MAX in `active`, so a clock that is set forward by a year is five minutes here. Pure. Bound: HOURS numbers.

/** No silence is shorter. */
const STILL_SECONDS_MIN = 300
/** A silence is so many times longer than what is usual. */
const STILL_FACTOR = 10
const STEP_SECONDS_MAX = 300
const HOUR_SECONDS = 3600
const HOURS = 24
/** Before so many hours nothing is usual. */
const HOURS_MIN = 2
/** A beat is steady when so many hours were learned and no pause was longer. */
const STEADY_HOURS = 6
const STEADY_SECONDS = 30
/** So many events in turn that are older by so much: the clock was set back. */
const BACK_EVENTS = 100
export const BACK_SECONDS = 3600

export class Beat {
  /** Seconds since the epoch of the newest event; -1 before the first. */
  newest = -1
  /** Seconds of the log, pauses cut short. */
  active = 0
  /** The longest pause of each hour, the last one last; of the hour that is under way. */
  #hours: number[] = []
  #longest = 0
  #hourBegan = 0
  #behind = 0
  /** The usual longest pause in seconds; null while it is not known. */
  usual: number | null = null

  /** Takes an event's time; returns by how many seconds it is newer than all before it. */
  note(seconds: number): number {
    const pause = seconds - this.newest
    if (pause <= 0 || this.newest < 0) {
      if (this.newest >= 0 && !this.#isSetBack(pause)) return 0
      this.newest = seconds
      return 0
    }
    this.#behind = 0
    this.newest = seconds
    this.active += Math.min(pause, STEP_SECONDS_MAX)
    this.#longest = Math.max(this.#longest, pause)
    if (this.active - this.#hourBegan >= HOUR_SECONDS) this.#endHour()
    return pause
  }

  /** A pause over so many seconds is a silence; null while nothing is usual. */
  get stillSeconds(): number | null {
    return this.usual === null ? null : Math.max(STILL_SECONDS_MIN, STILL_FACTOR * this.usual)
  }

  /** It has been beating for hours without a longer pause. */
  get isSteady(): boolean {
    return this.usual !== null && this.usual <= STEADY_SECONDS && this.#hours.length >= STEADY_HOURS
  }

  /** The state as plain numbers, for `load`. */
  save(): number[] {
    return [this.newest, this.active, this.#hourBegan, this.#longest, ...this.#hours]
  }

  load([newest = -1, active = 0, hourBegan = 0, longest = 0, ...hours]: readonly number[]): void {
    this.newest = newest
    this.active = active
    this.#hourBegan = hourBegan
    this.#longest = longest
    this.#hours = hours.slice(-HOURS)
    this.#learn()
  }

  #isSetBack(pause: number): boolean {
    if (pause > -BACK_SECONDS) return false
    if (++this.#behind < BACK_EVENTS) return false
    this.#behind = 0
    return true
  }

  #endHour(): void {
    this.#hours = [...this.#hours.slice(1 - HOURS), this.#longest]
    this.#longest = 0
    this.#hourBegan = this.active
    this.#learn()
  }

  #learn(): void {
    const [, second = null] = this.#hours.toSorted((a, b) => b - a)
    this.usual = this.#hours.length < HOURS_MIN ? null : second
  }
}
