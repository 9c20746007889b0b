// What a push came to, from Loki's answer to it. Pure, and total: any status, any headers, any bytes. Two rules where
// Loki is silent: only its own words about an entry or a stream let anything be given up, and whatever else is not a
// success is tried again, at once or, where only a person can help, slowly and loudly ("halt").
import { retryAfterMs } from '../../core/backoff.ts'
import type { HttpResponse } from '../../ports/http.ts'
import { type LokiFinding, readRefusals } from './sentences.ts'

export type { LokiFinding, LokiTime } from './sentences.ts'

const messageCharsMax = 1024

export type RetryReason =
  | 'rate_limited'
  | 'stream_limit'
  | 'per_stream_rate_limited'
  /** 5xx, but see `unavailable`. A push that gets it again and again may be poison: worth splitting. */
  | 'server_error'
  /** 502, 503, 504: somebody on the way has nobody to ask. */
  | 'unavailable'
  /** 408, 425. */
  | 'timeout'

export type HaltReason =
  | 'unauthorized'
  | 'not_found'
  | 'redirect'
  | 'bad_tenant'
  | 'bad_request_body'
  | 'no_streams'
  | 'metadata_disallowed'
  | 'ingestion_blocked'
  | 'not_loki'
  | 'unrecognised'

/**
 * `message` is the sink's own words on one line, at most 1,024 characters and without control characters.
 * - delivered: everything that the push held and that Loki answers for is stored.
 * - retry: the same push again, after `afterMs` if Loki asked for that. `reason` is a RetryReason here; a caller to whom
 *   no answer came at all puts the code of that error.
 * - split: too large as a whole.
 * - refused: the findings say what was not stored; what else was in the push is to be pushed again.
 * - halt: no record's fault; keep trying slowly, say so, lose nothing.
 */
export type LokiOutcome =
  | { kind: 'delivered' }
  | { kind: 'retry'; reason: string; message: string; afterMs?: number }
  | { kind: 'split'; reason: 'too_large'; message: string }
  | { kind: 'refused'; findings: LokiFinding[]; message: string }
  | { kind: 'halt'; reason: HaltReason; message: string }

const delivered: LokiOutcome = { kind: 'delivered' }

/** Classifies the answer to a push. `nowMs` (wall time) is for a Retry-After that is a date. Never throws. */
export function classify(answer: HttpResponse, nowMs: number): LokiOutcome {
  const { status, headers, body } = answer
  if (status === 204 && body.length === 0) return delivered
  const text = body.toString('utf8').trim()
  const halt = (reason: HaltReason, message = words(status, text)): LokiOutcome => ({ kind: 'halt', reason, message })

  // Loki's answer for a blocked tenant is 260 by default, a "success" that throws the push away (limits.go).
  if (status === 260 || /^ingestion blocked for user/i.test(text)) return halt('ingestion_blocked')
  if (status >= 200 && status < 300) {
    const type = headers['content-type'] ?? ''
    if (!/\bhtml\b/i.test(type) && !/^<(?:!doctype|html|head|body)\b/i.test(text)) return delivered
    return halt(
      'not_loki',
      clean(`status ${status} with a page (${type || 'no content type'}), not from Loki: ${text}`),
    )
  }
  if (status === 400) {
    const findings = readRefusals(text)
    if (findings.length > 0) return { kind: 'refused', findings, message: words(status, text) }
  }
  // A 500 of the ingester, a 400 of a Loki before 3.0.
  if (status === 413 || (status >= 400 && /message larger than max|request body too large/i.test(text))) {
    return { kind: 'split', reason: 'too_large', message: words(status, text) }
  }
  const retry = retryReason(status, text)
  if (retry !== null) {
    const afterMs = retryAfterMs(headers, nowMs)
    const message = words(status, text)
    return afterMs === undefined
      ? { kind: 'retry', reason: retry, message }
      : { kind: 'retry', reason: retry, message, afterMs }
  }
  if (status >= 300 && status < 400) {
    return halt('redirect', clean(`status ${status}, redirects to ${headers.location ?? 'nowhere'}`))
  }
  return halt(haltReason(status, text))
}

function retryReason(status: number, text: string): RetryReason | null {
  if (status === 429) {
    if (/maximum active stream limit|streams limit exceeded/i.test(text)) return 'stream_limit'
    return /per stream rate limit/i.test(text) ? 'per_stream_rate_limited' : 'rate_limited'
  }
  if (status === 408 || status === 425) return 'timeout'
  if (status >= 502 && status <= 504) return 'unavailable'
  return status >= 500 && status < 600 ? 'server_error' : null
}

function haltReason(status: number, text: string): HaltReason {
  if (status === 401 || status === 403 || status === 407) return 'unauthorized'
  if (status === 404) return 'not_found'
  if (status === 422 && /at least one valid stream/i.test(text)) return 'no_streams'
  if (status !== 400) return 'unrecognised'
  if (/^tenant ID |^no org id|^multiple org IDs|^malformed tenant metadata/i.test(text)) return 'bad_tenant'
  if (/includes structured metadata, but this feature is disallowed/i.test(text)) return 'metadata_disallowed'
  // A push of ours that cannot be decoded: our bug, or somebody on the way who changes bytes. No record is to blame.
  if (/^snappy: |^unexpected EOF|^proto: |^gzip: |^flate: |^loghttp\./i.test(text)) return 'bad_request_body'
  return 'unrecognised'
}

function words(status: number, text: string): string {
  return text === '' ? `status ${status} without a word` : clean(text)
}

/** One line of at most 1,024 characters, without control and direction characters. */
function clean(text: string): string {
  const line = text
    .slice(0, 2 * messageCharsMax)
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .slice(0, messageCharsMax)
  return line.isWellFormed() ? line : line.slice(0, -1)
}
