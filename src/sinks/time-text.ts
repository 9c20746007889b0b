// Times as text over bytes: `2026-11-21T07:55:24.072212440Z`. The seconds are made once and kept by the caller; the
// nanoseconds are written in three words.

export const SECONDS_LETTERS = 19

/** Three digits and a zero byte, as a little-endian word, by value. */
const THREE_DIGITS = Int32Array.from({ length: 1000 }, (_, value) => {
  const [hundreds, tens, ones] = [Math.floor(value / 100), Math.floor(value / 10) % 10, value % 10]
  return (0x30 + hundreds) | ((0x30 + tens) << 8) | ((0x30 + ones) << 16)
})

/** `2026-11-21T07:55:24`. */
export function secondsText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, SECONDS_LETTERS)
}

/** Writes nine digits and a `Z`. */
export function writeNanos(view: DataView, at: number, nanos: number): void {
  const millions = Math.floor(nanos / 1_000_000)
  const rest = nanos - millions * 1_000_000
  const thousands = Math.floor(rest / 1000)
  view.setInt32(at, THREE_DIGITS[millions] as number, true)
  view.setInt32(at + 3, THREE_DIGITS[thousands] as number, true)
  view.setInt32(at + 6, (THREE_DIGITS[rest - thousands * 1000] as number) | 0x5a00_0000, true)
}

/** Writes a whole number in decimal; returns where it ends. */
export function writeDecimal(target: Buffer, start: number, value: number): number {
  let digits = 1
  for (let bound = 10; value >= bound; bound *= 10) digits++
  let rest = value
  for (let at = start + digits - 1; at >= start; at--) {
    const next = Math.floor(rest / 10)
    target[at] = 0x30 + rest - next * 10
    rest = next
  }
  return start + digits
}
