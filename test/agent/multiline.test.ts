// Pods that say by annotation which of their lines are one record, and what is told of annotations that are not understood.
import t, { type Test } from 'tap'
import { FakeApiServer } from '../support/fake-api-server.ts'
import { elasticConfig, lokiConfig, texts, World, type WorldOptions } from './world.ts'

const MULTILINE = 'taffrail.dev/multiline'

function start(t: Test, options: WorldOptions = {}) {
  const api = new FakeApiServer()
  const world = new World(t, { api, ...options })
  const put = (name: string, annotations: Record<string, string> = {}, labels: Record<string, string> = {}) =>
    api.put({
      kind: 'Pod',
      metadata: { name, namespace: 'ns', uid: `uid-${name}`, resourceVersion: '', annotations, labels },
      spec: { nodeName: 'node' },
    })
  return { world, put }
}

const TRACE = ['request failed', 'java.lang.Error: no', '\tat a.B.c(B.java:1)']

t.test('as the pod says, for the container that it says it of', async (t) => {
  const { world, put } = start(t)
  put('preset', { [MULTILINE]: 'java' })
  put('pattern', { [`${MULTILINE}.app`]: '^\\S+ \\S' })
  put('other', { [`${MULTILINE}.sidecar`]: 'java' })
  put('none', { [MULTILINE]: 'java', [`${MULTILINE}.app`]: 'none' })
  put('odd', { [MULTILINE]: 'jaava' })
  put('bad', { [MULTILINE]: '^(a+)+\\1' })
  put('long', { [MULTILINE]: `^${'a'.repeat(300)}` })
  const names = ['preset', 'pattern', 'other', 'none', 'odd', 'bad', 'long']
  for (const name of names) world.write(name, [...TRACE, 'next line'])
  world.start()
  await world.clock.advance(6000)
  const counts = names.map((name) => world.loki.lines({ pod: name }).length)
  t.strictSame(counts, [2, 3, 4, 4, 4, 4, 4])
  t.equal(world.loki.lines({ pod: 'preset' })[0], TRACE.join('\n'))
  world.accounted()
  const { annotations } = world.agent.status().kubernetes ?? {}
  t.match(annotations, {
    invalid: 3,
    first: [
      { pod: 'ns/odd', annotation: MULTILINE, problem: /neither java, python, go, none nor a pattern/ },
      { pod: 'ns/bad', problem: /not understood: \\1 is not known/ },
      { pod: 'ns/long', problem: /more than 256/ },
    ].sort((a, b) => (a.pod < b.pod ? -1 : 1)),
  })
  t.equal(world.events.of('annotation.invalid').length, 3)
  put('odd', { [MULTILINE]: 'java' })
  await world.clock.advance(3000)
  world.write('odd', TRACE)
  await world.clock.advance(5000)
  t.equal(world.loki.lines({ pod: 'odd' }).at(-1), TRACE.join('\n'))
  t.equal(world.agent.status().kubernetes?.annotations.invalid, 2, 'told no longer')
})

t.test('drained and stopped: an open record is not left behind', async (t) => {
  const { world, put } = start(t)
  put('a', { [MULTILINE]: 'java' })
  world.write('a', TRACE)
  world.start()
  await world.drain()
  t.strictSame(world.loki.lines(), [TRACE.join('\n')])
  world.accounted()
  const once = start(t, { once: true })
  once.put('a', { [MULTILINE]: 'java' })
  once.world.write('a', TRACE)
  once.world.start()
  await once.world.drain()
  t.strictSame(once.world.loki.lines(), [TRACE.join('\n')])
})

t.test('killed at any request: each record once', async (t) => {
  for (const eagerCheckpoints of [true, false]) {
    for (const moment of ['came', 'stored'] as const) {
      const { world, put } = start(t, { eagerCheckpoints })
      put('a', { [MULTILINE]: '^\\S' })
      let requests = 0
      world.loki.onMoment = (each) => {
        if (each === moment && ++requests % 3 === 0) world.kill()
      }
      world.start()
      const expected: Record<string, string[]> = { stdout: [], stderr: [] }
      for (let n = 0; n < 30; n++) {
        const stream = n % 3 === 0 ? 'stderr' : 'stdout'
        const lines = [`begin ${n}`, ...texts(` of ${n}`, n % 4)]
        world.write(
          'a',
          lines.map((text) => ({ text, stream })),
        )
        expected[stream]?.push(lines.join('\n'))
        await world.clock.advance([100, 700, 2500][n % 3] as number)
        if (world.dead) world.start()
      }
      world.loki.onMoment = null
      if (world.dead) world.start()
      await world.clock.advance(6000)
      for (const stream of ['stdout', 'stderr']) {
        t.strictSame(world.loki.lines({ stream }), expected[stream], `${stream}, ${moment}, eager: ${eagerCheckpoints}`)
      }
      world.kill()
    }
  }
})

t.test('a container that never is quiet takes a change up all the same', async (t) => {
  const { world, put } = start(t, { sinks: [lokiConfig({ labelsFrom: { version: 'pod.labels.version' } })] })
  put('a', { [MULTILINE]: 'java' }, { version: 'v1' })
  world.start()
  for (let n = 0; n < 60; n++) {
    if (n === 30) put('a', {}, { version: 'v2' })
    world.write('a', [`line ${n}`, '\tmore'])
    await world.clock.advance(200)
  }
  await world.clock.advance(5000)
  t.equal(world.loki.lines({ version: 'v1' }).includes('line 20\n\tmore'), true)
  t.ok(world.loki.lines({ version: 'v2' }).includes('line 50'))
  t.equal(
    world.loki
      .lines()
      .flatMap((text) => text.split('\n'))
      .filter((text) => text !== '\tmore').length,
    60,
  )
  world.accounted()
})

t.test('JSON lines are fields, or not, as the pod says', async (t) => {
  const { world, put } = start(t, { sinks: [elasticConfig({ expandJson: ['pods'] })] })
  put('a')
  put('b', { 'taffrail.dev/parser': 'none' })
  put('c', { 'taffrail.dev/parser': 'xml' })
  put('d', { 'taffrail.dev/parser.other': 'none' })
  const names = ['a', 'b', 'c', 'd']
  for (const name of names) world.write(name, [`{"of":"${name}"}`])
  world.start()
  await world.clock.advance(6000)
  const expanded = world.elastic.documents.map(({ source }) => [
    (source.kubernetes as { pod: { name: string } }).pod.name,
    source.json !== undefined,
  ])
  t.strictSame(Object.fromEntries(expanded), { a: true, b: false, c: true, d: true })
  t.match(world.events.of('annotation.invalid'), [
    { annotation: 'taffrail.dev/parser', problem: /none of cri, json, none/ },
  ])
})
