// Batches of one API server that were refused, until they come back. An API server repeats a batch a few times within some
// minutes and then drops it; what has not come back by then is a hole in the log, and is told as one. A batch is known
// again by a hash of its body: what is repeated is the same to the byte. Bound: BATCHES_MAX; more are counted as not back.
import { createHash, type Hash } from 'node:crypto'

/** Five attempts with the waits that API servers make take about a minute and a half. */
const RETURN_MS_MAX = 300_000
const BATCHES_MAX = 4096
/** That are told of a hole; some name the size of a batch. */
const REASONS_MAX = 8

interface Refused {
  bytes: number
  reason: string
  /** Wall ms of its first refusal. */
  at: number
  /** Monotonic ms of its last one. */
  lastAt: number
}

/** What was refused and did not come back. Times are wall ms. */
export interface Missing {
  batches: number
  bytes: number
  from: number
  to: number
  reasons: string[]
}

/** By what a batch is known again. */
export function batchHash(): Hash {
  return createHash('sha256')
}

export class RefusedBatches {
  /** By hash, the one refused longest ago first. */
  readonly #byHash = new Map<string, Refused>()

  get count(): number {
    return this.#byHash.size
  }

  refused(hash: string, bytes: number, reason: string, nowMs: number, monotonicMs: number): void {
    const known = this.#byHash.get(hash)
    this.#byHash.delete(hash)
    this.#byHash.set(hash, { bytes, reason, at: known?.at ?? nowMs, lastAt: monotonicMs })
  }

  accepted(hash: string): void {
    this.#byHash.delete(hash)
  }

  /** What has been away for too long, or, with `all`, whatever is; it is forgotten here. Null when there is nothing. */
  missing(monotonicMs: number, all = false): Missing | null {
    let missing: Missing | null = null
    for (const [hash, { bytes, reason, at, lastAt }] of this.#byHash) {
      if (!all && monotonicMs - lastAt < RETURN_MS_MAX && this.#byHash.size <= BATCHES_MAX) break
      this.#byHash.delete(hash)
      missing ??= { batches: 0, bytes: 0, from: at, to: at, reasons: [] }
      missing.batches++
      missing.bytes += bytes
      missing.from = Math.min(missing.from, at)
      missing.to = Math.max(missing.to, at)
      if (missing.reasons.length < REASONS_MAX && !missing.reasons.includes(reason)) missing.reasons.push(reason)
    }
    return missing
  }
}

/** How a hole is told: a line of the spool that no API server can write, since all of theirs begin with a brace. */
export function missingLine(apiServer: string, { batches, bytes, from, to, reasons }: Missing, isEnd = false): string {
  const time = (ms: number) => new Date(ms).toISOString()
  const what = batches === 1 ? '1 batch' : `${batches} batches`
  return (
    `taffrail: lost ${what} of audit events (${bytes} bytes) of API server ${apiServer}, refused between ${time(from)} and ` +
    `${time(to)} and not sent here again${isEnd ? ' before taffrail stopped' : ''}: ${reasons.join('; ')}`
  )
}

/** Whether a line of a spool is such a one. */
export function isMissingLine(b: Buffer, start: number, end: number): boolean {
  if (end - start < PREFIX.length) return false
  for (let i = 0; i < PREFIX.length; i++) if (b[start + i] !== PREFIX[i]) return false
  return true
}

const PREFIX = Buffer.from('taffrail: lost ')
