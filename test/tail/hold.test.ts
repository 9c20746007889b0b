// Deleted files are held for those who still have to read them, within limits.
import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import t from 'tap'
import { HoldLimits } from '../../src/tail/hold.ts'
import { messages, rows, TailRig, withoutSpans } from '../support/tail-rig.ts'

const HOUR_MS = 3_600_000

t.test('a deleted file is held for an hour, then its rest is a hole', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  const limits = new HoldLimits(rig.clock, rig.fs)
  rig.write('0.log', rows(0, 10))
  rig.look()
  sink.take(4)
  rig.unlink('0.log')
  rig.write('0.log', rows(10, 20))
  rig.look()
  rig.clock.monotonicMs += HOUR_MS - 1000
  limits.apply([rig.lineage])
  t.equal(rig.fs.openFiles.size, 2)
  rig.clock.monotonicMs += 2000
  limits.apply([rig.lineage])
  t.equal(rig.fs.openFiles.size, 1, 'closed, and its space is free')
  await rig.run(3000)
  const [from, to] = [rows(0, 4).length, rows(0, 10).length]
  const cause = 'deleted, and held for an hour without being delivered'
  const hole = `taffrail: lost ${to - from} bytes [${from}, ${to}) of ${rig.path('0.log')}: ${cause}`
  t.strictSame(withoutSpans(sink.texts), [...messages(0, 4), hole, ...messages(10, 20)])
  t.strictSame(sink.ledger.lost.get(cause), { bytes: to - from, lines: 0 })
})

t.test('given up in the middle of a compressed file', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log.20261121-080000', rows(0, 5000))
  rig.compress('0.log.20261121-080000')
  rig.write('0.log', rows(5000, 5010))
  rig.look()
  sink.recordsMax = 10
  while (sink.fill() === 'wait') await new Promise((resolve) => setTimeout(resolve, 1))
  sink.ack()
  sink.recordsMax = Number.POSITIVE_INFINITY
  rig.unlink('0.log.20261121-080000.gz')
  rig.look()
  rig.clock.monotonicMs += 2 * HOUR_MS
  new HoldLimits(rig.clock, rig.fs).apply([rig.lineage])
  await rig.run(3000)
  t.strictSame([sink.texts[9], sink.texts.slice(11)], ['line 9', messages(5000, 5010)])
  t.match(sink.texts[10], /^taffrail: lost from offset \d+ of .*gz, written after .*: deleted, and held for an hour/)
})

t.test('the last file given up: told once, and nothing to do after it', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log', rows(0, 10))
  rig.look()
  sink.take(4)
  rig.unlink('0.log')
  rig.look()
  rig.clock.monotonicMs += 2 * HOUR_MS
  new HoldLimits(rig.clock, rig.fs).apply([rig.lineage])
  for (let i = 0; i < 3; i++) {
    sink.fill()
    sink.again()
  }
  await rig.run(1000)
  t.equal(sink.texts.length, 5)
  t.notOk(sink.reader.hasWork)
  t.equal(sink.reader.lagBytes, 0)
  t.ok(rig.lineage.gone)
  rig.write('1.log', rows(10, 12))
  await rig.run(1000)
  t.strictSame(sink.texts.slice(5), messages(10, 12))
  t.equal(rig.told('bytes.lost').length, 1)
})

t.test('over a gibibyte the longest deleted are given up', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  for (let i = 0; i < 3; i++) {
    rig.write('0.log', rows(10 * i, 10 * i + 10))
    rig.look()
    rig.clock.monotonicMs += 1000
    rig.unlink('0.log')
    rig.look()
  }
  // As if they were as large as that.
  const sizes = rig.lineage.files.map((file) => file.sizeSeen)
  for (const file of rig.lineage.files) file.sizeSeen = 400 * 1024 * 1024
  const limits = new HoldLimits(rig.clock, rig.fs)
  limits.apply([rig.lineage])
  t.strictSame(
    rig.lineage.files.map((file) => file.gone),
    ['deleted, and more than 1 GiB of such files is held', null, null],
  )
  limits.apply([rig.lineage])
  t.equal(rig.fs.openFiles.size, 2)
  for (const [index, file] of rig.lineage.files.entries()) file.sizeSeen = sizes[index]!
  await rig.run(7000)
  t.strictSame(sink.texts.slice(1), messages(10, 30))
  t.match(sink.texts[0], /^taffrail: lost/)
})

t.test('a file that was read is given up without a word', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log', rows(0, 10))
  await rig.step()
  rig.unlink('0.log')
  rig.look()
  rig.clock.monotonicMs += 2 * HOUR_MS
  new HoldLimits(rig.clock, rig.fs).apply([rig.lineage])
  await rig.run(1000)
  t.strictSame(sink.texts, messages(0, 10))
  t.strictSame(rig.told('bytes.lost'), [])
  t.equal(rig.fs.openFiles.size, 0)
})

t.test('not more than 5 % of its file system, and what cannot be told is no limit', async (t) => {
  for (const [megabytes, kept] of [
    [20, 0],
    [30, 1],
    [50, 2],
    [0, 3],
  ] as const) {
    const rig = new TailRig(t)
    const sink = rig.sink()
    const asked: string[] = []
    rig.fs.fileSystemBytes = (path) => {
      asked.push(path)
      if (megabytes === 0) throw Object.assign(new Error('ENOSYS'), { code: 'ENOSYS' })
      return megabytes * 1024 * 1024
    }
    for (let i = 0; i < 3; i++) {
      rig.write('0.log', rows(10 * i, 10 * i + 10))
      rig.look()
      rig.clock.monotonicMs += 1000
      rig.unlink('0.log')
      rig.look()
    }
    for (const file of rig.lineage.files) file.sizeSeen = 1.2 * 1024 * 1024
    // The directory is gone with its pod: the one above it tells.
    rmSync(rig.directory, { recursive: true })
    const limits = new HoldLimits(rig.clock, rig.fs)
    limits.apply([rig.lineage])
    const cause = 'deleted, and such files take more than 5 % of their file system'
    const gone = rig.lineage.files.map((file) => file.gone)
    t.strictSame(
      gone,
      [0, 1, 2].map((i) => (i < 3 - kept ? cause : null)),
      `${megabytes} MiB`,
    )
    t.strictSame(asked, [dirname(rig.directory)])
    await sink.drain()
  }
})
