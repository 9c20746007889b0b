// The elasticsearch sink: one lane per lineage, documents in bulks that many lanes share, one request per bulk. Which of
// the two products answers makes no difference here. Order between documents is not needed; what is kept is that a lane's
// watermark passes a record only when it is stored, was stored before, or is a dead letter.
import { Part } from '../../batch/part.ts'
import type { Segment, Shipment } from '../../batch/shipment.ts'
import type { Target } from '../../batch/target.ts'
import type { ElasticsearchSinkConfig } from '../../config/config.ts'
import { errorCode, errorMessage } from '../../core/errors.ts'
import type { Events } from '../../core/events.ts'
import type { LineageInfo } from '../../core/lineage-info.ts'
import type { Metadata } from '../../core/metadata.ts'
import type { DeadLetter, DeadLetters } from '../../deliver/dead-letter.ts'
import type { Resent } from '../../deliver/replay.ts'
import type { Clock } from '../../ports/clock.ts'
import type { HttpClientFactory } from '../../ports/http.ts'
import type { Random } from '../../ports/random.ts'
import { PROBE_ATTEMPTS } from '../probe.ts'
import type { SegmentResult, Sink, SinkState } from '../sink.ts'
import { shapeOf } from './audit-document.ts'
import { Burial } from './burial.ts'
import type { Sent } from './classify.ts'
import { Cluster } from './cluster.ts'
import { Conversation, type Refusal } from './conversation.ts'
import { encoderFor } from './encoders.ts'
import { ElasticLane, ElasticLanes } from './lanes.ts'
import { BulkRecords } from './records.ts'
import type { Answer } from './requests.ts'

/** A bulk is not made smaller than this, whatever is said of its size. */
const BULK_BYTES_MIN = 4096

export interface ElasticsearchSinkDeps {
  clock: Clock
  random: Random
  events: Events
  deadLetters: DeadLetters
  createHttpClient: HttpClientFactory
  context: { clusterName: string }
}

export class ElasticsearchSink implements Sink {
  readonly name: string
  readonly type = 'elasticsearch'
  readonly batchAgeMaxMs: number
  readonly concurrency: number
  readonly lineBytesMax: number
  readonly separateStreams = false
  readonly shapeEvent = shapeOf
  readonly #config: ElasticsearchSinkConfig
  readonly #deps: ElasticsearchSinkDeps
  readonly #cluster: Cluster
  readonly #lanes: ElasticLanes
  /** Of dead letters that are sent again. */
  readonly #replay = new ElasticLane('replay')
  readonly #closing = new AbortController()
  /** Of a bulk, before compression: what is configured, or less once the server has refused that. */
  #bytesMax: number
  #isSetUp: boolean
  /** Under way, for all that wait for it. */
  #settingUp: Promise<Answer | null> | null = null

  constructor(config: ElasticsearchSinkConfig, deps: ElasticsearchSinkDeps) {
    this.name = config.name
    this.batchAgeMaxMs = config.batchAgeMax
    this.concurrency = config.concurrency
    this.lineBytesMax = config.lineBytesMax
    this.#config = config
    this.#deps = deps
    this.#bytesMax = config.batchBytesMax
    this.#isSetUp = !config.setupAtStart
    const { clusterName } = deps.context
    this.#cluster = new Cluster(config, clusterName, deps)
    const { retryDelayMin: delayMsMin, retryDelayMax: delayMsMax } = config
    this.#lanes = new ElasticLanes({
      sink: config.name,
      events: deps.events,
      random: deps.random,
      backoff: { delayMsMin, delayMsMax },
      retried: (status) => this.#cluster.requests.counts.retried(status),
    })
  }

  get batchBytesMax(): number {
    return this.#bytesMax
  }

  target(info: LineageInfo, metadata: Metadata): Target {
    const { key } = info
    this.#lanes.add(key)
    const { clusterName } = this.#deps.context
    const { namespace } = this.#cluster
    return { key, encoder: encoderFor(info, metadata, { config: this.#config, clusterName, namespace }) }
  }

  mayShare(laneKey: string): boolean {
    return this.#lanes.has(laneKey) && !this.#lanes.get(laneKey).solo
  }

  beginSegment(): void {}
  endSegment(): void {}
  checkpointing(): void {}

  outrunsCheckpoint(): boolean {
    return false
  }

  forget(laneKey: string): void {
    this.#lanes.forget(laneKey)
  }

  async ship(shipment: Shipment): Promise<SegmentResult[]> {
    const [part] = shipment.parts
    const segments = shipment.segments.filter((segment) => segment.endRecords[0] > segment.firstRecords[0])
    if (!this.#isSetUp) {
      this.#settingUp ??= this.#setUp()
      const failure = await this.#settingUp
      if (failure !== null) {
        const lanes = segments.map((segment) => this.#lane(segment))
        const delayMs = this.#lanes.failed(lanes, failure)
        return segments.map(() => ({ kind: 'again', delayMs, ackedStreams: [], refused: [] }))
      }
    }
    const answer = await this.#cluster.requests.bulk(part.buffer.subarray(0, part.end), this.#sent(part))
    if (answer.outcome.kind === 'delivered') {
      for (const segment of segments) this.#lanes.settled(this.#lane(segment))
      return segments.map(() => ({ kind: 'acked', refused: [] }))
    }
    return this.#talk(part, segments, answer)
  }

  status(): SinkState {
    const { lastError, inFlight, requests, retries, requestSeconds } = this.#cluster.requests.counts
    return { state: this.#lanes.state, lastError, requestsInFlight: inFlight, requests, retries, requestSeconds }
  }

  /** Ends the connections; what is under way ends as a failure. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#cluster.close()
  }

  /** Before anything is sent: a data stream without its template would be made with guessed fields. */
  async #setUp(): Promise<Answer | null> {
    try {
      await this.#cluster.setUp()
      this.#isSetUp = true
      return null
    } catch (error) {
      const message = `setup: ${errorMessage(error)}`
      const reason = errorCode(error)
      const kind = reason === 'SETUP_FAILED' ? ('halt' as const) : ('retry' as const)
      return { status: 0, outcome: { kind, reason, message } }
    } finally {
      this.#settingUp = null
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
      index: this.#cluster.dataStream,
      deadLetters,
      events,
      clock,
      buriedOf: (segment) => this.#lane(segment).buried,
    })
    const lanes = segments.map((segment) => this.#lane(segment))
    const conversation = await this.#converse(records, first, lanes, (indexes, refusals) =>
      burial.bury(indexes, refusals),
    )
    const { failure } = conversation
    const open = segments.filter((segment) => !isDone(segment, conversation))
    const openLanes = open.map((segment) => this.#lane(segment))
    const delayMs = failure === null ? 0 : this.#lanes.failed(openLanes, failure)
    return segments.map((segment) => {
      const state = this.#lane(segment)
      if (!open.includes(segment)) {
        state.buried.clear()
        this.#lanes.settled(state)
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
    lanes: readonly ElasticLane[],
    bury: (records: readonly number[], refusals: readonly Refusal[]) => Promise<boolean>,
  ): Promise<Conversation> {
    const suspicious = lanes.filter((lane) => lane.suspects(first))
    const conversation = new Conversation(records, {
      sink: this.name,
      lane: (lanes[0] as ElasticLane).key,
      hasIds: this.#config.documentIds,
      requests: this.#cluster.requests,
      events: this.#deps.events,
      clock: this.#deps.clock,
      delayMs: (attempt) => this.#lanes.delayMs(attempt),
      bury,
      tooLarge: (bytes) => {
        this.#bytesMax = Math.max(BULK_BYTES_MIN, Math.min(this.#bytesMax, Math.floor(bytes / 2)))
      },
      isSuspect: suspicious.length > 0,
      mayProbe: lanes.some(({ attempts }) => attempts >= PROBE_ATTEMPTS),
      signal: this.#closing.signal,
    })
    await conversation.run(first)
    if (!conversation.hasTaken) for (const lane of suspicious) lane.foundNone()
    return conversation
  }

  async resend(letters: readonly DeadLetter[]): Promise<Resent> {
    const part = new Part(this.batchBytesMax)
    for (const [index, letter] of letters.entries()) writeLetter(part, letter, index)
    const answer = await this.#cluster.requests.bulk(part.buffer.subarray(0, part.end), this.#sent(part))
    const refused = new Map<number, Pick<DeadLetter, 'at' | 'reason' | 'message' | 'status'>>()
    if (answer.outcome.kind === 'delivered') return { kind: 'done', refused }
    const at = new Date(this.#deps.clock.now()).toISOString()
    const conversation = await this.#converse(
      new BulkRecords(part),
      answer,
      [this.#replay],
      async (indexes, refusals) => {
        for (const [i, index] of indexes.entries()) {
          const { type: reason, message, status } = refusals[i] as Refusal
          refused.set(index, { at, reason, message, status })
        }
        return true
      },
    )
    const { failure } = conversation
    if (failure === null) {
      this.#replay.taken()
      return { kind: 'done', refused }
    }
    const delayMs = this.#lanes.failed([this.#replay], failure)
    return { kind: 'again', delayMs, halted: failure.outcome.kind === 'halt' }
  }

  #lane({ lane }: Segment): ElasticLane {
    return this.#lanes.get(lane.key)
  }
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
