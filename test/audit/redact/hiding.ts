// Hides a secret in an audit event, anywhere that a Kubernetes type can carry one. The secret is either any text, where the
// type says that it is one, or has the form of a credential, where only its look can tell.

import type { Body, Draw, Request } from './request.ts'
import { TOLD_BY_LOOK, TOLD_BY_TYPE } from './told.ts'

export interface Hidden {
  event: Record<string, unknown>
  where: string
}

/** Places that are secret by their type: whatever stands there. */
const BY_TYPE: Record<string, (secret: string, draw: Draw) => Request> = {
  'secret data': (s, draw) => secretRequest('create', withKind(secretOf(s, draw))),
  'secret data in the response': (s, draw) => ({
    uri: `${SECRETS}/db`,
    verb: 'get',
    response: withKind(secretOf(s, draw)),
  }),
  'secret list': (s, draw) => ({
    uri: SECRETS,
    verb: 'list',
    response: {
      kind: 'SecretList',
      apiVersion: 'v1',
      metadata: {},
      items: [secretOf(s, draw), secretOf('other', draw)],
    },
  }),
  'list of mixed kinds': (s, draw) => ({
    uri: '/apis/example.com/v1/namespaces/a/lists',
    verb: 'create',
    request: { kind: 'List', apiVersion: 'v1', items: [{ kind: 'Pod' }, withKind(secretOf(s, draw))] },
  }),
  'secret in a table': (s, draw) => ({
    uri: SECRETS,
    verb: 'list',
    response: { kind: 'Table', apiVersion: 'meta.k8s.io/v1', rows: [{ cells: ['a'], object: secretOf(s, draw) }] },
  }),
  'merge patch of a secret': (s, draw) => secretPatch(secretData(s, draw)),
  'strategic merge patch of a secret': (s, draw) =>
    secretPatch({ ...secretData(s, draw), $retainKeys: ['data'], metadata: { labels: { a: 'b' } } }),
  'apply patch of a secret': (s, draw) => secretPatch(withKind(secretOf(s, draw))),
  'JSON patch of one key': (s, draw) =>
    secretPatch([
      {
        op: draw(['add', 'replace', 'test']),
        path: draw(['/data/password', '/stringData/a~1b', '/data/x~0y']),
        value: draw([s, base64(s)]),
      },
    ]),
  'JSON patch of all data': (s, draw) =>
    secretPatch([{ value: { a: s, b: { c: [s] } }, path: draw(['/data', '/stringData']), op: 'add' }]),
  'JSON patch of the whole': (s, draw) => secretPatch([{ op: 'replace', path: '', value: secretData(s, draw) }]),
  'JSON patch of what a secret has not': (s, draw) =>
    secretPatch([{ op: 'add', path: draw(['/spec', '/Data/x', '/x~1y/0', '/dataa']), value: draw([s, { a: [s] }]) }]),
  'JSON patch without a path': (s, draw) => secretPatch([{ op: 'add', [draw(['Path', 'pth'])]: '/data/x', value: s }]),
  'JSON patch that is none': (s, draw) =>
    secretPatch(draw([[s], [[s]], [{ op: 'add', path: '/data/x', value: s }, s]])),
  'JSON patch of a last-applied-configuration that is torn': (s, draw) => {
    const path = '/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration'
    const value = JSON.stringify(draw([withKind(secretOf(s, draw)), secretData(s, draw)])).slice(0, -1)
    return secretPatch([{ op: draw(['add', 'replace']), path, value }])
  },
  'request for a secret whose body is a text': (s, draw) => ({
    ...secretPatch({}),
    request: draw([s, `kind: Secret\nstringData:\n  x: ${s}\n`]) as unknown as Body,
  }),
  'JSON patch of two paths': (s, draw) => {
    const paths = ['/data/x', '/metadata/labels/x']
    const [first, second] = draw([paths, [...paths].reverse()])
    return secretPatch([{ op: 'add', path: first, [SECOND_PATH]: second, value: s }])
  },
  'member that a secret has not': (s, draw) =>
    draw([secretPatch, (body: Body) => secretRequest('update', body)])({
      [draw(['StringData', 'Data', 'spec', 'x.y'])]: { a: [{ b: s }] },
      '$setElementOrder/data': [s],
    }),
  'secret of a request that only its objectRef tells': (s, draw) => ({
    uri: draw(['/clusters/root/api/v1/namespaces/a/secrets', '/a%zz', '']),
    verb: 'create',
    request: secretData(s, draw),
    reference: { resource: 'secrets', namespace: 'a' },
  }),
  'secret in the body of an event that somebody kept': (s, draw) => ({
    ...configMap('log', 'x'),
    request: { kind: 'Archive', spec: { events: [{ requestURI: SECRETS, requestObject: secretData(s, draw) }] } },
  }),
  "a mutating webhook's patch of a secret": (s, draw) => ({
    ...secretRequest('create', {}),
    annotations: webhookPatch(
      draw([
        { op: 'add', path: '/data', value: { x: base64(s) } },
        { op: 'replace', path: draw(['/data/x', '/stringData/x']), value: draw([s, base64(s)]) },
        { op: 'add', path: '', value: secretOf(s, draw) },
      ]),
      draw,
    ),
  }),
  "a mutating webhook's patch of a pod": (s, draw) => {
    const variable = { name: draw(TELLING), value: s }
    return {
      ...podWith({}, draw),
      annotations: webhookPatch(
        draw([
          { op: 'add', path: '/spec/containers/0/env/-', value: variable },
          { op: 'add', path: '/spec/containers/0/env', value: [variable] },
          { op: 'replace', path: '/spec/containers/0/env/0/value', value: s },
          { op: 'add', path: '/spec/initContainers', value: [{ name: 'init', env: [variable] }] },
          { op: 'add', path: '/metadata/annotations/x.io~1password', value: s },
          { op: 'add', path: '/spec/containers/0/args', value: ['--password', s] },
        ]),
        draw,
      ),
    }
  },
  "a mutating webhook's patch that is torn": (s, draw) => {
    const annotations = webhookPatch({ op: 'add', path: '/data/x', value: s }, draw)
    const torn = Object.entries(annotations).map(([name, value]) => [name, value.slice(0, -draw([1, 2, 30]))])
    return { ...secretRequest('create', {}), annotations: Object.fromEntries(torn) }
  },
  'last-applied-configuration of a secret': (s, draw) => {
    const inner = JSON.stringify(withKind(secretOf(s, draw)))
    const object = { metadata: { name: 'db', annotations: { [LAST_APPLIED]: inner } } }
    return draw([secretRequest('create', withKind(object)), secretPatch(object)])
  },
  'last-applied-configuration inside of one': (s, draw) => {
    const inner = JSON.stringify(withKind(secretOf(s, draw)))
    const outer = JSON.stringify(withKind({ metadata: { annotations: { [LAST_APPLIED]: inner } } }))
    return secretRequest('update', withKind({ metadata: { annotations: { [LAST_APPLIED]: outer } } }))
  },
  'last-applied-configuration that is torn': (s, draw) => {
    const applied = draw([withKind(secretOf(s, draw)), secretData(s, draw)])
    const inner = JSON.stringify(applied).slice(0, -1)
    return secretRequest('update', withKind({ metadata: { annotations: { [LAST_APPLIED]: inner } } }))
  },
  'secret embedded in another type': (s, draw) => ({
    uri: '/apis/apps.example.com/v1/namespaces/a/bundles',
    verb: 'create',
    // The type stands behind the data: keys of custom resources are in order of the alphabet.
    request: {
      apiVersion: 'apps.example.com/v1',
      kind: 'Bundle',
      spec: { objects: [{ apiVersion: 'v1', ...secretOf(s, draw), kind: 'Secret' }] },
    },
  }),
  'template of an operator for secrets': (s, draw) => ({
    uri: '/apis/external-secrets.io/v1/namespaces/a/externalsecrets',
    verb: 'create',
    request: { kind: 'ExternalSecret', spec: { target: { template: secretData(s, draw) } } },
  }),
  'manifest of a secret in a config map': (s, draw) =>
    configMap(
      'manifest.yaml',
      draw([
        `apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\nstringData:\n  some: ${s}\n`,
        `stringData:\n  some: ${s}\n`,
      ]),
    ),
  'JSON of a secret in a config map': (s, draw) => configMap('a.json', JSON.stringify(withKind(secretOf(s, draw)))),
  'token request': (s) => ({
    uri: '/api/v1/namespaces/a/serviceaccounts/b/token',
    verb: 'create',
    response: {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      spec: { audiences: ['x'] },
      status: { token: s },
    },
  }),
  'token review': (s) => ({
    uri: '/apis/authentication.k8s.io/v1/tokenreviews',
    verb: 'create',
    request: { kind: 'TokenReview', spec: { token: s } },
    response: {
      kind: 'TokenReview',
      spec: { token: s },
      status: { user: { extra: { 'authentication.kubernetes.io/credential-id': [s] } } },
    },
  }),
  'certificate signing request': (s, draw) => ({
    uri: '/apis/certificates.k8s.io/v1/certificatesigningrequests',
    verb: 'create',
    request: {
      kind: 'CertificateSigningRequest',
      spec: { request: base64(s), extra: { 'authentication.kubernetes.io/x': [s] } },
    },
    response: { kind: 'CertificateSigningRequest', status: { certificate: draw([s, base64(s)]) } },
  }),
  'extra of the user': (s) => ({
    uri: '/api/v1/pods',
    verb: 'list',
    extra: { 'authentication.kubernetes.io/credential-id': [s] },
  }),
  'env variable with a telling name': (s, draw) => podWith({ env: [{ name: draw(TELLING), value: s }] }, draw),
  'env variable whose value comes first': (s, draw) => podWith({ env: [{ value: s, name: draw(TELLING) }] }, draw),
  'structure as the value of an env variable': (s, draw) =>
    podWith({ env: [{ name: draw(TELLING), value: draw([{ a: { b: s } }, [s], [[s]]]) }] }, draw),
  'parameter with a telling name': (s, draw) => ({
    uri: '/apis/tekton.dev/v1/namespaces/a/tasks',
    verb: 'create',
    request: { spec: { params: [{ [draw(['name', 'key'])]: draw(TELLING), [draw(['value', 'default', 'val'])]: s }] } },
  }),
  'value in an object with a telling name': (s, draw) => ({
    uri: '/apis/example.com/v1/namespaces/a/widgets',
    verb: 'create',
    request: {
      spec: draw([
        { password: { [draw(['value', 'plain', 'inline'])]: s } },
        { tokens: [{ value: s }] },
        { passwords: [[s]] },
      ]),
    },
  }),
  'JSON patch of an env variable': (s) => ({
    uri: '/apis/apps/v1/namespaces/a/deployments/b',
    verb: 'patch',
    request: [{ op: 'replace', path: '/spec/template/spec/containers/0/env/3/value', value: s }],
  }),
  'strategic merge patch of an env variable': (s, draw) => ({
    uri: '/apis/apps/v1/namespaces/a/deployments/b',
    verb: 'patch',
    request: {
      spec: { template: { spec: { containers: [{ name: 'c', env: [{ name: draw(TELLING), value: s }] }] } } },
    },
  }),
  argument: (s, draw) =>
    podWith(
      {
        [draw(['args', 'command'])]: draw([
          ['run', `--password=${s}`],
          ['run', '--api-token', s],
          ['mysql', '-u', 'root', `-p${s}`],
          ['curl', '-u', `me:${s}`, 'http://x'],
          ['curl', `--user=me:${s}`, 'http://x'],
          ['sh', '-c', `mysql -u root -p${s} shop`],
          ['sh', '-c', `sleep 1; redis-cli -a ${s} ping`],
          ['sh', '-c', `curl -u me:${s} http://x`],
          ['sh', '-c', `echo ${s} | docker login --password-stdin`],
          ['docker', 'login', '-u', 'me', '-p', s],
          ['vault', 'login', s],
          ['kubectl', 'create', 'secret', 'generic', 'x', `--from-literal=a=${s}`],
          ['aws', 'configure', 'set', 'aws_secret_access_key', s],
          ['redis-server', '--requirepass', s],
        ]),
      },
      draw,
    ),
  'header of a probe': (s, draw) =>
    podWith(
      {
        livenessProbe: {
          httpGet: { httpHeaders: [{ name: draw(['Authorization', 'X-Api-Key', 'Cookie']), value: s }] },
        },
      },
      draw,
    ),
  'field of a custom resource': (s, draw) => ({
    uri: '/apis/example.com/v1/namespaces/a/widgets',
    verb: 'create',
    request: {
      kind: 'Widget',
      spec: { [draw(['password', 'apiKey', 'clientSecret', 'auth_token'])]: s, passwords: [s] },
    },
  }),
  'key of a config map with a telling name': (s, draw) =>
    configMap(draw(['db.password', 'API_TOKEN', 'client-secret']), s),
  'properties in a config map': (s, draw) =>
    configMap(
      'app.properties',
      `a=b\n${draw(['password', 'spring.datasource.password', 'api-key', 'secret'])}=${s}\nc=d\n`,
    ),
  'file in a config map': (s, draw) =>
    configMap(
      'file',
      draw([
        `db:\n  password: |\n    ${s}\n`,
        `<user><password>${s}</password></user>`,
        `{ "password" => "${s}" }`,
        `port 6379\nrequirepass ${s}\n`,
        `secret_key_base: ${s}\n`,
        `password = <<EOF\n${s}\nEOF\n`,
        `dsn: "//me:${s}@db/shop"\n`,
        `export PGPASSWORD='${s}'\n`,
        `api key: ${s}`,
      ]),
    ),
  'parameter that was encoded twice': (s, draw) => ({
    uri: `/api/v1/namespaces/a/services/b/proxy/?${draw(['%2574oken', 'x%253Dy%2526token', 'p%61ssword'])}=${encodeURIComponent(s)}`,
    verb: 'get',
  }),
  'query parameter': (s, draw) => ({
    uri: `/api/v1/namespaces/a/services/b/proxy/?x=1&${draw(['token', 'access_token', 'password', 'api_key'])}=${encodeURIComponent(s)}&y`,
    verb: 'get',
  }),
  'command of an exec': (s, draw) => ({
    uri: `/api/v1/namespaces/a/pods/b/exec?${draw(EXECS)(encodeURIComponent(s))}&container=c&stdin=true`,
    verb: 'create',
  }),
  'password in a proxied URL': (s) => ({
    uri: `/api/v1/nodes/n/proxy/http://me:${encodeURIComponent(s)}@host/x`,
    verb: 'get',
  }),
  ...TOLD_BY_TYPE,
}

/** As the API server tells of it (k8s.io/apiserver, pkg/admission/plugin/webhook/mutating/dispatcher.go). */
function webhookPatch(operation: object, draw: Draw): Record<string, string> {
  const patch = draw([[operation], [{ op: 'add', path: '/metadata/labels', value: { a: 'b' } }, operation]])
  const value = JSON.stringify({ configuration: 'c', webhook: 'w.example.com', patch, patchType: 'JSONPatch' })
  return {
    'mutation.webhook.admission.k8s.io/round_0_index_0':
      '{"configuration":"c","webhook":"w.example.com","mutated":true}',
    'patch.webhook.admission.k8s.io/round_0_index_0': value,
  }
}

/** Places where anything may stand: only what looks like a credential is one. */
const BY_LOOK: Record<string, (secret: string, draw: Draw) => Request> = {
  'value of a config map': (s) => configMap('setting', s),
  "value in a mutating webhook's patch": (s, draw) => ({
    ...configMap('x', 'y'),
    annotations: webhookPatch({ op: 'add', path: '/data/setting', value: draw([s, { a: s }]) }, draw),
  }),
  'binary data of a config map': (s) => ({
    uri: CONFIG_MAPS,
    verb: 'create',
    request: { kind: 'ConfigMap', binaryData: { x: base64(`password=${s}`) } },
  }),
  'env variable with a harmless name': (s, draw) => podWith({ env: [{ name: 'SETTING', value: s }] }, draw),
  'JSON in a config map': (s) => configMap('a.json', JSON.stringify({ deep: [{ setting: s }] })),
  annotation: (s, draw) => podWith({}, draw, { annotations: { 'example.com/x': s } }),
  'URL with a password in an env variable': (s, draw) =>
    podWith({ env: [{ name: 'DATABASE', value: `postgres://app:${encodeURIComponent(s)}@db/x` }] }, draw),
  'argument without a name': (s, draw) => podWith({ args: ['login', s] }, draw),
  'path of a proxied request': (s, draw) => ({
    uri: `/api/v1/namespaces/a/services/b/proxy/${draw(['x/', ''])}${encodeURIComponent(s)}/send`,
    verb: 'get',
  }),
  description: (s) => configMap('description', `use the password=${s} for it`),
  'argument of an exec': (s) => ({
    uri: `/api/v1/namespaces/a/pods/b/exec?command=login&command=${encodeURIComponent(s)}`,
    verb: 'get',
  }),
  ...TOLD_BY_LOOK,
}

const SECRETS = '/api/v1/namespaces/shop/secrets'
const CONFIG_MAPS = '/api/v1/namespaces/shop/configmaps'
/** Written as "path": no object has a key twice. */
export const SECOND_PATH = 'second path'
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'
const TELLING = [
  'DB_PASSWORD',
  'API_TOKEN',
  'AWS_SECRET_ACCESS_KEY',
  'clientSecret',
  'PGPASSWORD',
  'SLACK_API_KEY',
  'auth-token',
]
const EXECS: ((secret: string) => string)[] = [
  (s) => `command=psql&command=--password=${s}`,
  (s) => `command=login&command=--token&command=${s}`,
  (s) => `command=sh&command=-c&command=PGPASSWORD%3D${s}+psql`,
  (s) => `command=curl&command=-H&command=Authorization%3A+Bearer+${s}`,
  (s) => `command=mysql&command=-p${s}`,
]

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

function secretData(secret: string, draw: Draw): Record<string, unknown> {
  return draw([
    { data: { key: base64(secret) } },
    { stringData: { key: secret } },
    { data: { key: base64(secret), b: 'Yg==' }, stringData: { c: secret } },
  ])
}

function secretOf(secret: string, draw: Draw): Record<string, unknown> {
  return { metadata: { name: 'db', labels: { a: 'b' } }, ...secretData(secret, draw), type: 'Opaque' }
}

function withKind(object: Record<string, unknown>): Record<string, unknown> {
  return { kind: 'Secret', apiVersion: 'v1', ...object }
}

function secretRequest(verb: string, body: Body): Request {
  return { uri: SECRETS, verb, request: body, response: body }
}

function secretPatch(body: Body): Request {
  return { uri: `${SECRETS}/db`, verb: 'patch', request: body }
}

function configMap(key: string, value: string): Request {
  return { uri: CONFIG_MAPS, verb: 'create', request: { kind: 'ConfigMap', data: { other: 'x', [key]: value } } }
}

function podWith(container: Record<string, unknown>, draw: Draw, metadata: Record<string, unknown> = {}): Request {
  const spec = {
    [draw(['containers', 'initContainers', 'ephemeralContainers'])]: [{ name: 'c', image: 'nginx:1.27', ...container }],
  }
  const isPod = draw([true, false])
  const request = isPod
    ? { kind: 'Pod', metadata, spec }
    : { kind: 'Deployment', metadata, spec: { template: { metadata, spec } } }
  return {
    uri: isPod ? '/api/v1/namespaces/a/pods' : '/apis/apps/v1/namespaces/a/deployments',
    verb: 'create',
    request,
    response: request,
  }
}

export const PLACES = [...Object.keys(BY_TYPE), ...Object.keys(BY_LOOK)]

/** An event with a secret in the place. `drawText` gives any text, `drawCredential` one that looks like a credential. */
export function hide(where: string, secret: string, draw: Draw): Hidden {
  const { uri, verb, request, response, extra, status, reference, annotations } = (BY_TYPE[where] ?? BY_LOOK[where])!(
    secret,
    draw,
  )
  const event = {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'RequestResponse',
    auditID: '59a033a8-8103-429c-88d5-4c6d0fe46cfb',
    stage: 'ResponseComplete',
    requestURI: uri,
    verb,
    user: { username: 'alice', groups: ['devs'], ...(extra && { extra }) },
    objectRef: reference ?? { resource: 'x', namespace: 'a' },
    responseStatus: { metadata: {}, code: 200, ...status },
    ...(request && { requestObject: request }),
    ...(response && { responseObject: response }),
    stageTimestamp: '2026-11-21T07:51:17.474222Z',
    annotations: { 'authorization.k8s.io/decision': 'allow', ...annotations },
  }
  return { event, where }
}

/** Whether the place is secret by its type, so that any text has to be hidden in it. */
export function isByType(where: string): boolean {
  return where in BY_TYPE
}
