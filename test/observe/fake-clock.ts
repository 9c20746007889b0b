// A clock that stands still until it is told to go on, for the tests of this room.
import type { Clock } from '../../src/ports/clock.ts'

export interface FakeClock extends Clock {
  /** Moves time and runs what was due, in order. */
  advance(ms: number): void
  /** How many calls are scheduled. */
  scheduled(): number
}

export function fakeClock(startMs = 1_790_000_000_000): FakeClock {
  let elapsed = 0
  const timers = new Set<{ at: number; run: () => void }>()
  const clock: FakeClock = {
    now: () => startMs + elapsed,
    monotonic: () => elapsed,
    after(delayMs, run) {
      const timer = { at: elapsed + delayMs, run }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    sleep: (delayMs) => new Promise((resolve) => clock.after(delayMs, resolve)),
    yield: () => new Promise((resolve) => setImmediate(resolve)),
    advance(ms) {
      const end = elapsed + ms
      for (;;) {
        const [next] = [...timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)
        if (next === undefined) break
        timers.delete(next)
        elapsed = next.at
        next.run()
      }
      elapsed = end
    },
    scheduled: () => timers.size,
  }
  return clock
}
