// Ends: a stop while requests hang or lanes wait, a drain with a dead sink, everything there is and no more (`--once`).
import { statSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import type { AuditWebhookSourceConfig } from '../../src/config/config.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { criTime, lokiConfig, stdoutConfig, texts, World } from './world.ts'

const MINUTE_MS = 60_000
const WEBHOOK: AuditWebhookSourceConfig = {
  type: 'auditWebhook',
  name: 'hook',
  listen: '127.0.0.1:0',
  tls: null,
  tokenFile: null,
  bodyBytesMax: 1024 * 1024,
  spoolBytesMax: 16 * 1024 * 1024,
  policyFile: null,
  redaction: null,
}

t.test('stop waits for what is under way, and starts nothing new', async (t) => {
  const world = new World(t)
  world.loki.latencyMs = 2000
  world.write('web', texts('line', 10))
  world.start()
  await world.clock.advance(1500)
  t.equal(world.loki.inFlight, 1)
  world.write('web', texts('later', 10))
  const stopped = world.agent.stop()
  await world.clock.until(stopped)
  t.strictSame(world.loki.lines(), texts('line', 10))
  const [position] = [...world.checkpoints.held.values()]
  const later = `${criTime(0)} stdout F later 0\n`.length
  t.equal(position?.offset, statSync(world.podPath('web')).size - 10 * later)
  await world.clock.advance(MINUTE_MS)
  t.equal(world.loki.seen.length, 1)
  t.equal(world.agent.budget.usedBytes, 0)
  t.equal(world.agent.status().phase, 'stopped')
})

t.test('stop while a request hangs: given up by its signal, and nothing is taken for delivered', async (t) => {
  const world = new World(t)
  world.loki.fault = () => ({ kind: 'hang', store: 'all' })
  for (const pod of ['a', 'b', 'c', 'd', 'e', 'f']) world.write(pod, texts(`${pod} line`, 10))
  world.start()
  await world.clock.advance(1500)
  t.equal(world.loki.inFlight, 4)
  const giveUp = new AbortController()
  const stopped = world.agent.stop(giveUp.signal)
  await world.clock.advance(3000)
  t.equal(world.agent.status().phase, 'draining')
  giveUp.abort()
  await world.clock.until(stopped, 1000)
  await world.clock.settle()
  t.equal(world.agent.budget.usedBytes, 0)
  t.strictSame(world.ledger().imbalance(), { bytes: 0, lines: 0 })
  t.strictSame(world.ledger().acked, { bytes: 0, lines: 0 })
  for (const { offset } of world.checkpoints.held.values()) t.equal(offset, 0)
  t.equal(world.clock.timerCount, 0, 'no timer is left')
  world.loki.fault = null
  world.start()
  await world.drain()
  world.exact()
})

t.test('stop while all lanes wait before a repeat: at once', async (t) => {
  const world = new World(t)
  world.loki.fault = () => ({ kind: 'answer', status: 503 })
  for (const pod of ['a', 'b', 'c']) world.write(pod, texts(`${pod} line`, 10))
  world.start()
  await world.clock.advance(2 * MINUTE_MS)
  while (world.consumer().active > 0) await world.clock.advance(10)
  const before = world.clock.monotonic()
  await world.clock.until(world.agent.stop())
  t.equal(world.clock.monotonic(), before)
  t.equal(world.clock.timerCount, 0, 'no timer is left')
  await world.clock.advance(MINUTE_MS)
  const { length } = world.loki.seen
  await world.clock.advance(10 * MINUTE_MS)
  t.equal(world.loki.seen.length, length)
})

t.test('stop in the middle of a refusal that is being dealt with', async (t) => {
  for (let afterMs = 1000; afterMs < 2600; afterMs += 100) {
    const world = new World(t, { limits: { lineBytesMax: 300 } })
    world.loki.latencyMs = 150
    const now = world.clock.now()
    world.write('web', [
      ...texts('fine', 10),
      'long'.repeat(100),
      ...texts('behind', 10).map((text) => ({ text, atMs: now - 3 * 3_600_000 })),
      { text: 'old', atMs: now - 200 * 3_600_000 },
      ...texts('more', 10),
    ])
    world.start()
    await world.clock.advance(afterMs)
    const giveUp = new AbortController()
    const stopped = world.agent.stop(giveUp.signal)
    giveUp.abort()
    await world.clock.until(stopped)
    await world.clock.settle()
    t.equal(world.agent.budget.usedBytes, 0)
    world.start()
    await world.drain()
    world.exact(['old', 'long'.repeat(100)])
    t.strictSame([...new Set(world.letters.letters.map(({ line }) => line))].sort(), ['long'.repeat(100), 'old'])
  }
})

t.test('stop while the disk of a webhook does not answer: given up by its signal', async (t) => {
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
  const mkdir = () => {
    ask()
    return new Promise<never>(() => {})
  }
  const world = new World(t, {
    sources: [WEBHOOK],
    fs: { reads: realFileSystem.reads, writes: { ...realFileSystem.writes, mkdir } },
    webhooks: {
      listen: async () => ({ address: 'here', close: async () => {} }),
      readTls: () => () => ({}),
    },
  })
  world.start()
  await asked
  const giveUp = new AbortController()
  const stopped = world.agent.stop(giveUp.signal)
  await world.clock.advance(1000)
  t.not(world.agent.status().phase, 'stopped')
  giveUp.abort()
  await world.clock.until(stopped, 1000)
  t.equal(world.agent.status().phase, 'stopped')
})

t.test(
  'told to finish while a file is rotated faster than its last lines are waited for: an end all the same',
  async (t) => {
    const world = new World(t)
    world.write('web', texts('before', 10))
    world.start()
    await world.clock.advance(3000)
    let rotations = 0
    const rotate = () => {
      world.rename(world.podPath('web'), `${world.podPath('web')}.20261121-${String(100_000 + ++rotations)}`)
      world.write('web', texts(`rotation ${rotations}`, 5))
      world.clock.after(300, rotate)
    }
    rotate()
    world.write('web', texts('by then', 5))
    const giveUp = new AbortController()
    world.clock.after(20_000, () => giveUp.abort())
    const finished = world.agent.finish(giveUp.signal)
    t.equal(await world.clock.until(finished), true)
    t.ok(rotations > 3, `${rotations} rotations`)
    const stored = world.loki.lines()
    for (const text of [...texts('before', 10), ...texts('rotation 1', 5), ...texts('by then', 5)])
      t.ok(stored.includes(text), text)
  },
)

t.test('drain with a dead sink ends by its signal', async (t) => {
  const world = new World(t)
  world.loki.fault = () => ({ kind: 'answer', status: 503 })
  world.write('web', texts('line', 10))
  world.start()
  const giveUp = new AbortController()
  const drained = world.agent.drain(giveUp.signal)
  await world.clock.advance(MINUTE_MS / 2)
  giveUp.abort()
  t.equal(await world.clock.until(drained, 1000), false)
})

t.test('drain ends when the agent is stopped', async (t) => {
  const world = new World(t)
  world.loki.fault = () => ({ kind: 'answer', status: 503 })
  world.write('web', texts('line', 10))
  world.start()
  const drained = world.agent.drain()
  await world.clock.advance(5000)
  await world.clock.until(world.agent.stop())
  t.equal(await world.clock.until(drained, 60_000), false)
})

t.test('once: all there is, an unfinished last line and open pieces too, to every sink', async (t) => {
  const world = new World(t, { once: true, sinks: [lokiConfig(), stdoutConfig()], sources: [] })
  world.options.sources = [world.podSource(), world.fileSource({ paths: [`${world.directory}/files/*`] })]
  const at = criTime(world.clock.now())
  const old = `${world.podPath('web')}.20261121-070000.gz`
  world.raw(old, gzipSync(Array.from({ length: 3000 }, (_, i) => `${at} stdout F zipped ${i}\n`).join('')))
  world.raw(world.podPath('web'), `${at} stdout F whole\n${at} stderr P open,\n${at} stdout F without an end`)
  world.raw(`${world.directory}/files/app.log`, 'first\nlast')
  world.raw(`${world.directory}/files/empty.log`, '')
  world.raw(`${world.directory}/files/alone.log.1.gz`, gzipSync(`${'only here '.repeat(10)}\n`.repeat(2000)))
  world.start()
  await world.drain()
  t.equal(world.loki.lines({ pod: 'web', stream: 'stdout' }).length, 3002)
  t.strictSame(world.loki.lines({ pod: 'web', stream: 'stdout' }).slice(-2), ['whole', 'without an end'])
  t.strictSame(world.loki.lines({ pod: 'web', stream: 'stderr' }), ['open,'])
  t.strictSame(world.loki.lines({ filename: `${world.directory}/files/app.log` }), ['first', 'last'])
  t.equal(world.loki.lines({ job: 'files' }).length, 2002)
  t.equal(world.output.text.split('\n').length - 1, 3002 + 1 + 2 + 2000)
  for (const sink of ['loki', 'out']) world.settled(sink)
  await world.clock.until(world.agent.stop())
  t.equal(world.clock.timerCount, 0, 'no timer is left')
})

t.test('once: what grows after it was read to its end is left, and the checkpoint says so', async (t) => {
  const world = new World(t, { once: true })
  world.loki.latencyMs = 100
  world.write('web', texts('line', 10))
  const { size } = statSync(world.podPath('web'))
  world.start()
  const drained = world.agent.drain()
  await world.clock.advance(50)
  world.write('web', ['a little more'])
  t.ok(await world.clock.until(drained))
  await world.clock.until(world.agent.stop())
  t.strictSame(world.loki.lines(), texts('line', 10))
  t.equal([...world.checkpoints.held.values()][0]?.offset, size)
  world.start({ once: true })
  await world.drain()
  world.exact()
})
