// How long things took, as a histogram: counts by upper bound, not cumulative; the last bound is infinite.

export class Durations {
  /** Upper bounds, in seconds. */
  readonly bounds: number[]
  readonly counts: number[]
  /** Of all, in seconds. */
  sum = 0

  constructor(bounds: number[]) {
    this.bounds = bounds
    this.counts = bounds.map(() => 0)
  }

  note(seconds: number): void {
    this.counts[this.bounds.findIndex((bound) => seconds <= bound)]!++
    this.sum += seconds
  }
}
