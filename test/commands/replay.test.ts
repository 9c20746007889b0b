// `taffrail replay` against a real receiver: what it sends, what it leaves, what it says, and how it ends.
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { acquireStateLock } from '../../src/checkpoint/lock.ts'
import { replay } from '../../src/commands/replay.ts'
import type { DeadLetter } from '../../src/deliver/dead-letter.ts'
import { encodeLetters, readLetters } from '../../src/deliver/letter-file.ts'
import { startReceiver } from '../../src/demo/receiver.ts'
import { lokiSink, writeConfig } from '../support/process.ts'

const LABELS = { app: 'shop', stream: 'stdout' }

function letter(line: string, atMs: number, more: Partial<DeadLetter> = {}): DeadLetter {
  const common = {
    at: 'then',
    sink: 'loki',
    lane: '{app="shop"}',
    reason: 'line_too_long',
    message: 'too long',
    status: 400,
  }
  const timestamp = `${atMs}000123`
  return {
    ...common,
    path: '/0.log',
    offset: 7,
    bytes: 40,
    rows: 1,
    timestamp,
    labels: LABELS,
    metadata: { m: 'x' },
    line,
    ...more,
  }
}

async function scene(t: Test, letters: DeadLetter[], limits = {}) {
  const receiver = await startReceiver({ limits })
  t.teardown(() => receiver.close())
  const state = `${t.testdir({ state: {} })}/state`
  mkdirSync(`${state}/dead-letters`)
  writeFileSync(`${state}/dead-letters/loki.1.ndjson`, encodeLetters(letters))
  const loki = lokiSink(receiver.url, { retryDelayMin: '5ms', retryDelayMax: '10ms' })
  const config = writeConfig(state, { stateDir: state, sources: [{ name: 'c', type: 'containers' }], sinks: [loki] })
  const run = async (...args: string[]) => {
    let [stdout, stderr] = ['', '']
    const code = await replay(args, {
      stdout: (text) => void (stdout += text),
      stderr: (text) => void (stderr += text),
      env: process.env,
    })
    return { code, stdout, stderr }
  }
  const left = () => {
    const names = readdirSync(`${state}/dead-letters`)
    return names.flatMap((name) => readLetters(readFileSync(`${state}/dead-letters/${name}`)).letters)
  }
  const stored = () => {
    const streams = receiver.store.streams()
    return streams.flatMap(({ labels, entries }) =>
      entries.map((entry) => ({ ...entry, labels, line: entry.line.toString() })),
    )
  }
  return { receiver, state, config, run, left, stored }
}

t.test('each letter goes to the tenant that it was for', async (t) => {
  const now = Date.now()
  const letters = [letter('a', now, { tenant: 'red' }), letter('b', now), letter('c', now + 1, { tenant: 'red' })]
  const { config, state, run, receiver } = await scene(t, letters, { authEnabled: true })
  t.match(await run(state, '-c', config, '--log-level', 'silent'), { code: 1, stdout: /2 sent, 0 .*, 1 not sent/ })
  const streams = receiver.store.streams().map(({ tenant, entries }) => [tenant, entries.map(({ line }) => `${line}`)])
  t.strictSame(streams, [['red', ['a', 'c']]], 'the sink has none, which this server refuses')
})

t.test('sends each letter as the entry that it was', async (t) => {
  const now = Date.now()
  const letters = [
    letter('b', now + 1),
    letter('a', now),
    letter('é\n"', now, { labels: { app: 'other' }, metadata: {} }),
  ]
  const { config, state, run, left, stored } = await scene(t, letters)
  t.strictSame(await run(state, '-c', config, '--log-level', 'silent'), {
    code: 0,
    stdout: 'loki: 3 sent, 0 refused again, 0 not sent\n',
    stderr: '',
  })
  t.match(stored(), [
    { line: 'a', timestampNs: BigInt(`${now}000123`), metadata: { m: 'x' }, labels: LABELS, pushes: 1 },
    { line: 'b', timestampNs: BigInt(`${now + 1}000123`) },
    { line: 'é\n"', metadata: {}, labels: { app: 'other' } },
  ])
  t.strictSame(left(), [])
  t.strictSame(await run(`${state}/dead-letters`, '-c', config), { code: 0, stdout: 'no dead letters\n', stderr: '' })
})

t.test('what is refused again stays, late ones find their way, and the account says so', async (t) => {
  const now = Date.now()
  const letters = [
    letter('x'.repeat(300), now),
    letter('good', now),
    letter('old', now - 30 * 86_400_000),
    letter('late', now - 3 * 3_600_000),
  ]
  const { config, state, run, left, stored } = await scene(t, letters, { lineBytesMax: 200 })
  const { code, stdout } = await run(state, '-c', config, '--log-level', 'silent')
  t.equal(code, 1)
  t.match(
    stdout,
    /^loki: 2 sent, 2 refused again \((too_old 1, line_too_long 1|line_too_long 1, too_old 1)\), 0 not sent\n$/,
  )
  t.strictSame(
    stored()
      .map(({ line }) => line)
      .sort(),
    ['good', 'late'],
  )
  const kept = left().sort((a, b) => (a.reason < b.reason ? -1 : 1))
  t.match(kept, [
    {
      reason: 'line_too_long',
      line: 'x'.repeat(300),
      path: '/0.log',
      offset: 7,
      bytes: 40,
      lane: '{app="shop"}',
      labels: LABELS,
    },
    { reason: 'too_old', line: 'old', message: /timestamp too old/ },
  ])
  t.not(kept[1]?.at, 'then')
})

t.test('a store that is down, or says no to all: everything stays', async (t) => {
  for (const status of [503, 401]) {
    const { receiver, config, state, run, left } = await scene(t, [letter('a', Date.now())])
    receiver.setFault(() => ({ kind: 'answer', status }))
    const { code, stdout } = await run(state, '-c', config, '--log-level', 'silent')
    t.strictSame([code, stdout], [1, 'loki: 0 sent, 0 refused again, 1 not sent\n'])
    t.equal(left().length, 1)
    t.ok(receiver.counts.requests <= 10, `${receiver.counts.requests} requests`)
  }
})

t.test('only the letters of one sink, and those of a sink that is not configured stay', async (t) => {
  const { config, state, run, left } = await scene(t, [letter('a', Date.now())])
  const others = `${state}/dead-letters/gone.3.ndjson`
  writeFileSync(others, encodeLetters([letter('b', Date.now(), { sink: 'gone' })]))
  t.match(await run(state, '-c', config, '--sink', 'loki'), {
    code: 0,
    stdout: 'loki: 1 sent, 0 refused again, 0 not sent\n',
  })
  t.match(await run(state, '-c', config), { code: 1, stdout: 'gone: 0 sent, 0 refused again, 1 not sent\n' })
  t.strictSame(
    left().map(({ sink }) => sink),
    ['gone'],
  )
})

t.test('one replay at a time, beside an agent that has the state directory', async (t) => {
  const { config, state, run } = await scene(t, [letter('a', Date.now())])
  const agent = acquireStateLock(state)
  const other = acquireStateLock(`${state}/dead-letters`)
  t.match(await run(state, '-c', config), { code: 1, stderr: /in use by another taffrail, process \d+/ })
  other.release()
  t.match(await run(state, '-c', config, '--log-level', 'silent'), { code: 0 })
  agent.release()
  t.equal(statSync(state).isDirectory(), true)
})

t.test('a state directory without dead letters, which an agent has', async (t) => {
  const { config, state, run } = await scene(t, [])
  rmSync(`${state}/dead-letters`, { recursive: true })
  writeFileSync(`${state}/checkpoints.log`, '')
  const agent = acquireStateLock(state)
  t.strictSame(await run(state, '-c', config), { code: 0, stdout: 'no dead letters\n', stderr: '' })
  agent.release()
})

t.test('usage', async (t) => {
  const { config, state, run } = await scene(t, [])
  const bad: [string[], RegExp][] = [
    [[], /DIR is missing/],
    [[state], /--config FILE is missing/],
    [[state, 'more', '-c', config], /one DIR at a time/],
    [[state, '-c', config, '--sink', 'nope'], /no such sink, only loki/],
    [[state, '-c', config, '--what'], /--what/],
    [[state, '-c', config, '--log-level', 'loud'], /must be one of/],
    [[state, '-c', `${config}.none`], /taffrail.yaml.none/],
  ]
  for (const [args, stderr] of bad) t.match(await run(...args), { code: 2, stdout: '', stderr }, args.join(' '))
  t.match(await run('--help'), { code: 0, stdout: /^Usage: taffrail replay DIR/ })
  t.match(await run(`${state}/nowhere`, '-c', config), { code: 1, stderr: /\/nowhere: there is no such directory\n$/ })
})
