// The demo's signals: the first one asks for an orderly end, a second one for an end at once. A terminal's Ctrl-C reaches
// every process of its group, and npm passes it on once more, so that a second one right after the first is the same one.

const SAME_MS_MAX = 300
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export class Interrupts {
  /** Resolves with the first signal. */
  readonly first: Promise<void>
  /** Aborts with the second. */
  readonly again: AbortSignal
  /** Aborts with `close`, for what only waits. */
  readonly closed: AbortSignal
  readonly #close: () => void

  constructor() {
    const again = new AbortController()
    const closed = new AbortController()
    const { promise, resolve } = Promise.withResolvers<void>()
    let firstAt = Number.POSITIVE_INFINITY
    const onSignal = () => {
      const now = performance.now()
      firstAt = Math.min(firstAt, now)
      resolve()
      if (now - firstAt > SAME_MS_MAX) again.abort()
    }
    // A terminal or pipe that is gone must not leave the demo running, nor its directory behind.
    process.stdout.on('error', onSignal)
    for (const signal of SIGNALS) process.on(signal, onSignal)
    this.first = promise
    this.again = again.signal
    this.closed = closed.signal
    this.#close = () => {
      closed.abort()
      for (const signal of SIGNALS) process.off(signal, onSignal)
    }
  }

  close(): void {
    this.#close()
  }
}
