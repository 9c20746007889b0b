// Events at once against events one by one: the same batches, byte by byte, with the same notes, streams and marks, and the
// same state after them.
import { deepStrictEqual } from 'node:assert'
import t from 'tap'
import { AuditLines } from '../../../src/audit/lines.ts'
import { loadPolicy } from '../../../src/audit/policy/load.ts'
import type { Policy } from '../../../src/audit/policy/policy.ts'
import { type Mask, maskWith } from '../../../src/audit/redact/mask.ts'
import { Lane } from '../../../src/batch/lane.ts'
import { type Part, PartPool } from '../../../src/batch/part.ts'
import { type Segment, Shipment } from '../../../src/batch/shipment.ts'
import { Ledger } from '../../../src/core/ledger.ts'
import { LokiAuditEncoder } from '../../../src/sinks/loki/audit.ts'
import { AuditStreams, VERBS } from '../../../src/sinks/loki/audit-streams.ts'
import { EventsAtOnce } from '../../../src/sinks/loki/events.ts'
import { LokiLane } from '../../../src/sinks/loki/lane.ts'
import { RowsAtOnce } from '../../../src/sinks/loki/rows.ts'
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

class Counting extends EventsAtOnce {
  taken = 0

  override take(...args: Parameters<EventsAtOnce['take']>): boolean {
    const mayTake = super.take(...args)
    this.taken += args[0].lines + args[0].droppedLines
    return mayTake
  }
}

const rowsAtOnce = new RowsAtOnce(BLOCK_BYTES)
const atOnce = new Counting(rowsAtOnce.shared, VERBS)

interface Limits {
  bytesMax: number
  recordsMax: number
  lineBytesMax: number
  skipBeforeSeconds: number
  nowMs: number
  policy: Policy | null
  mask: Mask | null
}

/** All that comes of the content: batches with their notes, how far each led, the streams' bodies and spans, the state at the end. */
function encode(content: Buffer, limits: Limits, events: EventsAtOnce | null) {
  const lane = new LokiLane('lane', { job: 'kube-audit' }, false)
  const streams = new AuditStreams({ cluster: 'c', node_name: 'n' }, lane.streams)
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
  const file = { path: 'f', sequence: 1 } as unknown as TailedFile
  const place: Place = { file, offset: 0, logical: 0 }
  const ledger = new Ledger()
  const account = new Account(ledger, place)
  const { lineBytesMax, policy, mask } = limits
  const audit = new AuditLines({ policy, mask, lineBytesMax, pause: async () => {}, ready: () => {} })
  const lines = new Lines(place, account, { format: 'plain', lineBytesMax, audit })
  lines.skipBeforeSeconds = limits.skipBeforeSeconds
  lines.beginRound(limits.nowMs)
  const encoder = new LokiAuditEncoder(lane, streams, { pod_uid: 'u' }, events)
  const block = events === null ? Buffer.alloc(BLOCK_BYTES) : rowsAtOnce.block
  const pool = new PartPool(4, 1024 * 1024)
  const batches: unknown[] = []
  while (place.offset < content.length) {
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
    const groups = (end === 0 ? [] : streams.groups(0, part.end)).toSorted((a, b) => a.number - b.number)
    batches.push({
      consumed,
      bytes: part.end,
      sums: [part.sourceBytes, part.sourceLines],
      streams: groups.map((group) => ({
        labels: group.stream.labels,
        notes: streams.recordsOf(0, group, end).map(noteOf),
        body: streams.body(0, part, part.end, [group]).toString('latin1'),
        span: [group.stream.pendingOldest, group.stream.pendingNewest, group.stream.pendingOffset],
      })),
      span: [lane.streams[0].pendingOldest, lane.streams[0].pendingNewest],
    })
    streams.shipping()
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
  })
  .map(({ rules, ...rest }) => ({ ...rest, ...rules }))

t.test('any lines, any limits, any rules', async () => {
  fc.assert(fc.property(content, limits, same), { numRuns: 500, endOnFailure: true })
})
