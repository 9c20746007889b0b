// What was found out about stretches of bytes, for when the same bytes come again: names of members, values, URIs, of
// which a log has few and repeats them without end. Equality is of all the bytes, never of a hash alone. Bound: SLOTS
// stretches of at most BYTES_MAX each, or as its owner says; a newcomer takes the place of whoever has its slot.
import { viewOf } from './json/strings.ts'

const BYTES_MAX = 256

interface Slot<T> {
  length: number
  /** As words; the last one filled up with what may be anything. */
  words: Int32Array
  value: T
}

export class KnownBytes<T> {
  readonly #slots: (Slot<T> | null)[]
  readonly #bits: number
  readonly #bytesMax: number
  #hash = 0

  /** Two to the power of `bits` slots. */
  constructor(bits: number, bytesMax = BYTES_MAX) {
    this.#bits = bits
    this.#bytesMax = bytesMax
    this.#slots = new Array(2 ** bits).fill(null)
  }

  /** What is known of b[start, end), behind which there must be 3 bytes more; undefined where nothing is. */
  find(b: Buffer, start: number, end: number): T | undefined {
    const view = viewOf(b)
    const length = end - start
    let hash = length
    let at = start
    for (; at + 4 <= end; at += 4) hash = Math.imul(hash ^ view.getInt32(at, true), 0x01000193) ^ (hash >>> 15)
    if (at < end) hash = Math.imul(hash ^ (view.getInt32(at, true) << (8 * (4 - end + at))), 0x01000193)
    this.#hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b) >>> (32 - this.#bits)
    const slot = this.#slots[this.#hash]!
    if (slot === null || slot.length !== length) return undefined
    const { words } = slot
    let i = 0
    for (at = start; at + 4 <= end; at += 4) if (view.getInt32(at, true) !== words[i++]) return undefined
    if (at < end && (view.getInt32(at, true) ^ words[i]!) << (8 * (4 - end + at)) !== 0) return undefined
    return slot.value
  }

  /** Notes what was found out about the bytes that `find` was asked for last. */
  add(b: Buffer, start: number, end: number, value: T): void {
    const length = end - start
    if (length > this.#bytesMax) return
    const count = Math.ceil(length / 4)
    let slot = this.#slots[this.#hash]!
    // Whoever had the slot gives its memory where that is enough: of ten thousands of names each would have some of its own.
    if (slot === null || slot.words.length < count) {
      slot = { length, words: new Int32Array(count), value }
      this.#slots[this.#hash] = slot
    }
    slot.length = length
    slot.value = value
    const { words } = slot
    const view = viewOf(b)
    for (let i = 0; i < count; i++) words[i] = view.getInt32(start + 4 * i, true)
  }
}
