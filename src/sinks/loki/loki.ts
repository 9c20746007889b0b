// The Loki sink: lanes by label set, entries as protobuf, pushes under Loki's own rules. Several calm lanes share a push;
// a lane that may be refused goes alone, each of its two streams in a push of its own.
import { Lane } from '../../batch/lane.ts'
import { Part } from '../../batch/part.ts'
import type { Segment, Shipment } from '../../batch/shipment.ts'
import type { Target } from '../../batch/target.ts'
import type { LokiSinkConfig } from '../../config/config.ts'
import type { Events } from '../../core/events.ts'
import { fieldName, fieldText } from '../../core/fields.ts'
import { type LabelContext, type Labels, labelsOf } from '../../core/labels.ts'
import type { LineageInfo } from '../../core/lineage-info.ts'
import type { Metadata } from '../../core/metadata.ts'
import type { DeadLetter, DeadLetters } from '../../deliver/dead-letter.ts'
import type { Resent } from '../../deliver/replay.ts'
import type { Clock } from '../../ports/clock.ts'
import type { HttpClient, HttpClientFactory } from '../../ports/http.ts'
import type { Random } from '../../ports/random.ts'
import { authorization } from '../authorization.ts'
import type { Refused, SegmentResult, Sink, SinkState } from '../sink.ts'
import { LokiAuditEncoder } from './audit.ts'
import { AuditShipping } from './audit-shipping.ts'
import { AuditStreams, VERBS } from './audit-streams.ts'
import { Burial, forgetLetters } from './burial.ts'
import { Conversation } from './conversation.ts'
import { LokiEntryEncoder } from './encode.ts'
import { EventsAtOnce } from './events.ts'
import { LokiFailures } from './failures.ts'
import { LokiLane } from './lane.ts'
import { type Answer, LokiRequests } from './requests.ts'
import type { RowsAtOnce } from './rows.ts'
import { bodyOf, type Load, recordsIn, segmentOf, streamsOf, stretchOf } from './segments.ts'
import { compressByPackage, Snappy } from './snappy.ts'
import { SPAN_SECONDS_MAX } from './stream.ts'
import { entriesWithin } from './stretch.ts'
import { closeStream, labelSet } from './wire.ts'

/** Open lines may come to their end with a record and be written with it. */
const FORCED_RECORDS_MAX = 3
/** What most segments come to. */
const ACKED: SegmentResult = { kind: 'acked', refused: [] }
/** After so many failures in company a lane goes alone, so that a poisonous record elsewhere cannot hold it. */
const SHARED_ATTEMPTS_MAX = 3

export interface LokiSinkDeps {
  clock: Clock
  random: Random
  events: Events
  deadLetters: DeadLetters
  createHttpClient: HttpClientFactory
  context: Pick<LabelContext, 'clusterName'>
  /** Null: rows are taken one by one. */
  rowsAtOnce: RowsAtOnce | null
}

export class LokiSink implements Sink {
  readonly name: string
  readonly type = 'loki'
  readonly batchBytesMax: number
  readonly batchAgeMaxMs: number
  readonly concurrency: number
  readonly lineBytesMax: number
  readonly separateStreams = true
  readonly #config: LokiSinkConfig
  readonly #deps: LokiSinkDeps
  readonly #http: HttpClient
  readonly #requests: LokiRequests
  readonly #lanes = new Map<string, LokiLane>()
  readonly #failures: LokiFailures
  readonly #auditShipping: AuditShipping
  readonly #snappy: Snappy | null
  #events: EventsAtOnce | null = null
  /** While letters are sent again: those that were refused, their index as the offset. */
  #refusedLetters: DeadLetter[] | null = null

  constructor(config: LokiSinkConfig, deps: LokiSinkDeps) {
    this.name = config.name
    this.batchBytesMax = config.batchBytesMax
    this.batchAgeMaxMs = config.batchAgeMax
    this.concurrency = config.concurrency
    this.lineBytesMax = config.lineBytesMax
    this.#config = config
    this.#deps = deps
    const { rowsAtOnce } = deps
    this.#snappy = rowsAtOnce === null ? null : new Snappy(rowsAtOnce.shared)
    const url = new URL(config.url)
    const connections = config.concurrency
    this.#http = deps.createHttpClient(
      url.origin,
      config.tls === null ? { connections } : { connections, tls: config.tls },
    )
    this.#requests = new LokiRequests(this.#http, deps.clock, {
      path: url.pathname + url.search,
      tenant: config.tenant,
      authorization: authorization(config.auth),
      timeoutMs: config.requestTimeout,
      compress: this.#snappy?.compress ?? compressByPackage,
    })
    const { name } = this
    const backoff = { delayMsMin: config.retryDelayMin, delayMsMax: config.retryDelayMax }
    this.#failures = new LokiFailures({
      sink: name,
      backoff,
      retried: (status) => this.#requests.counts.retried(status),
      ...deps,
    })
    this.#auditShipping = new AuditShipping({
      sink: name,
      bytesMax: this.batchBytesMax,
      requests: this.#requests,
      failures: this.#failures,
      ...deps,
    })
  }

  target(info: LineageInfo, metadata: Metadata): Target {
    const { labels: constants, labelsFrom, profile } = this.#config
    const without = profile === 'lowCardinality' ? ['pod'] : []
    const labels = labelsOf(info, metadata, { ...this.#deps.context, labels: constants, labelsFrom, without })
    const tenant = this.#tenantOf(info, metadata)
    const key = laneKey(tenant, labels)
    let lane = this.#lanes.get(key)
    if (lane === undefined) {
      lane = new LokiLane(key, labels, info.pod !== '', tenant)
      if (info.sourceType === 'audit')
        lane.audit = new AuditStreams(labels, lane.streams, this.batchBytesMax, this.#snappy)
      this.#lanes.set(key, lane)
    }
    if (lane.audit !== null) {
      return { key, encoder: new LokiAuditEncoder(lane, lane.audit, this.#structured(metadata), this.#eventsAtOnce()) }
    }
    return { key, encoder: new LokiEntryEncoder(lane, this.#structured(metadata), this.#deps.rowsAtOnce) }
  }

  /** Made when there is an audit log. */
  #eventsAtOnce(): EventsAtOnce | null {
    const { rowsAtOnce } = this.#deps
    if (rowsAtOnce === null || this.#snappy === null) return null
    this.#events ??= new EventsAtOnce(rowsAtOnce.shared, VERBS, this.#snappy)
    return this.#events
  }

  /** What pods name is never for audit events. A sink's own tenant is the same lane, whoever names it. */
  #tenantOf({ sourceType }: LineageInfo, { tenant }: Metadata): string | null {
    return sourceType === 'audit' || tenant === undefined || tenant === this.#config.tenant ? null : tenant
  }

  mayShare(laneKey: string, withKey: string = laneKey): boolean {
    const lane = this.#lanes.get(laneKey)
    return lane?.mayShare(this.#now) === true && lane.tenant === this.#lanes.get(withKey)?.tenant
  }

  /** Each stream of audit events has a push of its own. */
  moreBytes(laneKey: string, { parts }: Pick<Shipment, 'parts'>): number {
    return this.#lane(laneKey).audit?.bytesLeft(parts) ?? 0
  }

  beginSegment(part: Part, laneKey: string, stream: number): void {
    const target = this.#lane(laneKey).streams[stream as 0 | 1]
    target.begin()
    this.#lane(laneKey).audit?.begin()
    part.reserve(target.header.length)
    part.end += target.header.copy(part.buffer, part.end)
  }

  endSegment(part: Part, segment: Segment, stream: number): void {
    closeStream(part.buffer, segment.starts[stream as 0 | 1], part.end)
  }

  async ship(shipment: Load): Promise<SegmentResult[]> {
    const segments = shipment.segments.filter((segment) => streamsOf(segment).length > 0)
    for (const segment of segments) this.#lane(segment.lane.key).audit?.shipping()
    const wide = segments.map((segment) => this.#tooWide(shipment, segment))
    const ready = segments.filter((_, index) => wide[index] === null)
    const results = (await this.#shipReady(shipment, ready)).values()
    return wide.map((again) => again ?? (results.next().value as SegmentResult))
  }

  async #shipReady(shipment: Load, segments: readonly Segment[]): Promise<SegmentResult[]> {
    if (segments.length > 1) return this.#shipTogether(shipment, segments)
    return Promise.all(
      segments.map((segment) =>
        this.#lane(segment.lane.key).audit === null
          ? this.#shipAlone(shipment, segment)
          : this.#auditShipping.ship(shipment, segment, this.#lane(segment.lane.key)),
      ),
    )
  }

  outrunsCheckpoint(segment: Segment): boolean {
    const { streams, audit } = this.#lane(segment.lane.key)
    if (audit !== null) return audit.streams.some((stream) => stream.outrunsCheckpoint)
    return streamsOf(segment).some((stream) => streams[stream].outrunsCheckpoint)
  }

  checkpointing(): void {
    for (const { streams, audit } of this.#lanes.values()) {
      for (const stream of audit?.streams ?? streams) stream.checkpointing()
    }
  }

  forget(laneKey: string): void {
    this.#lanes.delete(laneKey)
    this.#failures.forget(laneKey)
  }

  status(): SinkState {
    const { lastError, inFlight, requests, retries, requestSeconds } = this.#requests.counts
    return { state: this.#failures.state, lastError, requestsInFlight: inFlight, requests, retries, requestSeconds }
  }

  /** Each letter is the entry that it was, in the stream of its labels. */
  async resend(letters: readonly DeadLetter[]): Promise<Resent> {
    const { labels = {}, tenant = null } = letters[0] ?? {}
    const key = `replay ${laneKey(tenant, labels)}`
    let lane = this.#lanes.get(key)
    if (lane === undefined) this.#lanes.set(key, (lane = new LokiLane(key, labels, false, tenant)))
    // An earlier attempt is repeated as a whole.
    lane.streams[0].buried = null
    const part = new Part(this.batchBytesMax)
    const segment = segmentOf(new Lane(key), letters.length)
    this.beginSegment(part, key, 0)
    const encoder = new LokiEntryEncoder(lane, {})
    for (const [index, letter] of letters.entries()) encoder.writeLetter(part, letter, index)
    segment.ends[0] = part.end
    this.endSegment(part, segment, 0)
    this.#refusedLetters = []
    const [result] = await this.ship({ parts: [part, new Part(0)], segments: [segment] })
    const refused = new Map(this.#refusedLetters.map((letter) => [letter.offset, letter]))
    this.#refusedLetters = null
    if (result === undefined || result.kind === 'acked') return { kind: 'done', refused }
    const { delayMs, recordsMax } = result
    return {
      kind: 'again',
      delayMs,
      halted: this.#failures.isHalted(key),
      ...(recordsMax !== undefined && { recordsMax }),
    }
  }

  /** Ends the connections; what is under way ends as a failure. */
  async close(): Promise<void> {
    await this.#http.close()
  }

  /** Each stream in a push of its own, one after the other. */
  async #shipAlone(shipment: Load, segment: Segment): Promise<SegmentResult> {
    const lane = this.#lane(segment.lane.key)
    const ackedStreams: number[] = []
    const refused: Refused[] = []
    for (const stream of streamsOf(segment)) {
      const target = lane.streams[stream]
      const part = shipment.parts[stream]
      const body = part.buffer.subarray(segment.starts[stream], segment.ends[stream])
      const answer = await this.#requests.push(body, lane.tenant)
      target.pushed(this.#now, body.length)
      if (answer.outcome.kind === 'delivered') target.delivered(this.#now, target.pendingNewest)
      else {
        if (answer.status === 500) lane.suspicion.note()
        const conversation = this.#conversation(lane, segment, stream, part)
        const end = await conversation.run(answer)
        if (end.kind === 'again') {
          const delayMs = this.#failures.failed(lane, end.answer)
          const limit = end.recordsMax === undefined ? {} : { recordsMax: end.recordsMax }
          return { kind: 'again', delayMs, ackedStreams, refused, ...limit }
        }
        // A stream of which nothing was taken stays alone.
        if (conversation.hasStored) target.delivered(this.#now, conversation.newestSeconds)
        refused.push(...end.refused)
      }
      forgetLetters(segment, stream, target, part)
      ackedStreams.push(stream)
    }
    // Not one stream by itself: what is taken of one, each time, is no news of the other, which fails each time.
    this.#failures.settled(lane)
    lane.solo = false
    return { kind: 'acked', refused }
  }

  #conversation(lane: LokiLane, segment: Segment, stream: 0 | 1, part: Part): Conversation {
    const { clock, events } = this.#deps
    const collected = this.#refusedLetters
    const deadLetters =
      collected === null
        ? this.#deps.deadLetters
        : { write: async (letters: readonly DeadLetter[]) => void collected.push(...letters) }
    const target = lane.streams[stream]
    const stretch = stretchOf(lane, segment, stream, part)
    const { name: sink } = this
    const { tenant } = lane
    const burial = new Burial(segment, stream, target, stretch, { sink, tenant, deadLetters, events, clock })
    return new Conversation(stretch, target, lane, burial, { sink, requests: this.#requests, events })
  }

  /** Calm lanes in one push: all delivered, or each on its own next time. */
  async #shipTogether(shipment: Load, segments: readonly Segment[]): Promise<SegmentResult[]> {
    const now = this.#now
    const { tenant } = this.#lane((segments[0] as Segment).lane.key)
    const alone = segments.map((segment) => {
      const lane = this.#lane(segment.lane.key)
      const isCalm = lane.tenant === tenant && streamsOf(segment).every((stream) => lane.streams[stream].isCalm(now))
      return isCalm ? null : this.#alone(segment)
    })
    const calm = segments.filter((_, index) => alone[index] === null)
    if (calm.length === 0) return alone as SegmentResult[]
    const all = shipment.segments.filter((segment) => streamsOf(segment).length > 0)
    const answer = await this.#requests.push(bodyOf(shipment, calm, calm.length === all.length), tenant)
    return alone.map((result, index) => result ?? this.#toldTogether(segments[index] as Segment, answer))
  }

  /** What the answer to a push of several streams means for one of them. */
  #toldTogether(segment: Segment, answer: Answer): SegmentResult {
    const lane = this.#lane(segment.lane.key)
    const { outcome } = answer
    for (const stream of streamsOf(segment)) {
      lane.streams[stream].pushed(this.#now, segment.ends[stream] - segment.starts[stream])
    }
    if (outcome.kind === 'delivered') {
      for (const stream of streamsOf(segment)) {
        const target = lane.streams[stream]
        target.delivered(this.#now, target.pendingNewest)
      }
      this.#failures.settled(lane)
      return ACKED
    }
    // Somebody's own limit: the others need not wait for it.
    const isOnes =
      outcome.kind === 'retry' && (outcome.reason === 'per_stream_rate_limited' || outcome.reason === 'stream_limit')
    if (isOnes || outcome.kind === 'refused' || outcome.kind === 'split') return this.#alone(segment)
    const delayMs = this.#failures.failed(lane, answer)
    const isEverybodys = outcome.kind === 'halt' || answer.status === 429
    if (!isEverybodys && lane.attempts >= SHARED_ATTEMPTS_MAX) lane.solo = true
    return { kind: 'again', delayMs, ackedStreams: [], refused: [] }
  }

  /** To be sent in a shipment of its own, at once. */
  #alone(segment: Segment): SegmentResult {
    this.#lane(segment.lane.key).solo = true
    return { kind: 'again', delayMs: 0, ackedStreams: [], refused: [] }
  }

  /**
   * A segment whose entries lie too far apart is to be read again, less of it; null when they do not. (Open lines that come
   * to their end together are let through as they are.)
   */
  #tooWide(shipment: Load, segment: Segment): SegmentResult | null {
    const lane = this.#lane(segment.lane.key)
    if (lane.needsNeighbours) return null
    let recordsMax = Number.POSITIVE_INFINITY
    for (const stream of streamsOf(segment)) {
      const { pendingOldest, pendingNewest, header } = lane.streams[stream]
      if (pendingNewest - pendingOldest <= SPAN_SECONDS_MAX) continue
      const part = shipment.parts[stream]
      const end = segment.ends[stream]
      const entries = lane.audit?.entries(stream, part, end) ?? [
        part.buffer.subarray(segment.starts[stream] + header.length, end),
      ]
      recordsMax = Math.min(recordsMax, entriesWithin(entries, SPAN_SECONDS_MAX))
    }
    if (recordsMax === Number.POSITIVE_INFINITY || recordsIn(segment) <= FORCED_RECORDS_MAX) return null
    return { kind: 'again', delayMs: 0, recordsMax, ackedStreams: [], refused: [] }
  }

  get #now(): number {
    return this.#deps.clock.monotonic()
  }

  #structured(metadata: Metadata): Labels {
    const { structuredMetadata, profile } = this.#config
    // What no label says any more must be said elsewhere.
    const fields = profile === 'lowCardinality' ? new Set(['pod', ...structuredMetadata]) : structuredMetadata
    const pairs: Labels = {}
    for (const field of fields) {
      const value = fieldText(metadata, field)
      if (value !== '') pairs[fieldName(field)] = value
    }
    if (metadata.mark !== '') pairs.metadata = metadata.mark
    return pairs
  }

  #lane(key: string): LokiLane {
    const lane = this.#lanes.get(key)
    if (lane === undefined) throw new Error(`no lane for ${key}`)
    return lane
  }
}

/** The lane of a label set; another one for each tenant that is not the sink's own (null). */
function laneKey(tenant: string | null, labels: Labels): string {
  return tenant === null ? labelSet(labels) : `${tenant} ${labelSet(labels)}`
}
