// Lines of an audit log found in blocks of bytes, nearly all of them passed over: where every line that is asked for holds
// one of a few texts, the block is searched for those, and other lines are looked at by their first and last bytes alone. A
// line that does not begin as API servers write them, without a blank and with its kind, is taken apart whatever it holds.
// Bound: a line of LINE_BYTES_MAX; a longer one is counted as no event.
import { EventFacts } from '../event.ts'
import { PADDING_BYTES } from '../json/strings.ts'

const BLOCK_BYTES = 1024 * 1024
const LINE_BYTES_MAX = 64 * 1024 * 1024

/**
 * Gets what looks like an event: its facts, and the line[start, end) that they are read off. All are valid during the call.
 * False: it is none.
 */
export type OnEvent = (facts: EventFacts, line: Buffer, start: number, end: number) => boolean

/** One per search; what it counts goes over all files. */
export class Scan {
  /** Lines that are no events, torn ones among them. */
  foreign = 0
  readonly #facts = new EventFacts()
  readonly #needles: readonly Buffer[]
  readonly #next: Float64Array
  readonly #onEvent: OnEvent

  constructor(needles: readonly Buffer[], onEvent: OnEvent) {
    this.#needles = needles
    this.#next = new Float64Array(needles.length)
    this.#onEvent = onEvent
  }

  /** Takes the lines in b[start, end), the last of which ends there, with or without a newline. */
  take(b: Buffer, start: number, end: number): void {
    const block = b.subarray(0, end)
    const isSearched = this.#needles.length > 0
    this.#next.fill(-1)
    let hit = isSearched ? this.#hit(block, start) : start
    for (let at = start; at < end; ) {
      const newline = block.indexOf(10, at)
      const lineEnd = newline < 0 ? end : newline
      if (hit < lineEnd) {
        this.#line(b, at, lineEnd)
        if (isSearched) hit = this.#hit(block, lineEnd)
      } else if (!isEventLike(b, at, lineEnd)) this.#line(b, at, lineEnd)
      at = lineEnd + 1
      if (!isSearched) hit = at
    }
  }

  #line(b: Buffer, start: number, end: number): void {
    if (end === start || (end - start === 1 && b[start] === 0x0d)) return
    const isEvent = this.#facts.read(b, start, end) && this.#onEvent(this.#facts, b, start, end)
    if (!isEvent) this.foreign++
  }

  /** Where the next needle is, from `from` on; infinity where there is none in the block. */
  #hit(block: Buffer, from: number): number {
    const next = this.#next
    let first = Number.POSITIVE_INFINITY
    for (const [index, needle] of this.#needles.entries()) {
      if (next[index]! < from) {
        const found = block.indexOf(needle, from)
        next[index] = found < 0 ? Number.POSITIVE_INFINITY : found
      }
      if (next[index]! < first) first = next[index]!
    }
    return first
  }
}

/** By the first bytes that an API server writes and the last: `{"kind":"E` and a brace. */
function isEventLike(b: Buffer, start: number, end: number): boolean {
  return end - start > 64 && b[start] === 0x7b && b[start + 2] === 0x6b && b[start + 9] === 0x45 && b[end - 1] === 0x7d
}

/** The bytes of one file as they come, cut into whole lines. */
export class Lines {
  readonly #scan: Scan
  #buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES + PADDING_BYTES)
  #filled = 0
  /** In the middle of a line that is too long. */
  #isSkipping = false

  constructor(scan: Scan) {
    this.#scan = scan
  }

  /** Reads by `read(target, offset, length)`, which returns how many bytes it put there. Returns the same. */
  fill(read: (target: Buffer, offset: number, length: number) => number): number {
    const room = this.#buffer.length - PADDING_BYTES - this.#filled
    const bytes = read(this.#buffer, this.#filled, room)
    this.#filled += bytes
    if (bytes > 0) this.#lines(this.#filled - bytes)
    return bytes
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      at += this.fill((target, offset, length) => chunk.copy(target, offset, at, Math.min(chunk.length, at + length)))
    }
  }

  /** The file is at its end: what has no newline is a line too, if it is whole. */
  finish(): void {
    if (this.#filled > 0 && !this.#isSkipping) this.#scan.take(this.#buffer, 0, this.#filled)
    this.#filled = 0
    this.#isSkipping = false
  }

  /** Takes the whole lines. The first newline is not before `from`. */
  #lines(from: number): void {
    const b = this.#buffer
    const end = b.subarray(0, this.#filled).lastIndexOf(10) + 1
    if (end <= from) {
      this.#grow()
      return
    }
    let start = 0
    if (this.#isSkipping) {
      start = b.indexOf(10) + 1
      this.#isSkipping = false
    }
    if (start < end) this.#scan.take(b, start, end)
    b.copyWithin(0, end, this.#filled)
    this.#filled -= end
    if (b.length > BLOCK_BYTES + PADDING_BYTES && this.#filled < BLOCK_BYTES) {
      this.#buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES + PADDING_BYTES)
      b.copy(this.#buffer, 0, 0, this.#filled)
    }
  }

  /** Makes room for a line that is longer than what there is. */
  #grow(): void {
    const b = this.#buffer
    if (this.#isSkipping) {
      this.#filled = 0
      return
    }
    if (this.#filled < b.length - PADDING_BYTES) return
    if (b.length >= LINE_BYTES_MAX) {
      this.#scan.foreign++
      this.#isSkipping = true
      this.#filled = 0
      return
    }
    this.#buffer = Buffer.allocUnsafeSlow(2 * (b.length - PADDING_BYTES) + PADDING_BYTES)
    b.copy(this.#buffer, 0, 0, this.#filled)
  }
}
