// RFC 3339 timestamps read off bytes: `2026-11-21T07:55:24.07221244Z`, `2026-11-21T04:21:51.144518221-03:30`. Any number
// of fractional digits; those beyond nanoseconds are cut. No Date, no string: this runs once per row.

/** The result of the last successful `parseTimestamp`; read it before the next call. */
export const timestamp = { seconds: 0, nanos: 0, end: 0 }

let cachedDate = -1
let cachedDateSeconds = 0

/**
 * Parses the timestamp that begins at `start` and ends before `end`. On success the result is in `timestamp`
 * (`end` is the offset after its last byte) and true is returned. Leap seconds (`:60`) are taken as the next second.
 */
export function parseTimestamp(b: Buffer, start: number, end: number): boolean {
  if (end - start < 20) return false
  const year = digit(b, start) * 1000 + digit(b, start + 1) * 100 + digit(b, start + 2) * 10 + digit(b, start + 3)
  const month = digit(b, start + 5) * 10 + digit(b, start + 6)
  const day = digit(b, start + 8) * 10 + digit(b, start + 9)
  const hour = digit(b, start + 11) * 10 + digit(b, start + 12)
  const minute = digit(b, start + 14) * 10 + digit(b, start + 15)
  const second = digit(b, start + 17) * 10 + digit(b, start + 18)
  if (
    b[start + 4] !== 0x2d ||
    b[start + 7] !== 0x2d ||
    b[start + 10] !== 0x54 ||
    b[start + 13] !== 0x3a ||
    b[start + 16] !== 0x3a
  )
    return false
  // digit() gives NaN for anything else, and NaN fails every one of these comparisons.
  if (
    !(year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour <= 23 && minute <= 59 && second <= 60)
  )
    return false
  let at = start + 19
  let nanos = 0
  let c = b[at] as number
  if (c === 0x2e) {
    let scale = 100_000_000
    const first = ++at
    while (at < end && (c = b[at] as number) >= 0x30 && c <= 0x39) {
      nanos += (c - 0x30) * scale
      scale = scale === 1 ? 0 : scale / 10
      at++
    }
    if (at === first || at >= end) return false
  }
  let offsetSeconds = 0
  if (c === 0x5a) at++
  else if (c === 0x2b || c === 0x2d) {
    if (end - at < 6 || b[at + 3] !== 0x3a) return false
    const hours = digit(b, at + 1) * 10 + digit(b, at + 2)
    const minutes = digit(b, at + 4) * 10 + digit(b, at + 5)
    if (!(hours <= 23 && minutes <= 59)) return false
    offsetSeconds = (c === 0x2b ? 60 : -60) * (hours * 60 + minutes)
    at += 6
  } else return false
  const date = year * 10_000 + month * 100 + day
  if (date !== cachedDate) {
    const ms = Date.UTC(year, month - 1, day)
    if (new Date(ms).getUTCDate() !== day) return false // 31 February
    cachedDateSeconds = ms / 1000
    cachedDate = date
  }
  timestamp.seconds = cachedDateSeconds + hour * 3600 + minute * 60 + second - offsetSeconds
  timestamp.nanos = nanos
  timestamp.end = at
  return timestamp.seconds >= 0
}

function digit(b: Buffer, at: number): number {
  const d = (b[at] as number) - 0x30
  return d >= 0 && d <= 9 ? d : Number.NaN
}
