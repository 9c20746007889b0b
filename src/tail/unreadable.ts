// Files that could not be read while the place of a checkpoint was searched for, in one search after the other. Invariant: a
// file is given up only when it could not be read in any search for SEARCH_MS_MAX: of many files some always fail, each for
// a moment. Bound: one number for each file that fails.
import type { Clock } from '../ports/clock.ts'
import type { TailedFile } from './file.ts'

/** For so long a file is waited for. */
const SEARCH_MS_MAX = 10_000

export class Unreadable {
  readonly #clock: Clock
  /** Monotonic ms since which each has failed: as it was before the search that is under way, and as that finds it. */
  #before = new Map<TailedFile, number>()
  #since = new Map<TailedFile, number>()
  /** Of a file that is not given up. */
  #failure: { error: unknown } | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A search begins. */
  begin(): void {
    this.#before = this.#since
    this.#since = new Map()
    this.#failure = null
  }

  /** The file cannot be read. */
  failed(file: TailedFile, error: unknown): void {
    const now = this.#clock.monotonic()
    const since = this.#before.get(file) ?? now
    this.#since.set(file, since)
    if (now - since <= SEARCH_MS_MAX) this.#failure ??= { error }
  }

  /** The search has ended. Throws the error of a file that is not given up. */
  end(): void {
    if (this.#failure !== null) throw this.#failure.error
  }
}
