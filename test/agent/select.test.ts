// Lines that rules leave out or change, through the whole agent: what arrives, and where every byte is accounted.
import t from 'tap'
import { FakeApiServer } from '../support/fake-api-server.ts'
import { lokiConfig, stdoutConfig, texts, World } from './world.ts'

t.test('left out by a source and by a sink, redacted, and accounted to the byte', async (t) => {
  const world = new World(t, {
    sinks: [
      lokiConfig({ select: { exclude: [{ name: 'noise', line: 'healthz' }] } }),
      stdoutConfig({ select: { include: [{ name: 'errors', streams: ['stderr'] }] } }),
    ],
  })
  world.options.sources = [
    world.podSource({
      select: { exclude: [{ name: 'sidecars', namespaces: ['ns'], line: 'sidecar' }] },
      redact: [{ name: 'cards', pattern: '\\d{16}', replacement: '<card>' }],
    }),
  ]
  world.write('a', [
    'GET /healthz',
    'one 1234567812345678',
    { text: 'two', stream: 'stderr' },
    'sidecar says',
    { text: 'GET /healthz', stream: 'stderr' },
    'three',
  ])
  world.start()
  await world.drain()
  t.strictSame(world.loki.lines({ stream: 'stdout' }), ['one <card>', 'three'])
  t.strictSame(world.loki.lines({ stream: 'stderr' }), ['two'])
  t.equal(world.output.text, 'two\nGET /healthz\n')
  t.equal(world.ledger().skipped.get('noise')?.lines, 2)
  t.equal(world.ledger().skipped.get('sidecars')?.lines, 1)
  t.equal(world.ledger('out').skipped.get('include')?.lines, 3)
  t.equal(world.ledger('out').skipped.get('sidecars')?.lines, 1)
  world.accounted('loki')
  world.accounted('out')
  t.match(world.events.of('lines.redacted')[0], { rule: 'cards', lines: 1 })
})

t.test('what is refused and read again is counted once', async (t) => {
  const select = { exclude: [{ name: 'odd', line: '[13579]$' }] }
  const world = new World(t, { sinks: [lokiConfig({ select, batchBytesMax: 4096 })] })
  world.write('a', texts('line', 500))
  world.write(
    'a',
    texts('error', 100).map((text) => ({ text, stream: 'stderr' as const })),
  )
  let n = 0
  world.loki.fault = () => (++n % 3 === 0 ? { kind: 'answer', status: 503 } : null)
  world.start()
  await world.drain()
  t.equal(world.loki.lines().length, 300)
  t.equal(world.ledger().skipped.get('odd')?.lines, 300)
  world.accounted()
})

t.test('gigabytes of what nobody wants move the watermark', async (t) => {
  const world = new World(t, { sinks: [lokiConfig({ select: { include: [{ name: 'x', namespaces: ['other'] }] } })] })
  world.write('a', texts('line', 50_000))
  world.start()
  await world.drain()
  t.strictSame(world.loki.seen, [])
  t.equal(world.ledger().skipped.get('include')?.lines, 50_000)
  world.accounted()
  world.kill()
  world.start()
  await world.drain()
  t.equal(world.ledger().read.bytes, 0, 'nothing is read again')
})

t.test('by labels of the pod, as they change', async (t) => {
  const api = new FakeApiServer()
  const select = { exclude: [{ name: 'quiet', podLabels: { logs: 'off' } }] }
  const world = new World(t, { api, sinks: [lokiConfig({ select })] })
  const put = (logs: string) =>
    api.put({
      kind: 'Pod',
      metadata: { name: 'a', namespace: 'ns', uid: 'uid-a', resourceVersion: '', labels: { logs } },
      spec: { nodeName: 'node' },
    })
  put('on')
  world.write('a', ['one'])
  world.start()
  await world.clock.advance(3000)
  put('off')
  await world.clock.advance(1000)
  world.write('a', ['two'])
  await world.clock.advance(3000)
  put('on')
  await world.clock.advance(1000)
  world.write('a', ['three'])
  await world.clock.advance(3000)
  t.strictSame(world.loki.lines(), ['one', 'three'])
  t.equal(world.ledger().skipped.get('quiet')?.lines, 1)
  world.accounted()
})

t.test('pods opt out and limit themselves, unless their namespace is exempt', async (t) => {
  for (const exemptNamespaces of [[], ['n*']]) {
    const isExempt = exemptNamespaces.length > 0
    const api = new FakeApiServer()
    const annotations = { honour: true, foreign: false, exemptNamespaces, tenants: [] }
    const world = new World(t, { api, kubernetes: { annotations } })
    const put = (name: string, directives: Record<string, string>) =>
      api.put({
        kind: 'Pod',
        metadata: { name, namespace: 'ns', uid: `uid-${name}`, resourceVersion: '', annotations: directives },
        spec: { nodeName: 'node' },
      })
    put('out', { 'taffrail.dev/exclude.app': 'true' })
    put('much', { 'taffrail.dev/rate-limit': '10' })
    put('odd', { 'taffrail.dev/exclude': 'perhaps' })
    put('foreign', { 'fluentbit.io/exclude': 'true' })
    for (const name of ['out', 'odd', 'foreign']) world.write(name, [`${name} says`])
    world.write('much', texts('much', 25))
    world.start()
    await world.clock.advance(6000)
    t.equal(world.loki.lines({ pod: 'out' }).length, isExempt ? 1 : 0)
    t.equal(world.loki.lines({ pod: 'much' }).length, isExempt ? 25 : 10)
    t.equal(world.loki.lines({ pod: 'odd' }).length, 1)
    t.equal(world.loki.lines({ pod: 'foreign' }).length, 1)
    t.equal(world.ledger().skipped.get('annotation')?.lines, isExempt ? undefined : 1)
    t.equal(world.ledger().dropped.get('rateLimit')?.lines, isExempt ? undefined : 15)
    t.match(world.events.of('annotation.invalid'), [{ annotation: 'taffrail.dev/exclude', problem: /neither/ }])
    t.match(world.agent.status().kubernetes?.annotations, { invalid: 1, first: [{ pod: 'ns/odd' }] })
    world.accounted()
    world.kill()
  }
})
