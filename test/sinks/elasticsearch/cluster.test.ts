// A cluster over TLS, with everything that is secret in files that are swapped while it is in use.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import type { ElasticsearchAuthConfig } from '../../../src/config/config.ts'
import { realClock } from '../../../src/ports/clock.ts'
import type { HttpClientFactory } from '../../../src/ports/http.ts'
import { createHttpClient } from '../../../src/ports/real-http.ts'
import { Cluster } from '../../../src/sinks/elasticsearch/cluster.ts'
import { elasticConfig } from '../../agent/world.ts'

const fixture = (name: string) => new URL(`../../fixtures/tls/${name}.pem`, import.meta.url).pathname
const BULK = Buffer.from('{"create":{}}\n{}\n')
const TAKEN = '{"errors":false,"items":[{"create":{"status":201}}]}'

t.test('credentials, certificates and the authority are those that lie in the files now', async (t) => {
  const asked: (string | undefined)[] = []
  const server = https.createServer(
    {
      cert: readFileSync(fixture('server')),
      key: readFileSync(fixture('server-key')),
      ca: readFileSync(fixture('ca')),
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate()
      asked.push(`${request.headers.authorization} as ${subject?.CN}`)
      request.resume().on('end', () => response.end(TAKEN))
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const dir = t.testdir()
  const file = (name: string) => `${dir}/${name}`
  let nowMs = 0
  const clientFactory: HttpClientFactory = (origin, options) => createHttpClient(origin, options, () => nowMs)
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const tls = { caFile: file('ca'), certFile: file('cert'), keyFile: file('key') }
  const put = (ca: string, certificate: string) => {
    copyFileSync(fixture(ca), tls.caFile)
    copyFileSync(fixture(certificate), tls.certFile)
    copyFileSync(fixture(`${certificate}-key`), tls.keyFile)
    nowMs += 1000
  }
  const auths: [ElasticsearchAuthConfig, (secret: string) => string][] = [
    [{ bearer: { tokenFile: file('secret') } }, (secret) => `Bearer ${secret}`],
    [{ apiKey: { keyFile: file('secret') } }, (secret) => `ApiKey ${secret}`],
    [
      { basic: { username: 'u', passwordFile: file('secret') } },
      (secret) => `Basic ${Buffer.from(`u:${secret}`).toString('base64')}`,
    ],
  ]
  for (const [auth, header] of auths) {
    const config = elasticConfig({ urls: [url], tls, auth })
    const cluster = new Cluster(config, 'prod', { createHttpClient: clientFactory, clock: realClock })
    t.teardown(() => cluster.close())
    const send = async () => (await cluster.requests.bulk(BULK, { count: 1, idOf: null })).outcome
    asked.length = 0
    // Not the authority of the server's certificate.
    put('client', 'client')
    writeFileSync(file('secret'), 'first\n')
    t.match(await send(), { kind: 'retry', reason: 'HTTP_TLS' })
    put('ca', 'client')
    t.strictSame(await send(), { kind: 'delivered' })
    writeFileSync(file('secret'), 'the second\n')
    t.strictSame(await send(), { kind: 'delivered' })
    put('ca', 'server')
    t.strictSame(await send(), { kind: 'delivered' })
    t.strictSame(asked, [
      `${header('first')} as taffrail`,
      `${header('the second')} as taffrail`,
      `${header('the second')} as localhost`,
    ])
  }
})
