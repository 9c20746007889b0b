// Where a lineage without a checkpoint is begun: startAt and startAgeMax, and that what is left out is counted.
import { utimesSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { messages, rows, TailRig } from '../support/tail-rig.ts'

const HOUR_MS = 3_600_000

function at(ms: number, text: string, tag = 'F'): string {
  return `${new Date(ms).toISOString()} stdout ${tag} ${text}\n`
}

t.test('startAt: end', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink({ startAt: 'end' })
  rig.write('0.log.20261121-080000', rows(0, 10))
  rig.write('0.log', rows(10, 20))
  await rig.run(1000)
  rig.append('0.log', rows(20, 25))
  await rig.run(1000)
  rig.rename('0.log', '0.log.20261121-080001')
  rig.write('0.log', rows(25, 30))
  await rig.run(3000)
  t.strictSame(sink.texts, messages(20, 30))
  t.strictSame(sink.ledger.skipped.get('startAt'), { bytes: rows(0, 20).length, lines: 0 })
  rig.restart()
  rig.append('0.log', rows(30, 35))
  await rig.run(1000)
  t.strictSame(sink.texts, messages(20, 35))
})

t.test('startAt: end in the middle of a line, which is whole later', async (t) => {
  for (const length of [10, 5000, 200_000]) {
    const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
    const sink = rig.sink({ startAt: 'end', lineBytesMax: 1_000_000 })
    const line = 'x'.repeat(length)
    rig.write('app.log', `one\ntwo\n${line}`)
    await rig.run(500)
    t.strictSame(sink.texts, [])
    rig.append('app.log', 'y\nnext\n')
    await rig.run(500)
    t.ok(sink.texts[0] === `${line}y`, `${length} bytes`)
    t.equal(sink.texts[1], 'next')
    t.strictSame(sink.ledger.skipped.get('startAt'), { bytes: 8, lines: 0 })
  }
})

t.test('startAt: end, and the place is kept over a restart before anything came', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink({ startAt: 'end' })
  rig.write('0.log', rows(0, 10))
  rig.look()
  sink.fill()
  rig.append('0.log', rows(10, 12))
  rig.restart()
  await rig.run(500)
  t.strictSame(sink.texts, messages(10, 12))
})

t.test('startAt: end when the last file is a compressed one', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink({ startAt: 'end' })
  rig.write('0.log.20261121-080000.gz', gzipSync(rows(0, 10)))
  await rig.run(1000)
  rig.write('0.log', rows(10, 12))
  await rig.run(1000)
  t.strictSame(sink.texts, messages(10, 12))
})

t.test('startAgeMax: old lines are skipped and counted, young ones are not', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink({ startAgeMax: HOUR_MS })
  const now = Date.now()
  const old = at(now - 2 * HOUR_MS, 'old') + at(now - 2 * HOUR_MS, 'piece ', 'P') + at(now - 2 * HOUR_MS, 'end')
  const raw = at(now - 2 * HOUR_MS, 'x'.repeat(700_000))
  rig.write('0.log', `${old}of no format\n${raw}${at(now - HOUR_MS / 2, 'young')}`)
  await rig.run(500)
  t.strictSame(sink.texts, ['young'])
  const bytes = old.length + 'of no format\n'.length + raw.length
  t.strictSame(sink.ledger.skipped.get('startAgeMax'), { bytes, lines: 5 })
  t.strictSame(sink.ledger.acked, { bytes: at(now, 'young').length, lines: 1 })
})

t.test('startAgeMax: the limit stays where it was, over refusals and restarts', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink({ startAgeMax: HOUR_MS })
  const now = Date.now()
  let text = ''
  for (let i = 0; i < 20; i++) text += at(now - (i % 2) * 2 * HOUR_MS, `line ${i}`)
  rig.write('0.log', text)
  rig.look()
  sink.recordsMax = 3
  sink.fill()
  sink.again([0])
  sink.fill()
  sink.again([1])
  sink.fill()
  sink.ack()
  rig.restart()
  rig.look()
  rig.clock.stepMs = 3 * HOUR_MS
  sink.recordsMax = Number.POSITIVE_INFINITY
  await rig.run(500)
  t.strictSame(
    sink.texts,
    messages(0, 20).filter((_, i) => i % 2 === 0),
  )
  const { read, acked, skipped } = sink.ledger
  t.equal(acked.bytes + (skipped.get('startAgeMax')?.bytes ?? 0), text.length)
  t.equal(read.bytes, text.length)
})

t.test('startAgeMax: whole files that were last written before are not read at all', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink({ startAgeMax: HOUR_MS })
  rig.write('0.log.20261121-080000', rows(0, 10))
  rig.write('0.log.20261121-080001.gz', gzipSync(rows(10, 20)))
  const now = Date.now()
  rig.write('0.log', at(now, 'young'))
  const old = new Date(now - 2 * HOUR_MS)
  for (const name of ['0.log.20261121-080000', '0.log.20261121-080001.gz']) utimesSync(rig.path(name), old, old)
  for (let i = 0; i < 3; i++) {
    rig.look()
    sink.fill()
    sink.again()
  }
  await rig.run(3000)
  t.strictSame(sink.texts, ['young'])
  const bytes = rows(0, 10).length + gzipSync(rows(10, 20)).length
  t.strictSame(sink.ledger.skipped.get('startAgeMax'), { bytes, lines: 0 })
})

t.test('startAgeMax: plain lines are as old as their file', async (t) => {
  const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
  const sink = rig.sink({ startAgeMax: 1 })
  rig.write('app.log.1', 'old\n')
  rig.write('app.log', 'young\n')
  const old = new Date(Date.now() - HOUR_MS)
  utimesSync(rig.path('app.log.1'), old, old)
  utimesSync(rig.path('app.log'), new Date(), new Date(Date.now() + 5000))
  await rig.run(3000)
  t.strictSame(sink.texts, ['young'])
})

t.test('once: to the end, and then there is nothing more', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink({ once: true })
  rig.write('0.log.20261121-080000.gz', gzipSync(rows(0, 10)))
  rig.write('0.log', rows(10, 20))
  rig.write('1.log', rows(20, 30).trimEnd())
  await rig.step()
  t.strictSame(sink.texts, messages(0, 30), 'without any waiting')
  t.notOk(sink.reader.hasWork)
})
