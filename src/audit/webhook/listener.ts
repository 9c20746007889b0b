// The webhook's HTTP(S) side: one server, what it asks of a client before it reads a body, and how it answers. What becomes of
// a body is the receiver's business. Bound: connections, header bytes, the time that a request may take, the bytes of a
// body. Certificates are looked at every second and taken up without a restart.
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { SecureContextOptions, TLSSocket } from 'node:tls'
import type { AuditWebhookSourceConfig } from '../../config/config.ts'
import { parseListen } from '../../config/formats.ts'
import { errorMessage } from '../../core/errors.ts'
import type { Clock } from '../../ports/clock.ts'
import { apiServerName, nameInPath } from './api-server-name.ts'
import type { BearerToken } from './bearer.ts'

const CONNECTIONS_MAX = 256
const HEADER_BYTES_MAX = 16 * 1024
const HEADERS_MS_MAX = 10_000
/** API servers give up after 30 s. */
const REQUEST_MS_MAX = 60_000
/** Longer than API servers keep an idle connection (90 s): the one who may still use it should be the one to end it. */
const IDLE_MS_MAX = 120_000
const LOOK_MS = 1000
/** A body that is refused is read to its end, so that the answer is, too, unless it is so many times over what may be. */
const PASSED_BODIES_MAX = 8
const JSON_TYPE = /^application\/json\b/i

export interface Answer {
  status: number
  /** Said to the client, and to the operator. */
  reason?: string
  retryAfterSeconds?: number
}

/** What the listener hands requests to, once it knows who sent them. */
export interface Receiver {
  /** Answers before the body is read; null: it is wanted. `take` or `passing` follows. Never rejects. */
  refuse(bodyBytes: number): Promise<Answer | null>
  /** The body of a request that was not refused. The promise never rejects. */
  take(apiServer: string, request: IncomingMessage, bodyBytes: number): Promise<Answer | null>
  /** The body of a request that was refused is passing: to know it again. */
  passing(apiServer: string, request: IncomingMessage, bodyBytes: number, answer: Answer): void
  /** Somebody was turned away at the door. */
  turnedAway(status: number, reason: string): void
  failed(error: unknown): void
}

export interface ListenerOptions {
  config: AuditWebhookSourceConfig
  token: BearerToken | null
  /** Reads the TLS files; throws TaffrailError HTTP_TLS. Returns the same object for as long as they stay the same. */
  tls: (() => SecureContextOptions) | null
  receiver: Receiver
  clock: Clock
}

export interface Listening {
  /** `HOST:PORT` as it was bound. */
  address: string
  /** Takes no new connections and requests, and waits for those that are under way, at most until `signal` aborts. */
  close(signal: AbortSignal): Promise<void>
}

/** Listens. Throws the system's error, and what `tls` and the token throw. */
export async function listen(options: ListenerOptions): Promise<Listening> {
  const { config, token, receiver, clock } = options
  const { host, port } = parseListen(config.listen)!
  const limits = {
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: HEADERS_MS_MAX,
    requestTimeout: REQUEST_MS_MAX,
    keepAliveTimeout: IDLE_MS_MAX,
    connectionsCheckingInterval: HEADERS_MS_MAX,
  }
  token?.look()
  let tls = options.tls?.() ?? null
  const asksForCertificate = config.tls?.clientCaFile != null
  const server =
    tls === null
      ? createHttpServer(limits)
      : createHttpsServer({
          ...limits,
          ...tls,
          minVersion: 'TLSv1.2',
          requestCert: asksForCertificate,
          // With a token as well, one of both will do; what the certificate is worth is asked then for each request.
          rejectUnauthorized: asksForCertificate && token === null,
        })
  server.maxConnections = CONNECTIONS_MAX
  let isClosing = false
  let underWay = 0
  let idle: (() => void) | null = null

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    underWay++
    try {
      await respond(request, response)
    } catch (error) {
      receiver.failed(error)
      request.socket.destroy()
    } finally {
      if (--underWay === 0) idle?.()
    }
  }
  const respond = async (request: IncomingMessage, response: ServerResponse) => {
    request.on('error', () => {}) // a client that goes away is told by its body's end
    response.on('error', () => {})
    const visitor = isClosing ? { status: 503, reason: 'it is stopping', retryAfterSeconds: 1 } : visitorOf(request)
    if (!('apiServer' in visitor)) {
      if (!isClosing) receiver.turnedAway(visitor.status, visitor.reason ?? '')
      return send(response, visitor, true)
    }
    const { apiServer } = visitor
    const bodyBytes = Number(request.headers['content-length'])
    if (bodyBytes > config.bodyBytesMax) {
      const answer = { status: 413, reason: `a body of ${bodyBytes} bytes, over bodyBytesMax ${config.bodyBytesMax}` }
      receiver.passing(apiServer, request, bodyBytes, answer)
      return send(response, answer, bodyBytes > PASSED_BODIES_MAX * config.bodyBytesMax)
    }
    const refusal = await receiver.refuse(bodyBytes)
    if (refusal !== null) {
      receiver.passing(apiServer, request, bodyBytes, refusal)
      return send(response, refusal, false)
    }
    if (request.headers.expect !== undefined) response.writeContinue()
    const answer = await receiver.take(apiServer, request, bodyBytes)
    if (answer === null) request.socket.destroy()
    else send(response, answer, isClosing)
  }

  const visitorOf = (request: IncomingMessage): { apiServer: string } | Answer => {
    const { method, url = '', headers } = request
    const named = nameInPath(url)
    if (named === null) return { status: 404, reason: 'there is /audit and /audit/NAME' }
    if (method !== 'POST') return { status: 405, reason: 'only POST' }
    const socket = request.socket as TLSSocket
    const subject = asksForCertificate && socket.authorized ? subjectOf(socket) : null
    if (subject === null && (asksForCertificate || token !== null)) {
      try {
        token?.look()
      } catch (error) {
        receiver.failed(error) // the token that was read last still counts
      }
      if (token?.isShownBy(headers.authorization) !== true) {
        return { status: 401, reason: token === null ? 'no client certificate' : 'no token, or another one' }
      }
    }
    if (headers['content-encoding'] !== undefined) return { status: 415, reason: 'a compressed body' }
    if (!JSON_TYPE.test(headers['content-type'] ?? ''))
      return { status: 415, reason: 'a body that is not application/json' }
    if (!/^\d{1,15}$/.test(headers['content-length'] ?? ''))
      return { status: 411, reason: 'a body without Content-Length' }
    const given = subject?.CN || named
    const apiServer = apiServerName(given)
    if (apiServer !== null) return { apiServer }
    if (given === '')
      return { status: 404, reason: 'nobody says which API server it is: a certificate without CN, and no /audit/NAME' }
    return { status: 400, reason: 'a name of an API server that is too long' }
  }

  /** Taken out of the certificate once a connection. */
  const subjects = new WeakMap<TLSSocket, { CN: string }>()
  const subjectOf = (socket: TLSSocket): { CN: string } => {
    let subject = subjects.get(socket)
    if (subject === undefined) {
      const { CN } = socket.getPeerCertificate().subject ?? {}
      subject = { CN: typeof CN === 'string' ? CN : '' }
      subjects.set(socket, subject)
    }
    return subject
  }

  server.on('request', handle)
  server.on('checkContinue', handle)
  server.on('tlsClientError', (error: Error) => {
    if (!isClosing) receiver.turnedAway(0, errorMessage(error))
  })
  server.on('clientError', (_error: Error, socket: Socket) => socket.destroy())

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  server.on('error', (error) => receiver.failed(error))
  const cancelLooks =
    tls === null
      ? () => {}
      : every(clock, LOOK_MS, () => {
          try {
            const now = options.tls!()
            if (now === tls) return
            ;(server as HttpsServer).setSecureContext({ ...now, minVersion: 'TLSv1.2' })
            tls = now
          } catch (error) {
            receiver.failed(error) // what was read last still counts
          }
        })
  const bound = server.address() as AddressInfo
  return {
    address: bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`,
    async close(signal) {
      isClosing = true
      cancelLooks()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      const { promise, resolve } = Promise.withResolvers<void>()
      idle = resolve
      if (underWay === 0 || signal.aborted) resolve()
      signal.addEventListener('abort', () => resolve(), { once: true })
      await promise
      // What was answered last is still on its way out.
      await clock.yield()
      server.closeAllConnections()
      await closed
    },
  }
}

/** Answers; with `ends` the connection is not used again, and nobody waits for the rest of the body. */
function send(response: ServerResponse, { status, reason, retryAfterSeconds }: Answer, ends: boolean): void {
  const body = reason === undefined ? '' : `${reason}\n`
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
    ...(ends && { connection: 'close' }),
  })
  response.end(body)
}

function every(clock: Clock, ms: number, run: () => void): () => void {
  let cancel = clock.after(ms, function again() {
    run()
    cancel = clock.after(ms, again)
  })
  return () => cancel()
}
