// The counts of a sink's requests, for metrics and the status page.
import { Durations } from '../core/durations.ts'
import type { Clock } from '../ports/clock.ts'

/** Upper bounds of the request duration histogram, in seconds. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, Number.POSITIVE_INFINITY]

export class RequestCounts {
  /** By status, `error` where there was no answer. */
  readonly requests: Record<string, number> = {}
  readonly retries: Record<string, number> = {}
  readonly requestSeconds = new Durations(BOUNDS)
  inFlight = 0
  lastError: string | null = null
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Runs one request, which gives its status (0: no answer), and counts it. */
  async count<T extends { status: number }>(send: () => Promise<T>): Promise<T> {
    const started = this.#clock.monotonic()
    this.inFlight++
    try {
      const answer = await send()
      increment(this.requests, answer.status)
      this.requestSeconds.note((this.#clock.monotonic() - started) / 1000)
      return answer
    } finally {
      this.inFlight--
    }
  }

  retried(status: number): void {
    increment(this.retries, status)
  }
}

function increment(counts: Record<string, number>, status: number): void {
  const code = String(status || 'error')
  counts[code] = (counts[code] ?? 0) + 1
}
