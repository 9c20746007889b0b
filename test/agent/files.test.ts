// Plain files: their lines have no time of their own and get that of their arrival. It is decided once, and on disk before
// the lines are sent for the first time: a repeat, after a failure or a kill, makes the same entries.
import { rmSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { FaultHook } from '../../src/demo/faults.ts'
import type { StoredStream } from '../../src/demo/loki-store.ts'
import { linesOf } from './memory-loki.ts'
import { lokiConfig, texts, World } from './world.ts'

const MINUTE_MS = 60_000

function plain(t: Test, options: ConstructorParameters<typeof World>[1] = {}): World {
  const world = new World(t, options)
  world.options.sources = [world.fileSource({ paths: [`${world.directory}/files/app.log*`] })]
  return world
}

const path = (world: World, name = 'app.log') => `${world.directory}/files/${name}`
const append = (world: World, lines: readonly string[], name?: string) =>
  world.raw(path(world, name), lines.map((line) => `${line}\n`).join(''))

/** The log goes on in a new file; it has been so `often`, this time included. */
function rotate(world: World, often: number): void {
  for (let n = often; n > 1; n--) world.rename(path(world, `app.log.${n - 1}`), path(world, `app.log.${n}`))
  world.rename(path(world), path(world, 'app.log.1'))
}

const storedUnanswered: FaultHook = () => ({ kind: 'reset', store: 'all' })

const entries = (world: World): StoredStream['entries'][number][] => world.loki.entries({ job: 'files' })
const lines = (world: World): string[] => entries(world).map(({ line }) => line.toString())

t.test('lines get the time at which they were first read, one nanosecond apart', async (t) => {
  const world = plain(t)
  const started = BigInt(world.clock.now()) * 1_000_000n
  append(world, texts('line', 100))
  world.start()
  await world.clock.advance(5000)
  const times = entries(world).map(({ timestampNs }) => timestampNs)
  t.ok(times.every((time, i) => time === times[0]! + BigInt(i)))
  t.ok(times[0]! >= started && times[0]! < started + 2_000_000_000n)
  const [stream] = world.loki.find({ job: 'files' })
  t.match(stream?.labels, { cluster: 'test', job: 'files', filename: path(world), node_name: 'node' })
  t.notOk(stream?.labels.stream)
})

t.test('equal lines are entries of their own', async (t) => {
  const world = plain(t)
  append(world, Array(500).fill('same'))
  world.start()
  await world.drain()
  t.equal(lines(world).length, 500)
})

t.test('a repeat half an hour later is the same entry', async (t) => {
  const world = plain(t)
  append(world, texts('line', 50))
  let down = true
  world.loki.fault = () => (down ? { kind: 'reset', store: 'half' } : null)
  world.start()
  for (let minute = 0; minute < 30; minute++) {
    await world.clock.advance(MINUTE_MS)
    append(world, [`minute ${minute}`])
  }
  down = false
  await world.drain()
  t.strictSame(lines(world).sort(), [...texts('line', 50), ...texts('minute', 30)].sort())
  world.settled()
})

t.test('killed at any moment around the first sending: the same times', async (t) => {
  let killed = true
  for (let at = 1; killed; at++) {
    const world = plain(t, { eagerCheckpoints: false, sinks: [lokiConfig({ batchBytesMax: 4096 })] })
    append(world, texts('before', 60), 'app.log.1')
    append(world, texts('line', 60))
    let moment = 0
    const step = () => {
      if (++moment === at) world.kill()
    }
    world.loki.onMoment = step
    world.checkpoints.onSet = step
    world.checkpoints.onFlush = step
    world.start()
    await world.clock.advance(3000)
    append(world, texts('more', 60))
    await world.clock.advance(3000)
    killed = world.dead
    world.kill()
    world.loki.onMoment = null
    // Time goes on while it is down.
    await world.clock.advance(10_000)
    world.start()
    await world.drain()
    const wanted = [...texts('before', 60), ...texts('line', 60), ...texts('more', 60)]
    t.strictSame(lines(world).sort(), wanted.sort(), `killed at moment ${at}`)
    world.kill()
  }
})

t.test('behind a file that stayed empty, which is there after a kill, or gone: the same times', async (t) => {
  for (const isGone of [false, true]) {
    const world = plain(t)
    append(world, texts('first', 3))
    world.start()
    await world.clock.advance(3000)
    world.loki.fault = storedUnanswered
    rotate(world, 1)
    append(world, [])
    await world.clock.advance(3000)
    rotate(world, 2)
    append(world, texts('third', 3))
    await world.clock.advance(3000)
    world.kill()
    t.equal(lines(world).length, 6, 'it was sent')
    if (isGone) rmSync(path(world, 'app.log.1'))
    world.loki.fault = null
    await world.clock.advance(10_000)
    world.start()
    await world.drain()
    t.strictSame(lines(world), [...texts('first', 3), ...texts('third', 3)])
    world.kill()
  }
})

t.test('one of the files that were sent is gone after a kill: the same times in the others', async (t) => {
  const world = plain(t)
  world.loki.fault = storedUnanswered
  append(world, texts('first', 3))
  rotate(world, 1)
  append(world, texts('second', 3))
  world.start()
  await world.clock.advance(3000)
  rotate(world, 2)
  append(world, texts('third', 3))
  await world.clock.advance(10_000)
  world.kill()
  const sent = ['first', 'second', 'third'].flatMap((name) => texts(name, 3))
  t.strictSame(lines(world), sent)
  rmSync(path(world, 'app.log.1'))
  world.loki.fault = null
  await world.clock.advance(10_000)
  world.start()
  await world.drain()
  t.strictSame(
    lines(world).filter((line) => !line.startsWith('taffrail: lost')),
    sent,
  )
})

t.test('the times are durable before anything is sent', async (t) => {
  const world = plain(t)
  const order: string[] = []
  const note = (what: string) => {
    if (order.at(-1) !== what) order.push(what)
  }
  world.checkpoints.onSet = (_sink, _lineage, { stamps }) => note(stamps.length > 0 ? 'set times' : 'set')
  world.checkpoints.onFlush = () => note('flush')
  world.loki.onMoment = note
  append(world, texts('line', 5))
  world.start()
  await world.clock.advance(3000)
  t.equal(order.slice(order.indexOf('set times')).join(), 'set times,flush,came,stored,set')
})

t.test('a disk that takes no checkpoints does not stop delivery', async (t) => {
  const world = plain(t)
  world.checkpoints.failure = new Error('ENOSPC')
  append(world, texts('line', 5))
  world.start()
  await world.drain()
  t.strictSame(lines(world), texts('line', 5))
  world.settled()
})

t.test('two sinks give one line times of their own, each the same in every repeat', async (t) => {
  const world = plain(t, { sinks: [lokiConfig(), lokiConfig({ name: 'second', labels: { to: 'second' } })] })
  append(world, texts('line', 20))
  world.loki.fault = ({ n }) => (n <= 4 ? { kind: 'reset', store: 'all' } : null)
  world.start()
  await world.drain()
  for (const to of ['second', undefined]) {
    const found = world.loki.find({ job: 'files' }).filter(({ labels }) => labels.to === to)
    t.equal(found.flatMap((each) => each.entries).length, 20, to ?? 'first')
  }
  t.ok(world.loki.seen.filter(({ push }) => linesOf(push).includes('line 0')).length > 2)
})
