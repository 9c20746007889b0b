// An API server for pods and namespaces in memory, with all that a list+watch meets: one resourceVersion over everything,
// pages, bookmarks, compaction, ends of watches, refusals, silence, restarts. It does as the real one was seen to do
// (test/fixtures/watch). The logic knows no transport: `client` is an HTTP port on it, `listen` a real server.
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { TaffrailError } from '../../src/core/errors.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { HttpClient, HttpClientFactory, HttpRequest, HttpResponse } from '../../src/ports/http.ts'

export interface KubeThing {
  kind: 'Pod' | 'Namespace'
  apiVersion: 'v1'
  metadata: {
    name: string
    namespace?: string
    uid: string
    resourceVersion: string
    labels?: Record<string, string>
    annotations?: Record<string, string>
    ownerReferences?: object[]
  }
  spec?: { nodeName?: string } & Record<string, unknown>
  status?: Record<string, unknown>
}

/** Where an answer goes. */
interface Answer {
  head(status: number, headers: Record<string, string>): void
  write(text: string): void
  end(): void
  /** The connection breaks. */
  break(): void
}

interface Change {
  version: number
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  thing: KubeThing
}

interface Watching {
  kind: KubeThing['kind']
  node: string | null
  partial: boolean
  answer: Answer
  version: number
}

/** What a request meets instead of the usual answer; null: the usual one. */
export type Refusal = { status: number; message: string; headers?: Record<string, string> } | 'hang' | 'break' | null

export interface SeenRequest {
  path: string
  query: URLSearchParams
  headers: Record<string, string>
}

export class FakeApiServer {
  readonly seen: SeenRequest[] = []
  readonly #things = new Map<string, KubeThing>()
  readonly #history: Change[] = []
  readonly #watching = new Set<Watching>()
  #version = 100
  #compacted = 0
  /** Continue tokens of before are too old. */
  #tokens = 0
  /** Asked before each request is answered. */
  refuse: (request: SeenRequest) => Refusal = () => null
  /** Bytes that were sent. */
  bytes = 0

  get watchers(): number {
    return this.#watching.size
  }

  /** Creates or changes; `over` is merged into the metadata. */
  put(thing: Omit<KubeThing, 'apiVersion'> | KubeThing): void {
    const key = `${thing.kind}/${thing.metadata.namespace ?? ''}/${thing.metadata.name}`
    const before = this.#things.get(key)
    // The same name with another UID: the old one was deleted before.
    if (before !== undefined && before.metadata.uid !== thing.metadata.uid) this.delete(thing.kind, before.metadata)
    const type = this.#things.has(key) ? 'MODIFIED' : 'ADDED'
    const version = ++this.#version
    const stored: KubeThing = {
      ...structuredClone(thing),
      apiVersion: 'v1',
      metadata: { ...structuredClone(thing.metadata), resourceVersion: String(version) },
    }
    this.#things.set(key, stored)
    this.#tell({ version, type, thing: stored })
  }

  delete(kind: KubeThing['kind'], { name, namespace = '' }: { name: string; namespace?: string }): void {
    const key = `${kind}/${namespace}/${name}`
    const thing = this.#things.get(key)
    if (thing === undefined) return
    this.#things.delete(key)
    const version = ++this.#version
    const last = { ...thing, metadata: { ...thing.metadata, resourceVersion: String(version) } }
    this.#tell({ version, type: 'DELETED', thing: last })
  }

  /** Everything before now is too old to go on from. */
  compact(): void {
    this.#compacted = ++this.#version
    this.#tokens++
    this.#history.length = 0
  }

  bookmark(): void {
    for (const watching of this.#watching) {
      const object = { kind: watching.kind, apiVersion: 'v1', metadata: { resourceVersion: String(this.#version) } }
      this.#send(watching.answer, `${JSON.stringify({ type: 'BOOKMARK', object })}\n`)
    }
  }

  /** All watches end, in good order or not. */
  endWatches(how: 'end' | 'break' | { code: number; message: string }): void {
    for (const { answer } of this.#watching) {
      if (typeof how === 'object') {
        const object = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', ...how }
        this.#send(answer, `${JSON.stringify({ type: 'ERROR', object })}\n`)
      }
      if (how === 'break') answer.break()
      else answer.end()
    }
    this.#watching.clear()
  }

  /** Sends text as it is to all watches. */
  garble(text: string): void {
    for (const { answer } of this.#watching) this.#send(answer, text)
  }

  /** Answers one GET; returns what ends it when the client goes away. */
  handle(path: string, headers: Record<string, string>, answer: Answer): () => void {
    const url = new URL(path, 'http://api')
    const request = { path: url.pathname, query: url.searchParams, headers }
    this.seen.push(request)
    const refusal = this.refuse(request)
    if (refusal === 'hang') return () => {}
    if (refusal === 'break') {
      answer.break()
      return () => {}
    }
    if (refusal !== null) {
      this.#status(answer, refusal.status, refusal.message, {}, refusal.headers)
      return () => {}
    }
    const kind = url.pathname === '/api/v1/pods' ? 'Pod' : url.pathname === '/api/v1/namespaces' ? 'Namespace' : null
    if (kind === null) {
      this.#status(answer, 404, 'the server could not find the requested resource')
      return () => {}
    }
    return request.query.get('watch') === '1' ? this.#watch(kind, request, answer) : this.#list(kind, request, answer)
  }

  /** An HTTP port whose requests come here; a request takes `delayMs`. */
  client(clock: Clock, delayMs = 1): HttpClientFactory {
    return () => new MemoryClient(this, clock, delayMs)
  }

  /** A real server on 127.0.0.1; resolves with its origin and what ends it. */
  async listen(port = 0): Promise<{ origin: string; port: number; close: () => void }> {
    const server = http.createServer((request, response) => {
      const end = this.handle(request.url ?? '/', request.headers as Record<string, string>, {
        head: (status, headers) => void response.writeHead(status, headers).flushHeaders(),
        write: (text) => void response.write(text),
        end: () => void response.end(),
        break: () => void response.destroy(),
      })
      response.on('close', end)
    })
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    const address = server.address() as AddressInfo
    const close = () => {
      server.closeAllConnections()
      server.close()
    }
    return { origin: `http://127.0.0.1:${address.port}`, port: address.port, close }
  }

  #matching(kind: KubeThing['kind'], query: URLSearchParams): KubeThing[] {
    const node = nodeOf(query)
    return [...this.#things.values()]
      .filter((thing) => thing.kind === kind && isOn(thing, node))
      .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
  }

  #list(kind: KubeThing['kind'], { query, headers }: SeenRequest, answer: Answer): () => void {
    const token = query.get('continue')
    const limit = Number(query.get('limit') ?? 0)
    let things = this.#matching(kind, query)
    let version = this.#version
    if (token !== null) {
      const [tokens, from, after] = JSON.parse(Buffer.from(token, 'base64').toString()) as [number, number, string]
      if (tokens !== this.#tokens) {
        const fresh = { continue: Buffer.from(JSON.stringify([this.#tokens, -1, after])).toString('base64') }
        this.#status(answer, 410, 'The provided continue parameter is too old to display a consistent list.', fresh)
        return () => {}
      }
      if (from > 0) version = from
      things = things.filter((thing) => keyOf(thing) > after)
    }
    const page = limit > 0 ? things.slice(0, limit) : things
    const rest = page.length < things.length ? keyOf(page.at(-1) as KubeThing) : null
    const metadata = {
      resourceVersion: String(version),
      ...(rest !== null && {
        continue: Buffer.from(JSON.stringify([this.#tokens, version, rest])).toString('base64'),
        remainingItemCount: things.length - page.length,
      }),
    }
    const partial = isPartial(headers)
    // Items in a list carry no kind, but in the form of their metadata they do.
    const items = page.map((thing) =>
      partial ? partialOf(thing) : { ...thing, kind: undefined, apiVersion: undefined },
    )
    const listKind = partial ? 'PartialObjectMetadataList' : `${kind}List`
    answer.head(200, { 'content-type': 'application/json' })
    this.#send(answer, JSON.stringify({ kind: listKind, apiVersion: 'v1', metadata, items }))
    answer.end()
    return () => {}
  }

  #watch(kind: KubeThing['kind'], { query, headers }: SeenRequest, answer: Answer): () => void {
    const from = query.get('resourceVersion') ?? ''
    if (!/^\d*$/.test(from)) {
      this.#status(answer, 500, `resourceVersion: Invalid value: "${from}": strconv.ParseUint: invalid syntax`)
      return () => {}
    }
    answer.head(200, { 'content-type': 'application/json' })
    const watching = { kind, node: nodeOf(query), partial: isPartial(headers), answer, version: Number(from) }
    if (watching.version < this.#compacted) {
      const message = `too old resource version: ${from} (${this.#compacted})`
      const object = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason: 'Expired' }
      this.#send(answer, `${JSON.stringify({ type: 'ERROR', object: { ...object, code: 410 } })}\n`)
      answer.end()
      return () => {}
    }
    this.#watching.add(watching)
    for (const change of this.#history) if (change.version > watching.version) this.#tellOne(watching, change)
    return () => void this.#watching.delete(watching)
  }

  #tell(change: Change): void {
    this.#history.push(change)
    for (const watching of this.#watching) this.#tellOne(watching, change)
  }

  #tellOne({ kind, node, partial, answer, version }: Watching, { version: at, type, thing }: Change): void {
    // A version of the future: nothing is told until it has come.
    if (thing.kind !== kind || !isOn(thing, node) || at <= version) return
    this.#send(answer, `${JSON.stringify({ type, object: partial ? partialOf(thing) : thing })}\n`)
  }

  #status(answer: Answer, code: number, message: string, metadata: object = {}, headers = {}): void {
    answer.head(code, { 'content-type': 'application/json', ...headers })
    this.#send(answer, JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata, status: 'Failure', message, code }))
    answer.end()
  }

  #send(answer: Answer, text: string): void {
    this.bytes += Buffer.byteLength(text)
    answer.write(text)
  }
}

function keyOf({ metadata }: KubeThing): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`
}

function nodeOf(query: URLSearchParams): string | null {
  return /^spec\.nodeName=(.+)$/.exec(query.get('fieldSelector') ?? '')?.[1] ?? null
}

function isOn(thing: KubeThing, node: string | null): boolean {
  return node === null || thing.spec?.nodeName === node
}

function isPartial(headers: Record<string, string>): boolean {
  return headers.accept?.includes('as=PartialObjectMetadata') ?? false
}

function partialOf({ metadata }: KubeThing): object {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata }
}

/** The HTTP port over the fake, for GETs; time is the clock's. */
class MemoryClient implements HttpClient {
  readonly #server: FakeApiServer
  readonly #clock: Clock
  readonly #delayMs: number
  #closed = false

  constructor(server: FakeApiServer, clock: Clock, delayMs: number) {
    this.#server = server
    this.#clock = clock
    this.#delayMs = delayMs
  }

  send({ path, headers, timeoutMs, stream }: HttpRequest): Promise<HttpResponse> {
    const { promise, resolve, reject } = Promise.withResolvers<HttpResponse>()
    let status = 0
    const answerHeaders: Record<string, string> = {}
    const chunks: Buffer[] = []
    let done = false
    let gone = () => {}
    let cancel = this.#clock.after(timeoutMs, () => fail('HTTP_TIMEOUT', `no answer within ${timeoutMs} ms`))
    const over = () => {
      done = true
      cancel()
      gone()
    }
    const fail = (code: string, message: string) => {
      if (done) return
      over()
      reject(new TaffrailError(code, message))
    }
    stream?.signal.addEventListener('abort', () => fail('HTTP_FAILED', 'the request was given up'), { once: true })
    const isStreaming = () => stream !== undefined && status >= 200 && status < 300
    const wait = () => {
      cancel()
      if (stream) cancel = this.#clock.after(stream.idleMs, () => fail('HTTP_TIMEOUT', 'the answer fell silent'))
    }
    this.#clock.after(this.#delayMs, () => {
      if (done) return
      if (this.#closed) return fail('HTTP_FAILED', 'the client is closed')
      gone = this.#server.handle(path, headers, {
        head: (code, more) => {
          status = code
          for (const [name, value] of Object.entries(more)) answerHeaders[name.toLowerCase()] = value
          if (isStreaming()) wait()
        },
        write: (text) => {
          if (done) return
          if (!isStreaming()) return void chunks.push(Buffer.from(text))
          wait()
          try {
            stream?.onChunk(Buffer.from(text))
          } catch (error) {
            over()
            reject(error)
          }
        },
        end: () => {
          if (done) return
          over()
          resolve({ status, headers: answerHeaders, body: Buffer.concat(chunks) })
        },
        break: () => fail('HTTP_RESET', 'closed before the answer was complete'),
      })
    })
    return promise
  }

  async close(): Promise<void> {
    this.#closed = true
  }
}
