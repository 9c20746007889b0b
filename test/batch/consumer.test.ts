// What a consumer does with its lanes when time, budget or files are short.
import { rmSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import type { FileSystem } from '../../src/ports/fs.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { criTime, lokiConfig, MIB, stdoutConfig, texts, World } from '../agent/world.ts'
import { FakeClock } from '../support/fake-clock.ts'

/** The machine's files, with an ear on every read. */
function listening(onRead: (fd: number, length: number, position: number) => void): FileSystem {
  const { reads, writes } = realFileSystem
  return {
    writes,
    reads: {
      ...bound(reads),
      read: (fd, target, targetOffset, length, position) => {
        onRead(fd, length, position)
        return reads.read(fd, target, targetOffset, length, position)
      },
    },
  }
}

function bound(reads: FileSystem['reads']): FileSystem['reads'] {
  return {
    stat: (path) => reads.stat(path),
    lstat: (path) => reads.lstat(path),
    fstat: (fd) => reads.fstat(fd),
    readlink: (path) => reads.readlink(path),
    realpath: (path) => reads.realpath(path),
    readdir: (path) => reads.readdir(path),
    open: (path) => reads.open(path),
    read: (...parameters) => reads.read(...parameters),
    close: (fd) => reads.close(fd),
    fileSystemBytes: (path) => reads.fileSystemBytes(path),
  }
}

const eio = () => Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })

for (const sink of [lokiConfig(), stdoutConfig()]) {
  t.test(`${sink.type}: a file that cannot be read costs next to nothing and holds nobody up`, async (t) => {
    let broken = true
    let attempts = 0
    let brokenFds = new Set<number>()
    const fs = listening((fd, length) => {
      if (!broken || length <= 4096 || !brokenFds.has(fd)) return
      attempts++
      throw eio()
    })
    fs.reads.open = (path) => {
      const fd = realFileSystem.reads.open(path)
      if (path.includes('_bad_')) brokenFds.add(fd)
      return fd
    }
    const world = new World(t, { fs, sinks: [sink] })
    world.write('bad', texts('line '.repeat(100), 5000))
    world.write('good', texts('good', 10))
    world.start()
    await world.clock.advance(60_000)
    const delivered = sink.type === 'loki' ? world.loki.lines({ pod: 'good' }).join('\n') : world.output.text
    t.match(delivered, 'good 9')
    t.ok(attempts > 0 && attempts < 600, `${attempts} attempts in a minute`)
    t.equal(world.agent.budget.usedBytes, 0)
    broken = false
    brokenFds = new Set()
    await world.drain()
    world.accounted(sink.name)
  })
}

t.test('it keeps to its CPU allowance, and delivers everything in its time', async (t) => {
  const PUSH_MS = 3
  // Half of a core: 50 ms in each 100 ms, of which a push takes 3.
  const usedMs = (): number => world.loki.seen.length * PUSH_MS
  const world: World = new World(t, { cpu: { millicores: 500, usedMs } })
  // The first push of a stream goes alone.
  for (let pod = 0; pod < 100; pod++) world.write(`pod-${pod}`, texts('line', 3))
  world.start()
  const perPeriod: number[] = []
  for (let at = 0; at < 60_000 && world.loki.lines().length < 300; at += 100) {
    const before = usedMs()
    await world.clock.advance(100)
    perPeriod.push(usedMs() - before)
  }
  t.equal(world.loki.lines().length, 300)
  t.equal(world.loki.seen.length, 100)
  const busy = perPeriod.filter((ms) => ms > 0)
  t.ok(Math.max(...busy) <= 50, `${Math.max(...busy)} ms in one period`)
  t.ok(busy.length <= 10, 'and most of it is used')
})

/** A clock of a process that works: what it does takes time, too. */
class WorkingClock extends FakeClock {
  workedMs = 0

  override monotonic(): number {
    return super.monotonic() + this.workedMs
  }
}

t.test('a shipment of many lanes keeps to the allowance while it is filled, and while it is settled', async (t) => {
  const READ_MS = 3
  const PERIOD_MS = 100
  const clock = new WorkingClock()
  let isCounted = false
  const work: number[] = []
  // What costs: a read for a shipment, and the one behind a watermark; not the looks at beginnings of files.
  const fs = listening((_, length, position) => {
    if (!isCounted || (length <= 1024 && position === 0)) return
    clock.workedMs += READ_MS
    work.push(clock.monotonic())
  })
  const world: World = new World(t, { fs, clock, cpu: { millicores: 500, usedMs: () => clock.workedMs } })
  const pods = Array.from({ length: 60 }, (_, i) => `pod-${i}`)
  for (const pod of pods) world.write(pod, texts('a line that is long enough '.repeat(10), 10))
  world.start()
  await world.clock.advance(10_000)
  t.equal(world.loki.lines().length, 600, 'all streams are calm now')
  const from = world.loki.seen.length
  isCounted = true
  for (const pod of pods) world.write(pod, texts('another line', 1))
  await world.clock.advance(20_000)
  t.equal(world.loki.lines().length, 660)
  t.ok(world.loki.seen.length - from <= 5, 'in a few pushes')
  t.ok(work.length >= 2 * pods.length, `${work.length} reads`)
  const most = Math.max(...work.map((at) => work.filter((other) => other > at - PERIOD_MS && other <= at).length))
  t.ok(most * READ_MS <= PERIOD_MS / 2, `${most * READ_MS} ms in a period`)
})

/** One request at a time, which is repeated soon. */
const oneByOne = () => lokiConfig({ concurrency: 1, retryDelayMin: 10, retryDelayMax: 50 })

t.test('who is closest to losing data is served first', async (t) => {
  const world = new World(t, { sinks: [oneByOne()] })
  const quiet = Array.from({ length: 30 }, (_, i) => `quiet-${i}`)
  for (const pod of quiet) world.write(pod, texts('line', 10))
  world.write('loud', texts('line', 10))
  world.loki.fault = () => ({ kind: 'answer', status: 503 })
  world.loki.latencyMs = 20
  world.start()
  // A rotation every two seconds: with the kubelet's five files, the oldest one is about to go.
  for (let second = 0; second < 9; second++) {
    await world.clock.advance(1000)
    world.write('loud', texts('x'.repeat(1000), 100))
    const path = world.podPath('loud')
    if (second % 2 === 1) world.rename(path, `${path}.20261121-10000${second}`)
  }
  const status = () => world.agent.status().lineages.find(({ lineage }) => lineage.includes('loud'))!.sinks[0]!
  await world.clock.advance(1000)
  const { lossSeconds } = status()
  t.ok(lossSeconds !== null && lossSeconds > 0 && lossSeconds < 8, `${lossSeconds} s are left`)
  for (const { lineage, sinks } of world.agent.status().lineages) {
    if (!lineage.includes('loud')) t.equal(sinks[0]!.lossSeconds, null, 'nothing is known to be in danger')
  }
  const from = world.loki.seen.length
  world.loki.fault = null
  await world.clock.advance(2000)
  const order = world.loki.seen.slice(from).filter(({ outcome }) => outcome === 204)
  const podOf = ({ push }: (typeof order)[number]) => /pod="([^"]+)"/.exec(push.streams[0]!.labels)![1]!
  const loudAt = order.findIndex((seen) => podOf(seen) === 'loud')
  t.ok(loudAt >= 0 && loudAt < 4, `the loud one was number ${loudAt} of ${order.length}`)
  await world.drain()
  t.equal(world.loki.lines().length, 31 * 10 + 900)
  t.equal(status().lossSeconds, null, 'all is delivered')
})

t.test('who is closest to losing data is served first by a fifth of a core, too, among five hundred', async (t) => {
  // Of 20 ms in a period a push takes 12: all of them take 40 s, and what the loud one writes is deleted after ten.
  const usedMs = (): number => world.loki.seen.length * 12
  const world: World = new World(t, { cpu: { millicores: 200, usedMs } })
  for (let i = 0; i < 500; i++) world.write(`quiet-${i}`, texts('line', 10))
  world.write('loud', texts('line', 10))
  world.start()
  const kept: string[] = []
  const left: number[] = []
  let deleted = 0
  for (let second = 0; second < 24; second++) {
    world.write('loud', texts('x'.repeat(1000), 100))
    await world.clock.advance(1000)
    if (second === 9) t.ok(world.loki.lines().length < 4000, 'most of the others are still waiting')
    if (second % 2 === 0) continue
    // As the kubelet does: four rotated files are kept, of 200 lines each.
    const path = world.podPath('loud')
    const rotated = `${path}.20261121-1000${String(second).padStart(2, '0')}`
    world.rename(path, rotated)
    kept.push(rotated)
    if (kept.length <= 4) continue
    rmSync(kept.shift() as string)
    deleted++
    left.push(Math.max(0, 10 + 200 * deleted - world.loki.lines({ pod: 'loud' }).length))
  }
  t.strictSame(left, new Array(8).fill(0), 'what is deleted was delivered before')
  await world.drain()
  t.equal(world.loki.lines().length, 5010 + 2400)
  t.strictSame(world.agent.status().sinks[0]!.lost, {})
})

t.test('a loud log in danger does not hold up the quiet ones', async (t) => {
  const world = new World(t, { sinks: [oneByOne()] })
  world.loki.latencyMs = 500
  for (let i = 0; i < 60; i++) world.write('loud', texts('x'.repeat(4000), 250))
  world.start()
  await world.clock.advance(1000)
  // Its name is gone, and only our descriptor holds it: nothing is closer to a loss.
  rmSync(world.podPath('loud'))
  await world.clock.advance(1000)
  world.write('quiet', ['hello'])
  await world.clock.advance(6000)
  t.strictSame(world.loki.lines({ pod: 'quiet' }), ['hello'])
  t.ok(world.loki.lines({ pod: 'loud' }).length < 14_000, 'the loud one is not through yet')
  await world.drain()
  t.equal(world.loki.lines({ pod: 'loud' }).length, 15_000)
})

t.test('gigabytes that are passed over leave a turn to others', async (t) => {
  const world = new World(t, { sources: [] })
  world.options.sources = [world.podSource({ startAgeMax: 3_600_000 })]
  const old = world.clock.now() - 7_200_000
  const rows = Array.from({ length: 40_000 }, (_, i) => `${criTime(old, i)} stdout F ${'x'.repeat(500)}\n`).join('')
  world.raw(world.podPath('web'), rows)
  world.raw(world.podPath('web'), `${criTime(world.clock.now())} stdout F now\n`)
  let turns = 0
  let counting = true
  const count = () => {
    turns++
    if (counting) setImmediate(count)
  }
  setImmediate(count)
  world.start()
  await world.drain()
  counting = false
  t.strictSame(world.loki.lines(), ['now'])
  // Without a turn of its own for each portion there are two or three.
  t.ok(turns > rows.length / (3 * MIB), `${turns} turns for ${rows.length} bytes`)
  t.strictSame(world.ledger().skipped.get('startAgeMax'), { bytes: rows.length, lines: 40_000 })
})

/** The pieces of a line as a runtime writes them. */
function pieces(atMs: number, text: string, ends: boolean): string {
  let rows = ''
  for (let at = 0; at < text.length; at += 16_384) {
    const last = ends && at + 16_384 >= text.length
    rows += `${criTime(atMs)} stdout ${last ? 'F' : 'P'} ${text.slice(at, at + 16_384)}\n`
  }
  return rows
}

t.test(
  'open lines of many containers: bounded in memory, cheap while nothing comes, all whole in the end',
  async (t) => {
    let bytesRead = 0
    const world = new World(t, { fs: listening((_fd, length) => (bytesRead += length)) })
    const pods = texts('pod', 40).map((name) => name.replace(' ', '-'))
    const now = world.clock.now()
    const half = (pod: string) => `${pod} `.repeat(25_000).slice(0, 196_608)
    for (const pod of pods) world.raw(world.podPath(pod), pieces(now, half(pod), false))
    world.start()
    await world.clock.advance(60_000)
    const held = () =>
      [...world.agent.tailed.values()].reduce((sum, { readers }) => sum + (readers.get('loki')?.heldBytes ?? 0), 0)
    t.ok(held() <= 2 * MIB, `${held()} bytes held`)
    bytesRead = 0
    await world.clock.advance(60_000)
    t.ok(bytesRead < 40 * MIB, `${bytesRead} bytes read again in a quiet minute`)
    for (const pod of pods) world.raw(world.podPath(pod), pieces(now, ' end', true))
    await world.drain()
    for (const pod of pods) t.equal(world.loki.lines({ pod }).join(), `${half(pod)} end`, pod)
    t.equal(held(), 0)
    world.settled()
  },
)

t.test(
  'lines too far apart for one push, behind compressed files in which one began: fewer at once, until they go out',
  async (t) => {
    const world = new World(t)
    const now = world.clock.now()
    const [live, older] = [world.podPath('web'), now - 2 * 3_600_000]
    // Each of the compressed files is waited for before anything of it can be sent.
    for (const [number, piece] of ['a', 'b', 'c'].entries()) {
      world.raw(`${live}.20261121-05000${number}.gz`, gzipSync(`${criTime(older)} stdout P ${piece}\n`))
    }
    const later = Array.from({ length: 8 }, (_, i) => `${criTime(now, i)} stdout F ${i}\n`).join('')
    world.raw(live, `${criTime(older)} stdout F d\n${later}`)
    world.start()
    await world.drain()
    t.strictSame(world.loki.lines(), ['abcd', '0', '1', '2', '3', '4', '5', '6', '7'])
  },
)

t.test('open lines that are each larger than what all may hold come to their end', async (t) => {
  const world = new World(t, {
    limits: { lineBytesMax: 16 * MIB, pushBytesMax: 64 * MIB },
    sinks: [lokiConfig({ lineBytesMax: 4 * MIB, batchBytesMax: 64 * 1024 })],
  })
  const pods = ['a', 'b', 'c']
  const text = (pod: string) => `${pod} `.repeat(1_500_000)
  for (const pod of pods) world.raw(world.podPath(pod), pieces(world.clock.now(), text(pod), true))
  world.start()
  await world.drain()
  for (const pod of pods) t.ok(world.loki.lines({ pod }).join() === text(pod), pod)
  world.settled()
})

t.test('budget for one shipment and many lanes: never over, none left over, no deadlock', async (t) => {
  const world = new World(t, { memoryBytes: 1, sinks: [lokiConfig({ concurrency: 16 })] })
  for (let i = 0; i < 60; i++) world.write(`pod-${i}`, texts('line', 200))
  world.loki.latencyMs = 5
  let usedMax = 0
  world.loki.onMoment = () => (usedMax = Math.max(usedMax, world.agent.budget.usedBytes))
  world.start()
  await world.drain()
  world.exact()
  world.accounted()
  t.equal(usedMax, world.agent.budget.totalBytes)
  t.equal(world.loki.inFlightMax, 1)
})

t.test('as many requests at once as the sink may have, and no more', async (t) => {
  const world = new World(t, { sinks: [lokiConfig({ concurrency: 3 })] })
  for (let i = 0; i < 30; i++) world.write(`pod-${i}`, texts('line', 20))
  world.loki.latencyMs = 50
  world.start()
  await world.drain()
  world.exact()
  t.equal(world.loki.inFlightMax, 3)
})

t.test('a sink that hangs with all the requests it may have does not stop the other', async (t) => {
  const world = new World(t, {
    memoryBytes: 1,
    sinks: [lokiConfig({ concurrency: 64, requestTimeout: 3_600_000 }), stdoutConfig()],
  })
  world.loki.fault = () => ({ kind: 'hang', store: 'none' })
  for (let i = 0; i < 30; i++) world.write(`pod-${i}`, texts(`pod-${i} line`, 20))
  world.start()
  await world.clock.advance(10_000)
  t.ok(world.loki.inFlight > 0)
  t.equal(world.output.text.split('\n').length - 1, 600)
  world.write('pod-0', ['more'])
  await world.clock.advance(10_000)
  t.match(world.output.text, /more\n$/)
})

t.test('the whole budget is used when the others do not need theirs', async (t) => {
  const world = new World(t, {
    memoryBytes: 40 * MIB,
    sinks: [lokiConfig({ concurrency: 64 }), stdoutConfig({ sources: ['none'] })],
  })
  for (let i = 0; i < 30; i++) world.write(`pod-${i}`, texts(`line`, 20))
  world.loki.latencyMs = 50
  world.start()
  await world.drain()
  t.equal(world.loki.inFlightMax, Math.floor((10 - 2.25) / 2.25))
})
