// RFC 3339 timestamps read off bytes: `2026-11-21T07:55:24.07221244Z`, `2026-11-21T04:21:51.144518221-03:30`. Any number
// of fractional digits; those beyond nanoseconds are cut. No Date, no string: this runs once per row. Rows come in
// hundreds per second, so the date and the second are nearly always those of the row before: they are compared as five
// words before anything is parsed (15 ns a row instead of 70).

/** The result of the last successful `parseTimestamp`; read it before the next call. */
export const timestamp = { seconds: 0, nanos: 0, end: 0 }

const SECOND_BYTES = 19

let cachedDate = -1
let cachedDateSeconds = 0
// The last second's text as words (the last two overlap), and what it came to, before the zone's offset.
let word0 = 0
let word1 = 0
let word2 = 0
let word3 = 0
let word4 = 0
let cachedSeconds = -1
let viewed: Buffer | null = null
let view: DataView = new DataView(new ArrayBuffer(0))

/**
 * Parses the timestamp that begins at `start` and ends before `end`. On success the result is in `timestamp`
 * (`end` is the offset after its last byte) and true is returned. Leap seconds (`:60`) are taken as the next second.
 */
export function parseTimestamp(b: Buffer, start: number, end: number): boolean {
  if (end - start < SECOND_BYTES + 1) return false
  if (b !== viewed) {
    viewed = b
    view = new DataView(b.buffer, b.byteOffset, b.length)
  }
  if (
    view.getInt32(start + 15) !== word4 ||
    view.getInt32(start + 12) !== word3 ||
    view.getInt32(start + 8) !== word2 ||
    view.getInt32(start + 4) !== word1 ||
    view.getInt32(start) !== word0 ||
    cachedSeconds < 0
  ) {
    cachedSeconds = secondsAt(b, start)
    if (cachedSeconds < 0) return false
    word0 = view.getInt32(start)
    word1 = view.getInt32(start + 4)
    word2 = view.getInt32(start + 8)
    word3 = view.getInt32(start + 12)
    word4 = view.getInt32(start + 15)
  }
  let at = start + SECOND_BYTES
  let nanos = 0
  if (b[at] === 0x2e) {
    nanos = at + 10 < end ? nineDigits(b, at + 1) : -1
    if (nanos >= 0) at += 10
    else {
      nanos = 0
      let scale = 100_000_000
      const first = ++at
      for (let d = (b[at] as number) - 0x30; at < end && d >= 0 && d <= 9; d = (b[++at] as number) - 0x30) {
        nanos += d * scale
        scale = scale === 1 ? 0 : scale / 10
      }
      if (at === first || at >= end) return false
    }
    // More than nine digits: the rest is cut.
    while (at < end && (b[at] as number) >= 0x30 && (b[at] as number) <= 0x39) at++
    if (at >= end) return false
  }
  timestamp.nanos = nanos
  if (b[at] === 0x5a) {
    timestamp.seconds = cachedSeconds
    timestamp.end = at + 1
    return true
  }
  return withOffset(b, at, end)
}

/** Seconds since the epoch of `YYYY-MM-DDTHH:MM:SS` in UTC, or -1. */
function secondsAt(b: Buffer, start: number): number {
  if (
    b[start + 4] !== 0x2d ||
    b[start + 7] !== 0x2d ||
    b[start + 10] !== 0x54 ||
    b[start + 13] !== 0x3a ||
    b[start + 16] !== 0x3a
  )
    return -1
  const year = twoDigits(b, start) * 100 + twoDigits(b, start + 2)
  const month = twoDigits(b, start + 5)
  const day = twoDigits(b, start + 8)
  const hour = twoDigits(b, start + 11)
  const minute = twoDigits(b, start + 14)
  const second = twoDigits(b, start + 17)
  // What is not a digit made NaN, which fails each of these comparisons.
  if (!(year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= 31)) return -1
  if (!(hour <= 23 && minute <= 59 && second <= 60)) return -1
  const date = year * 10_000 + month * 100 + day
  if (date !== cachedDate) {
    const ms = Date.UTC(year, month - 1, day)
    if (new Date(ms).getUTCDate() !== day) return -1 // 31 February
    cachedDateSeconds = ms / 1000
    cachedDate = date
  }
  return cachedDateSeconds + hour * 3600 + minute * 60 + second
}

/** Finishes a timestamp whose zone `+HH:MM` or `-HH:MM` begins at `at`. */
function withOffset(b: Buffer, at: number, end: number): boolean {
  const sign = b[at]
  if ((sign !== 0x2b && sign !== 0x2d) || end - at < 6 || b[at + 3] !== 0x3a) return false
  const hours = twoDigits(b, at + 1)
  const minutes = twoDigits(b, at + 4)
  if (!(hours <= 23 && minutes <= 59)) return false
  timestamp.seconds = cachedSeconds - (sign === 0x2b ? 60 : -60) * (hours * 60 + minutes)
  timestamp.end = at + 6
  return timestamp.seconds >= 0
}

/** The value of nine digits, or -1 when one of them is none. */
function nineDigits(b: Buffer, at: number): number {
  const d0 = (b[at] as number) - 0x30
  const d1 = (b[at + 1] as number) - 0x30
  const d2 = (b[at + 2] as number) - 0x30
  const d3 = (b[at + 3] as number) - 0x30
  const d4 = (b[at + 4] as number) - 0x30
  const d5 = (b[at + 5] as number) - 0x30
  const d6 = (b[at + 6] as number) - 0x30
  const d7 = (b[at + 7] as number) - 0x30
  const d8 = (b[at + 8] as number) - 0x30
  // 0 to 9 stay below 16 with and without 6 added; everything else sets a higher bit in one of the two.
  const plain = d0 | d1 | d2 | d3 | d4 | d5 | d6 | d7 | d8
  const raised = (d0 + 6) | (d1 + 6) | (d2 + 6) | (d3 + 6) | (d4 + 6) | (d5 + 6) | (d6 + 6) | (d7 + 6) | (d8 + 6)
  if (((plain | raised) & ~15) !== 0) return -1
  return (
    d0 * 100_000_000 +
    d1 * 10_000_000 +
    d2 * 1_000_000 +
    d3 * 100_000 +
    d4 * 10_000 +
    d5 * 1000 +
    d6 * 100 +
    d7 * 10 +
    d8
  )
}

function twoDigits(b: Buffer, at: number): number {
  const tens = (b[at] as number) - 0x30
  const ones = (b[at + 1] as number) - 0x30
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN
}
