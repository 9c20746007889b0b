// Audit events as documents: the event itself under kubernetes.audit with keys that every mapping takes, ECS beside it.
import fc from 'fast-check'
import { test } from 'tap'
import { EventFacts } from '../../../src/audit/event.ts'
import { Part } from '../../../src/batch/part.ts'
import { newEntry } from '../../../src/core/entry.ts'
import { AuditDocumentEncoder, auditFields } from '../../../src/sinks/elasticsearch/audit-document.ts'
import { fixtureLines } from '../../audit/fixtures.ts'

const OPTIONS = { namespace: 'prod', clusterName: 'prod', node: 'n1', path: '/a.log', hasIds: true, labels: {} }

function records(lines: readonly string[], offsets: readonly number[] = []) {
  const encoder = new AuditDocumentEncoder(OPTIONS)
  const part = new Part(4096)
  const facts = new EventFacts()
  for (const [index, line] of lines.entries()) {
    const entry = newEntry()
    entry.buffer = Buffer.from(`${line}\n`)
    entry.messageEnd = entry.buffer.length - 1
    entry.audit = facts.read(entry.buffer, 0, entry.messageEnd) ? facts : null
    entry.seconds = facts.seconds
    entry.nanos = facts.nanos
    entry.offset = offsets[index] ?? index
    encoder.write(part, entry)
  }
  const out = part.buffer
    .toString('utf8', 0, part.end)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  return lines.map((_, index) => ({ action: out[2 * index].create, document: out[2 * index + 1] }))
}

const fields = (event: object) => JSON.parse(auditFields(Buffer.from(JSON.stringify(event))))

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
  t.same(audit.annotations, { 'a_b/c_': '1', 'a_b/c': '2', __: '3', _: '4', ___: '5', ____: '6' })
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
