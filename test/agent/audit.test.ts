// An audit log on its way through the whole agent: time, labels and metadata of each event, policy and redaction, lines in
// bad shape, large events, rotation, kills; and that nothing goes round it.
import { renameSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import type { AuditSourceConfig } from '../../src/config/config.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { AuditStreams } from '../../src/sinks/loki/audit-streams.ts'
import { fixture, fixtureLines } from '../audit/fixtures.ts'
import { FakeApiServer } from '../support/fake-api-server.ts'
import { criTime, elasticConfig, lokiConfig, World } from './world.ts'

const START_MS = Date.parse('2026-11-21T08:00:00Z')
const everything = fixtureLines('everything.log.gz')

function auditWorld(
  t: Test,
  over: Partial<AuditSourceConfig> = {},
  options: ConstructorParameters<typeof World>[1] = {},
): World {
  const world = new World(t, options)
  world.options.sources = [world.auditSource(over)]
  return world
}

const path = (world: World) => `${world.directory}/files/audit.log`
const append = (world: World, lines: readonly string[], to = path(world)) =>
  world.raw(to, lines.map((line) => `${line}\n`).join(''))
/** Some time passes first, as for an agent that runs. */
async function delivered(world: World): Promise<void> {
  await world.clock.advance(3000)
  await world.drain()
}

/** What is stored, without the label that the store adds. */
const stored = (world: World) =>
  world.loki.find().flatMap(({ labels: { service_name, ...labels }, entries }) =>
    entries.map(({ timestampNs, line, metadata }) => ({
      labels,
      timestampNs,
      line: line.toString(),
      metadata: { ...metadata } as Record<string, string>,
    })),
  )
const lines = (world: World) => stored(world).map(({ line }) => line)

const sorted = (pairs: object) => JSON.stringify(Object.entries(pairs).sort())

function policy(world: World, name: string): string {
  const file = `${world.directory}/policy.yaml`
  writeFileSync(file, fixture(`policies/${name}`))
  return file
}

t.test('each event once, with its own time, under the labels of its stage and verb', async (t) => {
  const world = auditWorld(t)
  append(world, everything)
  world.start()
  await delivered(world)
  t.strictSame(lines(world).sort(), [...everything].sort())
  for (const { labels, timestampNs, line, metadata } of stored(world)) {
    const event = JSON.parse(line)
    const expected = {
      cluster: 'test',
      node_name: 'node',
      job: 'kube-audit',
      stage: event.stage,
      verb: event.verb === '' ? 'other' : event.verb,
    }
    if (sorted(labels) !== sorted(expected)) t.same(labels, expected)
    const [seconds, micros] = event.stageTimestamp.split(/[.Z]/)
    const time = BigInt(Date.parse(`${seconds}Z`)) * 1_000_000n + BigInt(micros) * 1000n
    if (timestampNs !== time) t.equal(timestampNs, time)
    const { auditID, user, objectRef, responseStatus } = event
    const facts = {
      auditID,
      user: user.username,
      resource: objectRef?.resource,
      namespace: objectRef?.namespace,
      name: objectRef?.name,
      code: responseStatus && String(responseStatus.code),
    }
    const told = Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined))
    if (sorted(metadata) !== sorted(told)) t.same(metadata, told)
  }
  world.settled()
  t.equal(world.ledger().acked.lines, everything.length)
})

t.test('policy and redaction: what is kept is trimmed and clean, what is not is counted', async (t) => {
  const world = auditWorld(t)
  world.options.sources = [
    world.auditSource({ policyFile: policy(world, '01-managed-cluster.yaml'), redaction: { keyFile: null } }),
  ]
  append(world, everything)
  world.start()
  await delivered(world)
  const decisions = fixtureLines('policies/01-managed-cluster.decisions.ndjson.gz').map((line) => JSON.parse(line))
  const written = decisions.filter((decision) => decision.written)
  const events = lines(world).map((line) => JSON.parse(line))
  const key = ({ auditID, stage, level }: Record<string, string>) => `${auditID} ${stage} ${level}`
  t.strictSame(events.map(key).sort(), written.map(key).sort())
  t.equal(world.ledger().skipped.get('auditPolicy')?.lines, decisions.length - written.length)
  for (const secret of [
    'UzNjcjN0LVBAc3M=',
    'hunter2',
    'inline-plaintext-password',
    'cmdline-secret',
    'ssa-secret-token',
  ]) {
    t.notOk(
      lines(world).some((line) => line.includes(secret)),
      secret,
    )
  }
  world.settled()
})

t.test('torn and foreign lines are delivered as they stand, marked and counted', async (t) => {
  const world = auditWorld(t, { redaction: { keyFile: null } })
  const [first = '', second = ''] = everything
  append(world, ['I1121 07:51:10.1 a line of text', first, first.slice(0, 200), '', second])
  world.start()
  await delivered(world)
  const marked = stored(world).filter(({ metadata }) => metadata.taffrail_mark === 'not_audit')
  t.strictSame(
    marked.map(({ line }) => line).sort(),
    ['', 'I1121 07:51:10.1 a line of text', first.slice(0, 200)].sort(),
  )
  t.ok(marked.every(({ labels }) => Object.keys(labels).sort().join() === 'cluster,job,node_name'))
  t.equal(lines(world).length, 5)
  t.equal(
    world.events.of('lines.marked').reduce((sum, { lines }) => sum + lines, 0),
    3,
  )
  world.settled()
})

t.test('a line is cut at four MiB, and what is known of it is told', async (t) => {
  const world = auditWorld(t, { redaction: { keyFile: null } }, { sinks: [lokiConfig({ lineBytesMax: 1024 * 1024 })] })
  const event = JSON.parse(everything.find((line) => line.includes('"requestObject"')) as string)
  event.requestObject = { data: { x: 'y'.repeat(5 * 1024 * 1024) } }
  append(world, [JSON.stringify(event), everything[0] as string])
  world.start()
  await delivered(world)
  const [big] = stored(world).filter(({ metadata }) => metadata.taffrail_mark?.includes('cut_to_metadata'))
  t.equal(JSON.parse(big?.line ?? '{}').auditID, event.auditID)
  t.equal(lines(world).length, 2)
  world.settled()
})

for (const lineBytesMax of [4 * 1024 * 1024, 256 * 1024]) {
  t.test(`large events are worked on between turns, and come out whole or truncated: ${lineBytesMax}`, async (t) => {
    const limits = { lineBytesMax: 4 * 1024 * 1024 }
    const world = auditWorld(t, { redaction: { keyFile: null } }, { sinks: [lokiConfig({ lineBytesMax })], limits })
    const big = fixtureLines('big-event.log.gz')
    append(world, [everything[0] as string, ...big, everything[1] as string])
    world.start()
    await delivered(world)
    const ids = lines(world)
      .map((line) => JSON.parse(line))
      .map(({ auditID, stage }) => `${auditID} ${stage}`)
    const expected = [everything[0] as string, ...big, everything[1] as string].map((line) => JSON.parse(line))
    t.strictSame(ids.sort(), expected.map(({ auditID, stage }) => `${auditID} ${stage}`).sort())
    const truncated = stored(world).filter(
      ({ line }) => JSON.parse(line).annotations?.['audit.k8s.io/truncated'] === 'true',
    )
    t.equal(truncated.length, lineBytesMax > 1e6 ? 0 : big.filter((line) => line.length > lineBytesMax).length)
    for (const { metadata } of truncated)
      t.match(metadata, {
        taffrail_mark: 'truncated',
        taffrail_original_bytes: /^\d+$/,
        taffrail_original_sha256: /^[0-9a-f]{64}$/,
      })
    world.settled()
  })
}

t.test('a backlog is not taken apart for a Loki that does not answer, but for one that refuses', async (t) => {
  const world = auditWorld(t)
  append(world, everything)
  const { message } = AuditStreams.prototype
  t.teardown(() => {
    AuditStreams.prototype.message = message
  })
  let apart = 0
  AuditStreams.prototype.message = function (...these) {
    apart++
    return message.apply(this, these)
  }
  world.loki.fault = () => ({ kind: 'reset', store: 'none' })
  world.start()
  await world.clock.advance(3000)
  t.ok(world.loki.seen.length > 0)
  t.equal(apart, 0)
  let pushes = 0
  world.loki.fault = () => (pushes++ === 0 ? { kind: 'answer', status: 413, body: '' } : null)
  await world.clock.advance(60_000)
  await world.drain()
  t.ok(apart > 0)
  t.ok(lines(world).sort().join() === [...everything].sort().join(), 'all is there')
})

t.test('a large event is made a document between turns', async (t) => {
  const world = auditWorld(t, {}, { sinks: [elasticConfig()] })
  const pods = Array.from({ length: 6000 }, (_, i) => ({ metadata: { name: `p${i}`, labels: { 'app.io/name': 'x' } } }))
  const event = { ...JSON.parse(everything[0] as string), responseObject: { kind: 'PodList', items: pods } }
  append(world, [JSON.stringify(event)])
  const { clock } = world
  const pause = clock.yield.bind(clock)
  let pauses = 0
  clock.yield = () => {
    pauses++
    return pause()
  }
  world.start()
  await delivered(world)
  t.equal(world.elastic.documents.length, 1)
  t.ok(pauses > 20, `${pauses}`)
})

t.test('backups of the API server, compressed and not, belong to the log', async (t) => {
  const world = auditWorld(t)
  const at = (index: number) => everything.slice(index * 500, (index + 1) * 500)
  writeFileSync(
    `${world.directory}/files/audit-2026-11-21T07-52-00.100.log.gz`,
    gzipSync(
      at(0)
        .map((line) => `${line}\n`)
        .join(''),
    ),
  )
  append(world, at(1), `${world.directory}/files/audit-2026-11-21T07-52-30.200.log`)
  append(world, at(2))
  world.start()
  await world.clock.advance(3000)
  renameSync(path(world), `${world.directory}/files/audit-2026-11-21T07-53-00.300.log`)
  append(world, at(3))
  await delivered(world)
  t.strictSame(lines(world).sort(), everything.slice(0, 2000).sort())
  world.settled()
})

t.test('killed again and again, with failures in between: each event once', async (t) => {
  const world = auditWorld(t, {}, { eagerCheckpoints: false })
  world.options.sources = [
    world.auditSource({ policyFile: policy(world, '07-managed-fields.yaml'), redaction: { keyFile: null } }),
  ]
  let pushes = 0
  world.loki.fault = () => (++pushes % 7 === 3 ? { kind: 'reset', store: pushes % 2 === 0 ? 'all' : 'half' } : null)
  world.start()
  for (let part = 0; part < 8; part++) {
    append(world, everything.slice(part * 200, (part + 1) * 200))
    await world.clock.advance(1700 + part * 300)
    world.kill()
    world.start()
  }
  world.loki.fault = null
  await delivered(world)
  const events = lines(world)
  t.equal(new Set(events).size, events.length, 'none twice')
  const expected = fixtureLines('policies/07-managed-fields.decisions.ndjson.gz')
    .slice(0, 1600)
    .map((line) => JSON.parse(line))
  t.equal(events.length, expected.filter((decision) => decision.written).length)
  world.settled()
})

t.test('one stream that is refused for a while does not make the others come again', async (t) => {
  const world = auditWorld(t)
  append(world, everything.slice(0, 600))
  let refused = 0
  world.loki.fault = ({ push }) => {
    const isWatch = push?.streams.every(({ labels }) => labels.includes('verb="watch"'))
    return isWatch && refused++ < 6 ? { kind: 'answer', status: 503 } : null
  }
  world.start()
  await delivered(world)
  t.ok(refused > 6)
  const pushed = world.loki.seen.filter(({ outcome }) => outcome === 204).flatMap(({ push }) => push.streams)
  const entries = pushed.reduce((sum, { entries }) => sum + entries.length, 0)
  t.equal(entries, 600, 'each was delivered once')
  t.equal(lines(world).length, 600)
  world.settled()
})

t.test('equal ids with different content are all kept, and each reuse is counted and marked', async (t) => {
  const world = auditWorld(t, { redaction: { keyFile: null } })
  const event = JSON.parse(everything[0] as string)
  const same = Array.from({ length: 1000 }, (_, i) =>
    JSON.stringify({
      ...event,
      stage: 'ResponseComplete',
      requestURI: `/api/v1/pods/p${i}`,
      stageTimestamp: `2026-11-21T07:51:17.${String(i).padStart(6, '0')}Z`,
    }),
  )
  const odd = ['x'.repeat(8192), '\u0000\u001b[31m\n"\\', '🐢\ud800'].map((auditID) =>
    JSON.stringify({ ...event, auditID }),
  )
  append(world, [...same, ...odd, odd[0] as string])
  world.start()
  await delivered(world)
  const all = stored(world)
  t.strictSame(
    all.map(({ line }) => line).sort(),
    [...same, ...odd].sort(),
    'the repeat of the same bytes is the same entry',
  )
  t.equal(all.filter(({ metadata }) => metadata.taffrail_mark === 'audit_id_reused').length, 999)
  t.equal(
    world.events.of('lines.marked').reduce((sum, { lines }) => sum + lines, 0),
    999,
  )
  t.equal(all.find(({ metadata }) => metadata.auditID?.startsWith('xxx'))?.metadata.auditID?.length, 512)
  world.settled()
})

t.test(
  "events in a container's log: other lines pass as the container's, and no other source reads the file",
  async (t) => {
    const world = auditWorld(
      t,
      {},
      { sinks: [lokiConfig({ name: 'audit', sources: ['audit'] }), lokiConfig({ sources: ['pods', 'files'] })] },
    )
    const cri = world.auditSource({
      format: 'cri',
      paths: [`${world.directory}/pods/*kube-apiserver*/*/*.log`],
      redaction: { keyFile: null },
    })
    const files = world.fileSource({ paths: [`${world.directory}/**/*.log`] })
    world.options.sources = [world.podSource(), files, cri]
    const events = everything.slice(0, 100).filter((line) => line.length < 8000)
    const rows = events.flatMap((line, i) => {
      const time = criTime(START_MS + i)
      // Every other one in pieces, with a line of the server between them.
      if (i % 2 === 0) return [`${time} stdout F ${line}`]
      return [
        `${time} stdout P ${line.slice(0, 100)}`,
        `${time} stderr F I1121 klog line ${i}`,
        `${time} stdout F ${line.slice(100)}`,
      ]
    })
    append(world, rows, `${world.directory}/pods/kube-system_kube-apiserver-node_u1/kube-apiserver/0.log`)
    world.write('web', ['a line'])
    world.start()
    await delivered(world)
    const audit = stored(world).filter(({ labels }) => labels.job === 'kube-audit')
    t.equal(audit.length, events.length)
    t.ok(audit.every(({ labels, line }) => labels.verb === (JSON.parse(line).verb || 'other') && !('pod' in labels)))
    const others = stored(world).filter(({ labels }) => labels.container === 'kube-apiserver')
    t.equal(others.length, Math.floor(events.length / 2))
    t.match(others[0]?.labels, { job: 'kube-system/kube-apiserver', stream: 'stderr' })
    t.strictSame(world.loki.lines({ pod: 'web' }), ['a line'])
    t.equal(
      stored(world).filter(({ labels }) => labels.job === 'files').length,
      1,
      'the other pod, by the files source',
    )
  },
)

t.test("events of megabytes in a container's log, in pieces, over a rotation and a kill", async (t) => {
  const limits = { lineBytesMax: 4 * 1024 * 1024 }
  const sinks = [lokiConfig({ lineBytesMax: 4 * 1024 * 1024 })]
  const world = auditWorld(t, {}, { sinks, limits, eagerCheckpoints: false })
  const paths = [`${world.directory}/pods/*/*/*.log`]
  world.options.sources = [world.auditSource({ format: 'cri', paths, redaction: { keyFile: null } })]
  const [first = '', ...big] = [everything[0] as string, ...fixtureLines('big-event.log.gz')]
  const tooBig = JSON.parse(big[0] as string)
  tooBig.auditID = 'too-big'
  tooBig.requestObject = { data: { x: 'y'.repeat(5 * 1024 * 1024) } }
  const events = [first, ...big, JSON.stringify(tooBig), everything[1] as string]
  const pieces = events.flatMap((line, event) => {
    const chunks = line.match(/.{1,16000}/gsu) as string[]
    return chunks.flatMap((chunk, i) => {
      const time = criTime(START_MS + event)
      const row = `${time} stdout ${i < chunks.length - 1 ? 'P' : 'F'} ${chunk}`
      return i % 50 === 1 ? [row, `${time} stderr F I1121 klog line ${event} ${i}`] : [row]
    })
  })
  const path = `${world.directory}/pods/kube-system_kube-apiserver-node_u1/kube-apiserver/0.log`
  const half = Math.floor(pieces.length / 2)
  append(world, pieces.slice(0, half), path)
  world.start()
  await world.clock.advance(3000)
  world.kill()
  renameSync(path, `${path}.20261121-080500`)
  append(world, pieces.slice(half), path)
  world.start()
  await delivered(world)
  const audit = stored(world).filter(({ labels }) => labels.job === 'kube-audit')
  const ids = (all: { auditID: string; stage: string }[]) =>
    all.map(({ auditID, stage }) => `${auditID} ${stage}`).sort()
  const told = audit.map(({ line }) => JSON.parse(line))
  t.strictSame(ids(told), ids(events.map((line) => JSON.parse(line))), 'each once')
  t.equal(audit.find(({ metadata }) => metadata.auditID === 'too-big')?.metadata.taffrail_mark, 'cut_to_metadata')
  t.equal(audit.filter(({ metadata }) => metadata.taffrail_mark !== undefined).length, 1)
  const klog = pieces.filter((row) => row.includes(' stderr '))
  const others = stored(world).filter(({ labels }) => labels.stream === 'stderr')
  t.strictSame(others.map(({ line }) => line).sort(), klog.map((row) => row.slice(row.indexOf('I1121'))).sort())
  world.settled()
})

t.test('an audit source that cannot be what it should is not read, and all others are', async (t) => {
  const world = auditWorld(t)
  writeFileSync(`${world.directory}/policy.yaml`, 'kind: Policy\n')
  const broken = world.auditSource({ policyFile: `${world.directory}/policy.yaml` })
  world.options.sources = [broken, world.podSource(), world.fileSource()]
  append(world, everything.slice(0, 3))
  world.write('web', ['a line'])
  world.start()
  await delivered(world)
  t.match(world.events.of('audit.stopped'), [{ source: 'audit', reason: /apiVersion/ }])
  t.strictSame(lines(world), ['a line'], 'and the files source leaves the log alone')
})

t.test('no annotation of its pod leaves an event out, or takes it elsewhere', async (t) => {
  const api = new FakeApiServer()
  const tenants = [{ tenant: 'red', namespaces: ['*'] }]
  const kubernetes = { annotations: { honour: true, foreign: true, exemptNamespaces: [], tenants } }
  const sinks = [lokiConfig({ tenant: 'audit' })]
  const world = auditWorld(t, {}, { api, kubernetes, sinks, limits: { authEnabled: true } })
  const paths = [`${world.directory}/pods/*/*/*.log`]
  world.options.sources = [world.auditSource({ format: 'cri', paths })]
  const annotations = {
    'taffrail.dev/exclude': 'true',
    'vector.dev/exclude': 'true',
    'taffrail.dev/rate-limit': '1',
    'taffrail.dev/tenant': 'red',
  }
  api.put({
    kind: 'Pod',
    metadata: { name: 'a', namespace: 'ns', uid: 'uid-a', resourceVersion: '', annotations },
    spec: { nodeName: 'node' },
  })
  world.write('a', [...everything.slice(0, 20), 'no event'])
  world.start()
  await world.clock.advance(8000)
  t.equal(lines(world).length, 21)
  t.ok(world.loki.find().every(({ tenant }) => tenant === 'audit'))
})

const complete = everything
  .map((line) => JSON.parse(line))
  .find(({ stage, verb }) => stage === 'ResponseComplete' && verb === 'get')

function event(n: number, verb: string): string {
  const stamp = new Date(START_MS + n).toISOString().replace('Z', '000Z')
  return JSON.stringify({
    ...complete,
    auditID: `id-${n}`,
    verb,
    stageTimestamp: stamp,
    requestReceivedTimestamp: stamp,
  })
}

t.test('a fast stream that is refused in company is told, because it goes last, and nothing is lost', async (t) => {
  const limits = { streamBytesPerSecond: 1_000_000, streamBurstBytes: 1_100_000 }
  const world = auditWorld(t, {}, { limits, eagerCheckpoints: false })
  // `get` is first in every part and by far the fastest, then `list`; the others are calm.
  const verbs = [...Array(80).fill('get'), ...Array(16).fill('list'), 'create', 'delete', 'update']
  const written = Array.from({ length: 20_000 }, (_, n) => event(n, verbs[n % verbs.length]))
  append(
    world,
    verbs.map((verb, n) => event(-1 - n, verb)),
  )
  world.start()
  await delivered(world)
  const before = world.loki.seen.length
  append(world, written)
  await delivered(world)
  t.strictSame(
    lines(world)
      .filter((line) => !line.includes('"id--'))
      .sort(),
    written.sort(),
  )
  const stream = (verb: string) => (labels: string) => labels.includes(`verb="${verb}"`)
  const shared = world.loki.seen.slice(before).filter(({ push }) => push.streams.length > 1)
  const withFast = shared.filter(({ push }) => push.streams.some(({ labels }) => stream('get')(labels)))
  t.ok(
    withFast.some(({ outcome }) => outcome === 429),
    'refused in company, and told',
  )
})

for (const batchBytesMax of [lokiConfig().batchBytesMax, 128 * 1024]) {
  t.test(
    `of a backlog in several fast streams as much is read as fills pushes of ${batchBytesMax}, and no push takes more`,
    async (t) => {
      const sinks = [lokiConfig({ batchBytesMax })]
      const world = auditWorld(t, {}, { sinks, eagerCheckpoints: false })
      // Where a push is small one stream has nearly all of a block.
      const gets = batchBytesMax < lokiConfig().batchBytesMax ? 40 : 4
      const verbs = [...Array(gets).fill('get'), 'list', 'create', 'update']
      const written = Array.from({ length: 12_000 }, (_, n) => event(n, verbs[n % verbs.length] as string))
      append(world, written)
      world.start()
      await delivered(world)
      t.strictSame(lines(world).sort(), written.sort())
      const pushes = world.loki.seen.map(({ push }) =>
        push.streams.map(({ entries }) => entries.map(({ line }) => line.length)),
      )
      const bytes = (some: typeof pushes) =>
        some.map((streams) => streams.flat().reduce((sum, length) => sum + length, 0))
      const most = (some: typeof pushes) => Math.max(...bytes(some)) / batchBytesMax
      t.ok(most(pushes) <= 1, `${most(pushes)} of a batch in a push`)
      const alone = pushes.filter((streams) => streams.length === 1)
      t.ok(most(alone) > 0.6, `${most(alone)} of a batch in a push of one stream`)
      const readPerPush = bytes(pushes).reduce((sum, each) => sum + each, 0) / pushes.length / batchBytesMax
      t.ok(readPerPush > 0.5, `${readPerPush} of a batch in a push`)
      t.ok(ascends(world, 'get'), 'each stream in its order')
    },
  )
}

/** Whether a stream's entries came in the order of the log, whatever came twice. */
function ascends(world: ReturnType<typeof auditWorld>, verb: string): boolean {
  const streams = world.loki.seen.filter(({ outcome }) => outcome === 204).flatMap(({ push }) => push.streams)
  const came = streams.filter(({ labels }) => labels.includes(`verb="${verb}"`)).flatMap(({ entries }) => entries)
  const times = came.map(({ line }) => JSON.parse(line.toString()).stageTimestamp as string)
  return times.length > 0 && times.every((time, at) => at === 0 || (times[at - 1] as string) <= time)
}

t.test('a stream whose second push is refused keeps its order, and its first one does not come again', async (t) => {
  const world = auditWorld(t, {}, { eagerCheckpoints: false })
  const written = Array.from({ length: 12_000 }, (_, n) => event(n, n % 6 === 0 ? 'list' : 'get'))
  append(world, written)
  let gets = 0
  let first = ''
  world.loki.fault = ({ push }) => {
    const [stream] = push?.streams ?? []
    if (stream?.labels.includes('verb="get"') !== true) return null
    if (gets++ === 0) first = String(stream.entries[0]?.line)
    return gets === 2 ? { kind: 'answer', status: 503 } : null
  }
  world.start()
  await delivered(world)
  t.ok(gets > 4)
  t.strictSame(lines(world).sort(), written.sort())
  const pushed = world.loki.seen.flatMap(({ push }) => push.streams).flatMap(({ entries }) => entries)
  t.equal(pushed.filter(({ line }) => String(line) === first).length, 1, 'what was taken is not pushed again')
  t.ok(ascends(world, 'get'), 'in its order')
  t.ok(ascends(world, 'list'), 'in its order')
})

t.test(
  'what is refused of a backlog is told by its own file and place, though it lay compressed with others',
  async (t) => {
    const world = auditWorld(t, {}, { limits: { lineBytesMax: 3000 }, eagerCheckpoints: false })
    const written = Array.from({ length: 3000 }, (_, n) => event(n, n % 4 === 0 ? 'list' : 'get'))
    // Too long for Loki: one of each file, in the middle of what one stream has of it.
    const places = [400, 1900]
    for (const n of places) written[n] = event(n, 'list').replace('/openapi/v3', `/openapi/v3?${'x'.repeat(3000)}`)
    const rotated = `${world.directory}/files/audit-2026-11-21T08-00-01.500.log`
    append(world, written.slice(0, 1500), rotated)
    append(world, written.slice(1500))
    world.start()
    await delivered(world)
    t.strictSame(lines(world).sort(), written.filter((_, n) => !places.includes(n)).sort())
    const before = (from: number, to: number) => written.slice(from, to).join('\n').length + 1
    const told = world.letters.letters.map(({ path: file, offset, line, labels }) => [file, offset, line, labels?.verb])
    t.strictSame(
      told.sort(),
      [
        [rotated, before(0, 400), written[400], 'list'],
        [path(world), before(1500, 1900), written[1900], 'list'],
      ].sort(),
    )
    world.settled()
  },
)

t.test('a backlog of hours goes in pushes of half an hour at most', async (t) => {
  const world = auditWorld(t, {}, { eagerCheckpoints: false })
  const written = Array.from({ length: 3000 }, (_, n) => event(-6000 * (3000 - n), n % 4 === 0 ? 'list' : 'get'))
  append(world, written)
  world.start()
  await delivered(world)
  t.strictSame(lines(world).sort(), written.sort())
  const spans = world.loki.seen.flatMap(({ push }) =>
    push.streams.map(({ entries }) => {
      const seconds = entries.map(({ timestampNs }) => Number(timestampNs / 1_000_000_000n))
      return Math.max(...seconds) - Math.min(...seconds)
    }),
  )
  t.ok(Math.max(...spans) <= 1800, `${Math.max(...spans)} s`)
  t.ok(ascends(world, 'get'), 'each stream in its order')
})

t.test('of a backlog hardly a byte is read twice', async (t) => {
  let bytesRead = 0
  const fs = {
    ...realFileSystem,
    reads: {
      ...realFileSystem.reads,
      read(...args: Parameters<typeof realFileSystem.reads.read>) {
        const bytes = realFileSystem.reads.read(...args)
        bytesRead += bytes
        return bytes
      },
    },
  }
  const world = auditWorld(t, {}, { fs })
  const written = Array.from({ length: 30_000 }, (_, n) => event(n, n % 3 === 0 ? 'list' : 'get'))
  append(world, written)
  world.start()
  await delivered(world)
  t.equal(lines(world).length, written.length)
  const share = bytesRead / written.reduce((sum, line) => sum + line.length + 1, 0)
  t.ok(share < 1.02, `${share} of the file`)
})
