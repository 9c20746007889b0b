// Time, as a port: the simulation has a virtual one.

/** Cancels what was scheduled; calling it again has no effect. */
export type Cancel = () => void

export interface Clock {
  /** Wall time in milliseconds since the epoch. It may step in either direction: never measure a duration with it. */
  now(): number
  /** Milliseconds from an arbitrary start, with a fraction; never goes back. */
  monotonic(): number
  /** Calls `run` once after `delayMs`. */
  after(delayMs: number, run: () => void): Cancel
  /** Resolves after `delayMs`, or at once when `signal` aborts. Never rejects. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
  /** Resolves in a later turn of the event loop, after pending I/O had its chance. */
  yield(): Promise<void>
}

export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  },
  sleep(delayMs, signal) {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const done = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, delayMs)
      signal?.addEventListener('abort', done, { once: true })
    })
  },
  yield: () => new Promise((resolve) => setImmediate(resolve)),
}
