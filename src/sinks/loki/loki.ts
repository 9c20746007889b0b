// The Loki sink: lanes by label set, entries as protobuf, pushes under Loki's own rules. Several calm lanes share a push;
// a lane that may be refused goes alone, each of its two streams in a push of its own.
import type { Part } from '../../batch/part.ts'
import type { Segment, Shipment } from '../../batch/shipment.ts'
import type { LokiSinkConfig } from '../../config/config.ts'
import { backoffDelayMs } from '../../core/backoff.ts'
import type { Events } from '../../core/events.ts'
import { type LabelContext, type Labels, labelsOf } from '../../core/labels.ts'
import type { DeadLetters } from '../../deliver/dead-letter.ts'
import type { LineageInfo } from '../../discover/lineage-info.ts'
import type { Clock } from '../../ports/clock.ts'
import type { HttpClient, HttpClientFactory } from '../../ports/http.ts'
import type { Random } from '../../ports/random.ts'
import type { Refused, SegmentResult, Sink, SinkState, Target } from '../sink.ts'
import { authorization } from './authorization.ts'
import { Conversation } from './conversation.ts'
import { LokiEntryEncoder } from './encode.ts'
import { type Answer, LokiRequests } from './requests.ts'
import { LokiLane } from './stream.ts'
import { Stretch } from './stretch.ts'
import { closeStream, labelSet } from './wire.ts'

/** After so many failures in company a lane goes alone, so that a poisonous record elsewhere cannot hold it. */
const SHARED_ATTEMPTS_MAX = 3

export interface LokiSinkDeps {
  clock: Clock
  random: Random
  events: Events
  deadLetters: DeadLetters
  createHttpClient: HttpClientFactory
  context: Pick<LabelContext, 'clusterName' | 'nodeName'>
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
  readonly #abort = new AbortController()
  #retrying = new Set<string>()
  #halted = false

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

  target(info: LineageInfo): Target {
    const labels = labelsOf(info, { ...this.#deps.context, labels: this.#config.labels })
    const key = labelSet(labels)
    let lane = this.#lanes.get(key)
    if (lane === undefined) {
      lane = new LokiLane(key, labels, info.sourceType === 'containers')
      this.#lanes.set(key, lane)
    }
    return { key, encoder: new LokiEntryEncoder(lane, this.#metadataOf(info)) }
  }

  mayShare(laneKey: string): boolean {
    return this.#lanes.get(laneKey)?.mayShare ?? false
  }

  beginSegment(part: Part, laneKey: string, stream: number): void {
    const target = this.#lane(laneKey).streams[stream as 0 | 1]
    target.begin()
    part.reserve(target.header.length)
    part.end += target.header.copy(part.buffer, part.end)
  }

  endSegment(part: Part, segment: Segment, stream: number): void {
    closeStream(part.buffer, segment.starts[stream as 0 | 1], part.end)
  }

  async ship(shipment: Shipment): Promise<SegmentResult[]> {
    const segments = shipment.segments.filter((segment) => streamsOf(segment).length > 0)
    if (segments.length === 1) return [await this.#shipAlone(shipment, segments[0] as Segment)]
    return this.#shipTogether(shipment, segments)
  }

  forget(laneKey: string): void {
    this.#lanes.delete(laneKey)
    this.#retrying.delete(laneKey)
  }

  status(): SinkState {
    const { lastError, inFlight, requests, retries, requestSeconds } = this.#requests
    const state = this.#halted ? 'halted' : this.#retrying.size > 0 ? 'retrying' : 'ok'
    return { state, lastError, requestsInFlight: inFlight, requests, retries, requestSeconds }
  }

  /** Ends waits and connections; what is under way ends as a failure. */
  async close(): Promise<void> {
    this.#abort.abort()
    await this.#http.close()
  }

  /** Each stream in a push of its own, one after the other. */
  async #shipAlone(shipment: Shipment, segment: Segment): Promise<SegmentResult> {
    const lane = this.#lane(segment.lane.key)
    const ackedStreams: number[] = []
    const refused: Refused[] = []
    for (const stream of streamsOf(segment)) {
      const part = shipment.parts[stream]
      const body = part.buffer.subarray(segment.starts[stream], segment.ends[stream])
      const answer = await this.#requests.push(body)
      if (answer.outcome.kind === 'delivered') {
        this.#delivered(lane, stream, body.length)
        ackedStreams.push(stream)
        continue
      }
      this.#noteFailure(lane, answer)
      const end = await this.#converse(lane, segment, stream, part, answer)
      if (end.kind === 'again') {
        const delayMs = this.#failed(lane, end.answer)
        const limit = end.recordsMax === undefined ? {} : { recordsMax: end.recordsMax }
        return { kind: 'again', delayMs, ackedStreams, refused, ...limit }
      }
      this.#delivered(lane, stream, body.length)
      ackedStreams.push(stream)
      refused.push(...end.refused)
    }
    lane.solo = false
    return { kind: 'acked', refused }
  }

  async #converse(lane: LokiLane, segment: Segment, stream: 0 | 1, part: Part, answer: Answer) {
    const { clock, random, events, deadLetters } = this.#deps
    const first = segment.firstRecords[stream]
    const count = segment.endRecords[stream] - first
    const { header } = lane.streams[stream]
    const stretch = new Stretch(part, header, segment.starts[stream], segment.ends[stream], first, count)
    const path = () => segment.shares[0]?.reader.lineage.info.path ?? ''
    const conversation = new Conversation(stretch, stream, lane, path, {
      sink: this.name,
      requests: this.#requests,
      deadLetters,
      events,
      clock,
      random,
      backoff: this.#backoff,
      signal: this.#abort.signal,
    })
    return conversation.run(answer)
  }

  /** Calm lanes in one push: all delivered, or each on its own next time. */
  async #shipTogether(shipment: Shipment, segments: readonly Segment[]): Promise<SegmentResult[]> {
    const now = this.#deps.clock.monotonic()
    const calm = segments.filter((segment) => {
      const { streams } = this.#lane(segment.lane.key)
      return streamsOf(segment).every((stream) => streams[stream].isCalm(now))
    })
    const results = new Map<Segment, SegmentResult>()
    for (const segment of segments) {
      if (!calm.includes(segment)) results.set(segment, this.#alone(segment, 0))
    }
    if (calm.length > 0) {
      const body = bodyOf(shipment, calm, calm.length === segments.length)
      const answer = await this.#requests.push(body)
      const delivered = answer.outcome.kind === 'delivered'
      for (const segment of calm) {
        const lane = this.#lane(segment.lane.key)
        if (delivered) {
          for (const stream of streamsOf(segment)) {
            this.#delivered(lane, stream, segment.ends[stream] - segment.starts[stream])
          }
          results.set(segment, { kind: 'acked', refused: [] })
          continue
        }
        const transient = answer.outcome.kind === 'retry' || answer.outcome.kind === 'halt'
        const delayMs = transient ? this.#failed(lane, answer) : 0
        if (!transient || lane.attempts >= SHARED_ATTEMPTS_MAX) results.set(segment, this.#alone(segment, delayMs))
        else results.set(segment, { kind: 'again', delayMs, ackedStreams: [], refused: [] })
      }
    }
    return segments.map((segment) => results.get(segment) as SegmentResult)
  }

  #alone(segment: Segment, delayMs: number): SegmentResult {
    this.#lane(segment.lane.key).solo = true
    return { kind: 'again', delayMs, ackedStreams: [], refused: [] }
  }

  #delivered(lane: LokiLane, stream: 0 | 1, bytes: number): void {
    lane.streams[stream].delivered(this.#deps.clock.monotonic(), bytes)
    this.#halted = false
    lane.sameError = { signature: '', count: 0, since: 0 }
    if (lane.attempts === 0) return
    const { attempts } = lane
    lane.attempts = 0
    this.#retrying.delete(lane.key)
    this.#deps.events.emit('sink.recovered', { sink: this.name, lane: lane.key, attempts })
  }

  #noteFailure(lane: LokiLane, answer: Answer): void {
    if (lane.sameError.signature === answer.same) lane.sameError.count++
    else lane.sameError = { signature: answer.same, count: 1, since: this.#deps.clock.monotonic() }
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
      this.#halted = true
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

  #metadataOf(info: LineageInfo): Labels {
    const metadata: Labels = {}
    for (const name of this.#config.structuredMetadata) {
      if (name === 'pod_uid' && info.podUid !== '') metadata.pod_uid = info.podUid
    }
    return metadata
  }

  #lane(key: string): LokiLane {
    const lane = this.#lanes.get(key)
    if (lane === undefined) throw new Error(`no lane for ${key}`)
    return lane
  }
}

/** The source streams of which a segment holds records. */
function streamsOf(segment: Segment): (0 | 1)[] {
  const streams: (0 | 1)[] = []
  if (segment.endRecords[0] > segment.firstRecords[0]) streams.push(0)
  if (segment.endRecords[1] > segment.firstRecords[1]) streams.push(1)
  return streams
}

/** The push of several segments. A PushRequest is its streams one after the other, so the parts are joined as they are. */
function bodyOf(shipment: Shipment, segments: readonly Segment[], all: boolean): Buffer {
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
