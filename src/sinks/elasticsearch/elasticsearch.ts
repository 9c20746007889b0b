// The elasticsearch sink: one lane per lineage, documents in bulks that many lanes share, one request per bulk. Which of
// the two products answers makes no difference here. Order between documents is not needed; what is kept is that a lane's
// watermark passes a record only when it is stored, was stored before, or is a dead letter.
import { Part } from '../../batch/part.ts'
import type { Segment, Shipment } from '../../batch/shipment.ts'
import type { ElasticsearchSinkConfig } from '../../config/config.ts'
import { backoffDelayMs } from '../../core/backoff.ts'
import { errorCode, errorMessage } from '../../core/errors.ts'
import type { Events } from '../../core/events.ts'
import type { LineageInfo } from '../../core/lineage-info.ts'
import type { Metadata } from '../../core/metadata.ts'
import type { DeadLetter, DeadLetters } from '../../deliver/dead-letter.ts'
import type { Resent } from '../../deliver/replay.ts'
import { directivesOf } from '../../enrich/directives.ts'
import type { Clock } from '../../ports/clock.ts'
import type { HttpClientFactory, HttpRequest } from '../../ports/http.ts'
import type { Random } from '../../ports/random.ts'
import { authorization } from '../authorization.ts'
import type { SegmentResult, Sink, SinkState, Target } from '../sink.ts'
import { AuditDocumentEncoder, EitherEncoder } from './audit-document.ts'
import { Burial } from './burial.ts'
import type { Sent } from './classify.ts'
import { Conversation, type Refusal } from './conversation.ts'
import { DocumentEncoder } from './document.ts'
import { JSON_ANNOTATION, lineageFields } from './fields.ts'
import { Hosts } from './hosts.ts'
import { logsDataStream, namespaceOf } from './index-names.ts'
import { ElasticLane } from './lane.ts'
import { BulkRecords } from './records.ts'
import { type Answer, BulkRequests } from './requests.ts'
import { type SetupResult, setUp } from './setup.ts'

/** A bulk is not made smaller than this, whatever is said of its size. */
const BULK_BYTES_MIN = 4096
/** After so many server errors for whole bulks a record may be the cause. */
const SERVER_ERRORS_MAX = 3
/** Where none was found it is looked for again after twice as many, but at the latest after so many more. */
const SERVER_ERRORS_MORE_MAX = 32

export interface ElasticsearchSinkDeps {
  clock: Clock
  random: Random
  events: Events
  deadLetters: DeadLetters
  createHttpClient: HttpClientFactory
  context: { clusterName: string }
}

/** Puts what is missing on a sink's cluster. Throws as `setUp` does. */
export async function setUpSink(
  config: ElasticsearchSinkConfig,
  clusterName: string,
  deps: { createHttpClient: HttpClientFactory; clock: Clock },
): Promise<SetupResult[]> {
  const hosts = hostsOf(config, deps)
  try {
    return await setUp(setupOptions(config, clusterName), {
      send: (request) => hosts.send(request),
      authorization: authorization(config.auth),
      timeoutMs: config.requestTimeout,
    })
  } finally {
    await hosts.close()
  }
}

export class ElasticsearchSink implements Sink {
  readonly name: string
  readonly type = 'elasticsearch'
  readonly batchAgeMaxMs: number
  readonly concurrency: number
  readonly lineBytesMax: number
  readonly separateStreams = false
  readonly #config: ElasticsearchSinkConfig
  readonly #deps: ElasticsearchSinkDeps
  readonly #hosts: Hosts
  readonly #requests: BulkRequests
  readonly #lanes = new Map<string, ElasticLane>()
  readonly #retrying = new Set<string>()
  readonly #closing = new AbortController()
  /** Of a bulk, before compression: what is configured, or less once the server has refused that. */
  #bytesMax: number
  readonly #dataStream: string
  #isSetUp: boolean
  #halted = false
  /** For whole bulks, since something was taken. */
  #serverErrors = 0
  #suspectAt = SERVER_ERRORS_MAX

  constructor(config: ElasticsearchSinkConfig, deps: ElasticsearchSinkDeps) {
    this.name = config.name
    this.batchAgeMaxMs = config.batchAgeMax
    this.concurrency = config.concurrency
    this.lineBytesMax = config.lineBytesMax
    this.#config = config
    this.#deps = deps
    this.#bytesMax = config.batchBytesMax
    this.#dataStream = logsDataStream(config.namespace ?? namespaceOf(deps.context.clusterName))
    this.#hosts = hostsOf(config, deps)
    this.#isSetUp = !config.setupAtStart
    this.#requests = new BulkRequests(this.#hosts, deps.clock, {
      index: this.#dataStream,
      authorization: authorization(config.auth),
      timeoutMs: config.requestTimeout,
      gzipLevel: config.gzipLevel,
    })
  }

  get batchBytesMax(): number {
    return this.#bytesMax
  }

  target(info: LineageInfo, metadata: Metadata): Target {
    const { labels, documentIds, expandJson } = this.#config
    const { key } = info
    if (!this.#lanes.has(key)) this.#lanes.set(key, new ElasticLane(key))
    const fields = (stream: 'stdout' | 'stderr') =>
      lineageFields(info, metadata, labels, info.sourceType === 'containers' ? stream : null)
    const { clusterName } = this.#deps.context
    const { podUid, container } = info
    const encoder = new DocumentEncoder({
      index: null,
      hasIds: documentIds,
      owner: podUid !== '' ? [podUid, container] : [clusterName, metadata.node, key],
      fields: [fields('stdout'), fields('stderr')],
      expandsJson:
        directivesOf(metadata.directives ?? {}, container).isJson ??
        isSwitchedOn(metadata.annotations[JSON_ANNOTATION]) ??
        expandJson.includes(info.source),
    })
    if (info.sourceType !== 'audit') return { key, encoder }
    const namespace = this.#config.namespace ?? namespaceOf(clusterName)
    const { node } = metadata
    const audit = new AuditDocumentEncoder({
      namespace,
      clusterName,
      node,
      path: info.path,
      apiServer: info.apiServer,
      hasIds: documentIds,
      labels,
    })
    // In a container's log, lines that are no events are the container's.
    return { key, encoder: podUid === '' ? audit : new EitherEncoder(audit, encoder) }
  }

  mayShare(laneKey: string): boolean {
    return this.#lanes.get(laneKey)?.solo === false
  }

  beginSegment(): void {}
  endSegment(): void {}
  checkpointing(): void {}

  outrunsCheckpoint(): boolean {
    return false
  }

  forget(laneKey: string): void {
    this.#lanes.delete(laneKey)
    this.#retrying.delete(laneKey)
  }

  async ship(shipment: Shipment): Promise<SegmentResult[]> {
    const [part] = shipment.parts
    const segments = shipment.segments.filter((segment) => segment.endRecords[0] > segment.firstRecords[0])
    if (!this.#isSetUp) {
      const failure = await this.#setUp()
      if (failure !== null) {
        const lanes = segments.map((segment) => this.#lane(segment))
        const delayMs = this.#failed(lanes, failure)
        return segments.map(() => ({ kind: 'again', delayMs, ackedStreams: [], refused: [] }))
      }
    }
    const answer = await this.#requests.bulk(part.buffer.subarray(0, part.end), this.#sent(part))
    if (answer.outcome.kind === 'delivered') {
      this.#taken()
      for (const segment of segments) this.#settled(this.#lane(segment))
      return segments.map(() => ({ kind: 'acked', refused: [] }))
    }
    return this.#talk(part, segments, answer)
  }

  status(): SinkState {
    const { lastError, inFlight, requests, retries, requestSeconds } = this.#requests.counts
    const state = this.#halted ? 'halted' : this.#retrying.size > 0 ? 'retrying' : 'ok'
    return { state, lastError, requestsInFlight: inFlight, requests, retries, requestSeconds }
  }

  /** Ends the connections; what is under way ends as a failure. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#hosts.close()
  }

  /** Before anything is sent: a data stream without its template would be made with guessed fields. */
  async #setUp(): Promise<Answer | null> {
    const { auth, requestTimeout: timeoutMs } = this.#config
    const send = (request: HttpRequest) => this.#hosts.send(request)
    try {
      const options = setupOptions(this.#config, this.#deps.context.clusterName)
      await setUp(options, { send, authorization: authorization(auth), timeoutMs })
      this.#isSetUp = true
      return null
    } catch (error) {
      const message = `setup: ${errorMessage(error)}`
      const reason = errorCode(error)
      const kind = reason === 'SETUP_FAILED' ? ('halt' as const) : ('retry' as const)
      return { status: 0, outcome: { kind, reason, message } }
    }
  }

  /** The ids are looked at only when an answer has to be taken apart. */
  #sent(part: Part): Sent {
    let records: BulkRecords | null = null
    const idOf = (index: number) => {
      records ??= new BulkRecords(part)
      return records.action(index)._id as string
    }
    return { count: part.count, idOf: this.#config.documentIds ? idOf : null }
  }

  /** Deals with a bulk that was not simply taken. */
  async #talk(part: Part, segments: readonly Segment[], first: Answer): Promise<SegmentResult[]> {
    const { deadLetters, events, clock } = this.#deps
    const records = new BulkRecords(part)
    const burial = new Burial(records, segments, {
      sink: this.name,
      index: this.#dataStream,
      deadLetters,
      events,
      clock,
      buriedOf: (segment) => this.#lane(segment).buried,
    })
    const [{ lane }] = segments as [Segment]
    const conversation = await this.#converse(records, first, lane.key, (indexes, refusals) =>
      burial.bury(indexes, refusals),
    )
    const { failure } = conversation
    const open = segments.filter((segment) => !isDone(segment, conversation))
    const openLanes = open.map((segment) => this.#lane(segment))
    const delayMs = failure === null ? 0 : this.#failed(openLanes, failure)
    return segments.map((segment) => {
      const state = this.#lane(segment)
      if (!open.includes(segment)) {
        state.buried.clear()
        this.#settled(state)
        return { kind: 'acked', refused: burial.refused.get(segment) ?? [] }
      }
      // Those that could be taken need not wait for those that could not, the next time.
      if (open.length < segments.length) state.solo = true
      const count = segment.endRecords[0] - segment.firstRecords[0]
      const isPart = conversation.hasTaken && open.length === 1 && count > 1
      const less = isPart ? { recordsMax: Math.ceil(count / 2) } : {}
      return { kind: 'again', delayMs, ...less, ackedStreams: [], refused: [] }
    })
  }

  async #converse(
    records: BulkRecords,
    first: Answer,
    lane: string,
    bury: (records: readonly number[], refusals: readonly Refusal[]) => Promise<boolean>,
  ): Promise<Conversation> {
    if (first.status === 500) this.#serverErrors++
    const isSuspect = this.#serverErrors >= this.#suspectAt
    const conversation = new Conversation(records, {
      sink: this.name,
      lane,
      hasIds: this.#config.documentIds,
      requests: this.#requests,
      events: this.#deps.events,
      clock: this.#deps.clock,
      delayMs: (attempt) => this.#delayMs(attempt),
      bury,
      tooLarge: (bytes) => {
        this.#bytesMax = Math.max(BULK_BYTES_MIN, Math.min(this.#bytesMax, Math.floor(bytes / 2)))
      },
      isSuspect,
      signal: this.#closing.signal,
    })
    await conversation.run(first)
    if (conversation.hasTaken) this.#taken()
    else if (isSuspect) this.#suspectAt = this.#serverErrors + Math.min(this.#serverErrors, SERVER_ERRORS_MORE_MAX)
    return conversation
  }

  async resend(letters: readonly DeadLetter[]): Promise<Resent> {
    const part = new Part(this.batchBytesMax)
    for (const [index, letter] of letters.entries()) writeLetter(part, letter, index)
    const answer = await this.#requests.bulk(part.buffer.subarray(0, part.end), this.#sent(part))
    const refused = new Map<number, Pick<DeadLetter, 'at' | 'reason' | 'message' | 'status'>>()
    if (answer.outcome.kind === 'delivered') return { kind: 'done', refused }
    const at = new Date(this.#deps.clock.now()).toISOString()
    const conversation = await this.#converse(new BulkRecords(part), answer, 'replay', async (indexes, refusals) => {
      for (const [i, index] of indexes.entries()) {
        const { type: reason, message, status } = refusals[i] as Refusal
        refused.set(index, { at, reason, message, status })
      }
      return true
    })
    const { failure } = conversation
    if (failure === null) return { kind: 'done', refused }
    const lane = new ElasticLane('replay')
    const delayMs = this.#failed([lane], failure)
    this.#retrying.delete(lane.key)
    return { kind: 'again', delayMs, halted: failure.outcome.kind === 'halt' }
  }

  #delayMs(attempt: number, afterMs?: number): number {
    const { retryDelayMin: delayMsMin, retryDelayMax: delayMsMax } = this.#config
    return backoffDelayMs(attempt, { delayMsMin, delayMsMax }, this.#deps.random, afterMs)
  }

  #taken(): void {
    this.#serverErrors = 0
    this.#suspectAt = SERVER_ERRORS_MAX
  }

  /** Everything of a lane in a shipment has come to its end. */
  #settled(lane: ElasticLane): void {
    this.#halted = false
    lane.solo = false
    if (lane.attempts === 0) return
    const { attempts, key } = lane
    lane.attempts = 0
    this.#retrying.delete(key)
    this.#deps.events.emit('sink.recovered', { sink: this.name, lane: key, attempts })
  }

  /** Notes a failure for which what these lanes sent is to be repeated; returns the delay, which is the same for all. */
  #failed(lanes: readonly ElasticLane[], { outcome, status }: Answer): number {
    for (const lane of lanes) {
      lane.attempts++
      this.#retrying.add(lane.key)
    }
    const attempt = lanes.reduce((most, { attempts }) => Math.max(most, attempts), 1)
    const { events } = this.#deps
    const message = 'message' in outcome ? outcome.message : ''
    if (outcome.kind === 'halt') {
      this.#halted = true
      const delayMs = this.#delayMs(attempt + 4)
      events.emit('sink.halted', { sink: this.name, status, message, delayMs })
      return delayMs
    }
    const delayMs = this.#delayMs(attempt, outcome.kind === 'retry' ? outcome.afterMs : undefined)
    this.#requests.counts.retried(status)
    const [{ key: lane }] = lanes as [ElasticLane]
    events.emit('sink.retry', {
      sink: this.name,
      lane,
      status,
      code: String(status || 'error'),
      message,
      attempt,
      delayMs,
    })
    return delayMs
  }

  #lane({ lane }: Segment): ElasticLane {
    const state = this.#lanes.get(lane.key)
    if (state === undefined) throw new Error(`no lane for ${lane.key}`)
    return state
  }
}

function hostsOf(
  config: ElasticsearchSinkConfig,
  { createHttpClient, clock }: { createHttpClient: HttpClientFactory; clock: Clock },
): Hosts {
  const options = { connections: config.concurrency, ...(config.tls !== null && { tls: config.tls }) }
  return new Hosts(config.urls, (origin) => createHttpClient(origin, options), clock)
}

function setupOptions({ namespace, retention }: ElasticsearchSinkConfig, clusterName: string) {
  return { clusterName, namespace: namespace ?? namespaceOf(clusterName), retention }
}

function isDone(segment: Segment, conversation: Conversation): boolean {
  for (let record = segment.firstRecords[0]; record < segment.endRecords[0]; record++) {
    if (!conversation.isDone(record)) return false
  }
  return true
}

/** A letter's document as it was sent; `index` takes the place of its offset. */
function writeLetter(part: Part, { create, bytes }: DeadLetter, index: number): void {
  if (create === undefined) throw new Error('a dead letter without a document')
  const { index: _index, id: _id, document } = create
  const text = `${JSON.stringify({ create: { _index, _id } })}\n${document}\n`
  part.reserve(3 * text.length)
  part.end += part.buffer.write(text, part.end)
  part.note(index, bytes, 1)
}

/** What an annotation says; undefined: nothing. */
function isSwitchedOn(annotation: string | undefined): boolean | undefined {
  return annotation === 'true' ? true : annotation === 'false' ? false : undefined
}
