// `check --connect` against servers that let it in and servers that do not.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { check } from '../../src/commands/check.ts'
import { FakeApiServer, type KubeThing } from '../support/fake-api-server.ts'

async function run(t: Test, config: string, env: NodeJS.ProcessEnv = {}) {
  let stdout = ''
  let stderr = ''
  mkdirSync(t.testdirName, { recursive: true })
  const file = `${t.testdirName}/taffrail.yaml`
  writeFileSync(file, config)
  const io = {
    stdout: (text: string) => void (stdout += text),
    stderr: (text: string) => void (stderr += text),
    env,
  }
  const code = await check(['-c', file, '--connect'], io)
  return { code, lines: stdout.trimEnd().split('\n'), stderr }
}

/** A server that answers alike to everything, and what it was asked. */
async function serve(
  t: Test,
  answer: (request: http.IncomingMessage) => { status: number; body?: string; headers?: Record<string, string> },
) {
  const seen: string[] = []
  const server = http.createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.authorization ?? '-'}`)
    const { status, body = '', headers = {} } = answer(request)
    request.resume().on('end', () => response.writeHead(status, headers).end(body))
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
sources: [{name: c, type: containers, paths: [/nowhere/*.log]}]
sinks: [${sinks}]
`

async function cluster(t: Test) {
  const api = new FakeApiServer()
  const metadata = { name: 'taffrail', namespace: 'taffrail', uid: 'u', resourceVersion: '' }
  api.put({ kind: 'Pod', metadata, spec: { nodeName: 'node-1' } } as Omit<KubeThing, 'apiVersion'>)
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

t.test('stores that take what is sent', async (t) => {
  const loki = await serve(t, () => ({ status: 422, body: 'error at least one valid stream is required' }))
  const body = JSON.stringify({ version: { number: '3.8.0', distribution: 'opensearch' } })
  const es = await serve(t, ({ url }) => (url === '/' ? { status: 200, body } : { status: 404 }))
  const sinks = `{name: loki, type: loki, url: "${loki.url}", auth: {basic: {username: a, password: b}}}, {name: es, type: elasticsearch, urls: ["${es.url}"]}, {name: out, type: stdout}`
  const { code, lines, stderr } = await run(t, CONFIG('{metadata: off}', sinks))
  t.same([code, stderr], [1, ''])
  t.match(lines, [
    'ok   API server: not asked, kubernetes.metadata is off',
    `ok   sink loki: ${loki.url}: takes pushes`,
    `ok   sink es: ${es.url}: opensearch 3.8.0 knows the credentials; whether they may write to logs-kubernetes.container_logs-kubernetes it does not say`,
    `FAIL sink es: ${es.url}: the index template taffrail-logs-kubernetes is missing: run taffrail setup`,
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
    /^FAIL sink a: .* answers 401: no org id; it wants a tenant: set tenant$/,
    /^FAIL sink b: .* answers 404: 404 page not found; is the path of the url right\?$/,
    /^FAIL sink c: http:\/\/127.0.0.1:1: connection refused/,
    /^FAIL sink d: .* answers 401: no org id; it wants credentials: set auth$/,
  ])
})

t.test('a node of another name, and credentials that are none', async (t) => {
  const { api, kubeconfig } = await cluster(t)
  api.delete('Pod', { name: 'taffrail', namespace: 'taffrail' })
  const sink = '{name: out, type: stdout}'
  const { code, lines } = await run(t, CONFIG(`{metadata: {kubeconfig: ${kubeconfig}}}`, sink))
  t.equal(code, 1)
  t.match(lines[2], /^FAIL API server: there is no pod on the node node-1; is nodeName right\?/)
  api.refuse = () => ({ status: 401, message: 'Unauthorized' })
  const refused = await run(t, CONFIG(`{metadata: {kubeconfig: ${kubeconfig}}}`, sink))
  t.match(
    refused.lines[1],
    /^FAIL API server: list pods: .*401: Unauthorized; it does not know the token or certificate/,
  )
})

t.test('Loki: what an operator may have got wrong', async (t) => {
  const cases: [answer: Parameters<typeof serve>[1], sink: string, line: RegExp][] = [
    [() => ({ status: 204 }), 'tenant: apps', /^ok .* takes pushes for the tenant apps$/],
    [() => ({ status: 401 }), 'tenant: a', /answers 401; it wants credentials: set auth$/],
    [() => ({ status: 401 }), 'auth: {bearer: {token: x}}', /answers 401; it does not know the credentials in auth$/],
    [
      () => ({ status: 403, body: 'no' }),
      'tenant: a',
      /403: no; it knows the credentials and does not let them in: grant the account that it may push for the tenant a, or is tenant wrong\?$/,
    ],
    [
      () => ({ status: 301, headers: { location: 'https://x/loki' } }),
      'tenant: a',
      /answers 301; it sends elsewhere, to https:\/\/x\/loki: is that the url\?$/,
    ],
    [
      () => ({ status: 200, body: '<html>', headers: { 'content-type': 'text/html' } }),
      'tenant: a',
      /^FAIL .*a page for people, no Loki/,
    ],
    [() => ({ status: 200, body: '{}' }), 'tenant: a', /^ok .*takes pushes \(it answers 200/],
  ]
  for (const [answer, more, line] of cases) {
    const { url } = await serve(t, answer)
    const { lines } = await run(t, CONFIG('{metadata: off}', `{name: l, type: loki, url: "${url}", ${more}}`))
    t.match(lines[1], line)
  }
})

t.test('certificates, names and schemes: what is wrong, and what to do about it', async (t) => {
  const pem = (name: string) => new URL(`../fixtures/tls/${name}`, import.meta.url).pathname
  const keys = { cert: readFileSync(pem('server.pem')), key: readFileSync(pem('server-key.pem')) }
  const server = https.createServer(keys, (request, response) => {
    request.resume().on('end', () => response.writeHead(422).end())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const caFile = pem('ca.pem')
  const line = async (tls: object, url = `https://127.0.0.1:${port}`) => {
    const sink = `{name: l, type: loki, url: "${url}", tls: ${JSON.stringify(tls)}}`
    return (await run(t, CONFIG('{metadata: off}', sink))).lines.slice(1)
  }
  t.match(await line({ caFile }), [/^ok /])
  t.match(await line({ caFile, serverName: 'loki.example.com' }), [
    /^FAIL .*loki\.example\.com.*ALTNAME_INVALID\); use a url with one of these names, or set tls\.serverName to one/,
  ])
  t.match(await line({}), [/^FAIL .*; set tls\.caFile to the certificate of the authority/])
  t.match(await line({ caFile, certFile: pem('expired-server.pem'), keyFile: pem('server-key.pem') }), [
    /^FAIL sink l: its own client certificate .*expired-server\.pem was valid to 202[01]-.*Z: it has to be renewed$/,
    /^ok /,
  ])
  const plain = `{name: l, type: loki, url: "http://127.0.0.1:${port}"}`
  t.match((await run(t, CONFIG('{metadata: off}', plain))).lines[1], /^FAIL .*; does it want https\?$/)

  const kubeconfig = `${t.testdirName}/kubeconfig`
  const data = (name: string) => readFileSync(pem(name)).toString('base64')
  writeFileSync(
    kubeconfig,
    `current-context: x
contexts: [{name: x, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:${port}", tls-server-name: kubernetes.example, certificate-authority: ${caFile}}}]
users: [{name: u, user: {client-certificate-data: ${data('expired-server.pem')}, client-key-data: ${data('server-key.pem')}}}]
`,
  )
  const { lines } = await run(t, CONFIG(`{metadata: {kubeconfig: ${kubeconfig}}}`, '{name: out, type: stdout}'))
  t.match(lines.slice(1), [
    /^FAIL API server: its own client certificate was valid to 202[01]-.*Z: it has to be renewed$/,
    /^FAIL API server: list pods: .*; use a url with one of these names, or set tls-server-name to one/,
    /^FAIL API server: watch pods: .*; use a url with one of these names, or set tls-server-name to one/,
  ])
})

t.test('Elasticsearch: what the account may do, and what to grant', async (t) => {
  const granted = new Set(['create_doc', 'auto_configure'])
  const asked: string[] = []
  const { url } = await serve(t, (request) => {
    asked.push(`${request.method} ${request.url}`)
    if (request.url === '/') return { status: 403, body: 'action [cluster:monitor/main] is unauthorized' }
    if (request.url !== '/_security/user/_has_privileges') return { status: 200, body: '{}' }
    const names = ['logs-kubernetes.container_logs-prod', 'logs-kubernetes.audit_logs-prod-*']
    const index = Object.fromEntries(
      names.map((name) => [
        name,
        { create_doc: granted.has('create_doc'), auto_configure: granted.has('auto_configure') },
      ]),
    )
    return { status: 200, body: JSON.stringify({ has_all_requested: granted.size === 2, index }) }
  })
  const config =
    `${CONFIG('{metadata: off}', `{name: es, type: elasticsearch, urls: ["${url}"], namespace: prod}`)}`.replace(
      '*.log]}]',
      '*.log]}, {name: audit, type: audit, paths: [/var/log/audit.log]}]',
    )
  const good = await run(t, config)
  t.equal(good.code, 0)
  t.match(good.lines, [
    /not asked/,
    /^ok .*knows the credentials, and lets them write to logs-kubernetes.container_logs-prod and logs-kubernetes.audit_logs-prod-\*$/,
    /^ok .*the index template taffrail-logs-prod is there$/,
    /^ok .*the index template taffrail-audit-prod is there$/,
  ])
  granted.delete('auto_configure')
  const bad = await run(t, config)
  t.equal(bad.code, 1)
  t.match(
    bad.lines[1],
    /^FAIL .*does not let them write; grant the role the index privileges \{"names": \["logs-kubernetes.container_logs-prod","logs-kubernetes.audit_logs-prod-\*"\], "privileges": \["auto_configure"\]\}$/,
  )
  t.ok(
    asked.every((each) => !/_bulk|PUT/.test(each)),
    'nothing is stored',
  )
  const { url: page } = await serve(t, () => ({ status: 200, body: '<html>' }))
  const other = await run(t, CONFIG('{metadata: off}', `{name: es, type: elasticsearch, urls: ["${page}"]}`))
  t.match(other.lines[1], /^FAIL .*neither Elasticsearch nor OpenSearch: is the url right\?$/)
})

t.test('a pod without a token', async (t) => {
  const config = CONFIG('{metadata: auto}', '{name: out, type: stdout}')
  const pod = await run(t, config, { KUBERNETES_SERVICE_HOST: '10.96.0.1' })
  t.equal(pod.code, 1)
  t.match(pod.lines, [
    /^FAIL API server: not asked, for no token is mounted in this pod: set automountServiceAccountToken/,
  ])
  const laptop = await run(t, config)
  t.equal(laptop.code, 0)
  t.match(laptop.lines, ['ok   API server: not asked, this is no pod'])
})
