// An Elasticsearch in virtual time: one data stream that takes `create` alone and knows each `_id` once until it rolls over,
// each record's fate by itself, and everything that a cluster does to a bulk. The words are those of a real one
// (test/fixtures/opensearch). Several hosts stand for one cluster.
import { gunzipSync } from 'node:zlib'
import type { StoreShare } from '../../src/demo/faults.ts'
import { type Answer, type Arrival, HONEST, type ItemError, type Plan, SimNetwork, type Store } from './sim-network.ts'
import type { SimSink, SinkDeps, StoredRecord } from './sink.ts'
import type { TruthLine } from './truth.ts'
import { POISON } from './writer.ts'

/** A record of usual size fits in a bulk that is smaller than this. */
const TOO_LARGE_BYTES_MIN = 4000
/** All of a document but its message, and its action line. */
const DOCUMENT_BYTES = 1200
const BLOCK_MS_MAX = 60_000
const INDEX = 'logs-kubernetes.container_logs-sim'

interface Sent {
  id: string
  text: string
  message: string
}

/** How the cluster takes what it can never store. */
interface Poison {
  whole: boolean
  status: 400 | 500
  type: string
  /** What the dead letter gives as the reason. */
  reason: string
}

const POISONS: readonly Poison[] = [
  { whole: false, status: 400, type: 'mapper_parsing_exception', reason: 'mapper_parsing_exception' },
  { whole: false, status: 500, type: 'null_pointer_exception', reason: 'null_pointer_exception' },
  { whole: true, status: 400, type: 'illegal_argument_exception', reason: 'illegal_argument_exception' },
  { whole: true, status: 500, type: 'null_pointer_exception', reason: 'server_error' },
]
const IMMENSE: ItemError = {
  status: 400,
  type: 'illegal_argument_exception',
  reason: 'Document contains at least one immense term in field="message"',
}

export class SimElastic implements SimSink, Store {
  readonly name = 'es'
  readonly origins: readonly string[]
  /** Documents have their times; what there was no room for comes after its neighbours. */
  readonly keepsOrder = false
  readonly settings: Record<string, unknown>
  readonly network: SimNetwork
  readonly plans: Store['plans']
  readonly outages = OUTAGES
  readonly #deps: SinkDeps
  readonly #tooLargeBytes: number
  readonly #isPressure: boolean
  readonly #poison: Poison
  /** By id, of the generation that is written to. */
  #stored = new Map<string, StoredRecord>()
  readonly #setUp = new Map<string, string>()
  #block: { until: number; answer: Answer | ItemError } | null = null

  constructor(deps: SinkDeps) {
    this.#deps = deps
    const { draw, faults } = deps
    this.origins = Array.from({ length: draw.int(1, 3) }, (_, i) => `http://es-${i}.sim:9200`)
    this.settings = settingsOf(deps, this.origins)
    this.#tooLargeBytes = draw.scale(TOO_LARGE_BYTES_MIN, 40_000)
    this.#isPressure = draw.chance(0.5)
    this.#poison = draw.pick(POISONS)
    this.plans = [...PLANS, ['blocked', () => this.#beBlocked()]]
    this.network = new SimNetwork(deps, this)
    if (faults.on.has('rollover')) this.#rollOver()
  }

  refusesSize(arrival: Arrival): Answer | null {
    if (!this.#deps.faults.on.has('tooLarge') || !isBulk(arrival)) return null
    const { length } = bodyOf(arrival)
    if (length <= this.#tooLargeBytes) return null
    if (!this.#isPressure) return { status: 413, headers: {}, body: '' }
    const sizes = `coordinating_operation_bytes=${length}, max_coordinating_and_primary_bytes=${this.#tooLargeBytes}`
    return errorOf(429, 'rejected_execution_exception', `rejected execution of coordinating operation [${sizes}]`)
  }

  take(arrival: Arrival, { store, refused }: Plan): Answer {
    if (!isBulk(arrival)) return this.#answerSetUp(arrival, store)
    const sent = readBulk(bodyOf(arrival))
    const block = this.#blockNow
    if (block !== null && 'body' in block) return block
    const { whole, status, type } = this.#poison
    if (whole && sent.some(isPoison)) return errorOf(status, type, 'Malformed action/metadata line [3]')
    const count = store === 'all' ? sent.length : store === 'half' ? Math.ceil(sent.length / 2) : 0
    const items = sent.map((each, i) => {
      if (i >= count) return itemOf(each.id, 201)
      const error = block ?? (refused !== undefined && this.#deps.draw.chance(0.4) ? refused : this.#refusalOf(each))
      return error === null ? this.#create(each, arrival.sender) : itemOf(each.id, error.status, error)
    })
    return json(200, { errors: items.some(({ create }) => 'error' in create), items })
  }

  heal(): void {
    this.#block = null
  }

  mayRefuse({ text, poison }: TruthLine, reason: string): boolean {
    const { on } = this.#deps.faults
    return (
      (reason === this.#poison.reason && poison) ||
      (reason === IMMENSE.type && this.#isImmense(text.length)) ||
      (reason === 'too_large' && on.has('tooLarge') && text.length + DOCUMENT_BYTES > TOO_LARGE_BYTES_MIN)
    )
  }

  #create({ id, text, message }: Sent, sender: number): Item {
    const { receiver } = this.#deps
    const there = this.#stored.get(id)
    const record = recordOf(sender, id, text)
    if (there === undefined) {
      this.#stored.set(id, record)
      receiver.stored(record)
      return itemOf(id, 201)
    }
    if (there.line.toString() !== message) receiver.hidden(record, there)
    else receiver.stored({ ...there, sender })
    const reason = `[${id}]: version conflict, document already exists (current version [1])`
    return itemOf(id, 409, { status: 409, type: 'version_conflict_engine_exception', reason })
  }

  #refusalOf({ message }: Sent): ItemError | null {
    const { whole, status, type } = this.#poison
    if (!whole && message.includes(POISON)) return { status, type, reason: `failed to parse: '${message}'` }
    return this.#isImmense(Buffer.byteLength(message)) ? IMMENSE : null
  }

  #isImmense(bytes: number): boolean {
    const { on, lineBytesMax } = this.#deps.faults
    return on.has('refusals') && bytes > Math.round(lineBytesMax / 2)
  }

  get #blockNow(): Answer | ItemError | null {
    return this.#block !== null && this.#deps.clock.monotonic() < this.#block.until ? this.#block.answer : null
  }

  #beBlocked(): Plan {
    const { clock, draw, trace } = this.#deps
    const ms = draw.scale(500, BLOCK_MS_MAX)
    this.#block = { until: clock.monotonic() + ms, answer: draw.pick(BLOCKS) }
    trace.note('block', `${ms} ms`)
    return HONEST
  }

  /** The ids of the generation before are not looked at any more. */
  #rollOver(): void {
    const { clock, draw, faults, trace } = this.#deps
    clock.act(draw.scale(2000, 60_000), () => {
      trace.note('rollover', '')
      this.#stored = new Map()
      if (clock.monotonic() < faults.durationMs) this.#rollOver()
    })
  }

  #answerSetUp({ request: { method, path }, body }: Arrival, store: StoreShare): Answer {
    if (path === '/') return json(200, { version: { number: '9.1.0' } })
    if (method === 'PUT') {
      if (store !== 'none') this.#setUp.set(path, body.toString())
      return json(200, { acknowledged: true })
    }
    const there = this.#setUp.get(path)
    return there === undefined ? json(404, {}) : { status: 200, headers: {}, body: there }
  }
}

const OUTAGES: readonly Plan[] = [
  { store: 'none', tell: { failure: 'HTTP_REFUSED' } },
  { store: 'none', tell: { failure: 'HTTP_TIMEOUT' } },
  { store: 'none', tell: { answer: { status: 503, headers: {}, body: 'no healthy upstream' } } },
  { store: 'none', tell: { answer: { status: 404, headers: {}, body: '404 page not found' } } },
  { store: 'none', tell: { answer: { status: 200, headers: { 'content-type': 'text/html' }, body: '<html></html>' } } },
  { store: 'none', tell: { answer: errorOf(401, 'security_exception', 'missing authentication credentials') } },
]

const FULL: ItemError = { status: 429, type: 'rejected_execution_exception', reason: 'rejected execution of x' }
const UNAVAILABLE: ItemError = {
  status: 503,
  type: 'unavailable_shards_exception',
  reason: '[x][0] primary shard is not active Timeout: [2s]',
}
/** What an index, or the whole cluster, is for a while. */
const BLOCKS: readonly (Answer | ItemError)[] = [
  UNAVAILABLE,
  { status: 429, type: 'cluster_block_exception', reason: 'index [x] blocked by: [TOO_MANY_REQUESTS/12/flood-stage];' },
  { status: 403, type: 'cluster_block_exception', reason: 'index [x] blocked by: [FORBIDDEN/8/index write (api)];' },
  { status: 400, type: 'index_closed_exception', reason: 'closed' },
  { status: 404, type: 'index_not_found_exception', reason: 'no such index [x]' },
  errorOf(403, 'cluster_block_exception', 'blocked by: [FORBIDDEN/6/cluster read-only (api)];'),
]

const SHARES: readonly StoreShare[] = ['none', 'half', 'all']

const PLANS: Store['plans'] = [
  [
    'tooMany',
    ({ draw }) => (draw.chance(0.6) ? { ...HONEST, refused: FULL } : tooMany(draw.int(0, 8), draw.int(0, 2))),
  ],
  [
    'serverErrors',
    ({ draw }) => {
      if (draw.chance(0.4)) return { ...HONEST, refused: UNAVAILABLE }
      const answer = errorOf(draw.pick([500, 502, 503, 504]), 'node_closed_exception', 'gone')
      return { store: draw.pick(SHARES), tell: { answer } }
    },
  ],
  ['refused', () => ({ store: 'none', tell: { failure: 'HTTP_REFUSED' } })],
  ['reset', ({ draw }) => ({ store: draw.pick(SHARES), tell: { failure: 'HTTP_RESET' } })],
  ['lostAnswer', () => ({ store: 'all', tell: { failure: 'HTTP_TIMEOUT' } })],
  [
    'cutAnswer',
    ({ draw }) => ({
      store: 'all',
      tell: { garble: (answer) => ({ ...answer, body: answer.body.slice(0, draw.int(0, answer.body.length - 1)) }) },
    }),
  ],
  [
    'garbledAnswer',
    ({ draw }) => ({
      store: 'all',
      ...(draw.chance(0.6) && { refused: FULL }),
      tell: {
        garble: (answer) => {
          if (!answer.body.includes('"items"')) return answer
          const { errors, items } = JSON.parse(answer.body) as { errors: boolean; items: unknown[] }
          const ways = [items.slice(1), [...items, items[0]], items.toReversed(), [...items.slice(1), items[0]], []]
          return { ...answer, body: JSON.stringify({ errors, items: draw.pick(ways) }) }
        },
      },
    }),
  ],
  ['slowSink', ({ draw, faults }) => ({ ...HONEST, delayMs: draw.scale(500, 1.5 * faults.requestTimeoutMs) })],
]

function tooMany(seconds: number, kind: number): Plan {
  const answer =
    kind === 0
      ? errorOf(429, 'circuit_breaking_exception', '[parent] Data too large, data for [<http_request>]')
      : errorOf(429, 'rejected_execution_exception', 'rejected execution of coordinating operation [all_bytes=0]')
  if (kind === 2) answer.headers['retry-after'] = String(seconds)
  return { store: 'none', tell: { answer } }
}

interface Item {
  create: object
}

function itemOf(_id: string, status: number, error?: ItemError): Item {
  return { create: { _id, status, ...(error && { error: { type: error.type, reason: error.reason } }) } }
}

function json(status: number, body: object): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

function errorOf(status: number, type: string, reason: string): Answer {
  return json(status, { error: { type, reason }, status })
}

function isPoison({ message }: Sent): boolean {
  return message.includes(POISON)
}

function isBulk({ request }: Arrival): boolean {
  return request.path.includes('/_bulk')
}

function bodyOf({ request, body }: Arrival): Buffer {
  return request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
}

function readBulk(body: Buffer): Sent[] {
  const lines = body.toString().split('\n')
  return Array.from({ length: (lines.length - 1) / 2 }, (_, i) => {
    const { create } = JSON.parse(lines[2 * i] as string) as { create: { _id: string } }
    const text = lines[2 * i + 1] as string
    return { id: create._id, text, message: (JSON.parse(text) as { message: string }).message }
  })
}

/** A document as the checkers see records. */
function recordOf(sender: number, id: string, text: string): StoredRecord {
  const { '@timestamp': time, message, taffrail = {}, ...fields } = JSON.parse(text) as Document
  const { mark = [], ...others } = taffrail
  const marks = Object.entries(others).map(([name, value]) => [`taffrail_${name}`, value])
  // By which of its links a log was found last, is not the record's.
  if (fields.log !== undefined) fields.log.file.path = ''
  const metadata = { fields: JSON.stringify(fields), taffrail_mark: mark.join(), ...Object.fromEntries(marks) }
  const timestampNs = BigInt(Date.parse(`${time.slice(0, 19)}Z`)) * 1_000_000n + BigInt(time.slice(20, 29))
  return { sender, stream: `${INDEX} ${id}`, late: false, timestampNs, line: Buffer.from(message), metadata }
}

interface Document {
  '@timestamp': string
  message: string
  /** Not of a probe. */
  log?: { file: { path: string }; offset: number }
  taffrail?: { mark?: string[]; [name: string]: unknown }
}

function settingsOf({ draw, faults }: SinkDeps, urls: readonly string[]): Record<string, unknown> {
  const { lineBytesMax, batchBytesMax, batchAgeMs, concurrency, requestTimeoutMs } = faults
  return {
    type: 'elasticsearch',
    name: 'es',
    urls,
    lineBytesMax,
    batchBytesMax,
    concurrency,
    batchAgeMax: `${batchAgeMs}ms`,
    requestTimeout: `${requestTimeoutMs}ms`,
    gzipLevel: draw.pick([0, 1]),
    setupAtStart: draw.chance(0.3),
  }
}
