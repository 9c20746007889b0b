// Lines in pieces: joined per source stream, whatever lies between the pieces.
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import t from 'tap'
import { messages, type RigSink, row, rows, TailRig } from '../support/tail-rig.ts'

const fixtures = `${dirname(import.meta.dirname)}/fixtures/cri`

t.test('a line in pieces is one line, with the time of its first piece', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  const pieces = [row(1, 'one ', 'P'), row(2, '', 'P'), row(3, ' two', 'P'), row(4, ''), row(5, 'x')]
  rig.write('0.log', `${pieces.join('\n')}\n`)
  await rig.step()
  t.strictSame(sink.texts, ['one  two', 'x'])
  t.equal((sink.delivered[0]?.time ?? 0n) % 1_000_000_000n, 1n)
  t.equal(sink.delivered[0]?.sourceLines, 4)
  t.strictSame(sink.delivered[0]?.marks, [])
})

t.test('the streams do not mix', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  const parts = [
    row(1, 'out1', 'P'),
    row(2, 'err1', 'P', 'stderr'),
    row(3, 'out2', 'P'),
    row(4, 'err2', 'F', 'stderr'),
    row(5, 'err whole', 'F', 'stderr'),
    row(6, 'out3'),
    row(7, 'out whole'),
  ]
  rig.write('0.log', `${parts.join('\n')}\n`)
  await rig.step()
  t.strictSame(
    sink.delivered.map((each) => `${each.stream} ${each.text}`),
    ['stderr err1err2', 'stderr err whole', 'stdout out1out2out3', 'stdout out whole'],
  )
})

t.test('a row of no format between the pieces is a line of its own', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log', `${row(1, 'a', 'P')}\nwhat is this\n${row(3, 'b')}\n`)
  await rig.step()
  t.strictSame(sink.texts, ['what is this', 'ab'])
  t.strictSame(sink.delivered[0]?.marks, ['not_cri'])
  t.equal((sink.delivered[0]?.time ?? 0n) % 1_000_000_000n, 1n, 'with the time of the row before')
})

t.test('a line goes on after a rotation, and after the file was compressed', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log', `${rows(0, 3)}${row(3, 'begin ', 'P')}\n`)
  await rig.step()
  t.strictSame(sink.texts, messages(0, 3))
  rig.rename('0.log', '0.log.20261121-080001')
  rig.write('0.log', `${row(4, 'middle ', 'P')}\n`)
  await rig.run(2000)
  rig.compress('0.log.20261121-080001')
  rig.rename('0.log', '0.log.20261121-080002')
  rig.write('0.log', `${row(5, 'end')}\n${rows(6, 8)}`)
  await rig.run(3000)
  t.strictSame(sink.texts, [...messages(0, 3), 'begin middle end', ...messages(6, 8)])
  t.equal(sink.delivered[3]?.sourceLines, 3)
})

t.test('a line goes on from a compressed file, after a restart too', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log.20261121-080001', `${rows(0, 3)}${row(3, 'begin ', 'P')}\n`)
  rig.compress('0.log.20261121-080001')
  rig.write('0.log', `${row(4, 'middle ', 'P')}\n`)
  await rig.run(3000)
  t.strictSame(sink.texts, messages(0, 3))
  rig.restart()
  rig.append('0.log', `${row(5, 'end')}\n`)
  await rig.run(3000)
  t.strictSame(sink.texts, [...messages(0, 3), 'begin middle end'])
})

t.test('a container that ends in the middle of a line: the next one does not end it', async (t) => {
  for (const acked of [true, false]) {
    const rig = new TailRig(t)
    const sink = rig.sink()
    rig.write('0.log', `${row(1, 'whole')}\n${row(2, 'out without an end', 'P')}\n${row(3, 'err', 'P', 'stderr')}\n`)
    rig.look()
    if (acked) await sink.drain()
    rig.write('1.log', `${row(4, 'next life')}\n${row(5, 'its err', 'F', 'stderr')}\n`)
    await rig.run(3000)
    const expected = ['whole', 'out without an end', 'err', 'next life', 'its err']
    t.strictSame(sink.texts, expected, `the first part was ${acked ? '' : 'not '}acknowledged before`)
    t.equal(sink.ledger.acked.lines, 5)
  }
})

t.test('a container that ends in the middle of a line and is deleted', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log', `${row(1, 'whole')}\n${row(2, 'no end', 'P')}\n`)
  await rig.step()
  t.strictSame(sink.texts, ['whole'])
  rig.unlink('0.log')
  await rig.run(7000)
  t.strictSame(sink.texts, ['whole', 'no end'])
  t.ok(rig.lineage.gone)
  t.equal(sink.reader.lagBytes, 0)
  t.notOk(sink.reader.hasWork)
})

t.test('a line of pieces without an end is given out in parts', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink({ lineBytesMax: 1024 * 1024 })
  const piece = `${row(1, 'x'.repeat(16_000), 'P')}\n`
  const pieces = Math.ceil((17 * 1024 * 1024) / piece.length)
  rig.write('0.log', piece.repeat(pieces))
  await rig.step()
  t.equal(sink.delivered.length, 1)
  t.strictSame(sink.delivered[0]?.marks, ['cut', 'partial_open'])
  t.ok((sink.delivered[0]?.sourceBytes ?? 0) >= 16 * 1024 * 1024)
  const first = sink.delivered[0]!.sourceLines
  rig.append('0.log', `${row(2, 'end')}\n`)
  await rig.step()
  t.equal(sink.delivered.length, 2)
  t.equal(sink.delivered[1]?.originalBytes ?? 0, (pieces - first) * 16_000 + 3)
  t.equal(first + (sink.delivered[1]?.sourceLines ?? 0), pieces + 1)
})

t.test('a stream that is silent in the middle of a line does not hold up the other one for ever', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  const whole = `${row(1, 'x'.repeat(16_000))}\n`
  const count = Math.ceil((17 * 1024 * 1024) / whole.length)
  rig.write('0.log', `${row(0, 'begin ', 'P', 'stderr')}\n${whole.repeat(count)}${row(2, 'end', 'F', 'stderr')}\n`)
  // With little room at a time, so that the forced end comes at any place of a batch.
  sink.bytesMax = 40_000
  await rig.step()
  const err = sink.delivered.filter((each) => each.stream === 'stderr')
  t.strictSame(
    err.map((each) => `${each.text}|${each.marks}`),
    ['begin |partial_open', 'end|'],
  )
  t.equal(sink.delivered.length, count + 2)
  t.equal(sink.ledger.acked.lines, count + 2)
})

t.test('what the runtimes made of the long lines of the test program', async (t) => {
  const sizes = [
    1, 8190, 8191, 8192, 8193, 16382, 16383, 16384, 16385, 20000, 32767, 32768, 32769, 49152, 100000, 300000,
  ]
  for (const name of ['conmon-long.log', 'containerd-long.log']) {
    const rig = new TailRig(t)
    const sink = rig.sink({ lineBytesMax: 1_000_000 })
    rig.write('0.log', readFileSync(`${fixtures}/${name}`))
    await rig.step()
    const oneWrite = sink.texts.slice(0, sizes.length)
    t.strictSame(
      oneWrite.map((each) => each.length),
      sizes,
      name,
    )
    for (const text of oneWrite.slice(1)) t.match(text, /^<one-write:\d+>[0-9]+<end>$/)
  }
  for (const name of ['conmon-utf8.log', 'containerd-utf8.log']) {
    const rig = new TailRig(t)
    const sink = rig.sink({ lineBytesMax: 1_000_000 })
    rig.write('0.log', readFileSync(`${fixtures}/${name}`))
    await rig.step()
    t.equal(sink.delivered.length, 3, name)
    for (const { text, marks } of sink.delivered) {
      t.notOk(text.includes('\ufffd'), 'characters that were cut are whole again')
      t.strictSame(marks, [])
    }
  }
})

t.test('the captured rotation in the middle of a line', async (t) => {
  const old = readFileSync(`${fixtures}/containerd-rotpart/0.log.20261121-075729`)
  const next = readFileSync(`${fixtures}/containerd-rotpart/0.log`)
  const rig = new TailRig(t)
  const sink = rig.sink({ lineBytesMax: 1_000_000 })
  const middle = old.indexOf(10) + 1
  rig.write('0.log', old.subarray(0, middle))
  await rig.step()
  rig.rename('0.log', '0.log.20261121-075729')
  rig.look()
  rig.append('0.log.20261121-075729', old.subarray(middle))
  rig.write('0.log', next)
  await rig.run(3000)
  const straight = new TailRig(t)
  const all = straight.sink({ lineBytesMax: 1_000_000 })
  straight.write('0.log', Buffer.concat([old, next]))
  await straight.step()
  t.strictSame(sink.texts, all.texts)
  t.ok(all.delivered.some((each) => each.sourceLines > 1))
})

t.test('lines of both streams that overlap: killed and begun again after any of them', async (t) => {
  const pieces = [
    row(1, 'out1 ', 'P'),
    row(1, 'err1 ', 'P', 'stderr'),
    row(2, 'out1', 'F'),
    row(2, 'out2 ', 'P'),
    row(2, 'err1', 'F', 'stderr'),
    row(2, 'err2 ', 'P', 'stderr'),
    row(2, 'out2 ', 'P'),
    row(2, 'err2', 'F', 'stderr'),
    row(2, 'err3', 'F', 'stderr'),
    row(2, 'out2', 'F'),
    row(2, 'out3', 'F'),
  ]
  const whole = pieces.map((piece) => `${piece}\n`)
  const told = (sink: RigSink) => [...new Set(sink.delivered.map((each) => `${each.stream} ${each.time} ${each.text}`))]
  const usual = new TailRig(t)
  const expected = usual.sink()
  usual.write('0.log', whole.join(''))
  await usual.step()
  t.strictSame(expected.texts.toSorted(), ['err1 err1', 'err2 err2', 'err3', 'out1 out1', 'out2 out2 out2', 'out3'])
  for (let rowsThere = 1; rowsThere < whole.length; rowsThere++) {
    const rig = new TailRig(t)
    const sink = rig.sink()
    rig.write('0.log', whole.slice(0, rowsThere).join(''))
    await rig.step()
    rig.restart()
    rig.append('0.log', whole.slice(rowsThere).join(''))
    await rig.step()
    t.strictSame(told(sink).toSorted(), told(expected).toSorted(), `killed after row ${rowsThere}`)
  }
})
