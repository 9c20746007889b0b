// The Loki sink: lanes by label set, entries as protobuf, pushes under Loki's own rules. Several calm lanes share a push;
// a lane that may be refused goes alone, each of its two streams in a push of its own.
import { Lane } from '../../batch/lane.ts'
import { Part } from '../../batch/part.ts'
import type { Segment, Shipment } from '../../batch/shipment.ts'
import type { Target } from '../../batch/target.ts'
import type { LokiSinkConfig } from '../../config/config.ts'
import { backoffDelayMs } from '../../core/backoff.ts'
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
import { type AuditGroup, AuditStreams, VERBS } from './audit-streams.ts'
import { Burial, forgetLetters } from './burial.ts'
import { Conversation, type ConversationEnd } from './conversation.ts'
import { LokiEntryEncoder } from './encode.ts'
import { EventsAtOnce } from './events.ts'
import { LokiLane } from './lane.ts'
import { type Answer, LokiRequests } from './requests.ts'
import type { RowsAtOnce } from './rows.ts'
import { SPAN_SECONDS_MAX } from './stream.ts'
import { entriesWithin, Stretch } from './stretch.ts'
import { closeStream, labelSet } from './wire.ts'

/** Open lines may come to their end with a record and be written with it. */
const FORCED_RECORDS_MAX = 3
/** After so many failures in company a lane goes alone, so that a poisonous record elsewhere cannot hold it. */
const SHARED_ATTEMPTS_MAX = 3

/** What of a shipment is sent. */
type Load = Pick<Shipment, 'parts' | 'segments'>

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
  readonly #backoff: { delayMsMin: number; delayMsMax: number }
  #retrying = new Set<string>()
  #events: EventsAtOnce | null = null
  /** Lanes whose last answer was one that no repeat mends: a tenant may be refused while the others are served. */
  readonly #halted = new Set<string>()
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
    })
    this.#backoff = { delayMsMin: config.retryDelayMin, delayMsMax: config.retryDelayMax }
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
      if (info.sourceType === 'audit') lane.audit = new AuditStreams(labels, lane.streams)
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
    if (this.#events === null && rowsAtOnce !== null) this.#events = new EventsAtOnce(rowsAtOnce.shared, VERBS)
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
    const wide = new Map<Segment, SegmentResult>()
    for (const segment of segments) {
      const again = this.#tooWide(shipment, segment)
      if (again !== null) wide.set(segment, again)
    }
    const ready = segments.filter((segment) => !wide.has(segment))
    const results = await this.#shipReady(shipment, ready)
    return segments.map((segment) => wide.get(segment) ?? (results[ready.indexOf(segment)] as SegmentResult))
  }

  async #shipReady(shipment: Load, segments: readonly Segment[]): Promise<SegmentResult[]> {
    if (segments.length > 1) return this.#shipTogether(shipment, segments)
    return Promise.all(
      segments.map((segment) =>
        this.#lane(segment.lane.key).audit === null
          ? this.#shipAlone(shipment, segment)
          : this.#shipAudit(shipment, segment),
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
    this.#retrying.delete(laneKey)
    this.#halted.delete(laneKey)
  }

  status(): SinkState {
    const { lastError, inFlight, requests, retries, requestSeconds } = this.#requests
    const state = this.#halted.size > 0 ? 'halted' : this.#retrying.size > 0 ? 'retrying' : 'ok'
    return { state, lastError, requestsInFlight: inFlight, requests, retries, requestSeconds }
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
    return { kind: 'again', delayMs, halted: this.#halted.has(key), ...(recordsMax !== undefined && { recordsMax }) }
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
        if (answer.status === 500) lane.serverErrors++
        const conversation = this.#conversation(lane, segment, stream, part)
        const end = await conversation.run(answer)
        if (end.kind === 'again') {
          const delayMs = this.#failed(lane, end.answer)
          const limit = end.recordsMax === undefined ? {} : { recordsMax: end.recordsMax }
          return { kind: 'again', delayMs, ackedStreams, refused, ...limit }
        }
        // A stream of which nothing was taken stays alone.
        if (conversation.hasStored) target.delivered(this.#now, conversation.newestSeconds)
        refused.push(...end.refused)
      }
      forgetLetters(segment, stream, target, part)
      this.#settled(lane)
      ackedStreams.push(stream)
    }
    lane.solo = false
    return { kind: 'acked', refused }
  }

  /**
   * Audit events: a stream for each stage and verb. Calm ones share a push, with one other at its end; the rest have one of
   * their own; all that are not done with by this are sent again.
   */
  async #shipAudit(shipment: Load, segment: Segment): Promise<SegmentResult> {
    const lane = this.#lane(segment.lane.key)
    const audit = lane.audit as AuditStreams
    const refused: Refused[] = []
    let failure: { answer: Answer; recordsMax?: number } | null = null
    for (const index of streamsOf(segment)) {
      const part = shipment.parts[index]
      const groups = audit.groups(index)
      const messagesOf = (some: readonly AuditGroup[]) => audit.body(index, part, segment.ends[index], some)
      const now = this.#now
      const together = sharing(groups, now)
      const rest = groups.filter((group) => !together.includes(group))
      if (together.length > 0) {
        const answer = await this.#requests.push(messagesOf(together), lane.tenant)
        for (const { stream, bytes } of together) stream.pushed(this.#now, bytes)
        if (answer.outcome.kind !== 'delivered') rest.push(...together)
        else for (const group of together) this.#storedAudit(group)
      }
      // A push has compressed its body when it returns: the next may be put together in the same memory.
      const ends = await Promise.all(
        rest.map((group) => {
          const answer = this.#requests.push(messagesOf([group]), lane.tenant)
          return this.#answeredAudit(lane, audit, segment, index, part, group, answer)
        }),
      )
      for (const end of ends) {
        if (end.kind === 'again') failure ??= end
        else refused.push(...end.refused)
      }
    }
    if (failure !== null) {
      const limit = failure.recordsMax === undefined ? {} : { recordsMax: failure.recordsMax }
      return { kind: 'again', delayMs: this.#failed(lane, failure.answer), ackedStreams: [], refused: [], ...limit }
    }
    for (const index of streamsOf(segment)) {
      for (const stream of audit.streams) forgetLetters(segment, index, stream, shipment.parts[index])
    }
    audit.settled()
    this.#settled(lane)
    return { kind: 'acked', refused }
  }

  /** What becomes of one stream's records of a segment that were in a push of their own. */
  async #answeredAudit(
    lane: LokiLane,
    audit: AuditStreams,
    segment: Segment,
    index: 0 | 1,
    part: Part,
    group: AuditGroup,
    push: Promise<Answer>,
  ): Promise<ConversationEnd> {
    const { stream, bytes } = group
    const answer = await push
    stream.pushed(this.#now, bytes)
    if (answer.outcome.kind === 'delivered') {
      this.#storedAudit(group)
      return { kind: 'settled', refused: [] }
    }
    stream.refused()
    if (answer.status === 500) lane.serverErrors++
    const own = this.#stretch(lane, segment, index, part)
    const first = segment.firstRecords[index]
    const records = audit.recordsOf(index, group, segment.endRecords[index])
    own.restrict(
      records.map((record) => record - first),
      stream.header,
    )
    const { clock, events, deadLetters } = this.#deps
    const { name: sink } = this
    const burial = new Burial(segment, index, stream, own, { sink, tenant: lane.tenant, deadLetters, events, clock })
    const conversation = new Conversation(own, stream, lane, burial, { sink, requests: this.#requests, events })
    const end = await conversation.run(answer)
    if (conversation.hasStored) stream.delivered(this.#now, conversation.newestSeconds)
    return end
  }

  /** All of a stream's records in the shipment were delivered. */
  #storedAudit({ stream }: AuditGroup): void {
    stream.delivered(this.#now, stream.pendingNewest)
    if (stream.pendingFile !== null) stream.stored(stream.pendingFile, stream.pendingOffset)
  }

  #stretch(lane: LokiLane, segment: Segment, index: 0 | 1, part: Part): Stretch {
    const first = segment.firstRecords[index]
    const { header } = lane.streams[index]
    const { starts, ends, endRecords } = segment
    return new Stretch(part, header, starts[index], ends[index], first, endRecords[index] - first)
  }

  #conversation(lane: LokiLane, segment: Segment, stream: 0 | 1, part: Part): Conversation {
    const { clock, events } = this.#deps
    const collected = this.#refusedLetters
    const deadLetters =
      collected === null
        ? this.#deps.deadLetters
        : { write: async (letters: readonly DeadLetter[]) => void collected.push(...letters) }
    const target = lane.streams[stream]
    const stretch = this.#stretch(lane, segment, stream, part)
    const { name: sink } = this
    const { tenant } = lane
    const burial = new Burial(segment, stream, target, stretch, { sink, tenant, deadLetters, events, clock })
    return new Conversation(stretch, target, lane, burial, { sink, requests: this.#requests, events })
  }

  /** Calm lanes in one push: all delivered, or each on its own next time. */
  async #shipTogether(shipment: Load, segments: readonly Segment[]): Promise<SegmentResult[]> {
    const now = this.#now
    const { tenant } = this.#lane((segments[0] as Segment).lane.key)
    const calm = segments.filter((segment) => {
      const lane = this.#lane(segment.lane.key)
      return lane.tenant === tenant && streamsOf(segment).every((stream) => lane.streams[stream].isCalm(now))
    })
    const results = new Map<Segment, SegmentResult>()
    for (const segment of segments) {
      if (!calm.includes(segment)) results.set(segment, this.#alone(segment))
    }
    if (calm.length > 0) {
      const all = shipment.segments.filter((segment) => streamsOf(segment).length > 0)
      const answer = await this.#requests.push(bodyOf(shipment, calm, calm.length === all.length), tenant)
      for (const segment of calm) results.set(segment, this.#toldTogether(segment, answer))
    }
    return segments.map((segment) => results.get(segment) as SegmentResult)
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
      this.#settled(lane)
      return { kind: 'acked', refused: [] }
    }
    // Somebody's own limit: the others need not wait for it.
    const isOnes =
      outcome.kind === 'retry' && (outcome.reason === 'per_stream_rate_limited' || outcome.reason === 'stream_limit')
    if (isOnes || outcome.kind === 'refused' || outcome.kind === 'split') return this.#alone(segment)
    const delayMs = this.#failed(lane, answer)
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
      const count = segment.endRecords[stream] - segment.firstRecords[stream]
      const start = segment.starts[stream] + header.length
      recordsMax = Math.min(recordsMax, entriesWithin(shipment.parts[stream], start, count, SPAN_SECONDS_MAX))
    }
    if (recordsMax === Number.POSITIVE_INFINITY || recordsIn(segment) <= FORCED_RECORDS_MAX) return null
    return { kind: 'again', delayMs: 0, recordsMax, ackedStreams: [], refused: [] }
  }

  get #now(): number {
    return this.#deps.clock.monotonic()
  }

  /** Everything of a stream, or of the lane, has come to its end. */
  #settled(lane: LokiLane): void {
    this.#halted.delete(lane.key)
    lane.clearServerErrors()
    if (lane.attempts === 0) return
    const { attempts } = lane
    lane.attempts = 0
    this.#retrying.delete(lane.key)
    this.#deps.events.emit('sink.recovered', { sink: this.name, lane: lane.key, attempts })
  }

  /** Notes a failure that is to be repeated and returns the delay. */
  #failed(lane: LokiLane, answer: Answer): number {
    const { outcome, status } = answer
    const { events, random } = this.#deps
    lane.attempts++
    this.#retrying.add(lane.key)
    const attempt = lane.attempts
    const message = outcome.kind === 'delivered' ? '' : outcome.message
    if (outcome.kind === 'halt') {
      this.#halted.add(lane.key)
      const delayMs = backoffDelayMs(attempt + 4, this.#backoff, random)
      events.emit('sink.halted', { sink: this.name, status, message, delayMs })
      return delayMs
    }
    const afterMs = outcome.kind === 'retry' ? outcome.afterMs : undefined
    const delayMs = backoffDelayMs(attempt, this.#backoff, random, afterMs)
    const code = String(status || 'error')
    this.#requests.retries[code] = (this.#requests.retries[code] ?? 0) + 1
    events.emit('sink.retry', { sink: this.name, lane: lane.key, status, code, message, attempt, delayMs })
    return delayMs
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

/**
 * What of a lane's audit streams shares a push: the calm ones, and as the last one, of which the answer tells, one that is
 * only fast. (Loki divides a push among its ingesters in the order of its streams, so it is the last one of each that gets
 * it.) None where it would be alone.
 */
function sharing(groups: readonly AuditGroup[], now: number): AuditGroup[] {
  const calm = groups.filter(({ stream }) => stream.isCalm(now))
  const last = groups.find((group) => !calm.includes(group) && group.stream.isWelcome(now))
  const together = last === undefined ? calm : [...calm, last]
  return together.length > 1 ? together : []
}

/** The lane of a label set; another one for each tenant that is not the sink's own (null). */
function laneKey(tenant: string | null, labels: Labels): string {
  return tenant === null ? labelSet(labels) : `${tenant} ${labelSet(labels)}`
}

/** A segment of so many records in the first part, which nobody has read from a file. */
function segmentOf(lane: Lane, records: number): Segment {
  return { lane, starts: [0, 0], ends: [0, 0], firstRecords: [0, 0], endRecords: [records, 0], shares: [] }
}

/** The source streams of which a segment holds records. */
function streamsOf(segment: Segment): (0 | 1)[] {
  const streams: (0 | 1)[] = []
  if (segment.endRecords[0] > segment.firstRecords[0]) streams.push(0)
  if (segment.endRecords[1] > segment.firstRecords[1]) streams.push(1)
  return streams
}

function recordsIn(segment: Segment): number {
  const { firstRecords, endRecords } = segment
  return endRecords[0] - firstRecords[0] + endRecords[1] - firstRecords[1]
}

/** The push of several segments. A PushRequest is its streams one after the other, so the parts are joined as they are. */
function bodyOf(shipment: Load, segments: readonly Segment[], all: boolean): Buffer {
  const [out, err] = shipment.parts
  if (all) {
    // Behind the first part's end, in its own buffer: a new one for every push would wait for a collection.
    out.reserve(err.end)
    err.buffer.copy(out.buffer, out.end, 0, err.end)
    return out.buffer.subarray(0, out.end + err.end)
  }
  const pieces: Buffer[] = []
  for (const segment of segments) {
    for (const stream of streamsOf(segment)) {
      pieces.push(shipment.parts[stream].buffer.subarray(segment.starts[stream], segment.ends[stream]))
    }
  }
  return Buffer.concat(pieces)
}
