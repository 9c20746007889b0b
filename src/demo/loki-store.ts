// An embedded Loki, in memory and without a clock of its own: what its distributor checks, what its ingester stores and
// what it answers, word for word (test/fixtures/loki holds answers of a real one). Order and texts follow grafana/loki,
// pkg/distributor and pkg/ingester. Not modelled: streams that go idle, stream sharding, `detected_level`, queries.
import { LabelSetError } from './label-set.ts'
import {
  acceptedAges,
  entryFailure,
  labelsFailure,
  MetadataNameError,
  namedLabels,
  normalMetadata,
  tenantFailure,
} from './loki-checks.ts'
import { LOKI_LIMITS, type LokiLimits } from './loki-limits.ts'
import { entryBytes, goTime, LokiStream, metadataRecord, type StoredEntry, TokenBucket } from './loki-stream.ts'
import { type LabelPair, type Push, type PushEntry, wireBytes } from './push-proto.ts'

export interface LokiAnswer {
  status: number
  /** Names in lower case. */
  headers: Record<string, string>
  body: string
}

export interface StoredStream {
  tenant: string
  /** As Loki has them, `service_name` included. */
  labels: Readonly<Record<string, string>>
  labelSet: string
  /** In order of arrival. */
  entries: readonly StoredEntry[]
}

/** Called for every entry accepted, repeats included. `labels` is one object per stream; `line` is a view, not to be kept. */
export type OnEntry = (
  labels: Readonly<Record<string, string>>,
  timestampNs: bigint,
  line: Buffer,
  metadata: Readonly<Record<string, string>>,
  tenant: string,
) => void

export interface LokiCounts {
  /** Entries accepted, repeats included. */
  accepted: number
  /** Accepted although they were there already; while entries are not kept only those that repeat their stream's last one. */
  repeated: number
  /** Entries refused, whether the answer told or not. */
  refused: number
  /** Of the lines accepted. */
  lineBytes: number
}

interface Tenant {
  streams: Map<string, LokiStream>
  bucket: TokenBucket
}

interface CheckedStream {
  pairs: LabelPair[]
  labelSet: string
  entries: PushEntry[]
}

const STORED: Readonly<LokiAnswer> = { status: 204, headers: {}, body: '' }

/** An answer as Go's http.Error writes it: a line of text, with its length while that is short. */
export function errorAnswer(status: number, text: string): LokiAnswer {
  const body = `${text}\n`
  const bytes = Buffer.byteLength(body)
  const headers: Record<string, string> = {
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
  }
  if (bytes <= 2048) headers['content-length'] = String(bytes)
  else headers['transfer-encoding'] = 'chunked'
  return { status, headers, body }
}

export class LokiStore {
  readonly limits: LokiLimits
  readonly counts: LokiCounts = { accepted: 0, repeated: 0, refused: 0, lineBytes: 0 }
  #onEntry: OnEntry | undefined
  #keep: boolean
  #tenants = new Map<string, Tenant>()

  /** With `onEntry` nothing but counts is kept, unless `keepEntries` says so. */
  constructor(limits: Partial<LokiLimits> = {}, onEntry?: OnEntry, keepEntries = onEntry === undefined) {
    this.limits = { ...LOKI_LIMITS, ...limits }
    this.#onEntry = onEntry
    this.#keep = keepEntries
  }

  /** The tenant that an X-Scope-OrgID header stands for, or the refusal of it. */
  tenantOf(header: string | undefined): string | LokiAnswer {
    if (!this.limits.authEnabled) return 'fake'
    if (header === undefined || header === '') return errorAnswer(401, 'no org id')
    const failure = tenantFailure(header)
    return failure === null ? header.split(/[|:]/)[0]! : errorAnswer(400, failure)
  }

  /** Takes a push under an X-Scope-OrgID header: stores what is acceptable, and answers as Loki does. */
  push(push: Push, tenantHeader: string | undefined, nowMs: number): LokiAnswer {
    const tenant = this.tenantOf(tenantHeader)
    if (typeof tenant !== 'string') return tenant
    try {
      const streams = push.streams.map(({ labels, entries }) => ({ ...namedLabels(labels), entries }))
      if (streams.length === 0) return errorAnswer(422, 'error at least one valid stream is required for ingestion')
      return this.#distribute(tenant, streams, nowMs)
    } catch (error) {
      if (error instanceof LabelSetError) return errorAnswer(400, `couldn't parse labels: ${error.message}`)
      if (error instanceof MetadataNameError) return errorAnswer(500, error.message)
      throw error
    }
  }

  /** All streams in order of their first push, of one tenant or of all. */
  streams(tenant?: string): StoredStream[] {
    const found: StoredStream[] = []
    for (const [name, { streams }] of this.#tenants) {
      if (tenant !== undefined && tenant !== name) continue
      for (const { labels, labelSet, entries } of streams.values())
        found.push({ tenant: name, labels, labelSet, entries })
    }
    return found
  }

  /** What fails a check is told, unless the rate or the ingester refuses the rest: then that is told instead. */
  #distribute(tenantName: string, streams: CheckedStream[], nowMs: number): LokiAnswer {
    const failures: string[] = []
    let refused = 0
    const ages = acceptedAges(this.limits, nowMs)
    const passed: CheckedStream[] = []
    for (const { pairs, labelSet, entries } of streams) {
      if (entries.length === 0) continue
      const failure = labelsFailure(pairs, labelSet, this.limits)
      if (failure !== null) {
        failures.push(failure)
        refused += entries.length
        continue
      }
      const good: PushEntry[] = []
      for (const entry of entries) {
        const failure = entryFailure(entry, labelSet, this.limits, ages)
        if (failure === null) good.push(normalEntry(entry))
        else failures.push(failure)
      }
      refused += entries.length - good.length
      if (good.length > 0) passed.push({ pairs, labelSet, entries: good })
    }
    this.counts.refused += refused
    const checks = failures.length === 0 ? STORED : errorAnswer(400, this.#told(failures))
    if (passed.length === 0) return checks
    return this.#limit(tenantName, passed, nowMs) ?? this.#ingest(tenantName, passed, nowMs) ?? checks
  }

  #told(failures: string[]): string {
    if (this.limits.checksTold === 'one') return failures.at(-1)!
    const counts = new Map<string, number>()
    for (const failure of failures) counts.set(failure, (counts.get(failure) ?? 0) + 1)
    if (failures.length === 1) return failures[0]!
    return [...counts].map(([failure, count]) => `${count} errors like: ${failure}`).join('; ')
  }

  /** The tenant's rate, then the size that gRPC carries to the ingester: each refuses all of the push. */
  #limit(tenantName: string, streams: CheckedStream[], nowMs: number): LokiAnswer | null {
    const { limits } = this
    let bytes = 0
    let lines = 0
    for (const { entries } of streams) {
      lines += entries.length
      for (const entry of entries) bytes += entryBytes(entry)
    }
    let answer: LokiAnswer | null = null
    const size = wireBytes(streams.map(({ labelSet, entries }) => ({ labels: labelSet, entries })))
    if (!this.#tenant(tenantName).bucket.tryTake(bytes, nowMs))
      answer = errorAnswer(
        429,
        `ingestion rate limit exceeded for user ${tenantName} (limit: ${Math.trunc(limits.ingestBytesPerSecond)} bytes/sec) while attempting to ingest '${lines}' lines totaling '${bytes}' bytes, reduce log volume or contact your Loki administrator to see if the limit can be increased`,
      )
    else if (size > limits.pushBytesMax)
      answer = errorAnswer(
        500,
        `rpc error: code = ResourceExhausted desc = grpc: received message larger than max (${size} vs. ${limits.pushBytesMax})`,
      )
    if (answer !== null) this.counts.refused += lines
    return answer
  }

  /** Stores stream by stream. Each result replaces the one before, so that only the last stream's is told. */
  #ingest(tenantName: string, streams: CheckedStream[], nowMs: number): LokiAnswer | null {
    const tenant = this.#tenant(tenantName)
    let told: LokiAnswer | null = null
    for (const { pairs, labelSet, entries } of streams) {
      let stream = tenant.streams.get(labelSet)
      if (stream === undefined) {
        if (tenant.streams.size >= this.limits.streamsMax) {
          told = errorAnswer(
            429,
            `maximum active stream limit exceeded when trying to create stream ${labelSet}, reduce the number of active streams (reduce labels or reduce label values), or contact your Loki administrator to see if the limit can be increased, user: '${tenantName}'`,
          )
          this.counts.refused += entries.length
          continue
        }
        stream = new LokiStream(pairs, labelSet, this.limits)
        tenant.streams.set(labelSet, stream)
      }
      const { fresh, skipped, refused, limited } = stream.admit(entries, nowMs)
      for (const entry of fresh) this.#store(tenantName, stream, entry, false)
      for (const entry of skipped) this.#store(tenantName, stream, entry, true)
      this.counts.refused += refused.length
      if (refused.length === 0) told = null
      else {
        const named = refused
          .slice(0, this.limits.refusalsNamedMax)
          .map(
            ({ timestampNs, reason }) => `entry with timestamp ${goTime(timestampNs)} ignored, reason: '${reason}',\n`,
          )
        const total = `user '${tenantName}', total ignored: ${refused.length} out of ${entries.length} for stream: ${labelSet}`
        told = errorAnswer(limited ? 429 : 400, named.join('') + total)
      }
    }
    return told
  }

  #store(tenantName: string, stream: LokiStream, entry: PushEntry, repeatsLast: boolean): void {
    const { counts } = this
    counts.accepted++
    counts.lineBytes += entry.line.length
    if (this.#keep ? stream.store(entry).pushes > 1 : repeatsLast) counts.repeated++
    this.#onEntry?.(stream.labels, entry.timestampNs, entry.line, metadataRecord(entry.metadata), tenantName)
  }

  #tenant(name: string): Tenant {
    let tenant = this.#tenants.get(name)
    if (tenant === undefined) {
      const { ingestBytesPerSecond, ingestBurstBytes } = this.limits
      tenant = { streams: new Map(), bucket: new TokenBucket(ingestBytesPerSecond, ingestBurstBytes) }
      this.#tenants.set(name, tenant)
    }
    return tenant
  }
}

function normalEntry(entry: PushEntry): PushEntry {
  const metadata = normalMetadata(entry.metadata)
  return metadata === entry.metadata ? entry : { ...entry, metadata }
}
