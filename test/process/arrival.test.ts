// Lines without a time of their own get that of their arrival, once, and lines of one nanosecond their places in it: what
// is sent again, after a kill or a lost answer, is the same entry, and the store keeps one of it.
import t, { type Test } from 'tap'
import type { Receiver } from '../../src/demo/receiver.ts'
import { lokiSink, SERVER, startRun, within, writeConfig } from '../support/process.ts'
import { receiverOf } from '../support/receivers.ts'

t.jobs = 4

const text = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name} ${i}`)
const file = (lines: string[]) => lines.map((line) => `${line}\n`).join('')
const FILES = { name: 'f', type: 'files' }
const CONTAINERS = { name: 'c', type: 'containers' }
/** Further ahead than a clock may be. */
const future = (message: string) => `${new Date(Date.now() + 3_600_000).toISOString()} stdout F ${message}`

interface Case {
  source: object
  files: Record<string, string>
  lines: string[]
}

const cases: Record<string, Case> = {
  'a plain file': { source: FILES, files: { 'app.log': file(text('app', 50)) }, lines: text('app', 50) },
  'a plain file and what it was before its rotation': {
    source: FILES,
    files: {
      'app.log.2': file(text('old', 40)),
      'app.log.1': file(text('late', 40)),
      'app.log': file(text('new', 40)),
    },
    lines: [...text('old', 40), ...text('late', 40), ...text('new', 40)],
  },
  'a file of containers in no format': {
    source: CONTAINERS,
    files: { 'app.log': file(text('plain', 20)) },
    lines: text('plain', 20),
  },
  'times that cannot be yet': {
    source: CONTAINERS,
    files: { 'app.log': file(text('ahead', 20).map(future)) },
    lines: text('ahead', 20),
  },
}

async function begin(t: Test, { source, files }: Case, batchBytesMax = '1Mi') {
  const directory = t.testdir({ logs: files })
  const receiver = await receiverOf(t)
  const paths = [`${directory}/logs/*.log`]
  const config = writeConfig(directory, {
    sources: [{ ...source, paths, roots: [directory] }],
    sinks: [lokiSink(receiver.url, { batchBytesMax })],
    server: SERVER,
  })
  return { receiver, config }
}

/** Entries in the store, each once, in order of their times. */
function stored(receiver: Receiver): string[] {
  const entries = receiver.streams().flatMap((stream) => stream.entries)
  return entries.toSorted((a, b) => (a.timestampNs < b.timestampNs ? -1 : 1)).map(({ line }) => line.toString())
}

for (const [name, each] of Object.entries(cases)) {
  t.test(`${name}: killed when a push was stored and not answered`, async (t) => {
    const { receiver, config } = await begin(t, each)
    const killed = startRun(t, config)
    receiver.setFault(() => {
      killed.child.kill('SIGKILL')
      return { kind: 'hang', store: 'all' }
    })
    await within(killed.ended, () => `it pushes\n${killed.story()}`)
    receiver.setFault(null)
    t.same(await startRun(t, config, ['--once']).result(), { code: 0, signal: null })
    t.strictSame(stored(receiver), each.lines)
    t.ok(receiver.counts.repeated > 0, 'the kills made repeats')
  })

  t.test(`${name}: every answer is lost once`, async (t) => {
    const { receiver, config } = await begin(t, each)
    receiver.setFault(({ n }) => (n % 2 === 1 ? { kind: 'reset', store: 'all' } : null))
    const taffrail = startRun(t, config, ['--once'])
    t.same(await taffrail.result(), { code: 0, signal: null })
    t.strictSame(stored(receiver), each.lines)
    t.ok(receiver.counts.repeated > 0, 'the resets made repeats')
  })
}

t.test('lines of one nanosecond, some of them equal: killed between two pushes of them', async (t) => {
  const lines = Array.from({ length: 600 }, (_, i) => (i % 3 === 0 ? 'again' : `line ${i}`))
  const time = new Date(Date.now() - 60_000).toISOString()
  const content = lines.map((line) => `${time} stdout F ${line}\n`).join('')
  const { receiver, config } = await begin(t, { source: CONTAINERS, files: { '0.log': content }, lines }, '4Ki')
  for (let kills = 1; kills <= 2; kills++) {
    const from = receiver.counts.requests
    receiver.setFault(({ n }) => (n > from + 1 ? { kind: 'hang', store: 'all' } : null))
    const taffrail = startRun(t, config)
    await taffrail.statusWhen('a push is durable and the next one stored', ({ sinks, checkpoints }) => {
      return sinks[0]!.acked.lines > 0 && checkpoints.pending === 0 && receiver.counts.requests === from + 2
    })
    t.same(await taffrail.end('SIGKILL'), { code: null, signal: 'SIGKILL' })
  }
  receiver.setFault(null)
  const taffrail = startRun(t, config, ['--once'])
  t.same(await taffrail.result(), { code: 0, signal: null })
  t.strictSame(stored(receiver), lines)
  t.ok(receiver.counts.repeated > 0, 'the kills made repeats')
})
