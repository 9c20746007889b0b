// The agent's HTTP port: /metrics, /healthz, /ready, /status and the page at /. It is read-only, knows no secrets and
// may stand open to a cluster full of strangers, so everything has a bound: connections, header bytes, the time that a
// request may take, and what answering costs (answers.ts). Nothing that a client sends ends the process.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { errorCode, errorMessage, TaffrailError } from '../core/errors.ts'
import type { AgentStatus } from '../core/status.ts'
import { type Clock, realClock } from '../ports/clock.ts'
import { type Answer, createSender, plain, refuse, shared } from './answers.ts'
import { health, readiness, type Verdict } from './health.ts'
import { type Log, throttle } from './log.ts'
import type { Metrics } from './metrics.ts'

// Not by `import`, which looks at each of the module's exports, and with that loads node's own WebSocket and fetch: 6 MiB.
const { createServer } = process.getBuiltinModule('node:http')

const defaultLimits = {
  connectionsMax: 32,
  headerBytesMax: 8 * 1024,
  /** From the first byte to the end of the headers, and of the body; looked after every `headersMsMax`. */
  headersMsMax: 5_000,
  requestMsMax: 10_000,
  /** A connection on which nothing moves. */
  idleMsMax: 30_000,
}

export interface ServerOptions {
  /** `HOST:PORT`, `[IPV6]:PORT` or `:PORT` for all addresses; port 0 takes a free one. */
  listen: string
  status: () => AgentStatus
  metrics: Metrics
  /** The document at `/` and the Content-Security-Policy that it needs. */
  page: { html: string; contentSecurityPolicy: string }
  log: Log
  clock?: Clock
  limits?: Partial<typeof defaultLimits>
}

export interface RunningServer {
  /** `HOST:PORT` as it was bound. */
  address: string
  /** Stops listening and ends all connections. */
  close(): Promise<void>
}

/**
 * Listens and answers until `close`.
 *
 * @throws TaffrailError `SERVER_LISTEN` naming the address, when it is malformed or cannot be bound.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { log, clock = realClock } = options
  const limits = { ...defaultLimits, ...options.limits }
  const { host, port } = parseListen(options.listen)
  const routes = createRoutes(options, clock)
  const complaints = throttle(clock)
  const complain = (what: string, error: unknown) =>
    complaints.say('server.error', what, (suppressed) => {
      const reason = errorMessage(error)
      log.error(
        { event: 'server.error', code: errorCode(error), error: reason, suppressed },
        `${what} failed: ${reason}`,
      )
    })

  const server = createServer({
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headersMsMax,
    requestTimeout: limits.requestMsMax,
    connectionsCheckingInterval: limits.headersMsMax,
    keepAliveTimeout: limits.idleMsMax,
  })
  server.setTimeout(limits.idleMsMax)
  const touch = limitConnections(server, limits.connectionsMax)
  const send = createSender(clock)
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    touch(request.socket)
    const path = request.url?.split('?', 1)[0] ?? ''
    try {
      send(request, response, await answer(routes, request, path))
    } catch (error) {
      complain(`GET ${path}`, error)
      send(request, response, plain(500, `internal error (${errorCode(error)}), see the agent's log`))
    }
  }
  server.on('request', handle)
  // Without these two, a body would be asked for and a CONNECT hung up on.
  server.on('checkContinue', handle)
  server.on('connect', (_request, socket) =>
    refuse(clock, socket as Socket, '405 Method Not Allowed', 'Allow: GET, HEAD\r\n'),
  )
  server.on('clientError', (error, socket) => refuse(clock, socket as Socket, malformed(errorCode(error))))

  await listen(server, options.listen, host, port)
  server.on('error', (error) => complain(`listening on ${options.listen}`, error))
  const bound = server.address() as AddressInfo
  return {
    address: bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`,
    close() {
      complaints.close()
      return new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}

type Routes = Map<string, () => Answer | Promise<Answer>>

function createRoutes({ status, metrics, page }: ServerOptions, clock: Clock): Routes {
  const snapshot = shared(clock, status)
  const statusBody = shared(clock, () => Buffer.from(JSON.stringify(snapshot())))
  const metricsBody = shared(clock, async () => Buffer.from(await metrics.text()))
  const verdict = ({ status, text }: Verdict) => plain(status, text)
  const html: Answer = {
    status: 200,
    type: 'text/html; charset=utf-8',
    body: Buffer.from(page.html),
    headers: { 'content-security-policy': page.contentSecurityPolicy },
  }
  const routes: Routes = new Map()
  routes.set('/', () => html)
  routes.set('/healthz', () => verdict(health(snapshot())))
  routes.set('/ready', () => verdict(readiness(snapshot())))
  routes.set('/status', () => ({ status: 200, type: 'application/json', body: statusBody() }))
  routes.set('/metrics', async () => ({ status: 200, type: metrics.contentType, body: await metricsBody() }))
  return routes
}

/** Paths are looked up whole and never become file names. */
async function answer(routes: Routes, request: IncomingMessage, path: string): Promise<Answer> {
  const route = routes.get(path)
  if (route === undefined) return plain(404, `not found; there are ${[...routes.keys()].join(' ')}`)
  if (request.method === 'GET' || request.method === 'HEAD') return route()
  return { ...plain(405, 'only GET and HEAD'), headers: { allow: 'GET, HEAD' } }
}

/**
 * One connection more than `connectionsMax` ends the one that asked for nothing for longest, so that idlers cannot shut
 * out a probe.
 *
 * @returns what to call with the socket of each request.
 */
function limitConnections(server: Server, connectionsMax: number): (socket: Socket) => void {
  const byLastRequest = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    byLastRequest.add(socket)
    socket.once('close', () => byLastRequest.delete(socket))
    const [oldest] = byLastRequest
    if (byLastRequest.size > connectionsMax) oldest?.destroy()
  })
  return (socket) => {
    if (byLastRequest.delete(socket)) byLastRequest.add(socket)
  }
}

function malformed(code: string): string {
  if (code === 'HPE_HEADER_OVERFLOW') return '431 Request Header Fields Too Large'
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return '408 Request Timeout'
  return '400 Bad Request'
}

function parseListen(listen: string): { host: string | undefined; port: number } {
  const match = /^(?:\[([^\]\s]+)\]|([^:[\]\s]*)):(\d{1,5})$/.exec(listen)
  const port = Number(match?.[3])
  if (match === null || port > 65_535) {
    throw new TaffrailError('SERVER_LISTEN', `cannot listen on ${JSON.stringify(listen)}: not of the form HOST:PORT`)
  }
  return { host: match[1] || match[2] || undefined, port }
}

function listen(server: Server, address: string, host: string | undefined, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) =>
      reject(new TaffrailError('SERVER_LISTEN', `cannot listen on ${JSON.stringify(address)}: ${error.message}`, error))
    server.once('error', fail)
    server.listen({ port, host }, () => {
      server.off('error', fail)
      resolve()
    })
  })
}
