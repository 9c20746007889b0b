// One push after another to one Loki: headers, compression, the answer's meaning, and the counts of it all.
import { errorCode, errorMessage } from '../../core/errors.ts'
import { releaseIfAlone } from '../../core/memory.ts'
import type { Clock } from '../../ports/clock.ts'
import type { HttpClient } from '../../ports/http.ts'
import { RequestCounts } from '../request-counts.ts'
import { classify, type LokiOutcome } from './classify.ts'
import type { Compress } from './snappy.ts'

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
  compress: Compress
}

export class LokiRequests {
  readonly counts: RequestCounts
  readonly #http: HttpClient
  readonly #clock: Clock
  readonly #options: RequestOptions

  constructor(http: HttpClient, clock: Clock, options: RequestOptions) {
    this.counts = new RequestCounts(clock)
    this.#http = http
    this.#clock = clock
    this.#options = options
  }

  /** Pushes a PushRequest message, to `tenant` or, when it is null, to the sink's own. Never rejects: what went wrong is the outcome. */
  push(body: Buffer, tenant: string | null): Promise<Answer> {
    return this.pushBlock(() => this.#options.compress(body), tenant)
  }

  /** The same of a message that `make` compresses, into memory of its own that is given back. */
  async pushBlock(make: () => Buffer, tenant: string | null): Promise<Answer> {
    const answer = await this.counts.count(() => this.#send(make, tenant ?? this.#options.tenant))
    const { outcome } = answer
    if (outcome.kind === 'delivered') this.counts.lastError = null
    else this.counts.lastError = outcome.kind === 'refused' ? answer.same : outcome.message
    return answer
  }

  async #send(make: () => Buffer, tenant: string | null): Promise<Answer> {
    const { path, authorization, timeoutMs } = this.#options
    try {
      const headers: Record<string, string> = { 'content-type': 'application/x-protobuf', 'user-agent': 'taffrail' }
      if (tenant !== null) headers['x-scope-orgid'] = tenant
      const credentials = authorization()
      if (credentials !== null) headers.authorization = credentials
      const block = make()
      // Hundreds of bodies a second would make the collector run for their sake (measured: a tenth of all CPU at full speed,
      // and 20 MiB at the peak).
      const response = await this.#http
        .send({ method: 'POST', path, headers, body: block, timeoutMs })
        .finally(() => releaseIfAlone(block))
      const outcome = classify(response, this.#clock.now())
      const same = outcome.kind === 'delivered' ? '' : `${response.status} ${response.body.toString('latin1', 0, 256)}`
      return { outcome, status: response.status, same }
    } catch (error) {
      const message = errorMessage(error)
      return { outcome: { kind: 'retry', reason: errorCode(error), message }, status: 0, same: errorCode(error) }
    }
  }
}
