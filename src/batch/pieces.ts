// What is too long for one turn of the event loop, filling a shipment from hundreds of lanes and settling them, is done in pieces:
// between two of them others have their turn, and where CPU is rationed the next one waits for the allowance like a shipment
// does. Invariant: whoever goes on after `next` finds that time has passed, and nothing else changed of what it has taken.
// Bound: a piece, and what its last step takes beyond.
import type { CpuAllowance } from '../core/cpu-allowance.ts'
import type { Clock } from '../ports/clock.ts'

/** A piece is no longer than this, or than the allowance's longest turn. */
const PIECE_MS_MAX = 8

export class Pieces {
  readonly #clock: Clock
  readonly #allowance: CpuAllowance | null
  readonly #pieceMs: number
  #begunAt = 0

  constructor({ clock, allowance }: { clock: Clock; allowance: CpuAllowance | null }) {
    this.#clock = clock
    this.#allowance = allowance
    this.#pieceMs = Math.min(PIECE_MS_MAX, allowance?.turnMsMax ?? PIECE_MS_MAX)
  }

  /** A piece begins here. Several may use this in turn: from here to `isOver` there is no await. */
  begin(): void {
    this.#begunAt = this.#clock.monotonic()
  }

  get isOver(): boolean {
    return this.#clock.monotonic() - this.#begunAt > this.#pieceMs
  }

  /** Resolves when the next piece may begin, which it does. */
  async next(): Promise<void> {
    await this.#clock.yield()
    const ask = () => this.#allowance?.take() ?? 0
    for (let waitMs = ask(); waitMs > 0; waitMs = ask()) await this.#clock.sleep(waitMs)
    this.begin()
  }
}
