// Pushes of which Loki takes a part: whatever is mixed, each entry ends once, in its stream, in a late one, or as a dead
// letter under its own reason.
import t from 'tap'
import { linesOf } from './memory-loki.ts'
import { lokiConfig, MIB, texts, World } from './world.ts'

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

/** Letters by line. */
const reasons = (world: World) => Object.fromEntries(world.letters.letters.map(({ line, reason }) => [line, reason]))

for (const checksTold of ['one', 'all'] as const) {
  t.test(`hundreds of entries far behind, ending in the middle of a second (${checksTold} told)`, async (t) => {
    const world = new World(t, { limits: { checksTold } })
    const now = world.clock.now()
    // The stream's window begins at 07:05:00.500.
    world.write('web', [{ text: 'ahead', atMs: now + 5 * MINUTE_MS + 500 }])
    const lines = texts('line', 600).map((text, i) => ({ text, atMs: now - 56 * MINUTE_MS + i * 200 }))
    world.write('web', lines)
    world.start()
    await world.drain()
    world.exact()
    world.accounted()
    t.strictSame(world.letters.letters, [])
    // 07:04:00.0 to 07:05:00.4 are behind; everything later is in the stream itself.
    t.strictSame(world.loki.lines({ late: '2026-11-21T07Z' }), texts('line', 303))
    t.equal(
      world.events.of('records.late').reduce((sum, { records }) => sum + records, 0),
      303,
    )
  })

  t.test(`too old, far behind, too long and fine in one push (${checksTold} told)`, async (t) => {
    const world = new World(t, {
      limits: { checksTold, lineBytesMax: 1000 },
      sinks: [lokiConfig({ lineBytesMax: 4000 })],
    })
    const now = world.clock.now()
    const long = (text: string) => text.padEnd(1500, '.')
    const lines = [
      { text: 'now', atMs: now },
      ...texts('old', 25).map((text, i) => ({ text, atMs: now - 200 * HOUR_MS + i * 250 })),
      ...texts('behind', 25).map((text, i) => ({ text, atMs: now - 5 * HOUR_MS + i * 250 })),
      ...texts('long', 3).map((text) => ({ text: long(text), atMs: now })),
      { text: long('long and old'), atMs: now - 200 * HOUR_MS },
      { text: long('long and behind'), atMs: now - 5 * HOUR_MS },
      ...texts('fine', 25).map((text, i) => ({ text, atMs: now + i })),
    ]
    world.write('web', lines)
    world.start()
    await world.drain()
    const gone = [...texts('old', 25), ...texts('long', 3).map(long), long('long and old'), long('long and behind')]
    world.exact(gone)
    world.accounted()
    const told = reasons(world)
    t.strictSame(Object.keys(told).sort(), [...gone].sort())
    t.equal(world.letters.letters.length, gone.length, 'each letter once')
    for (const text of texts('old', 25)) t.equal(told[text], 'too_old')
    for (const text of texts('long', 3)) t.equal(told[long(text)], 'line_too_long')
    t.equal(told[long('long and behind')], 'line_too_long')
    t.strictSame(world.loki.lines({ late: '2026-11-21T03Z' }), texts('behind', 25))
  })

  t.test(`the limit of age lies inside a second (${checksTold} told)`, async (t) => {
    const world = new World(t, { limits: { checksTold }, sinks: [lokiConfig({ batchAgeMax: 1450 })] })
    const limit = world.clock.now() - 168 * HOUR_MS
    // Loki looks at them in the middle of the second second.
    const lines = texts('line', 60).map((text, i) => ({ text, atMs: limit + i * 100 }))
    world.write('web', lines)
    world.start()
    await world.clock.advance(2000)
    await world.drain()
    const dead = world.letters.letters.map(({ line }) => line as string)
    world.exact(dead)
    world.accounted()
    t.ok(dead.length > 10 && dead.length < 30, `${dead.length} dead letters`)
    t.strictSame(dead.sort(), texts('line', dead.length).sort(), 'the oldest, and no other')
  })

  t.test(`our clock is ahead of that of Loki (${checksTold} told)`, async (t) => {
    const world = new World(t, { limits: { checksTold, futureMsMax: 5 * MINUTE_MS } })
    const now = world.clock.now()
    // All from 5 min on are too new: hundreds, each in a second of its own.
    const lines = texts('line', 600).map((text, i) => ({ text, atMs: now + i * 900 }))
    world.write('web', lines)
    world.start()
    await world.drain()
    const dead = world.letters.letters.map(({ line }) => line as string)
    world.exact(dead)
    world.accounted()
    t.ok(dead.length > 200 && dead.length < 270, `${dead.length} dead letters`)
    t.strictSame(new Set(Object.values(reasons(world))), new Set(['too_new']))
    t.strictSame(new Set(dead), new Set(texts('line', 600).slice(600 - dead.length)), 'the newest, and no other')
    t.ok(world.loki.seen.length < 40, `${world.loki.seen.length} requests`)
  })
}

t.test('an hour and more in one push, and the answer is lost: nothing is stored twice', async (t) => {
  const world = new World(t)
  const now = world.clock.now()
  // A quiet container's log: five hours of it go into one push.
  world.write(
    'web',
    texts('line', 60).map((text, i) => ({ text, atMs: now - 5 * HOUR_MS + i * 5 * MINUTE_MS })),
  )
  world.loki.fault = ({ n }) => (n % 2 === 1 ? { kind: 'reset', store: 'all' } : null)
  world.start()
  await world.drain()
  world.exact()
  world.accounted()
  t.strictSame(world.loki.find({ late: '' }), [])
  t.strictSame(world.events.of('records.late'), [], 'its own entries did not put it behind')
  t.strictSame(world.loki.lines({ pod: 'web' }), texts('line', 60))
})

t.test('a part was dealt with when the server goes away: no letter and no late entry twice', async (t) => {
  for (const outcome of [500, 429, 401, 'hang', 'reset'] as const) {
    const world = new World(t, { limits: { lineBytesMax: 1000 }, sinks: [lokiConfig({ lineBytesMax: 4000 })] })
    const now = world.clock.now()
    const long = 'long '.repeat(300)
    world.write('web', [
      { text: 'now', atMs: now },
      ...texts('old', 20).map((text, i) => ({ text, atMs: now - 200 * HOUR_MS + i * 1000 })),
      ...texts('behind', 20).map((text, i) => ({ text, atMs: now - 5 * HOUR_MS + i })),
      long,
      ...texts('fine', 20),
    ])
    let down = true
    // The first two answers are honest, then nothing goes for an hour.
    world.loki.fault = ({ n }) => {
      if (n <= 2 || !down) return null
      if (outcome === 'hang') return { kind: 'hang', store: n % 2 === 0 ? 'all' : 'none' }
      if (outcome === 'reset') return { kind: 'reset', store: n % 2 === 0 ? 'all' : 'none' }
      return { kind: 'answer', status: outcome, body: 'not now' }
    }
    world.start()
    await world.clock.advance(HOUR_MS)
    while (world.consumer().active > 0) await world.clock.advance(1000)
    t.equal(world.agent.budget.usedBytes, 0, 'an outage holds no memory')
    t.equal(world.consumer().active, 0, 'and no place')
    down = false
    await world.drain()
    const gone = [...texts('old', 20), long]
    world.exact(gone)
    world.accounted()
    t.strictSame(world.letters.letters.map(({ line }) => line).sort(), [...gone].sort(), `${outcome}: each letter once`)
    t.strictSame(world.loki.lines({ late: '2026-11-21T03Z' }).sort(), texts('behind', 20).sort())
  }
})

t.test('the dead letters cannot be written: the lane holds, others go on, then it goes on too', async (t) => {
  const world = new World(t)
  const now = world.clock.now()
  world.write('web', [
    { text: 'old', atMs: now - 200 * HOUR_MS },
    ...texts('line', 20).map((text) => ({ text, atMs: now })),
  ])
  world.letters.failure = new Error('ENOSPC: no space left on device')
  const sets: number[] = []
  world.checkpoints.onSet = (_sink, lineage, { offset }) => void (lineage.includes('/web/') && sets.push(offset))
  world.start()
  await world.clock.advance(60_000)
  world.write('other', texts('other', 20))
  await world.clock.advance(10 * 60_000)
  t.strictSame(world.loki.lines({ pod: 'other' }), texts('other', 20))
  t.ok(world.events.of('sink.retry').length > 3)
  t.strictSame(new Set(sets), new Set([0]), 'the watermark stays before the record')
  t.strictSame(world.ledger().deadLettered.size, 0)
  world.letters.failure = null
  await world.drain()
  world.exact(['old'])
  world.accounted()
  t.equal(world.letters.letters.length, 1)
})

t.test('stderr refused, stdout delivered: stdout is not sent again', async (t) => {
  const world = new World(t)
  world.write('web', texts('out', 30))
  world.write(
    'web',
    texts('err', 30).map((text) => ({ text, stream: 'stderr' as const })),
  )
  world.write('web', texts('more', 30))
  let refuse = true
  world.loki.fault = ({ push }) =>
    refuse && push?.streams.some(({ labels }) => labels.includes('stream="stderr"'))
      ? { kind: 'answer', status: 503, body: 'not this one' }
      : null
  world.start()
  await world.clock.advance(5 * 60_000)
  world.write('web', texts('late', 5))
  await world.clock.advance(5 * 60_000)
  const stdoutPushes = world.loki.seen.filter(({ push }) => linesOf(push).some((line) => line.startsWith('out')))
  t.equal(stdoutPushes.length, 1)
  t.strictSame(world.ledger().imbalance(), { bytes: 0, lines: 0 })
  refuse = false
  await world.drain()
  world.exact()
  world.accounted()
  t.equal(world.loki.store.counts.repeated, 0)
})

t.test('413: it is split, and a record that is too large by itself is a dead letter', async (t) => {
  const world = new World(t)
  const huge = 'huge '.repeat(20_000)
  world.write('web', [...texts('before', 300), huge, ...texts('after', 300)])
  world.write('other', texts('other', 300))
  world.loki.fault = ({ push }) => {
    const bytes = push?.streams.flatMap(({ entries }) => entries).reduce((sum, { line }) => sum + line.length, 0) ?? 0
    return bytes > 2000 ? { kind: 'answer', status: 413, body: 'Request Entity Too Large' } : null
  }
  world.start()
  await world.drain()
  world.exact([huge])
  world.accounted()
  t.strictSame(reasons(world), { [huge]: 'too_large' })
})

t.test('a push over what the ingester takes: split, not retried for ever', async (t) => {
  const world = new World(t, {
    limits: { pushBytesMax: 100_000, lineBytesMax: 200_000 },
  })
  const huge = 'h'.repeat(150_000)
  world.write('web', [...texts('line '.repeat(20), 5000), huge, 'last'])
  world.start()
  await world.drain()
  world.exact([huge])
  world.accounted()
  t.strictSame(reasons(world), { [huge]: 'too_large' })
})

t.test('one line of 4 MiB', async (t) => {
  const line = 4 * MIB
  const world = new World(t, {
    limits: { pushBytesMax: 64 * MIB, lineBytesMax: 64 * MIB },
    sinks: [lokiConfig({ lineBytesMax: line })],
  })
  world.write('web', ['before', 'x'.repeat(line), 'after'])
  world.start()
  await world.drain()
  world.exact()
  world.accounted()
})

t.test('everything in a lane is refused in words that name no entry', async (t) => {
  const world = new World(t, { limits: { metadataPairsMax: 0 } })
  world.write('web', texts('line', 100))
  world.start()
  await world.drain()
  world.exact(texts('line', 100))
  world.accounted()
  t.strictSame(new Set(Object.values(reasons(world))), new Set(['metadata_too_many']))
})

t.test('a letter names the file that its record is in', async (t) => {
  const world = new World(t)
  const now = world.clock.now()
  const old = (text: string) => ({ text, atMs: now - 200 * HOUR_MS })
  // Two pods of one name, one after the other, are one stream; and a file that was rotated.
  const rotated = `${world.podPath('web', 'uid-1')}.20261121-075000`
  world.raw(rotated, row(now - 200 * HOUR_MS, 'old 1') + row(now, 'new 1'))
  world.raw(world.podPath('web', 'uid-1'), row(now - 200 * HOUR_MS, 'old 2') + row(now, 'new 2'))
  world.raw(world.podPath('web', 'uid-2'), row(now, 'new 3') + row(now - 200 * HOUR_MS, 'old 3'))
  t.ok(old('x'))
  world.start({ once: true })
  await world.drain()
  world.settled()
  t.strictSame(world.loki.lines({ pod: 'web' }).sort(), ['new 1', 'new 2', 'new 3'])
  t.strictSame(Object.fromEntries(world.letters.letters.map(({ line, path, offset }) => [line, [path, offset]])), {
    'old 1': [rotated, 0],
    'old 2': [world.podPath('web', 'uid-1'), 0],
    'old 3': [world.podPath('web', 'uid-2'), row(now, 'new 3').length],
  })
})

function row(atMs: number, text: string): string {
  return `${new Date(atMs).toISOString()} stdout F ${text}\n`
}
