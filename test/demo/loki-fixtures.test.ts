// The embedded Loki against the real one: each file of test/fixtures/loki is a push and what Loki answered. The push is
// made again from its description, at the instant at which it was captured, over HTTP; the answer has to be the same.
import { readdirSync, readFileSync } from 'node:fs'
import { compressSync } from 'snappy'
import t from 'tap'
import { request } from 'undici'
import type { LokiLimits } from '../../src/demo/loki-limits.ts'
import { encodePush, type LabelPair } from '../../src/demo/push-proto.ts'
import { startReceiver } from '../../src/demo/receiver.ts'

const FOLDER = new URL('../fixtures/loki/', import.meta.url)
/** 2026-11-21T08:00:06Z: "now" in all requests that give timestamps. */
const NOW_S = 1_795_248_006
/** The capture keeps so much of a body. */
const CAPTURED_CHARS = 3000

interface Fixture {
  case: string
  request: string
  status: number | string
  headers?: Record<string, string>
  body: string
}

interface Entry {
  timestamp: { s: number; n: number }
  line: string | Buffer
  sm?: LabelPair[]
}

interface Stream {
  labels: string
  entries: Entry[]
}

interface Replay {
  /** Pushes that were made before: to the same Loki. */
  before?: Stream[][]
  /** Left out: the request of the fixture itself. */
  push?: Stream[]
  raw?: { body: Buffer; contentType?: string }
  tenant?: string
  limits?: Partial<LokiLimits>
  /** Lines in the store at the end, in order; of long ones their length. */
  stored: (string | number)[]
}

const APP_A = '{app="a",namespace="n"}'
const stream = (labels: string, ...entries: Entry[]): Stream => ({ labels, entries })
const entry = (line: string | Buffer, sm?: LabelPair[], s = NOW_S): Entry => ({
  timestamp: { s, n: 0 },
  line,
  ...(sm && { sm }),
})
const range = <Item>(count: number, make: (index: number) => Item) =>
  Array.from({ length: count }, (_, index) => make(index))
/** What the capture's earlier case had left in {app="a"}: an entry of in five minutes, which moved the window. */
const FUTURE = [[stream(APP_A, entry('in five minutes', undefined, NOW_S + 300))]]
const bigLines = (count: number, bytes: number, labels: string) => [
  stream(labels, ...range(count, (index) => entry(Buffer.alloc(bytes, `${index} `)))),
]
const snappy = (body: string) => ({ body: compressSync(body) })
const JSON_PUSH = {
  streams: [{ stream: { app: 'a', namespace: 'n' }, values: [[`${NOW_S}000000000`, 'from json', { pod: 'p-1' }]] }],
}

const REPLAYS: Record<string, Replay> = {
  'bad-json': { raw: { body: Buffer.from('{"streams":['), contentType: 'application/json' }, stored: [] },
  'bad-protobuf': { raw: snappy('\x0a\x7fnot protobuf'), stored: [] },
  'bad-snappy': { raw: { body: Buffer.from('not snappy') }, stored: [] },
  'bad-tenant': { tenant: 'a/../b', stored: [] },
  'duplicate-entry': { stored: ['twice'] },
  'duplicate-label': { stored: [] },
  'empty-labels': { stored: ['x', 'good two'] },
  'empty-line': { stored: [''] },
  'future-ok': { stored: ['in five minutes'] },
  'invalid-labels': { stored: [] },
  'invalid-utf8-line': { push: [stream(APP_A, entry(Buffer.from([0x61, 0xff, 0x00])))], stored: ['a\ufffd\0'] },
  'json-content-type': {
    raw: { body: Buffer.from(JSON.stringify(JSON_PUSH)), contentType: 'application/json' },
    stored: ['from json'],
  },
  'label-name-too-long': { push: [stream(`{${'l'.repeat(2000)}="v"}`, entry('x'))], stored: [] },
  'label-value-too-long': { push: [stream(`{app="${'v'.repeat(3000)}"}`, entry('x'))], stored: [] },
  'line-too-long': { push: [stream(APP_A, entry(Buffer.alloc(300 * 1024, 'l')), entry('short'))], stored: ['short'] },
  'no-entries': { stored: [] },
  'no-streams': { stored: [] },
  'no-tenant': { tenant: '', push: [stream(APP_A, entry('x'))], stored: [] },
  ok: { stored: ['hello'] },
  // With Loki's own tenant limit a stream can hardly reach its limit of 15 MB: it was raised for the capture.
  'per-stream-rate-limited': {
    limits: { ingestBurstBytes: 1e9 },
    before: range(3, (push) => bigLines(35, 100_000 + push, APP_A)),
    push: bigLines(35, 100_003, APP_A),
    stored: range(4 * 35, (index) => 100_000 + Math.floor(index / 35)),
  },
  'rate-limited': {
    tenant: 'rate',
    limits: { pushBytesMax: 1e9 },
    before: [bigLines(30, 200_000, APP_A)],
    push: bigLines(30, 200_000, APP_A),
    stored: range(30, () => 200_000),
  },
  'stream-limit': {
    tenant: 'limit',
    push: range(5200, (index) => stream(`{app="s${index}"}`, entry(`${index}`))),
    stored: range(5000, (index) => `${index}`),
  },
  'structured-metadata-empty-name': { stored: [] },
  'structured-metadata-too-large': {
    push: [stream(APP_A, entry('big', [{ name: 'big', value: 'v'.repeat(70_000) }]), entry('small'))],
    stored: ['small'],
  },
  'structured-metadata-too-many': {
    push: [
      stream(
        APP_A,
        entry(
          'x',
          range(200, (index) => ({ name: `n${index}`, value: 'v' })),
        ),
      ),
    ],
    stored: [],
  },
  'timestamp-same-ns-different-line': { stored: ['a', 'b'] },
  'timestamp-zero': { stored: [] },
  'too-far-behind': { before: FUTURE, stored: ['in five minutes', 'fine'] },
  'too-far-behind-many': {
    before: FUTURE,
    push: [stream(APP_A, ...range(30, (index) => entry(`behind ${index}`, undefined, NOW_S - 10_800 - index)))],
    stored: ['in five minutes'],
  },
  'too-far-in-future': { stored: ['fine'] },
  'too-many-labels': { stored: [] },
  'too-old': { stored: ['fine too'] },
}

function encoded(streams: Stream[]): Buffer {
  return compressSync(
    encodePush({
      streams: streams.map(({ labels, entries }) => ({
        labels,
        entries: entries.map(({ timestamp, line, sm }) => ({
          timestampNs: BigInt(timestamp.s) * 1_000_000_000n + BigInt(timestamp.n),
          line,
          metadata: sm ?? [],
        })),
      })),
    }),
  )
}

async function post(url: string, body: Buffer, tenant: string, contentType = 'application/x-protobuf') {
  const headers = { 'content-type': contentType, ...(tenant !== '' && { 'x-scope-orgid': tenant }) }
  const answer = await request(`${url}/loki/api/v1/push`, { method: 'POST', headers, body })
  return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() }
}

const fixtures = readdirSync(FOLDER).map((file) => JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Fixture)
t.ok(fixtures.length > 30)

for (const fixture of fixtures) {
  if (fixture.case === 'shared-push-hides-refusal') continue
  t.test(fixture.case, async (t) => {
    const replay = REPLAYS[fixture.case]
    if (replay === undefined) return t.fail('no replay for this fixture')
    const { raw, tenant = 't1', before = [] } = replay
    const limits = { authEnabled: true, ...replay.limits }
    const receiver = await startReceiver({ limits, now: () => NOW_S * 1000 })
    t.teardown(() => receiver.close())
    for (const streams of before) t.equal((await post(receiver.url, encoded(streams), tenant)).status, 204)

    const body = raw?.body ?? encoded(replay.push ?? (JSON.parse(fixture.request) as Stream[]))
    const answer = await post(receiver.url, body, tenant, raw?.contentType)
    t.equal(answer.status, fixture.status)
    t.equal(answer.body.slice(0, CAPTURED_CHARS), fixture.body)
    t.hasStrict(answer.headers, fixture.headers ?? {})
    if (fixture.status === 204) t.notOk('content-type' in answer.headers)
    const lines = receiver.streams().flatMap(({ entries }) => entries.map(({ line }) => line))
    t.strictSame(
      lines.map((line) => (line.length < 100 ? line.toString() : line.length)),
      replay.stored,
    )
  })
}

t.test('shared-push-hides-refusal', async (t) => {
  const fixture = fixtures.find((one) => one.case === 'shared-push-hides-refusal')!
  const nowS = Date.UTC(2026, 10, 21, 9, 21, 53) / 1000
  const receiver = await startReceiver({ now: () => nowS * 1000 })
  t.teardown(() => receiver.close())
  const A = (line: string, s: number) => stream('{app="A"}', entry(line, undefined, s))
  const B = (line: string) => stream('{app="B"}', entry(line, undefined, nowS))
  const push = (...streams: Stream[]) => post(receiver.url, encoded(streams), '')
  t.equal((await push(A('now', nowS))).status, 204)
  t.match(await push(A('behind 1', nowS - 10_800), B('first')), { status: 204, body: '' })
  const told = await push(B('second'), A('behind 2', nowS - 10_800))
  t.equal(told.status, 400)
  const expected = fixture.body.split('B first: ')[1]!.split('…')[0]!
  t.equal(told.body.slice(0, expected.length), expected)
  const lines = (app: string) => receiver.find({ app })[0]?.entries.map(({ line }) => line.toString())
  t.strictSame(lines('A'), ['now'])
  t.strictSame(lines('B'), ['first', 'second'])
})
