// TLS and mTLS of the real client, with files that are missing, broken and swapped. The certificates are fixtures.
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { type AddressInfo, createServer, type Server } from 'node:net'
import type { TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import type { HttpClient, TlsFiles } from '../../src/ports/http.ts'
import { createHttpClient } from '../../src/ports/real-http.ts'
import { failure, post } from './http.conformance.ts'

const fixture = (name: string) => new URL(`../fixtures/tls/${name}`, import.meta.url).pathname
const pem = (name: string) => readFileSync(fixture(name))
const caFile = fixture('ca.pem')
const clientFiles = { caFile, certFile: fixture('client.pem'), keyFile: fixture('client-key.pem') }

function listen(t: Test, server: Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`https://127.0.0.1:${(server.address() as AddressInfo).port}`))
    t.teardown(() => server.close())
  })
}

interface TlsServer {
  origin: string
  /** The common name of each connection's client certificate, in order; '' for none. */
  names: string[]
  requests: number
  /** What was asked for by SNI. */
  asked: (string | false | null)[]
  /** Requests that are not answered before it resolves. */
  gate: Promise<void>
  seen: () => Promise<void>
  /** Ends all connections. */
  reset: () => void
}

async function serve(t: Test, options: https.ServerOptions = {}): Promise<TlsServer> {
  let next = Promise.withResolvers<void>()
  const keys = { cert: pem('server.pem'), key: pem('server-key.pem'), keepAliveTimeout: 60_000 }
  const server = https.createServer({ ...keys, ...options }, (request, response) => {
    state.requests++
    request.resume().on('end', () => {
      next.resolve()
      next = Promise.withResolvers<void>()
      void state.gate.then(() => response.writeHead(204).end())
    })
  })
  server.on('tlsClientError', () => {})
  server.on('secureConnection', (socket: TLSSocket) => {
    state.names.push(String(socket.getPeerCertificate().subject?.CN ?? ''))
    state.asked.push((socket as TLSSocket & { servername: string | false }).servername)
    socket.on('error', () => {})
  })
  t.teardown(() => server.closeAllConnections())
  const origin = await listen(t, server)
  const reset = () => server.closeAllConnections()
  const state: TlsServer = {
    origin,
    names: [],
    requests: 0,
    asked: [],
    gate: Promise.resolve(),
    seen: () => next.promise,
    reset,
  }
  return state
}

function clientOf(t: Test, origin: string, tls: TlsFiles, monotonic?: () => number): HttpClient {
  const client = createHttpClient(origin, { connections: 2, tls }, monotonic)
  t.teardown(() => client.close())
  return client
}

t.test('a server whose CA is known gets the request, over one connection', async (t) => {
  const server = await serve(t)
  const client = clientOf(t, server.origin, { caFile })
  for (let n = 0; n < 5; n++) t.equal((await client.send(post())).status, 204)
  t.equal(server.names.length, 1)
})

t.test('a bundle of several CAs', async (t) => {
  const server = await serve(t)
  const dir = t.testdir({ 'bundle.pem': `# comment\n${pem('client.pem')}\n${pem('ca.pem')}` })
  t.equal((await clientOf(t, server.origin, { caFile: `${dir}/bundle.pem` }).send(post())).status, 204)
})

t.test('servers that are not trusted are HTTP_TLS, and hear nothing', async (t) => {
  const expired = { cert: pem('expired-server.pem') }
  const cases: [name: string, options: https.ServerOptions, tls: TlsFiles, message: RegExp][] = [
    ['no CA given', {}, {}, /unable to verify the first certificate \(UNABLE_TO_VERIFY_LEAF_SIGNATURE\), issued by "/],
    ['another CA', {}, { caFile: fixture('client.pem') }, /UNABLE_TO_VERIFY_LEAF_SIGNATURE\), issued by "/],
    [
      'expired',
      expired,
      { caFile },
      /certificate has expired \(CERT_HAS_EXPIRED\), valid to 202[01]-\d\d-\d\dT[\d:.]+Z$/,
    ],
    ['another name', {}, { caFile, serverName: 'loki' }, /Host: loki\. is not in the cert's altnames.*ALTNAME_INVALID/],
  ]
  for (const [name, options, tls, message] of cases) {
    const server = await serve(t, options)
    const error = await failure(clientOf(t, server.origin, tls).send(post()))
    t.equal(error.code, 'HTTP_TLS', name)
    t.match(error.message, message)
    t.ok(error.message.startsWith(`${server.origin}: `), error.message)
    t.ok(error.cause instanceof Error)
    t.equal(server.requests, 0)
  }
})

t.test('serverName is asked for and checked; without verification anything goes', async (t) => {
  const server = await serve(t)
  await clientOf(t, server.origin, { caFile, serverName: 'localhost' }).send(post())
  await clientOf(t, server.origin.replace('127.0.0.1', 'localhost'), { caFile }).send(post())
  await clientOf(t, server.origin, { insecureSkipVerify: true, serverName: 'other' }).send(post())
  await clientOf(t, server.origin, { caFile }).send(post())
  t.strictSame(server.asked, ['localhost', 'localhost', 'other', false])
})

t.test('a client certificate, and the lack of one', async (t) => {
  const mutual = { ca: pem('ca.pem'), requestCert: true, rejectUnauthorized: true }
  const server = await serve(t, mutual)
  t.equal((await clientOf(t, server.origin, clientFiles).send(post())).status, 204)
  t.strictSame(server.names, ['taffrail'])
  // TLS 1.3 refuses after the handshake: the alert and the reset race each other.
  const late = await failure(clientOf(t, server.origin, { caFile }).send(post()))
  t.match(late.code, /^HTTP_(TLS|RESET)$/)
  t.match(late.message, /client certificate|ALERT_CERTIFICATE_REQUIRED/)
  const older = await serve(t, { ...mutual, maxVersion: 'TLSv1.2' })
  const early = await failure(clientOf(t, older.origin, { caFile }).send(post()))
  t.equal(early.code, 'HTTP_TLS')
  t.match(early.message, /handshake failure/)
})

t.test('a reset is blamed on the client certificate only while nothing was answered', async (t) => {
  const server = await serve(t)
  const client = clientOf(t, server.origin, { caFile })
  t.equal((await client.send(post())).status, 204)
  server.gate = new Promise(() => {})
  let seen = server.seen()
  const sent = failure(client.send(post()))
  // The kept connection, and the one that takes its place.
  for (let n = 0; n < 2; n++) {
    await seen
    seen = server.seen()
    server.reset()
  }
  t.match(await sent, { code: 'HTTP_RESET', message: /closed before an answer \([^)]+\)$/ })
})

t.test('plain HTTP where TLS was expected, silence where a handshake was', async (t) => {
  const plain = http.createServer((_, response) => response.end())
  const wrong = await failure(clientOf(t, await listen(t, plain), { caFile }).send(post()))
  t.equal(wrong.code, 'HTTP_TLS')
  t.match(wrong.message, /wrong version number.*plain HTTP\?$/)
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  const silent = createServer((socket) =>
    socket
      .on('error', () => {})
      .on('close', () => end())
      .resume(),
  )
  const mute = await failure(clientOf(t, await listen(t, silent), { caFile }).send(post({ timeoutMs: 100 })))
  t.equal(mute.code, 'HTTP_TIMEOUT')
  t.match(mute.message, /no connection within 100 ms$/)
  await ended
})

t.test('a file that is missing or broken is named, and sending goes on once it is mended', async (t) => {
  const server = await serve(t, { ca: pem('ca.pem'), requestCert: true, rejectUnauthorized: true })
  const key = pem('client-key.pem').toString()
  const damages: [file: keyof typeof clientFiles, content: string | null, message: RegExp][] = [
    ['caFile', null, /caFile .*caFile cannot be read: ENOENT/],
    ['caFile', '', /caFile .*caFile holds no certificate$/],
    [
      'caFile',
      `${pem('ca.pem')}${pem('client.pem')
        .toString()
        .replace(/MII.{20}/, '')}`,
      /caFile .*caFile is broken: /,
    ],
    ['certFile', null, /certFile .*certFile cannot be read: ENOENT/],
    ['certFile', 'rubbish', /certFile .*certFile is broken: /],
    ['certFile', pem('server.pem').toString(), /keyFile .*keyFile is not the key of certFile .*certFile$/],
    ['keyFile', key.slice(0, 100), /keyFile .*keyFile is broken: /],
    ['keyFile', pem('server-key.pem').toString(), /keyFile .*keyFile is not the key of certFile .*certFile$/],
  ]
  const dir = t.testdir()
  const tls = { caFile: `${dir}/caFile`, certFile: `${dir}/certFile`, keyFile: `${dir}/keyFile` }
  const mend = () => {
    for (const name of ['caFile', 'certFile', 'keyFile'] as const) {
      rmSync(tls[name], { force: true })
      copyFileSync(clientFiles[name], tls[name])
    }
  }
  let nowMs = 0
  for (const [file, content, message] of damages) {
    mend()
    const client = clientOf(t, server.origin, tls, () => nowMs)
    t.equal((await client.send(post())).status, 204)
    rmSync(tls[file])
    if (content !== null) writeFileSync(tls[file], content)
    nowMs += 1000
    for (let n = 0; n < 2; n++) {
      const error = await failure(client.send(post()))
      t.equal(error.code, 'HTTP_TLS')
      t.match(error.message, message)
      t.ok(error.message.startsWith(`${server.origin}: `), error.message)
      nowMs += 1000
    }
    mend()
    t.equal((await client.send(post())).status, 204, `${file} mended`)
  }
  for (const half of [{ certFile: tls.certFile }, { keyFile: tls.keyFile }]) {
    const error = await failure(clientOf(t, server.origin, { caFile, ...half }).send(post()))
    t.match(error, { code: 'HTTP_TLS', message: /needs a (cert|key)File beside it$/ })
  }
})

t.test('a swapped link is seen within a second; what is under way ends on the old certificate', async (t) => {
  const server = await serve(t, { ca: pem('ca.pem'), requestCert: true, rejectUnauthorized: false })
  // As the kubelet mounts a Secret: file -> ..data/file, ..data -> a directory that is exchanged.
  const dir = t.testdir({ old: {}, new: {} })
  for (const [version, name] of [
    ['old', 'server'],
    ['new', 'client'],
  ]) {
    copyFileSync(fixture(`${name}.pem`), `${dir}/${version}/tls.crt`)
    copyFileSync(fixture(`${name}-key.pem`), `${dir}/${version}/tls.key`)
  }
  const swing = (version: string) => {
    symlinkSync(version, `${dir}/..next`)
    renameSync(`${dir}/..next`, `${dir}/..data`)
  }
  swing('old')
  symlinkSync('..data/tls.crt', `${dir}/tls.crt`)
  symlinkSync('..data/tls.key', `${dir}/tls.key`)

  let nowMs = 0
  const client = clientOf(
    t,
    server.origin,
    { caFile, certFile: `${dir}/tls.crt`, keyFile: `${dir}/tls.key` },
    () => nowMs,
  )
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  server.gate = gate
  const seen = server.seen()
  const underWay = client.send(post())
  await seen
  server.gate = Promise.resolve()
  await client.send(post())
  t.strictSame(server.names, ['localhost', 'localhost'])

  swing('new')
  nowMs += 999
  await client.send(post())
  t.strictSame(server.names, ['localhost', 'localhost'], 'not looked yet, and the connection used again')
  nowMs += 1
  await client.send(post())
  t.strictSame(server.names, ['localhost', 'localhost', 'taffrail'])
  open()
  t.equal((await underWay).status, 204)
  nowMs += 1000
  await Promise.all([client.send(post()), client.send(post())])
  t.strictSame(server.names, ['localhost', 'localhost', 'taffrail', 'taffrail'], 'the old ones are not used again')
})

t.test('files that stay as they are keep the connection', async (t) => {
  const server = await serve(t)
  let nowMs = 0
  const dir = t.testdir()
  mkdirSync(`${dir}/tls`)
  copyFileSync(caFile, `${dir}/tls/ca.pem`)
  const client = clientOf(t, server.origin, { caFile: `${dir}/tls/ca.pem` }, () => nowMs)
  for (let n = 0; n < 3; n++) {
    await client.send(post())
    nowMs += 5000
  }
  t.equal(server.names.length, 1)
})
