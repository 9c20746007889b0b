// SIGTERM and SIGINT: a clean end in bounded time, after which everything that was acknowledged is durable.
import { appendFileSync, readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { Fault } from '../../src/demo/faults.ts'
import type { ReceiverOptions } from '../../src/demo/receiver.ts'
import { eventually, lokiSink, SERVER, startRun, within, writeConfig } from '../support/process.ts'
import { Judge, keepWriting, NOTHING_WRONG, seeded, WritingContainer } from '../support/process-logs.ts'
import { receiverOf } from '../support/receivers.ts'

t.jobs = 4

const CLEAN = { code: 0, signal: null }
/** Not all could be delivered. */
const LEFT = { code: 1, signal: null }
/** What the process gives itself (run.ts), and a busy machine. */
const STOP_MS_MAX = 10_000 + 4000

const row = (message: string, second: number) =>
  `${new Date(Date.now() - 60_000 + 1000 * second).toISOString()} stdout F ${message}\n`
const rows = (name: string, count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => row(`${name} ${from + i}`, from + i)).join('')

/** A container's directory with these files, a receiver and a configuration. */
async function scene(t: Test, files: Record<string, string>, options: ReceiverOptions = {}, sink: object = {}) {
  const directory = t.testdir({ pods: { ns_web_uid: { app: files } } })
  const receiver = await receiverOf(t, options)
  const config = writeConfig(directory, {
    sources: [{ name: 'c', type: 'containers', paths: [`${directory}/pods/*/*/*.log`] }],
    sinks: [lokiSink(receiver.url, sink)],
    server: SERVER,
  })
  return { directory, logs: `${directory}/pods/ns_web_uid/app`, receiver, config }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal}: a clean end, and the next start sends nothing again`, { buffered: true }, async (t) => {
    const files = { '0.log.20261121-100000': rows('old', 300), '0.log': rows('new', 300, 300) }
    const { receiver, config, logs } = await scene(t, files)
    const taffrail = startRun(t, config)
    await taffrail.settled()
    t.same(await taffrail.end(signal), CLEAN)
    t.match(taffrail.log.slice(-2), [
      { event: 'agent.stopping', reason: signal },
      { event: 'agent.stopped', drained: true },
    ])
    t.same([receiver.counts.accepted, receiver.counts.repeated], [600, 0])

    const { requests } = receiver.counts
    const again = startRun(t, config)
    await again.statusWhen('it has looked', ({ ready, lineages }) => ready && lineages.length > 0)
    appendFileSync(`${logs}/0.log`, row('one more', 700))
    await within(
      receiver.until(() => receiver.counts.accepted > 600),
      () => `the line that was written meanwhile arrives\n${again.story()}`,
    )
    t.same(await again.end(signal), CLEAN)
    t.same([receiver.counts.requests - requests, receiver.counts.accepted, receiver.counts.repeated], [1, 601, 0])
  })
}

t.test('a rotated file and an empty one in its place: nothing again', { buffered: true }, async (t) => {
  const { receiver, config } = await scene(t, { '0.log.20261121-100000': rows('old', 50), '0.log': '' })
  for (const args of [[], ['--once']]) {
    const taffrail = startRun(t, config, args)
    if (args.length > 0) t.same(await taffrail.result(), CLEAN)
    else {
      // The reader has left the rotated file.
      await taffrail.statusWhen('it waits in the new file', ({ lineages, sinks }) => {
        return sinks[0]!.acked.lines === 50 && lineages[0]!.files.length === 1
      })
      t.same(await taffrail.end(), CLEAN)
    }
    t.same([receiver.counts.accepted, receiver.counts.repeated], [50, 0])
  }
})

t.test('while lines come and pushes are under way: not one is repeated', { buffered: true }, async (t) => {
  const directory = t.testdir()
  const judge = new Judge()
  const random = seeded(5)
  // An open line is begun again by the next start, and what came after its beginning with it.
  const writers = ['a', 'b', 'c'].map((pod) => new WritingContainer(directory, pod, judge, random, true))
  const receiver = await receiverOf(t, { onEntry: judge.see })
  receiver.setFault(() => ({ kind: 'slow', delayMs: 120 }))
  const config = writeConfig(directory, {
    sources: [{ name: 'c', type: 'containers', paths: [`${directory}/containers/*.log`] }],
    sinks: [lokiSink(receiver.url, { concurrency: 2 })],
  })
  const stopWriting = keepWriting(t, writers, 10)
  for (let starts = 1; starts <= 4; starts++) {
    const from = receiver.counts.requests
    const taffrail = startRun(t, config)
    await within(
      receiver.until(() => receiver.counts.requests >= from + 2 + starts),
      () => `it pushes\n${taffrail.story()}`,
    )
    t.same(await taffrail.end(starts % 2 === 0 ? 'SIGINT' : 'SIGTERM'), CLEAN)
  }
  stopWriting()
  for (const writer of writers) writer.close()
  const last = startRun(t, config, ['--once'])
  t.same(await last.result(), CLEAN)
  t.strictSame(judge.verdict(), NOTHING_WRONG)
  t.equal(judge.verifier.report().repeats, 0)
})

t.test('SIGTERM while the sink is slow: what is in the files by then is delivered', { buffered: true }, async (t) => {
  const files = Object.fromEntries(
    [1, 2, 3, 4].map((n) => [`0.log.20261121-10000${n}`, rows(`old ${n}`, 100, 100 * n)]),
  )
  const sink = { batchBytesMax: '8Ki', concurrency: 1 }
  const { receiver, config, logs } = await scene(t, { ...files, '0.log': rows('new', 100, 500) }, {}, sink)
  receiver.setFault(() => ({ kind: 'slow', delayMs: 150 }))
  const taffrail = startRun(t, config)
  await within(
    receiver.until(() => receiver.counts.requests > 0),
    () => `it pushes\n${taffrail.story()}`,
  )
  // The beginning of a line: it ends after us, and is no reason to wait.
  appendFileSync(`${logs}/0.log`, row('torn', 600).slice(0, -3))
  t.same(await taffrail.end(), CLEAN)
  t.same([receiver.counts.accepted, receiver.counts.repeated], [500, 0])
})

const downs: Record<string, Fault> = {
  hangs: { kind: 'hang', store: 'none' },
  'answers 503': { kind: 'answer', status: 503 },
  'resets every connection': { kind: 'reset', store: 'none' },
}
for (const [what, fault] of Object.entries(downs)) {
  t.test(
    `SIGTERM while the sink ${what}: an end within its bound, and nothing is lost`,
    { buffered: true },
    async (t) => {
      const { receiver, config } = await scene(t, { '0.log': rows('line', 200) }, { fault: () => fault })
      const taffrail = startRun(t, config)
      await within(
        receiver.until(() => receiver.counts.requests > 0),
        () => `it pushes\n${taffrail.story()}`,
      )
      const startedAt = Date.now()
      t.same(await taffrail.end(), LEFT)
      t.ok(Date.now() - startedAt < STOP_MS_MAX, `${Date.now() - startedAt} ms`)
      const left = [{ sink: 'loki', bytes: rows('line', 200).length, files: 1 }]
      t.match(taffrail.told('agent.stopped'), [
        { drained: false, left, msg: /left for the next start: \d+ bytes in 1 log/ },
      ])
      receiver.setFault(null)
      const again = startRun(t, config, ['--once'])
      t.same(await again.result(), CLEAN)
      t.same([receiver.counts.accepted, receiver.counts.repeated], [200, 0])
    },
  )
}

t.test('SIGTERM while nobody listens; a second one changes nothing', { buffered: true }, async (t) => {
  const { receiver, config } = await scene(t, { '0.log': rows('line', 200) })
  await receiver.close()
  const taffrail = startRun(t, config)
  await taffrail.logged('sink.retry')
  taffrail.child.kill('SIGTERM')
  await taffrail.logged('agent.stopping')
  t.same(await taffrail.end(), LEFT)
  // What was held back as a repeat is written after it.
  t.match(
    taffrail.log.filter(({ event }) => event === 'agent.stopped'),
    [{ drained: false }],
  )
})

t.test('what was acknowledged is durable soon after, even for kill -9', { buffered: true }, async (t) => {
  const { receiver, config, directory } = await scene(t, { '0.log': rows('line', 500) })
  const taffrail = startRun(t, config)
  await taffrail.settled()
  t.same(await taffrail.end('SIGKILL'), { code: null, signal: 'SIGKILL' })
  t.match(readFileSync(`${directory}/state/checkpoints.log`, 'utf8'), /"offset":\d{4,}/)
  const again = startRun(t, config, ['--once'])
  t.same(await again.result(), CLEAN)
  t.same([receiver.counts.accepted, receiver.counts.repeated], [500, 0])
})

t.test('nobody reads its log any more: it goes on, and ends as told', { buffered: true }, async (t) => {
  const { receiver, config, logs } = await scene(t, { '0.log': rows('line', 10) })
  const taffrail = startRun(t, config)
  const url = await taffrail.serverUrl()
  taffrail.child.stderr?.destroy()
  // Each refused line is a warning that nobody hears.
  receiver.setFault(() => ({ kind: 'answer', status: 400, body: 'no' }))
  appendFileSync(`${logs}/0.log`, rows('more', 10, 10))
  await eventually(
    () => 'the sink halts',
    async () =>
      ((await (await fetch(`${url}/status`)).json()) as { sinks: { state: string }[] }).sinks[0]!.state === 'halted',
  )
  receiver.setFault(null)
  await within(
    receiver.until(() => receiver.counts.accepted === 20),
    () => 'the lines arrive',
  )
  t.same(await taffrail.end(), CLEAN)
})
