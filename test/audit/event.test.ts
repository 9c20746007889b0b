// Facts of an event come from its own top level, and from nowhere else.

import { test } from 'tap'
import {
  AUDIT_ID,
  EventFacts,
  LEVEL,
  NAME,
  NAMESPACE,
  REQUEST_URI,
  RESOURCE,
  STAGE,
  USERNAME,
  VERB,
} from '../../src/audit/event.ts'
import fc from '../support/properties.ts'
import { fixture } from './fixtures.ts'

const facts = new EventFacts()

function read(text: string): boolean {
  const line = Buffer.from(`${text}\n`)
  return facts.read(line, 0, line.length - 1)
}

function told(): Record<string, unknown> {
  return {
    auditID: facts.text(AUDIT_ID),
    stage: facts.text(STAGE),
    verb: facts.text(VERB),
    level: facts.text(LEVEL),
    requestURI: facts.text(REQUEST_URI),
    user: facts.text(USERNAME),
    resource: facts.text(RESOURCE),
    namespace: facts.text(NAMESPACE),
    name: facts.text(NAME),
    code: facts.code,
    time: facts.hasTime ? facts.seconds * 1e6 + facts.nanos / 1000 : null,
  }
}

// biome-ignore lint/suspicious/noExplicitAny: an event as JSON.parse gives it
function expected(event: any): Record<string, unknown> {
  const [seconds, micros] = (event.stageTimestamp ?? '').split(/[.Z]/)
  return {
    auditID: event.auditID ?? '',
    stage: event.stage ?? '',
    verb: event.verb ?? '',
    level: event.level ?? '',
    requestURI: event.requestURI ?? '',
    user: event.user?.username ?? '',
    resource: event.objectRef?.resource ?? '',
    namespace: event.objectRef?.namespace ?? '',
    name: event.objectRef?.name ?? '',
    code: event.responseStatus?.code ?? 0,
    time: seconds === '' ? null : Date.parse(`${seconds}Z`) * 1000 + Number(micros),
  }
}

for (const name of ['everything.log.gz', 'recommended.log.gz', 'server/everything.log.gz', 'big-event.log.gz']) {
  test(`what JSON.parse finds in ${name}`, (t) => {
    const log = fixture(name)
    let lines = 0
    for (let at = 0; at < log.length; lines++) {
      const end = log.indexOf(10, at)
      const event = JSON.parse(log.toString('utf8', at, end))
      if (!facts.read(log, at, end)) t.fail(`line ${lines} is an event`)
      const found = told()
      if (JSON.stringify(found) !== JSON.stringify(expected(event))) t.same(found, expected(event), `line ${lines}`)
      at = end + 1
    }
    t.ok(lines > 1)
    t.end()
  })
}

/** Every key that facts are read from, as it may stand where somebody else wrote it. */
const DECOY = {
  kind: 'Event',
  apiVersion: 'audit.k8s.io/v1',
  auditID: 'decoy',
  stage: 'decoy',
  verb: 'decoy',
  level: 'decoy',
  requestURI: 'decoy',
  stageTimestamp: '1999-01-01T00:00:00.000000Z',
  user: { username: 'decoy' },
  objectRef: { resource: 'decoy', namespace: 'decoy', name: 'decoy' },
  responseStatus: { code: 999 },
  username: 'decoy',
  resource: 'decoy',
  namespace: 'decoy',
  name: 'decoy',
  code: 999,
}
const TEXT = JSON.stringify(DECOY)
const EVENT = {
  kind: 'Event',
  apiVersion: 'audit.k8s.io/v1',
  level: 'RequestResponse',
  auditID: 'the-id',
  stage: 'ResponseComplete',
  requestURI: `/x?${TEXT}"\\`,
  verb: 'get',
  user: { username: 'alice', groups: [TEXT, '"}'], extra: { ...DECOY, x: [TEXT] }, uid: TEXT },
  impersonatedUser: DECOY,
  sourceIPs: ['::1'],
  userAgent: `"},"user":{"username":"decoy"},"stageTimestamp":"1999-01-01T00:00:00.000000Z`,
  objectRef: { resource: 'pods', namespace: 'a', name: 'b', extra: DECOY },
  responseStatus: { metadata: DECOY, message: TEXT, details: DECOY, code: 201 },
  requestObject: { ...DECOY, deep: [[DECOY, TEXT]], metadata: { annotations: DECOY } },
  responseObject: [DECOY, TEXT, { '"': '\\', '}': '{' }],
  stageTimestamp: '2026-11-21T07:51:17.474222Z',
  annotations: { ...DECOY, [TEXT]: TEXT },
}

test('keys that are hidden in bodies, names and annotations are not found, whatever the order of members', (t) => {
  fc.assert(
    fc.property(
      fc.shuffledSubarray(Object.keys(EVENT), { minLength: 17, maxLength: 17 }),
      fc.boolean(),
      (keys, spaced) => {
        const event = Object.fromEntries(keys.map((key) => [key, EVENT[key as keyof typeof EVENT]]))
        const isEvent = read(JSON.stringify(event, null, spaced ? ' ' : '').replaceAll('\n', ' '))
        t.equal(isEvent, true)
        t.same(told(), expected(EVENT))
      },
    ),
    { numRuns: 40 },
  )
  t.end()
})

test('what is left out is empty, and is not taken from elsewhere or from the event before', (t) => {
  for (const key of Object.keys(EVENT).filter((each) => each !== 'kind' && each !== 'apiVersion')) {
    read(JSON.stringify(EVENT))
    const event = { ...EVENT, [key]: undefined }
    t.equal(read(JSON.stringify(event)), true)
    t.same(told(), expected(event), `without ${key}`)
  }
  t.end()
})

test('a key that is given twice counts the last time', (t) => {
  const text = JSON.stringify(EVENT).replace(
    /\}$/,
    ',"verb":"list","user":{"uid":"x"},"objectRef":{"name":"c"},"responseStatus":{"code":5}}',
  )
  t.equal(read(text), true)
  t.same(told(), { ...expected(JSON.parse(text)) })
  t.end()
})

test('clients that were seen before are recognised by all their bytes', (t) => {
  const of = (username: string, userAgent: string) =>
    JSON.stringify({ ...EVENT, user: { username, groups: ['system:authenticated', 'devs'] }, userAgent })
  for (const [user, agent] of [
    ['alice-one', 'kubectl'],
    ['alice-two', 'kubectl'],
    ['alice-one', 'kubectl'],
    ['alice-one', 'kubectx'],
  ] as const) {
    t.equal(read(of(user, agent)), true)
    t.equal(facts.text(USERNAME), user)
    t.equal(facts.text(VERB), 'get')
  }
  t.end()
})

test('lines that are torn, glued together or of another kind are no events', (t) => {
  const text = JSON.stringify(EVENT)
  for (let at = 0; at < text.length; at += 7) t.equal(read(text.slice(0, at)), false, `cut at ${at}`)
  for (let at = 7; at < text.length; at += 97)
    t.equal(read(text.slice(0, at) + text), false, `torn at ${at}, then a whole one`)
  for (const other of [
    '',
    '{}',
    '[]',
    'I1121 07:51 a log line',
    '{"kind":"Pod"}',
    text.replace('audit.k8s.io/v1', 'audit.k8s.io/v2'),
    `${text}x`,
  ]) {
    t.equal(read(other), false, other.slice(0, 30))
  }
  t.equal(read(`${text}  \r`), true, 'space behind it')
  t.end()
})

test('the copy of a large line goes back with the next line', async (t) => {
  const large = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"large","annotations":{"a":"${'x'.repeat(100_000)}"}}`
  t.ok(read(large))
  t.equal(facts.text(AUDIT_ID), 'large')
  const copy = facts.buffer.buffer
  t.ok(copy.byteLength > 100_000)
  t.ok(read(large.replace('large', 'again')))
  t.equal(copy.byteLength, 0)
  t.equal(facts.text(AUDIT_ID), 'again')
})
