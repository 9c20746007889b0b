// One bulk after another to one cluster: headers, compression, the answer's meaning, and the counts of it all.

import { errorCode, errorMessage } from '../../core/errors.ts'
import { release, releaseIfAlone } from '../../core/memory.ts'
import type { Clock } from '../../ports/clock.ts'
import { RequestCounts } from '../request-counts.ts'
import { type BulkOutcome, classify, type Sent } from './classify.ts'
import { gzip } from './gzip.ts'
import type { Hosts } from './hosts.ts'

/** What of the answer is asked for: enough to know each record's fate, and whose it is. */
const FILTER = [
  'errors',
  'items.*._id',
  'items.*.status',
  'items.*.error.type',
  'items.*.error.reason',
  'items.*.error.caused_by',
]
const WHOLE = ['error', 'status']
/** An answer is kept up to so much for each record on average; a longer one is asked for again, about fewer. */
const ITEM_BYTES_MAX = 1024
const ANSWER_BYTES_MIN = 64 * 1024
/** About a single record: its reason may quote all of it, and more than once. */
const ONE_ANSWER_BYTES_MAX = 16 * 1024 * 1024

/** `status` 0 when there was no answer. */
export interface Answer {
  outcome: BulkOutcome
  status: number
}

export interface RequestOptions {
  /** The data stream or index of records that name none. */
  index: string
  /** The value of the Authorization header, or null; asked before each request, because its file may change. */
  authorization: () => string | null
  timeoutMs: number
  /** 0: not compressed. */
  gzipLevel: number
}

export class BulkRequests {
  readonly counts: RequestCounts
  readonly #hosts: Hosts
  readonly #clock: Clock
  readonly #options: RequestOptions
  readonly #path: string

  constructor(hosts: Hosts, clock: Clock, options: RequestOptions) {
    this.#hosts = hosts
    this.#clock = clock
    this.#options = options
    this.counts = new RequestCounts(clock)
    // The server waits for a shard that is missing; less long than we for it.
    const waitMs = Math.ceil(options.timeoutMs / 2)
    const filter = [...FILTER, ...WHOLE].join(',')
    this.#path = `/${encodeURIComponent(options.index)}/_bulk?timeout=${waitMs}ms&filter_path=${filter}`
  }

  /** Sends one bulk. Never rejects: what went wrong is the outcome. `body` is neither kept nor changed afterwards. */
  async bulk(body: Buffer, sent: Sent): Promise<Answer> {
    const answer = await this.counts.count(() => this.#send(body, sent))
    const { outcome } = answer
    if (outcome.kind === 'delivered' || outcome.kind === 'items') this.counts.lastError = null
    else this.counts.lastError = outcome.kind === 'refused' ? outcome.says : outcome.message
    return answer
  }

  async #send(body: Buffer, sent: Sent): Promise<Answer> {
    const { authorization, timeoutMs, gzipLevel } = this.#options
    try {
      const headers: Record<string, string> = { 'content-type': 'application/x-ndjson', 'user-agent': 'taffrail' }
      const credentials = authorization()
      if (credentials !== null) headers.authorization = credentials
      const isOne = sent.count === 1
      const answerBytesMax = isOne ? ONE_ANSWER_BYTES_MAX : Math.max(ANSWER_BYTES_MIN, ITEM_BYTES_MAX * sent.count)
      const request = { method: 'POST' as const, path: this.#path, headers, timeoutMs, answerBytesMax }
      let response: Awaited<ReturnType<Hosts['send']>>
      if (gzipLevel === 0) response = await this.#hosts.send({ ...request, body })
      else {
        headers['content-encoding'] = 'gzip'
        const compressed = await gzip(body, gzipLevel, this.#clock)
        response = await this.#hosts.send({ ...request, body: compressed }).finally(() => release(compressed))
      }
      const { status } = response
      const { body: said } = response
      const outcome = classify(response, sent, this.#clock.now())
      if (outcome.kind === 'retry' && status < 300 && said.length >= answerBytesMax) {
        const message = `an answer of more than ${answerBytesMax} bytes`
        return { outcome: { kind: 'split', reason: 'answer_too_long', message }, status }
      }
      // 80 bytes a record, of which nothing is needed any more. What shares its memory with others is left alone.
      releaseIfAlone(said)
      return { outcome, status }
    } catch (error) {
      return { outcome: { kind: 'retry', reason: errorCode(error), message: errorMessage(error) }, status: 0 }
    }
  }
}
