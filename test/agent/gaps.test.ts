// Bytes that vanish behind a sink that is down: the hole itself arrives, once, in the stream of the lines that it stands for.
import { renameSync, rmSync, truncateSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { TaffrailError } from '../../src/core/errors.ts'
import { total } from '../../src/core/ledger.ts'
import { UNWRITABLE } from '../../src/deliver/dead-letter.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { WatchedReads } from '../support/watched-reads.ts'
import { lokiConfig, stdoutConfig, texts, World } from './world.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const isHole = (line: string) => line.startsWith('taffrail: lost')

function holes(world: World, pod = 'a') {
  return world.loki.entries({ pod }).filter(({ line }) => isHole(line.toString()))
}

/** Everything but holes, in order of arrival. */
function lines(world: World, pod = 'a'): string[] {
  return world.loki.lines({ pod }).filter((line) => !isHole(line))
}

function down(world: World): void {
  world.loki.fault = () => ({ kind: 'answer', status: 503, store: 'none' })
}

/** Starts the agent, lets it deliver what there is, and kills it when it has seen ten lines more that its sink did not take. */
async function killBehind(world: World): Promise<void> {
  world.start()
  await world.clock.advance(5000)
  down(world)
  write(world, 'a', texts('two', 10))
  await world.clock.advance(40_000)
  world.kill()
}

/** Writes with the fake clock's time as that of the file. */
function write(world: World, pod: string, content: string[], atMs = world.clock.now()): void {
  world.write(pod, content, atMs)
  utimesSync(world.podPath(pod), atMs / 1000, atMs / 1000)
}

function rotate(world: World, pod: string, stamp: string): string {
  const path = `${world.podPath(pod)}.20261121-${stamp}`
  renameSync(world.podPath(pod), path)
  return path
}

t.test('files deleted behind a stopped sink, with a kill between', async (t) => {
  const world = new World(t)
  write(world, 'a', texts('one', 10))
  write(world, 'b', ['other'])
  world.start()
  await world.clock.advance(5000)
  down(world)
  write(world, 'a', texts('two', 10))
  await world.clock.advance(5000)
  const second = rotate(world, 'a', '080001')
  write(world, 'a', texts('three', 10))
  await world.clock.advance(10_000)
  const third = rotate(world, 'a', '080002')
  write(world, 'a', texts('four', 10))
  await world.clock.advance(10_000)
  unlinkSync(second)
  unlinkSync(third)
  await world.clock.advance(10_000)
  t.strictSame(holes(world), [], 'they are held open')
  world.kill()
  world.start()
  await world.clock.advance(5000)
  t.equal(total(world.ledger().lost).bytes > 0, true)
  world.loki.fault = null
  await world.clock.advance(60_000)
  const found = holes(world)
  t.equal(found.length, 2)
  t.match(found[0]?.line.toString(), `of ${second}, written after`)
  t.match(found[1]?.line.toString(), `bytes [0, `)
  t.match(found[1]?.line.toString(), `of ${third}, written after`)
  t.strictSame(found[0]?.metadata, {
    pod_uid: 'uid-a',
    taffrail_mark: 'gap',
    taffrail_offset: found[0]?.metadata.taffrail_offset,
    taffrail_confidence: 'certain',
  })
  t.strictSame(lines(world), [...texts('one', 10), ...texts('four', 10)])
  t.strictSame(
    world.loki.find({ pod: 'a' }).map(({ labels }) => [labels.stream, labels.late]),
    [['stdout', undefined]],
  )
  world.settled()
})

t.test('a pod that is gone with all its files while the agent is not there', async (t) => {
  const world = new World(t)
  write(world, 'a', texts('one', 10))
  write(world, 'b', ['other'])
  await killBehind(world)
  rmSync(dirname(world.podDirectory('a')), { recursive: true })
  world.loki.fault = null
  for (let life = 0; life < 2; life++) {
    world.start()
    await world.clock.advance(5 * MINUTE_MS)
    t.equal(holes(world).length, 1)
    world.kill()
  }
  t.match(
    holes(world)[0]?.line.toString(),
    /lost 460 bytes \[460, 920\) of .*0.log, written after .*: gone or replaced/,
  )
  t.strictSame(lines(world), texts('one', 10))
  world.start()
  await world.clock.advance(2 * HOUR_MS)
  t.strictSame(
    [...world.checkpoints.held.keys()].filter((key) => key.includes('ns/a/')),
    [],
    'and then it is forgotten',
  )
  t.ok(world.checkpoints.held.size > 0)
})

t.test('files that come late are not taken for lost', async (t) => {
  const world = new World(t)
  write(world, 'a', texts('one', 10))
  await killBehind(world)
  const directory = join(world.directory, 'pods')
  renameSync(directory, `${directory}.away`)
  world.loki.fault = null
  world.start()
  await world.clock.advance(30 * MINUTE_MS)
  renameSync(`${directory}.away`, directory)
  await world.clock.advance(2 * MINUTE_MS)
  t.strictSame(world.loki.lines({ pod: 'a' }), [...texts('one', 10), ...texts('two', 10)])
})

t.test(
  'a pod of which the directory cannot be listed is not taken for gone, and is read soon after it can',
  async (t) => {
    for (const failingMs of [2000, 3 * MINUTE_MS]) {
      const reads = new WatchedReads(realFileSystem.reads)
      const world = new World(t, { fs: { ...realFileSystem, reads } })
      write(world, 'a', texts('one', 10))
      write(world, 'b', ['other'])
      await killBehind(world)
      world.loki.fault = null
      const directory = world.podDirectory('a')
      reads.fault = (operation, path) => (operation === 'readdir' && path.startsWith(directory) ? 'EMFILE' : null)
      world.start()
      await world.clock.advance(failingMs)
      reads.fault = () => null
      await world.clock.advance(2 * failingMs)
      t.strictSame(world.loki.lines({ pod: 'a' }), [...texts('one', 10), ...texts('two', 10)])
      world.kill()
    }
  },
)

t.test(
  'held for an hour and let go, after days of silence: neither too old nor in the way of what follows',
  async (t) => {
    const limits = { ageMsMax: 7 * DAY_MS, behindMsMax: HOUR_MS }
    const world = new World(t, { limits })
    const begin = world.clock.now()
    write(world, 'a', texts('old', 3), begin - 6 * DAY_MS)
    world.start()
    await world.clock.advance(5000)
    world.clock.step(2 * DAY_MS)
    down(world)
    const at = world.clock.now()
    write(world, 'a', texts('lost', 10), at)
    const path = rotate(world, 'a', '080001')
    write(world, 'a', texts('next', 10), at + 1000)
    await world.clock.advance(5000)
    unlinkSync(path)
    await world.clock.advance(2 * HOUR_MS)
    world.loki.fault = null
    await world.clock.advance(10 * MINUTE_MS)
    t.equal(holes(world).length, 1)
    t.match(holes(world)[0]?.line.toString(), /: deleted, and held for an hour without being delivered$/)
    t.strictSame(lines(world), [...texts('old', 3), ...texts('next', 10)])
    t.strictSame(
      world.loki.find({ pod: 'a' }).map(({ labels }) => labels.late),
      [undefined],
    )
    t.strictSame(world.letters.letters, [])
    world.settled()
  },
)

t.test('a hole that is not told yet is left when the agent stops, though no byte is', async (t) => {
  const world = new World(t)
  write(world, 'a', texts('one', 10))
  await killBehind(world)
  unlinkSync(world.podPath('a'))
  writeFileSync(world.podPath('a'), '')
  world.start()
  await world.clock.advance(30_000)
  t.equal(total(world.ledger().lost).bytes > 0, true)
  t.equal(await world.clock.until(world.agent.finish(AbortSignal.abort())), false)
  t.equal(await world.clock.until(world.agent.stop()), false, 'it is not drained')
  t.match(world.agent.left, [{ sink: 'loki', files: 1 }])
  world.kill()
  world.loki.fault = null
  world.start()
  await world.clock.advance(30_000)
  t.equal(holes(world).length, 1)
  t.equal(await world.clock.until(world.agent.stop()), true)
})

t.test('a hole before a file that stays empty is told once, whatever happens', async (t) => {
  for (const end of ['restart', 'gone'] as const) {
    const world = new World(t)
    write(world, 'a', texts('one', 10))
    write(world, 'b', ['other'])
    await killBehind(world)
    unlinkSync(world.podPath('a'))
    writeFileSync(world.podPath('a'), '')
    world.loki.fault = null
    world.start()
    await world.clock.advance(30_000)
    t.equal(holes(world).length, 1, end)
    if (end === 'gone') {
      rmSync(dirname(world.podDirectory('a')), { recursive: true })
      await world.clock.advance(5 * MINUTE_MS)
    } else {
      world.kill()
      world.start()
      await world.clock.advance(30_000)
    }
    t.equal(holes(world).length, 1, end)
    t.equal(world.events.of('bytes.lost').length, 1, end)
    world.kill()
  }
})

/** Kills the agent at moment number `at` while a hole is on its way; false when there are not so many. */
async function killAt(t: Test, at: number, eagerCheckpoints: boolean): Promise<boolean> {
  const world = new World(t, { eagerCheckpoints, sinks: [lokiConfig({ batchBytesMax: 4096 })] })
  write(world, 'a', texts('one', 30))
  world.start()
  await world.clock.advance(5000)
  await world.checkpoints.flush()
  down(world)
  write(world, 'a', texts('two', 30))
  // Until it is saved what lies unread.
  await world.clock.advance(40_000)
  await world.checkpoints.flush()
  truncateSync(world.podPath('a'), 0)
  write(world, 'a', texts('three', 5))
  let moment = 0
  const step = () => {
    if (++moment === at) world.kill()
  }
  world.loki.onMoment = step
  world.checkpoints.onSet = step
  world.checkpoints.onFlush = step
  world.loki.fault = null
  await world.clock.advance(120_000)
  const killed = world.dead
  if (killed) {
    write(world, 'a', texts('four', 5))
    world.start()
    await world.clock.advance(120_000)
  }
  t.equal(holes(world).length, 1, `killed at moment ${at}`)
  t.strictSame(lines(world).slice(0, 35), [...texts('one', 30), ...texts('three', 5)])
  world.kill()
  return killed
}

for (const eager of [true, false]) {
  t.test(
    `killed at any moment, the hole arrives once; checkpoints ${eager ? 'at once' : 'when flushed'} durable`,
    async (t) => {
      let at = 1
      while (await killAt(t, at, eager)) at++
      t.ok(at > 4, `${at} moments`)
    },
  )
}

t.test('raw standard output has the hole as a line of its own', async (t) => {
  const world = new World(t, { sinks: [stdoutConfig()] })
  const gate = Promise.withResolvers<void>()
  write(world, 'a', texts('one', 3))
  world.start()
  await world.clock.advance(5000)
  world.output.gate = gate.promise
  write(world, 'a', ['taken'])
  await world.clock.advance(5000)
  write(world, 'a', texts('lost', 3))
  await world.clock.advance(5000)
  truncateSync(world.podPath('a'), 0)
  write(world, 'a', ['next'])
  await world.clock.advance(5000)
  gate.resolve()
  await world.clock.advance(5000)
  const shown = world.output.text.split('\n').map((line) => (isHole(line) ? 'hole' : line))
  t.strictSame(shown, [...texts('one', 3), 'taken', 'hole', 'next', ''])
})

t.test('refused records whose dead letters cannot be written are dropped, and a gap says which', async (t) => {
  const world = new World(t, { limits: { lineBytesMax: 1000 } })
  world.letters.failure = new TaffrailError(UNWRITABLE, 'no disk')
  const long = (name: string) => `${name} ${'x'.repeat(2000)}`
  write(world, 'a', ['first', long('one'), 'second', long('two'), 'third'])
  world.start()
  await world.clock.advance(10_000)
  t.strictSame(
    lines(world).filter((line) => !line.startsWith('taffrail: dropped')),
    ['first', 'second', 'third'],
  )
  const said = world.loki.entries({ pod: 'a' }).filter(({ metadata }) => metadata.taffrail_mark === 'gap')
  t.equal(said.length, 1)
  t.match(
    said[0]?.line.toString(),
    /^taffrail: dropped 2 records in \[\d+, \d+\) of .*0\.log: loki refused them \(line_too_long\), and their dead letters could not be written$/,
  )
  const { dropped } = world.ledger()
  t.equal(dropped.get('deadLetterUnwritable')?.lines, 2)
  t.equal(world.events.of('records.dropped')[0]?.records, 2)
  world.accounted()
  world.kill()
  world.start()
  await world.clock.advance(10_000)
  t.equal(world.loki.entries({ pod: 'a' }).filter(({ metadata }) => metadata.taffrail_mark === 'gap').length, 1)
})

t.test('a gap that is refused, and whose letter cannot be written, makes no other one', async (t) => {
  const world = new World(t, { limits: { lineBytesMax: 20 } })
  world.letters.failure = new TaffrailError(UNWRITABLE, 'no disk')
  write(world, 'a', ['first', 'x'.repeat(50)])
  world.start()
  await world.clock.advance(60_000)
  t.strictSame(world.loki.lines({ pod: 'a' }), ['first'])
  t.ok(world.loki.seen.length < 10, `${world.loki.seen.length} pushes`)
  world.accounted()
})

t.test('dead letters that were thrown away are dropped, and the account balances', async (t) => {
  const world = new World(t, { limits: { lineBytesMax: 100 } })
  write(world, 'a', ['first', 'x'.repeat(200)])
  world.start()
  await world.clock.advance(10_000)
  const [letter] = world.letters.letters
  const ledger = world.ledger()
  const bytes = letter?.bytes ?? 0
  t.strictSame(ledger.deadLettered.get('line_too_long'), { bytes, lines: 1 })
  const evict = (reason: string, bytes: number, rows: number) =>
    world.agent.ports.deadLetters.onEvicted?.({ sink: 'loki', reason, records: 1, bytes, rows })
  evict('line_too_long', bytes, 1)
  t.strictSame(ledger.deadLettered.get('line_too_long'), { bytes: 0, lines: 0 })
  t.strictSame(ledger.dropped.get('deadLetterEvicted'), { bytes, lines: 1 })
  world.accounted()
  evict('of an earlier process', 50, 2)
  t.strictSame(ledger.dropped.get('deadLetterEvicted'), { bytes: bytes + 50, lines: 3 })
  world.settled()
})
