// Which streams share a push. Loki's answer to several tells of the last one only, so nobody may be in company of whom a
// refusal is to be expected; all others should be, or a node of 300 containers makes 300 requests a second.
import t, { type Test } from 'tap'
import type { Push } from '../../src/demo/push-proto.ts'
import { linesOf } from './memory-loki.ts'
import { lokiConfig, MIB, texts, World } from './world.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const SECOND_NS = 1_000_000_000n

const pods = (count: number) => Array.from({ length: count }, (_, index) => `pod-${index}`)

/** Each push of several streams held only such as had been told to be fine, lately, close to their newest, and slow. */
function onlyCalmInCompany(t: Test, world: World): void {
  const known = new Map<string, { okAtMs: number; newestNs: bigint; bytes: number; sinceMs: number }>()
  let troubles = 0
  const complain = (text: string) => ++troubles < 5 && t.fail(text)
  for (const { push, atMs, outcome, n } of world.loki.seen) {
    for (const { labels, entries } of push.streams) {
      const oldestNs = entries.reduce(
        (least, { timestampNs }) => (timestampNs < least ? timestampNs : least),
        1n << 80n,
      )
      const newestNs = entries.reduce((most, { timestampNs }) => (timestampNs > most ? timestampNs : most), 0n)
      const before = known.get(labels)
      if (push.streams.length > 1) {
        const what = `push ${n}: ${labels}`
        if (before === undefined) complain(`${what} was never told to be fine`)
        else {
          if (atMs - before.okAtMs >= 15 * MINUTE_MS) complain(`${what} was silent for ${atMs - before.okAtMs} ms`)
          if (oldestNs < before.newestNs - 1801n * SECOND_NS) complain(`${what} is far behind`)
          const perSecond = (before.bytes * 1000) / Math.max(250, before.okAtMs - before.sinceMs)
          if (perSecond > 1_100_000) complain(`${what} moved ${perSecond} bytes/s`)
        }
      }
      if (outcome !== 204) continue
      const bytes = entries.reduce((sum, { line }) => sum + line.length + 40, 0)
      const newest = before === undefined || newestNs > before.newestNs ? newestNs : before.newestNs
      known.set(labels, { okAtMs: atMs, newestNs: newest, bytes, sinceMs: before?.okAtMs ?? atMs - 1000 })
    }
  }
  t.equal(troubles, 0, 'only calm streams shared a push')
}

const sizes = (world: World, from: number) => world.loki.seen.slice(from).map(({ push }) => push.streams.length)

t.test('300 lanes: each alone at first, then a few requests a second', async (t) => {
  const world = new World(t)
  const names = pods(300)
  for (const pod of names) world.write(pod, [`${pod} start`])
  world.start()
  await world.clock.advance(5000)
  t.equal(world.loki.seen.length, 300)
  t.ok(sizes(world, 0).every((size) => size === 1))
  for (let second = 0; second < 10; second++) {
    for (const pod of names) world.write(pod, texts(`${pod} ${second}`, 3))
    await world.clock.advance(1000)
  }
  await world.clock.advance(2000)
  const requests = world.loki.seen.length - 300
  t.ok(requests <= 30, `${requests} requests for 9,000 lines`)
  await world.drain()
  world.exact()
  world.accounted()
  onlyCalmInCompany(t, world)
})

t.test('stderr is a stream of its own: alone until its first success, though stdout is known', async (t) => {
  const world = new World(t)
  for (const pod of pods(5)) world.write(pod, ['start'])
  world.start()
  await world.clock.advance(3000)
  for (const pod of pods(5)) world.write(pod, ['more', { text: 'first words on stderr', stream: 'stderr' }])
  await world.clock.advance(5000)
  for (const pod of pods(5)) world.write(pod, ['even more', { text: 'more on stderr', stream: 'stderr' }])
  const before = world.loki.seen.length
  await world.clock.advance(5000)
  t.strictSame(sizes(world, before), [10])
  await world.drain()
  world.exact()
  onlyCalmInCompany(t, world)
})

t.test('after a silence a stream goes alone', async (t) => {
  const world = new World(t)
  for (const pod of pods(6)) world.write(pod, ['start'])
  world.start()
  for (let minute = 0; minute < 20; minute++) {
    await world.clock.advance(MINUTE_MS)
    for (const pod of pods(3)) world.write(pod, [`minute ${minute}`])
  }
  await world.clock.advance(5000)
  const before = world.loki.seen.length
  for (const pod of pods(6)) world.write(pod, ['everybody'])
  await world.clock.advance(5000)
  t.strictSame(sizes(world, before).sort(), [1, 1, 1, 3])
  onlyCalmInCompany(t, world)
  await world.drain()
  world.exact()
})

t.test('what lies behind goes alone, and is not lost behind a 204', async (t) => {
  const world = new World(t)
  for (const pod of pods(4)) world.write(pod, ['start'])
  world.start()
  await world.clock.advance(3000)
  const now = world.clock.now()
  for (let round = 0; round < 4; round++) {
    world.write('pod-0', [{ text: `half an hour behind ${round}`, atMs: now - 31 * MINUTE_MS + round }])
    world.write('pod-1', [{ text: `hours behind ${round}`, atMs: now - 3 * HOUR_MS + round }])
    world.write('pod-2', [`fine ${round}`])
    world.write('pod-3', [`fine ${round}`])
    await world.clock.advance(3000)
  }
  await world.drain()
  world.exact()
  world.accounted()
  onlyCalmInCompany(t, world)
  t.strictSame(world.loki.lines({ pod: 'pod-1', late: '2026-11-21T05Z' }), texts('hours behind', 4))
})

t.test('a fast stream goes alone, the others go on sharing', async (t) => {
  const world = new World(t, { limits: { streamBytesPerSecond: 64 * MIB, streamBurstBytes: 64 * MIB } })
  const names = pods(20)
  for (const pod of names) world.write(pod, ['start'])
  world.start()
  await world.clock.advance(3000)
  const before = world.loki.seen.length
  for (let second = 0; second < 10; second++) {
    world.write('pod-0', texts(`${second} `.padEnd(1000, '.'), 2500))
    for (const pod of names.slice(1)) world.write(pod, texts(`${second}`, 3))
    await world.clock.advance(1000)
  }
  await world.drain()
  world.exact()
  world.accounted()
  onlyCalmInCompany(t, world)
  const shared = world.loki.seen.slice(before).filter(({ push }) => push.streams.length > 1)
  t.ok(shared.length <= 20, `${shared.length} shared pushes`)
})

const saysOf = (pod: string, status: number, body: string) => (push: Push | null) =>
  push?.streams.some(({ labels }) => labels.includes(`pod="${pod}"`)) ? { kind: 'answer' as const, status, body } : null

t.test('a stream that Loki does not take at all never goes in company', async (t) => {
  const world = new World(t)
  const names = pods(10)
  const refusal = saysOf('pod-0', 400, 'couldn\'t parse labels: 1:6: parse error: unexpected identifier "a"\n')
  world.loki.fault = ({ push }) => refusal(push)
  for (let round = 0; round < 10; round++) {
    for (const pod of names) world.write(pod, [`${pod} round ${round}`])
    if (round === 0) world.start()
    await world.clock.advance(2000)
  }
  await world.drain()
  world.exact(texts('pod-0 round', 10))
  t.strictSame(world.letters.letters.map(({ line }) => line).sort(), texts('pod-0 round', 10).sort())
  t.ok(world.loki.seen.every(({ push, outcome }) => outcome === 204 || push.streams.length === 1))
})

t.test('one that turns bad in company: the others are repeated alone at once, and it stays alone', async (t) => {
  const world = new World(t)
  const names = pods(10)
  for (const pod of names) world.write(pod, ['start'])
  world.start()
  await world.clock.advance(3000)
  const refusal = saysOf('pod-0', 400, "stream '{a=\"1\"}' has duplicate label name: 'a'\n")
  world.loki.fault = ({ push }) => refusal(push)
  for (const pod of names) world.write(pod, ['more'])
  await world.clock.advance(3000)
  for (const pod of names.slice(1)) t.strictSame(world.loki.lines({ pod }), ['start', 'more'], pod)
  t.strictSame(
    world.letters.letters.map(({ line, reason }) => [line, reason]),
    [['more', 'duplicate_label']],
  )
})

for (const body of [
  'maximum active stream limit exceeded when trying to create stream {pod="pod-3"}, reduce the number of active streams',
  "entry with timestamp 2026-11-21 08:00:00 +0000 UTC ignored, reason: 'Per stream rate limit exceeded (limit: 3MB/sec)',\nuser 'fake', total ignored: 1 out of 1 for stream: {}",
]) {
  t.test(`the limit of one stream does not hold up those beside it: ${body.slice(0, 30)}`, async (t) => {
    const world = new World(t)
    const names = pods(12)
    for (const pod of names) world.write(pod, ['start'])
    world.start()
    await world.clock.advance(3000)
    const limit = saysOf('pod-0', 429, body)
    let limited = true
    world.loki.fault = ({ push }) => (limited ? limit(push) : null)
    for (let round = 0; round < 5; round++) {
      for (const pod of names) world.write(pod, [`round ${round}`])
      await world.clock.advance(2000)
      for (const pod of names.slice(1)) t.ok(world.loki.lines({ pod }).includes(`round ${round}`), `${pod} ${round}`)
    }
    limited = false
    await world.drain()
    world.exact()
    world.accounted()
  })
}

t.test('per-stream limits on more lanes than there are requests: the others go their way', async (t) => {
  const world = new World(t, {
    limits: { streamBytesPerSecond: 20_000, streamBurstBytes: 200_000, lineBytesMax: 3000 },
    sinks: [lokiConfig({ concurrency: 2, batchBytesMax: 100_000 })],
  })
  const long = (text: string) => text.padEnd(3500, '.')
  for (const pod of pods(6)) {
    // Each batch holds a line that is refused for itself, so that each has been dealt with in part when its limit comes.
    const lines = Array.from({ length: 400 }, (_, i) => (i % 20 === 7 ? long(`${i}`) : `${i} `.padEnd(2000, '.')))
    world.write(pod, lines)
  }
  for (let i = 0; i < 5; i++) world.write(`calm-${i}`, ['start'])
  world.start()
  for (let round = 0; round < 20; round++) {
    await world.clock.advance(5000)
    for (let i = 0; i < 5; i++) {
      t.equal(world.loki.lines({ pod: `calm-${i}` }).length, round + 1, `calm-${i} is up to date`)
      world.write(`calm-${i}`, [`round ${round}`])
    }
  }
  await world.drain(24 * HOUR_MS)
  const gone = Array.from({ length: 400 }, (_, i) => i)
    .filter((i) => i % 20 === 7)
    .map((i) => long(`${i}`))
  world.exact(gone)
  world.accounted()
  t.equal(world.letters.letters.length, 6 * 20)
})

t.test('an outage: those that shared go on sharing when it was nobody in particular', async (t) => {
  for (const status of [429, 401]) {
    const world = new World(t)
    const names = pods(30)
    for (const pod of names) world.write(pod, ['start'])
    world.start()
    await world.clock.advance(3000)
    world.loki.fault = () => ({ kind: 'answer', status, body: 'not now' })
    for (const pod of names) world.write(pod, ['more'])
    await world.clock.advance(10 * MINUTE_MS)
    world.loki.fault = null
    const before = world.loki.seen.length
    await world.clock.advance(3 * MINUTE_MS)
    t.ok(sizes(world, before).length < 30, `${sizes(world, before).length} requests after ${status}`)
    await world.drain()
    world.exact()
    t.ok(linesOf(world.loki.seen.at(-1)!.push).length > 0)
  }
})

t.test('lowCardinality: a loud pod does not hold up its siblings in the same stream', async (t) => {
  const world = new World(t, { sinks: [lokiConfig({ profile: 'lowCardinality', batchBytesMax: 4096 })] })
  world.loki.latencyMs = 500
  const siblings = ['web-1', 'web-2', 'web-3', 'web-4', 'web-5']
  world.write('web-0', texts(`loud ${'x'.repeat(150)}`, 2000))
  world.start()
  await world.clock.advance(10_000)
  for (const pod of siblings) world.write(pod, ['quiet'])
  await world.clock.advance(5000)
  const lines = world.loki
    .find()
    .flatMap(({ entries }) => entries.map(({ line, metadata }) => `${metadata.pod} ${line}`))
  t.equal(world.loki.find().length, 1, 'one stream for all')
  t.ok(lines.length < 1000, 'the loud one is not through')
  for (const pod of siblings) t.ok(lines.includes(`${pod} quiet`), pod)
  // And as long as all of them are loud each gets its part.
  for (const pod of siblings) world.write(pod, texts(`loud ${'y'.repeat(150)}`, 200))
  await world.clock.advance(15_000)
  const delivered = (pod: string) =>
    world.loki
      .find()
      .reduce((sum, { entries }) => sum + entries.filter(({ metadata }) => metadata.pod === pod).length, 0)
  for (const pod of siblings) t.ok(delivered(pod) > 50, `${pod}: ${delivered(pod)}`)
  await world.drain()
  t.equal(delivered('web-0'), 2000)
  for (const pod of siblings) t.equal(delivered(pod), 201)
  world.accounted()
})

t.test(
  'a pod that came back under its name: the lines of the one before come first, though its siblings do not wait',
  async (t) => {
    const world = new World(t, { sinks: [lokiConfig({ profile: 'lowCardinality', batchBytesMax: 4096 })] })
    world.loki.latencyMs = 500
    for (const uid of ['first', 'second']) {
      for (let i = 0; i < 300; i++) {
        const nanos = String((uid === 'second' ? 1000 : 0) + i).padStart(9, '0')
        world.raw(world.podPath('db-0', uid), `2026-11-21T08:00:00.${nanos}Z stdout F ${uid} ${i} ${'x'.repeat(150)}\n`)
      }
    }
    world.write('db-1', ['quiet'])
    world.start()
    await world.clock.advance(4000)
    const sent = () =>
      world.loki.seen.flatMap(({ push }) =>
        push.streams.flatMap(({ entries }) => entries.map(({ line }) => `${line}`.split(' ')[0])),
      )
    t.ok(sent().includes('quiet'))
    t.notOk(sent().includes('second'))
    await world.drain()
    const order = sent().filter((uid) => uid !== 'quiet')
    t.equal(order.length, 600)
    t.ok(order.lastIndexOf('first') < order.indexOf('second'), 'in order')
  },
)
