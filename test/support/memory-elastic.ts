// An Elasticsearch in memory behind the HTTP port: `_bulk` with `create` alone, as strict as the real one about lines,
// names given twice, ids and bytes, and with every fault that a test asks for. What it does is held against answers of a real
// OpenSearch by the cases in test/sinks/elasticsearch/classify.test.ts.
import { isUtf8 } from 'node:buffer'
import { gunzipSync } from 'node:zlib'
import { TaffrailError } from '../../src/core/errors.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { HttpClient, HttpClientFactory, HttpRequest, HttpResponse } from '../../src/ports/http.ts'

export interface StoredDocument {
  index: string
  id: string
  source: Record<string, unknown>
  /** As it came. */
  text: string
}

export interface ItemError {
  status: number
  type: string
  reason: string
}

export interface SentDocument {
  id: string | undefined
  index: string
  source: Record<string, unknown>
  text: string
}

/** One bulk as it came. */
export interface SeenBulk {
  n: number
  atMs: number
  origin: string
  path: string
  headers: Record<string, string>
  /** Uncompressed. */
  bytes: number
  documents: SentDocument[]
  /** The status, or the code of the failure; null while there is none. */
  outcome: number | string | null
}

export type BulkFault =
  /** This answer instead; `store`: what was sent is stored all the same. */
  | { kind: 'answer'; status: number; body?: string; headers?: Record<string, string>; store?: boolean }
  | { kind: 'reset'; store: boolean }
  | { kind: 'hang'; store: boolean }
  | { kind: 'hold'; until: Promise<unknown> }
  /** The true answer is changed on its way. */
  | { kind: 'change'; body: (body: string) => string }

export class MemoryElastic {
  readonly seen: SeenBulk[] = []
  /** What a bulk meets; null: nothing. Its documents can be looked at, and are not stored yet. */
  fault: ((bulk: SeenBulk) => BulkFault | null) | null = null
  /** What one document meets; null: it is stored. */
  refuse: ((document: SentDocument) => ItemError | null) | null = null
  /** Answers what is no bulk. */
  setUp: ((method: string, path: string) => { status: number; body: string }) | null = null
  /** Called when a bulk came and nothing is stored, and before its answer leaves. */
  onMoment: ((moment: 'came' | 'stored') => void) | null = null
  /** `http.max_content_length`, after decompression. */
  contentBytesMax = 100 * 1024 * 1024
  /** Generation of every data stream. */
  generation = 1
  readonly #clock: Clock
  readonly #stored = new Map<string, StoredDocument>()
  #made = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  readonly createHttpClient: HttpClientFactory = (origin) => {
    const closed = Promise.withResolvers<never>()
    closed.promise.catch(() => {})
    const client: HttpClient = {
      send: (request) => {
        const timeout = Promise.withResolvers<never>()
        timeout.promise.catch(() => {})
        const cancel = this.#clock.after(request.timeoutMs, () =>
          timeout.reject(new TaffrailError('HTTP_TIMEOUT', `no answer within ${request.timeoutMs} ms`)),
        )
        return Promise.race([this.#send(origin, request), timeout.promise, closed.promise]).finally(cancel)
      },
      close: async () => closed.reject(new TaffrailError('HTTP_FAILED', 'the client was closed')),
    }
    return client
  }

  get documents(): StoredDocument[] {
    return [...this.#stored.values()]
  }

  async #send(origin: string, request: HttpRequest): Promise<HttpResponse> {
    if (!request.path.includes('/_bulk')) {
      const { status, body } = this.setUp?.(request.method, request.path) ?? { status: 404, body: '{}' }
      return { status, headers: {}, body: Buffer.from(body) }
    }
    // The body is the caller's and may change once this settles; it is read now.
    const sent = Buffer.from(request.body ?? Buffer.alloc(0))
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent
    const { path, headers } = request
    const n = this.seen.length + 1
    const bulk: SeenBulk = {
      n,
      atMs: this.#clock.monotonic(),
      origin,
      path,
      headers,
      bytes: body.length,
      documents: readBulk(path, body),
      outcome: null,
    }
    this.seen.push(bulk)
    try {
      this.onMoment?.('came')
      const fault = this.fault?.(bulk) ?? null
      const answer = await this.#answer(bulk, body, fault)
      this.onMoment?.('stored')
      bulk.outcome = answer.status
      const kept = Buffer.from(answer.body).subarray(0, request.answerBytesMax ?? 64 * 1024)
      return { status: answer.status, headers: answer.headers ?? {}, body: kept }
    } catch (error) {
      bulk.outcome = (error as TaffrailError).code ?? String(error)
      throw error
    }
  }

  async #answer(
    bulk: SeenBulk,
    body: Buffer,
    fault: BulkFault | null,
  ): Promise<{ status: number; body: string; headers?: Record<string, string> }> {
    if (fault === null) return this.#take(bulk, body)
    if (fault.kind === 'change') {
      const answer = this.#take(bulk, body)
      return { ...answer, body: fault.body(answer.body) }
    }
    if (fault.kind === 'hold') {
      const answer = this.#take(bulk, body)
      await fault.until
      return answer
    }
    if (fault.store) this.#take(bulk, body)
    if (fault.kind === 'hang') return new Promise(() => {})
    if (fault.kind === 'reset') throw new TaffrailError('HTTP_RESET', 'the connection was reset')
    return { status: fault.status, body: fault.body ?? '', ...(fault.headers && { headers: fault.headers }) }
  }

  #take(bulk: SeenBulk, body: Buffer): { status: number; body: string } {
    if (body.length > this.contentBytesMax) return { status: 413, body: '' }
    const items = bulk.documents.map((document) => ({ create: this.#create(document) }))
    return { status: 200, body: JSON.stringify({ errors: items.some(({ create }) => 'error' in create), items }) }
  }

  #create({ id, index, source, text }: SentDocument): object {
    const refusal = this.refuse?.({ id, index, source, text }) ?? null
    if (refusal !== null) {
      const { status, type, reason } = refusal
      return { ...(id !== undefined && { _id: id }), status, error: { type, reason } }
    }
    const _id = id ?? `made-${++this.#made}`
    const key = `${index} ${this.generation} ${_id}`
    if (this.#stored.has(key)) {
      const reason = `[${_id}]: version conflict, document already exists (current version [1])`
      return { _id, status: 409, error: { type: 'version_conflict_engine_exception', reason } }
    }
    this.#stored.set(key, { index, id: _id, source, text })
    return { _id, status: 201 }
  }
}

/** No name in the text was lost to another one of its object. */
function hasAllNames(text: string, source: object): boolean {
  const names = (json: string) => json.match(/"(?:[^"\\]|\\.)*"\s*:/g)?.length ?? 0
  return names(text) === names(JSON.stringify(source))
}

/** Throws where a real one would refuse the bulk, or one of its documents, for its form. */
function readBulk(path: string, body: Buffer): SentDocument[] {
  if (!isUtf8(body)) throw new Error('a bulk that is not UTF-8')
  const lines = body.toString('utf8').split('\n')
  if (lines.pop() !== '' || lines.length % 2 === 1) throw new Error('a bulk that does not end with a line')
  const defaultIndex = decodeURIComponent(/^(?:\/[^/]+)?\/([^/]+)\/_bulk/.exec(path)?.[1] ?? '')
  const documents: SentDocument[] = []
  for (let i = 0; i < lines.length; i += 2) {
    const action = JSON.parse(lines[i] as string) as { create: { _index?: string; _id?: string } }
    if (Object.keys(action).join() !== 'create') throw new Error(`an action that is no create: ${lines[i]}`)
    const text = lines[i + 1] as string
    const source = JSON.parse(text) as Record<string, unknown>
    if (text.length < 10_000 && !hasAllNames(text, source)) throw new Error(`a name that is given twice: ${text}`)
    documents.push({ id: action.create._id, index: action.create._index ?? defaultIndex, source, text })
  }
  return documents
}
