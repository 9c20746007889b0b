// A line that comes in pieces (P rows of one source stream, or a raw line longer than a block), put together without
// separators. Keeps at most `keepBytesMax` of it; of a longer one the length and the SHA-256 of the whole are kept too.

import { createHash, type Hash } from 'node:crypto'
import { release } from '../core/memory.ts'

const EMPTY = Buffer.alloc(0)

export class Partial<Start> {
  /** Where the line began and what the reader's state was there; null when no line is open. */
  start: Start | null = null
  /** Time of the first piece. */
  seconds = 0
  nanos = 0
  marks = 0
  /** Of the first piece, when its time was replaced. */
  originalTime = ''
  /** File offset of the first piece, and bytes and rows of the file so far. */
  offset = 0
  sourceBytes = 0
  sourceLines = 0
  /** Bytes of the message so far, kept or not. */
  totalBytes = 0
  keptBytes = 0
  #buffer = EMPTY
  #hash: Hash | null = null

  open(start: Start): void {
    this.start = start
    this.marks = 0
    this.originalTime = ''
    this.sourceBytes = 0
    this.sourceLines = 0
    this.totalBytes = 0
    this.keptBytes = 0
    this.#hash = null
  }

  append(b: Buffer, start: number, end: number, keepBytesMax: number): void {
    const length = end - start
    const keep = Math.min(length, keepBytesMax - this.keptBytes)
    if (this.#hash === null && keep < length) {
      this.#hash = createHash('sha256').update(this.#buffer.subarray(0, this.keptBytes))
    }
    if (this.#hash !== null) this.#hash.update(b.subarray(start, end))
    if (keep > 0) {
      this.#reserve(this.keptBytes + keep, keepBytesMax)
      b.copy(this.#buffer, this.keptBytes, start, start + keep)
      this.keptBytes += keep
    }
    this.totalBytes += length
  }

  /** The kept bytes; valid until the next `append` or `close`. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.keptBytes)
  }

  /** Hex SHA-256 of the whole line when it is longer than what is kept, else ''. Ends the hash: call once. */
  sha256(): string {
    return this.#hash === null ? '' : this.#hash.digest('hex')
  }

  /** Forgets the line, keeps the memory for the next one. */
  close(): void {
    this.start = null
    this.keptBytes = 0
    this.totalBytes = 0
    this.#hash = null
  }

  /** Gives the memory back; only when no line is open. */
  release(): void {
    if (this.start === null && this.#buffer.length > 0) this.#buffer = EMPTY
  }

  #reserve(bytes: number, bytesMax: number): void {
    if (bytes <= this.#buffer.length) return
    const length = Math.max(bytes, Math.min(bytesMax, Math.max(4096, this.#buffer.length * 2)))
    const grown = Buffer.allocUnsafeSlow(length)
    this.#buffer.copy(grown, 0, 0, this.keptBytes)
    // The shorter memory of a long line goes back at once, not at some later collection.
    if (this.#buffer !== EMPTY) release(this.#buffer)
    this.#buffer = grown
  }
}
