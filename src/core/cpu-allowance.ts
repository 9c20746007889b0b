// The CPU time that the process may use, kept to by itself: work that can wait asks for a turn, and is told how long to
// wait. What counts is what the whole process used, all threads and collections included. Two invariants: whatever period
// the kernel looks at, turns fill it only up to the allowance, so that it has no reason to stop us in the middle of one;
// and what was used beyond (a collection, looks at files, a turn that was longer than expected) is saved up for again
// before the next turn, so that the average holds. Bound: what one turn takes, and what comes between two of them.

/** Of cgroups, unless somebody changed it (cpu.max, cpu.cfs_period_us). */
const PERIOD_MS = 100
/** The rest is for what nobody asks for: timers, answers, looks, a step of a collection. */
const USABLE = 0.9
/**
 * The kernel gives a quota out in slices to each core. What is left of one when we go on on another core is missing there; of a
 * small quota it is not allowed to be more than USABLE_MIN leaves.
 */
const SLICE_MS = 5
const USABLE_MIN = 0.8
/** What a turn is taken to cost until some were measured. */
const TURN_MS_FIRST = 2
const TURN_MS_MIN = 0.1
/** Of a period: no turn is expected to cost more, whatever else used the time in which it was measured. */
const TURN_SHARE_MAX = 0.25
/** A turn is given after so long, even where everything else uses the allowance up: data has to move. */
const STARVED_MS = 1000
/** The weight of the latest measurement of what a turn costs. */
const LATEST = 0.1
/** Samples that are closer than this become one. */
const SAMPLE_MS = 1
/**
 * Nobody is told to wait for less: asking costs something, too (a tenth of a fifth of a core, where thousands of lanes asked each
 * millisecond).
 */
const WAIT_MS_MIN = 5

interface Sample {
  at: number
  cpuMs: number
}

export class CpuAllowance {
  readonly millicores: number
  /** No turn should be longer, in milliseconds. */
  readonly turnMsMax: number
  readonly #monotonic: () => number
  /** Milliseconds of CPU that the process has used since it began. */
  readonly cpuMs: () => number
  /** CPU time that turns may use in one period, in milliseconds. */
  readonly #periodMs: number
  /** What may be used now; grows with time up to one period's. */
  #creditMs: number
  /** What had been used when, oldest first: just enough to cover the last period. */
  readonly #samples: Sample[]
  /** When turns were given within the last period. */
  readonly #turns: number[] = []
  #turnMs: number
  /** When the last turn was given. */
  #turnAt: number

  /** `cpuMs`: milliseconds of CPU that the process has used since it began; `monotonic`: milliseconds. */
  constructor(millicores: number, monotonic: () => number, cpuMs: () => number) {
    this.millicores = millicores
    this.#monotonic = monotonic
    this.cpuMs = cpuMs
    const quotaMs = (PERIOD_MS * millicores) / 1000
    this.#periodMs = Math.max(USABLE_MIN * quotaMs, Math.min(USABLE * quotaMs, quotaMs - SLICE_MS))
    this.#creditMs = this.#periodMs
    this.turnMsMax = TURN_SHARE_MAX * this.#periodMs
    this.#turnMs = Math.min(TURN_MS_FIRST, this.turnMsMax)
    this.#turnAt = monotonic()
    this.#samples = [{ at: this.#turnAt, cpuMs: cpuMs() }]
  }

  /** 0: the caller has a turn now. Else the milliseconds after which it should ask again; nothing is kept for it. */
  take(): number {
    const waitMs = this.untilTurn()
    if (waitMs > 0) return waitMs
    this.#turnAt = this.#monotonic()
    this.#turns.push(this.#turnAt)
    return 0
  }

  /** What `take` would answer now; no turn is taken. */
  untilTurn(): number {
    const now = this.#monotonic()
    const usedMs = this.#look(now)
    const waitMs = Math.max(this.#untilCredit(), this.#untilRoom(now, usedMs))
    const starvedAt = this.#turnAt + STARVED_MS
    return waitMs > 0 && now < starvedAt ? Math.min(Math.max(WAIT_MS_MIN, waitMs), starvedAt - now) : 0
  }

  /** Milliseconds until a turn's cost is saved up. */
  #untilCredit(): number {
    return ((this.#turnMs - this.#creditMs) * PERIOD_MS) / this.#periodMs
  }

  /** Milliseconds until so much has left the last period that a turn fits in. */
  #untilRoom(now: number, usedMs: number): number {
    const fresh = this.#freshTurns(now)
    const overMs = usedMs + (fresh + 1) * this.#turnMs - this.#periodMs
    if (overMs <= 0 || (usedMs <= 0 && fresh === 0)) return 0
    const [{ cpuMs: before }] = this.#samples as [Sample]
    const leaving = this.#samples.find(({ cpuMs }) => cpuMs - before >= overMs)
    return leaving === undefined ? SAMPLE_MS : leaving.at + PERIOD_MS - now
  }

  /** Turns that were given just now: they have not begun, and are in no measurement. */
  #freshTurns(now: number): number {
    let fresh = 0
    while (fresh < this.#turns.length && (this.#turns.at(-1 - fresh) as number) > now - SAMPLE_MS) fresh++
    return fresh
  }

  /** Takes a sample, forgets what lies before the last period, and gives what was used within it. */
  #look(now: number): number {
    const cpuMs = this.cpuMs()
    const samples = this.#samples
    const last = samples.at(-1) as Sample
    const gainedMs = ((now - last.at) * this.#periodMs) / PERIOD_MS
    this.#creditMs = Math.min(this.#periodMs, this.#creditMs + gainedMs - (cpuMs - last.cpuMs))
    if (now - last.at >= SAMPLE_MS || samples.length === 1) samples.push({ at: now, cpuMs })
    else Object.assign(last, { at: now, cpuMs })
    const from = now - PERIOD_MS
    while (samples.length > 2 && (samples[1] as Sample).at <= from) samples.shift()
    while (this.#turns.length > 0 && (this.#turns[0] as number) <= from) this.#turns.shift()
    const usedMs = cpuMs - (samples[0] as Sample).cpuMs
    const given = this.#turns.length
    if (given > 0 && this.#freshTurns(now) === 0) {
      const measuredMs = this.#turnMs + LATEST * (usedMs / given - this.#turnMs)
      this.#turnMs = Math.min(this.turnMsMax, Math.max(TURN_MS_MIN, measuredMs))
    }
    return usedMs
  }
}
