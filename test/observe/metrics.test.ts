import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { AgentStatus } from '../../src/core/status.ts'
import { createCounters, createEvents } from '../../src/observe/events.ts'
import { createLog } from '../../src/observe/log.ts'
import { createMetrics, metricNames } from '../../src/observe/metrics.ts'
import { fakeClock } from './fake-clock.ts'
import { sampleLineage, sampleSink, sampleStatus } from './sample.ts'

/** Series by `name{labels}` without the prefix; fails on a line that is not in the text format. */
function parse(t: Test, text: string): Map<string, number> {
  const series = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# ')) continue
    const match = /^taffrail_(\w+(?:\{(?:\w+="(?:[^"\\\n]|\\[\\"n])*",?)*\})?) (-?[\d.e+-]+)$/.exec(line)
    if (match === null) t.fail(`not a sample: ${line}`)
    else series.set(match[1]!, Number(match[2]))
  }
  return series
}

/** Scrapes that each see what `status` is at that time. */
function setUp(t: Test, status: AgentStatus) {
  const agent = { status, counters: createCounters() }
  const metrics = createMetrics(() => agent.status, agent.counters)
  return { agent, scrape: async () => parse(t, await metrics.text()) }
}

const oneSink = (change: Partial<ReturnType<typeof sampleSink>>) => ({
  ...sampleStatus(),
  sinks: [{ ...sampleSink('loki', 'loki'), ...change }],
  lineages: [sampleLineage(0, ['loki'])],
})

t.test('the account of a sink, as the status has it', async (t) => {
  const { agent, scrape } = setUp(t, sampleStatus())
  agent.counters.events['sink.retry'] = 7
  agent.counters.markedLines.set('not_cri', 3)
  agent.counters.lateRecords.set('loki', 2)
  const series = await scrape()
  const expected: Record<string, number> = {
    'read_bytes_total{sink="loki"}': 1_007_900,
    'read_lines_total{sink="loki"}': 10_079,
    'acked_bytes_total{sink="loki"}': 1_000_000,
    'acked_lines_total{sink="out"}': 10_000,
    'in_flight_bytes{sink="loki"}': 500,
    'in_flight_lines{sink="loki"}': 5,
    'skipped_bytes_total{sink="loki",rule="startAgeMax"}': 5000,
    'dropped_lines_total{sink="loki",reason="queue_full"}': 3,
    'dead_lettered_bytes_total{sink="loki",reason="too_old"}': 2050,
    'dead_lettered_lines_total{sink="loki",reason="invalid_labels"}': 1,
    'lost_bytes_total{sink="loki",cause="deleted_while_behind"}': 4096,
    'lag_bytes{sink="loki"}': 12_345,
    'oldest_unacked_seconds{sink="loki"}': 0.4,
    'last_ack_timestamp_seconds{sink="loki"}': 1_790_000_273,
    'sink_state{sink="loki",state="ok"}': 1,
    'sink_state{sink="loki",state="halted"}': 0,
    'requests_total{sink="loki",code="204"}': 1234,
    'retries_total{sink="loki",code="429"}': 3,
    'requests_in_flight{sink="loki"}': 1,
    'lanes{sink="loki"}': 12,
    'lanes_retrying{sink="loki"}': 0,
    'late_records_total{sink="loki"}': 2,
    checkpoint_age_seconds: 0.12,
    checkpoint_pending: 2,
    checkpoint_failing: 0,
    memory_budget_bytes: 25_165_824,
    memory_used_bytes: 3_145_728,
    'lineages{source="containers"}': 3,
    'lineages{source="audit"}': 0,
    open_files: 6,
    sleeping_lineages: 0,
    waiting_lineages: 0,
    unlinked_files: 3,
    unlinked_bytes: 2100,
    rotations_total: 41,
    truncations_total: 2,
    files_refused_total: 1,
    file_errors_total: 0,
    'marked_lines_total{mark="not_cri"}': 3,
    healthy: 1,
    ready: 1,
    'events_total{event="sink.retry"}': 7,
    'events_total{event="file.error"}': 0,
    start_time_seconds: 1_790_000_000,
    [`build_info{version="0.1.0",node_version="${process.version}"}`]: 1,
  }
  for (const [name, value] of Object.entries(expected)) t.equal(series.get(name), value, name)
  t.ok(series.get('process_cpu_seconds_total')! > 0)
  t.ok(series.get('process_resident_memory_bytes')! > 10e6)
})

t.test('the histogram is cumulative and ends with all', async (t) => {
  const series = await setUp(t, sampleStatus()).scrape()
  const of = (rest: string) => series.get(`request_duration_seconds${rest}`)
  t.equal(of('_bucket{sink="loki",le="0.1"}'), 1200)
  t.equal(of('_bucket{sink="loki",le="1"}'), 1230)
  t.equal(of('_bucket{sink="loki",le="+Inf"}'), 1234)
  t.equal(of('_count{sink="loki"}'), 1234)
  t.equal(of('_sum{sink="loki"}'), 61.5)
})

t.test('counters follow the status upwards and never go back', async (t) => {
  const { agent, scrape } = setUp(t, oneSink({}))
  const read = async () => (await scrape()).get('read_bytes_total{sink="loki"}')
  t.equal(await read(), 1_007_900)
  t.equal(await read(), 1_007_900, 'the same status is not counted twice')
  agent.status = oneSink({ read: { bytes: 1_007_500, lines: 10_075 } })
  t.equal(await read(), 1_007_900, 'a rewind gave 400 bytes back')
  agent.status = oneSink({ read: { bytes: 1_007_950, lines: 10_080 } })
  t.equal(await read(), 1_007_950)
})

t.test('an agent that was built anew counts from its own start', async (t) => {
  const { agent, scrape } = setUp(t, oneSink({}))
  await scrape()
  agent.status = { ...oneSink({ read: { bytes: 5, lines: 1 } }), startedAt: sampleStatus().startedAt + 60_000 }
  t.equal((await scrape()).get('read_bytes_total{sink="loki"}'), 5)
})

t.test('a lineage that goes away takes nothing from the sums', async (t) => {
  const { agent, scrape } = setUp(t, sampleStatus(5))
  const before = await scrape()
  agent.status = { ...agent.status, lineages: [] }
  const after = await scrape()
  for (const [name, value] of before) {
    if (/_total/.test(name) && !name.startsWith('process_')) t.equal(after.get(name), value, name)
  }
})

t.test('label combinations that are gone leave no series', async (t) => {
  const { agent, scrape } = setUp(t, sampleStatus())
  await scrape()
  agent.status = oneSink({ lastAckAt: null, deadLettered: { too_old: { bytes: 1, lines: 1 } }, requests: {}, lost: {} })
  const names = [...(await scrape()).keys()]
  const with_ = (text: string) => names.filter((name) => name.includes(text))
  t.same(with_('sink="out"'), [])
  t.same(with_('invalid_labels'), [])
  t.same(with_('requests_total'), [])
  t.same(with_('lost_bytes_total'), [])
  t.same(with_('last_ack_timestamp'), [])
  t.same(with_('dead_lettered').length, 2)
  agent.status = { ...sampleStatus(), sinks: [], lineages: [] }
  t.same(
    [...(await scrape()).keys()].filter((name) => name.includes('sink=')),
    [],
  )
})

t.test('lag is shown as the worst ten of each sink', async (t) => {
  const { agent, scrape } = setUp(t, sampleStatus(200))
  const series = await scrape()
  const lag = (sink: string, rank: number) => series.get(`lineage_lag_bytes{sink="${sink}",rank="${rank}"}`)
  t.same([lag('loki', 1), lag('loki', 10), lag('loki', 11)], [20_000, 19_100, undefined])
  t.equal(series.get('lineage_lag_seconds{sink="out",rank="1"}'), 199)
  const loss = (rank: number) => series.get(`lineage_loss_seconds{sink="loki",rank="${rank}"}`)
  t.same([loss(1), loss(2), loss(10), loss(11)], [100, 300, 1900, undefined], 'the closest first, of those in danger')

  agent.status = { ...sampleStatus(0), lineages: [sampleLineage(4, ['loki'])] }
  const few = await scrape()
  t.same(
    [...few.keys()].filter((name) => name.startsWith('lineage_lag_bytes')),
    ['lineage_lag_bytes{sink="loki",rank="1"}'],
  )
})

t.test('the number of series does not grow with the node, and no label names a pod or a path', async (t) => {
  const status = sampleStatus(1000)
  const series = await setUp(t, status).scrape()
  const small = await setUp(t, sampleStatus(20)).scrape()
  t.equal(series.size, small.size)
  const text = [...series.keys()].join('\n')
  for (const word of ['checkout', '/var/log', '0d9f6c1e']) t.notOk(text.includes(word), word)
})

t.test('label values of any kind keep the format', async (t) => {
  const { scrape } = setUp(t, oneSink({ lost: { 'a "b" \\ c\nd{}': { bytes: 5, lines: 0 } } }))
  t.equal((await scrape()).get('lost_bytes_total{sink="loki",cause="a \\"b\\" \\\\ c\\nd{}"}'), 5)
})

t.test('one scrape takes one snapshot, and scrapes at once do not mix theirs', async (t) => {
  let calls = 0
  const metrics = createMetrics(() => {
    calls++
    return oneSink({ lanes: calls, requestSeconds: { bounds: [Infinity], counts: [calls], sum: 1 } })
  }, createCounters())
  const [first, second] = await Promise.all([metrics.text(), metrics.text()])
  t.equal(calls, 2)
  for (const [text, lanes] of [
    [first, 1],
    [second, 2],
  ] as const) {
    const series = parse(t, text)
    t.equal(series.get('lanes{sink="loki"}'), lanes)
    t.equal(series.get('request_duration_seconds_count{sink="loki"}'), lanes)
  }
})

t.test('a status that throws fails the scrape and not the next one', async (t) => {
  let broken = true
  const metrics = createMetrics(() => {
    if (broken) throw new Error('broken status')
    return sampleStatus()
  }, createCounters())
  await t.rejects(metrics.text(), { message: 'broken status' })
  broken = false
  t.match(await metrics.text(), /taffrail_healthy 1/)
})

t.test('what is not known is absent, not 0', async (t) => {
  const { scrape } = setUp(t, sampleStatus())
  t.notOk((await scrape()).has('event_loop_delay_p99_seconds'), 'the first scrape begins to measure')
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
  const series = await scrape()
  t.ok(series.get('event_loop_delay_p99_seconds')! >= 0)
  t.ok(series.get('event_loop_delay_max_seconds')! >= series.get('event_loop_delay_p99_seconds')!)
})

t.test('metrics set no timer', async (t) => {
  const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  await createMetrics(sampleStatus, createCounters()).text()
  t.equal(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length, before)
})

t.test('the course of audit logs, as far as each sink has read them', async (t) => {
  const course = { usualPauseSeconds: 2, silenceSeconds: 300, newestEventSeconds: 1, isSilent: true }
  const lineage = (i: number, openRequests: number) => {
    const { sinks, ...rest } = sampleLineage(i, ['loki'])
    const continuity = { ...course, openRequests, untrackedRequests: 2 }
    return { ...rest, source: 'audit', sinks: sinks.map((sink) => ({ ...sink, continuity })) }
  }
  const { agent, scrape } = setUp(t, {
    ...sampleStatus(),
    lineages: [lineage(1, 5), lineage(2, 7), sampleLineage(3, ['loki'])],
  })
  createEvents(createLog({ level: 'error' }), agent.counters, fakeClock()).emit('audit.gap', {
    source: 'audit',
    sink: 'loki',
    path: '/audit.log',
    finding: 'hole',
    confidence: 'likely',
    text: 'x',
  })
  const series = await scrape()
  const audit = Object.fromEntries([...series].filter(([name]) => name.startsWith('audit_')))
  t.strictSame(audit, {
    'audit_gaps_total{sink="loki",finding="hole",confidence="likely"}': 1,
    'audit_silent{source="audit",sink="loki"}': 2,
    'audit_open_requests{source="audit",sink="loki"}': 12,
    'audit_untracked_requests{source="audit",sink="loki"}': 4,
  })
})

t.test('names follow the conventions, and docs/operations.md has each of them and no other', async (t) => {
  const text = await createMetrics(sampleStatus, createCounters()).text()
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\w+)$/gm)].map(([, name, type]) => [name!, type!]))
  t.same([...types.keys()].sort(), [...metricNames].sort())
  for (const [name, type] of types) {
    t.match(name, /^taffrail_[a-z][a-z0-9_]*$/)
    t.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`)
  }
  const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  const documented = [...page.matchAll(/^\| `(taffrail_\w+)` \| (\w+) \|/gm)]
  t.same(documented.map(([, name]) => name).sort(), [...types.keys()].sort())
  for (const [, name, type] of documented) t.equal(type, types.get(name!), name!)
  for (const [name] of page.matchAll(/\btaffrail_\w+/g)) {
    t.ok(types.has(name.replace(/_(bucket|sum|count)$/, '')), `${name}, used in the page, exists`)
  }
})

t.test('what is known from the API server', async (t) => {
  const annotations = { invalid: 3, first: [] }
  const known = { from: 'x', watches: [], pods: 20, tombstones: 2, namespaces: 4, annotations, waiting: 1, unknown: 5 }
  const { agent, scrape } = setUp(t, { ...sampleStatus(), kubernetes: known })
  const series = await scrape()
  t.equal(series.get('annotations_invalid'), 3)
  t.equal(series.get('metadata_waiting'), 1)
  t.equal(series.get('metadata_missing'), 5)
  t.equal(series.get('kubernetes_pods'), 20)
  agent.status = { ...sampleStatus(), kubernetes: null }
  t.equal((await scrape()).get('annotations_invalid'), undefined)
})
