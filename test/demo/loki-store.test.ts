// The embedded Loki where the captured answers (loki-fixtures.test.ts) are silent: edges of limits, several streams in
// one push, what becomes of time.
import t from 'tap'
import { type LokiLimits, UNLIMITED_RATES } from '../../src/demo/loki-limits.ts'
import { LokiStore } from '../../src/demo/loki-store.ts'
import { byteSize, goTime, TokenBucket } from '../../src/demo/loki-stream.ts'
import type { LabelPair, PushEntry } from '../../src/demo/push-proto.ts'

const NOW_MS = Date.UTC(2026, 10, 21, 8, 0, 6)
const NOW_NS = BigInt(NOW_MS) * 1_000_000n
const HOUR_NS = 3_600_000_000_000n
const MB = 1024 * 1024

type Line = string | Buffer | { line: string | Buffer; ns?: bigint; metadata?: LabelPair[] }

const entryOf = (line: Line): PushEntry => {
  const { line: text, ns = NOW_NS, metadata = [] } = typeof line === 'string' || Buffer.isBuffer(line) ? { line } : line
  return { timestampNs: ns, line: Buffer.from(text), metadata }
}

/** A store, a way to push streams given as `{app="NAME"}` -> lines, and what is in it. */
function lokiAt(limits: Partial<LokiLimits> = {}) {
  const store = new LokiStore(limits)
  return {
    store,
    push(streams: Record<string, Line[]>, { nowMs = NOW_MS, tenant = 't1' } = {}) {
      const push = Object.entries(streams).map(([app, lines]) => ({
        labels: `{app="${app}"}`,
        entries: lines.map(entryOf),
      }))
      const { status, body } = store.push({ streams: push }, tenant, nowMs)
      return body === '' ? status : `${status} ${body}`
    },
    lines: (app: string) =>
      store
        .streams()
        .filter(({ labels }) => labels.app === app)
        .flatMap(({ entries }) => entries.map(({ line }) => line.toString())),
  }
}

t.test('the window ends an hour behind the highest timestamp, to the nanosecond', (t) => {
  const { push, lines } = lokiAt()
  push({ a: ['now'] })
  t.equal(push({ a: [{ line: 'edge', ns: NOW_NS - HOUR_NS }] }), 204)
  t.match(
    push({ a: [{ line: 'behind', ns: NOW_NS - HOUR_NS - 1n }] }),
    /^400 entry with timestamp 2026-11-21 07:00:05.999999999 \+0000 UTC/,
  )
  t.equal(push({ b: [{ line: 'other stream', ns: NOW_NS - 5n * HOUR_NS }] }), 204, 'each stream has its own')
  t.strictSame(lines('a'), ['now', 'edge'])
  t.end()
})

t.test('the window moves within a push, and a stamp from the future moves it for all', (t) => {
  const { push, lines } = lokiAt()
  const behind = { line: 'behind', ns: NOW_NS - 2n * HOUR_NS }
  t.match(push({ a: [{ line: 'old', ns: NOW_NS - 2n * HOUR_NS }, 'now', behind] }), /total ignored: 1 out of 3/)
  t.equal(push({ a: [{ line: 'ahead', ns: NOW_NS + 600_000_000_000n }] }), 204)
  t.match(
    push({ a: [{ line: '55 min', ns: NOW_NS - 3_300_000_000_000n }] }),
    /oldest acceptable timestamp is: 2026-11-21T07:10:06Z/,
  )
  t.strictSame(lines('a'), ['old', 'now', 'ahead'])
  t.end()
})

t.test('an entry refused does not move the window', (t) => {
  const { push } = lokiAt()
  t.match(push({ a: [{ line: 'too new', ns: NOW_NS + 600_000_000_001n }] }), /has timestamp too new/)
  t.equal(push({ a: [{ line: 'x', ns: NOW_NS - HOUR_NS }] }), 204)
  t.end()
})

t.test('a repeat meets the window like any entry', (t) => {
  const { push, store } = lokiAt()
  const old = { line: 'old', ns: NOW_NS - 2n * HOUR_NS }
  t.equal(push({ a: [old] }), 204)
  t.equal(push({ a: [old] }), 204)
  t.equal(push({ a: ['now'] }), 204)
  t.match(push({ a: [old] }), /^400/)
  t.strictSame(
    store.streams()[0]?.entries.map(({ pushes }) => pushes),
    [2, 1],
  )
  t.strictSame(store.counts, { accepted: 3, repeated: 1, refused: 1, lineBytes: 9 })
  t.end()
})

t.test('the same entry is the same timestamp, line and metadata', (t) => {
  const { push, store } = lokiAt()
  const pod = (value: string) => [{ name: 'pod', value }]
  push({
    a: [{ line: 'x', metadata: pod('p') }, { line: 'x', metadata: pod('q') }, 'x', { line: 'x', ns: NOW_NS + 1n }, 'y'],
  })
  push({
    a: [{ line: 'x', metadata: pod('p') }, { line: 'x', metadata: [...pod('q'), { name: 'none', value: '' }] }, 'x'],
  })
  t.strictSame(
    store
      .streams()[0]
      ?.entries.map(({ timestampNs, line, metadata, pushes }) => [
        timestampNs - NOW_NS,
        `${line}`,
        metadata.pod,
        pushes,
      ]),
    [
      [0n, 'x', 'p', 2],
      [0n, 'x', 'q', 2],
      [0n, 'x', undefined, 2],
      [1n, 'x', undefined, 1],
      [0n, 'y', undefined, 1],
    ],
  )
  t.end()
})

t.test('ages: seven days back, ten minutes ahead', (t) => {
  const { push } = lokiAt()
  const week = 168n * HOUR_NS
  t.equal(push({ a: [{ line: 'x', ns: NOW_NS - week }] }), 204)
  t.match(
    push({ b: [{ line: 'x', ns: NOW_NS - week - 1n }] }),
    /has timestamp too old: 2026-11-14T08:00:05Z, oldest acceptable timestamp is: 2026-11-14T08:00:06Z/,
  )
  t.equal(push({ c: [{ line: 'x', ns: NOW_NS + 600_000_000_000n }] }), 204)
  t.end()
})

t.test('of several failed checks one is told, or all, as asked for', (t) => {
  const lines = [{ line: 'x', ns: 0n }, { line: 'y', ns: 0n }, { line: 'z', ns: NOW_NS + HOUR_NS }, 'fine']
  const one = lokiAt()
  t.equal(
    one.push({ a: lines }),
    `400 entry for stream '{app="a", service_name="a"}' has timestamp too new: 2026-11-21T09:00:06Z\n`,
  )
  t.strictSame(one.lines('a'), ['fine'])
  const all = lokiAt({ checksTold: 'all' })
  t.match(
    all.push({ a: lines }),
    /^400 2 errors like: entry .* too old: 1970-\S+, .*; 1 errors like: entry .* too new: 2026-11-21T09:00:06Z\n$/,
  )
  t.match(all.push({ a: lines.slice(0, 1) }), /^400 entry for stream/)
  t.end()
})

t.test('several streams: the last one stored is told, then what failed a check', (t) => {
  const behind = { line: 'behind', ns: NOW_NS - 2n * HOUR_NS }
  const { push, lines, store } = lokiAt()
  push({ a: ['now'], b: ['now'] })
  t.equal(push({ a: [behind, 'kept'], b: ['fine'] }), 204, 'hidden')
  t.match(push({ b: ['fine 2'], a: [behind] }), /^400 .*total ignored: 1 out of 1 for stream: \{app="a"/s)
  t.match(
    push({ a: [{ line: 'ancient', ns: 0n }, 'kept 2'], b: ['fine 3'] }),
    /too old/,
    'a check is told though the last stream was fine',
  )
  t.match(push({ b: [{ line: 'ancient', ns: 0n }], a: [behind] }), /too far behind/, 'unless the last stream refuses')
  t.strictSame(lines('a'), ['now', 'kept', 'kept 2'])
  t.strictSame(lines('b'), ['now', 'fine', 'fine 2', 'fine 3'])
  t.equal(store.counts.refused, 5)
  t.end()
})

t.test('a bad label set keeps its stream out; one that cannot be read keeps all out', (t) => {
  const store = new LokiStore({})
  const push = (...labels: string[]) =>
    store.push({ streams: labels.map((set) => ({ labels: set, entries: [entryOf('x')] })) }, undefined, NOW_MS)
  t.match(push('{a="1",a="2"}', '{app="a"}').body, /duplicate label name/)
  t.strictSame(
    store.streams().map(({ labelSet }) => labelSet),
    ['{app="a", service_name="a"}'],
  )
  t.match(push('{app="b"}', '{nonsense'), { status: 400, body: /^couldn't parse labels: 1:10: parse error: / })
  const fifteen = Array.from({ length: 15 }, (_, index) => `l${index}="v"`).join(',')
  t.equal(push(`{${fifteen}}`).status, 204)
  t.match(push(`{${fifteen},one="more"}`).body, /has 16 label names; limit 15/)
  t.equal(push('{service_name="own",job="j"}').status, 204)
  t.equal(push('{zone="z",job="j"}').status, 204)
  t.strictSame(
    store.streams().map(({ labels }) => labels.service_name),
    ['a', 'unknown_service', 'own', 'j'],
  )
  t.equal(store.streams().at(-1)?.labelSet, '{job="j", service_name="j", zone="z"}')
  t.end()
})

t.test('metadata names are made valid; one that cannot be is a 500 for the whole push', (t) => {
  const { push, store } = lokiAt()
  const named = (...names: string[]) => ({ line: 'x', metadata: names.map((name) => ({ name, value: 'v' })) })
  t.equal(push({ a: [named('plain', 'k8s.pod-name', '2nd', 'a__b', '__own__')] }), 204)
  t.strictSame(Object.keys(store.streams()[0]!.entries[0]!.metadata), [
    'plain',
    'k8s_pod_name',
    'key_2nd',
    'a_b',
    '__own__',
  ])
  for (let attempt = 0; attempt < 2; attempt++) t.equal(push({ b: ['good', named('')] }), '500 label name is empty\n')
  t.equal(push({ b: [named('..')] }), '500 normalization for label name ".." resulted in invalid name "_"\n')
  t.equal(
    push({ b: [{ ...named(''), ns: 0n }] })
      .toString()
      .slice(0, 3),
    '400',
    'too old comes first',
  )
  t.strictSame(
    store.streams().map(({ labels }) => labels.app),
    ['a'],
  )
  t.end()
})

t.test('a push over 4 MiB is a 500, and nothing of it is stored', (t) => {
  const { push, lines } = lokiAt()
  const big = Array.from({ length: 17 }, (_, index) => Buffer.alloc(250_000, `${index} `))
  t.match(
    push({ a: big }),
    /^500 rpc error: code = ResourceExhausted desc = grpc: received message larger than max \(425\d{4} vs. 4194304\)\n$/,
  )
  t.strictSame(lines('a'), [])
  t.equal(push({ a: big.slice(1) }, { nowMs: NOW_MS + 2000 }), 204)
  t.end()
})

t.test('the rate of a tenant: all or nothing, and it comes back with time', (t) => {
  const { push, lines } = lokiAt({ authEnabled: true })
  const megabytes = (count: number) =>
    Array.from({ length: count * 8 }, (_, index) => Buffer.alloc(MB / 8, `${count} ${index} `))
  t.equal(push({ a: megabytes(3) }), 204)
  t.equal(push({ a: megabytes(2) }), 204)
  t.match(
    push({ a: megabytes(2) }),
    /^429 ingestion rate limit exceeded for user t1 \(limit: 4194304 bytes\/sec\) while attempting to ingest '16' lines totaling '2097152' bytes, /,
  )
  t.equal(push({ a: megabytes(2) }, { tenant: 't2' }), 204, 'each tenant has its own')
  t.match(push({ a: megabytes(2) }, { nowMs: NOW_MS + 249 }), /^429/)
  t.equal(push({ a: megabytes(2) }, { nowMs: NOW_MS + 250 }), 204, 'a quarter of a second is 1 MiB')
  t.equal(lines('a').length, (3 + 2 + 2) * 8)
  t.end()
})

t.test('the rate of a stream refuses the whole stream, and is told when it is alone', (t) => {
  const { push, lines, store } = lokiAt({ streamBytesPerSecond: 1024, streamBurstBytes: 4096 })
  t.equal(push({ a: ['x'.repeat(3000)] }), 204)
  const twelve = Array.from({ length: 12 }, (_, index) => `${index} `.padEnd(100, '.'))
  const refused = push({ a: twelve })
  t.match(
    refused,
    /^429 entry with timestamp 2026-11-21 08:00:06 \+0000 UTC ignored, reason: 'Per stream rate limit exceeded \(limit: 1KB\/sec\) while attempting to ingest for stream '\{app="a", service_name="a"\}' totaling 100B, consider splitting a stream/,
  )
  t.match(refused, /\nuser 'fake', total ignored: 12 out of 12 for stream: \{app="a", service_name="a"\}\n$/)
  t.equal(`${refused}`.split('\n').length, 12, 'ten are named')
  t.equal(push({ a: twelve, b: ['fine'] }), 204, 'hidden behind another stream')
  t.equal(lines('a').length, 1)
  t.equal(store.counts.refused, 24)
  t.equal(push({ a: twelve }, { nowMs: NOW_MS + 1000 }), 204)
  t.end()
})

t.test('a repeat of the last entry costs no rate, and is known even when nothing is kept', (t) => {
  let seen = 0
  const store = new LokiStore({ streamBurstBytes: 4096, streamBytesPerSecond: 1 }, () => seen++)
  const entries = [entryOf('x'.repeat(3000))]
  for (let push = 0; push < 3; push++)
    t.equal(store.push({ streams: [{ labels: '{app="a"}', entries }] }, undefined, NOW_MS).status, 204)
  t.strictSame(store.counts, { accepted: 3, repeated: 2, refused: 0, lineBytes: 9000 })
  t.equal(seen, 3)
  t.end()
})

t.test('over the stream limit known streams go on', (t) => {
  const { push, lines } = lokiAt({ streamsMax: 2 })
  t.equal(push({ a: ['x'], b: ['x'] }), 204)
  t.match(
    push({ c: ['x'] }),
    /^429 maximum active stream limit exceeded when trying to create stream \{app="c", service_name="c"\}, /,
  )
  t.equal(push({ c: ['x'], a: ['y'] }), 204, 'hidden')
  t.strictSame([lines('a'), lines('c')], [['x', 'y'], []])
  t.end()
})

t.test('tenants', (t) => {
  const store = new LokiStore({ authEnabled: true })
  const failure = (header?: string) => {
    const tenant = store.tenantOf(header)
    return typeof tenant === 'string' ? tenant : `${tenant.status} ${tenant.body}`
  }
  t.equal(failure(), '401 no org id\n')
  t.equal(failure('team-1'), 'team-1')
  t.equal(failure('team:product=k6'), 'team')
  t.equal(failure('a|a'), 'a')
  t.equal(failure('a|b'), '400 multiple org IDs present\n')
  t.equal(failure('..'), "400 tenant ID is '.' or '..'\n")
  t.equal(failure('x'.repeat(151)), '400 tenant ID is too long: max 150 characters\n')
  t.equal(new LokiStore().tenantOf('team-1'), 'fake')
  t.end()
})

t.test('a bucket holds no more than its burst, and time that goes back takes nothing', (t) => {
  const bucket = new TokenBucket(10, 100)
  t.equal(bucket.tryTake(101, 0), false)
  t.equal(bucket.tryTake(100, 0), true)
  t.equal(bucket.tryTake(100, 3_600_000), true)
  t.equal(bucket.tryTake(1, 3_600_000), false)
  t.equal(bucket.tryTake(1, 0), false)
  t.equal(bucket.tryTake(1, 100), true)
  t.end()
})

t.test('without limits', (t) => {
  const ages = lokiAt({ ageMsMax: Number.POSITIVE_INFINITY, behindMsMax: Number.POSITIVE_INFINITY })
  t.equal(ages.push({ a: ['now', { line: 'epoch', ns: 0n }] }), 204)
  const { push } = lokiAt(UNLIMITED_RATES)
  for (let round = 0; round < 10; round++)
    t.equal(push({ a: Array.from({ length: 16 }, (_, index) => Buffer.alloc(250_000, `${round} ${index} `)) }), 204)
  t.end()
})

t.test('times and sizes as Go writes them', (t) => {
  t.equal(goTime(NOW_NS), '2026-11-21 08:00:06 +0000 UTC')
  t.equal(goTime(NOW_NS + 120_000_000n), '2026-11-21 08:00:06.12 +0000 UTC')
  t.equal(goTime(NOW_NS + 7n), '2026-11-21 08:00:06.000000007 +0000 UTC')
  t.strictSame([0, 1000, 1024, 3 * MB, 1536 * 1024].map(byteSize), ['0B', '1000B', '1KB', '3MB', '1536KB'])
  t.end()
})
