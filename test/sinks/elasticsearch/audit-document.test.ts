// Audit events as documents: the event itself under kubernetes.audit with keys that every mapping takes, ECS beside it.

import { test } from 'tap'
import { EventFacts } from '../../../src/audit/event.ts'
import { Part } from '../../../src/batch/part.ts'
import { newEntry } from '../../../src/core/entry.ts'
import { atOnce } from '../../../src/core/slices.ts'
import { AuditDocumentEncoder, shapeOf } from '../../../src/sinks/elasticsearch/audit-document.ts'
import { type Product, setupObjects } from '../../../src/sinks/elasticsearch/templates.ts'
import { fixtureLines } from '../../audit/fixtures.ts'
import fc from '../../support/properties.ts'

const OPTIONS = { namespace: 'prod', node: 'n1', path: '/a.log', hasIds: true, labels: {} }

function records(lines: readonly string[], offsets: readonly number[] = [], shape: object | null = null) {
  const encoder = new AuditDocumentEncoder(OPTIONS)
  const part = new Part(2 ** 26)
  const facts = new EventFacts()
  for (const [index, line] of lines.entries()) {
    const entry = newEntry()
    entry.buffer = Buffer.from(`${line}\n`)
    entry.messageEnd = entry.buffer.length - 1
    entry.audit = facts.read(entry.buffer, 0, entry.messageEnd) ? facts : null
    entry.seconds = facts.seconds
    entry.nanos = facts.nanos
    entry.offset = offsets[index] ?? index
    entry.shape = shape
    encoder.write(part, entry)
  }
  const out = part.buffer
    .toString('utf8', 0, part.end)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  return lines.map((_, index) => ({ action: out[2 * index].create, document: out[2 * index + 1] }))
}

/** What stands under kubernetes.audit, of an event with these members. */
function fields(members: object) {
  const head = { kind: 'Event', apiVersion: 'audit.k8s.io/v1', auditID: 'x' }
  const [record] = records([JSON.stringify({ ...head, ...members })])
  const { kind, apiVersion, auditID, ...rest } = record!.document.kubernetes.audit
  return rest
}

/** An event that has all of it. */
const RULE_LINE = JSON.stringify({
  kind: 'Event',
  apiVersion: 'audit.k8s.io/v1',
  level: 'RequestResponse',
  auditID: 'id',
  stage: 'ResponseComplete',
  requestURI: '/api/v1/namespaces/a/pods',
  verb: 'create',
  user: { username: 'alice', uid: 'u', groups: ['devs', 'ops'] },
  impersonatedUser: { username: 'bob', groups: ['g'] },
  sourceIPs: ['192.0.2.1', '192.0.2.2'],
  userAgent: 'kubectl',
  objectRef: { resource: 'pods', namespace: 'a', name: 'b', subresource: 'exec' },
  responseStatus: { code: 201, message: 'm' },
  requestObject: {
    spec: {
      type: 'NodePort',
      serviceAccountName: 'sa',
      hostNetwork: true,
      hostPID: true,
      hostIPC: true,
      containers: [
        { image: 'nginx:1', securityContext: { privileged: true, capabilities: { add: ['SYS_ADMIN', 'BPF'] } } },
        { image: 'envoy:2' },
      ],
      volumes: [{ hostPath: { path: '/' } }, { emptyDir: {} }],
    },
    rules: [{ verbs: ['*'], resources: ['secrets', 'pods'] }],
    roleRef: { name: 'cluster-admin' },
  },
  responseObject: { rules: [{ verbs: ['get'], resources: ['*'] }] },
  annotations: {
    'authorization.k8s.io/decision': 'allow',
    'authorization.k8s.io/reason': 'RBAC',
    'authentication.kubernetes.io/issued-credential-id': 'JTI=x',
  },
})
const RULE_EVENT = records([RULE_LINE])[0]?.document

/** The fields of the published rules for the dataset, and what this event has there. */
const ASKED_FOR: [string, unknown[]][] = [
  ['event.dataset', ['kubernetes.audit_logs']],
  ['event.action', ['create']],
  ['data_stream.dataset', ['kubernetes.audit_logs']],
  ['data_stream.namespace', ['prod']],
  ['user.name', ['alice']],
  ['source.ip', ['192.0.2.1', '192.0.2.2']],
  ['user_agent.original', ['kubectl']],
  ['kubernetes.audit.verb', ['create']],
  ['kubernetes.audit.stage', ['ResponseComplete']],
  ['kubernetes.audit.level', ['RequestResponse']],
  ['kubernetes.audit.requestURI', ['/api/v1/namespaces/a/pods']],
  ['kubernetes.audit.user.username', ['alice']],
  ['kubernetes.audit.user.groups', ['devs', 'ops']],
  ['kubernetes.audit.impersonatedUser.username', ['bob']],
  ['kubernetes.audit.impersonatedUser.groups', ['g']],
  ['kubernetes.audit.sourceIPs', ['192.0.2.1', '192.0.2.2']],
  ['kubernetes.audit.userAgent', ['kubectl']],
  ['kubernetes.audit.objectRef.resource', ['pods']],
  ['kubernetes.audit.objectRef.namespace', ['a']],
  ['kubernetes.audit.objectRef.name', ['b']],
  ['kubernetes.audit.objectRef.subresource', ['exec']],
  ['kubernetes.audit.responseStatus.code', [201]],
  ['kubernetes.audit.responseStatus.message', ['m']],
  ['kubernetes.audit.annotations.authorization_k8s_io/decision', ['allow']],
  ['kubernetes.audit.annotations.authorization_k8s_io/reason', ['RBAC']],
  ['kubernetes.audit.annotations.authentication_kubernetes_io/issued-credential-id', ['JTI=x']],
  ['kubernetes.audit.requestObject.spec.type', ['NodePort']],
  ['kubernetes.audit.requestObject.spec.serviceAccountName', ['sa']],
  ['kubernetes.audit.requestObject.spec.hostNetwork', [true]],
  ['kubernetes.audit.requestObject.spec.hostPID', [true]],
  ['kubernetes.audit.requestObject.spec.hostIPC', [true]],
  ['kubernetes.audit.requestObject.spec.containers.image', ['nginx:1', 'envoy:2']],
  ['kubernetes.audit.requestObject.spec.containers.securityContext.privileged', [true]],
  ['kubernetes.audit.requestObject.spec.containers.securityContext.capabilities.add', ['SYS_ADMIN', 'BPF']],
  ['kubernetes.audit.requestObject.spec.volumes.hostPath.path', ['/']],
  ['kubernetes.audit.requestObject.rules.verbs', ['*']],
  ['kubernetes.audit.requestObject.rules.resources', ['secrets', 'pods']],
  ['kubernetes.audit.requestObject.roleRef.name', ['cluster-admin']],
  ['kubernetes.audit.responseObject.rules.verbs', ['get']],
  ['kubernetes.audit.responseObject.rules.resources', ['*']],
]

test('real events: what rules look for is where they look', (t) => {
  const lines = fixtureLines('everything.log.gz').slice(0, 800)
  const all = records(lines)
  t.equal(new Set(all.map(({ action }) => action._id)).size, new Set(lines).size)
  for (const [index, { action, document }] of all.entries()) {
    const event = JSON.parse(lines[index] as string)
    const { kubernetes, user, source, user_agent: agent } = document
    const same = [
      [kubernetes.audit.verb, event.verb],
      [kubernetes.audit.objectRef?.resource, event.objectRef?.resource],
      [
        kubernetes.audit.annotations?.authorization_k8s_io?.decision ??
          kubernetes.audit.annotations?.['authorization_k8s_io/decision'],
        event.annotations?.['authorization.k8s.io/decision'],
      ],
      [kubernetes.audit.requestObject?.spec?.hostNetwork, event.requestObject?.spec?.hostNetwork],
      [user.name, event.user.username],
      [source.ip[0], event.sourceIPs[0]],
      [agent?.original, event.userAgent],
      [document.event.action, event.verb],
      [document['@timestamp'].slice(0, 26), event.stageTimestamp.slice(0, 26)],
      [action._index, `logs-kubernetes.audit_logs-prod-${event.stageTimestamp.slice(0, 10).replaceAll('-', '.')}`],
    ]
    const wrong = same.filter(([a, b]) => a !== b)
    if (wrong.length > 0) t.same(wrong, [], String(lines[index]))
    if (JSON.stringify(kubernetes).includes('managedFields')) t.fail('managed fields')
  }
  t.end()
})

test('keys that break mappings get another name, unlike their neighbours', (t) => {
  const audit = fields({
    annotations: { 'a.b/c': '1', 'a_b/c': '2', '': '3', _: '4', '.': '5', '..': '6' },
    requestObject: { '': { 'x.y': 1 } },
  })
  t.same(audit.annotations, { 'a_b/c_': '1', 'a_b/c': '2', __: '3', _: '4', __2: '5', ___: '6' })
  t.same(audit.requestObject, { _: { x_y: 1 } })
  t.end()
})

test('members of another type, and what lies too deep, are told as text', (t) => {
  const patch = [{ op: 'add', path: '/a', value: 1 }]
  const audit = fields({ requestObject: patch, responseObject: 'text', user: null, annotations: { a: 'b' } })
  t.same(JSON.parse(audit.requestObject.value), patch)
  t.same(audit.responseObject, { value: '"text"' })
  t.equal(audit.user, null)
  let deep: unknown = { managedFields: 1 }
  for (let level = 0; level < 200; level++) deep = level % 3 === 0 ? [deep] : { a: deep }
  let depth = 0
  for (let at = fields({ requestObject: deep }); typeof at === 'object'; depth++) at = Object.values(at as object)[0]
  t.ok(depth <= 20, `${depth} levels`)
  t.end()
})

test('managed fields are left out wherever they stand, and everything else stays', (t) => {
  const body = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(1, 'x', null, true),
      fc.array(tie('value'), { maxLength: 3 }),
      tie('object'),
    ),
    object: fc.dictionary(fc.constantFrom('a', 'b', 'managedFields', 'c'), tie('value'), { maxKeys: 4 }),
  })).object
  const without = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(without)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value)
        .filter(([key]) => key !== 'managedFields')
        .map(([key, item]) => [key, without(item)]),
    )
  }
  fc.assert(
    fc.property(
      body,
      (requestObject) => JSON.stringify(fields({ requestObject })) === JSON.stringify(without({ requestObject })),
    ),
    { numRuns: 500 },
  )
  t.end()
})

test('equal events are one document, lines that are no events are documents of their own', (t) => {
  const [line = '', other = ''] = fixtureLines('everything.log.gz')
  const [a, b, c, d, e] = records([line, line, other, 'torn', 'torn'], [0, 10, 20, 30, 40])
  t.same(a?.action, b?.action)
  t.not(a?.action._id, c?.action._id)
  t.not(d?.action._id, e?.action._id)
  t.equal(d?.document.message, 'torn')
  t.end()
})

test('a name that is given twice is told twice, under two names', (t) => {
  const text = '{"a":{"b":1,"b":{"c":2},"b_":3},"a":4}'
  const line = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"x","requestObject":${text}}`
  const audit = records([line])[0]!.document.kubernetes.audit
  t.same(audit.requestObject, { a: { b: 1, b_2: { c: 2 }, b_: 3 }, a_: 4 })
  t.end()
})

test('a name that is given twenty thousand times costs no more than as many names', (t) => {
  for (const [name, written] of [
    ['a', 'a'],
    ['a.b', 'a_b'],
    ['', '_'],
  ] as const) {
    const members = Array.from({ length: 20_000 }, (_, i) => `${JSON.stringify(name)}:${i}`).join(',')
    const line = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"x","requestObject":{${members}}}`
    const { requestObject } = records([line])[0]!.document.kubernetes.audit
    t.equal(Object.keys(requestObject).length, 20_000)
    t.equal(requestObject[written], 0)
    t.equal(requestObject[`${written}_`], 1)
    t.equal(requestObject[`${written}_20000`] ?? requestObject[`${written}_19999`], 19_999)
    t.ok(JSON.stringify(requestObject).length < 2 * members.length + 20_000 * 8)
  }
  t.end()
})

test('an event with an escape that is none is told as text', (t) => {
  const head = '{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"x","verb":"\\q"'
  const large = `"requestObject":{"a":"${'b'.repeat(200_000)}"}`
  for (const line of [`${head}}`, `${head},${large}}`]) {
    const slices = shapeOf(Buffer.from(line))
    const { document } = records([line], [0], atOnce(slices))[0]!
    t.equal(document.message, line)
    t.notOk(document.kubernetes)
  }
  t.end()
})

test('what only looks like an event is told as text, and control characters are blanks', (t) => {
  const head = '{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"x"'
  const [broken, control] = records([
    `${head},"requestObject":{"a":01,}}`,
    `${head},"verb":"a\u0007b","user":{"username":"\t"}}`.replace('\\u0007', '\u0007'),
  ])
  t.match(broken?.document, { message: /"a":01/ })
  t.notOk(broken?.document.kubernetes)
  t.equal(control?.document.kubernetes.audit.verb, 'a b')
  t.end()
})

const LONG = 'z'.repeat(33_000)

/** What is wrong with a value under a mapping, as the servers would say; null for nothing. */
// biome-ignore lint/suspicious/noExplicitAny: a mapping is plain JSON
function refusal(mapping: any, value: unknown, path: string): string | null {
  if (mapping === undefined || mapping.enabled === false || value === null) return null
  if (Array.isArray(value))
    return value.map((item) => refusal(mapping, item, path)).find((each) => each !== null) ?? null
  const isObject = typeof value === 'object'
  const wrong = `${path}: ${JSON.stringify(value)} is no ${mapping.type ?? 'object'}`
  if (mapping.properties !== undefined) {
    if (!isObject) return wrong
    const found = Object.entries(value).map(([name, each]) =>
      refusal(mapping.properties[name], each, `${path}.${name}`),
    )
    return found.find((each) => each !== null) ?? null
  }
  if (mapping.type === 'flattened' || mapping.type === 'flat_object') {
    return isObject && !JSON.stringify(value).includes(LONG) ? null : wrong
  }
  if (isObject) return wrong
  if (mapping.type === 'integer') return Number.isInteger(value) && Math.abs(value as number) < 2 ** 31 ? null : wrong
  if (mapping.type === 'date_nanos') {
    const ms = Date.parse(String(value))
    return ms >= 0 && ms < Date.parse('2262-01-01') && new Date(ms).toISOString().startsWith(String(value).slice(0, 10))
      ? null
      : wrong
  }
  return null
}

/** Names that the mapping knows, in the order of their depth, and some that it does not. */
const NAMES =
  'user extra username groups sourceIPs objectRef resource responseStatus code details message requestObject responseObject spec ' +
  'containers securityContext privileged capabilities add volumes hostPath path rules verbs roleRef name webhooks clientConfig ' +
  'service url annotations authorization.k8s.io/decision stageTimestamp requestReceivedTimestamp verb auditID a a.b'

function auditMappings(product: Product) {
  const options = { product, clusterName: 'prod', namespace: 'prod', retention: { logs: null, audit: null } }
  const found = setupObjects(options).find(({ name }) => name === 'taffrail-audit-prod')
  // biome-ignore lint/suspicious/noExplicitAny: plain JSON
  return (found as any).body.template.mappings
}

for (const product of ['elasticsearch', 'opensearch'] as const) {
  test(`no event is refused for the type of a value: ${product}`, (t) => {
    const mappings = auditMappings(product)
    const name = fc.constantFrom(...NAMES.split(' '))
    const body = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 6, withCrossShrink: true },
        fc.constantFrom(
          'x',
          7,
          1e40,
          2.5,
          true,
          null,
          '',
          '2026-02-31T00:00:00Z',
          '0001-01-01T00:00:00Z',
          '2026-11-21T07:51:17.4Z',
          LONG,
        ),
        fc.array(tie('value'), { maxLength: 3 }),
        tie('object'),
        tie('object'),
      ),
      object: fc.dictionary(name, tie('value'), { maxKeys: 6 }),
    })).object
    fc.assert(
      fc.property(body, (members) => {
        const line = JSON.stringify({ ...(members as object), kind: 'Event', apiVersion: 'audit.k8s.io/v1' })
        const { document } = records([line])[0] as { document: object }
        const found = refusal(mappings, document, '')
        if (found !== null) throw new Error(`${found}\n${line}\n${JSON.stringify(document)}`)
      }),
      { numRuns: 500 },
    )
    t.end()
  })

  test(`what published rules ask for are real fields: ${product}`, (t) => {
    const mappings = auditMappings(product)
    for (const [path, value] of ASKED_FOR) {
      const steps = path.split('.')
      // biome-ignore lint/suspicious/noExplicitAny: plain JSON
      const mapping = steps.reduce((at: any, step) => at?.properties?.[step], mappings)
      t.match(mapping?.type, /^(?:keyword|constant_keyword|ip|integer|match_only_text)$/, path)
      if (mapping?.type === 'constant_keyword') {
        t.same([mapping.value], value, path)
        continue
      }
      const found = steps.reduce(
        (at: unknown[], step) => at.flat(9).flatMap((each) => (each as Record<string, unknown>)?.[step] ?? []),
        [RULE_EVENT],
      )
      t.same(found.flat(9), value, path)
    }
    t.end()
  })
}

test('what is the same for an index is in no document', (t) => {
  const [event, text] = records([RULE_LINE, 'no event'])
  t.same(Object.keys(event?.document), ['@timestamp', 'log', 'event', 'user', 'source', 'user_agent', 'kubernetes'])
  t.same(Object.keys(event?.document.event), ['action', 'id', 'outcome'])
  t.same(Object.keys(text?.document), ['@timestamp', 'log', 'message'])
  t.end()
})

test('the outcome is what was decided, else what the code says', (t) => {
  const outcome = (members: object) =>
    records([JSON.stringify({ kind: 'Event', apiVersion: 'audit.k8s.io/v1', ...members })])[0]?.document.event.outcome
  const decided = (decision: string) => ({ 'authorization.k8s.io/decision': decision })
  t.equal(outcome({ annotations: decided('allow'), responseStatus: { code: 404 } }), 'success')
  t.equal(outcome({ annotations: decided('forbid'), responseStatus: { code: 403 } }), 'failure')
  t.equal(outcome({ responseStatus: { code: 401 } }), 'failure')
  t.equal(outcome({ responseStatus: { code: 200 } }), 'success')
  t.equal(outcome({}), undefined)
  t.end()
})

test('what somebody is impersonated with is as long as it may be', (t) => {
  const extra = { scope: [LONG] }
  const impersonated = { username: 'bob', extra }
  t.same(fields({ impersonatedUser: impersonated }).impersonatedUser, { username: 'bob', extra_: extra })
  t.equal(
    refusal(auditMappings('opensearch').properties.kubernetes.properties.audit, { user: { extra } }, '') === null,
    false,
  )
  t.end()
})

test('an Audit-ID is a claim: different events under one id are as many documents', (t) => {
  const [line = ''] = fixtureLines('everything.log.gz')
  const event = JSON.parse(line)
  const ids = ['same', 'x'.repeat(8192), '\u0000\u001b[31m\n"\\', '\ud800']
  const events = ids.flatMap((auditID) =>
    Array.from({ length: 1000 }, (_, i) => JSON.stringify({ ...event, auditID, requestURI: `/api/v1/pods/p${i}` })),
  )
  const all = records(events)
  t.equal(new Set(all.map(({ action }) => `${action._index} ${action._id}`)).size, 4000)
  t.ok(all.every(({ action }) => Buffer.byteLength(action._id) <= 512))
  t.ok(all.every(({ document }, i) => document.event.id === JSON.parse(events[i] as string).auditID))
  t.end()
})

test('a large event is made ready in slices, whatever it is made of, and written from that', (t) => {
  const bodies = {
    numbers: { items: new Array(100_000).fill(7) },
    names: Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`a.b${i}`, { managedFields: [], 'c.d': i }])),
    lists: { items: Array.from({ length: 20_000 }, (_, i) => [[i, { '': [] }]]) },
  }
  for (const [name, responseObject] of Object.entries(bodies)) {
    const line = JSON.stringify({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      auditID: 'x',
      verb: 'get',
      responseObject,
    })
    const slices = shapeOf(Buffer.from(line))
    let count = 1
    let slice = slices.next()
    for (; !slice.done; slice = slices.next()) count++
    t.ok(count > 40, `${count} slices of ${name}`)
    const [whole] = records([line])
    const [shaped] = records([line], [0], slice.value)
    t.same(shaped, whole)
    const [other] = records([line.replace('"get"', '"put"')], [0], slice.value)
    t.equal(other?.document.kubernetes.audit.verb, 'get', 'it is not taken apart once more')
  }
  t.end()
})
