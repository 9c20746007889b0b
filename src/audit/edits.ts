// Changes to a line, from its start to its end: stretches that are left out or replaced. What is not changed is copied
// byte for byte.

import type { Workbench } from './found.ts'

/** Places are relative to the bytes in which it was found. */
export interface Replacement {
  start: number
  end: number
  text: string
}

export class Edits {
  count = 0
  #places = new Int32Array(64)
  readonly #texts: string[] = []
  /** By how much the line grows, at most. */
  #growth = 0

  clear(): void {
    this.count = 0
    this.#texts.length = 0
    this.#growth = 0
  }

  /** Where what was replaced last ends; -1 before the first. */
  get lastEnd(): number {
    return this.count === 0 ? -1 : this.#places[2 * this.count - 1]!
  }

  /** What was changed in [start, end), to be repeated where the same bytes stand again; null: a change reaches out of it. */
  within(start: number, end: number): Replacement[] | null {
    const found: Replacement[] = []
    for (let i = 0; i < this.count; i++) {
      const from = this.#places[2 * i]!
      const to = this.#places[2 * i + 1]!
      if (from >= end || to <= start) continue
      if (from < start || to > end) return null
      found.push({ start: from - start, end: to - start, text: this.#texts[i]! })
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
    if (2 * this.count === this.#places.length) {
      const grown = new Int32Array(2 * this.#places.length)
      grown.set(this.#places)
      this.#places = grown
    }
    this.#places[2 * this.count] = start
    this.#places[2 * this.count + 1] = end
    this.#texts.push(text)
    this.#growth += Buffer.byteLength(text)
    this.count++
  }

  /** Writes line[start, end) with the changes to `to` at `at`, where there must be room for `bytesMax`; returns its end. */
  apply(line: Buffer, start: number, end: number, to: Buffer, at: number): number {
    let from = start
    let out = at
    for (let i = 0; i < this.count; i++) {
      out += line.copy(to, out, from, this.#places[2 * i]!)
      const text = this.#texts[i]!
      if (text !== '') out += to.write(text, out)
      from = this.#places[2 * i + 1]!
    }
    return out + line.copy(to, out, from, end)
  }

  /** The same for a line on the workbench's memory, written to it. */
  applyOn({ memory, copy }: Workbench, start: number, end: number, at: number): number {
    let from = start
    let out = at
    for (let i = 0; i < this.count; i++) {
      const bytes = this.#places[2 * i]! - from
      copy(out, from, bytes)
      out += bytes
      const text = this.#texts[i]!
      if (text !== '') out += writeText(text, memory, out)
      from = this.#places[2 * i + 1]!
    }
    copy(out, from, end - from)
    return out + end - from
  }

  /** What `apply` may need for a line of so many bytes. */
  bytesMax(lineBytes: number): number {
    return lineBytes + this.#growth
  }
}

/** Short texts that are ASCII are written byte by byte: a call of write costs more. */
function writeText(text: string, to: Buffer, at: number): number {
  if (text.length > 32) return to.write(text, at)
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code >= 0x80) return to.write(text, at)
    to[at + i] = code
  }
  return text.length
}
