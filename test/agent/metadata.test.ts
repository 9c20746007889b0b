// Whose lines they are: what the API server knows reaches the lines of the right pod, in time or marked as not, once
// decided for good, whenever the agent is killed.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FakeApiServer, type KubeThing } from '../support/fake-api-server.ts'
import { lokiConfig, stdoutConfig, texts, World, type WorldOptions } from './world.ts'

function pod(name: string, over: Partial<KubeThing['metadata']> = {}, status: object = {}): KubeThing {
  const labels = { app: `app-of-${name}`, version: 'v1', ...over.labels }
  const metadata = { name, namespace: 'ns', uid: `uid-${name}`, resourceVersion: '', ...over, labels }
  return { kind: 'Pod', apiVersion: 'v1', metadata, spec: { nodeName: 'node' }, status: { ...status } }
}

function start(t: Test, options: WorldOptions = {}) {
  const api = new FakeApiServer()
  const world = new World(t, { api, ...options })
  return { api, world }
}

/** What the stored lines say of themselves: labels and structured metadata together, by line. */
function stored(world: World): Map<string, Record<string, string>[]> {
  const byLine = new Map<string, Record<string, string>[]>()
  for (const { labels, entries } of world.loki.find()) {
    for (const { line, metadata } of entries) {
      const all = { ...labels, ...metadata }
      const text = line.toString()
      byLine.set(text, [...(byLine.get(text) ?? []), all])
    }
  }
  return byLine
}

function of(world: World, line: string): Record<string, string> {
  const [only, ...more] = stored(world).get(line) ?? []
  if (only === undefined || more.length > 0) throw new Error(`${line}: stored ${more.length + Number(!!only)} times`)
  return only
}

t.test('what is known of a pod is with its lines', async (t) => {
  const { api, world } = start(t, {
    sinks: [
      lokiConfig({
        labelsFrom: { team: 'namespace.labels.team', version: 'pod.labels.version' },
        structuredMetadata: ['pod_uid', 'owner_kind', 'owner_name', 'pod.annotations.example.com/note'],
      }),
    ],
  })
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-6d4fbd6fbd', controller: true }
  api.put({
    kind: 'Namespace',
    metadata: { name: 'ns', uid: 'n', resourceVersion: '', labels: { team: 'web', other: 'x' } },
  })
  api.put(
    pod('web', {
      labels: { 'pod-template-hash': '6d4fbd6fbd', 'app.kubernetes.io/name': 'shop-web' },
      annotations: { 'example.com/note': 'hello' },
      ownerReferences: [owner],
    }),
  )
  world.write('web', ['line'])
  world.start()
  await world.clock.advance(3000)
  t.strictSame(of(world, 'line'), {
    cluster: 'test',
    node_name: 'node',
    namespace: 'ns',
    pod: 'web',
    container: 'app',
    app: 'shop-web',
    job: 'ns/app',
    stream: 'stdout',
    service_name: 'shop-web',
    team: 'web',
    version: 'v1',
    pod_uid: 'uid-web',
    owner_kind: 'Deployment',
    owner_name: 'web',
    pod_annotations_example_com_note: 'hello',
  })
  t.ok(
    api.seen.every(({ headers }) => headers.accept?.includes('PartialObjectMetadata')),
    'without spec and status',
  )
})

t.test('lowCardinality: the pod is no label', async (t) => {
  const { api, world } = start(t, { sinks: [lokiConfig({ profile: 'lowCardinality', structuredMetadata: [] })] })
  for (const name of ['a', 'b']) {
    api.put(pod(name, { labels: { app: 'web' } }))
    world.write(name, ['the same line at the same time'])
  }
  world.start()
  await world.clock.advance(5000)
  const streams = world.loki.find()
  t.equal(streams.length, 1)
  t.equal(streams[0]?.labels.pod, undefined)
  t.strictSame(
    streams[0]?.entries.map(({ metadata }) => metadata).sort((a, b) => (a.pod! < b.pod! ? -1 : 1)),
    [{ pod: 'a' }, { pod: 'b' }],
  )
})

t.test('lines wait for a pod that is told of late, and not for ever', async (t) => {
  const { api, world } = start(t)
  world.write('late', ['late one'])
  world.write('never', ['never one'])
  world.start()
  await world.clock.advance(4000)
  t.equal(stored(world).size, 0, 'both wait')
  t.equal(world.agent.status().kubernetes?.waiting, 2)
  api.put(pod('late'))
  await world.clock.advance(500)
  await world.clock.advance(2000)
  t.match(of(world, 'late one'), { app: 'app-of-late', metadata: undefined })
  t.match(of(world, 'never one'), { app: 'never', pod_uid: 'uid-never', metadata: 'path' })
  t.match(world.agent.status().kubernetes, { waiting: 0, unknown: 1, pods: 1 })
  t.equal(world.events.of('metadata.missing').length, 1)
  // Told of after all: later lines have it.
  api.put(pod('never'))
  await world.clock.advance(1000)
  world.write('never', ['never two'])
  await world.clock.advance(3000)
  t.match(of(world, 'never two'), { app: 'app-of-never', metadata: undefined })
  t.match(of(world, 'never one'), { metadata: 'path' })
  t.equal(world.agent.status().kubernetes?.unknown, 0)
})

t.test('an API server that is away: at the start, and later for hours', async (t) => {
  const { api, world } = start(t)
  let isAway = true
  api.refuse = () => (isAway ? 'break' : null)
  api.put(pod('a'))
  world.write('a', ['a1'])
  world.start()
  await world.clock.advance(7000)
  t.match(of(world, 'a1'), { metadata: 'path' })
  isAway = false
  await world.clock.advance(60_000)
  world.write('a', ['a2'])
  await world.clock.advance(3000)
  t.match(of(world, 'a2'), { app: 'app-of-a', metadata: undefined })
  isAway = true
  api.endWatches('break')
  api.delete('Pod', { name: 'a', namespace: 'ns' })
  for (let hour = 1; hour <= 3; hour++) {
    await world.clock.advance(3_600_000)
    world.write('a', [`after ${hour} hours`])
    await world.clock.advance(3000)
    t.match(of(world, `after ${hour} hours`), { app: 'app-of-a', metadata: undefined })
  }
  t.ok(api.seen.length < 1000, `${api.seen.length} requests in three hours`)
})

t.test('a deleted pod is known until its files are read', async (t) => {
  const { api, world } = start(t)
  api.put(pod('a'))
  world.start()
  await world.clock.advance(1000)
  api.delete('Pod', { name: 'a', namespace: 'ns' })
  await world.clock.advance(100)
  world.write('a', ['after its end'])
  await world.clock.advance(3000)
  t.match(of(world, 'after its end'), { app: 'app-of-a', metadata: undefined })
  t.match(world.agent.status().kubernetes, { pods: 0, tombstones: 1 })
  await world.clock.advance(3_600_000)
  t.match(world.agent.status().kubernetes, { tombstones: 1 }, 'its files are there')
})

t.test('the same name, another pod', async (t) => {
  const { api, world } = start(t)
  api.put(pod('pg-0', { uid: 'first', labels: { app: 'old' } }))
  world.raw(world.podPath('pg-0', 'first'), '2026-11-21T08:00:00.000000001Z stdout F one\n')
  world.start()
  await world.clock.advance(3000)
  api.put(pod('pg-0', { uid: 'second', labels: { app: 'new' } }))
  world.raw(world.podPath('pg-0', 'second'), '2026-11-21T08:00:00.000000002Z stdout F two\n')
  world.raw(world.podPath('pg-0', 'first'), '2026-11-21T08:00:00.000000003Z stdout F three\n')
  // Somebody's directory with a name that is not the pod's.
  world.raw(world.podPath('liar', 'second'), '2026-11-21T08:00:00.000000003Z stdout F lie\n')
  await world.clock.advance(9000)
  t.match(of(world, 'one'), { app: 'old', pod_uid: 'first' })
  t.match(of(world, 'two'), { app: 'new', pod_uid: 'second' })
  t.match(of(world, 'three'), { app: 'old', pod_uid: 'first' })
  t.match(of(world, 'lie'), { pod: 'liar', metadata: 'path' })
})

t.test('a static pod is known by the hash of its manifest', async (t) => {
  const { api, world } = start(t)
  const hash = 'f30cb0e5f0e0'
  const annotations = { 'kubernetes.io/config.hash': hash, 'kubernetes.io/config.mirror': hash }
  api.put(
    pod('etcd-node', {
      uid: 'of-the-mirror',
      annotations,
      labels: { component: 'etcd', app: '' },
      ownerReferences: [],
    }),
  )
  world.raw(world.podPath('etcd-node', hash), '2026-11-21T08:00:00.000000001Z stdout F static\n')
  world.start()
  await world.clock.advance(3000)
  t.match(of(world, 'static'), { app: 'etcd', pod_uid: 'of-the-mirror', metadata: undefined })
})

t.test("each instance of a container has its own ID, and the last one's lines are its own", async (t) => {
  const { api, world } = start(t, {
    sinks: [lokiConfig({ structuredMetadata: ['container_id', 'restart_count', 'image'] })],
  })
  const status = (restarts: number) => ({
    containerStatuses: [
      {
        name: 'app',
        image: 'nginx:1.27',
        restartCount: restarts,
        containerID: `containerd://id-${restarts}`,
        lastState: restarts === 0 ? {} : { terminated: { containerID: `containerd://id-${restarts - 1}` } },
      },
    ],
  })
  api.put(pod('a', {}, status(0)))
  const file = (restart: number) => join(world.podDirectory('a'), `${restart}.log`)
  let nanos = 0
  const line = (restart: number, text: string) =>
    world.raw(file(restart), `2026-11-21T08:00:00.${String(++nanos).padStart(9, '0')}Z stdout F ${text}\n`)
  line(0, 'first life')
  world.start()
  await world.clock.advance(3000)
  t.notOk(
    api.seen.some(({ headers }) => headers.accept?.includes('PartialObjectMetadata')),
    'whole pods',
  )
  // It crashes with a last word, and is there again before anybody has looked.
  line(0, 'last word')
  line(1, 'second life')
  api.put(pod('a', {}, status(1)))
  await world.clock.advance(5000)
  t.match(of(world, 'first life'), { container_id: 'id-0', restart_count: '0', image: 'nginx:1.27' })
  t.match(of(world, 'last word'), { container_id: 'id-0', restart_count: '0' })
  t.match(of(world, 'second life'), { container_id: 'id-1', restart_count: '1' })
  // The same over a restart of the agent: it begins in the file of one life and goes on to the next.
  world.kill()
  line(1, 'unread word')
  line(2, 'third life')
  api.put(pod('a', {}, status(2)))
  world.start()
  await world.clock.advance(8000)
  t.match(of(world, 'unread word'), { container_id: 'id-1', restart_count: '1' })
  t.match(of(world, 'third life'), { container_id: 'id-2', restart_count: '2' })
})

t.test('a change is for later lines', async (t) => {
  const { api, world } = start(t, { sinks: [lokiConfig({ labelsFrom: { version: 'pod.labels.version' } })] })
  api.put(pod('a'))
  world.write('a', ['one'])
  world.start()
  await world.clock.advance(3000)
  api.put(pod('a', { labels: { version: 'v2' } }))
  await world.clock.advance(100)
  world.write('a', ['two'])
  await world.clock.advance(3000)
  t.match(of(world, 'one'), { version: 'v1' })
  t.match(of(world, 'two'), { version: 'v2' })
  world.accounted()
})

t.test('what was refused goes out again as it was, though the pod has changed', async (t) => {
  const { api, world } = start(t, { sinks: [lokiConfig({ labelsFrom: { version: 'pod.labels.version' } })] })
  api.put(pod('a'))
  world.write('a', texts('one', 50))
  // Stored, but the answer is lost.
  let lose = true
  world.loki.fault = () => (lose ? { kind: 'reset', store: 'all' } : null)
  world.start()
  await world.clock.advance(3000)
  api.put(pod('a', { labels: { version: 'v2' } }))
  await world.clock.advance(100)
  lose = false
  await world.clock.advance(120_000)
  world.write('a', ['two'])
  await world.clock.advance(3000)
  for (const text of texts('one', 50)) t.match(of(world, text), { version: 'v1' }, text)
  t.match(of(world, 'two'), { version: 'v2' })
})

t.test('killed at any moment while pods come and change: no line is in two streams', async (t) => {
  for (const eagerCheckpoints of [true, false]) {
    let moments = 0
    for (let at = 1; ; at += at < 40 ? 1 : 5) {
      const { api, world } = start(t, {
        eagerCheckpoints,
        sinks: [lokiConfig({ labelsFrom: { version: 'pod.labels.version' }, batchBytesMax: 4096 })],
      })
      let moment = 0
      const step = () => {
        if (++moment === at) world.kill()
      }
      world.loki.onMoment = step
      // Slower than the API server, so that a change finds lines unsent.
      world.loki.latencyMs = 20
      const watch = () => {
        world.checkpoints.onSet = step
        world.checkpoints.onFlush = step
      }
      watch()
      const change = async (version: string) => {
        for (const name of ['a', 'b']) {
          api.put(pod(name, { labels: { version } }))
          await world.clock.advance(30)
          world.write(name, texts(`${name} ${version} ${'x'.repeat(200)}`, 60))
        }
        await world.clock.advance(700)
      }
      world.write('a', texts('a early', 5))
      world.start()
      await world.clock.advance(500)
      for (const version of ['v1', 'v2', 'v3']) await change(version)
      await world.clock.advance(3000)
      const killed = world.dead
      if (killed) {
        api.put(pod('a', { labels: { version: 'v4' } }))
        world.start()
        await world.clock.advance(20_000)
        world.write('a', ['a last'])
        await world.clock.advance(5000)
      }
      const lines = stored(world)
      const twice = [...lines].filter(([, all]) => all.length > 1)
      t.strictSame(twice, [], `killed at moment ${at}`)
      t.equal(lines.size, 5 + 6 * 60 + Number(killed), `killed at moment ${at}: all lines`)
      if (killed) t.match(of(world, 'a last'), { version: 'v4' }, `killed at moment ${at}`)
      world.kill()
      moments = at
      if (!killed) break
    }
    t.ok(moments > 20, `${moments} moments`)
  }
})

t.test('one commit for many files, and none for what changes nothing', async (t) => {
  const { api, world } = start(t, { eagerCheckpoints: false })
  for (let i = 0; i < 100; i++) {
    api.put(pod(`p${i}`))
    world.write(`p${i}`, [`line ${i}`])
  }
  const before: string[] = []
  let flushes = 0
  world.checkpoints.onFlush = () => void flushes++
  world.loki.onMoment = () => void before.push(String(flushes))
  world.start()
  await world.clock.advance(10_000)
  t.equal(stored(world).size, 100)
  t.equal(flushes, 1)
  t.notOk(before.includes('0'), 'before anything was sent')
  for (let i = 0; i < 100; i++) api.put(pod(`p${i}`, { annotations: { changed: 'often' } }, { phase: 'Running' }))
  await world.clock.advance(1000)
  for (let i = 0; i < 100; i++) world.write(`p${i}`, ['more'])
  await world.clock.advance(10_000)
  t.equal(flushes, 1)
})

t.test('each sink decides for itself, and --once waits for what it may learn', async (t) => {
  const { api, world } = start(t, { sinks: [lokiConfig(), stdoutConfig({ format: 'json' })], once: true })
  api.put(pod('a'))
  world.write('a', ['one'])
  world.write('unknown', ['two'])
  world.start()
  await world.drain()
  t.match(of(world, 'one'), { app: 'app-of-a' })
  t.match(of(world, 'two'), { metadata: 'path' })
  const printed = world.output.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.match(
    printed.find(({ line }) => line === 'one'),
    { labels: { app: 'app-of-a' }, metadata: { pod_uid: 'uid-a' } },
  )
  t.match(
    printed.find(({ line }) => line === 'two'),
    { metadata: { metadata: 'path' } },
  )
})
