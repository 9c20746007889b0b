// Compressed siblings: long ones, damaged ones, ones that are still being written, and the reader of them by itself.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import type { ReadFileSystem } from '../../src/ports/fs.ts'
import { realGunzip } from '../../src/ports/gunzip.ts'
import { GzipReader, WAIT } from '../../src/tail/gzip.ts'
import fc from '../support/properties.ts'
import { messages, row, rows, TailRig } from '../support/tail-rig.ts'

const OLD = '0.log.20261121-080000.gz'

function holes(rig: TailRig): (number | null)[][] {
  return rig.told('bytes.lost').map((each) => [each.fromOffset, each.toOffset])
}

t.test('long lines, and lines at any place of the decompressed chunks', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink({ lineBytesMax: 1_000_000 })
  let text = ''
  const expected: string[] = []
  for (let i = 0; i < 60; i++) {
    const line = `${i} ${randomBytes(i * 300).toString('base64')}`
    expected.push(line)
    text += `${row(i, line)}\n`
  }
  expected.push('x'.repeat(800_000), 'last')
  text += `${row(60, 'x'.repeat(800_000))}\n${row(61, 'last')}\n`
  rig.write(OLD, gzipSync(text))
  rig.write('0.log', `${row(62, 'live')}\n`)
  await rig.run(3000)
  t.ok(sink.texts.length === 63 && expected.every((line, i) => sink.texts[i] === line))
  t.equal(sink.ledger.acked.bytes, text.length + row(62, 'live').length + 1)
})

t.test('refused again and again in the middle', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  const noise = Array.from({ length: 3000 }, (_, i) => `${i} ${randomBytes(200).toString('base64')}`)
  rig.write(OLD, gzipSync(noise.map((line, i) => `${row(i, line)}\n`).join('')))
  rig.look()
  sink.bytesMax = 40_000
  for (let i = 0; i < 200; i++) {
    const end = sink.fill()
    if (i % 3 === 0) sink.again()
    else sink.ack()
    if (end === 'wait') await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await rig.run(3000)
  t.strictSame(sink.texts, noise)
})

t.test('a refusal does not mean to decompress it all again', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  const noise = Array.from({ length: 20_000 }, (_, i) => `${i} ${randomBytes(10).toString('hex').repeat(10)}`)
  const file = gzipSync(noise.map((line, i) => `${row(i, line)}\n`).join(''))
  rig.write(OLD, file)
  rig.look()
  for (let i = 0, answers = 0; i < 10_000 && sink.delivered.length < 15_000; i++) {
    const end = sink.fill()
    if (sink.pending.length > 0 && ++answers % 2 === 0) sink.ack()
    else if (sink.pending.length > 0) sink.again()
    // Long enough for more than one read to be there.
    if (end === 'wait') await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const reads = rig.fs.counts.get('read') ?? 0
  t.ok(sink.delivered.length >= 15_000)
  t.ok(reads < 3 * Math.ceil(file.length / 16_384), `${reads} reads of ${file.length} bytes`)
})

t.test('a file that ends too early: what there is, then a hole', async (t) => {
  for (const cut of [5, 200]) {
    const rig = new TailRig(t)
    const sink = rig.sink()
    const lines = Array.from({ length: 500 }, (_, i) => randomBytes(100).toString('hex') + i)
    const whole = gzipSync(lines.map((line, i) => `${row(i, line)}\n`).join(''))
    rig.write(OLD, whole.subarray(0, whole.length - cut))
    rig.write('0.log', `${row(600, 'live')}\n`)
    await rig.run(5000)
    const hole = sink.texts.findIndex((text) => text.startsWith('taffrail: lost'))
    t.ok(hole > 400, `${hole} lines`)
    t.match(
      sink.texts[hole],
      /^taffrail: lost from offset \d+ of .*, written after .*: the compressed file is damaged: unexpected end of file$/,
    )
    t.equal(sink.texts[hole + 1], 'live')
    t.equal(sink.texts.length, hole + 2)
    // The last line has lost its end, and says so; all others are whole.
    t.strictSame(sink.texts.slice(0, hole - 1), lines.slice(0, hole - 1))
    const isWhole = sink.texts[hole - 1] === lines[hole - 1]
    t.strictSame(sink.delivered[hole - 1]?.marks, isWhole ? [] : ['partial_open'])
    t.strictSame(sink.delivered[hole - 2]?.marks, [])
    t.equal(holes(rig).length, 1)
    rig.restart()
    await rig.run(5000)
    t.equal(sink.texts.length, hole + 2)
  }
})

t.test('damaged in the middle, in the header, and no gzip at all', async (t) => {
  const whole = gzipSync(rows(0, 2000))
  const broken = Buffer.from(whole)
  broken.fill(0xff, 4000, 4020)
  for (const content of [broken, whole.subarray(0, 6), Buffer.from('this is not gzip\n'), Buffer.alloc(0)]) {
    const rig = new TailRig(t)
    const sink = rig.sink()
    rig.write(OLD, content)
    rig.write('0.log', `${row(1, 'live')}\n`)
    await rig.run(5000)
    t.equal(sink.texts.at(-1), 'live')
    t.equal(holes(rig).length, 1)
    t.equal(sink.texts.filter((text) => text.startsWith('taffrail: lost')).length, 1)
    t.notOk(sink.reader.hasWork)
  }
})

t.test('a damaged file that is the last one: its hole is written once', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write(OLD, gzipSync(rows(0, 2000)).subarray(0, -20))
  await rig.run(5000)
  const count = sink.texts.length
  t.match(sink.texts.at(-1), /^taffrail: lost/)
  for (let i = 0; i < 3; i++) {
    sink.again()
    await rig.run(1000)
  }
  rig.write('0.log', `${row(1, 'live')}\n`)
  rig.look()
  sink.fill()
  sink.again()
  await rig.run(3000)
  t.strictSame(sink.texts.slice(count), ['live'])
})

t.test('a file that is still being written is not damaged', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  const whole = gzipSync(
    Array.from({ length: 2000 }, (_, i) => `${row(i, randomBytes(50).toString('hex'))}\n`).join(''),
  )
  rig.write(OLD, whole.subarray(0, 30_000))
  for (let at = 30_000; at < whole.length; at += 30_000) {
    await rig.run(700)
    rig.append(OLD, whole.subarray(at, at + 30_000))
  }
  await rig.run(4000)
  t.equal(sink.texts.length, 2000)
  t.strictSame(holes(rig), [])
})

t.test('several members in one file', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write(OLD, Buffer.concat([gzipSync(rows(0, 10)), gzipSync(rows(10, 20))]))
  await rig.run(3000)
  t.strictSame(sink.texts, messages(0, 20))
})

t.test('property: reads at any place give the bytes there', async (t) => {
  const content = Buffer.concat([randomBytes(150_000), Buffer.alloc(3_000_000, 'abc'), randomBytes(50_000)])
  const file = gzipSync(content)
  const opened: GzipReader[] = []
  t.teardown(() => opened.forEach((each) => void each.close()))
  const memory = {
    read: (_fd: number, target: Buffer, at: number, length: number, position: number) =>
      file.copy(target, at, position, Math.min(file.length, position + length)),
  } as unknown as ReadFileSystem
  const place = fc.record({
    at: fc.nat(content.length + 10),
    length: fc.integer({ min: 1, max: 200_000 }),
    keepFrom: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  })
  const check = fc.asyncProperty(fc.array(place, { minLength: 1, maxLength: 6 }), async (places) => {
    let wake = () => {}
    const reader = new GzipReader(memory, 3, realGunzip, () => wake())
    opened.push(reader)
    const target = Buffer.alloc(200_000)
    for (const { at, length, keepFrom } of places) {
      let got = 0
      for (;;) {
        const ready = new Promise<void>((resolve) => {
          wake = resolve
        })
        got = reader.read(target, 0, length, at, keepFrom === null ? undefined : Math.floor(at * keepFrom))
        if (got !== WAIT) break
        await ready
      }
      const expected = content.subarray(at, at + length)
      if (expected.length === 0 ? got !== 0 : got === 0) throw new Error(`${got} bytes at ${at}`)
      if (!target.subarray(0, got).equals(expected.subarray(0, got))) return false
      if (got === 0 && (!reader.ended || reader.failure !== null)) return false
    }
    reader.close()
    return true
  })
  await fc.assert(check, { numRuns: 40 })
})

t.test('cut off within the first line, while the file that it was made of is open: nothing new', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log', rows(0, 1, `begins ${'x'.repeat(300)}`))
  rig.look()
  // Renamed, compressed and deleted before anybody looked again: it is known by no name.
  const whole = gzipSync(readFileSync(rig.path('0.log')), { level: 0 })
  rig.write(`${OLD}`, whole.subarray(0, 150))
  rig.unlink('0.log')
  rig.write('0.log', rows(1, 3))
  await rig.run(8000)
  t.strictSame(sink.texts, [...messages(0, 1, `begins ${'x'.repeat(300)}`), ...messages(1, 3)])
})
