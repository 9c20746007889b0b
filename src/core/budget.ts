// The bytes between read and ack. One per agent, shared by all sinks. Invariant: 0 <= used <= total. No budget, no read.

export class ByteBudget {
  readonly totalBytes: number
  #usedBytes = 0
  #waiting: (() => void)[] = []

  constructor(totalBytes: number) {
    this.totalBytes = totalBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get freeBytes(): number {
    return this.totalBytes - this.#usedBytes
  }

  /** Takes `bytes` if there is room for all of them. */
  tryTake(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.totalBytes) return false
    this.#usedBytes += bytes
    return true
  }

  /** Throws when more is released than was taken: that is a bug, and a budget that lies is worse than a restart. */
  release(bytes: number): void {
    this.#usedBytes -= bytes
    if (this.#usedBytes < 0) throw new Error(`byte budget: released ${-this.#usedBytes} bytes more than were taken`)
    const waiting = this.#waiting
    if (waiting.length === 0) return
    this.#waiting = []
    for (const wake of waiting) wake()
  }

  /** Calls `wake` once, at the next release. */
  onRelease(wake: () => void): void {
    this.#waiting.push(wake)
  }
}
