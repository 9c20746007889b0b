// What every sink keeps to, whatever it sends and wherever: run through this suite by a test of a few lines for each. A rig
// says how its far end is asked what it has, how it fails, and how it refuses a record for its own sake.
import type { Test } from 'tap'
import type { SinkConfig } from '../../src/config/config.ts'
import { MIB, texts, World, type WorldOptions } from '../agent/world.ts'

export interface Stored {
  pod: string
  stream: string
  text: string
}

export interface SinkRig {
  config(over?: { batchBytesMax?: number }): SinkConfig
  /** In order of arrival. */
  stored(world: World): Stored[]
  /** The far end takes nothing. */
  fail(world: World): void
  mend(world: World): void
  /** Takes what the next request holds and loses the answer; null: the far end does not answer. */
  loseNextAnswer: ((world: World) => void) | null
  /** Refuses records with this text, in words that name them; null: it refuses none. */
  refuse: ((world: World, text: string) => void) | null
  /** Called at moments between a request's coming and its answer; null: there are none. */
  onMoment: ((world: World, run: (() => void) | null) => void) | null
}

const MINUTE_MS = 60_000
/** What JSON, protobuf and a terminal each find hard in their own way. */
const HARD = [
  '',
  ' ',
  '"',
  '\\',
  '\t\u0001\u001b[0m',
  'zażółć 🐢 \u2028',
  '{"a":"\\u0000"}',
  '\u0000',
  '\u007f',
  'x'.repeat(5000),
]

export function sinkConformance(t: Test, name: string, rig: SinkRig): void {
  const check = (title: string, run: (t: Test, world: World) => Promise<void>, options: WorldOptions = {}) => {
    t.test(`${name}: ${title}`, async (t) => run(t, new World(t, { sinks: [rig.config()], ...options })))
  }
  const sinkName = rig.config().name

  const told = ({ pod, stream, text }: Stored) => `${pod} ${stream} ${text.length > 200 ? text.length : text}`
  const written = (world: World) =>
    [...world.written].flatMap(([pod, lines]) => lines.map(({ text, stream }) => ({ pod, stream, text })))

  /** Everything that was written is there once, and in order for each stream of each pod. */
  function exact(t: Test, world: World, gone: readonly string[] = [], ordered = true): void {
    const expected = written(world).filter(({ text }) => !gone.includes(text))
    const stored = rig.stored(world)
    t.strictSame(stored.map(told).sort(), expected.map(told).sort(), 'each line once')
    if (!ordered) return
    const streams = (list: Stored[]) =>
      Object.fromEntries([...Map.groupBy(list, ({ pod, stream }) => `${pod} ${stream}`)].sort())
    t.strictSame(streams(stored), streams(expected), 'in order')
  }

  check('lines of both streams of many pods, in order, and the account balances', async (t, world) => {
    for (let pod = 0; pod < 20; pod++) {
      world.write(
        `pod-${pod}`,
        texts('line', 50).map((text, i) => ({ text, stream: i % 3 === 0 ? 'stderr' : 'stdout', nanos: i }) as const),
      )
    }
    world.start()
    await world.drain()
    exact(t, world)
    world.accounted(sinkName)
    t.match(world.agent.status().sinks[0], { state: 'ok', lastError: null })
  })

  check('whatever a line holds', async (t, world) => {
    world.write(
      'web',
      HARD.map((text, nanos) => ({ text, nanos })),
    )
    world.start()
    await world.drain()
    exact(t, world)
    world.accounted(sinkName)
  })

  check('bytes that are not UTF-8 are replaced, not refused', async (t, world) => {
    const row = Buffer.from('2026-11-21T08:00:00.000000001Z stdout F a\xff\xfeb\n', 'latin1')
    world.raw(world.podPath('web'), row)
    world.start()
    await world.drain()
    t.strictSame(rig.stored(world), [{ pod: 'web', stream: 'stdout', text: 'a\ufffd\ufffdb' }])
    t.equal(world.ledger(sinkName).acked.lines, 1)
  })

  check('a line over the limit is cut, and the next one is whole', async (t, world) => {
    const { lineBytesMax } = rig.config()
    world.write('web', [{ text: 'y'.repeat(lineBytesMax + 1) }, { text: 'next', nanos: 1 }])
    world.start()
    await world.drain()
    t.strictSame(
      rig.stored(world).map(({ text }) => text.length),
      [lineBytesMax, 4],
    )
    world.accounted(sinkName)
  })

  check('while the far end takes nothing, nothing is held and nothing is given up', async (t, world) => {
    for (let pod = 0; pod < 10; pod++) world.write(`pod-${pod}`, texts('before', 20))
    world.start()
    await world.clock.advance(5000)
    rig.fail(world)
    for (let pod = 0; pod < 10; pod++) world.write(`pod-${pod}`, texts('during', 200))
    let idle = 0
    for (let second = 0; second < 300; second++) {
      await world.clock.advance(1000)
      if (world.agent.budget.usedBytes === 0) idle++
      t.strictSame(world.ledger(sinkName).imbalance(), { bytes: 0, lines: 0 })
    }
    t.not(world.agent.status().sinks[0]?.state, 'ok')
    t.strictSame(world.letters.letters, [])
    if (rig.loseNextAnswer !== null) t.ok(idle > 100, `${idle} of 300 times nothing is held`)
    rig.mend(world)
    await world.clock.advance(2 * MINUTE_MS)
    await world.drain()
    exact(t, world)
    world.accounted(sinkName)
    t.match(world.agent.status().sinks[0], { state: 'ok', lastError: null })
  })

  check('a stop in the middle of an outage ends, and the next agent goes on', async (t, world) => {
    world.write('web', texts('first', 20))
    world.start()
    await world.clock.advance(3000)
    rig.fail(world)
    world.write('web', texts('second', 20))
    await world.clock.advance(10_000)
    const ending = new AbortController()
    const stopped = world.agent.stop(ending.signal)
    await world.clock.advance(10_000)
    ending.abort()
    t.equal(await world.clock.until(stopped, MINUTE_MS), false, 'not everything was delivered')
    world.kill()
    rig.mend(world)
    world.start()
    await world.drain()
    exact(t, world)
  })

  const { loseNextAnswer, refuse, onMoment } = rig

  if (loseNextAnswer !== null) {
    check('an answer that is lost makes no second entry', async (t, world) => {
      for (let pod = 0; pod < 5; pod++) world.write(`pod-${pod}`, texts('line', 30))
      for (let i = 0; i < 3; i++) loseNextAnswer(world)
      world.start()
      await world.drain()
      exact(t, world)
      world.accounted(sinkName)
    })
  }

  if (refuse !== null) {
    check(
      'a record that is refused for its own sake is a dead letter, and its neighbours are delivered',
      async (t, world) => {
        refuse(world, 'poison')
        world.write('web', [...texts('before', 30), 'poison', ...texts('after', 30)])
        world.write('other', texts('line', 10))
        world.start()
        await world.drain()
        exact(t, world, ['poison'], false)
        world.accounted(sinkName)
        t.equal(world.letters.letters.length, 1)
        t.match(world.letters.letters[0], { sink: sinkName, bytes: Number, offset: Number })
        t.equal(world.ledger(sinkName).acked.lines, 70)
      },
    )
  }

  if (onMoment !== null) {
    check(
      'killed at any moment of a request: nothing is missing, nothing is there twice',
      async (t, world) => {
        for (let life = 0; life < 8; life++) {
          for (let pod = 0; pod < 3; pod++) world.write(`pod-${pod}`, texts(`life ${life} line`, 40))
          let moments = 0
          onMoment(world, () => {
            if (++moments === 1 + (life % 5)) world.kill()
          })
          world.start()
          await world.clock.advance(4000)
          onMoment(world, null)
          world.kill()
        }
        world.start()
        await world.drain()
        exact(t, world, [], false)
      },
      { eagerCheckpoints: false, sinks: [rig.config({ batchBytesMax: 8192 })] },
    )
  }

  check(
    'hundreds of lanes fit into the memory that there is',
    async (t, world) => {
      for (let pod = 0; pod < 300; pod++) world.write(`pod-${pod}`, texts(`line of pod ${pod}`, 40))
      world.start()
      let usedMax = 0
      const watch = () => {
        usedMax = Math.max(usedMax, world.agent.budget.usedBytes)
      }
      for (let i = 0; i < 50; i++) {
        await world.clock.advance(100)
        watch()
      }
      await world.drain()
      exact(t, world)
      t.ok(usedMax <= world.agent.budget.totalBytes)
      world.accounted(sinkName)
    },
    { memoryBytes: 48 * MIB },
  )
}
