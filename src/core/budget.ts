// The bytes between read and ack. One per agent; each sink has a share of it. Invariants: 0 <= used <= total, and what is
// free is enough for every share to have its least: one sink that holds all it can get does not stop another one.
// No budget, no read.

export class ByteBudget {
  readonly totalBytes: number
  readonly #shares: BudgetShare[] = []
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

  /** A new share that can always have `bytesMin` bytes. Throws when the budget is too small for that. */
  share(bytesMin: number): BudgetShare {
    const share = new BudgetShare(this, bytesMin)
    this.#shares.push(share)
    if (this.#leastOfOthers(null) > this.freeBytes) {
      throw new Error(`byte budget: ${this.totalBytes} bytes are too few for ${this.#shares.length} shares`)
    }
    return share
  }

  /** Takes `bytes` for a share if there is room for all of them beside the least of the others. */
  tryTake(share: BudgetShare, bytes: number): boolean {
    if (bytes + this.#leastOfOthers(share) > this.freeBytes) return false
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

  /** What the other shares may still ask for and must get. */
  #leastOfOthers(share: BudgetShare | null): number {
    let bytes = 0
    for (const each of this.#shares) if (each !== share) bytes += Math.max(0, each.bytesMin - each.usedBytes)
    return bytes
  }
}

export class BudgetShare {
  readonly bytesMin: number
  readonly #budget: ByteBudget
  #usedBytes = 0
  #isWaiting = false

  constructor(budget: ByteBudget, bytesMin: number) {
    this.#budget = budget
    this.bytesMin = bytesMin
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Takes `bytes`, or nothing and false; then `wake`, if there is one, is called at the next release by anybody. */
  tryTake(bytes: number, wake?: () => void): boolean {
    if (this.#budget.tryTake(this, bytes)) {
      this.#usedBytes += bytes
      return true
    }
    if (wake !== undefined && !this.#isWaiting) {
      this.#isWaiting = true
      this.#budget.onRelease(() => {
        this.#isWaiting = false
        wake()
      })
    }
    return false
  }

  /** Throws when more is released than was taken. */
  release(bytes: number): void {
    this.#usedBytes -= bytes
    if (this.#usedBytes < 0) throw new Error(`byte budget: released ${-this.#usedBytes} bytes more than were taken`)
    this.#budget.release(bytes)
  }
}
