// Durations in Go's notation (`250ms`, `1m30s`, `168h`), and days (`7d`), which Go lacks and everybody writes.

const UNITS: readonly (readonly [string, number])[] = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
]
const UNIT_MS = new Map([['d', 86_400_000], ...UNITS])

const DURATION = /^(?:\d{1,12}(?:\.\d{1,9})?(?:ms|s|m|h|d))+$/
const PART = /(\d+(?:\.\d+)?)(ms|[smhd])/g

/** Milliseconds of `1m30s`, rounded to whole ones; null when the text is no duration. A number alone has no unit and is none. */
export function parseDuration(text: string): number | null {
  if (!DURATION.test(text)) return null
  let ms = 0
  for (const [, amount, unit] of text.matchAll(PART)) ms += Math.round(Number(amount) * UNIT_MS.get(unit!)!)
  return Number.isSafeInteger(ms) ? ms : null
}

/** The usual notation of whole milliseconds: `168h`, `1m30s`, `250ms`. Zero is `0s`. */
export function formatDuration(ms: number): string {
  let text = ''
  let rest = ms
  for (const [unit, unitMs] of UNITS) {
    const amount = Math.floor(rest / unitMs)
    if (amount > 0) text += `${amount}${unit}`
    rest -= amount * unitMs
  }
  return text === '' ? '0s' : text
}
