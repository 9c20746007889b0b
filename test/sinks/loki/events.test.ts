// Events at once against events one by one: the same batches, byte by byte, with the same notes, streams and marks, and the
// same state after them.
import { deepStrictEqual, ok } from 'node:assert'
import { uncompressSync } from 'snappy'
import t from 'tap'
import { Continuity } from '../../../src/audit/continuity/continuity.ts'
import type { Finding } from '../../../src/audit/continuity/finding.ts'
import { AuditLines } from '../../../src/audit/lines.ts'
import { loadPolicy } from '../../../src/audit/policy/load.ts'
import type { Policy } from '../../../src/audit/policy/policy.ts'
import { type Mask, maskWith } from '../../../src/audit/redact/mask.ts'
import { Lane } from '../../../src/batch/lane.ts'
import { type Part, PartPool } from '../../../src/batch/part.ts'
import { type Segment, Shipment } from '../../../src/batch/shipment.ts'
import { Ledger } from '../../../src/core/ledger.ts'
import { LokiAuditEncoder } from '../../../src/sinks/loki/audit.ts'
import { type AuditGroup, AuditStreams, VERBS } from '../../../src/sinks/loki/audit-streams.ts'
import { EventsAtOnce } from '../../../src/sinks/loki/events.ts'
import { LokiLane } from '../../../src/sinks/loki/lane.ts'
import { RowsAtOnce } from '../../../src/sinks/loki/rows.ts'
import { Snappy } from '../../../src/sinks/loki/snappy.ts'
import { closeStream } from '../../../src/sinks/loki/wire.ts'
import type { Sink } from '../../../src/sinks/sink.ts'
import { Account } from '../../../src/tail/account.ts'
import type { TailedFile } from '../../../src/tail/file.ts'
import { Lines } from '../../../src/tail/lines.ts'
import type { Place } from '../../../src/tail/place.ts'
import type { Reader } from '../../../src/tail/reader.ts'
import { fixture } from '../../audit/fixtures.ts'
import fc from '../../support/properties.ts'

const BLOCK_BYTES = 256 * 1024
/** Of a push: more than all that a batch holds of a stream. */
const PUSH_BYTES = 2 * 1024 * 1024

class Counting extends EventsAtOnce {
  taken = 0

  override take(...args: Parameters<EventsAtOnce['take']>): boolean {
    const mayTake = super.take(...args)
    this.taken += args[0].lines + args[0].droppedLines
    return mayTake
  }
}

const rowsAtOnce = new RowsAtOnce(BLOCK_BYTES)
const snappy = new Snappy(rowsAtOnce.shared)
const atOnce = new Counting(rowsAtOnce.shared, VERBS, snappy)

interface Limits {
  bytesMax: number
  recordsMax: number
  lineBytesMax: number
  skipBeforeSeconds: number
  nowMs: number
  policy: Policy | null
  mask: Mask | null
  /** Each batch fails at first and is read once more; of the stream whose labels come first all had been delivered. */
  rewinds: boolean
}

/** All that comes of the content: batches with their notes, how far each led, the streams' bodies and spans, the state at the end. */
function encode(content: Buffer, limits: Limits, events: EventsAtOnce | null) {
  const lane = new LokiLane('lane', { job: 'kube-audit' }, false)
  const streams = new AuditStreams(
    { cluster: 'c', node_name: 'n' },
    lane.streams,
    PUSH_BYTES,
    events === null ? null : snappy,
  )
  lane.audit = streams
  const sink = {
    separateStreams: true,
    beginSegment(part: Part, _key: string, stream: number) {
      const { header } = lane.streams[stream as 0 | 1]
      lane.streams[stream as 0 | 1].begin()
      streams.begin()
      part.reserve(header.length)
      part.end += header.copy(part.buffer, part.end)
    },
    endSegment(part: Part, segment: Segment, stream: number) {
      closeStream(part.buffer, segment.starts[stream as 0 | 1], part.end)
    },
  } as unknown as Sink
  const file = { path: 'f', sequence: 1, order: {} } as unknown as TailedFile
  const place: Place = { file, offset: 0, logical: 0 }
  const ledger = new Ledger()
  const account = new Account(ledger, place)
  const { lineBytesMax, policy, mask } = limits
  const continuity = new Continuity(() => 0)
  const audit = new AuditLines({ policy, mask, lineBytesMax, continuity, pause: async () => {}, ready: () => {} })
  const lines = new Lines(place, account, { format: 'plain', lineBytesMax, audit })
  lines.skipBeforeSeconds = limits.skipBeforeSeconds
  lines.beginRound(limits.nowMs)
  const encoder = new LokiAuditEncoder(lane, streams, { pod_uid: 'u' }, events)
  const block = events === null ? Buffer.alloc(BLOCK_BYTES) : rowsAtOnce.block
  const pool = new PartPool(4, 1024 * 1024)
  const batches: unknown[] = []
  const findings: Finding[] = []
  let isRepeat = false
  while (place.offset < content.length) {
    const begun = { offset: place.offset, times: lines.timeline.save() }
    // What lies behind the lines is of an earlier read.
    block.fill('"}]}\\"{["},"stage":"x"\n')
    const from = 7
    const length = Math.min(content.length - place.offset, block.length - from)
    content.copy(block, from, place.offset, place.offset + length)
    const blockEnd = from + content.subarray(place.offset, place.offset + length).lastIndexOf(10) + 1
    const shipment = new Shipment(sink, pool)
    shipment.begin(new Lane('lane'), limits.bytesMax, limits.recordsMax, false)
    shipment.from({ current: file, offset: place.offset } as unknown as Reader, encoder)
    const consumed = lines.rows(file, block, from, lines.limit(file, from, blockEnd), shipment)
    place.offset += consumed
    place.logical += consumed
    const segment = shipment.end()
    const [part] = shipment.parts
    const end = segment.endRecords[0]
    const noteOf = (record: number) => [part.offsetOf(record), part.bytesOf(record), part.linesOf(record)]
    const labelsOf = ({ stream }: AuditGroup) => JSON.stringify(stream.labels)
    const groups = (end === 0 ? [] : streams.groups(0, part.end)).toSorted((a, b) =>
      labelsOf(a) < labelsOf(b) ? -1 : 1,
    )
    const messageOf = (group: AuditGroup) => streams.message(0, part, part.end, group)
    const pushed = uncompressSync(streams.block(0, part, part.end, groups), { asBuffer: true }) as Buffer
    ok(pushed.equals(Buffer.concat(groups.map(messageOf))), 'what is pushed is the streams one after the other')
    batches.push({
      consumed,
      bytes: part.size,
      sums: [part.sourceBytes, part.sourceLines],
      streams: groups.map((group) => ({
        labels: group.stream.labels,
        notes: streams.recordsOf(0, group, end).map(noteOf),
        body: messageOf(group).toString('latin1'),
        span: [group.stream.pendingOldest, group.stream.pendingNewest],
      })),
      span: [lane.streams[0].pendingOldest, lane.streams[0].pendingNewest],
      course: [continuity.save(), continuity.status()],
    })
    findings.push(...continuity.take())
    streams.shipping()
    const [first] = groups
    if (limits.rewinds && !isRepeat && first !== undefined) {
      isRepeat = true
      streams.stored(0, first)
      lines.reset(begun.times)
      place.offset = begun.offset
      place.logical = begun.offset
    } else if (isRepeat) {
      isRepeat = false
      streams.settled()
    }
    shipment.release()
    if (consumed === 0) break
  }
  const { read } = ledger
  account.ack(0, { file, offset: content.length }, null)
  const { skipped } = ledger
  return {
    batches,
    times: lines.timeline.save(),
    marks: [...(lines.takeMarks() ?? [])],
    read,
    skipped,
    left: account.unsettled,
    findings,
  }
}

const USUAL: Limits = {
  bytesMax: 1024 * 1024,
  recordsMax: Number.POSITIVE_INFINITY,
  lineBytesMax: 256 * 1024,
  skipBeforeSeconds: Number.NEGATIVE_INFINITY,
  nowMs: Date.UTC(2026, 10, 30, 9),
  policy: null,
  mask: null,
  rewinds: false,
}

function same(content: Buffer, limits: Limits = USUAL): void {
  deepStrictEqual(encode(content, limits, atOnce), encode(content, limits, null))
}

const loaded = loadPolicy(
  `apiVersion: audit.k8s.io/v1
kind: Policy
omitManagedFields: true
rules:
- {level: None, users: ["system:kube-scheduler"]}
- {level: None, nonResourceURLs: ["/healthz*"]}
- {level: Metadata, resources: [{group: "", resources: [secrets, configmaps]}]}
- {level: Request, verbs: [create, update, patch, delete], omitStages: [ResponseStarted]}
- {level: RequestResponse, verbs: [list]}
- {level: Metadata}
`,
  'p',
)
if (!('policy' in loaded)) throw new Error(JSON.stringify(loaded.errors))
const POLICIES: Pick<Limits, 'policy' | 'mask'>[] = [
  { policy: null, mask: null },
  { policy: null, mask: maskWith(null) },
  { policy: loaded.policy, mask: maskWith(Buffer.from('a key of 16 bytes')) },
]

for (const name of ['everything.log.gz', 'recommended.log.gz', 'server/everything.log.gz', 'big-event.log.gz']) {
  t.test(`the API server's own ${name}`, async () => {
    for (const each of POLICIES) same(fixture(name), { ...USUAL, ...each })
  })
}

t.test('it takes nearly all of what the API server wrote', async (t) => {
  const log = fixture('recommended.log.gz')
  const lines = log.toString('latin1').split('\n').length - 1
  for (const each of POLICIES) {
    atOnce.taken = 0
    encode(log, { ...USUAL, ...each }, atOnce)
    t.ok(atOnce.taken + 20 > lines, `${atOnce.taken} of ${lines}`)
  }
})

const one = <T>(...values: T[]) => fc.constantFrom(...values)
/** What stands in the way of whoever searches for a key or counts quotes and brackets wrongly. */
const DECOY =
  '"},"stage":"Panic","user":{"username":"decoy"},"stageTimestamp":"1999-01-01T00:00:00.000000Z","x":{"a":"\\"'
const texts = fc.oneof(
  { weight: 6, arbitrary: one('web', 'api-7f9c4d', 'shop', 'x', '') },
  {
    weight: 2,
    arbitrary: fc.string({ unit: one('a', '"', '\\', '{', ']', ':', ',', 'é', '\n', '\u0001'), maxLength: 80 }),
  },
  {
    weight: 1,
    arbitrary: one(DECOY, 'n'.repeat(127), 'n'.repeat(128), 'n'.repeat(512), 'n'.repeat(513), `${'b'.repeat(62)}"`),
  },
)
const values: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    texts,
    one<unknown>(null, true, 0, -1.5e3, 12),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(
      one('kind', 'stage', 'user', 'username', 'code', 'name', 'a"b', 'password', '}', DECOY),
      tie('value'),
      { maxKeys: 3 },
    ),
  ),
})).value
const objects = fc.dictionary(one('kind', 'metadata', 'data', 'spec', 'username', 'code', DECOY), values, {
  maxKeys: 4,
})
const times = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 3599_999_999 }).map((micros) => stamp(micros)) },
  one(
    '2026-11-30T23:59:59.999999Z',
    '2026-12-01T00:00:00.000000Z',
    '2026-11-30T08:00:60.000000Z',
    '2026-11-30T08:00:00Z',
  ),
  one(
    '2026-11-30T08:00:00.1234567Z',
    '2026-11-30T24:00:00.000000Z',
    '2026-11-30T08:0a:00.000000Z',
    '',
    '2026-02-31T08:00:00.000000Z',
  ),
  one(
    '2026-11-30T08:00:00.000000+01',
    '1970-01-01T00:00:00.000000Z',
    '2038-01-19T03:14:08.000000Z',
    '2026-11-30T08:00:00.12345:Z',
  ),
)
function stamp(micros: number): string {
  const at = new Date(Date.UTC(2026, 10, 30, 8) + Math.floor(micros / 1000)).toISOString()
  return `${at.slice(0, -1)}${String(micros % 1000).padStart(3, '0')}Z`
}
const maybe = <T>(arbitrary: fc.Arbitrary<T>, freq = 8) => fc.option(arbitrary, { nil: undefined, freq })
const CLIENTS: [object, string[], string][] = [
  [{ username: 'system:kube-scheduler', groups: ['system:authenticated'] }, ['10.0.0.12'], 'kube-scheduler/v1.36.3'],
  [
    { username: 'alice', groups: ['devs'], extra: { 'authentication.kubernetes.io/credential-id': ['JTI=1'] } },
    ['::1'],
    'k',
  ],
  [
    { username: 'system:node:node-1', uid: 'u', groups: ['system:nodes', 'system:authenticated'] },
    ['10.0.0.1'],
    'kubelet/v1',
  ],
]
const events = fc
  .record({
    level: one('Metadata', 'Metadata', 'Request', 'RequestResponse', 'x'),
    auditID: fc.oneof({ weight: 9, arbitrary: fc.uuid() }, one('same', ''), texts),
    stage: one(
      'ResponseComplete',
      'ResponseComplete',
      'ResponseStarted',
      'RequestReceived',
      'Panic',
      'ResponseCompletE',
      '',
    ),
    requestURI: one('/api/v1/namespaces/shop/pods/web-1', '/healthz?verbose', '/api/v1/secrets?a=b&c=d', '/x"\\'),
    verb: one(
      'get',
      'list',
      'watch',
      'create',
      'update',
      'patch',
      'delete',
      'deletecollection',
      'deletecollectioN',
      'delete ',
      'options',
      '',
      'evict',
    ),
    client: one(...CLIENTS),
    strange: maybe(fc.record({ username: texts, groups: values, extra: values }, { requiredKeys: [] }), 4),
    without: fc.integer({ min: 0, max: 20 }),
    objectRef: maybe(
      fc.record(
        {
          resource: one('pods', 'secrets', 'nodes'),
          namespace: texts,
          name: texts,
          uid: texts,
          subresource: one('status', 'log'),
        },
        { requiredKeys: [] },
      ),
    ),
    responseStatus: maybe(
      fc.oneof(
        { weight: 6, arbitrary: fc.record({ metadata: fc.constant({}), code: one(200, 201, 404) }) },
        fc.record(
          {
            metadata: values,
            status: one('Failure'),
            message: texts,
            details: values,
            code: one<unknown>(403, 0, 1234567890, '200', -1, 2.5, null),
          },
          { requiredKeys: [] },
        ),
      ),
    ),
    requestObject: maybe(objects, 1),
    responseObject: maybe(fc.oneof(objects, fc.array(values, { maxLength: 3 }), values), 1),
    received: maybe(times),
    time: times,
    annotations: maybe(
      fc.oneof(
        one({
          'authorization.k8s.io/decision': 'allow',
          'authorization.k8s.io/reason': 'RBAC: allowed by "a\\b" to User "c"',
        }),
        fc.dictionary(texts, texts, { maxKeys: 3 }),
      ),
    ),
  })
  .map(({ client, strange, without, received, time, ...rest }) => {
    const [user, sourceIPs, userAgent] = client
    const {
      level,
      auditID,
      stage,
      requestURI,
      verb,
      objectRef,
      responseStatus,
      requestObject,
      responseObject,
      annotations,
    } = rest
    return JSON.stringify({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level,
      auditID,
      stage,
      requestURI,
      verb,
      user: strange ?? user,
      ...(without !== 1 && { sourceIPs }),
      ...(without !== 2 && { userAgent }),
      objectRef,
      responseStatus,
      requestObject,
      responseObject,
      requestReceivedTimestamp: received,
      stageTimestamp: without === 3 ? undefined : time,
      annotations,
    })
  })
/** Nearly all of a log is as the server wrote it; some lines are torn, foreign or made by somebody else. */
const lines = fc.tuple(events, fc.integer({ min: 0, max: 40 }), fc.nat(), values).map(([event, kind, at, value]) => {
  const middle = at % event.length
  if (kind === 0) return event.slice(0, middle)
  if (kind === 1) return event.slice(middle)
  if (kind === 2) return event.replaceAll(',"', ', "')
  if (kind === 3) return `${event} `
  if (kind === 4) return `${event}}`
  if (kind === 5) return `${event.slice(0, -1)},"verb":"second","user":{"username":"other"}}`
  if (kind === 6) return JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(event)).toReversed()))
  if (kind === 7) return event.replace('"audit.k8s.io/v1"', '"audit.k8s.io/v1beta1"')
  if (kind === 8) return event.slice(0, middle) + DECOY + event.slice(middle)
  if (kind === 9) return JSON.stringify(value)
  if (kind === 10) return event.replace('"user":{', '"user":{"username":"first",')
  if (kind === 11) return event.replace('"objectRef":{', '"objectRef":{"name":{"name":"x"},')
  if (kind === 12) return event.replace('{', '{"x":1,')
  if (kind === 13) return event.replace('"code":', '"code":7,"code":')
  if (kind === 14) return event.slice(0, middle) + '\\'.repeat(1 + (at % 3)) + event.slice(middle)
  return event
})
const content = fc
  .array(fc.tuple(lines, fc.integer({ min: 1, max: 3 })), { minLength: 1, maxLength: 40 })
  .map((drawn) => Buffer.from(drawn.flatMap(([line, times]) => Array(times).fill(`${line}\n`)).join('')))
const limits = fc
  .record({
    bytesMax: fc.oneof(fc.constant(USUAL.bytesMax), fc.integer({ min: 5000, max: 20_000 })),
    recordsMax: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 1, max: 30 })),
    lineBytesMax: one(USUAL.lineBytesMax, 700),
    skipBeforeSeconds: one(Number.NEGATIVE_INFINITY, Date.UTC(2026, 10, 30, 8, 30) / 1000 + 0.5),
    nowMs: one(USUAL.nowMs, Date.UTC(2026, 10, 30, 8, 20)),
    rules: one(...POLICIES),
    rewinds: fc.boolean(),
  })
  .map(({ rules, ...rest }) => ({ ...rest, ...rules }))

t.test('any lines, any limits, any rules', async () => {
  fc.assert(fc.property(content, limits, same), { numRuns: 500, endOnFailure: true })
})

/** What continuity and the ids look at, and nothing else that is remarkable. */
const steps = fc.record({
  ms: fc.oneof(
    { weight: 6, arbitrary: one(0, 1, 300) },
    { weight: 3, arbitrary: one(1000, 5000) },
    one(-700, -2000, -40_000, 400_000, -3_599_000, -3_601_000),
  ),
  id: fc.oneof(
    { weight: 3, arbitrary: fc.uuid() },
    { weight: 5, arbitrary: one('a-watch-0', 'a-watch-1', 'a-session', 'other-watch-0', '0', 'ab"c') },
  ),
  stage: one('ResponseComplete', 'ResponseComplete', 'ResponseStarted', 'RequestReceived', 'Panic'),
  verb: one('get', 'watch', 'list'),
  code: one(200, 200, 101, 403),
  query: one('', '?watch=1&timeoutSeconds=90000', '?timeoutSeconds=7'),
})
type Step = typeof steps extends fc.Arbitrary<infer T> ? T : never
function course(drawn: readonly Step[]): Buffer {
  let ms = Date.UTC(2026, 10, 30, 8)
  const text = drawn.map(({ ms: step, id, stage, verb, code, query }) => {
    ms += step
    const user = { username: 'system:node:a', groups: ['system:nodes'] }
    const event = { kind: 'Event', apiVersion: 'audit.k8s.io/v1', level: 'Metadata', auditID: id, stage }
    const request = { requestURI: `/api/v1/pods${query}`, verb, user, sourceIPs: ['10.0.0.1'], userAgent: 'kubelet/v1' }
    const objectRef = { resource: 'pods', ...(code === 101 && { subresource: 'exec' }) }
    const stageTimestamp = `${new Date(ms).toISOString().slice(0, -1)}000Z`
    const line = JSON.stringify({ ...event, ...request, objectRef, responseStatus: { code }, stageTimestamp })
    return `${line.replaceAll('&', '\\u0026')}\n`
  })
  return Buffer.from(text.join(''))
}
const courses = fc.array(steps, { minLength: 1, maxLength: 120 }).map(course)

t.test('the course of any log, and its ids, whatever is read twice', async () => {
  fc.assert(
    fc.property(courses, limits, (log, each) => same(log, { ...each, policy: null, mask: null, nowMs: USUAL.nowMs })),
    {
      numRuns: 500,
      endOnFailure: true,
    },
  )
})

t.test('what ends before it begins, and what is opened while others are taken', async () => {
  const usual = { ms: 0, id: 'usual-1', stage: 'ResponseComplete', verb: 'get', code: 200, query: '' }
  const session = { ...usual, id: 'session', code: 101 }
  same(course([usual, session, { ...session, stage: 'ResponseStarted' }, usual]))
  same(course([usual, { ...session, stage: 'ResponseStarted' }, session, usual]))
  const watch = { ...usual, id: 'watch-1', verb: 'watch' }
  same(course([usual, watch, { ...watch, stage: 'ResponseStarted' }, usual]))
  same(course([usual, { ...watch, stage: 'ResponseStarted' }, { ...watch, verb: 'get' }, usual]))
})

/** An event every so many seconds, which nothing is remarkable about. */
function beat(from: number, count: number, seconds: number): Buffer {
  const lines = Array.from({ length: count }, (_, i) => {
    const stageTimestamp = `${new Date(from + 1000 * seconds * i).toISOString().slice(0, -1)}000Z`
    const at = { auditID: `${from}-${i}`, stage: 'ResponseComplete', requestURI: '/livez', verb: 'get' }
    const event = { kind: 'Event', apiVersion: 'audit.k8s.io/v1', level: 'Metadata', ...at, user: { username: 'a' } }
    return `${JSON.stringify({ ...event, sourceIPs: ['10.0.0.1'], userAgent: 'k', stageTimestamp })}\n`
  })
  return Buffer.from(lines.join(''))
}
/** After hours something is usual. */
const HOURS = beat(Date.UTC(2026, 10, 30, 4), 1200, 10)

t.test('a log with a usual pause', async () => {
  fc.assert(
    fc.property(courses, (log) => same(Buffer.concat([HOURS, log]))),
    { numRuns: 40, endOnFailure: true },
  )
})

t.test('a clock that is set back by hours, and later by less', async () => {
  for (const count of [99, 100, 150]) {
    const back = beat(Date.UTC(2026, 10, 30, 5), count, 0)
    const later = beat(Date.UTC(2026, 10, 30, 7, 10), 3, 400)
    same(Buffer.concat([HOURS, back, later, beat(Date.UTC(2026, 10, 30, 8), 3, 1000)]))
  }
})

t.test('lines that differ in one byte from the line before, wherever it is', async () => {
  const user = { username: 'system:node:node-1', groups: ['system:nodes', 'system:authenticated'] }
  const event = { kind: 'Event', apiVersion: 'audit.k8s.io/v1', level: 'Metadata', auditID: 'a-get', stage: 'Panic' }
  const request = {
    requestURI: '/api',
    verb: 'get',
    user,
    sourceIPs: ['10.0.0.1'],
    userAgent: 'kubelet/v1.36.3 (linux)',
  }
  const rest = {
    responseStatus: { metadata: {}, code: 200 },
    stageTimestamp: stamp(0),
    annotations: { why: 'x'.repeat(99) },
  }
  const line = JSON.stringify({ ...event, ...request, ...rest })
  const pairs = Array.from(line, (_, at) =>
    ['"', '\\', '}', 'y'].map((byte) => `${line}\n${line.slice(0, at)}${byte}${line.slice(at + 1)}\n`).join(''),
  )
  same(Buffer.from(pairs.join('')))
})

t.test('lines over the limit', async () => {
  same(fixture('recommended.log.gz'), { ...USUAL, lineBytesMax: 1000 })
})

t.test('a line by itself behind many of its stream, which lie compressed', async () => {
  const many = beat(Date.UTC(2026, 10, 30, 6), 300, 1)
  const odd = Buffer.from(
    beat(Date.UTC(2026, 10, 30, 6, 5), 1, 1)
      .toString()
      .replaceAll(',"', ', "'),
  )
  for (const rewinds of [false, true]) {
    same(Buffer.concat([many, odd, odd, beat(Date.UTC(2026, 10, 30, 6, 6), 300, 1), odd]), { ...USUAL, rewinds })
  }
})

t.test('where each line is one that is not taken, those behind it are not found again and again', async (t) => {
  const ahead = beat(Date.UTC(2026, 10, 30, 9), 3000, 1)
  const limits = { ...USUAL, nowMs: Date.UTC(2026, 10, 30, 2) }
  same(ahead, limits)
  const before = atOnce.found
  encode(ahead, limits, atOnce)
  const each = (atOnce.found - before) / 3000
  t.ok(each < 3, `each ${each} times`)
})
