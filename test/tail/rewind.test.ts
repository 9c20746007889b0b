// Whatever is acknowledged, refused, acknowledged in part or cut short by the end of the process, and in whatever
// portions: every entry is delivered, once where the process lives on, and a repeat is the same entry to the last bit.

import t from 'tap'
import fc from '../support/properties.ts'
import { randomRows } from '../support/random-rows.ts'
import { identity, reference } from '../support/reference.ts'
import { type Delivered, messages, row, rows, TailRig } from '../support/tail-rig.ts'

type Step =
  | { kind: 'fill'; bytesMax: number; recordsMax: number }
  | { kind: 'ack' | 'restart' }
  | { kind: 'again'; acked: (0 | 1)[] }
  | { kind: 'append'; rows: number; torn: number }
  | { kind: 'rotate' | 'next' | 'compress' }
  | { kind: 'time'; ms: number }

const acked = fc.constantFrom<(0 | 1)[]>([], [], [0], [1], [0, 1])
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('fill' as const),
      bytesMax: fc.nat(900),
      recordsMax: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('ack' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('again' as const), acked }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('append' as const), rows: fc.nat(8), torn: fc.nat(60) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('rotate' as const, 'next' as const, 'compress' as const) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.constantFrom(100, 1500, 6000) }) },
)

interface World {
  rig: TailRig
  /** Files as they were written, oldest first. */
  files: { name: string; content: Buffer; restart: number }[]
  rotations: number
  rowsLeft: Buffer[]
  /** Written to the rows, and not yet to the file. */
  torn: Buffer
}

function append(world: World, count: number, tornBytes: number): void {
  const bytes = Buffer.concat([world.torn, ...world.rowsLeft.splice(0, count)])
  const written = bytes.subarray(0, Math.max(0, bytes.length - tornBytes))
  world.torn = bytes.subarray(written.length)
  const live = world.files.at(-1)!
  live.content = Buffer.concat([live.content, written])
  world.rig.append(`${live.restart}.log`, written)
}

function move(world: World, kind: 'rotate' | 'next' | 'compress'): void {
  append(world, 0, 0)
  const { rig, files } = world
  const live = files.at(-1)!
  if (kind === 'compress') {
    const name = files.find((file) => file.name !== '' && !file.name.endsWith('.gz'))?.name
    if (name === undefined) return
    rig.compress(name)
    files.find((file) => file.name === name)!.name += '.gz'
    return
  }
  if (kind === 'rotate') {
    live.name = `${live.restart}.log.20261121-${String(80_000 + ++world.rotations)}`
    rig.rename(`${live.restart}.log`, live.name)
  }
  const restart = live.restart + (kind === 'next' ? 1 : 0)
  files.push({ name: '', content: Buffer.alloc(0), restart })
  rig.write(`${restart}.log`, '')
}

const runs = Number(process.env.REWIND_RUNS ?? 250)

t.test('property: random portions, answers, restarts and rotations', async (t) => {
  t.setTimeout(60_000 + 100 * runs)
  const input = fc.record({
    rows: randomRows({ messageBytesMax: 500, rowsMax: 60 }),
    steps: fc.array(step, { maxLength: 60 }),
    blockBytes: fc.integer({ min: 260, max: 1500 }),
    lineBytesMax: fc.integer({ min: 20, max: 600 }),
  })
  const check = fc.asyncProperty(input, async (drawn) => {
    const rig = new TailRig(t)
    const sink = rig.sink({ blockBytes: drawn.blockBytes, lineBytesMax: drawn.lineBytesMax })
    const files = [{ name: '', content: Buffer.alloc(0), restart: 0 }]
    const world: World = { rig, files, rotations: 0, rowsLeft: [...drawn.rows], torn: Buffer.alloc(0) }
    rig.write('0.log', '')
    append(world, 3, 0)
    rig.look()
    let restarts = 0
    for (const step of drawn.steps) {
      if (step.kind === 'fill') {
        sink.bytesMax = step.bytesMax
        sink.recordsMax = sink.pending.length + step.recordsMax
        if (sink.fill() === 'wait') await new Promise((resolve) => setTimeout(resolve, 2))
      } else if (step.kind === 'ack') {
        if (sink.reader.current !== null) sink.ack()
      } else if (step.kind === 'again') {
        if (sink.reader.current !== null) sink.again(step.acked)
      } else if (step.kind === 'restart') {
        restarts++
        rig.restart()
        rig.look()
      } else if (step.kind === 'append') {
        append(world, step.rows, step.torn)
        rig.look()
      } else if (step.kind === 'time') {
        rig.clock.monotonicMs += step.ms
        rig.look()
      } else {
        move(world, step.kind)
        rig.look()
      }
    }
    append(world, Number.POSITIVE_INFINITY, 0)
    sink.bytesMax = 256 * 1024
    sink.recordsMax = Number.POSITIVE_INFINITY
    // At the end the container's directory is deleted: what is open is given out, too.
    await rig.run(8000)
    for (const file of files) rig.unlink(file.name === '' ? `${file.restart}.log` : file.name)
    await rig.run(8000)

    const expected = reference(files, { lineBytesMax: drawn.lineBytesMax, finished: true })
    // Per stream the entries in order, a repeat (after a restart only) left out.
    for (const stream of ['stdout', 'stderr'] as const) {
      const mine = (each: Delivered) => each.stream === stream
      const wanted = expected.filter(mine).map(identity)
      const got = sink.delivered.filter(mine).map(identity)
      const first = restarts > 0 ? withoutRepeats(got) : got
      const unique = restarts > 0 ? withoutRepeats(wanted) : wanted
      for (let i = 0; i < Math.max(unique.length, first.length); i++) {
        if (first[i] !== unique[i]) throw new Error(`${stream} ${i} is ${first[i]} and should be ${unique[i]}`)
      }
    }
    if (rig.told('bytes.lost').length > 0) throw new Error('something is said to be lost')
    if (restarts === 0) {
      const bytes = files.reduce((sum, file) => sum + file.content.length, 0)
      if (sink.ledger.acked.bytes !== bytes)
        throw new Error(`${sink.ledger.acked.bytes} of ${bytes} bytes acknowledged`)
      if (sink.ledger.read.bytes !== bytes) throw new Error(`${sink.ledger.read.bytes} of ${bytes} bytes read`)
    }
    rig.close()
    rig.sinks.length = 0
  })
  await fc.assert(check, { numRuns: runs, endOnFailure: runs > 1000 })
})

function withoutRepeats(all: string[]): string[] {
  return [...new Set(all)]
}

t.test('one stream acknowledged, the other refused, with ever smaller portions', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  let text = ''
  for (let i = 0; i < 20; i++) text += `${row(i, `line ${i}`, 'F', i % 2 === 0 ? 'stdout' : 'stderr')}\n`
  rig.write('0.log', text)
  rig.look()
  for (const recordsMax of [16, 8, 4]) {
    sink.recordsMax = recordsMax
    sink.fill()
    sink.again([0])
  }
  sink.recordsMax = Number.POSITIVE_INFINITY
  await sink.drain()
  t.strictSame(sink.texts.slice().sort(), messages(0, 20).sort(), 'each of them once')
  t.strictSame(
    sink.delivered.filter((each) => each.stream === 'stderr').map((each) => each.text),
    messages(0, 20).filter((_, i) => i % 2 === 1),
  )
})

t.test('a time of arrival stays with its line', async (t) => {
  for (const kind of ['container', 'app.log']) {
    const rig = new TailRig(t, { kind })
    const sink = rig.sink()
    const live = kind === 'container' ? '0.log' : 'app.log'
    const far = '2027-11-21T08:00:00Z stdout F ahead\n'
    rig.clock.wallMs = Date.parse('2026-11-21T09:00:00.123Z')
    rig.write(live, `a\nb\n${rows(0, 2)}${far}c\n`)
    rig.look()
    const times: string[] = []
    for (const again of ['rewind', 'restart', 'rewind', 'rotate', 'restart', 'late', 'rewind', 'end']) {
      sink.recordsMax = again === 'rewind' ? 3 : Number.POSITIVE_INFINITY
      sink.fill()
      const texts = sink.pending.map((each) => `${each.text} ${each.time} ${each.marks}`)
      t.strictSame(texts.slice(0, times.length), times.slice(0, texts.length), `before ${again}`)
      if (texts.length > times.length) times.push(...texts.slice(times.length))
      rig.clock.wallMs += again === 'late' ? 400 * 86_400_000 : 1000
      if (again === 'restart') rig.restart()
      else sink.again()
      if (again === 'rotate') {
        rig.append(live, 'd\n')
        rig.look()
        rig.rename(live, kind === 'container' ? `${live}.20261121-080000` : `${live}.1`)
        rig.write(live, `${kind === 'container' ? far : 'x\n'}e\n`)
        rig.look()
        rig.clock.monotonicMs += 3000
      }
      rig.look()
    }
    t.equal(times.length, 9, kind)
    await rig.run(3000)
    t.strictSame(
      sink.delivered.map((each) => `${each.text} ${each.time} ${each.marks}`),
      times,
    )
  }
})

t.test('an empty file that is over holds nothing back', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log.20261121-080001', rows(0, 3))
  rig.write('0.log.20261121-080002', '')
  rig.write('0.log', rows(3, 6))
  for (let passed = 0; passed < 3000; passed += 100) {
    rig.clock.monotonicMs += 100
    rig.look()
    sink.fill()
  }
  t.strictSame(
    sink.pending.map(({ text }) => text),
    messages(0, 6),
    'what lies behind it is read before what lies before it is acknowledged',
  )
})

t.test('a line left open at the end of a file is ended there after all, when it is read again', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log', `${rows(0, 3)}${row(3, 'the end', 'P', 'stderr')}\n`)
  await rig.step()
  // The runtime begins another file, into which the line may go on: all of stderr so far is acknowledged.
  rig.rename('0.log', '0.log.20261121-080000')
  rig.write('0.log', '')
  await rig.run(3000)
  sink.fill()
  sink.again([0, 1])
  // The container dies with that file empty.
  rig.write('1.log', rows(4, 6))
  rig.look()
  rig.clock.monotonicMs += 2000
  sink.again([0, 1])
  await rig.run(5000)
  t.strictSame(sink.texts, [...messages(0, 3), 'the end', ...messages(4, 6)])
})
