// Changes to a line, from its start to its end: stretches that are left out or replaced. What is not changed is copied
// byte for byte. What stands instead is kept as bytes: as strings, ten thousands of them were promoted and then collected.

import { release } from '../core/memory.ts'
import type { Slices } from '../core/slices.ts'
import type { Workbench } from './found.ts'

/** Places are relative to the bytes in which it was found. */
export interface Replacement {
  start: number
  end: number
  text: string
}

/** Numbers of a change: what is replaced, and where its text is in #bytes, from and to. */
const FIELDS = 4
const LENGTH_MIN = FIELDS * 64
const BYTES_MIN = 1024
const BYTES_KEPT_MAX = 64 * 1024
/** Shorter texts are written and copied byte by byte: a call costs more. */
const SHORT_BYTES = 32

/** So many are applied in one slice. */
export const SLICE_EDITS = 16_000

export class Edits {
  count = 0
  #places = new Int32Array(LENGTH_MIN)
  #bytes = Buffer.allocUnsafeSlow(BYTES_MIN)
  #bytesEnd = 0
  /** Most are the same as the one before. */
  #lastText = ''
  /** By how much the line grows, at most. */
  #growth = 0

  clear(): void {
    this.count = 0
    this.#bytesEnd = 0
    this.#lastText = ''
    this.#growth = 0
    if (this.#places.byteLength > BYTES_KEPT_MAX) {
      this.#places.buffer.transfer(0)
      this.#places = new Int32Array(LENGTH_MIN)
    }
    if (this.#bytes.length > BYTES_KEPT_MAX) {
      release(this.#bytes)
      this.#bytes = Buffer.allocUnsafeSlow(BYTES_MIN)
    }
  }

  /** Where what was replaced last ends; -1 before the first. */
  get lastEnd(): number {
    return this.count === 0 ? -1 : this.#places[FIELDS * (this.count - 1) + 1]!
  }

  /** What was changed in [start, end), to be repeated where the same bytes stand again; null: a change reaches out of it. */
  within(start: number, end: number): Replacement[] | null {
    const found: Replacement[] = []
    for (let i = 0; i < FIELDS * this.count; i += FIELDS) {
      const from = this.#places[i]!
      const to = this.#places[i + 1]!
      if (from >= end || to <= start) continue
      if (from < start || to > end) return null
      const text = this.#bytes.toString('utf8', this.#places[i + 2]!, this.#places[i + 3]!)
      found.push({ start: from - start, end: to - start, text })
    }
    return found
  }

  /** Repeats changes of bytes that stand at `start`; false, and some are not repeated, where they come too late. */
  repeat(replacements: readonly Replacement[], start: number): boolean {
    for (const replacement of replacements) {
      if (start + replacement.start < this.lastEnd) return false
      this.add(start + replacement.start, start + replacement.end, replacement.text)
    }
    return true
  }

  /** Replaces [start, end), which lies behind all that was replaced before. */
  add(start: number, end: number, text: string): void {
    const at = FIELDS * this.count++
    if (at === this.#places.length) this.#growPlaces()
    const places = this.#places
    places[at] = start
    places[at + 1] = end
    if (at > 0 && text === this.#lastText) {
      places[at + 2] = places[at - 2]!
      places[at + 3] = places[at - 1]!
    } else {
      places[at + 2] = this.#bytesEnd
      this.#write(text)
      places[at + 3] = this.#bytesEnd
      this.#lastText = text
    }
    this.#growth += places[at + 3]! - places[at + 2]!
  }

  /** Writes line[start, end) with the changes to `to` at `at`, where there must be room for `bytesMax`; returns its end. */
  apply(line: Buffer, start: number, end: number, to: Buffer, at: number): number {
    const out = this.applySome(line, start, 0, this.count, to, at)
    return out + line.copy(to, out, this.count === 0 ? start : this.lastEnd, end)
  }

  /** The same as `apply` to the beginning of `to`, for a line with very many changes. */
  *applyInSlices(line: Buffer, start: number, end: number, to: Buffer): Slices<number> {
    let out = 0
    for (let first = 0; first < this.count; first += SLICE_EDITS) {
      out = this.applySome(line, start, first, Math.min(first + SLICE_EDITS, this.count), to, out)
      yield
    }
    return out + line.copy(to, out, this.count === 0 ? start : this.lastEnd, end)
  }

  /** Of line[start, …) the part up to the end of change number `last` - 1, from the end of change number `first` - 1 on. */
  applySome(line: Buffer, start: number, first: number, last: number, to: Buffer, at: number): number {
    const places = this.#places
    const bytes = this.#bytes
    let from = first === 0 ? start : places[FIELDS * first - 3]!
    let out = at
    for (let i = FIELDS * first; i < FIELDS * last; i += FIELDS) {
      out += line.copy(to, out, from, places[i]!)
      out = copied(bytes, places[i + 2]!, places[i + 3]!, to, out)
      from = places[i + 1]!
    }
    return out
  }

  /** The same as `apply` for a line on the workbench's memory, written to it. */
  applyOn({ memory, copy }: Workbench, start: number, end: number, at: number): number {
    const places = this.#places
    const bytes = this.#bytes
    let from = start
    let out = at
    for (let i = 0; i < FIELDS * this.count; i += FIELDS) {
      const kept = places[i]! - from
      copy(out, from, kept)
      out = copied(bytes, places[i + 2]!, places[i + 3]!, memory, out + kept)
      from = places[i + 1]!
    }
    copy(out, from, end - from)
    return out + end - from
  }

  /** What `apply` may need for a line of so many bytes. */
  bytesMax(lineBytes: number): number {
    return lineBytes + this.#growth
  }

  #growPlaces(): void {
    const shorter = this.#places
    this.#places = new Int32Array(2 * shorter.length)
    this.#places.set(shorter)
    shorter.buffer.transfer(0)
  }

  #write(text: string): void {
    const bytesMax = 3 * text.length
    if (this.#bytesEnd + bytesMax > this.#bytes.length) {
      const shorter = this.#bytes
      this.#bytes = Buffer.allocUnsafeSlow(2 * (this.#bytesEnd + bytesMax))
      shorter.copy(this.#bytes, 0, 0, this.#bytesEnd)
      release(shorter)
    }
    const to = this.#bytes
    const at = this.#bytesEnd
    if (text.length <= SHORT_BYTES) {
      let i = 0
      for (; i < text.length; i++) {
        const code = text.charCodeAt(i)
        if (code >= 0x80) break
        to[at + i] = code
      }
      if (i === text.length) {
        this.#bytesEnd = at + i
        return
      }
    }
    this.#bytesEnd = at + to.write(text, at)
  }
}

/** Copies bytes[start, end) to `to` at `at`; returns its end. */
function copied(bytes: Buffer, start: number, end: number, to: Buffer, at: number): number {
  if (end - start > SHORT_BYTES) return at + bytes.copy(to, at, start, end)
  for (let i = start; i < end; i++) to[at + i - start] = bytes[i]!
  return at + end - start
}
