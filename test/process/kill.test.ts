// kill -9 at any moment, again and again, while containers write, files are rotated, compressed and restarted, and the
// sink fails: every line is in the store in the end, once, whole and in order.
import { statSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { Fault } from '../../src/demo/faults.ts'
import type { Receiver } from '../../src/demo/receiver.ts'
import { lokiSink, SERVER, startRun, type TaffrailProcess, within, writeConfig } from '../support/process.ts'
import {
  between,
  Judge,
  keepWriting,
  NOTHING_WRONG,
  type Random,
  seeded,
  seedOf,
  WritingContainer,
  WritingFile,
} from '../support/process-logs.ts'
import { receiverOf } from '../support/receivers.ts'

t.jobs = 4

const ACT_MS = 25
/** A checkpoint log is written anew beyond this (store.ts). */
const LOG_BYTES_MAX = 1.2 * 1024 * 1024

/** What may become of a push when the sink is having a bad time. */
function anyFault(random: Random): Fault | null {
  const store = (['all', 'none', 'half'] as const)[between(random, 0, 2)]!
  switch (between(random, 0, 6)) {
    case 0:
      return { kind: 'reset', store }
    case 1:
      return { kind: 'answer', status: 503, body: 'no ingesters', store }
    case 2:
      return { kind: 'slow', delayMs: between(random, 50, 400) }
    case 3:
      return { kind: 'cut', afterBytes: between(random, 0, 60), store }
    case 4:
      return { kind: 'hang', store }
    default:
      return null
  }
}

/** Kills the child: some time after its start, or the instant a push is in the store and not yet answered. */
async function killSomewhere(
  taffrail: TaffrailProcess,
  receiver: Receiver,
  random: Random,
  faulty: boolean,
): Promise<string> {
  const fault = () => (faulty ? anyFault(random) : null)
  await taffrail.logged('agent.started')
  const { promise: killed, resolve } = Promise.withResolvers<void>()
  const kill = () => {
    taffrail.child.kill('SIGKILL')
    resolve()
  }
  if (random() < 0.5) {
    receiver.setFault(fault)
    const afterMs = between(random, 0, 1400)
    const timer = setTimeout(kill, afterMs)
    await killed
    clearTimeout(timer)
    await taffrail.ended
    return `after ${afterMs} ms`
  }
  let left = between(random, 1, 12)
  receiver.setFault(() => {
    if (--left > 0) return fault()
    kill()
    return { kind: 'hang', store: 'all' }
  })
  await within(killed, () => `a push comes\n${taffrail.story()}`)
  await taffrail.ended
  receiver.setFault(fault)
  return 'at a push'
}

interface Scene {
  source: object
  writers: (WritingContainer | WritingFile)[]
  judge: Judge
}

/** Kills `kills` times, then lets it deliver the rest, and looks at what is in the store. */
async function survive(t: Test, directory: string, scene: Scene, random: Random, kills: number, faulty: boolean) {
  const { source, writers, judge } = scene
  const receiver = await receiverOf(t, { onEntry: judge.see })
  const config = writeConfig(directory, {
    sources: [source],
    sinks: [lokiSink(receiver.url, { requestTimeout: '700ms' })],
    server: SERVER,
  })
  const stopWriting = keepWriting(t, writers, ACT_MS)
  const moments: string[] = []
  for (let i = 0; i < kills; i++) moments.push(await killSomewhere(startRun(t, config), receiver, random, faulty))
  stopWriting()
  for (const writer of writers) writer.close()
  receiver.setFault(null)
  const last = startRun(t, config)
  const story = () => `${JSON.stringify(judge.verdict(), null, 1)}\nkilled ${moments.join(', ')}\n${last.story()}`
  await within(
    receiver.until(() => judge.complete),
    () => `everything arrives: ${story()}`,
  )
  // On a slow machine a push may be stored and its answer come too late: it is repeated.
  await last.statusWhen('all is acknowledged and durable', ({ checkpoints, sinks }) => {
    return checkpoints.pending === 0 && sinks.every((sink) => sink.lagBytes === 0)
  })
  t.same(await last.end(), { code: 0, signal: null })
  t.strictSame(judge.verdict(), NOTHING_WRONG, `killed ${moments.join(', ')}`)
  t.ok(statSync(`${directory}/state/checkpoints.log`).size < LOG_BYTES_MAX, 'the checkpoint log is bounded')

  const { accepted } = receiver.counts
  const again = startRun(t, config, ['--once'])
  t.same(await again.result(), { code: 0, signal: null })
  t.equal(receiver.counts.accepted, accepted, 'another start sends nothing')
  t.same(again.told('bytes.lost'), [])
  const { repeats } = judge.verifier.report()
  const rotations = writers.reduce((sum, { rotations }) => sum + rotations, 0)
  t.comment(`${judge.verifier.report().expected} numbered lines, ${rotations} rotations, ${repeats} repeats`)
  t.ok(rotations > kills / 2, 'there were rotations')
}

function containers(directory: string, random: Random): Scene {
  const judge = new Judge()
  const writers = ['web-0', 'db-0', 'job-x'].map((pod) => new WritingContainer(directory, pod, judge, random))
  return { source: { name: 'c', type: 'containers', paths: [`${directory}/containers/*.log`] }, writers, judge }
}

function files(directory: string, random: Random): Scene {
  const judge = new Judge()
  const writers = ['a', 'b', 'c'].map((name) => new WritingFile(`${directory}/${name}.log`, name, judge, random))
  return { source: { name: 'f', type: 'files', paths: [`${directory}/*.log`] }, writers, judge }
}

for (const [name, scene, faulty, kills, seed] of [
  ['containers, the sink is well', containers, false, 12, 11],
  ['containers, the sink is slow, refuses, hangs and resets after storing', containers, true, 8, 12],
  ['plain files, whose lines have the time of their arrival', files, false, 6, 13],
  ['plain files, the sink fails', files, true, 6, 14],
] as const) {
  t.test(`killed again and again: ${name}`, { buffered: true }, async (t) => {
    // Two rows of numbers: how much is written depends on the machine, when it is killed must not depend on that.
    const directory = t.testdir()
    await survive(t, directory, scene(directory, seeded(seedOf(seed))), seeded(1000 + seedOf(seed)), kills, faulty)
  })
}
