// Bytes that come in pieces, put together as they come. A piece that is kept takes a hundred bytes of heap, whatever it
// holds, and whoever sends it says how short it is. Bound: twice the bytes.
import { release } from './memory.ts'

const EMPTY = Buffer.alloc(0)
const BYTES_MIN = 4096

export class Gathered {
  bytes = 0
  #buffer: Buffer = EMPTY

  /** The piece is copied. */
  add(piece: Buffer): void {
    const bytes = this.bytes + piece.length
    if (bytes > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(bytes, BYTES_MIN, 2 * this.#buffer.length))
      this.#buffer.copy(grown, 0, 0, this.bytes)
      this.#release()
      this.#buffer = grown
    }
    piece.copy(this.#buffer, this.bytes)
    this.bytes = bytes
  }

  /** All that was added; valid until the next `add` or `clear`. */
  get view(): Buffer {
    return this.#buffer.subarray(0, this.bytes)
  }

  /** The next piece is the first again. */
  clear(): void {
    this.#release()
    this.#buffer = EMPTY
    this.bytes = 0
  }

  #release(): void {
    if (this.#buffer !== EMPTY) release(this.#buffer)
  }
}
