// From blocks to lines: any line at any place of any block is what it is in the file as a whole.
import { createHash } from 'node:crypto'
import { unlinkSync } from 'node:fs'
import t from 'tap'
import { wholeCharacters } from '../../src/parse/repair.ts'
import fc from '../support/properties.ts'
import { randomRows } from '../support/random-rows.ts'
import { identity, reference } from '../support/reference.ts'
import { row, rows, TailRig } from '../support/tail-rig.ts'

const sha256 = (bytes: string) => createHash('sha256').update(bytes).digest('hex')

t.test('property: with tiny blocks and small limits as in one piece', async (t) => {
  const rig = new TailRig(t)
  const input = fc.record({
    rows: randomRows({ messageBytesMax: 700, rowsMax: 30, json: true }),
    blockBytes: fc.integer({ min: 260, max: 400 }),
    lineBytesMax: fc.integer({ min: 8, max: 900 }),
    unfinished: fc.constantFrom('', '2026-11-21T07:50:03Z stdout F no newline', 'x'.repeat(600)),
    once: fc.boolean(),
  })
  let name = 0
  const check = fc.asyncProperty(input, async ({ rows, blockBytes, lineBytesMax, unfinished, once }) => {
    const content = Buffer.concat([...rows, Buffer.from(unfinished)])
    const path = `${++name}.log`
    rig.write(path, content)
    const sink = rig.sink({ blockBytes, lineBytesMax, once })
    await rig.step()
    const expected = reference([{ content, restart: 0 }], { lineBytesMax, finished: once })
    const got = sink.delivered
    unlinkSync(rig.path(path))
    rig.stop()
    rig.sinks.length = 0
    rig.open()
    for (const [index, entry] of expected.entries()) {
      if (got[index] === undefined || identity(got[index]) !== identity(entry)) {
        throw new Error(`entry ${index} is ${got[index] && identity(got[index])} and should be ${identity(entry)}`)
      }
    }
    return got.length === expected.length
  })
  await fc.assert(check, { numRuns: 400 })
})

t.test('property: a cut never falls into a character', async () => {
  const check = fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.nat(100), (text, at) => {
    const bytes = Buffer.from(text).subarray(0, at)
    const kept = bytes.subarray(0, wholeCharacters(bytes)).toString()
    return Buffer.from(text).toString().startsWith(kept) && bytes.length - Buffer.byteLength(kept) < 4
  })
  fc.assert(check, { numRuns: 2000 })
})

t.test('lines at the borders of a block of 512 KiB', async (t) => {
  for (const more of [-2, -1, 0, 1, 2]) {
    const rig = new TailRig(t)
    const sink = rig.sink({ lineBytesMax: 1024 * 1024 })
    const head = row(1, '').length + 1
    const first = 'a'.repeat(512 * 1024 - head + more)
    rig.write('0.log', `${row(1, first)}\n${row(2, 'second')}\n${row(3, first)}\n${row(4, 'fourth')}\n`)
    await rig.step()
    t.ok(sink.texts[0] === first && sink.texts[2] === first, `first lines ${more} bytes longer than a block`)
    t.strictSame([sink.texts[1], sink.texts[3], sink.texts.length], ['second', 'fourth', 4])
  }
})

t.test('a megabyte in one line', async (t) => {
  const big = 'z'.repeat(1_200_000)
  for (const lineBytesMax of [65_536, 2_000_000]) {
    const container = new TailRig(t)
    const sink = container.sink({ lineBytesMax })
    container.write('0.log', `${row(1, 'before')}\n${row(2, big)}\nno format ${big}\n${row(3, 'after')}\n`)
    await container.step()
    t.strictSame(
      sink.delivered.map((each) => [each.bytes.length, each.originalBytes, each.sourceBytes, each.sourceLines]),
      [6, 1_200_000, 1_200_010, 5].map((bytes, index) => {
        const sourceBytes = bytes + 1 + (index === 2 ? 0 : row(1, '').length)
        return [Math.min(bytes, lineBytesMax), bytes > lineBytesMax ? bytes : 0, sourceBytes, 1]
      }),
    )
    t.strictSame(
      sink.delivered.map((each) => each.marks.join()),
      lineBytesMax > 1_200_010 ? ['', '', 'not_cri', ''] : ['', 'cut', 'not_cri,cut', ''],
    )
    if (lineBytesMax < big.length) {
      t.equal(sink.delivered[1]?.originalSha256, sha256(big))
      t.equal(sink.delivered[2]?.originalSha256, sha256(`no format ${big}`))
    }
    t.equal(sink.delivered[2]?.time, (sink.delivered[1]?.time ?? 0n) + 1n, 'the time of the line before')
  }
})

t.test('plain lines, long ones and the last one without a newline', async (t) => {
  const big = 'ż'.repeat(600_000)
  const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
  const sink = rig.sink()
  rig.write('app.log', `one\n\n${big}\ntwo\n`)
  await rig.step()
  t.strictSame(
    sink.texts.map((each) => each.length),
    [3, 0, 32_768, 3],
  )
  t.notOk(sink.texts[2]?.includes('\ufffd'))
  t.strictSame([sink.delivered[2]?.originalBytes, sink.delivered[2]?.originalSha256], [1_200_000, sha256(big)])
  rig.append('app.log', 'thr')
  await rig.run(3000)
  t.equal(sink.texts.length, 4, 'what has no newline yet waits')
  rig.append('app.log', 'ee\nno end')
  await rig.run(1000)
  t.strictSame(sink.texts.slice(4), ['three'])
  rig.unlink('app.log')
  await rig.run(7000)
  t.strictSame(sink.texts.slice(4), ['three', 'no end'], 'but not for ever')
})

t.test('a raw line that ends with the file, exactly at the end of a block', async (t) => {
  for (const kind of ['container', 'app.log']) {
    const rig = new TailRig(t, { kind })
    const sink = rig.sink({ blockBytes: 400, lineBytesMax: 10_000 })
    const live = kind === 'container' ? '0.log' : 'app.log'
    const head = kind === 'container' ? `${row(1, '')}` : ''
    rig.write(live, `${head}${'x'.repeat(400 + 2 * (400 - 64) - head.length)}`)
    await rig.step()
    t.equal(sink.delivered.length, 0)
    const next = kind === 'container' ? '1.log' : 'app.log'
    if (kind === 'container') rig.write(next, `${row(2, 'next')}\n`)
    else {
      rig.rename(live, 'app.log.1')
      rig.write(next, 'next\n')
    }
    await rig.run(3000)
    t.strictSame(
      sink.delivered.map((each) => each.bytes.length),
      [400 + 2 * (400 - 64) - head.length, 4],
      kind,
    )
    t.equal(sink.ledger.acked.lines, 2)
  }
})

t.test('bytes that are no characters are replaced, and said to be', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log', Buffer.from(`${row(1, 'ok')}\n${row(2, 'nul \0 \xff\xfe \xc3( \xed\xa0\x80 end')}\n`, 'latin1'))
  await rig.step()
  t.strictSame(sink.texts, ['ok', 'nul \0 \ufffd\ufffd \ufffd( \ufffd\ufffd\ufffd end'])
  t.strictSame(
    sink.delivered.map((each) => each.marks),
    [[], ['invalid_utf8']],
  )
  t.equal(sink.reader.takeMarks()?.get(4), 1, 'counted')
})

t.test('a time that lies more than ten minutes ahead is replaced', async (t) => {
  const rig = new TailRig(t)
  rig.clock.wallMs = Date.parse('2026-11-21T08:00:00.250Z')
  const sink = rig.sink()
  const later = (seconds: number, text: string, tag = 'F') =>
    `${new Date(rig.clock.wallMs! - 250 + seconds * 1000).toISOString().replace('.000Z', '.000000001Z')} stdout ${tag} ${text}\n`
  rig.write('0.log', later(0, 'now') + later(600, 'just') + later(601, 'ahead') + later(1, 'now again'))
  await rig.step()
  t.strictSame(
    sink.delivered.map((each) => [each.text, each.marks.join(), each.originalTime]),
    [
      ['now', '', ''],
      ['just', '', ''],
      ['ahead', 'future_time', '2026-11-21T08:10:01.000000001Z'],
      ['now again', '', ''],
    ],
  )
  const arrival = BigInt(rig.clock.wallMs) * 1_000_000n
  t.equal(sink.delivered[2]?.time, arrival)
  rig.append('0.log', later(700, 'y'.repeat(700_000)))
  await rig.step()
  t.strictSame(sink.delivered[4]?.marks, ['future_time', 'cut'])
  t.equal(sink.delivered[4]?.originalTime, '2026-11-21T08:11:40.000000001Z')
  sink.delivered.pop()
  // The first piece's time is the line's; nothing that comes in between changes what is said of it.
  rig.append(
    '0.log',
    later(900, 'a', 'P') + later(2, 'b', 'P') + later(901, 'other').replace('stdout', 'stderr') + later(3, 'c'),
  )
  rig.append('0.log', later(4, 'd', 'P') + later(902, 'e'))
  await rig.step()
  t.strictSame(
    sink.delivered.slice(4).map((each) => [each.text, each.marks.join()]),
    [
      ['other', 'future_time'],
      ['abc', 'future_time'],
      ['de', ''],
    ],
  )
  t.equal(sink.delivered[4]?.originalTime, '2026-11-21T08:15:01.000000001Z')
  t.equal(sink.delivered[5]?.originalTime, '2026-11-21T08:15:00.000000001Z')
})

t.test('lines without a time before any that has one take the time of arrival', async (t) => {
  const rig = new TailRig(t)
  rig.clock.wallMs = Date.parse('2026-11-21T08:00:00.250Z')
  const sink = rig.sink()
  rig.write('0.log', 'a\nb\n')
  await rig.step()
  const arrival = BigInt(rig.clock.wallMs) * 1_000_000n
  rig.clock.wallMs += 5000
  rig.append('0.log', 'c\n')
  await rig.step()
  t.strictSame(
    sink.delivered.map((each) => each.time),
    [arrival, arrival + 1n, arrival + 5_000_000_000n],
  )
})

t.test('what was sent once with its own time keeps it when the clock is set back before the repeat', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.clock.wallMs = Date.UTC(2026, 10, 21, 8)
  rig.write('0.log', rows(0, 3))
  rig.look()
  sink.fill()
  const first = sink.pending.map(identity)
  rig.clock.wallMs -= 3_600_000
  sink.again()
  sink.fill()
  t.strictSame(sink.pending.map(identity), first)
  t.strictSame(sink.pending[0]?.marks, [])
})
