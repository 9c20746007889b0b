// A sink that does not answer, or answers nonsense, for as long as it likes: nothing is held in memory, nothing is given
// up, and when it is well again every line is there once, though many were sent more than once.
import t, { type Test } from 'tap'
import type { FaultHook } from '../../src/demo/faults.ts'
import { linesOf } from './memory-loki.ts'
import { lokiConfig, stdoutConfig, texts, World } from './world.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

const pods = (count: number) => Array.from({ length: count }, (_, index) => `pod-${index}`)

const answer = (status: number, body = '', headers: Record<string, string> = {}): FaultHook => {
  return () => ({ kind: 'answer', status, body, headers })
}

const DOWN: Record<string, FaultHook> = {
  '503': answer(503, 'no healthy upstream'),
  '500': answer(500, 'ring is empty'),
  '429': answer(429, 'ingestion rate limit exceeded'),
  '401': answer(401, 'no org id'),
  '403': answer(403, 'forbidden'),
  '404': answer(404, '404 page not found'),
  '302': answer(302, '', { location: 'https://login.example' }),
  '200 with a login page': answer(200, '<!doctype html><html>Log in</html>', { 'content-type': 'text/html' }),
  '260': answer(260, 'ingestion blocked for user fake'),
  '400 that nobody understands': answer(400, 'the stars are wrong'),
  '400 without a word': answer(400),
  '418': answer(418, "I'm a teapot"),
  '422': answer(422, 'error at least one valid stream is required for ingestion'),
  'reset before anything is stored': () => ({ kind: 'reset', store: 'none' }),
  'reset after everything was stored': () => ({ kind: 'reset', store: 'all' }),
  'reset after half was stored': () => ({ kind: 'reset', store: 'half' }),
  'silence, nothing stored': () => ({ kind: 'hang', store: 'none' }),
  'silence after everything was stored': () => ({ kind: 'hang', store: 'all' }),
}

for (const [name, fault] of Object.entries(DOWN)) {
  t.test(`down: ${name}`, async (t) => {
    const world = new World(t)
    const [names, minutes] = name === '503' ? [pods(30), 60] : [pods(10), 10]
    for (const pod of names) world.write(pod, texts(`${pod} before`, 20))
    world.start()
    await world.clock.advance(5000)
    world.loki.fault = fault
    for (const pod of names) {
      world.write(pod, texts(`${pod} during`, 50))
      world.write(
        pod,
        texts(`${pod} err`, 10).map((text) => ({ text, stream: 'stderr' as const })),
      )
    }
    let heldMax = 0
    for (let minute = 0; minute < minutes; minute++) {
      await world.clock.advance(MINUTE_MS)
      heldMax = Math.max(heldMax, world.agent.budget.usedBytes)
      t.strictSame(world.ledger().imbalance(), { bytes: 0, lines: 0 })
    }
    const { budget } = world.agent
    t.ok(
      heldMax <= 4 * (budget.usedBytes / Math.max(1, world.consumer().active) || 3e6),
      'no more than four requests hold',
    )
    if (!name.startsWith('silence')) {
      t.equal(budget.usedBytes, 0, 'nothing is held between two attempts')
      t.strictSame(world.ledger().inFlight, { bytes: 0, lines: 0 })
    }
    t.strictSame(world.letters.letters, [])
    const state = world.agent.status().sinks[0]
    t.not(state?.state, 'ok')
    t.type(state?.lastError, 'string')
    world.loki.fault = null
    const before = world.loki.seen.length
    await world.clock.advance(2 * MINUTE_MS)
    t.ok(world.loki.seen.length > before)
    await world.drain()
    world.exact()
    world.accounted()
    t.equal(world.agent.status().sinks[0]?.state, 'ok')
    identicalRepeats(t, world)
  })
}

/** Whatever was pushed more than once was the same entry each time: time, line, labels and metadata. */
function identicalRepeats(t: Test, world: World): void {
  const known = new Map<string, string>()
  let troubles = 0
  for (const { push } of world.loki.seen) {
    for (const { labels, entries } of push.streams) {
      for (const { timestampNs, line, metadata } of entries) {
        const text = line.toString()
        const entry = `${labels} ${timestampNs} ${JSON.stringify(metadata)}`
        const before = known.get(text)
        if (before !== undefined && before !== entry && ++troubles < 5) t.equal(entry, before, text)
        known.set(text, entry)
      }
    }
  }
  t.equal(troubles, 0, 'repeats are the same entries')
}

t.test('Retry-After is waited for', async (t) => {
  const world = new World(t)
  world.write('web', texts('line', 5))
  world.loki.fault = ({ n }) =>
    n === 1 ? { kind: 'answer', status: 429, body: 'slow down', headers: { 'retry-after': '120' } } : null
  world.start()
  await world.clock.advance(115_000)
  t.equal(world.loki.seen.length, 1)
  await world.clock.advance(20_000)
  t.equal(world.loki.seen.length, 2)
  const [first, second] = world.loki.seen
  t.ok(second!.atMs - first!.atMs >= 120_000)
  await world.drain()
  world.exact()
})

t.test('without it the delays grow to their maximum', async (t) => {
  const world = new World(t, { sinks: [lokiConfig({ retryDelayMin: 1000, retryDelayMax: 30_000 })] })
  world.write('web', texts('line', 5))
  world.loki.fault = answer(429, 'slow down')
  world.start()
  await world.clock.advance(10 * MINUTE_MS)
  const times = world.loki.seen.map(({ atMs }) => atMs)
  const delays = times.slice(1).map((at, i) => Math.round(at - times[i]!))
  t.strictSame(delays.slice(0, 6), [1250, 2250, 4250, 8250, 15_250, 15_250])
})

t.test('halted: loud, slow, and well as soon as the server is', async (t) => {
  const world = new World(t)
  world.write('web', texts('line', 5))
  world.loki.fault = answer(401, 'no org id')
  world.start()
  await world.clock.advance(30 * MINUTE_MS)
  const halts = world.events.of('sink.halted')
  t.ok(halts.length > 20 && halts.length < 120, `${halts.length} attempts in half an hour`)
  t.match(halts[0], { sink: 'loki', status: 401, message: /no org id/ })
  t.equal(world.agent.status().sinks[0]?.state, 'halted')
  t.notOk(world.agent.status().healthy)
  world.loki.fault = null
  await world.clock.advance(MINUTE_MS)
  t.strictSame(world.loki.lines(), texts('line', 5))
  t.equal(world.events.of('sink.recovered').length, 1)
  t.equal(world.agent.status().sinks[0]?.state, 'ok')
})

t.test('one sink down, the other goes on, in both directions', async (t) => {
  const world = new World(t, { sinks: [lokiConfig(), stdoutConfig()] })
  world.write('web', texts('line', 5))
  world.loki.fault = answer(503)
  world.start()
  await world.clock.advance(5000)
  t.equal(
    world.output.text,
    texts('line', 5)
      .map((line) => `${line}\n`)
      .join(''),
  )
  world.loki.fault = null
  world.output.failure = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
  world.write('web', texts('more', 5))
  await world.clock.advance(5 * MINUTE_MS)
  t.strictSame(world.loki.lines(), [...texts('line', 5), ...texts('more', 5)])
  world.output.failure = null
  await world.drain()
  t.equal(world.output.text, [...texts('line', 5), ...texts('more', 5)].map((line) => `${line}\n`).join(''))
  for (const sink of ['loki', 'out']) world.accounted(sink)
})

t.test('one lane that is refused with an hour of delay holds nobody up', async (t) => {
  const world = new World(t, { sinks: [lokiConfig({ concurrency: 1 })] })
  world.write('limited', ['first'])
  world.loki.fault = ({ push }) =>
    push?.streams.some(({ labels }) => labels.includes('pod="limited"'))
      ? { kind: 'answer', status: 429, body: 'Per stream rate limit exceeded', headers: { 'retry-after': '3600' } }
      : null
  world.start()
  await world.clock.advance(5000)
  for (const pod of pods(10)) world.write(pod, ['fine'])
  await world.clock.advance(20_000)
  t.equal(world.loki.lines().length, 10)
  world.loki.fault = null
  await world.clock.advance(65 * MINUTE_MS)
  await world.drain()
  world.exact()
})

t.test('while it is down, the agent sends what it would send later, in the same portions', async (t) => {
  const world = new World(t)
  world.write('web', texts('line', 20))
  let down = true
  world.loki.fault = () => (down ? { kind: 'answer', status: 503 } : null)
  world.start()
  await world.clock.advance(MINUTE_MS)
  const [first, ...others] = world.loki.seen.map(({ push }) => linesOf(push).join())
  t.ok(others.length > 2)
  t.ok(others.every((lines) => lines === first))
  down = false
  await world.drain(2 * HOUR_MS)
  world.exact()
})
