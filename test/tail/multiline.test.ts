// Lines that are one record: by source stream, over rotations, refusals, kills and pauses. Whatever happens, each line is in
// one record, and a repeat of that is the same one.

import t, { type Test } from 'tap'
import fc from '../support/properties.ts'
import { type Delivered, type RigSink, row, type SinkOptions, TailRig } from '../support/tail-rig.ts'

const START = { start: '^\\S' }

function start(t: Test, options: SinkOptions = {}): { rig: TailRig; sink: RigSink } {
  const rig = new TailRig(t)
  return { rig, sink: rig.sink({ multiline: START, ...options }) }
}

const lines = (...all: string[]) => `${all.join('\n')}\n`
const told = (sink: RigSink) => sink.delivered.map(({ stream, text }) => `${stream} ${text}`)

t.test('a trace is one record of its stream, whatever is between its lines', async (t) => {
  const { rig, sink } = start(t, { multiline: { preset: 'java' } })
  const trace = ['java.lang.IllegalStateException: no', '\tat a.B.c(B.java:1)', '\tat a.B.d(B.java:2)', '\t... 2 more']
  rig.write(
    '0.log',
    lines(
      row(1, 'before'),
      row(2, 'request failed'),
      row(3, trace[0] as string),
      row(4, 'GET /', 'F', 'stderr'),
      row(5, '\tat a.B.', 'P'),
      row(6, 'GET /2', 'F', 'stderr'),
      row(7, 'c(B.java:1)'),
      row(8, trace[2] as string),
      row(9, trace[3] as string),
      row(10, 'after'),
    ),
  )
  await rig.step()
  t.strictSame(told(sink), ['stdout before', 'stderr GET /', `stdout ${['request failed', ...trace].join('\n')}`])
  t.match(sink.delivered[2], { sourceLines: 6, time: BigInt(Date.parse('2026-11-21T08:00:00Z')) * 1_000_000n + 2n })
  await rig.run(2000)
  t.strictSame(sink.texts.slice(3).sort(), ['GET /2', 'after'], 'nothing came for a while')
  t.equal(sink.ledger.acked.lines, 10)
})

t.test('by the lines own times, a pause ends a record whenever it is read', async (t) => {
  const { rig, sink } = start(t)
  rig.write(
    '0.log',
    lines(
      row(0, 'one'),
      row(1e9, ' in time'),
      row(2e9 + 1, ' too late'),
      row(2e9 + 2, 'err', 'F', 'stderr'),
      row(9e9, ' the other stream'),
      row(9e9 + 1, 'two'),
    ),
  )
  await rig.step()
  t.strictSame(told(sink), ['stdout one\n in time', 'stdout  too late', 'stderr err', 'stdout  the other stream'])
})

t.test('an open record holds the watermark, and is bounded', async (t) => {
  const { rig, sink } = start(t)
  rig.write('0.log', lines(row(1, 'one'), row(2, 'two'), row(3, ' of two')))
  await rig.step()
  t.strictSame(sink.texts, ['one'])
  t.equal(sink.position?.offset, row(1, 'one').length + 1)
  t.notOk(sink.reader.isAtFreshLine)
  t.ok(sink.reader.isWaiting, 'more will come by itself')
  await rig.run(2000)
  t.strictSame(sink.texts, ['one', 'two\n of two'])
  t.ok(sink.reader.isAtFreshLine)
  t.notOk(sink.reader.isWaiting)
  rig.append('0.log', lines(row(4, 'begin'), ...Array.from({ length: 2500 }, (_, i) => row(5, ` ${i}`)), row(6, 'end')))
  await rig.step()
  t.strictSame(
    sink.texts.slice(2).map((text) => text.split('\n').length),
    [1000, 1000, 501],
  )
  rig.append(
    '0.log',
    lines(...Array.from({ length: 40 }, (_, i) => row(7, ` ${i}${'x'.repeat(4000)}`)), row(8, 'last')),
  )
  await rig.step()
  t.ok(sink.texts.every((text) => text.length <= 64 * 1024))
})

t.test('with both streams busy there is a place to begin again all the same', async (t) => {
  const { rig, sink } = start(t)
  const all = Array.from({ length: 20_000 }, (_, i) =>
    row(i * 1000, `line ${i} ${'x'.repeat(40)}`, 'F', i % 2 ? 'stderr' : 'stdout'),
  )
  rig.write('0.log', lines(...all))
  await rig.step()
  const bytes = lines(...all).length
  t.ok((sink.position?.offset ?? 0) > bytes - 300 * 1024, `${sink.position?.offset} of ${bytes}`)
  await rig.run(2000)
  t.equal(sink.delivered.length, 20_000)
})

t.test('goes on after a rotation, and ends with its container', async (t) => {
  const { rig, sink } = start(t)
  rig.write('0.log', lines(row(1, 'one'), row(2, ' of one')))
  await rig.step()
  rig.rename('0.log', '0.log.20261121-080001')
  rig.write('0.log', lines(row(3, ' still of one'), row(4, 'two')))
  await rig.run(900)
  t.strictSame(sink.texts, [], 'the old file may grow')
  await rig.run(600)
  t.strictSame(sink.texts, ['one\n of one\n still of one'])
  rig.write('1.log', lines(row(5, ' of nobody'), row(6, 'next')))
  await rig.run(4000)
  t.strictSame(sink.texts.slice(1), ['two', ' of nobody', 'next'])
})

t.test('what was taken for whole is so after a kill, too', async (t) => {
  const { rig, sink } = start(t)
  rig.write('0.log', lines(row(1, 'err', 'P', 'stderr'), row(2, 'one'), row(3, ' of one')))
  await rig.step()
  rig.clock.monotonicMs += 1500
  rig.look()
  // Written, and killed before anything is acknowledged.
  sink.fill()
  t.strictSame(
    sink.pending.map(({ text }) => text),
    ['one\n of one'],
  )
  rig.restart()
  rig.append('0.log', lines(row(4, ' too late'), row(5, 'or'), row(6, ' of it'), row(7, '', 'F', 'stderr')))
  await rig.run(3000)
  t.strictSame(sink.texts.sort(), [' too late', 'err', 'one\n of one', 'or\n of it'])
})

for (const [name, compress] of [
  ['a rotated file', false],
  ['a compressed one', true],
] as const) {
  t.test(`what was taken for whole at the end of ${name} is so after a kill, while nothing follows`, async (t) => {
    const { rig, sink } = start(t)
    rig.write('0.log', lines(row(1, 'err', 'P', 'stderr'), row(2, 'one'), row(3, ' of one')))
    rig.rename('0.log', '0.log.20261121-080001')
    if (compress) rig.compress('0.log.20261121-080001')
    rig.write('0.log', '')
    await rig.run(3000)
    t.strictSame(sink.texts, ['one\n of one'])
    rig.restart()
    rig.append('0.log', lines(row(4, ' too late'), row(5, 'or', 'F', 'stderr')))
    await rig.run(3000)
    t.strictSame([...new Set(sink.texts)].sort(), [' too late', 'error', 'one\n of one'])
  })
}

t.test('goes on in a file that was found empty', async (t) => {
  const { rig, sink } = start(t)
  rig.write('0.log', lines(row(1, 'one')))
  rig.rename('0.log', '0.log.20261121-080001')
  rig.write('0.log', '')
  await rig.run(900)
  rig.clock.monotonicMs += 200
  rig.append('0.log', lines(row(2, ' of one'), row(3, 'two')))
  await sink.drain()
  t.strictSame(sink.texts, [], 'it was not looked at yet')
  await rig.run(1000)
  t.strictSame(sink.texts, ['one\n of one'])
})

t.test('lines that are remarkable are records of their own', async (t) => {
  const { rig, sink } = start(t, { lineBytesMax: 100 })
  rig.write('0.log', lines(row(1, 'one'), row(2, ` ${'x'.repeat(200)}`), row(3, ' more'), 'no row', row(5, ' end')))
  await rig.run(2000)
  t.strictSame(
    sink.delivered.map(({ text, marks }) => [text.slice(0, 8), ...marks]),
    [['one'], [' xxxxxxx', 'cut'], [' more'], ['no row', 'not_cri'], [' end']],
  )
})

t.test('a fresh line can be asked for', async (t) => {
  const { rig, sink } = start(t)
  rig.write('0.log', lines(row(1, 'one'), row(2, ' of one')))
  await rig.step()
  sink.reader.wantFreshLine()
  rig.append('0.log', lines(row(3, ' other'), row(4, 'two')))
  rig.look()
  t.equal(sink.fill(), 'full')
  sink.ack()
  t.ok(sink.reader.isAtFreshLine)
  t.strictSame(sink.texts, ['one\n of one'])
  await rig.run(2000)
  t.strictSame(sink.texts, ['one\n of one', ' other', 'two'])
})

/** The records without repeats; repeats must be the same but for what was cut off by time. */
function distinct(delivered: readonly Delivered[]): Delivered[] {
  const byKey = new Map(delivered.map((each) => [`${each.stream} ${each.time} ${each.text} ${each.sourceLines}`, each]))
  return [...byKey.values()]
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('row' as const),
      joins: fc.boolean(),
      err: fc.boolean(),
      tag: fc.constantFrom('F', 'F', 'P'),
      lateMs: fc.constantFrom(0, 1, 1, 700, 1500),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: 'step' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'pause' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'rotate' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('refuse' as const),
      stream: fc.constantFrom(null, 0 as const, 1 as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('kill' as const), fill: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'fresh' as const }) },
)

t.test('each line is in one record, whatever happens', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 60 }),
      fc.integer({ min: 1, max: 5 }),
      async (steps, recordsMax) => {
        const { rig, sink } = start(t, { blockBytes: 200 * 1024 })
        const written: Record<string, string[]> = { stdout: [], stderr: [] }
        const open: Record<string, string> = { stdout: '', stderr: '' }
        let [at, count, rotations] = [0, 0, 0]
        rig.write('0.log', '')
        for (const each of steps) {
          sink.recordsMax = recordsMax
          if (each.kind === 'row') {
            const stream = each.err ? 'stderr' : 'stdout'
            const text = `${each.joins && open[stream] === '' ? ' ' : ''}${count++}.`
            at += each.lateMs * 1_000_000
            rig.append('0.log', `${row(at, text, each.tag, stream)}\n`)
            open[stream] += text
            if (each.tag === 'P') continue
            written[stream]?.push(open[stream] as string)
            open[stream] = ''
          } else if (each.kind === 'step') await rig.step()
          else if (each.kind === 'pause') await rig.run(1300)
          else if (each.kind === 'rotate') {
            rig.rename('0.log', `0.log.20261121-08${String(++rotations).padStart(4, '0')}`)
            rig.write('0.log', '')
            rig.look()
          } else if (each.kind === 'refuse') {
            rig.look()
            sink.fill()
            sink.again(each.stream === null ? [] : [each.stream])
          } else if (each.kind === 'kill') {
            rig.look()
            if (each.fill) sink.fill()
            rig.restart()
          } else sink.reader.wantFreshLine()
        }
        for (const stream of ['stdout', 'stderr']) {
          if (open[stream] === '') continue
          rig.append('0.log', `${row(at, 'end', 'F', stream)}\n`)
          written[stream]?.push(`${open[stream]}end`)
        }
        await rig.run(5000)
        const records = distinct(sink.delivered)
        for (const stream of ['stdout', 'stderr']) {
          const mine = records.filter((each) => each.stream === stream)
          const found = mine.flatMap(({ text }) => text.split('\n'))
          const order = (text: string) => Number.parseInt(text.trim(), 10)
          found.sort((a, b) => order(a) - order(b))
          if (JSON.stringify(found) !== JSON.stringify(written[stream])) {
            throw new Error(
              `${stream}: ${JSON.stringify(mine.map(({ text }) => text))} of ${JSON.stringify(written[stream])}`,
            )
          }
          for (const { text } of mine) {
            if (
              text
                .split('\n')
                .slice(1)
                .some((line) => !line.startsWith(' '))
            )
              throw new Error(`joined: ${JSON.stringify(text)}`)
          }
        }
        if (sink.ledger.inFlight.lines !== 0) throw new Error('something is in flight')
        rig.close()
        t.same(rig.told('bytes.lost'), [])
      },
    ),
    { numRuns: 60 },
  )
})
