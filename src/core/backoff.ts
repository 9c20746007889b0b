// Exponential backoff with full jitter. `Retry-After` wins where a server sends it.
import type { Random } from '../ports/random.ts'

export interface BackoffLimits {
  delayMsMin: number
  delayMsMax: number
}

/**
 * Milliseconds to wait before repeat number `attempt` (1 for the first). With `retryAfterMs` at least that, plus up to
 * a tenth of it, so that a fleet told the same second does not come back in the same millisecond.
 */
export function backoffDelayMs(attempt: number, limits: BackoffLimits, random: Random, retryAfterMs?: number): number {
  if (retryAfterMs !== undefined) return retryAfterMs * (1 + random() / 10)
  const ceiling = Math.min(limits.delayMsMax, limits.delayMsMin * 2 ** Math.min(attempt, 30))
  return limits.delayMsMin / 2 + random() * (ceiling - limits.delayMsMin / 2)
}

/**
 * The `Retry-After` among an answer's headers (RFC 9110, 10.2.3: seconds or an HTTP date) in milliseconds; undefined when
 * absent or nonsense. At most an hour. A date is the server's: it is told by the answer's own `Date`, and by our clock,
 * `nowMs`, only where there is none, because clocks are set wrong.
 */
export function retryAfterMs(headers: Readonly<Record<string, string>>, nowMs: number): number | undefined {
  const text = headers['retry-after']?.trim()
  if (text === undefined) return undefined
  const answeredMs = Date.parse(headers.date ?? '')
  const from = Number.isFinite(answeredMs) ? answeredMs : nowMs
  const delay = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - from
  if (!Number.isFinite(delay)) return undefined
  return Math.min(Math.max(delay, 0), 3_600_000)
}
