// `check --connect` against servers that let it in and servers that do not.
import { mkdirSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { check } from '../../src/commands/check.ts'
import { FakeApiServer } from '../support/fake-api-server.ts'

async function run(t: Test, config: string) {
  let stdout = ''
  let stderr = ''
  mkdirSync(t.testdirName, { recursive: true })
  const file = `${t.testdirName}/taffrail.yaml`
  writeFileSync(file, config)
  const io = {
    stdout: (text: string) => void (stdout += text),
    stderr: (text: string) => void (stderr += text),
    env: {},
  }
  const code = await check(['-c', file, '--connect'], io)
  return { code, lines: stdout.trimEnd().split('\n'), stderr }
}

/** A server that answers alike to everything, and what it was asked. */
async function serve(t: Test, answer: (request: http.IncomingMessage) => { status: number; body?: string }) {
  const seen: string[] = []
  const server = http.createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.authorization ?? '-'}`)
    const { status, body = '' } = answer(request)
    request.resume().on('end', () => response.writeHead(status).end(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

const CONFIG = (kubernetes: string, sinks: string) => `nodeName: node-1
kubernetes: ${kubernetes}
sources: [{name: c, type: containers}]
sinks: [${sinks}]
`

async function cluster(t: Test) {
  const api = new FakeApiServer()
  const { origin, close } = await api.listen()
  t.teardown(close)
  const kubeconfig = `${t.testdir({
    kubeconfig: `current-context: x
contexts: [{name: x, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "${origin}"}}]
users: [{name: u, user: {token: secret-token}}]
`,
  })}/kubeconfig`
  return { api, origin, kubeconfig }
}

t.test('everything works', async (t) => {
  const loki = await serve(t, () => ({ status: 422, body: 'error at least one valid stream is required' }))
  const body = JSON.stringify({ version: { number: '3.8.0', distribution: 'opensearch' } })
  const es = await serve(t, () => ({ status: 200, body }))
  const sinks = `{name: loki, type: loki, url: "${loki.url}", auth: {basic: {username: a, password: b}}}, {name: es, type: elasticsearch, urls: ["${es.url}"]}, {name: out, type: stdout}`
  const { code, lines, stderr } = await run(t, CONFIG('{metadata: off}', sinks))
  t.same([code, stderr], [0, ''])
  t.match(lines, [
    'ok   API server: not asked, kubernetes.metadata is off',
    `ok   sink loki: ${loki.url}: takes pushes`,
    `ok   sink es: ${es.url}: opensearch 3.8.0 knows the credentials`,
  ])
  t.strictSame(loki.seen, [`POST /loki/api/v1/push Basic ${Buffer.from('a:b').toString('base64')}`])
})

t.test('an API server that lets us list and not watch', async (t) => {
  const { api, origin, kubeconfig } = await cluster(t)
  api.refuse = ({ query, path }) =>
    query.get('watch') === '1' && path.endsWith('pods')
      ? { status: 403, message: 'User "x" cannot watch "pods"' }
      : null
  const loki = await serve(t, () => ({ status: 204 }))
  const sink = `{name: loki, type: loki, url: "${loki.url}", labelsFrom: {team: namespace.labels.team}}`
  const { code, lines } = await run(t, CONFIG(`{metadata: {kubeconfig: ${kubeconfig}}}`, sink))
  t.equal(code, 1)
  t.match(lines, [
    `ok   API server: ${origin}, by the context x of ${kubeconfig}`,
    'ok   API server: list pods',
    /^FAIL API server: watch pods: .*cannot watch "pods"; grant the agent's ClusterRole \{apiGroups: \[""\], resources: \[pods\], verbs: \[list, watch\]\}$/,
    'ok   API server: list namespaces',
    'ok   API server: watch namespaces',
    'ok   sink loki',
  ])
  t.ok(api.seen.every(({ headers }) => headers.authorization === 'Bearer secret-token'))
  t.notMatch(lines.join(), 'secret-token')
})

t.test('what does not work says why', async (t) => {
  const { kubeconfig } = await cluster(t)
  const closed = await serve(t, () => ({ status: 401, body: 'no org id' }))
  const lost = await serve(t, () => ({ status: 404, body: '404 page not found' }))
  const sinks = [
    `{name: a, type: loki, url: "${closed.url}"}`,
    `{name: b, type: loki, url: "${lost.url}/gateway"}`,
    '{name: c, type: loki, url: "http://127.0.0.1:1"}',
    `{name: d, type: elasticsearch, urls: ["${closed.url}"]}`,
  ].join(', ')
  const { code, lines } = await run(
    t,
    CONFIG(`{metadata: {kubeconfig: ${kubeconfig.replace('kubeconfig', 'taffrail.yaml')}}}`, sinks),
  )
  t.equal(code, 1)
  t.match(lines, [
    /^FAIL API server: .*there is no current-context$/,
    /^FAIL sink a: .* answers 401: no org id; is a tenant missing\?$/,
    /^FAIL sink b: .* answers 404: 404 page not found; is the path of the url right\?$/,
    /^FAIL sink c: http:\/\/127.0.0.1:1: connection refused/,
    /^FAIL sink d: .* answers 401: no org id$/,
  ])
})
