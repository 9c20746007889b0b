// An Elasticsearch on a port of 127.0.0.1 that keeps of each document its `_id` and a hash: `create` alone, each record's fate
// by itself, and what a test asks of it to go wrong. A repeat of an id is a 409; what differs from what lies under its id is
// told to nobody, so that it is missing in the end.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { crc32, gunzipSync } from 'node:zlib'

export interface BulkDocument {
  '@timestamp': string
  message: string
  stream: string
  kubernetes: { pod: { name: string }; container: { name: string } }
}

/** What a bulk meets. `store`: how much of it is stored all the same. */
export type BulkTrouble =
  | { kind: 'answer'; status: number; store: 'all' | 'half' | 'none' }
  | { kind: 'reset'; store: 'all' | 'half' | 'none' }
  | { kind: 'slow'; delayMs: number }
  /** Every third document finds no room. */
  | { kind: 'full' }

export interface BulkReceiverOptions {
  /** A document is stored, or was sent again. */
  onDocument: (document: BulkDocument, id: string) => void
  /** It can never be stored. */
  refuses: (document: BulkDocument) => boolean
  /** `n` counts the bulks from 1. */
  troubleOf: (n: number) => BulkTrouble | null
}

export interface BulkCounts {
  requests: number
  accepted: number
  answers: Record<string, number>
}

const REFUSED = { status: 400, error: { type: 'mapper_parsing_exception', reason: 'failed to parse field [x]' } }
const FULL = { status: 429, error: { type: 'rejected_execution_exception', reason: 'rejected execution of x' } }
const THERE = { status: 409, error: { type: 'version_conflict_engine_exception', reason: 'document already exists' } }

export class BulkReceiver {
  readonly counts: BulkCounts = { requests: 0, accepted: 0, answers: {} }
  readonly #options: BulkReceiverOptions
  readonly #stored = new Map<string, number>()
  readonly #server = createServer((request, response) => this.#read(request, response))

  constructor(options: BulkReceiverOptions) {
    this.#options = options
  }

  /** Resolves with its URL. */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  #read(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('error', () => {}) // a sender that was killed
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      void this.#answer(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body, response)
    })
  }

  async #answer(body: Buffer, response: ServerResponse): Promise<void> {
    const trouble = this.#options.troubleOf(++this.counts.requests)
    const lines = body.toString().split('\n').slice(0, -1)
    const count = lines.length / 2
    const store = trouble !== null && 'store' in trouble ? trouble.store : 'all'
    const storeMax = { all: count, half: Math.ceil(count / 2), none: 0 }[store]
    const items = Array.from({ length: count }, (_, i) => {
      const { _id } = (JSON.parse(lines[2 * i] as string) as { create: { _id: string } }).create
      const isFull = trouble?.kind === 'full' && i % 3 === 1
      const fate = isFull ? FULL : i < storeMax ? this.#create(_id, lines[2 * i + 1] as string) : { status: 201 }
      return { create: { _id, ...fate } }
    })
    if (trouble?.kind === 'slow') await sleep(trouble.delayMs)
    const status = trouble?.kind === 'answer' ? trouble.status : 200
    const said = trouble?.kind === 'reset' ? 'reset' : String(status)
    this.counts.answers[said] = (this.counts.answers[said] ?? 0) + 1
    if (trouble?.kind === 'reset') response.socket?.resetAndDestroy()
    else if (status !== 200) response.writeHead(status).end()
    else response.end(JSON.stringify({ errors: items.some(({ create }) => create.status !== 201), items }))
  }

  #create(id: string, text: string): typeof REFUSED | { status: number } {
    const document = JSON.parse(text) as BulkDocument
    if (this.#options.refuses(document)) return REFUSED
    const hash = crc32(text)
    const there = this.#stored.get(id)
    if (there === undefined) {
      this.#stored.set(id, hash)
      this.counts.accepted++
    }
    if (there === undefined || there === hash) this.#options.onDocument(document, id)
    return there === undefined ? { status: 201 } : THERE
  }
}
