// What somebody on the node does over time: again and again while the world is alive, and in two steps of which the
// second comes in any case. When the world comes to rest nothing new is begun, and what was begun is done.
import type { SimClock } from './sim-clock.ts'

export class Acts {
  isResting = false
  readonly #clock: SimClock
  readonly #duties = new Set<() => void>()

  constructor(clock: SimClock) {
    this.#clock = clock
  }

  /** Once, at the latest when the world comes to rest. */
  must(delayMs: number, run: () => void): void {
    const duty = () => {
      if (this.#duties.delete(duty)) run()
    }
    this.#duties.add(duty)
    this.#clock.act(delayMs, duty)
  }

  /** Again and again, each time after another delay. */
  again(delayMs: () => number, run: () => void): void {
    this.#clock.act(delayMs(), () => {
      if (this.isResting) return
      run()
      this.again(delayMs, run)
    })
  }

  rest(): void {
    this.isResting = true
    while (this.#duties.size > 0) for (const duty of [...this.#duties]) duty()
  }
}
