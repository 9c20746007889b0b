// Where a JSON value ends, for whoever asks for a few members only: strings and depth are followed, nothing else is looked at.
import { stringEnd } from './strings.ts'
import { scalarEnd } from './tape.ts'

/** The number that the digits are; 0 where they are none, or too many. */
export function integer(b: Buffer, start: number, end: number): number {
  let value = 0
  for (let at = start; at < end; at++) {
    const digit = b[at]! - 0x30
    if (digit < 0 || digit > 9) return 0
    value = 10 * value + digit
  }
  return end - start < 10 ? value : 0
}

export function skipSpace(b: Buffer, start: number): number {
  let at = start
  while (b[at] === 0x20 || b[at] === 0x09 || b[at] === 0x0d) at++
  return at
}

/** `end` when there is nothing but space up to it. */
export function skipSpaceTo(b: Buffer, start: number, end: number): number {
  const at = skipSpace(b, start)
  return at >= end ? end : -1
}

/** Where the value at `at` ends; -1 when it does not before `end`. Of what is in it only strings and depth are looked at. */
export function valueEnd(b: Buffer, view: DataView, start: number, end: number): number {
  let at = start
  const first = b[at]
  if (first === 0x22) {
    const close = stringEnd(b, view, at + 1, end)
    return close < 0 ? -1 : close + 1
  }
  if (first !== 0x7b && first !== 0x5b) return scalarEnd(b, at, end)
  let depth = 0
  while (at < end) {
    const c = b[at]!
    if (c === 0x22) {
      // The same as stringEnd, in place: this loop is most of the cost of an event.
      at++
      for (;;) {
        const word = view.getInt32(at, true)
        const quote = word ^ 0x22222222
        const slash = word ^ 0x5c5c5c5c
        const found = (((quote - 0x01010101) & ~quote) | ((slash - 0x01010101) & ~slash)) & 0x80808080
        if (found === 0) {
          at += 4
          if (at >= end) return -1
          continue
        }
        at += (31 - Math.clz32(found & -found)) >> 3
        if (at >= end) return -1
        // One addition for both, here and below: at one that was never reached V8 throws its machine code away, and the rest
        // of a large event would be walked through slowly.
        const step = b[at] === 0x22 ? 1 : 2
        at += step
        if (step === 1) break
        if (at >= end) return -1
      }
      // Nearly always a key follows, or its value.
      if (b[at + 1] === 0x22 && (b[at] === 0x3a || b[at] === 0x2c)) at++
      continue
    }
    at += isOther(c) && !hasQuoteOrBracket(view.getInt32(at + 1, true)) ? 5 : 1
    if (c === 0x7b || c === 0x5b) depth++
    else if ((c === 0x7d || c === 0x5d) && --depth === 0) return at
  }
  return -1
}

/** Of numbers, words and what stands between them: nothing in them counts. */
function isOther(c: number): boolean {
  const low = c | 0x20
  return low !== 0x7b && low !== 0x7d
}

/** Whether one of four bytes is a quote or a bracket (or a control character, 0x02). */
function hasQuoteOrBracket(word: number): boolean {
  // With this bit set a square bracket is a curly one.
  const low = word | 0x20202020
  const quote = low ^ 0x22222222
  const open = low ^ 0x7b7b7b7b
  const close = low ^ 0x7d7d7d7d
  const zeros = ((quote - 0x01010101) & ~quote) | ((open - 0x01010101) & ~open) | ((close - 0x01010101) & ~close)
  return (zeros & 0x80808080) !== 0
}
