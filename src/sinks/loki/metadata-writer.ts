// Structured metadata that differ from entry to entry, written on the wire without an object for a pair (see wire.ts).
import { wholeCharacters } from '../../parse/repair.ts'
import type { Metadata } from './wire.ts'

/** Lengths are varints of two bytes at most. */
const LENGTH_MAX = 0x3fff

/** One entry's pairs after the other's, in memory of its own. */
export class MetadataWriter {
  readonly #bytes: Buffer
  readonly #words: BigUint64Array
  readonly #names = new Map<string, Buffer>()
  readonly #digits = Buffer.alloc(10)
  #end = 0

  /** With room for so many bytes; a pair that does not fit is left out. */
  constructor(bytesMax: number) {
    this.#words = new BigUint64Array(Math.ceil(bytesMax / 8) + 1)
    this.#bytes = Buffer.from(this.#words.buffer)
  }

  clear(): void {
    this.#end = 0
  }

  /** Adds a pair with the value source[start, end), UTF-8. */
  add(name: string, source: Buffer, start: number, end: number): void {
    let nameBytes = this.#names.get(name)
    if (nameBytes === undefined) {
      nameBytes = Buffer.from(name)
      this.#names.set(name, nameBytes)
    }
    const b = this.#bytes
    const valueBytes = end - start
    const length = 2 + varintBytes(nameBytes.length) + nameBytes.length + varintBytes(valueBytes) + valueBytes
    if (length > LENGTH_MAX || this.#end + length + 3 > b.length) return
    let at = this.#end
    b[at++] = 0x1a
    at = this.#varint(at, length)
    b[at++] = 0x0a
    at = this.#varint(at, nameBytes.length)
    for (let i = 0; i < nameBytes.length; i++) b[at++] = nameBytes[i]!
    b[at++] = 0x12
    at = this.#varint(at, valueBytes)
    if (valueBytes < 64) for (let i = start; i < end; i++) b[at++] = source[i]!
    else at += source.copy(b, at, start, end)
    this.#end = at
  }

  /** Adds a pair with a whole number of up to ten digits. */
  addNumber(name: string, value: number): void {
    const b = this.#digits
    let at = b.length
    let rest = value
    do {
      b[--at] = 0x30 + (rest % 10)
      rest = Math.floor(rest / 10)
    } while (rest > 0)
    this.add(name, b, at, b.length)
  }

  /** Adds a pair; a value that is longer than `bytesMax` is cut between two characters. */
  addText(name: string, value: string, bytesMax: number): void {
    const bytes = Buffer.from(value)
    const kept = bytes.length <= bytesMax ? bytes.length : wholeCharacters(bytes.subarray(0, bytesMax))
    this.add(name, bytes, 0, kept)
  }

  /** What was added since `clear`; valid until the next one. */
  metadata(): Metadata {
    return { words: this.#words.subarray(0, Math.ceil(this.#end / 8)), length: this.#end }
  }

  #varint(start: number, value: number): number {
    const b = this.#bytes
    if (value < 0x80) {
      b[start] = value
      return start + 1
    }
    b[start] = (value & 0x7f) | 0x80
    b[start + 1] = value >>> 7
    return start + 2
  }
}

function varintBytes(value: number): number {
  return value < 0x80 ? 1 : 2
}
