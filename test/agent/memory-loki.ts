// The embedded Loki behind the HTTP port, without a network: the same store, the same faults (src/demo/faults.ts), on the
// test's clock. What was pushed is kept as it came, so that a test can count requests and compare repeats.
import type { IncomingMessage } from 'node:http'
import { TaffrailError } from '../../src/core/errors.ts'
import { Exchange } from '../../src/demo/exchange.ts'
import { type Fault, type FaultHook, holds } from '../../src/demo/faults.ts'
import { type LokiLimits, UNLIMITED_RATES } from '../../src/demo/loki-limits.ts'
import { errorAnswer, type LokiAnswer, LokiStore, type StoredStream } from '../../src/demo/loki-store.ts'
import type { Push } from '../../src/demo/push-proto.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { HttpClient, HttpClientFactory, HttpRequest, HttpResponse } from '../../src/ports/http.ts'

/** One request, as it was when it came. */
export interface Seen {
  n: number
  /** Monotonic ms. */
  atMs: number
  push: Push
  /** The status, or the code of the failure; null while there is none. */
  outcome: number | string | null
  /** The body of the answer. */
  said: string
  headers: Record<string, string>
}

export interface MemoryLokiOptions {
  clock: Clock
  limits?: Partial<LokiLimits>
  store?: LokiStore
}

export class MemoryLoki {
  readonly store: LokiStore
  readonly seen: Seen[] = []
  fault: FaultHook | null = null
  /** Called at the two moments of a request: when it came and nothing is stored, and before its answer leaves. */
  onMoment: ((moment: 'came' | 'stored') => void) | null = null
  /** From request to answer. */
  latencyMs = 0
  inFlight = 0
  inFlightMax = 0
  readonly #clock: Clock

  constructor({ clock, limits, store }: MemoryLokiOptions) {
    this.#clock = clock
    this.store = store ?? new LokiStore({ ...UNLIMITED_RATES, ...limits })
  }

  readonly createHttpClient: HttpClientFactory = () => {
    const closed = Promise.withResolvers<never>()
    closed.promise.catch(() => {})
    const client: HttpClient = {
      send: (request) => {
        const timeout = Promise.withResolvers<never>()
        timeout.promise.catch(() => {})
        const cancel = this.#clock.after(request.timeoutMs, () =>
          timeout.reject(new TaffrailError('HTTP_TIMEOUT', `no answer within ${request.timeoutMs} ms`)),
        )
        return Promise.race([this.#send(request), timeout.promise, closed.promise]).finally(cancel)
      },
      close: async () => closed.reject(new TaffrailError('HTTP_FAILED', 'the client was closed')),
    }
    return client
  }

  /** What is stored, of the streams with these labels. */
  find(labels: Record<string, string> = {}): StoredStream[] {
    const wanted = Object.entries(labels)
    return this.store.streams().filter((stream) => wanted.every(([name, value]) => stream.labels[name] === value))
  }

  /** All lines stored under these labels, in order of arrival. */
  lines(labels: Record<string, string> = {}): string[] {
    return this.entries(labels).map(({ line }) => line.toString())
  }

  entries(labels: Record<string, string> = {}): StoredStream['entries'][number][] {
    return this.find(labels).flatMap(({ entries }) => entries)
  }

  async #send(request: HttpRequest): Promise<HttpResponse> {
    const n = this.seen.length + 1
    const { headers } = request
    // The body is the caller's and may change once this settles; it is read now.
    const body = Buffer.from(request.body as Buffer)
    const exchange = new Exchange(n, { headers } as unknown as IncomingMessage, body, this.store, () =>
      this.#clock.now(),
    )
    const { push } = exchange.forFault
    const seen: Seen = {
      n,
      atMs: this.#clock.monotonic(),
      push: push ?? { streams: [] },
      outcome: null,
      said: '',
      headers,
    }
    this.seen.push(seen)
    this.inFlightMax = Math.max(this.inFlightMax, ++this.inFlight)
    try {
      this.onMoment?.('came')
      const fault = this.fault?.(exchange.forFault) ?? null
      const answer = fault === null ? exchange.take('all') : await this.#fail(fault, exchange)
      this.onMoment?.('stored')
      if (this.latencyMs > 0) await this.#clock.sleep(this.latencyMs)
      seen.outcome = answer.status
      seen.said = answer.body
      return { status: answer.status, headers: answer.headers, body: Buffer.from(answer.body) }
    } catch (error) {
      seen.outcome = (error as TaffrailError).code
      throw error
    } finally {
      this.inFlight--
    }
  }

  async #fail(fault: Fault, exchange: Exchange): Promise<LokiAnswer> {
    switch (fault.kind) {
      case 'answer':
        exchange.take(fault.store ?? 'none')
        return { status: fault.status, headers: fault.headers ?? {}, body: fault.body ?? '' }
      case 'poison': {
        const { push } = exchange.forFault
        if (push === null || !holds(push, fault.matches)) return exchange.take('all')
        return errorAnswer(fault.status ?? 500, fault.body ?? 'label name is empty')
      }
      case 'reset':
      case 'cut':
        exchange.take(fault.store)
        throw new TaffrailError('HTTP_RESET', 'the connection was reset')
      case 'hang':
        exchange.take(fault.store)
        return new Promise(() => {})
      case 'slow': {
        const answer = exchange.take('all')
        await this.#clock.sleep(fault.delayMs)
        return answer
      }
      case 'hold': {
        const answer = exchange.take('all')
        await fault.until
        return answer
      }
    }
  }
}

/** The lines of a push, over all its streams. */
export function linesOf(push: Push): string[] {
  return push.streams.flatMap(({ entries }) => entries.map(({ line }) => line.toString()))
}
