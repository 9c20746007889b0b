// Time that stands still until a test moves it. Timers fire in the order in which they are due, those of one instant in
// the order in which they were set; after each, everything that is not waiting for time gets its chance. Invariant: what
// runs on this clock and on files in memory does the same thing in every run.
import type { Cancel, Clock } from '../../src/ports/clock.ts'

/** More turns of the event loop than this without any time passing is a busy loop, not work. */
const TURNS_MAX = 1_000_000

interface Timer {
  dueMs: number
  run: () => void
}

export class FakeClock implements Clock {
  #monotonicMs = 0
  #wallMinusMonotonicMs: number
  readonly #timers = new Set<Timer>()
  #yielding = 0

  /** Starts at 2026-11-21T08:00:00Z unless told otherwise. */
  constructor(wallMs = Date.UTC(2026, 10, 21, 8)) {
    this.#wallMinusMonotonicMs = wallMs
  }

  now(): number {
    return Math.floor(this.#monotonicMs + this.#wallMinusMonotonicMs)
  }

  monotonic(): number {
    return this.#monotonicMs
  }

  after(delayMs: number, run: () => void): Cancel {
    // At least a millisecond, as setTimeout has it: a loop of timers of no delay must not hold the time.
    const timer = { dueMs: this.#monotonicMs + Math.max(1, delayMs), run }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const done = () => {
        cancel()
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const cancel = this.after(delayMs, done)
      signal?.addEventListener('abort', done, { once: true })
    })
  }

  async yield(): Promise<void> {
    this.#yielding++
    await turn()
    this.#yielding--
  }

  /** Somebody sets the wall clock, forwards or (negative) backwards. Durations do not change. */
  step(byMs: number): void {
    this.#wallMinusMonotonicMs += byMs
  }

  /** Timers that are set: 0 is an agent that waits for events only. */
  get timerCount(): number {
    return this.#timers.size
  }

  /** Lets everything run that does not wait for time (or for the real disk or network). */
  async settle(): Promise<void> {
    let turns = 0
    do {
      await turn()
      if (++turns > TURNS_MAX) throw new Error(`fake clock: still yielding after ${turns} turns without time passing`)
    } while (this.#yielding > 0)
  }

  /** Lets `ms` pass, firing on the way what becomes due. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#monotonicMs + ms
    await this.settle()
    while (await this.#fireNext(untilMs)) {}
    this.#monotonicMs = untilMs
  }

  /** Lets time pass, from timer to timer, until `promise` settles; hands on its result. Throws after `msMax`. */
  async until<T>(promise: Promise<T>, msMax = 600_000): Promise<T> {
    let settled = false
    const done = () => {
      settled = true
    }
    promise.then(done, done)
    const untilMs = this.#monotonicMs + msMax
    await this.settle()
    while (!settled) {
      if (await this.#fireNext(untilMs)) continue
      throw new Error(`fake clock: not settled after ${msMax} ms, with ${this.#timers.size} timers set`)
    }
    return promise
  }

  async #fireNext(untilMs: number): Promise<boolean> {
    let next: Timer | null = null
    for (const timer of this.#timers) if (next === null || timer.dueMs < next.dueMs) next = timer
    if (next === null || next.dueMs > untilMs) return false
    this.#timers.delete(next)
    this.#monotonicMs = Math.max(this.#monotonicMs, next.dueMs)
    next.run()
    await this.settle()
    return true
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
