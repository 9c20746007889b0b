// One push request at the embedded receiver: its body, decoded at most once and only when somebody needs it, the share
// of it that is stored, and the answer in the form in which it goes out.
import http from 'node:http'
import { type FaultRequest, firstHalf, type StoreShare } from './faults.ts'
import { errorAnswer, type LokiAnswer, type LokiStore } from './loki-store.ts'
import { PushBodyError, readPush } from './push-body.ts'
import type { Push } from './push-proto.ts'

/** One push request: decoded at most once, and only when somebody needs it. */
export class Exchange {
  readonly forFault: FaultRequest
  #request: http.IncomingMessage
  #body: Buffer
  #store: LokiStore
  #now: () => number
  #read: Push | PushBodyError | null = null

  constructor(n: number, request: http.IncomingMessage, body: Buffer, store: LokiStore, now: () => number) {
    this.#request = request
    this.#body = body
    this.#store = store
    this.#now = now
    const tenant = store.tenantOf(this.#tenantHeader)
    const readOnce = () => this.#readOnce()
    this.forFault = {
      n,
      tenant: typeof tenant === 'string' ? tenant : '',
      headers: request.headers,
      get push() {
        const read = readOnce()
        return read instanceof PushBodyError ? null : read
      },
    }
  }

  get #tenantHeader(): string | undefined {
    return this.#request.headers['x-scope-orgid']?.toString()
  }

  /** Stores a share of the push, and gives the store's answer for all of it, else a 204. */
  take(share: StoreShare): LokiAnswer {
    const stored = { status: 204, headers: {}, body: '' }
    if (share === 'none') return stored
    const tenant = this.#store.tenantOf(this.#tenantHeader)
    if (typeof tenant !== 'string') return tenant
    const push = this.#readOnce()
    if (push instanceof PushBodyError) return errorAnswer(400, push.message)
    const nowMs = this.#now()
    if (share === 'all') return this.#store.push(push, this.#tenantHeader, nowMs)
    this.#store.push(firstHalf(push), this.#tenantHeader, nowMs)
    return stored
  }

  #readOnce(): Push | PushBodyError {
    if (this.#read !== null) return this.#read
    try {
      this.#read = readPush(this.#request.headers, this.#body)
    } catch (error) {
      if (!(error instanceof PushBodyError)) throw error
      this.#read = error
    }
    return this.#read
  }
}

/** Sends an answer whole. */
export function sendAnswer(response: http.ServerResponse, { status, headers, body }: LokiAnswer): void {
  response.writeHead(status, headers).end(body)
}

/** An answer as it goes over the wire. */
export function rawAnswer({ status, headers, body }: LokiAnswer): Buffer {
  const lines = [`HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ''}`, `date: ${new Date().toUTCString()}`]
  for (const [name, value] of Object.entries(headers)) if (name !== 'transfer-encoding') lines.push(`${name}: ${value}`)
  if (headers['content-length'] === undefined && status !== 204)
    lines.push(`content-length: ${Buffer.byteLength(body)}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`)
}
