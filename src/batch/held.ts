// Open partial lines that readers keep in memory from one shipment to the next. Bound: BYTES_MAX for all of them, or one
// reader's, whatever it holds. What is over the bound goes back to its file: first those that have not moved for a while,
// which cost nothing until their file grows; then the newcomer, which tries again. Whoever holds a line and moves on
// keeps it, so that every line comes to its end.
import type { Reader } from '../tail/reader.ts'
import type { Lane } from './lane.ts'

const BYTES_MAX = 2 * 1024 * 1024
const IDLE_MS = 5000
const RETRY_MS = 1000
/** A line whose file does not grow any more may still come to its end: with the file. */
const PARKED_MS = 30_000

interface Held {
  lane: Lane
  bytes: number
  /** Monotonic ms when it last moved. */
  at: number
}

export class HeldLines {
  /** Who has not moved for longest first. */
  readonly #held = new Map<Reader, Held>()

  /** Called when all that the reader has written is acknowledged. May take back what it or another one holds. */
  note(reader: Reader, lane: Lane, now: number): void {
    reader.release()
    this.#held.delete(reader)
    const bytes = reader.heldBytes
    if (bytes === 0) return
    this.#held.set(reader, { lane, bytes, at: now })
    let total = 0
    for (const held of this.#held.values()) total += held.bytes
    for (const [other, held] of this.#held) {
      if (total <= BYTES_MAX || now - held.at < IDLE_MS) break
      if (held.lane.busy) continue
      total -= held.bytes
      this.#rewind(other)
      held.lane.park(now + PARKED_MS)
    }
    if (total > BYTES_MAX && this.#held.size > 1) {
      this.#rewind(reader)
      lane.retryAt = now + RETRY_MS
    }
  }

  forget(reader: Reader): void {
    this.#held.delete(reader)
  }

  #rewind(reader: Reader): void {
    this.#held.delete(reader)
    reader.rewind()
  }
}
