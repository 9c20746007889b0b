// A Loki in virtual time: the embedded Loki's own store and answers, and what may go wrong with a push.
import type { IncomingMessage } from 'node:http'
import { Exchange } from '../../src/demo/exchange.ts'
import type { StoreShare } from '../../src/demo/faults.ts'
import { acceptedAges, entryFailure } from '../../src/demo/loki-checks.ts'
import type { LokiLimits } from '../../src/demo/loki-limits.ts'
import { errorAnswer, LokiStore } from '../../src/demo/loki-store.ts'
import type { PushEntry } from '../../src/demo/push-proto.ts'
import { type Answer, type Arrival, HONEST, type Plan, SimNetwork, type Store } from './sim-network.ts'
import type { SimSink, SinkDeps } from './sink.ts'
import type { TruthLine } from './truth.ts'
import { POISON } from './writer.ts'

/** A record of usual size fits in a push that is smaller than this. */
const TOO_LARGE_BYTES_MIN = 2000
/** Headers, labels and metadata of a push of one record. */
const PUSH_BYTES = 1000
const URL = 'http://loki.sim:3100'

export class SimLoki implements SimSink, Store {
  readonly name = 'loki'
  readonly origins = [URL]
  readonly keepsOrder = true
  readonly settings: Record<string, unknown>
  readonly network: SimNetwork
  readonly plans = PLANS
  readonly outages = OUTAGES
  readonly #deps: SinkDeps
  readonly #store: LokiStore
  readonly #tooLargeBytes: number
  /** Of the push that is being stored. */
  #sender = 0

  constructor(deps: SinkDeps) {
    this.#deps = deps
    const { draw, receiver } = deps
    this.settings = settingsOf(deps)
    this.#tooLargeBytes = draw.scale(TOO_LARGE_BYTES_MIN, 20_000)
    this.#store = new LokiStore(this.#limits(), (labels, timestampNs, line, metadata) => {
      const stream = Object.entries(labels)
        .map(([name, value]) => `${name}=${value}`)
        .join(' ')
      receiver.stored({ sender: this.#sender, stream, late: labels.late !== undefined, timestampNs, line, metadata })
    })
    this.network = new SimNetwork(deps, this)
  }

  refusesSize({ body }: Arrival): Answer | null {
    const isTooLarge = this.#deps.faults.on.has('tooLarge') && body.length > this.#tooLargeBytes
    return isTooLarge ? errorAnswer(413, 'Request Entity Too Large') : null
  }

  take({ n, sender, request, body }: Arrival, { store }: Plan): Answer {
    this.#sender = sender
    const message = { headers: request.headers } as unknown as IncomingMessage
    const exchange = new Exchange(n, message, body, this.#store, () => this.#deps.clock.trueNow())
    const streams = exchange.forFault.push?.streams ?? []
    // What its distributor refuses never comes to the ingester, which poison is for.
    const { limits } = this.#store
    const ages = acceptedAges(limits, this.#deps.clock.trueNow())
    const isPoison = (entry: PushEntry) => entry.line.includes(POISON) && entryFailure(entry, '', limits, ages) === null
    const isPoisoned = streams.some(({ entries }) => entries.some(isPoison))
    return isPoisoned ? errorAnswer(500, 'label name is empty') : exchange.take(store)
  }

  heal(): void {
    Object.assign(this.#store.limits, { streamsMax: Number.POSITIVE_INFINITY })
  }

  mayRefuse({ text, poison }: TruthLine, reason: string): boolean {
    const { on, lineBytesMax } = this.#deps.faults
    return (
      (reason === 'server_error' && poison) ||
      // Less than an hour: the stream of a late hour is too short for what clocks that are set back put into it.
      (reason === 'too_far_behind' && on.has('behind') && on.has('clockBack')) ||
      (reason === 'line_too_long' && on.has('refusals') && text.length > Math.round(lineBytesMax / 2)) ||
      (reason === 'too_large' && on.has('tooLarge') && text.length + PUSH_BYTES > TOO_LARGE_BYTES_MIN) ||
      (reason === 'too_new' && (on.has('clockForward') || on.has('clockBack')))
    )
  }

  #limits(): Partial<LokiLimits> {
    const { draw, faults } = this.#deps
    const { on, batchBytesMax, lineBytesMax } = faults
    const most = Math.max(batchBytesMax, lineBytesMax)
    const isLimited = on.has('streamLimits')
    return {
      ingestBytesPerSecond: Number.POSITIVE_INFINITY,
      ingestBurstBytes: Number.POSITIVE_INFINITY,
      streamsMax: isLimited && draw.chance(0.5) ? draw.int(1, 6) : Number.POSITIVE_INFINITY,
      // Not less than docs/guarantees.md asks for: below that a push of several streams may hide a refusal.
      streamBytesPerSecond: isLimited ? draw.scale(1_100_000, 3_000_000) : Number.POSITIVE_INFINITY,
      streamBurstBytes: isLimited ? draw.scale(1_000_000 + most, 3_000_000) : Number.POSITIVE_INFINITY,
      // Of what a clock that is set back puts behind, half an hour's worth may share a push.
      behindMsMax: on.has('behind') ? draw.scale(on.has('clockBack') ? 1_860_000 : 60_000, 3_600_000) : 3_600_000,
      lineBytesMax: on.has('refusals') ? Math.round(lineBytesMax / 2) : 256 * 1024,
      checksTold: draw.pick(['one', 'all']),
    }
  }
}

const OUTAGES: readonly Plan[] = [
  { store: 'none', tell: { failure: 'HTTP_REFUSED' } },
  { store: 'none', tell: { failure: 'HTTP_TIMEOUT' } },
  { store: 'none', tell: { answer: errorAnswer(503, 'service unavailable') } },
]

const PLANS: Store['plans'] = [
  [
    'tooMany',
    ({ draw, clock }) => {
      const answer = errorAnswer(429, 'ingestion rate limit exceeded for user fake')
      const seconds = draw.int(0, 8)
      const date = new Date(clock.trueNow() + seconds * 1000).toUTCString()
      const after = draw.pick([null, String(seconds), date])
      answer.headers.date = new Date(clock.trueNow()).toUTCString()
      if (after !== null) answer.headers['retry-after'] = after
      return { store: 'none', tell: { answer } }
    },
  ],
  [
    'serverErrors',
    ({ draw }) => ({
      store: draw.pick<StoreShare>(['none', 'half', 'all']),
      tell: { answer: errorAnswer(draw.pick([500, 502, 503, 504]), 'rpc error: code = Unavailable desc = gone') },
    }),
  ],
  ['refused', () => ({ store: 'none', tell: { failure: 'HTTP_REFUSED' } })],
  ['reset', ({ draw }) => ({ store: draw.pick<StoreShare>(['none', 'half', 'all']), tell: { failure: 'HTTP_RESET' } })],
  ['lostAnswer', () => ({ store: 'all', tell: { failure: 'HTTP_TIMEOUT' } })],
  [
    'cutAnswer',
    ({ draw }) => {
      if (draw.chance(0.5)) return { store: 'all', tell: { failure: 'HTTP_RESET' } }
      // Cut where its length was not told: it looks whole.
      const text = errorAnswer(400, 'entry for stream \'{job="a"}\' has timestamp too old: 2026-11-01T00:00:00Z').body
      return { store: 'none', tell: { answer: { status: 400, headers: {}, body: text.slice(0, draw.int(0, 40)) } } }
    },
  ],
  ['slowSink', ({ draw, faults }) => ({ ...HONEST, delayMs: draw.scale(500, 1.5 * faults.requestTimeoutMs) })],
]

function settingsOf({ faults }: SinkDeps): Record<string, unknown> {
  const { lineBytesMax, batchBytesMax, batchAgeMs, concurrency, requestTimeoutMs } = faults
  const times = { batchAgeMax: `${batchAgeMs}ms`, requestTimeout: `${requestTimeoutMs}ms` }
  return { type: 'loki', name: 'loki', url: URL, lineBytesMax, batchBytesMax, concurrency, ...times }
}
