// How the API server is reached: a service account whose token rotates, and kubeconfigs good and bad.
import { renameSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { inClusterAccess, kubeconfigAccess } from '../../src/enrich/access.ts'

t.test("a pod's service account", async (t) => {
  const directory = t.testdir({ token: 'one\n', 'ca.crt': '' })
  const access = inClusterAccess({ KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' }, directory)
  t.match(access, { origin: 'https://10.96.0.1', prefix: '', tls: { caFile: `${directory}/ca.crt` } })
  t.equal(access?.authorization(), 'Bearer one')
  writeFileSync(`${directory}/next`, 'second\n')
  renameSync(`${directory}/next`, `${directory}/token`)
  t.equal(access?.authorization(), 'Bearer second', 'the token rotated')
  const ipv6 = inClusterAccess({ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' }, directory)
  t.equal(ipv6?.origin, 'https://[fd00::1]:6443')
  t.equal(inClusterAccess({}, directory), null, 'not in a cluster')
  t.equal(inClusterAccess({ KUBERNETES_SERVICE_HOST: 'x' }, `${directory}/none`), null, 'no token is mounted')
})

function kubeconfig(
  user: string,
  cluster = 'server: "https://api:6443/k8s/c-1/"',
  context = 'cluster: c, user: u',
): string {
  return `current-context: x
contexts: [{name: x, context: {${context}}}]
clusters: [{name: c, cluster: {${cluster}}}]
users: [{name: u, user: {${user}}}]
`
}

t.test('a kubeconfig', async (t) => {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const ca = `server: "https://api:6443", certificate-authority-data: ${base64('CA')}, tls-server-name: kubernetes`
  const directory = t.testdir({
    token: 'from-file',
    inline: kubeconfig('token: secret'),
    files: kubeconfig('tokenFile: token', 'server: "https://api", certificate-authority: ca.crt'),
    certificates: kubeconfig(`client-certificate-data: ${base64('CERT')}, client-key-data: ${base64('KEY')}`, ca),
    basic: kubeconfig('username: a, password: b', 'server: "http://api:8080"'),
  })
  const inline = kubeconfigAccess(`${directory}/inline`)
  t.match(inline, { origin: 'https://api:6443', prefix: '/k8s/c-1', tls: {} })
  t.equal(inline.authorization(), 'Bearer secret')
  const files = kubeconfigAccess(`${directory}/files`)
  t.strictSame(files.tls, { caFile: `${directory}/ca.crt` })
  t.equal(files.authorization(), 'Bearer from-file')
  const certificates = kubeconfigAccess(`${directory}/certificates`)
  t.strictSame(certificates.tls, { ca: 'CA', cert: 'CERT', key: 'KEY', serverName: 'kubernetes' })
  t.equal(certificates.authorization(), null)
  t.equal(kubeconfigAccess(`${directory}/basic`).authorization(), `Basic ${base64('a:b')}`)
})

t.test('a kubeconfig that cannot be used says why, and not its secrets', async (t) => {
  const cases: [string, RegExp][] = [
    ['', /there is no current-context/],
    ['- [', /cannot be read/],
    [kubeconfig('token: hush', undefined, 'cluster: other, user: u'), /there is no cluster named "other"/],
    [kubeconfig('token: hush', undefined, 'cluster: c, user: other'), /there is no user named "other"/],
    [kubeconfig('token: hush').replace('current-context: x', 'current-context: y'), /there is no context named "y"/],
    [kubeconfig('token: hush', 'server: api'), /no http\(s\) URL: "api"/],
    [kubeconfig('token: hush', 'x: y'), /no http\(s\) URL: null/],
    [kubeconfig('exec: {command: aws}'), /exec, which is not supported/],
    [kubeconfig('auth-provider: {name: gcp}'), /auth-provider, which is not supported/],
  ]
  const directory = t.testdir({})
  for (const [text, expected] of cases) {
    writeFileSync(`${directory}/config`, text)
    try {
      kubeconfigAccess(`${directory}/config`)
      t.fail('it was taken')
    } catch (error) {
      const { message, code } = error as { message: string; code: string }
      t.equal(code, 'KUBECONFIG')
      t.match(message, expected)
      t.ok(message.startsWith(`${directory}/config: `))
      t.notMatch(message, 'hush')
    }
  }
  t.throws(() => kubeconfigAccess(`${directory}/none`), { code: 'KUBECONFIG' })
})
