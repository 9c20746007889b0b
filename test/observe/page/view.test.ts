import t from 'tap'
import {
  annotationNotes,
  balance,
  formatBytes,
  formatCount,
  formatSeconds,
  headline,
  lineageName,
  lineageRows,
  throughput,
  webhookNotes,
} from '../../../src/observe/page/view.ts'
import { sampleSink, sampleStatus } from '../sample.ts'

t.test('bytes', async (t) => {
  const cases: [number, string][] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [102_348, '99.9 KiB'],
    [102_400, '100 KiB'],
    [1024 * 1024 - 1, '1.0 MiB'],
    [25 * 1024 ** 2, '25.0 MiB'],
    [1.25 * 1024 ** 3, '1.3 GiB'],
    [7 * 1024 ** 5, '7.0 PiB'],
    [7000 * 1024 ** 5, '7000 PiB'],
    [-2048, '−2.0 KiB'],
  ]
  for (const [bytes, text] of cases) t.equal(formatBytes(bytes), text, String(bytes))
})

t.test('counts', async (t) => {
  t.equal(formatCount(0), '0')
  t.equal(formatCount(1_234_567.4), '1,234,567')
})

t.test('seconds', async (t) => {
  const cases: [number, string][] = [
    [0, '0 s'],
    [0.04, '0 s'],
    [0.42, '0.4 s'],
    [9.94, '9.9 s'],
    [9.96, '10 s'],
    [59.4, '59 s'],
    [59.6, '1 m 00 s'],
    [125, '2 m 05 s'],
    [3599.7, '1 h 00 m'],
    [11_520, '3 h 12 m'],
    [86_400 * 4 + 7300, '4 d 2 h'],
  ]
  for (const [seconds, text] of cases) t.equal(formatSeconds(seconds), text, String(seconds))
})

t.test('throughput', async (t) => {
  const older = sampleStatus()
  const newer = structuredClone(older)
  newer.now += 4000
  newer.sinks[0]!.acked = { bytes: 1_008_000, lines: 10_040 }
  t.same(throughput(older, newer, 'loki'), { bytes: 2000, lines: 10 })
  t.same(throughput(older, newer, 'out'), { bytes: 0, lines: 0 })
  t.equal(throughput(undefined, newer, 'loki'), null, 'the first answer')
  t.equal(throughput(older, older, 'loki'), null, 'the same one')
  t.equal(throughput(newer, older, 'loki'), null, 'a clock that went back')
  t.equal(throughput(older, { ...newer, startedAt: newer.startedAt + 1 }, 'loki'), null, 'a restart')
  t.equal(throughput({ ...older, sinks: [] }, newer, 'loki'), null, 'a new sink')
})

t.test('the balance of an account', async (t) => {
  const sink = sampleSink('loki', 'loki')
  const { parts, lost, off } = balance(sink)
  t.same(off, { bytes: 0, lines: 0 })
  t.same(
    parts.map(({ kind, bytes, lines }) => [kind, bytes, lines]),
    [
      ['acked', 1_000_000, 10_000],
      ['flight', 500, 5],
      ['skipped', 5000, 50],
      ['dropped', 300, 3],
      ['dead', 2100, 21],
    ],
  )
  t.same(
    parts.at(-1)!.reasons.map(([reason]) => reason),
    ['too_old', 'invalid_labels'],
  )
  t.equal(lost.bytes, 4096, 'what was never read stands beside the sum')
  t.same(balance({ ...sink, acked: { bytes: 999_990, lines: 9_999 } }).off, { bytes: 10, lines: 1 })
  t.same(balance({ ...sink, dropped: { none: { bytes: 0, lines: 0 } } }).parts[3]!.reasons, [], 'zeros are not reasons')
})

t.test('the headline', async (t) => {
  const status = sampleStatus()
  const halted = [{ ...status.sinks[0]!, state: 'halted' as const }, status.sinks[1]!]
  const cases: [Partial<typeof status>, string, string][] = [
    [{}, 'good', 'Healthy'],
    [{ healthy: false, ready: false, sinks: halted }, 'bad', 'Not healthy'],
    [{ ready: false }, 'wait', 'Starting'],
    [{ phase: 'draining' }, 'wait', 'Draining before it stops'],
    [{ phase: 'draining', healthy: false }, 'bad', 'Not healthy'],
    [{ phase: 'stopped' }, 'wait', 'Stopped'],
    [{ sinks: halted }, 'wait', 'Healthy, with trouble'],
    [{ configErrors: ['c.yaml:3:1: x'] }, 'wait', 'Healthy, with trouble'],
  ]
  for (const [change, tone, title] of cases) t.match(headline({ ...status, ...change }), { tone, title }, title)
  t.same(headline({ ...status, sinks: halted, reasons: ['r'] }).reasons, ['Sink loki needs an operator.', 'r'])
  const told = (configErrors: string[]) => headline({ ...status, configErrors }).reasons.join()
  t.match(told(['c.yaml:3:1: x']), /not taken, the one before it runs: c.yaml:3:1: x\.$/)
  t.match(told(['c.yaml:3:1: x', 'c.yaml:4:1: y', 'z']), /: c.yaml:3:1: x \(and 2 more\)\.$/)
})

t.test('rows of lineages', async (t) => {
  const { lineages } = sampleStatus(12)
  const view = { search: '', sortBy: 'lagBytes', descending: true, rowsMax: 200 }
  const names = (change: Partial<typeof view>) =>
    lineageRows(lineages, { ...view, ...change }).rows.map((row) => Number(/checkout-(\d+)/.exec(row.key)![1]))
  t.same(names({}).slice(0, 3), [11, 10, 9])
  for (const sortBy of ['lagSeconds', 'sizeBytes'])
    t.same(names({ sortBy, descending: false }).slice(0, 2), [0, 1], sortBy)
  t.same(names({ sortBy: 'files' }).slice(0, 3), [0, 1, 10], 'ties by name')
  t.same(names({ sortBy: 'lossSeconds' }).slice(0, 3), [1, 3, 5], 'the closest to a loss first')
  t.same(names({ sortBy: 'lossSeconds' }).slice(6, 8), [0, 10], 'then those in no danger')
  t.same(names({ sortBy: 'lineage', descending: true }).slice(0, 2), [9, 8])
  lineages[7]!.source = 'audit'
  t.equal(names({ sortBy: 'source', descending: false })[0], 7)
  t.same(names({ search: ' Checkout-11/' }), [11])
  t.equal(names({ search: '031500.gz' }).length, 12, 'the paths of files are searched')
  t.match(lineageRows(lineages, { ...view, rowsMax: 5 }), { matching: 12, rows: { length: 5 } })
  const [one] = lineages[1]!.sinks
  for (const [losses, least] of [
    [[null, 30, 20], 20],
    [[0, 5], 0],
    [[null], null],
  ] as const) {
    const sinks = losses.map((lossSeconds) => ({ ...one!, lossSeconds }))
    t.equal(lineageRows([{ ...lineages[1]!, sinks }], view).rows[0]!.lossSeconds, least)
  }
  t.match(lineageRows([{ ...lineages[0]!, sinks: [], files: [] }], view).rows, [
    { lagBytes: 0, lagSeconds: 0, lossSeconds: null, sizeBytes: 0 },
  ])
})

t.test('annotations that are not understood', async (t) => {
  const status = sampleStatus()
  t.same(annotationNotes(status), [])
  t.same(annotationNotes({ ...status, kubernetes: null }), [])
  if (status.kubernetes === null) throw new Error('the sample has no API server')
  const first = [{ pod: 'ns/a', annotation: 'taffrail.dev/exclude', problem: 'neither true nor false' }]
  status.kubernetes.annotations = { invalid: 3, first }
  t.same(annotationNotes(status), [
    'ns/a: taffrail.dev/exclude is taken for absent: neither true nor false',
    'and 2 more',
  ])
})

t.test('the name of a lineage says its source and the UID of its pod elsewhere', async (t) => {
  const uid = '747a01bb-2fe7-42ce-8f83-0132cb441312'
  const cases: [source: string, lineage: string, name: string, uid: string][] = [
    ['c', `c:shop/web-1/app/${uid}`, 'shop/web-1/app', uid],
    [
      'c',
      'c:kube-system/etcd-1/etcd/0123456789abcdef0123456789abcdef',
      'kube-system/etcd-1/etcd',
      '0123456789abcdef0123456789abcdef',
    ],
    ['app', 'app:/logs/a.log', '/logs/a.log', ''],
    ['app', `app:/logs/${uid}`, `/logs/${uid}`, ''],
    ['a', 'ab:x', 'ab:x', ''],
  ]
  for (const [source, lineage, ...expected] of cases) t.same(lineageName({ source, lineage }), expected)
})

t.test(
  'audit webhooks are told, and with them who sends; one that does not listen or is full is trouble',
  async (t) => {
    const status = sampleStatus()
    t.same(webhookNotes(status), [
      'hook listens on 0.0.0.0:9443: 310 batches taken (12,000 events), 3 put off, 1 refused for good, 1 missing.',
      'hook, cp-1: 70.0 MiB in the spool, the oldest 1 m 30 s old.',
    ])
    t.same(webhookNotes({ ...status, webhooks: [] }), [])
    t.equal(headline(status).tone, 'good')
    const [webhook] = status.webhooks
    const broken = {
      ...status,
      webhooks: [{ ...webhook!, address: null, lastError: 'EADDRINUSE', spool: { ...webhook!.spool, isFull: true } }],
    }
    t.match(
      webhookNotes(broken)[0],
      /^hook does not listen on 0\.0\.0\.0:9443: .* The spool is full\. Last error: EADDRINUSE$/,
    )
    t.match(headline(broken), {
      tone: 'wait',
      reasons: ['Webhook hook does not listen.', 'The spool of webhook hook is full.'],
    })
  },
)
