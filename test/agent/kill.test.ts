// Killed at any instant, the next agent goes on from what was durable: nothing is missing, and Loki has nothing twice.
import t, { type Test } from 'tap'
import type { LokiSinkConfig } from '../../src/config/config.ts'
import { criTime, lokiConfig, texts, World, type WorldOptions } from './world.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

interface Scenario {
  options?: WorldOptions
  sink?: Partial<LokiSinkConfig>
  write: (world: World) => void
  check: (t: Test, world: World) => void
}

const SCENARIOS: Record<string, Scenario> = {
  'two pods, both streams, several pushes': {
    sink: { batchBytesMax: 4096 },
    write: (world) => {
      for (const pod of ['a', 'b']) {
        world.write(pod, texts(`${pod} out`, 60))
        world.write(
          pod,
          texts(`${pod} err`, 20).map((text) => ({ text, stream: 'stderr' as const })),
        )
        world.write(pod, texts(`${pod} more`, 60))
      }
    },
    check: (_t, world) => world.exact(),
  },
  '500 equal lines at one nanosecond': {
    sink: { batchBytesMax: 16_384 },
    write: (world) => world.write('a', Array(500).fill('same')),
    check: (t, world) => {
      const entries = world.loki.entries({ pod: 'a' })
      t.equal(entries.length, 500)
      t.ok(entries.every(({ line }) => line.toString() === 'same'))
    },
  },
  'joined lines, open over a push': {
    sink: { batchBytesMax: 4096 },
    write: (world) => {
      const at = criTime(world.clock.now())
      let rows = ''
      for (let i = 0; i < 40; i++) {
        rows += `${at} stdout P ${i} begins, \n${at} stderr F err ${i}\n`
        rows += `${at} stdout P ${'x'.repeat(200)}\n${at} stdout F ends\n`
      }
      world.raw(world.podPath('a'), rows)
    },
    check: (t, world) => {
      const wanted = Array.from({ length: 40 }, (_, i) => `${i} begins, ${'x'.repeat(200)}ends`)
      t.strictSame(world.loki.lines({ stream: 'stdout' }).sort(), wanted.sort())
      t.strictSame(world.loki.lines({ stream: 'stderr' }).sort(), texts('err', 40).sort())
    },
  },
  'late, too old and too long': {
    options: { limits: { lineBytesMax: 500 } },
    sink: { batchBytesMax: 8192 },
    write: (world) => {
      const now = world.clock.now()
      world.write('a', [
        ...texts('now', 10),
        ...texts('behind', 40).map((text, i) => ({ text, atMs: now - 3 * HOUR_MS + i * MINUTE_MS })),
        ...texts('old', 10).map((text) => ({ text, atMs: now - 200 * HOUR_MS })),
        'long'.repeat(200),
        ...texts('after', 40),
      ])
    },
    check: (t, world) => {
      const gone = [...texts('old', 10), 'long'.repeat(200)]
      world.exact(gone)
      // A letter is written before the watermark passes its record: it may be there twice, but it is there.
      t.strictSame([...new Set(world.letters.letters.map(({ line }) => line))].sort(), [...gone].sort())
    },
  },
  'a quiet log of a day': {
    write: (world) => {
      const now = world.clock.now()
      world.write(
        'a',
        texts('line', 100).map((text, i) => ({ text, atMs: now - 25 * HOUR_MS + i * 15 * MINUTE_MS })),
      )
    },
    check: (t, world) => {
      world.exact()
      t.strictSame(
        world.loki.find({ pod: 'a' }).map(({ labels }) => labels.late),
        [undefined],
      )
    },
  },
}

/** Runs the scenario; the agent is killed at moment number `at` of those that the world can see. False: there was none. */
async function killAt(t: Test, scenario: Scenario, at: number, eagerCheckpoints: boolean): Promise<boolean> {
  const options = { ...scenario.options, eagerCheckpoints, sinks: [lokiConfig(scenario.sink)] }
  const world = new World(t, options)
  scenario.write(world)
  let moment = 0
  const step = () => {
    if (++moment === at) world.kill()
  }
  world.loki.onMoment = step
  const watch = () => {
    world.checkpoints.onSet = step
    world.checkpoints.onFlush = step
  }
  watch()
  world.letters.onWrite = step
  world.start()
  const killed = !(await drainOrDie(world))
  if (killed) {
    world.start({ once: true })
    await world.drain(4 * HOUR_MS)
  }
  scenario.check(t, world)
  world.settled()
  world.kill()
  return killed
}

/** False: it died before it had delivered everything. */
async function drainOrDie(world: World): Promise<boolean> {
  let isDone = false
  void world.agent.drain().then(() => {
    isDone = true
  })
  while (!isDone && !world.dead) await world.clock.advance(100)
  return isDone
}

for (const [name, scenario] of Object.entries(SCENARIOS)) {
  for (const eager of [true, false]) {
    t.test(`${name}; checkpoints ${eager ? 'at once' : 'when flushed'} durable`, async (t) => {
      let at = 1
      while (await killAt(t, scenario, at, eager)) at += at < 60 ? 1 : 7
      t.ok(at > 5, `${at} moments`)
    })
  }
}

t.test('killed again and again', async (t) => {
  for (const every of [5, 7, 11]) {
    const world = new World(t, { sinks: [lokiConfig({ batchBytesMax: 4096 })] })
    world.write('a', texts('out', 200))
    world.write(
      'a',
      texts('err', 100).map((text) => ({ text, stream: 'stderr' as const })),
    )
    let moment = 0
    world.loki.onMoment = () => {
      if (++moment % every === 0) world.kill()
    }
    for (let life = 0; life < 500; life++) {
      world.start({ once: true })
      if (await drainOrDie(world)) break
    }
    world.exact()
    world.settled()
  }
})

t.test(
  'what is acknowledged of one stream behind an open line of the other is not sent again, under other labels',
  async (t) => {
    const world = new World(t)
    const now = criTime(world.clock.now())
    const path = world.podPath('a')
    world.raw(path, `${now} stdout P be\n${now} stderr F err 1\n${now} stderr F err 2\n`)
    world.start()
    await world.clock.advance(10_000)
    t.strictSame(world.loki.lines(), ['err 1', 'err 2'])
    world.kill()
    world.raw(path, `${now} stdout F gins\n${now} stderr F err 3\n`)
    world.options.sinks = [lokiConfig({ labels: { round: '2' } })]
    world.start()
    await world.drain()
    t.strictSame(world.loki.lines({ round: '2', stream: 'stderr' }), ['err 3'])
    t.strictSame(world.loki.lines({ stream: 'stdout' }), ['begins'])
    world.settled()
  },
)
