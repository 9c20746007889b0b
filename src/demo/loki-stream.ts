// One stream of the embedded Loki, as its ingester keeps it (grafana/loki, pkg/ingester/stream.go): the window behind
// the highest timestamp, the rate of the stream, and which entries are the same one. Time comes in as `nowMs`.
import type { LokiLimits } from './loki-limits.ts'
import type { LabelPair, PushEntry } from './push-proto.ts'

/** An entry as it can be queried. */
export interface StoredEntry {
  timestampNs: bigint
  line: Buffer
  metadata: Record<string, string>
  /** How often this entry (same timestamp, line and metadata) was accepted; more than 1 is a repeat. */
  pushes: number
}

/** What a stream refuses and why; `reason` in Loki's words. */
export interface Refusal {
  timestampNs: bigint
  reason: string
}

export interface Admission {
  fresh: PushEntry[]
  skipped: PushEntry[]
  refused: Refusal[]
  /** The refusals are about the stream's rate. */
  limited: boolean
}

/** ECMAScript's time range. */
const TIME_MS_MAX = 8.64e15

/** golang.org/x/time/rate: full at the start, refills evenly, gives all or nothing. */
export class TokenBucket {
  readonly bytesPerSecond: number
  readonly burstBytes: number
  #tokens: number
  #refilledAtMs: number | null = null

  constructor(bytesPerSecond: number, burstBytes: number) {
    this.bytesPerSecond = bytesPerSecond
    this.burstBytes = burstBytes
    this.#tokens = burstBytes
  }

  tryTake(bytes: number, nowMs: number): boolean {
    if (this.burstBytes === Number.POSITIVE_INFINITY) return true
    const elapsedMs = Math.max(0, nowMs - (this.#refilledAtMs ?? nowMs))
    this.#tokens = Math.min(this.burstBytes, this.#tokens + (elapsedMs * this.bytesPerSecond) / 1000)
    this.#refilledAtMs = nowMs
    if (bytes > this.#tokens) return false
    this.#tokens -= bytes
    return true
  }
}

export class LokiStream {
  readonly labels: Readonly<Record<string, string>>
  /** As Loki writes it, e.g. in its errors. */
  readonly labelSet: string
  readonly entries: StoredEntry[] = []
  #byTime = new Map<bigint, StoredEntry[]>()
  #highestNs: bigint | null = null
  #last: PushEntry | null = null
  #bucket: TokenBucket
  #behindNsMax: bigint

  constructor(pairs: readonly LabelPair[], labelSet: string, limits: LokiLimits) {
    this.labels = Object.fromEntries(pairs.map(({ name, value }) => [name, value]))
    this.labelSet = labelSet
    this.#bucket = new TokenBucket(limits.streamBytesPerSecond, limits.streamBurstBytes)
    this.#behindNsMax = nanoseconds(limits.behindMsMax)
  }

  /**
   * Sorts the entries of a push: `fresh` are to be stored; `skipped` repeat the stream's last entry: Loki drops them
   * before they count for the rate; `refused` are too far behind. When the rate of the stream is exceeded it refuses all.
   */
  admit(entries: readonly PushEntry[], nowMs: number): Admission {
    const fresh: PushEntry[] = []
    const skipped: PushEntry[] = []
    const refused: Refusal[] = []
    let highestNs = this.#highestNs
    let last = this.#last
    let bytes = 0
    for (const entry of entries) {
      if (last !== null && sameEntry(entry, last)) {
        skipped.push(entry)
        continue
      }
      const oldestNs = highestNs === null ? entry.timestampNs : highestNs - this.#behindNsMax
      if (entry.timestampNs < oldestNs) {
        const reason = `entry too far behind, entry timestamp is: ${rfc3339(entry.timestampNs)}, oldest acceptable timestamp is: ${rfc3339(oldestNs)}`
        refused.push({ timestampNs: entry.timestampNs, reason })
        continue
      }
      if (highestNs === null || entry.timestampNs > highestNs) highestNs = entry.timestampNs
      bytes += entryBytes(entry)
      last = entry
      fresh.push(entry)
    }
    if (!this.#bucket.tryTake(bytes, nowMs))
      return { fresh: [], skipped, refused: fresh.map((entry) => this.#rateRefusal(entry)), limited: true }
    this.#highestNs = highestNs
    this.#last = last
    return { fresh, skipped, refused, limited: false }
  }

  #rateRefusal(entry: PushEntry): Refusal {
    const limit = byteSize(this.#bucket.bytesPerSecond)
    const reason = `Per stream rate limit exceeded (limit: ${limit}/sec) while attempting to ingest for stream '${this.labelSet}' totaling ${byteSize(entryBytes(entry))}, consider splitting a stream via additional labels or contact your Loki administrator to see if the limit can be increased`
    return { timestampNs: entry.timestampNs, reason }
  }

  /** Keeps an entry, or counts one more push of its twin. Returns the entry as stored. */
  store({ timestampNs, line, metadata }: PushEntry): StoredEntry {
    const record = metadataRecord(metadata)
    const twins = this.#byTime.get(timestampNs)
    const twin = twins?.find((stored) => stored.line.equals(line) && sameRecord(stored.metadata, record))
    if (twin !== undefined) {
      twin.pushes++
      return twin
    }
    const stored = { timestampNs, line, metadata: record, pushes: 1 }
    if (twins === undefined) this.#byTime.set(timestampNs, [stored])
    else twins.push(stored)
    this.entries.push(stored)
    return stored
  }
}

/** What Loki counts for rates: the line and its metadata. */
export function entryBytes(entry: PushEntry): number {
  return entry.line.length + metadataBytes(entry.metadata)
}

/** Names and values of structured metadata, in bytes. */
export function metadataBytes(metadata: readonly LabelPair[]): number {
  let bytes = 0
  for (const { name, value } of metadata) bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
  return bytes
}

/** Metadata as a query answers it: an empty value is none. */
export function metadataRecord(metadata: readonly LabelPair[]): Record<string, string> {
  const record: Record<string, string> = {}
  for (const { name, value } of metadata) if (value !== '') record[name] = value
  return record
}

/** Milliseconds as nanoseconds; what is infinite becomes the farthest time that there is. */
export function nanoseconds(ms: number): bigint {
  return BigInt(Math.round(Math.max(-TIME_MS_MAX, Math.min(TIME_MS_MAX, ms)))) * 1_000_000n
}

/** A timestamp as in Loki's errors: whole seconds, cut. */
export function rfc3339(timestampNs: bigint): string {
  return `${new Date(Number(timestampNs / 1_000_000n)).toISOString().slice(0, 19)}Z`
}

/** A timestamp as Go prints it: `2026-11-21 05:00:06.5 +0000 UTC`, nanoseconds without trailing zeros. */
export function goTime(timestampNs: bigint): string {
  const fraction = (timestampNs % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '')
  return `${rfc3339(timestampNs).slice(0, 19).replace('T', ' ')}${fraction === '' ? '' : `.${fraction}`} +0000 UTC`
}

/** github.com/c2h5oh/datasize: the largest unit that divides it. */
export function byteSize(bytes: number): string {
  if (bytes === 0) return '0B'
  for (const [unit, size] of [['GB', 2 ** 30] as const, ['MB', 2 ** 20] as const, ['KB', 2 ** 10] as const])
    if (bytes % size === 0) return `${bytes / size}${unit}`
  return `${bytes}B`
}

function sameEntry(a: PushEntry, b: PushEntry): boolean {
  return (
    a.timestampNs === b.timestampNs &&
    a.line.equals(b.line) &&
    (a.metadata === b.metadata || sameRecord(metadataRecord(a.metadata), metadataRecord(b.metadata)))
  )
}

function sameRecord(a: Record<string, string>, b: Record<string, string>): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name])
}
