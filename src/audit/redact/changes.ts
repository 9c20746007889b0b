// How a value is changed: a text is replaced by the mask of what it says, a member is left out with its comma. Changes are
// noted in the order of the line, and applied later. Invariant: what is left is JSON.
import { release } from '../../core/memory.ts'
import type { Edits } from '../edits.ts'
import { textOf, unescapeInto } from '../json/strings.ts'
import { STRING, type Tape } from '../json/tape.ts'
import { decoded, decodedBytes, type Mask } from './mask.ts'
import { IS_BASE64, IS_BINARY } from './roles.ts'

/** Longer ones are dealt with as bytes. */
const TEXT_BYTES_MAX = 16 * 1024

export class Changes {
  #tape: Tape
  #edits: Edits
  #mask: Mask

  constructor(tape: Tape, edits: Edits, mask: Mask) {
    this.#tape = tape
    this.#edits = edits
    this.#mask = mask
  }

  begin(tape: Tape, edits: Edits, mask: Mask): void {
    this.#tape = tape
    this.#edits = edits
    this.#mask = mask
  }

  /** Leaves a member out, with the comma before it or, where none is left before it, the one behind it. */
  leaveOut(key: number, value: number, kept: number): void {
    const tape = this.#tape
    const b = tape.buffer
    const end = tape.kindOf(value) === STRING ? tape.endOf(value) + 1 : tape.endOf(value)
    if (kept >= 0) {
      this.#edits.add(this.#lastEnd(kept, tape.startOf(key) - 1), end, '')
      return
    }
    let after = end
    while (b[after] === 0x20 || b[after] === 0x09 || b[after] === 0x0a || b[after] === 0x0d) after++
    this.#edits.add(tape.startOf(key) - 1, b[after] === 0x2c ? after + 1 : after, '')
  }

  /** Behind the last member that stays, or behind one after it that was left out. */
  #lastEnd(kept: number, before: number): number {
    return Math.min(Math.max(kept, this.#edits.lastEnd), before)
  }

  /** Replaces a string by the mask of what it says. */
  hide(value: number, role: number): void {
    const tape = this.#tape
    const start = tape.startOf(value)
    const end = tape.endOf(value)
    const isBase64 = (role & (IS_BASE64 | IS_BINARY)) !== 0
    if (end - start > TEXT_BYTES_MAX) {
      // As bytes: strings of megabytes with escapes in them would hold the event loop for a tenth of a second.
      const bytes = Buffer.allocUnsafeSlow(end - start)
      const secret = bytes.subarray(0, unescapeInto(tape.buffer, start, end, bytes))
      this.#edits.add(start, end, this.#mask(isBase64 ? decodedBytes(secret) : secret))
      release(bytes)
      return
    }
    const text = textOf(tape.buffer, start, end)
    this.#edits.add(start, end, this.#mask(isBase64 ? decoded(text) : text))
  }

  /** Replaces the content of a string. */
  replace(value: number, text: string): void {
    const tape = this.#tape
    this.#edits.add(tape.startOf(value), tape.endOf(value), JSON.stringify(text).slice(1, -1))
  }

  /** Replaces bytes by `text`, which is JSON. */
  hideRaw(start: number, end: number, text: string): void {
    this.#edits.add(start, end, text)
  }
}
