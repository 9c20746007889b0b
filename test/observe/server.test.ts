import { once } from 'node:events'
import { request } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { AgentStatus } from '../../src/core/status.ts'
import { createCounters } from '../../src/observe/events.ts'
import { createLog } from '../../src/observe/log.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { page } from '../../src/observe/page/page.ts'
import { type ServerOptions, startServer } from '../../src/observe/server.ts'
import { fakeClock } from './fake-clock.ts'
import { sampleStatus } from './sample.ts'

async function setUp(t: Test, options: Partial<ServerOptions> & { agent?: AgentStatus } = {}) {
  const lines: Record<string, unknown>[] = []
  const agent = { status: options.agent ?? sampleStatus() }
  const clock = fakeClock()
  const server = await startServer({
    listen: '127.0.0.1:0',
    status: () => agent.status,
    metrics: createMetrics(() => agent.status, createCounters()),
    page,
    log: createLog({ level: 'info', destination: { write: (line: string) => lines.push(JSON.parse(line)) } }),
    clock,
    ...options,
  })
  t.teardown(() => server.close())
  const port = Number(server.address.split(':').at(-1))
  return { server, agent, clock, lines, port, get: (path: string, method = 'GET') => ask(port, path, method) }
}

/** One request on a connection of its own. */
async function ask(port: number, path: string, method = 'GET') {
  const sent = request({ port, host: '127.0.0.1', path, method, agent: false }).end()
  const [response] = await once(sent, 'response')
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) body += chunk
  return { status: response.statusCode as number, headers: response.headers as Record<string, string>, body }
}

/** A bare connection; resets are how a server may end one. */
function open(port: number): Socket {
  return connect(port, '127.0.0.1').on('error', () => {})
}

/** Sends bytes as they are, and resolves with all that comes back until the server ends the connection. */
async function raw(port: number, bytes: string | Buffer): Promise<string> {
  const socket = open(port)
  let answer = ''
  socket.setEncoding('latin1').on('data', (text) => (answer += text))
  socket.write(bytes)
  await once(socket, 'close')
  return answer
}

t.test('each path gives what it promises', async (t) => {
  const { get } = await setUp(t)
  const metrics = await get('/metrics')
  t.match(metrics, { status: 200, headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' } })
  t.match(metrics.body, /^taffrail_read_bytes_total\{sink="loki"\} 1007900$/m)

  const status = await get('/status')
  t.match(status, { status: 200, headers: { 'content-type': 'application/json' } })
  t.same(JSON.parse(status.body), JSON.parse(JSON.stringify(sampleStatus())), 'with sinks and lineages')

  t.match(await get('/'), { status: 200, body: page.html, headers: { 'content-type': 'text/html; charset=utf-8' } })
  t.match(await get('/healthz'), { status: 200, body: 'ok\n' })
  t.match(await get('/ready'), { status: 200, body: 'ok\n' })
  t.match(await get('/healthz?verbose=1'), { status: 200 }, 'a query changes nothing')
})

t.test('probes say why not', async (t) => {
  const { get } = await setUp(t, {
    agent: { ...sampleStatus(), healthy: false, ready: false, reasons: ['loki: no ack'] },
  })
  t.match(await get('/healthz'), { status: 503, body: 'loki: no ack\n' })
  t.match(await get('/ready'), { status: 503, body: /^starting/ })
})

t.test('an answer is always of now', async (t) => {
  const { get, agent } = await setUp(t)
  await get('/healthz')
  agent.status = { ...sampleStatus(), healthy: false }
  t.equal((await get('/healthz')).status, 503)
})

t.test('HEAD has the headers of GET and no body', async (t) => {
  const { get } = await setUp(t)
  for (const path of ['/', '/metrics', '/status', '/healthz', '/nothing']) {
    const [head, full] = [await get(path, 'HEAD'), await get(path)]
    t.equal(head.status, full.status)
    t.equal(head.body, '')
    if (path !== '/metrics') t.equal(head.headers['content-length'], String(Buffer.byteLength(full.body)))
  }
})

t.test('unknown paths are not found, and no path is a file', async (t) => {
  const { get, port } = await setUp(t)
  for (const path of [
    '/nothing',
    '/metrics/',
    '//',
    '/../../etc/passwd',
    '/%2e%2e/etc/passwd',
    '/..%00',
    '/__proto__',
  ]) {
    t.match(await get(path), { status: 404, body: /^not found/ }, path)
  }
  t.match(
    await raw(port, 'GET ../../etc/passwd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'),
    /^HTTP\/1.1 40[04] /,
  )
})

t.test('other methods are refused with Allow', async (t) => {
  const { get, port } = await setUp(t)
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE']) {
    t.match(await get('/metrics', method), { status: 405, headers: { allow: 'GET, HEAD' } }, method)
  }
  t.match(
    await raw(port, 'CONNECT db:5432 HTTP/1.1\r\nHost: a\r\n\r\n'),
    /^HTTP\/1.1 405 [\s\S]*\r\nAllow: GET, HEAD\r\n/,
  )
  t.equal((await get('/healthz')).status, 200)
})

t.test('a body is not read, asked for or waited for', async (t) => {
  const { get, port } = await setUp(t)
  const head = 'Host: a\r\nContent-Length: 1000000000\r\n'
  const cases = [
    ['POST', `${head}\r\nsome of it`, 405],
    ['POST', `${head}Expect: 100-continue\r\n\r\n`, 405],
    ['POST', 'Host: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 405],
    ['GET', `${head}\r\n`, 200],
  ] as const
  for (const [method, rest, status] of cases) {
    const answer = await raw(port, `${method} /healthz HTTP/1.1\r\n${rest}`)
    t.ok(answer.startsWith(`HTTP/1.1 ${status} `), `${method} ${answer.slice(0, 30)}`)
    t.notMatch(answer, /100 Continue/)
  }
  t.equal((await get('/healthz')).status, 200)
})

t.test('what is not HTTP gets 400, and the next one is served', async (t) => {
  const { get, port, clock } = await setUp(t)
  const garbage = [
    'no such protocol\r\n\r\n',
    Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]),
    Buffer.alloc(70_000, 0xff),
    'GET / HTTP/9.9\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nbad header line\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
  ]
  for (const bytes of garbage) {
    t.match(
      await raw(port, bytes),
      /^HTTP\/1.1 400 Bad Request\r\n/,
      JSON.stringify(bytes.toString('latin1').slice(0, 20)),
    )
  }
  t.equal((await get('/healthz')).status, 200)
  t.equal(clock.scheduled(), 0, 'no timer outlives its connection')
})

t.test('whoever keeps sending after a 400 is cut off', async (t) => {
  const { port, clock } = await setUp(t)
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {})
  socket.write('garbage\r\n\r\n')
  await once(socket, 'data')
  socket.write('more garbage\r\n\r\n')
  clock.advance(1000)
  for (let i = 0; i < 10_000 && !socket.destroyed; i++) {
    socket.write('more garbage\r\n\r\n')
    await clock.yield()
  }
  t.ok(socket.destroyed)
  socket.destroy()
})

t.test('huge headers get 431', async (t) => {
  const { get, port } = await setUp(t)
  const long = 'x'.repeat(9000)
  for (const bytes of [
    `GET /${long} HTTP/1.1\r\nHost: a\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${long.repeat(100)}\r\n\r\n`,
  ]) {
    t.match(await raw(port, bytes), /^HTTP\/1.1 431 /)
  }
  t.equal((await get('/healthz')).status, 200)
})

t.test('a request that does not end gets 408', async (t) => {
  const { get, port } = await setUp(t, { limits: { headersMsMax: 40, requestMsMax: 40 } })
  t.match(await raw(port, 'GET / HTTP/1.1\r\nHost: a\r\nX-Slow'), /^HTTP\/1.1 408 /)
  t.equal((await get('/healthz')).status, 200)
})

t.test('a connection on which nothing moves is closed', async (t) => {
  const { port } = await setUp(t, { limits: { idleMsMax: 40 } })
  t.equal(await raw(port, ''), '')
})

t.test('idle connections are bounded and cannot shut out a probe', async (t) => {
  const { get, port } = await setUp(t, { limits: { connectionsMax: 4 } })
  let closed = 0
  const asked = open(port)
  asked.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(asked, 'data')
  const idle: Socket[] = []
  for (let i = 0; i < 12; i++) {
    const socket = open(port).on('close', () => closed++)
    idle.push(socket)
    await once(socket, 'connect')
    socket.write('GET /heal')
    asked.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n')
    await once(asked, 'data')
    t.equal((await get('/healthz')).status, 200)
  }
  t.ok(closed >= 9, `${closed} of the idle ones were closed`)
  for (const socket of [asked, ...idle]) socket.destroy()
})

t.test('answers that nobody reads are bounded in bytes and time', async (t) => {
  const agent = { ...sampleStatus(), reasons: ['x'.repeat(6e6)] }
  const { get, port, clock } = await setUp(t, { agent })
  const lazy = open(port).pause()
  lazy.write('GET /status HTTP/1.1\r\nHost: a\r\n\r\n')
  // The answer is on its way once its deadline is set.
  while (clock.scheduled() === 0) await clock.yield()
  t.match(await get('/status'), { status: 503, headers: { 'retry-after': '1' }, body: /^busy/ })
  t.equal((await get('/healthz')).status, 200, 'a probe is answered all the same')
  clock.advance(30_000)
  while (clock.scheduled() > 0) await clock.yield()
  t.equal((await get('/status')).status, 200)
  lazy.destroy()
})

t.test('who leaves while the answer is made leaves nothing behind', async (t) => {
  const made: (() => void)[] = []
  const text = () => new Promise<string>((resolve) => made.push(() => resolve('x')))
  const { get, port, clock } = await setUp(t, { metrics: { contentType: 'text/plain', text } })
  const socket = open(port)
  socket.write('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n')
  while (made.length === 0) await clock.yield()
  socket.destroy()
  t.equal((await get('/healthz')).status, 200, 'the server has seen it leave')
  made[0]!()
  await clock.yield()
  t.equal(clock.scheduled(), 0)
})

t.test('a handler that fails gives 500 and a line in the log', async (t) => {
  let broken = true
  const { get, lines } = await setUp(t, {
    status() {
      if (broken) throw Object.assign(new Error('status is broken'), { code: 'BROKEN' })
      return sampleStatus()
    },
    metrics: { contentType: 'text/plain', text: () => Promise.reject(new Error('metrics are broken')) },
  })
  for (const path of ['/status', '/healthz', '/metrics', '/status']) t.equal((await get(path)).status, 500, path)
  t.match((await get('/status')).body, /BROKEN/)
  t.notMatch((await get('/status')).body, /status is broken/)
  t.match(lines, [
    { level: 'error', event: 'server.error', msg: 'GET /status failed: status is broken' },
    { level: 'error', msg: 'GET /healthz failed: status is broken' },
    { level: 'error', msg: 'GET /metrics failed: metrics are broken' },
  ])
  t.equal(lines.length, 3, 'repeats are throttled')
  broken = false
  t.equal((await get('/status')).status, 200)
})

t.test('every answer forbids a browser all that it does not need', async (t) => {
  const { get } = await setUp(t)
  for (const path of ['/', '/status', '/metrics', '/healthz', '/nothing']) {
    const { headers } = await get(path)
    t.match(headers, {
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
    })
    t.match(headers['content-security-policy'], /^default-src 'none'/)
    t.notOk('access-control-allow-origin' in headers)
  }
})

t.test('hundreds of lineages are one answer', async (t) => {
  const { get } = await setUp(t, { agent: sampleStatus(800) })
  t.equal(JSON.parse((await get('/status')).body).lineages.length, 800)
})

t.test('an address that cannot be bound is named', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  t.teardown(() => taken.close())
  const cases = [
    `127.0.0.1:${port}`,
    '203.0.113.1:0',
    '127.0.0.1',
    '9095',
    'a b:1',
    '127.0.0.1:99999',
    '[::1]',
    ':',
    '',
  ]
  for (const listen of cases) {
    await t.rejects(
      setUp(t, { listen }),
      { code: 'SERVER_LISTEN', message: new RegExp(`"${listen.replace(/[[\].]/g, '\\$&')}"`) },
      listen,
    )
  }
  await t.rejects(setUp(t, { listen: `127.0.0.1:${port}` }), { cause: { code: 'EADDRINUSE' } })
})

t.test('the address is the one that was bound', async (t) => {
  t.match((await setUp(t)).server.address, /^127\.0\.0\.1:\d{2,5}$/)
  t.match((await setUp(t, { listen: 'localhost:0' })).server.address, /^(127\.0\.0\.1|\[::1\]):\d{2,5}$/)
})

t.test('close ends idle connections too and frees the port', async (t) => {
  const { server, port } = await setUp(t)
  const socket = open(port)
  await once(socket, 'connect')
  await Promise.all([server.close(), once(socket, 'close')])
  const next = await startServer({
    listen: `127.0.0.1:${port}`,
    status: sampleStatus,
    metrics: { contentType: '', text: async () => '' },
    page,
    log: createLog({ level: 'silent' }),
  })
  await next.close()
})
