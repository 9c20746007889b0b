// An embedded receiver that speaks Loki's push protocol over HTTP or HTTPS, on 127.0.0.1 only. It answers like Loki
// (loki-store.ts) and fails on request (faults.ts). Used by the demo, the tests and the bench. It holds what is stored;
// in mode `null` it reads, counts and answers 204.
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { Exchange, rawAnswer, sendAnswer } from './exchange.ts'
import { type Fault, type FaultHook, holds, type StoreShare } from './faults.ts'
import type { LokiLimits } from './loki-limits.ts'
import {
  errorAnswer,
  type LokiAnswer,
  type LokiCounts,
  LokiStore,
  type OnEntry,
  type StoredStream,
} from './loki-store.ts'

export interface ReceiverOptions {
  /** `store` (as Loki), or `null`: bodies are read and counted, nothing is decoded, the answer is 204. */
  mode?: 'store' | 'null'
  limits?: Partial<LokiLimits>
  fault?: FaultHook
  /** Called for every accepted entry; nothing but counts is kept then, unless `keepEntries`. */
  onEntry?: OnEntry
  keepEntries?: boolean
  /** PEM. With `ca`, only clients with a certificate of that CA get in. */
  tls?: { key: string | Buffer; cert: string | Buffer; ca?: string | Buffer }
  /** 0 or left out: any free port. */
  port?: number
  /** Milliseconds since the epoch; Date.now when left out. */
  now?: () => number
  /** A store to go on with, e.g. that of a receiver that was closed; `limits`, `onEntry` and `keepEntries` are its own then. */
  store?: LokiStore
}

export interface ReceiverCounts extends LokiCounts {
  /** Push requests whose body arrived in full. */
  requests: number
  /** Of the bodies, as sent. */
  bodyBytes: number
  /** Answers by status; `reset`, `cut` and `hang` for what was no whole answer. */
  answers: Record<string, number>
}

export interface Receiver {
  /** `http://127.0.0.1:PORT` or `https://…`. */
  readonly url: string
  readonly port: number
  readonly counts: Readonly<ReceiverCounts>
  readonly store: LokiStore
  /** All streams with their entries in order of arrival, of one tenant or of all. */
  streams(tenant?: string): StoredStream[]
  /** The streams that have all of these labels, perhaps others too. */
  find(labels: Record<string, string>): StoredStream[]
  /** Changes what the next requests meet. */
  setFault(fault: FaultHook | null): void
  /** Resolves when `condition` holds; it is asked now and after each request that was dealt with. */
  until(condition: () => boolean): Promise<void>
  /** Ends all connections, those of hanging requests too. */
  close(): Promise<void>
}

const ACCEPTED: LokiAnswer = { status: 204, headers: {}, body: '' }

/** Starts a receiver. Rejects when the port is taken or a certificate is not one. */
export async function startReceiver(options: ReceiverOptions = {}): Promise<Receiver> {
  const receiver = new HttpReceiver(options)
  await receiver.listen(options.port ?? 0)
  return receiver
}

class HttpReceiver implements Receiver {
  readonly store: LokiStore
  #options: ReceiverOptions
  #fault: FaultHook | null
  #server: http.Server
  #requests = 0
  #bodyBytes = 0
  #answers: Record<string, number> = {}
  #waiting: { condition: () => boolean; resolve: () => void }[] = []
  #timers = new Set<NodeJS.Timeout>()

  constructor(options: ReceiverOptions) {
    this.#options = options
    this.#fault = options.fault ?? null
    this.store = options.store ?? new LokiStore(options.limits, options.onEntry, options.keepEntries)
    const { tls } = options
    // As long as a Go server's, so that a keep-alive connection does not end between two pushes.
    const times = { keepAliveTimeout: 120_000, requestTimeout: 0 }
    this.#server =
      tls === undefined
        ? http.createServer(times, (request, response) => this.#route(request, response))
        : https.createServer(
            { ...times, ...tls, requestCert: tls.ca !== undefined, rejectUnauthorized: tls.ca !== undefined },
            (request, response) => this.#route(request, response),
          )
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, '127.0.0.1', resolve)
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `${this.#options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.port}`
  }

  get counts(): ReceiverCounts {
    return { requests: this.#requests, bodyBytes: this.#bodyBytes, answers: { ...this.#answers }, ...this.store.counts }
  }

  streams(tenant?: string): StoredStream[] {
    return this.store.streams(tenant)
  }

  find(labels: Record<string, string>): StoredStream[] {
    const wanted = Object.entries(labels)
    return this.streams().filter((stream) => wanted.every(([name, value]) => stream.labels[name] === value))
  }

  setFault(fault: FaultHook | null): void {
    this.#fault = fault
  }

  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ condition, resolve }))
  }

  close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer)
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  #route(request: http.IncomingMessage, response: http.ServerResponse): void {
    const path = request.url?.split('?')[0]
    if (path === '/ready') response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end('ready\n')
    else if (path !== '/loki/api/v1/push') sendAnswer(response, errorAnswer(404, '404 page not found'))
    else if (request.method !== 'POST') response.writeHead(405).end()
    else this.#receive(request, response)
  }

  #receive(request: http.IncomingMessage, response: http.ServerResponse): void {
    const discard = this.#options.mode === 'null' && this.#fault === null
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => {
      this.#bodyBytes += chunk.length
      if (!discard) chunks.push(chunk)
    })
    request.on('end', () => {
      const n = ++this.#requests
      if (discard) this.#answer(response, ACCEPTED)
      else this.#handle(n, request, response, Buffer.concat(chunks))
      this.#settle()
    })
  }

  #handle(n: number, request: http.IncomingMessage, response: http.ServerResponse, body: Buffer): void {
    const exchange = new Exchange(n, request, body, this.store, this.#options.now ?? Date.now)
    const fault = this.#fault?.(exchange.forFault) ?? null
    const answer = fault === null ? this.#take(exchange, 'all') : this.#fail(fault, exchange, response)
    if (answer !== null) this.#answer(response, answer)
  }

  /** Does what the fault says; gives the answer to send now, or null when there is none, or not yet. */
  #fail(fault: Fault, exchange: Exchange, response: http.ServerResponse): LokiAnswer | null {
    const { socket } = response
    switch (fault.kind) {
      case 'answer':
        this.#take(exchange, fault.store ?? 'none')
        return { status: fault.status, headers: fault.headers ?? {}, body: fault.body ?? '' }
      case 'poison': {
        const { push } = exchange.forFault
        if (push === null || !holds(push, fault.matches)) return this.#take(exchange, 'all')
        return errorAnswer(fault.status ?? 500, fault.body ?? 'label name is empty')
      }
      case 'reset':
        this.#take(exchange, fault.store)
        this.#count('reset')
        if (this.#options.tls === undefined) socket?.resetAndDestroy()
        else socket?.destroy()
        return null
      case 'cut': {
        const raw = rawAnswer(this.#take(exchange, fault.store))
        this.#count('cut')
        socket?.write(raw.subarray(0, fault.afterBytes), () => socket.destroy())
        return null
      }
      case 'hang':
        this.#take(exchange, fault.store)
        this.#count('hang')
        return null
      case 'slow': {
        const answer = this.#take(exchange, 'all')
        const timer = setTimeout(() => {
          this.#timers.delete(timer)
          this.#answerLater(response, answer)
        }, fault.delayMs)
        this.#timers.add(timer)
        return null
      }
      case 'hold': {
        const answer = this.#take(exchange, 'all')
        void fault.until.then(() => this.#answerLater(response, answer))
        return null
      }
    }
  }

  #answerLater(response: http.ServerResponse, answer: LokiAnswer): void {
    this.#answer(response, answer)
    this.#settle()
  }

  #take(exchange: Exchange, share: StoreShare): LokiAnswer {
    return exchange.take(this.#options.mode === 'null' ? 'none' : share)
  }

  #answer(response: http.ServerResponse, answer: LokiAnswer): void {
    this.#count(String(answer.status))
    sendAnswer(response, answer)
  }

  #count(outcome: string): void {
    this.#answers[outcome] = (this.#answers[outcome] ?? 0) + 1
  }

  #settle(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const one of waiting) {
      if (one.condition()) one.resolve()
      else this.#waiting.push(one)
    }
  }
}
