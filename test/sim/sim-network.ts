// The network between the agent and one store of a simulated world: it does to requests what networks do. They arrive late,
// are lost on the way there or back, cut, or meet an outage; one that is on its way when its sender dies arrives all the
// same. What a store takes and says is the store's (sim-loki.ts, sim-elastic.ts); when the weather is bad, is decided here.
import { TaffrailError } from '../../src/core/errors.ts'
import type { StoreShare } from '../../src/demo/faults.ts'
import type { HttpClient, HttpClientFactory, HttpRequest, HttpResponse } from '../../src/ports/http.ts'
import type { FaultKind } from './faults.ts'
import type { SinkDeps } from './sink.ts'

export interface Answer {
  status: number
  /** Names in lower case. */
  headers: Record<string, string>
  body: string
}

/** What becomes of one request. `store`: how much is stored; `tell`: what the sender learns, null: the store's own answer. */
export interface Plan {
  store: StoreShare
  tell:
    | { answer: Answer | null }
    | { garble: (answer: Answer) => Answer }
    | { failure: 'HTTP_REFUSED' | 'HTTP_RESET' | 'HTTP_TIMEOUT' }
  delayMs?: number
  /** A part of the records is refused with it, where the store tells of each. */
  refused?: ItemError
}

/** What a store says of one record. */
export interface ItemError {
  status: number
  type: string
  reason: string
}

export const HONEST: Plan = { store: 'all', tell: { answer: null } }

/** One request as it arrives. The body is a copy. */
export interface Arrival {
  /** Counts the requests of the network from 1. */
  n: number
  /** Number of the process that sent it. */
  sender: number
  request: HttpRequest
  body: Buffer
}

/** A store behind the network. */
export interface Store {
  /** What may become of a request while it storms, by the kind of fault that it takes. */
  readonly plans: readonly (readonly [FaultKind, (deps: SinkDeps) => Plan])[]
  /** What an outage may be like. */
  readonly outages: readonly Plan[]
  /** What it answers to a request of that size in any weather, until it heals; null: it is looked at. */
  refusesSize(arrival: Arrival): Answer | null
  /** Takes what came, as far as it is to be stored, and says what it would say of all of it. */
  take(arrival: Arrival, plan: Plan): Answer
  heal(): void
}

type Settle = (outcome: HttpResponse | TaffrailError) => void

export class SimNetwork {
  readonly #deps: SinkDeps
  readonly #store: Store
  #healed = false
  #storming = false
  #outageUntil = Number.NEGATIVE_INFINITY
  #outage: Plan = HONEST
  #count = 0

  constructor(deps: SinkDeps, store: Store) {
    this.#deps = deps
    this.#store = store
    const { draw, faults } = deps
    if (!faults.on.has('outage')) return
    const { outageMs, durationMs } = faults
    deps.clock.after(draw.int(1000, Math.max(2000, durationMs - outageMs)), () => {
      this.#outageUntil = deps.clock.monotonic() + outageMs
      this.#outage = draw.pick(store.outages)
      deps.trace.note('outage', `${outageMs} ms`)
    })
  }

  /** Makes clients for one process. */
  clientsOf(sender: number): HttpClientFactory {
    return () => this.#client(sender)
  }

  /** Whether faults happen now. */
  storm(isStorming: boolean): void {
    this.#storming = isStorming
  }

  /** No faults any more, for good; what is a record's own fault stays so. */
  heal(): void {
    this.#healed = true
    this.#outageUntil = Number.NEGATIVE_INFINITY
    this.#store.heal()
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

  #carry(request: HttpRequest, sender: number, settle: Settle): void {
    const { clock, draw, trace } = this.#deps
    // The body is the caller's and may change once this settles.
    const body = Buffer.from(request.body ?? Buffer.alloc(0))
    const arrival: Arrival = { n: ++this.#count, sender, request, body }
    const plan = this.#plan(arrival)
    const away = (run: () => void) => clock.after(draw.scale(1, 20) + (plan.delayMs ?? 0) / 2, run)
    away(() => {
      const own = this.#store.take(arrival, plan)
      const said = saidOf(plan, own)
      trace.note('request', `${arrival.n} ${body.length} bytes, stored ${plan.store}, ${wordsOf(said)}`)
      if (said === 'HTTP_TIMEOUT') return
      away(() => {
        if (typeof said === 'string') settle(new TaffrailError(said, `simulated ${said}`))
        else {
          const kept = Buffer.from(said.body).subarray(0, request.answerBytesMax ?? 64 * 1024)
          settle({ status: said.status, headers: said.headers, body: kept })
        }
      })
    })
  }

  #plan(arrival: Arrival): Plan {
    const { clock, draw, faults } = this.#deps
    if (clock.monotonic() < this.#outageUntil) return this.#outage
    if (this.#healed) return HONEST
    const refusal = this.#store.refusesSize(arrival)
    if (refusal !== null) return { store: 'none', tell: { answer: refusal } }
    if (!this.#storming || !draw.chance(faults.rate)) return HONEST
    const kinds = this.#store.plans.filter(([kind]) => faults.on.has(kind))
    if (kinds.length === 0) return HONEST
    const [, plan] = draw.pick(kinds)
    return plan(this.#deps)
  }
}

function saidOf({ tell }: Plan, own: Answer): Answer | string {
  if ('failure' in tell) return tell.failure
  return 'garble' in tell ? tell.garble(own) : (tell.answer ?? own)
}

function wordsOf(said: Answer | string): string {
  return typeof said === 'string' ? said : `${said.status} ${said.body.slice(0, 60).trim()}`
}
