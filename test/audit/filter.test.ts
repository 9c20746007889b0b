// What becomes of lines: held against what a real API server wrote under each policy, and against lines in bad shape.
import { createHash } from 'node:crypto'
import { test } from 'tap'
import { AuditFilter, type FilterOptions } from '../../src/audit/filter.ts'
import { loadPolicy } from '../../src/audit/policy/load.ts'
import type { Policy } from '../../src/audit/policy/policy.ts'
import { maskWith } from '../../src/audit/redact/mask.ts'
import { fixture, fixtureLines, fixtureNames } from './fixtures.ts'

const LIMIT = 4 * 1024 * 1024
const REDACTING: FilterOptions = { policy: null, mask: maskWith(null), lineBytesMax: LIMIT }

const EVENT = {
  kind: 'Event',
  apiVersion: 'audit.k8s.io/v1',
  level: 'RequestResponse',
  auditID: 'x',
  stage: 'ResponseComplete',
  requestURI: '/api/v1/namespaces/a/pods/b',
  verb: 'get',
  user: { username: 'alice' },
  stageTimestamp: '2026-11-21T07:51:17.474222Z',
}

function policyOf(text: string): Policy {
  const loaded = loadPolicy(text, 'p')
  if (!('policy' in loaded)) throw new Error(JSON.stringify(loaded.errors))
  return loaded.policy
}

function run(filter: AuditFilter, text: string, isWhole = true): string | null {
  const line = Buffer.from(`${text}\n`)
  let end = filter.judge(line, 0, line.length - 1, isWhole)
  while (end === 'working') end = filter.step()
  return end === 'dropped' ? null : filter.buffer.toString('utf8', filter.start, filter.end)
}

/** What two runs of one request have in common; their bodies differ in details. */
// biome-ignore lint/suspicious/noExplicitAny: an event
function shape(event: any, withManaged: boolean): string {
  const managed = withManaged && JSON.stringify([event.requestObject, event.responseObject]).includes('"managedFields"')
  const bodies = [event.requestObject !== undefined, event.responseObject !== undefined]
  return JSON.stringify([event.auditID, event.stage, event.level, ...bodies, managed])
}

for (const name of fixtureNames('policies/', '.yaml')) {
  test(`${name}: what is left of a log is what the API server wrote under the policy`, (t) => {
    const filter = new AuditFilter({
      policy: policyOf(fixture(`policies/${name}`).toString()),
      mask: null,
      lineBytesMax: LIMIT,
    })
    const kept = fixtureLines('server/everything.log.gz').flatMap((line) => {
      const out = run(filter, line)
      return out === null ? [] : [shape(JSON.parse(out), name.startsWith('07'))]
    })
    const written = fixtureLines(`server/${name.replace('.yaml', '.log.gz')}`).map((line) =>
      shape(JSON.parse(line), name.startsWith('07')),
    )
    t.same(kept.sort(), written.sort())
    t.end()
  })
}

test('what nothing is to be changed in comes out byte for byte', (t) => {
  const everything = policyOf('{"apiVersion":"audit.k8s.io/v1","rules":[{"level":"RequestResponse"}]}')
  for (const policy of [null, everything]) {
    const filter = new AuditFilter({ policy, mask: null, lineBytesMax: LIMIT })
    for (const line of fixtureLines('everything.log.gz')) if (run(filter, line) !== line) t.fail(line.slice(0, 200))
  }
  t.end()
})

test('managed fields are left out of objects, lists and tables, and a patch stays as it came', (t) => {
  const policy = policyOf(
    '{"apiVersion":"audit.k8s.io/v1","omitManagedFields":true,"rules":[{"level":"RequestResponse"}]}',
  )
  const filter = new AuditFilter({ policy, mask: null, lineBytesMax: LIMIT })
  const object = (a: object, b: object) => ({
    metadata: { ...a, managedFields: [{ x: 1 }], ...b },
    spec: { metadata: { managedFields: 1 } },
  })
  const plain = (a: object) => ({ metadata: a, spec: { metadata: { managedFields: 1 } } })
  for (const [body, expected] of [
    [object({ a: 1 }, { b: 2 }), plain({ a: 1, b: 2 })],
    [object({}, { b: 2 }), plain({ b: 2 })],
    [object({}, {}), plain({})],
    [{ items: [object({ a: 1 }, {}), object({}, { b: 1 })] }, { items: [plain({ a: 1 }), plain({ b: 1 })] }],
    [
      { kind: 'Table', rows: [{ object: object({}, {}) }] },
      { kind: 'Table', rows: [{ object: plain({}) }] },
    ],
  ]) {
    const event = { ...EVENT, verb: 'update', requestObject: body, responseObject: body }
    const out = JSON.parse(run(filter, JSON.stringify(event)) as string)
    t.same(out, { ...event, requestObject: expected, responseObject: expected })
    const patch = JSON.parse(run(filter, JSON.stringify({ ...event, verb: 'patch' })) as string)
    t.same(patch, { ...event, verb: 'patch', responseObject: expected })
  }
  t.end()
})

test('members are left out wherever they stand, also twice', (t) => {
  const policy = policyOf('{"apiVersion":"audit.k8s.io/v1","rules":[{"level":"Metadata"}]}')
  const filter = new AuditFilter({ policy, mask: null, lineBytesMax: LIMIT })
  const rest = JSON.stringify(EVENT).slice(1)
  const metadata = { ...EVENT, level: 'Metadata' }
  for (const text of [
    `{"requestObject":{"a":1},${rest}`,
    `{"requestObject":{"a":1} , "responseObject":"x", ${rest}`,
    `{${rest.slice(0, -1)},"requestObject":1,"responseObject":[1]}`,
    `{${rest.slice(0, -1)} , "requestObject" : {} , "requestObject":{"b":2}, "x":1}`.replace(', "x":1', ''),
  ]) {
    t.same(JSON.parse(run(filter, text) as string), metadata, text.slice(0, 60))
  }
  t.end()
})

test("a mutating webhook's patch is told only where the request's body is", (t) => {
  const patched = 'patch.webhook.admission.k8s.io/round_0_index_0'
  const others = { 'authorization.k8s.io/decision': 'allow', 'mutation.webhook.admission.k8s.io/round_0_index_0': '{}' }
  for (const annotations of [
    { [patched]: '{"patch":[]}', ...others },
    { ...others, [patched]: 'x' },
    { [patched]: '' },
  ]) {
    const { [patched]: patch, ...rest } = annotations
    for (const [level, mask] of [
      ['Metadata', null],
      ['Request', null],
      ['Metadata', maskWith(null)],
    ] as const) {
      const policy = policyOf(`{"apiVersion":"audit.k8s.io/v1","rules":[{"level":"${level}"}]}`)
      const filter = new AuditFilter({ policy, mask, lineBytesMax: LIMIT })
      // Twice: the second time what stood there is known.
      for (let i = 0; i < 2; i++) {
        const out = JSON.parse(run(filter, JSON.stringify({ ...EVENT, annotations })) ?? '')
        t.same(out.annotations, level === 'Metadata' ? rest : annotations, `${level}: ${patch}`)
      }
    }
  }
  t.end()
})

test('an event over the limit loses the response, then the request, says so, and stays JSON', (t) => {
  const bodies = { requestObject: { a: 'x'.repeat(600) }, responseObject: { b: 'y'.repeat(3000) } }
  const text = JSON.stringify({ ...EVENT, ...bodies })
  const filter = (lineBytesMax: number) => new AuditFilter({ policy: null, mask: null, lineBytesMax })
  for (const [limit, keeps] of [
    [text.length, ['requestObject', 'responseObject']],
    [2000, ['requestObject']],
    [1024, []],
  ] as const) {
    for (const annotations of [undefined, {}, { a: 'b' }]) {
      const line = JSON.stringify({ ...EVENT, ...bodies, annotations })
      const use = filter(Math.max(limit, limit === text.length ? line.length : limit))
      const out = run(use, line) as string
      const event = JSON.parse(out)
      t.same(
        ['requestObject', 'responseObject'].filter((key) => key in event),
        keeps,
      )
      t.equal(use.isTruncated, keeps.length < 2)
      if (keeps.length === 2) continue
      t.ok(out.length <= limit)
      t.equal(event.annotations['audit.k8s.io/truncated'], 'true')
      t.equal(event.annotations['taffrail/original-bytes'], String(line.length))
      t.equal(use.originalSha256, createHash('sha256').update(line).digest('hex'))
      t.equal(event.annotations['taffrail/original-sha256'], use.originalSha256)
      t.equal(event.annotations.a, annotations?.a)
    }
  }
  t.end()
})

test('without redaction a torn or foreign line comes out as it stands', (t) => {
  const filter = new AuditFilter({ policy: null, mask: null, lineBytesMax: LIMIT })
  for (const line of ['', 'I1121 a line', '{"a":1}', JSON.stringify(EVENT).slice(0, 100)]) {
    t.equal(run(filter, line), line)
    t.equal(filter.isEvent, false)
  }
  t.end()
})

test('with redaction a torn line is told as far as it can hold no secret', (t) => {
  const filter = new AuditFilter(REDACTING)
  const text = JSON.stringify({
    ...EVENT,
    requestObject: { kind: 'Secret', data: { password: 'aHVudGVyMg==' } },
    end: 1,
  })
  for (const line of ['I1121 07:51:17 a line of text', JSON.stringify(EVENT).slice(0, 150), ''])
    t.equal(run(filter, line), line)
  for (let at = 1; at < text.length; at++) {
    const head = run(filter, text.slice(0, at)) as string
    t.notOk(head.includes('aHVud'), `torn at ${at}: ${head}`)
    if (at < text.indexOf('"requestObject"')) t.equal(head, text.slice(0, at))
    const tail = run(filter, text.slice(at)) as string
    t.notOk(/aHVud|GVyMg/.test(tail), `from ${at}: ${tail}`)
    t.notOk((run(filter, text.slice(0, at) + text) as string).includes('aHVud'), `glued at ${at}`)
  }
  t.match(run(filter, '{"level":"info","password":"hunter2"}'), '{"level":"info","password":"[redacted]"}')
  t.match(run(filter, 'E1121 cannot log in with password=hunter2'), '[redacted]')
  t.end()
})

test("lines of Kubernetes' own programs pass beside events, unless they hold objects or credentials", (t) => {
  const filter = new AuditFilter(REDACTING)
  const head = 'W1130 21:04:01.875340   23761 logging.go:55] '
  for (const line of [
    '[core] [Channel #24] createTransport failed to connect to {Addr: "127.0.0.1:2379", ServerName: "127.0.0.1:2379", }. Err: x',
    '"Unhandled Error" err="Get \\"https://10.0.0.1/api\\": dial tcp: lookup x: no such host" logger="UnhandledError"',
    'Trace[12]: ---"Listing from storage done" 512ms (21:04:01.875), "limit:500", "x"',
    'loaded [{Name:"a", Kind:"Pod"}], "b"',
  ])
    t.equal(run(filter, head + line), head + line)
  for (const line of [
    'created {"data":{"x":"aHVudGVyMg=="}}',
    'created {\\"a\\": \\"aHVudGVyMg==\\"}',
    'body "{\\\\\\"x\\\\\\":\\\\\\"aHVudGVyMg==\\\\\\"}"',
    '"Login" password="aHVudGVyMg=="',
  ])
    t.notMatch(run(filter, head + line), /aHVu/, line)
  t.notMatch(
    run(filter, 'xW1130 21:04:01.875340 1 x.go:5] , "aHVudGVyMg==", "b"'),
    /aHVu/,
    'and nothing else that begins so',
  )
  t.end()
})

test('what an event tells before its bodies is redacted in a torn one, too', (t) => {
  const filter = new AuditFilter(REDACTING)
  const secret = 'zqxjkvwords'
  const extra = { 'authentication.kubernetes.io/credential-id': ['x]"y', secret] }
  const exec = `/api/v1/namespaces/a/pods/b/exec?command=login&command=--token&command=${secret}&stdin=true`
  const patch = JSON.stringify({ patch: [{ op: 'add', path: '/data/x', value: secret }] })
  const message = `Secret "x" is invalid: data[a]: Invalid value: "${secret}"`
  for (const more of [
    { user: { username: 'alice', extra } },
    { impersonatedUser: { username: 'bob', extra } },
    { requestURI: exec },
    { requestURI: `/api/v1/namespaces/a/services/b/proxy/?token=${secret}` },
    { responseStatus: { code: 422, message } },
    { annotations: { 'patch.webhook.admission.k8s.io/round_0_index_0': patch } },
    { requestObject: secret },
    { password: secret },
  ]) {
    const text = JSON.stringify({ ...EVENT, ...more, stageTimestamp: '2026-11-21T07:51:17.474222Z' })
    const from = text.indexOf('zqxjk') + 5
    for (let at = from; at < text.length; at++) {
      const out = run(filter, text.slice(0, at)) as string
      if (out.includes('zqxjk')) t.fail(`torn at ${at}: ${out}`)
      if (!out.startsWith('{"kind":"Event"')) t.fail(`nothing is told of what is torn at ${at}: ${out}`)
    }
  }
  t.end()
})

test('what is nested too deeply, or longer than can be kept, is cut to its metadata', (t) => {
  const filter = new AuditFilter(REDACTING)
  const deep = JSON.stringify({ ...EVENT, requestObject: 0 }).replace(
    '"requestObject":0',
    `"requestObject":${'['.repeat(2000)}"hunter2"${']'.repeat(2000)}`,
  )
  const line = JSON.stringify({
    ...EVENT,
    requestURI: '/api/v1/namespaces/a/pods/b?token=hunter2',
    objectRef: { resource: 'pods', name: 'b' },
    requestObject: { a: 'hunter2'.repeat(100) },
  })
  for (const out of [run(filter, deep), run(filter, line.slice(0, 450), false)] as string[]) {
    t.ok(filter.isCut)
    const event = JSON.parse(out)
    t.match(event, {
      auditID: 'x',
      verb: 'get',
      level: 'Metadata',
      user: { username: 'alice' },
      annotations: { 'audit.k8s.io/truncated': 'true' },
    })
    t.notOk(out.includes('hunter2'))
  }
  t.end()
})

test('large events come out the same in slices', (t) => {
  const [line = ''] = fixtureLines('big-event.log.gz').slice(-1)
  t.ok(line.length > 1_000_000)
  const out = run(new AuditFilter(REDACTING), line) as string
  t.equal(JSON.parse(out).auditID, JSON.parse(line).auditID)
  const small = new AuditFilter({ ...REDACTING, lineBytesMax: 256 * 1024 })
  const truncated = run(small, line) as string
  t.ok(truncated.length <= 256 * 1024)
  t.equal(small.isTruncated, true)
  t.end()
})

test('a credential anywhere in a long text hides the text', (t) => {
  const filter = new AuditFilter(REDACTING)
  const words = 'some words of a file, and more of them\n'.repeat(2500)
  for (const at of [0, 16_380, 16_384, 32_760, 50_000, words.length]) {
    for (const secret of ['password=qxzjvkqxzjvk', 'a7Q9xK2mB4nV8cL1pZ6wT3yR5sD0fG7h']) {
      const data = { file: `${words.slice(0, at)} ${secret} ${words.slice(at)}` }
      const requestURI = '/api/v1/namespaces/a/configmaps'
      const out = run(
        filter,
        JSON.stringify({ ...EVENT, requestURI, requestObject: { kind: 'ConfigMap', data } }),
      ) as string
      t.equal(JSON.parse(out).requestObject.data.file, '[redacted]', `${secret} at ${at}`)
    }
  }
  const harmless = JSON.stringify({ ...EVENT, requestObject: { kind: 'ConfigMap', data: { file: words } } })
  t.equal(run(filter, harmless), harmless)
  t.end()
})

test('an event whose user cannot be read is cut to its metadata, not a stop', async (t) => {
  const policy = policyOf('{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: RequestResponse}]}')
  const filter = new AuditFilter({ ...REDACTING, policy })
  for (const user of ['{"username":"alice","extra":{,}}', '{"username":1}', '{"username":"alice","groups":"devs"}']) {
    const text = JSON.stringify({ ...EVENT, user: {}, requestObject: { kind: 'Secret', data: { a: 'hunter2' } } })
    const result = run(filter, text.replace('"user":{}', `"user":${user}`))
    t.ok(filter.isCut, user)
    t.notMatch(result, /hunter2/)
    t.equal(JSON.parse(result ?? '').auditID, 'x')
  }
})

test('a slice of the work on a large event is short, whatever it consists of', (t) => {
  const words = 'the quick brown fox has a key: x and 12 legs\n'
  const many = <T>(count: number, make: (index: number) => T) =>
    Array.from({ length: count }, (_, index) => make(index))
  const bodies = {
    'texts below the window': many(130, (i) => ({ text: `${words.repeat(340)}${i}` })),
    'one long text': words.repeat(45_000),
    'arguments of programs': { args: many(50_000, (i) => `--flag-${i}=value --other-flag`) },
    secrets: {
      kind: 'SecretList',
      items: many(30_000, (i) => ({ data: { a: Buffer.from(`secret ${i}`).toString('base64') } })),
    },
  }
  for (const [what, requestObject] of Object.entries(bodies)) {
    const filter = new AuditFilter({ ...REDACTING, mask: maskWith(Buffer.from('key')) })
    const line = Buffer.from(`${JSON.stringify({ ...EVENT, requestObject })}\n`)
    let slices = 0
    for (let end = filter.judge(line, 0, line.length - 1); end === 'working'; end = filter.step()) slices++
    t.ok(slices >= line.length / 50_000, `${what}: ${slices} slices for ${line.length} bytes`)
  }
  t.end()
})
