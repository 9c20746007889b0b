// Over real sockets: who is let in, as whom, what is refused before its body is read, and how it ends.
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { BearerToken } from '../../../src/audit/webhook/bearer.ts'
import { type Answer, type Listening, listen } from '../../../src/audit/webhook/listener.ts'
import type { AuditWebhookSourceConfig } from '../../../src/config/config.ts'
import { errorCode } from '../../../src/core/errors.ts'
import { realClock } from '../../../src/ports/clock.ts'
import { ServerTls } from '../../../src/ports/tls-files.ts'
import { CONFIG } from './rig.ts'

const TLS = fileURLToPath(new URL('../../fixtures/tls/', import.meta.url))
const file = (name: string) => readFileSync(TLS + name)
const CLIENT = { cert: file('client.pem'), key: file('client-key.pem') }
const JSON_TYPE = { 'content-type': 'application/json' }

interface Seen {
  taken: { apiServer: string; body: string }[]
  passed: string[]
  turnedAway: [number, string][]
  failed: unknown[]
}

async function serve(
  t: Test,
  config: Partial<AuditWebhookSourceConfig>,
  answer: () => Answer | Promise<Answer> = () => ({ status: 200 }),
) {
  const seen: Seen = { taken: [], passed: [], turnedAway: [], failed: [] }
  let monotonic = 0
  const all = { ...CONFIG, ...config }
  const { tls, tokenFile } = all
  const files = tls && {
    certFile: tls.certFile,
    keyFile: tls.keyFile,
    ...(tls.clientCaFile && { caFile: tls.clientCaFile }),
  }
  const context = files && new ServerTls(files, () => monotonic)
  const looks: (() => void)[] = []
  const listening = await listen({
    config: all,
    token:
      tokenFile === null
        ? null
        : new BearerToken(
            tokenFile,
            (path) => readFileSync(path),
            () => monotonic,
          ),
    tls: context && (() => context.current()),
    clock: {
      ...realClock,
      after: (_ms, run) => {
        looks.push(run)
        return () => {}
      },
    },
    receiver: {
      refuse: async (bodyBytes) => (bodyBytes === 13 ? { status: 429, reason: 'later', retryAfterSeconds: 7 } : null),
      async take(apiServer, request) {
        const chunks: Buffer[] = []
        for await (const chunk of request) chunks.push(chunk)
        seen.taken.push({ apiServer, body: Buffer.concat(chunks).toString() })
        return answer()
      },
      passing(apiServer, request) {
        request.resume()
        seen.passed.push(apiServer)
      },
      turnedAway: (status, reason) => void seen.turnedAway.push([status, reason]),
      failed: (error) => void seen.failed.push(error),
    },
  })
  t.teardown(() => listening.close(AbortSignal.abort()))
  const look = () => {
    monotonic += 2000
    for (const run of looks.splice(0)) run()
  }
  return { listening, seen, look }
}

interface Told {
  status: number
  text: string
  headers: Record<string, unknown>
}

function post(
  { address }: Listening,
  options: RequestOptions & { path?: string },
  body: string | null = 'x',
  isPlain = false,
): Promise<Told> {
  const [host, port] = address.split(':') as [string, string]
  const { promise, resolve, reject } = Promise.withResolvers<Told>()
  const all: RequestOptions = {
    method: 'POST',
    host,
    port,
    path: '/audit',
    ca: file('ca.pem'),
    headers: JSON_TYPE,
    agent: false,
    ...options,
  }
  const request = (isPlain ? httpRequest : httpsRequest)(all, async (response) => {
    let text = ''
    for await (const chunk of response) text += chunk
    resolve({ status: response.statusCode ?? 0, text, headers: response.headers })
  })
  request.on('error', reject)
  request.end(body ?? undefined)
  return promise
}

const tls = { certFile: `${TLS}server.pem`, keyFile: `${TLS}server-key.pem`, clientCaFile: `${TLS}ca.pem` }

t.test('with a client certificate: its CN is the name, whatever the path says', async (t) => {
  const { listening, seen } = await serve(t, { tls })
  t.match(await post(listening, { ...CLIENT, path: '/audit/mallory?timeout=30s' }, '{"a":1}'), {
    status: 200,
    text: '',
  })
  t.strictSame(seen.taken, [{ apiServer: 'taffrail', body: '{"a":1}' }])
  await t.rejects(post(listening, {}), 'none')
  t.strictSame(seen.taken.length, 1)
  t.match(seen.turnedAway, [[0, /certificate/]])
})

t.test('with a token: the path is the name', async (t) => {
  const tokenFile = `${t.testdir({ token: 'hunter2\n' })}/token`
  const { listening, seen, look } = await serve(t, { tls: { certFile: tls.certFile, keyFile: tls.keyFile }, tokenFile })
  const send = (token: string | null, path = '/audit/cp-1') =>
    post(listening, { path, headers: { ...JSON_TYPE, ...(token !== null && { authorization: `Bearer ${token}` }) } })
  t.match(await send('hunter2'), { status: 200 })
  for (const token of [null, '', 'hunter', 'hunter22', 'HUNTER2'])
    t.match(await send(token), { status: 401 }, String(token))
  t.match(await send('hunter2', '/audit'), { status: 404, text: /nobody says which API server/ })
  t.match(await send('hunter2', '/audit/../../etc'), { status: 404 })
  t.match(await send('hunter2', '/audit/%2e%2e%2fetc'), { status: 200 })
  t.match(await send('hunter2', `/audit/${'x'.repeat(121)}`), { status: 400 })
  t.strictSame(
    seen.taken.map(({ apiServer }) => apiServer),
    ['cp-1', '%2E.%2Fetc'],
  )
  writeFileSync(tokenFile, 'other')
  look()
  t.match(await send('hunter2'), { status: 401 })
  t.match(await send('other'), { status: 200 })
  writeFileSync(tokenFile, '')
  look()
  t.match(await send('other'), { status: 200 }, 'what was read last still counts')
  t.match(seen.failed, [{ code: 'WEBHOOK_TOKEN' }])
})

t.test('with both, one of them will do', async (t) => {
  const tokenFile = `${t.testdir({ token: 'hunter2' })}/token`
  const { listening, seen } = await serve(t, { tls, tokenFile })
  t.match(await post(listening, CLIENT), { status: 200 })
  t.match(await post(listening, { path: '/audit/cp-1', headers: { ...JSON_TYPE, authorization: 'Bearer hunter2' } }), {
    status: 200,
  })
  t.match(await post(listening, { path: '/audit/cp-1' }), { status: 401 })
  t.strictSame(
    seen.taken.map(({ apiServer }) => apiServer),
    ['taffrail', 'cp-1'],
  )
})

t.test('what is refused before its body is read', async (t) => {
  const { listening, seen } = await serve(t, { bodyBytesMax: 100 })
  const send = (options: RequestOptions & { path?: string }, body: string | null = 'x') =>
    post(listening, { path: '/audit/cp-1', ...options }, body, true)
  t.match(await send({ method: 'GET' }, null), { status: 405 })
  t.match(await send({ path: '/' }), { status: 404 })
  t.match(await send({ headers: {} }), { status: 415, text: /application\/json/ })
  t.match(await send({ headers: { ...JSON_TYPE, 'content-encoding': 'gzip' } }), { status: 415, text: /compressed/ })
  t.match(await send({ headers: { ...JSON_TYPE, 'transfer-encoding': 'chunked' } }), { status: 411 })
  t.match(await send({}, 'x'.repeat(101)), { status: 413, text: /101 bytes, over bodyBytesMax 100/ })
  t.match(await send({ path: '/audit/refused' }, 'refused-body!'), {
    status: 429,
    text: 'later\n',
    headers: { 'retry-after': '7' },
  })
  t.strictSame(seen.passed, ['cp-1', 'refused'])
  t.match(await send({ headers: { ...JSON_TYPE, expect: '100-continue', 'content-length': 1 } }), { status: 200 })
  t.strictSame(seen.taken.length, 1)
})

t.test('certificates are taken up when their files change; a broken one leaves the last', async (t) => {
  const directory = t.testdir({})
  const certFile = `${directory}/cert.pem`
  copyFileSync(`${TLS}expired-server.pem`, certFile)
  const { listening, seen, look } = await serve(t, { tls: { ...tls, certFile } })
  await t.rejects(post(listening, CLIENT), { code: 'CERT_HAS_EXPIRED' })
  copyFileSync(`${TLS}server.pem`, `${directory}/next.pem`)
  renameSync(`${directory}/next.pem`, certFile)
  look()
  t.match(await post(listening, CLIENT), { status: 200 })
  writeFileSync(certFile, 'nonsense')
  look()
  t.match(await post(listening, CLIENT), { status: 200 })
  t.match(seen.failed, [{ code: 'HTTP_TLS' }])
  await t.rejects(post(listening, {}), 'certificates of clients are still asked for')
})

t.test('a connection is used again, until it ends: then what is under way is answered', async (t) => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const { promise: isTaken, resolve: taken } = Promise.withResolvers<void>()
  let count = 0
  const { listening } = await serve(t, { tls }, async () => {
    if (++count === 3) {
      taken()
      await gate
    }
    return { status: 200 }
  })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  t.match(await post(listening, { ...CLIENT, agent }), { status: 200, headers: { connection: 'keep-alive' } })
  t.match(await post(listening, { ...CLIENT, agent }), { status: 200 })
  const last = post(listening, { ...CLIENT, agent })
  await isTaken
  const closed = listening.close(AbortSignal.timeout(10_000))
  await t.rejects(post(listening, CLIENT), { code: 'ECONNREFUSED' })
  open()
  t.match(await last, { status: 200, headers: { connection: 'close' } })
  await closed
})

t.test('a client that goes away in the middle of its body costs nothing', async (t) => {
  const { listening, seen } = await serve(t, {})
  const [host, port] = listening.address.split(':') as [string, string]
  const socket = connect(Number(port), host)
  socket.write(
    'POST /audit/cp-1 HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"half',
  )
  await new Promise((resolve) => socket.once('connect', resolve))
  socket.destroy()
  t.match(await post(listening, { path: '/audit/cp-2' }, 'x', true), { status: 200 })
  t.strictSame(
    seen.taken.map(({ apiServer }) => apiServer),
    ['cp-2'],
  )
})

t.test('an address that is taken is told', async (t) => {
  const { listening } = await serve(t, {})
  const error = await serve(t, { listen: listening.address }).catch((reason) => reason)
  t.equal(errorCode(error), 'EADDRINUSE')
})
