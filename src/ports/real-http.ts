// The HTTP port over undici: one attempt per send, over at most `connections` kept-alive connections, each with one
// request in flight; a send that finds none free waits in line, on its own time. An attempt that a kept connection ended
// before it answered is none: load balancers forget idle ones without a word, and a new one shows how things are. Each connection is an undici Client with
// a connector of ours, so that its socket is known: a request that failed takes its connection with it, which ends every
// use of the caller's Buffer at once. Bound: `connections` sockets, `answerBytesMax` kept of an answer.
import { createRequire } from 'node:module'
import { isIP, connect as netConnect, type Socket } from 'node:net'
import { type PeerCertificate, type SecureContext, type TLSSocket, connect as tlsConnect } from 'node:tls'
import type { buildConnector, Dispatcher, Client as UndiciClient } from 'undici'
import { TaffrailError } from '../core/errors.ts'
import { Gathered } from '../core/gathered.ts'
import { releaseUnlessPooled } from '../core/memory.ts'
import { compiledQuickly } from '../core/wasm.ts'
import type { HttpClient, HttpRequest, HttpResponse, TlsFiles } from './http.ts'
import { httpFailure, type Progress, type Stage, timeoutFailure } from './http-failure.ts'
import { TlsContext } from './tls-files.ts'

// The client alone: the whole of undici (fetch, caches, WebSocket) costs 7 MiB of anonymous memory and 55 ms of CPU more.
const Client = createRequire(import.meta.url)('undici/lib/dispatcher/client.js') as typeof UndiciClient

const bodyBytesKept = 64 * 1024
/** Less than the 60 s after which the usual load balancers close; a server's own `Keep-Alive: timeout` comes first. */
const idleMsMax = 50_000
/** Of such an answer the read buffers are given back at once: left to the collector, a second's worth of bulks is 20 MiB. */
const answerBytesLarge = 16 * 1024
/** Pieces of an answer that are kept as they came: far more than an answer has that comes as fast as it can. */
const piecesMax = 64
const noBody = Buffer.alloc(0)

interface Connection {
  client: UndiciClient
  socket: Socket | null
  /** null: not TLS. A connection of another context than the present one is not used again. */
  secure: SecureContext | null
  connected: boolean
  /** Has carried an answer. */
  proven: boolean
  certificate: PeerCertificate | null
}

/**
 * A client for `origin` (HttpClientFactory; the contract is in http.ts). Nothing is opened or read before the first send.
 * `close` ends what is still under way with HTTP_FAILED. `monotonic` serves the look at the TLS files only.
 */
export function createHttpClient(
  origin: string,
  options: { connections: number; tls?: TlsFiles },
  monotonic: () => number = () => performance.now(),
): HttpClient {
  return new RealHttpClient(origin, options.connections, options.tls ?? {}, monotonic)
}

class RealHttpClient implements HttpClient {
  readonly origin: string
  private readonly url: URL
  private readonly connectionsMax: number
  private readonly tls: TlsFiles
  private readonly context: TlsContext | null
  /** Last used last: the fewest connections stay warm. */
  private idle: Connection[] = []
  private readonly busy = new Set<Exchange>()
  private readonly waiting: Exchange[] = []
  private closed = false

  constructor(origin: string, connectionsMax: number, tls: TlsFiles, monotonic: () => number) {
    this.url = new URL(origin)
    this.origin = this.url.origin
    this.connectionsMax = connectionsMax
    this.tls = tls
    this.context = this.url.protocol === 'https:' ? new TlsContext(tls, monotonic) : null
  }

  send(request: HttpRequest): Promise<HttpResponse> {
    return new Promise((resolve, reject) => {
      const exchange = new Exchange(this, request, resolve, reject)
      if (this.closed) exchange.fail(new TaffrailError('HTTP_FAILED', 'the client is closed'))
      else if (this.busy.size < this.connectionsMax) this.start(exchange)
      else this.waiting.push(exchange)
    })
  }

  async close(): Promise<void> {
    this.closed = true
    const error = new TaffrailError('HTTP_FAILED', 'the client was closed')
    for (const exchange of [...this.waiting, ...this.busy]) exchange.fail(error)
    for (const connection of this.idle.splice(0)) drop(connection)
  }

  /** Called by an exchange when it has its answer or its error; `reusable` says that the connection is at rest. */
  settled(exchange: Exchange, reusable: boolean): void {
    this.busy.delete(exchange)
    const place = this.waiting.indexOf(exchange)
    if (place >= 0) this.waiting.splice(place, 1)
    const connection = exchange.connection
    if (connection !== null) {
      if (reusable && !this.closed) this.idle.push(connection)
      else drop(connection)
    }
    while (this.waiting.length > 0 && this.busy.size < this.connectionsMax) this.start(this.waiting.shift()!)
  }

  /** Called by an exchange whose kept connection has ended before it answered. Others that are idle may have, too. */
  startAnew(exchange: Exchange): void {
    drop(exchange.connection!)
    this.start(exchange, true)
  }

  private start(exchange: Exchange, isAnew = false): void {
    this.busy.add(exchange)
    try {
      const secure = this.context?.current() ?? null
      exchange.connection = isAnew ? this.open(secure) : this.kept(secure)
    } catch (error) {
      exchange.fail(error)
      return
    }
    exchange.starts()
    const { method, path, headers, body } = exchange.request
    exchange.connection.client.dispatch({ method, path, headers, body: body ?? null }, exchange)
  }

  private kept(secure: SecureContext | null): Connection {
    let connection = this.idle.pop()
    while (connection !== undefined && connection.secure !== secure) {
      drop(connection)
      connection = this.idle.pop()
    }
    return connection ?? this.open(secure)
  }

  private open(secure: SecureContext | null): Connection {
    const connect: buildConnector.connector = (target, callback) => {
      connection.connected = false
      connection.proven = false
      connection.socket = this.dial(connection, target, callback)
    }
    // The deadline of the exchange stands for every timeout of undici's.
    const client = new Client(this.url, {
      connect,
      pipelining: 1,
      keepAliveTimeout: idleMsMax,
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    const connection: Connection = { client, socket: null, secure, connected: false, proven: false, certificate: null }
    return connection
  }

  private dial(connection: Connection, target: buildConnector.Options, callback: buildConnector.Callback): Socket {
    const host = target.hostname
    const socket =
      connection.secure === null
        ? netConnect({ host, port: Number(target.port || 80) })
        : tlsConnect({
            host,
            port: Number(target.port || 443),
            secureContext: connection.secure,
            servername: this.tls.serverName ?? (isIP(host) ? '' : host),
            rejectUnauthorized: this.tls.insecureSkipVerify !== true,
          })
    const failed = (error?: Error): void => {
      socket.off('error', failed).off('close', failed)
      callback(error instanceof Error ? error : Object.assign(new Error('closed'), { code: 'ECONNRESET' }), null)
    }
    socket.setNoDelay(true).setKeepAlive(true, 60_000).once('error', failed).once('close', failed)
    // "secure" comes before the certificate is judged; after a bad judgement nothing is left to ask.
    if (connection.secure !== null) {
      socket.prependListener('secure', () => {
        connection.certificate = (socket as TLSSocket).getPeerCertificate(true)
      })
    }
    socket.once(connection.secure === null ? 'connect' : 'secureConnect', () => {
      socket.off('error', failed).off('close', failed)
      connection.connected = true
      connection.certificate = null
      // With the first one undici makes its parser.
      compiledQuickly(() => callback(null, socket))
    })
    return socket
  }
}

/** Ends a connection, and with it whatever it still had to send. */
function drop(connection: Connection): void {
  connection.socket?.destroy()
  void connection.client.destroy()
}

/** One request and its answer: undici's handler, and a deadline for the whole. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly request: HttpRequest
  connection: Connection | null = null
  private readonly owner: RealHttpClient
  private readonly resolve: (response: HttpResponse) => void
  private readonly reject: (error: TaffrailError) => void
  private timer: NodeJS.Timeout
  /** The body goes to request.stream. */
  private streaming = false
  private done = false
  private status = 0
  private headers: Record<string, string> = {}
  private chunks: Buffer[] | null = null
  /** What comes behind so many: each may hold one byte. */
  private rest: Gathered | null = null
  private bodyBytes = 0
  /** What the connection had read before. */
  private bytesReadBefore = 0
  private hasReplaced = false

  constructor(
    owner: RealHttpClient,
    request: HttpRequest,
    resolve: (response: HttpResponse) => void,
    reject: (error: TaffrailError) => void,
  ) {
    this.owner = owner
    this.request = request
    this.resolve = resolve
    this.reject = reject
    this.timer = setTimeout(expire, request.timeoutMs, this)
    request.stream?.signal.addEventListener('abort', this.abort, { once: true })
    if (request.stream?.signal.aborted) setImmediate(this.abort)
  }

  /** Its connection is known. */
  starts(): void {
    this.bytesReadBefore = this.connection!.socket?.bytesRead ?? 0
  }

  private readonly abort = (): void => this.fail(new TaffrailError('HTTP_FAILED', 'the request was given up'))

  /** Ends the exchange with the error, unless it has ended. */
  fail(error: unknown): void {
    this.end(httpFailure(this.progress(), error))
  }

  expire(): void {
    const { timeoutMs, stream } = this.request
    if (this.streaming) this.fail(silence(stream!.idleMs))
    else this.end(timeoutFailure(this.progress(), timeoutMs))
  }

  private end(error: TaffrailError): void {
    if (this.done) return
    this.over()
    this.reject(error)
    this.owner.settled(this, false)
  }

  private over(): void {
    this.done = true
    clearTimeout(this.timer)
    this.request.stream?.signal.removeEventListener('abort', this.abort)
  }

  onRequestStart(): void {}

  onResponseStart(_controller: unknown, status: number, headers: Record<string, string | string[] | undefined>): void {
    for (const name in headers) {
      const value = headers[name]
      if (Array.isArray(value)) headers[name] = value.join(', ')
    }
    this.status = status
    this.headers = headers as Record<string, string>
    const { stream } = this.request
    if (stream === undefined || status < 200 || status > 299 || this.done) return
    this.streaming = true
    clearTimeout(this.timer)
    this.timer = setTimeout(expire, stream.idleMs, this)
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    if (this.streaming) {
      this.pass(chunk)
      return
    }
    const bytesMax = this.request.answerBytesMax ?? bodyBytesKept
    if (this.bodyBytes >= bytesMax) return
    const kept = chunk.subarray(0, bytesMax - this.bodyBytes)
    this.bodyBytes += kept.length
    if (this.chunks === null) this.chunks = [kept]
    else if (this.chunks.length < piecesMax) this.chunks.push(kept)
    else (this.rest ??= new Gathered()).add(kept)
  }

  private pass(chunk: Buffer): void {
    if (this.done) return
    this.timer.refresh()
    try {
      this.request.stream!.onChunk(chunk)
    } catch (error) {
      this.fail(error)
    }
  }

  onResponseEnd(): void {
    if (this.done) return
    this.over()
    const connection = this.connection!
    connection.proven = true
    // The copy lets go of the socket's read buffers, which are far larger than the usual answer.
    const { chunks, rest } = this
    if (rest !== null) chunks?.push(rest.view)
    const body = chunks === null ? noBody : Buffer.concat(chunks, this.bodyBytes)
    rest?.clear()
    // Not before undici has returned from the last of them.
    if (chunks !== null && body.length >= answerBytesLarge) queueMicrotask(() => chunks.forEach(releaseUnlessPooled))
    this.resolve({ status: this.status, headers: this.headers, body })
    // An answer that came before the request was sent leaves the rest of the caller's Buffer in the socket.
    this.owner.settled(this, connection.socket?.writableLength === 0)
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (!this.done && this.hasMetItsEnd() && httpFailure(this.progress(), error).code === 'HTTP_RESET') {
      this.hasReplaced = true
      this.owner.startAnew(this)
    } else this.fail(error)
  }

  /** The connection has carried an answer before, and nothing of this one. */
  private hasMetItsEnd(): boolean {
    const { proven, socket } = this.connection!
    return proven && !this.hasReplaced && socket?.bytesRead === this.bytesReadBefore
  }

  private progress(): Progress {
    const connection = this.connection
    return {
      origin: this.owner.origin,
      stage: this.stage(),
      freshTls: connection !== null && connection.secure !== null && !connection.proven && !this.hasReplaced,
      certificate: connection?.certificate ?? null,
    }
  }

  private stage(): Stage {
    if (this.connection === null) return 'queued'
    if (!this.connection.connected) return 'connecting'
    return this.status === 0 ? 'waiting' : 'answering'
  }
}

function silence(idleMs: number): TaffrailError {
  return new TaffrailError('HTTP_TIMEOUT', `the answer fell silent for ${idleMs} ms`)
}

function expire(exchange: Exchange): void {
  exchange.expire()
}
