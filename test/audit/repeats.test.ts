// What a filter remembers of earlier events changes nothing: each event comes out as from a filter that never saw another.
// Drawn events share senders, statuses, annotations and kinds of requests, as those of a log do, with secrets in all of
// them; some are out of shape.

import { test } from 'tap'
import { AuditFilter, type FilterOptions } from '../../src/audit/filter.ts'
import { loadPolicy } from '../../src/audit/policy/load.ts'
import { maskWith } from '../../src/audit/redact/mask.ts'
import fc from '../support/properties.ts'
import { fixtureLines, fixtureNames } from './fixtures.ts'

const TOKEN = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl'
const POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- {level: None, users: ["system:kube-proxy"], verbs: [watch]}
- {level: None, resources: [{group: "", resources: [pods], resourceNames: [web-0]}]}
- {level: None, nonResourceURLs: ["/healthz*"]}
- {level: Metadata, namespaces: [quiet]}
- {level: RequestResponse, userGroups: [devs], resources: [{group: "", resources: [pods/*]}], omitManagedFields: false}
- {level: Metadata, resources: [{group: "", resources: [secrets, configmaps]}]}
- {level: Request, verbs: [create, update, patch], omitStages: [ResponseStarted]}
- {level: RequestResponse, verbs: [list, watch]}
- {level: Metadata}
`
const loaded = loadPolicy(POLICY, 'p')
if (!('policy' in loaded)) throw new Error(JSON.stringify(loaded.errors))
const OPTIONS: FilterOptions[] = [
  { policy: loaded.policy, mask: maskWith(Buffer.from('a key of 16 bytes')), lineBytesMax: 1e9 },
  { policy: loaded.policy, mask: null, lineBytesMax: 1e9 },
  { policy: null, mask: maskWith(null), lineBytesMax: 1000 },
]

const one = <T>(...values: T[]) => fc.constantFrom(...values)
const users = one(
  { username: 'alice', groups: ['devs', 'system:authenticated'], extra: { 'scopes.example.com': ['all of them'] } },
  { username: 'system:kube-proxy', groups: ['system:authenticated'] },
  { username: 'bob', groups: [], extra: { 'authentication.kubernetes.io/credential-id': ['JTI=1f4'], token: [TOKEN] } },
  { username: 'a', extra: { note: [`bearer ${TOKEN}`] } },
)
const agents = one('kubectl/v1.36.3 (linux/amd64)', `curl -H "Authorization: Bearer ${TOKEN}"`)
const strangeUris = fc
  .tuple(
    one('/api/v1', '/apis/apps/v1', '/api', '/healthz', '/apis//v1'),
    one('', '/namespaces/shop', '/namespaces/quiet', '/namespaces', '/watch', '/namespaces/a%2Fb'),
    one('', '/pods', '/secrets', '/configmaps', '/deployments', '/status', '/tokenreviews'),
    one('', '/web-0', '/web-1', '/api-7f9c', '/', `/${TOKEN}`, '/status'),
    one('', '/status', '/log', '/exec', '/proxy/x'),
    one('', '?fieldSelector=metadata.name%3Dweb-0', '?watch=true&timeoutSeconds=3', `?token=${TOKEN}`, '?command=a'),
  )
  .map((parts) => parts.join(''))
const uris = fc.oneof(
  one('/api/v1/pods/web-0', '/api/v1/pods/web-1', '/api/v1/pods?fieldSelector=metadata.name%3Dweb-0', '/api/v1/pods'),
  one('/api/v1/namespaces/shop/secrets/web-1', '/api/v1/namespaces/quiet/pods/web-1/status'),
  strangeUris,
)
const objects = one<unknown>(
  { kind: 'Secret', metadata: { managedFields: [{ manager: 'x' }] }, data: { a: 'aGVsbG8gd29ybGQ=' } },
  {
    kind: 'Pod',
    metadata: { managedFields: [], name: 'web-0' },
    spec: { env: [{ name: 'DB_PASSWORD', value: 'x1' }] },
  },
  { kind: 'PodList', items: [{ metadata: { managedFields: [{}], labels: { a: 'b' } } }] },
  [{ op: 'replace', path: '/data/password', value: 'aGVsbG8=' }],
  { data: { password: 'hunter2', plain: 'x' } },
  {},
  null,
  'text',
)
const statuses = one<unknown>(
  { metadata: {}, code: 200 },
  {
    metadata: {},
    code: 422,
    message: 'Secret "x" is invalid: data[a]: Invalid value: "hunter2hunter2"',
    status: 'Failure',
  },
  { code: 422, message: 'Pod "x" is invalid: spec.nodeName: Invalid value: "correct horse"' },
  { code: 401, message: `token ${TOKEN} is expired` },
  'none',
)
const annotations = one<unknown>(
  { 'authorization.k8s.io/decision': 'allow', 'authorization.k8s.io/reason': '' },
  { 'example.com/header': `Bearer ${TOKEN}` },
  { 'w.example.com/seen': 'Zm9vOiBhN1FrMjlkTG1acDRYdzgxUnRZdjBzTmI=' },
  {
    'validation.policy.admission.k8s.io/validation_failure':
      '[{"message":"the value \\"correct horse\\" is weak","policy":"p"}]',
  },
  {
    'authorization.k8s.io/decision': 'allow',
    'patch.webhook.admission.k8s.io/round_0_index_0':
      '{"configuration":"c","webhook":"w","patch":[{"op":"add","path":"/data/a","value":"x y"}],"patchType":"JSONPatch"}',
  },
  { 'patch.webhook.admission.k8s.io/round_0_index_0': '{"patch":[{"op":"add","path":"/spec/a","value":"aGVsbG8="}]}' },
  {},
)

const events = fc
  .record(
    {
      kind: fc.constant('Event'),
      apiVersion: fc.constant('audit.k8s.io/v1'),
      level: one('Metadata', 'Request', 'RequestResponse', 'RequestResponse', 'None', 'x'),
      auditID: fc.uuid(),
      stage: one('ResponseComplete', 'ResponseComplete', 'ResponseStarted', 'RequestReceived', 'y'),
      requestURI: uris,
      verb: one('get', 'list', 'watch', 'create', 'update', 'patch'),
      user: users,
      sourceIPs: fc.constant(['10.0.0.1']),
      userAgent: agents,
      objectRef: one<unknown>(
        { resource: 'pods', name: 'web-0' },
        { resource: 'secrets', namespace: 'shop' },
        { a: [1] },
      ),
      responseStatus: statuses,
      requestObject: objects,
      responseObject: objects,
      requestReceivedTimestamp: fc.constant('2026-11-21T07:51:17.474222Z'),
      stageTimestamp: fc.constant('2026-11-21T07:51:17.475222Z'),
      annotations,
    },
    {
      requiredKeys: [
        ...(['kind', 'apiVersion', 'level', 'auditID', 'stage', 'requestURI', 'verb', 'user', 'sourceIPs'] as const),
        ...(['userAgent', 'responseStatus', 'annotations', 'stageTimestamp'] as const),
      ],
    },
  )
  .map((event) => Object.entries(event).map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`))
/** Out of shape: another order, a member twice, one of another name or of none, blanks, brackets that do not match. */
const lines = fc.tuple(events, fc.nat(24), fc.nat(24)).map(([members, at, what]) => {
  const text = [...members]
  const index = at % members.length
  const member = text[index]!
  if (what === 0) text.splice(index, 1)
  else if (what === 1) text.push(...text.splice(index, 1))
  else if (what === 2) text.push(member)
  else if (what === 3) text.push(`"requestObject":{"kind":"Secret","data":{"a":"aGVsbG8="}}`)
  else if (what === 4) text[index] = ` ${member} `
  else if (what === 5) text[index] = member.replace(':', ' : ')
  else if (what === 6) text[index] = member.replace(/\{(.*)\}/, '{]$1}')
  else if (what === 7) text.push(`"password":"${TOKEN}"`)
  else if (what === 8) text[index] = member.replace('"r', '"\\u0072')
  else if (what === 9) text[index] = member.replace(/:"?.*/, ':7')
  else if (what === 10) text[index] = member.replace('}', ',}')
  return `{${text.join(',')}}`
})

function outcome(filter: AuditFilter, text: string): string {
  const line = Buffer.from(`${text}\n`)
  let end = filter.judge(line, 0, line.length - 1)
  while (end === 'working') end = filter.step()
  const { rule, isEvent, isTrimmed, isCut, isTruncated, originalBytes, originalSha256 } = filter
  const result = end === 'dropped' ? '' : filter.buffer.toString('utf8', filter.start, filter.end)
  return JSON.stringify({ end, result, rule, isEvent, isTrimmed, isCut, isTruncated, originalBytes, originalSha256 })
}

test('what was seen before changes nothing: drawn events', async () => {
  fc.assert(
    fc.property(
      fc.array(lines, { minLength: 60, maxLength: 120, size: 'max' }),
      fc.constantFrom(...OPTIONS),
      (texts, options) => {
        const filter = new AuditFilter(options)
        // Twice: the second time nearly all of it is known.
        for (const text of [...texts, ...texts]) {
          const before = filter.originalSha256
          const seen = outcome(filter, text)
          const alone = new AuditFilter(options)
          alone.originalSha256 = before
          alone.originalBytes = JSON.parse(seen).originalBytes
          if (outcome(alone, text) !== seen)
            throw new Error(`${text}\n${seen}\n${outcome(new AuditFilter(options), text)}`)
        }
      },
    ),
    { numRuns: 40, endOnFailure: true },
  )
})

for (const name of fixtureNames('.', '.log.gz')) {
  test(`what was seen before changes nothing: ${name}`, async (t) => {
    for (const options of OPTIONS) {
      const filter = new AuditFilter(options)
      for (const text of [...fixtureLines(name), ...fixtureLines(name)].slice(-600)) {
        const seen = JSON.parse(outcome(filter, text))
        const alone = JSON.parse(outcome(new AuditFilter(options), text))
        t.equal(seen.result, alone.result)
        t.equal(seen.rule, alone.rule)
      }
    }
  })
}
