// A sink that answers nonsense, ends its answers anywhere, refuses for a reason that somebody mends, or shows the wrong
// certificate: each is said in words that help, and nothing is lost or doubled.

import { once } from 'node:events'
import { appendFileSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { Receiver, ReceiverOptions } from '../../src/demo/receiver.ts'
import { eventually, lokiSink, runToEnd, SERVER, startRun, writeConfig } from '../support/process.ts'
import { arrives, linesOf, receiverOf } from '../support/receivers.ts'

t.jobs = 4

const CLEAN = { code: 0, signal: null }
const pem = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}.pem`, import.meta.url))
const read = (name: string) => readFileSync(pem(name))
const GOOD_TLS = { key: read('server-key'), cert: read('server') }

/** A file with a line, and a configuration whose sink is at `url`. */
function scene(t: Test, url: string, sink: object = {}, content = 'a 1\n', directory = t.testdir()) {
  writeFileSync(`${directory}/a.log`, content)
  const config = writeConfig(directory, {
    sources: [{ name: 'x', type: 'files', paths: [`${directory}/*.log`] }],
    sinks: [lokiSink(url, { requestTimeout: '2s', ...sink })],
    server: SERVER,
  })
  return { directory, config, say: (text: string) => appendFileSync(`${directory}/a.log`, `${text}\n`) }
}

/** The same store at the same port, under other options. */
async function reopened(t: Test, receiver: Receiver, options: ReceiverOptions): Promise<Receiver> {
  const { port, store } = receiver
  await receiver.close()
  return receiverOf(t, { ...options, port, store })
}

t.test('every answer ends after some byte, and everything was stored', async (t) => {
  const written = Array.from({ length: 900 }, (_, i) => `line ${i} ${'x'.repeat(i % 90)}`)
  const receiver = await receiverOf(t)
  let cuts = 0
  receiver.setFault(({ n }) => (n % 2 === 1 ? { kind: 'cut', afterBytes: cuts++, store: 'all' } : null))
  const { config } = scene(t, receiver.url, { batchBytesMax: '4Ki' }, `${written.join('\n')}\n`)
  t.match(await runToEnd(t, ['run', '-c', config, '--once']), CLEAN)
  t.strictSame(linesOf(receiver), written)
  t.ok(receiver.counts.answers.cut! > 12, `${receiver.counts.answers.cut} cuts`)
  t.ok(receiver.counts.repeated > 0)
})

const nonsense: Record<string, string> = {
  bytes: '\x00\x01\x02\xff\xfe garbage\r\n\r\n',
  'another protocol': 'SSH-2.0-OpenSSH_9.9\r\n',
  'an answer without an end': `HTTP/1.1 204 No Content\r\nx-much: ${'y'.repeat(70_000)}`,
  'a length that is none': 'HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n',
  'two answers': 'HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
  nothing: '',
}

for (const [what, answer] of Object.entries(nonsense)) {
  t.test(`it answers with ${what}, until somebody puts a Loki there`, async (t) => {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket.on('error', () => {}))
      socket.once('data', () => socket.end(answer, 'latin1'))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const { config } = scene(t, `http://127.0.0.1:${port}`)
    const taffrail = startRun(t, config)
    const record = await taffrail.logged('sink.retry')
    t.match(record, { level: 'warn', sink: 'loki', code: /^(error|500)$/, msg: /^sink loki: .+; repeat 1 of lane/ })
    await eventually(
      () => `it tries again\n${taffrail.story()}`,
      () => sockets.size >= 3,
    )
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
    const receiver = await receiverOf(t, { port })
    await arrives(receiver, taffrail, 'a 1')
    t.match(await taffrail.logged('sink.recovered'), { level: 'info', sink: 'loki' })
    t.same(await taffrail.end(), CLEAN)
    t.strictSame(linesOf(receiver), ['a 1'])
  })
}

t.test('401 until the token in its file is mended; a page that is not from Loki', async (t) => {
  const receiver = await receiverOf(t)
  receiver.setFault(({ headers }) =>
    headers.authorization === 'Bearer right' ? null : { kind: 'answer', status: 401, body: 'who are you?' },
  )
  const directory = t.testdir({ token: 'wrong\n' })
  const auth = { bearer: { tokenFile: `${directory}/token` } }
  const { config, say } = scene(t, receiver.url, { auth }, 'a 1\n', directory)
  const taffrail = startRun(t, config)
  t.match(await taffrail.logged('sink.halted'), {
    level: 'error',
    status: 401,
    msg: /needs an operator.*who are you\?/,
  })
  const { sinks, lineages } = await taffrail.statusWhen('it halts', ({ sinks }) => sinks[0]!.state === 'halted')
  t.match([sinks[0]!.lastError, sinks[0]!.acked.lines, lineages[0]!.sinks[0]!.ackedOffset], ['who are you?', 0, 0])
  t.notMatch(JSON.stringify(taffrail.log), 'wrong', 'no secret in the log')
  writeFileSync(`${directory}/token`, 'right\n')
  await arrives(receiver, taffrail, 'a 1')
  await taffrail.statusWhen('it is well', ({ sinks }) => sinks[0]!.state === 'ok' && sinks[0]!.lastError === null)

  receiver.setFault(() => ({
    kind: 'answer',
    status: 200,
    headers: { 'content-type': 'text/html' },
    body: '<html>Log in',
  }))
  say('a 2')
  t.match(await taffrail.logged('sink.halted', ({ status }) => status === 200), { msg: /not from Loki/ })
  receiver.setFault(null)
  await arrives(receiver, taffrail, 'a 2')
  t.same(await taffrail.end(), CLEAN)
  t.strictSame(linesOf(receiver), ['a 1', 'a 2'])
})

t.test('a wrong CA, until its file is mended', async (t) => {
  const receiver = await receiverOf(t, { tls: GOOD_TLS })
  const directory = t.testdir({ 'ca.pem': read('client') })
  const { config, say } = scene(t, receiver.url, { tls: { caFile: `${directory}/ca.pem` } }, 'a 1\n', directory)
  const taffrail = startRun(t, config)
  t.match(await taffrail.logged('sink.retry'), { code: 'error', message: /issued by|UNABLE_TO_VERIFY/ })
  copyFileSync(pem('ca'), `${directory}/ca.pem`)
  await arrives(receiver, taffrail, 'a 1')
  say('a 2')
  await arrives(receiver, taffrail, 'a 2')
  t.same(await taffrail.end(), CLEAN)
  t.equal(receiver.counts.repeated, 0)
})

t.test('an expired certificate, swapped for a good one, and for an expired one while it runs', async (t) => {
  const expired = { ...GOOD_TLS, cert: read('expired-server') }
  let receiver = await receiverOf(t, { tls: expired })
  const { config, say } = scene(t, receiver.url, { tls: { caFile: pem('ca') } })
  const taffrail = startRun(t, config)
  t.match(await taffrail.logged('sink.retry'), { message: /CERT_HAS_EXPIRED.*valid to 202/ })
  receiver = await reopened(t, receiver, { tls: GOOD_TLS })
  await arrives(receiver, taffrail, 'a 1')
  receiver = await reopened(t, receiver, { tls: expired })
  say('a 2')
  await taffrail.statusWhen('it is told of', ({ sinks }) => /CERT_HAS_EXPIRED/.test(sinks[0]!.lastError ?? ''))
  receiver = await reopened(t, receiver, { tls: GOOD_TLS })
  await arrives(receiver, taffrail, 'a 2')
  t.same(await taffrail.end(), CLEAN)
  t.strictSame(linesOf(receiver), ['a 1', 'a 2'])
})

t.test('a certificate of its own, asked for and swapped while it runs', async (t) => {
  let receiver = await receiverOf(t, { tls: GOOD_TLS })
  const directory = t.testdir()
  const tls = { caFile: pem('ca'), certFile: `${directory}/own.pem`, keyFile: `${directory}/own-key.pem` }
  const swap = (name: string) => {
    copyFileSync(pem(name), tls.certFile)
    copyFileSync(pem(`${name}-key`), tls.keyFile)
  }
  swap('server')
  const { config, say } = scene(t, receiver.url, { tls }, 'a 1\n', directory)
  const taffrail = startRun(t, config)
  await arrives(receiver, taffrail, 'a 1')
  receiver = await reopened(t, receiver, { tls: { ...GOOD_TLS, ca: read('ca') } })
  say('a 2')
  // A certificate for servers is none for clients.
  await taffrail.logged('sink.retry', ({ message }) => /certificate/i.test(String(message)))
  swap('client')
  await arrives(receiver, taffrail, 'a 2')
  t.same(await taffrail.end(), CLEAN)
  t.strictSame(linesOf(receiver), ['a 1', 'a 2'])
})

t.test('https to a port that speaks http, and http to one that speaks https', async (t) => {
  const plain = await receiverOf(t)
  const secure = await receiverOf(t, { tls: GOOD_TLS })
  const { directory } = scene(t, plain.url)
  const sinks = [
    lokiSink(plain.url.replace('http:', 'https:'), { name: 'one' }),
    lokiSink(secure.url.replace('https:', 'http:'), { name: 'two' }),
  ]
  const sources = [{ name: 'x', type: 'files', paths: [`${directory}/*.log`] }]
  const taffrail = startRun(t, writeConfig(directory, { sources, sinks }))
  t.match(await taffrail.logged('sink.retry', ({ sink }) => sink === 'one'), { message: /does it speak plain HTTP\?/ })
  t.ok((await taffrail.logged('sink.retry', ({ sink }) => sink === 'two')).message)
  t.same(await taffrail.end(), { code: 1, signal: null })
})
