// A Loki in virtual time, with a network in front of it that does to requests what networks do: the embedded Loki's own
// store and answers, reached late, lost on the way there or back, cut, or in the middle of an outage. A push that is on
// its way when its sender dies arrives all the same.
import type { IncomingMessage } from 'node:http'
import { TaffrailError } from '../../src/core/errors.ts'
import { Exchange } from '../../src/demo/exchange.ts'
import type { StoreShare } from '../../src/demo/faults.ts'
import type { LokiLimits } from '../../src/demo/loki-limits.ts'
import { errorAnswer, type LokiAnswer, LokiStore } from '../../src/demo/loki-store.ts'
import type { HttpClient, HttpClientFactory, HttpRequest, HttpResponse } from '../../src/ports/http.ts'
import type { FaultKind } from './faults.ts'
import type { SimSink, SinkDeps } from './sink.ts'

/** Lines with this in them are what Loki can never store. */
export const POISON = 'POISON'

/** A record of usual size fits in a push that is smaller than this. */
export const TOO_LARGE_BYTES_MIN = 2000

/** What becomes of one request. `store`: how much is stored; `tell`: what the sender learns. */
interface Plan {
  store: StoreShare
  tell: { answer: LokiAnswer | null } | { failure: 'HTTP_REFUSED' | 'HTTP_RESET' | 'HTTP_TIMEOUT' }
  delayMs?: number
}

const HONEST: Plan = { store: 'all', tell: { answer: null } }

type Settle = (outcome: HttpResponse | TaffrailError) => void

export class SimLoki implements SimSink {
  readonly settings: Record<string, unknown>
  readonly #deps: SinkDeps
  readonly #store: LokiStore
  readonly #tooLargeBytes: number
  #healed = false
  #storming = false
  #outageUntil = Number.NEGATIVE_INFINITY
  #outage: Plan = HONEST
  #count = 0
  /** Of the push that is being stored. */
  #sender = 0

  constructor(deps: SinkDeps) {
    this.#deps = deps
    const { draw, faults, receiver } = deps
    this.settings = settingsOf(deps)
    this.#tooLargeBytes = draw.scale(TOO_LARGE_BYTES_MIN, 20_000)
    this.#store = new LokiStore(this.#limits(), (labels, timestampNs, line, metadata) => {
      const stream = Object.entries(labels)
        .map(([name, value]) => `${name}=${value}`)
        .join(' ')
      receiver.stored({ sender: this.#sender, stream, late: labels.late !== undefined, timestampNs, line, metadata })
    })
    if (!faults.on.has('outage')) return
    const { outageMs, durationMs } = faults
    deps.clock.after(draw.int(1000, Math.max(2000, durationMs - outageMs)), () => {
      this.#outageUntil = deps.clock.monotonic() + outageMs
      this.#outage = draw.pick<Plan>([
        { store: 'none', tell: { failure: 'HTTP_REFUSED' } },
        { store: 'none', tell: { failure: 'HTTP_TIMEOUT' } },
        { store: 'none', tell: { answer: errorAnswer(503, 'service unavailable') } },
      ])
      deps.trace.note('outage', `${outageMs} ms`)
    })
  }

  clientsOf(sender: number): HttpClientFactory {
    return () => this.#client(sender)
  }

  #client(sender: number): HttpClient {
    const { clock } = this.#deps
    const open = new Set<() => void>()
    return {
      send: (request) =>
        new Promise((resolve, reject) => {
          const settle: Settle = (outcome) => {
            if (!open.delete(close)) return
            cancel()
            if (outcome instanceof TaffrailError) reject(outcome)
            else resolve(outcome)
          }
          const close = () => settle(new TaffrailError('HTTP_FAILED', 'the client was closed'))
          const cancel = clock.after(request.timeoutMs, () =>
            settle(new TaffrailError('HTTP_TIMEOUT', `no answer within ${request.timeoutMs} ms`)),
          )
          open.add(close)
          this.#carry(request, sender, settle)
        }),
      close: async () => {
        for (const close of [...open]) close()
      },
    }
  }

  storm(isStorming: boolean): void {
    this.#storming = isStorming
  }

  heal(): void {
    this.#healed = true
    this.#outageUntil = Number.NEGATIVE_INFINITY
    Object.assign(this.#store.limits, { streamsMax: Number.POSITIVE_INFINITY })
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
      streamBurstBytes: isLimited ? draw.scale(1.5 * most, 4 * most) : Number.POSITIVE_INFINITY,
      behindMsMax: on.has('behind') ? draw.scale(60_000, 3_600_000) : 3_600_000,
      lineBytesMax: on.has('refusals') ? Math.round(lineBytesMax / 2) : 256 * 1024,
      checksTold: draw.pick(['one', 'all']),
    }
  }

  #carry(request: HttpRequest, sender: number, settle: Settle): void {
    const { clock, draw, trace } = this.#deps
    const n = ++this.#count
    // The body is the caller's and may change once this settles.
    const body = Buffer.from(request.body as Buffer)
    const exchange = new Exchange(
      n,
      { headers: request.headers } as unknown as IncomingMessage,
      body,
      this.#store,
      () => clock.trueNow(),
    )
    const plan = this.#plan(body.length)
    const away = (delayMs: number, run: () => void) => clock.after(delayMs, run)
    away(draw.scale(1, 20) + (plan.delayMs ?? 0) / 2, () => {
      this.#sender = sender
      const poisoned = this.#isPoisoned(exchange)
      const own = poisoned ? errorAnswer(500, 'label name is empty') : exchange.take(plan.store)
      const said = 'failure' in plan.tell ? plan.tell.failure : (plan.tell.answer ?? own)
      trace.note(
        'push',
        `${n} ${body.length} bytes, stored ${poisoned ? 'none: poison' : plan.store}, ${wordsOf(said)}`,
      )
      if (said === 'HTTP_TIMEOUT') return
      away(draw.scale(1, 20) + (plan.delayMs ?? 0) / 2, () => {
        if (typeof said === 'string') settle(new TaffrailError(said, `simulated ${said}`))
        else settle({ status: said.status, headers: said.headers, body: Buffer.from(said.body) })
      })
    })
  }

  #isPoisoned(exchange: Exchange): boolean {
    const { push } = exchange.forFault
    return push?.streams.some(({ entries }) => entries.some(({ line }) => line.includes(POISON))) ?? false
  }

  #plan(bytes: number): Plan {
    const { clock, draw, faults } = this.#deps
    if (clock.monotonic() < this.#outageUntil) return this.#outage
    if (this.#healed) return HONEST
    if (faults.on.has('tooLarge') && bytes > this.#tooLargeBytes) {
      return { store: 'none', tell: { answer: errorAnswer(413, 'Request Entity Too Large') } }
    }
    if (!this.#storming || !draw.chance(faults.rate)) return HONEST
    const kinds = PLANS.filter(([kind]) => faults.on.has(kind))
    if (kinds.length === 0) return HONEST
    const [, plan] = draw.pick(kinds)
    return plan(this.#deps)
  }
}

const PLANS: readonly (readonly [FaultKind, (deps: SinkDeps) => Plan])[] = [
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
  return { type: 'loki', name: 'loki', url: 'http://loki.sim:3100', lineBytesMax, batchBytesMax, concurrency, ...times }
}

function wordsOf(said: LokiAnswer | string): string {
  return typeof said === 'string' ? said : `${said.status} ${said.body.slice(0, 60).trim()}`
}
