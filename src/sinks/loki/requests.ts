// One push after another to one Loki: headers, compression, the answer's meaning, and the counts of it all.
import { compressSync } from 'snappy'
import { errorCode, errorMessage } from '../../core/errors.ts'
import type { Clock } from '../../ports/clock.ts'
import type { HttpClient } from '../../ports/http.ts'
import type { SinkState } from '../sink.ts'
import { classify, type LokiOutcome } from './classify.ts'

/** Upper bounds of the request duration histogram, in seconds. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, Number.POSITIVE_INFINITY]

/** What came of one request; `status` 0 when there was no answer. `same` is equal for equal answers. */
export interface Answer {
  outcome: LokiOutcome
  status: number
  same: string
}

export interface RequestOptions {
  path: string
  /** The sink's own. */
  tenant: string | null
  /** The value of the Authorization header, or null; asked before each request, because its file may change. */
  authorization: () => string | null
  timeoutMs: number
}

export class LokiRequests {
  readonly requests: Record<string, number> = {}
  readonly retries: Record<string, number> = {}
  readonly requestSeconds: SinkState['requestSeconds'] = { bounds: BOUNDS, counts: BOUNDS.map(() => 0), sum: 0 }
  inFlight = 0
  lastError: string | null = null
  /** Monotonic ms of the last 2xx. */
  okAt = Number.NEGATIVE_INFINITY
  readonly #http: HttpClient
  readonly #clock: Clock
  readonly #options: RequestOptions

  constructor(http: HttpClient, clock: Clock, options: RequestOptions) {
    this.#http = http
    this.#clock = clock
    this.#options = options
  }

  /**
   * Pushes a PushRequest message, to `tenant` or, when it is null, to the sink's own. Never rejects: what went wrong is the
   * outcome.
   */
  async push(body: Buffer, tenant: string | null): Promise<Answer> {
    const started = this.#clock.monotonic()
    this.inFlight++
    try {
      const answer = await this.#send(body, tenant ?? this.#options.tenant)
      this.#count(String(answer.status || 'error'), started)
      if (answer.outcome.kind === 'delivered') {
        this.okAt = this.#clock.monotonic()
        this.lastError = null
      } else this.lastError = answer.outcome.kind === 'refused' ? answer.same : answer.outcome.message
      return answer
    } finally {
      this.inFlight--
    }
  }

  async #send(body: Buffer, tenant: string | null): Promise<Answer> {
    const { path, authorization, timeoutMs } = this.#options
    try {
      const headers: Record<string, string> = { 'content-type': 'application/x-protobuf', 'user-agent': 'taffrail' }
      if (tenant !== null) headers['x-scope-orgid'] = tenant
      const credentials = authorization()
      if (credentials !== null) headers.authorization = credentials
      const compressed = compressSync(body, { copyOutputData: true }) as Buffer
      const response = await this.#http
        .send({ method: 'POST', path, headers, body: compressed, timeoutMs })
        .finally(() => free(compressed))
      const outcome = classify(response, this.#clock.now())
      const same = outcome.kind === 'delivered' ? '' : `${response.status} ${response.body.toString('latin1', 0, 256)}`
      return { outcome, status: response.status, same }
    } catch (error) {
      const message = errorMessage(error)
      return { outcome: { kind: 'retry', reason: errorCode(error), message }, status: 0, same: errorCode(error) }
    }
  }

  #count(code: string, started: number): void {
    this.requests[code] = (this.requests[code] ?? 0) + 1
    const seconds = (this.#clock.monotonic() - started) / 1000
    const bucket = BOUNDS.findIndex((bound) => seconds <= bound)
    this.requestSeconds.counts[bucket] = (this.requestSeconds.counts[bucket] as number) + 1
    this.requestSeconds.sum += seconds
  }
}

/**
 * Gives the memory of a compressed body back at once, instead of at some later collection: hundreds of them a second
 * would make the collector run for their sake (measured: a tenth of all CPU at full speed, and 20 MiB at the peak).
 */
function free(body: Buffer): void {
  if (body.byteLength === body.buffer.byteLength) (body.buffer as ArrayBuffer).transfer(0)
}
