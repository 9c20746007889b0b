// A server error may be the server's, or one record's for ever. The record is found and buried; an outage, however long
// and of whatever part, buries nobody.
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import type { FaultHook } from '../../src/demo/faults.ts'
import { linesOf } from './memory-loki.ts'
import { criTime, texts, World } from './world.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

const poison =
  (...lines: string[]): FaultHook =>
  () => ({ kind: 'poison', matches: ({ line }) => lines.includes(line.toString()) })

function onlyDead(t: Test, world: World, lines: readonly string[]): void {
  world.exact(lines)
  world.accounted()
  const { letters } = world.letters
  t.strictSame(letters.map(({ line }) => line).sort(), [...lines].sort(), 'dead letters')
  t.ok(letters.every(({ reason, status }) => reason === 'server_error' && status === 500))
}

const COUNT = 9000

for (const [where, lines] of Object.entries({
  first: [0],
  second: [1],
  last: [COUNT - 1],
  middle: [4711],
  'the first two': [0, 1],
  'the first and the last': [0, COUNT - 1],
  'here and there': [0, 1, 2, 77, 78, 4000, 4001, 8000, COUNT - 1],
})) {
  t.test(`one lane alone, with poison: ${where}`, async (t) => {
    const world = new World(t)
    world.write('web', texts('line', COUNT))
    const bad = lines.map((index) => `line ${index}`)
    world.loki.fault = poison(...bad)
    world.start()
    await world.drain(2 * HOUR_MS)
    onlyDead(t, world, bad)
    t.ok(world.loki.seen.length < 100 + 40 * bad.length, `${world.loki.seen.length} requests`)
  })
}

t.test('poison on stderr, while stdout is taken each time', async (t) => {
  const world = new World(t)
  world.write('web', texts('start', 3))
  world.start()
  await world.clock.advance(5000)
  world.loki.fault = poison('bad')
  world.write(
    'web',
    [...texts('error', 5), 'bad'].map((text) => ({ text, stream: 'stderr' as const })),
  )
  for (let n = 0; !world.letters.letters.length; n++) {
    if (n === 1800) return t.fail('not found within half an hour')
    world.write('web', [`line ${n}`])
    await world.clock.advance(1000)
  }
  await world.drain()
  onlyDead(t, world, ['bad'])
})

t.test('poison among many lanes: the others are delivered within a minute', async (t) => {
  const world = new World(t)
  for (let i = 0; i < 40; i++) world.write(`pod-${i}`, texts('start', 3))
  world.start()
  await world.clock.advance(5000)
  t.equal(world.loki.lines().length, 120)
  // All are calm now, and share their pushes.
  world.loki.fault = poison('bad')
  for (let i = 0; i < 40; i++) world.write(`pod-${i}`, texts('more', 3))
  world.write('pod-7', ['bad', 'after the bad'])
  await world.clock.advance(MINUTE_MS)
  const behind = [...world.written.keys()].filter((pod) => !world.loki.lines({ pod }).includes('more 2'))
  t.strictSame(behind, [])
  await world.drain()
  onlyDead(t, world, ['bad'])
})

t.test('poison alone in its lane: the next line is its neighbour, whatever happens elsewhere', async (t) => {
  const world = new World(t)
  world.loki.fault = poison('bad')
  world.write('web', ['bad'])
  world.write('other', ['fine'])
  world.start()
  await world.clock.advance(MINUTE_MS)
  world.write('other', ['more'])
  await world.clock.advance(MINUTE_MS)
  t.strictSame(world.letters.letters, [])
  world.write('web', ['neighbour'])
  await world.drain()
  onlyDead(t, world, ['bad'])
})

/** What stands beside a record of so many bytes. */
const probe = (bytes: number) =>
  `taffrail: sent to see whether this log is served, beside a record of ${bytes} bytes that gets server errors`

t.test('poison alone in its lane for good: it is judged beside a probe, once in its stream', async (t) => {
  const world = new World(t)
  world.loki.fault = poison('bad')
  world.write('web', ['bad'])
  world.start()
  await world.drain()
  t.strictSame(
    world.letters.letters.map(({ line, reason }) => [line, reason]),
    [['bad', 'server_error']],
  )
  world.accounted()
  const [letter] = world.letters.letters
  const stored = world.loki.entries({ pod: 'web', stream: 'stdout' })
  t.strictSame(
    stored.map(({ line, metadata }) => [line.toString(), metadata]),
    [[probe(letter?.bytes ?? 0), { taffrail_mark: 'probe' }]],
  )
  t.equal(String(stored[0]?.timestampNs), letter?.timestamp, 'it stands in its place')
  t.ok(world.loki.seen.length < 100, `${world.loki.seen.length} requests`)
})

t.test('poison alone before the damage of a compressed file: what comes after it is not held up', async (t) => {
  const world = new World(t)
  const now = world.clock.now()
  world.loki.fault = poison('bad')
  const whole = gzipSync(`${criTime(now)} stdout F bad\n`)
  world.raw(`${world.podPath('web')}.20261121-050000.gz`, whole.subarray(0, whole.length - 6))
  world.raw(world.podPath('web'), `${criTime(now, 1)} stdout F after\n`)
  world.start()
  await world.drain()
  t.strictSame(
    world.letters.letters.map(({ line }) => line),
    ['bad'],
  )
  const [first, gap = '', ...after] = world.loki.lines({ pod: 'web' })
  t.match(first, /^taffrail: sent to see/)
  t.match(gap, /^taffrail: lost from offset .*: the compressed file is damaged/)
  t.strictSame(after, ['after'])
})

t.test('poison on stderr: stdout goes its way', async (t) => {
  const world = new World(t)
  world.loki.fault = poison('bad')
  world.write('web', [...texts('out', 20), ...texts('err', 20).map((text) => ({ text, stream: 'stderr' as const }))])
  world.write('web', [{ text: 'bad', stream: 'stderr' }])
  world.start()
  await world.drain()
  onlyDead(t, world, ['bad'])
  t.equal(world.loki.seen.filter(({ push }) => linesOf(push).includes('out 0')).length, 1)
})

t.test('poison beside entries that are too old and too far behind', async (t) => {
  const world = new World(t)
  const now = world.clock.now()
  world.loki.fault = poison('bad 1', 'bad 2')
  world.write('web', [
    'now',
    ...texts('old', 30).map((text, i) => ({ text, atMs: now - 200 * HOUR_MS + i })),
    'bad 1',
    ...texts('behind', 30).map((text, i) => ({ text, atMs: now - 5 * HOUR_MS + i })),
    { text: 'bad 2', atMs: now - 5 * HOUR_MS },
    ...texts('fine', 30),
  ])
  world.start()
  await world.drain()
  const reasons = new Map(world.letters.letters.map(({ line, reason }) => [line, reason]))
  world.exact([...reasons.keys()] as string[])
  world.accounted()
  t.equal(world.letters.letters.length, 32)
  t.equal(reasons.get('bad 1'), 'server_error')
  t.equal(reasons.get('bad 2'), 'server_error')
  for (const text of texts('old', 30)) t.equal(reasons.get(text), 'too_old')
  t.strictSame(world.loki.lines({ late: '2026-11-21T03Z' }).sort(), texts('behind', 30).sort())
})

t.test('an outage of server errors for everything: nobody is buried, and the server is not hammered', async (t) => {
  const world = new World(t)
  for (let i = 0; i < 6; i++) world.write(`pod-${i}`, texts('line', 200))
  world.loki.fault = () => ({ kind: 'answer', status: 500, body: 'ring is empty' })
  world.start()
  await world.clock.advance(HOUR_MS)
  t.strictSame(world.letters.letters, [])
  const perLaneAndMinute = world.loki.seen.length / 6 / 60
  t.ok(perLaneAndMinute < 5, `${perLaneAndMinute} requests a lane and minute`)
  world.loki.fault = null
  await world.drain()
  onlyDead(t, world, [])
})

t.test('an outage for some lanes only (an ingester is gone): nobody is buried', async (t) => {
  const world = new World(t)
  for (let i = 0; i < 10; i++) world.write(`pod-${i}`, texts('line', i === 0 ? 1 : 100))
  let down = true
  world.loki.fault = ({ push }) =>
    down && push?.streams.some(({ labels }) => /pod="pod-[01]"/.test(labels))
      ? { kind: 'answer', status: 500, body: 'at least 1 live replicas required, could only find 0' }
      : null
  world.start()
  for (let i = 0; i < 90; i++) {
    await world.clock.advance(MINUTE_MS)
    world.write('pod-9', [`more ${i}`])
  }
  t.equal(world.loki.lines({ pod: 'pod-9' }).length, 189)
  t.strictSame(world.letters.letters, [])
  down = false
  await world.drain()
  onlyDead(t, world, [])
})

t.test('the server fails in the middle of a search: only what is bad is buried', async (t) => {
  for (let failAfter = 1; failAfter < 60; failAfter += 5) {
    const world = new World(t)
    world.write('web', texts('line', 64))
    const bad = poison('line 20')
    let successes = 0
    let down = 0
    world.loki.fault = (request) => {
      if (down > 0) {
        down--
        return { kind: 'answer', status: 500, body: 'gone' }
      }
      const hasBad = linesOf(request.push ?? { streams: [] }).includes('line 20')
      if (!hasBad && ++successes === failAfter) {
        down = 30
        return { kind: 'answer', status: 500, body: 'gone' }
      }
      return bad(request)
    }
    world.start()
    await world.drain(24 * HOUR_MS)
    onlyDead(t, world, ['line 20'])
  }
})

t.test('a server that fails every other time: nobody is buried', async (t) => {
  for (const seed of [1, 2, 3]) {
    const world = new World(t)
    for (let i = 0; i < 5; i++) world.write(`pod-${i}`, texts('line', 300))
    let state = seed
    const random = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state / 2 ** 32
    }
    world.loki.fault = () => (random() < 0.5 ? { kind: 'answer', status: 500, body: 'now and then' } : null)
    world.start()
    for (let i = 0; i < 30; i++) {
      await world.clock.advance(MINUTE_MS)
      world.write(`pod-${i % 5}`, texts(`more ${i}`, 20))
    }
    await world.drain(24 * HOUR_MS)
    onlyDead(t, world, [])
  }
})
