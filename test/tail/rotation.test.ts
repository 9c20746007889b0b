// Rotation as the kubelet does it, looked at often, seldom, and at the worst moments.
import { statSync, utimesSync } from 'node:fs'
import t, { type Test } from 'tap'
import { messages, type RigSink, row, rows, TailRig } from '../support/tail-rig.ts'

function containerRig(t: Test): { rig: TailRig; sink: RigSink } {
  const rig = new TailRig(t)
  return { rig, sink: rig.sink() }
}

const stamp = (n: number) => `0.log.20261121-${String(80_000 + n)}`

/** Every line once and in order, every byte accounted for, nothing said to be lost. */
function allThere(t: Test, rig: TailRig, sink: RigSink, count: number): void {
  t.strictSame(sink.texts, messages(0, count))
  t.strictSame(rig.told('bytes.lost'), [])
  t.equal(sink.ledger.acked.lines, count)
  t.equal(sink.ledger.read.lines, count)
  t.equal(sink.reader.lagBytes, 0)
}

t.test('a rename, lines still written to the renamed file, then the new file', async (t) => {
  const { rig, sink } = containerRig(t)
  rig.write('0.log', rows(0, 10))
  await rig.step()
  rig.rename('0.log', stamp(1))
  await rig.run(200)
  rig.append(stamp(1), rows(10, 20))
  await rig.run(200)
  rig.write('0.log', rows(25, 30))
  rig.append(stamp(1), rows(20, 25))
  await rig.run(3000)
  allThere(t, rig, sink, 30)
  t.equal(rig.counters.rotations, 1)
})

t.test('lines that come to the renamed file when the new one has some already', async (t) => {
  const { rig, sink } = containerRig(t)
  rig.write('0.log', rows(0, 10))
  await rig.step()
  rig.rename('0.log', stamp(1))
  rig.write('0.log', rows(20, 30))
  rig.look()
  await rig.run(300)
  t.equal(sink.texts.length, 10, 'the renamed file gets its time')
  rig.append(stamp(1), rows(10, 20))
  await rig.run(3000)
  allThere(t, rig, sink, 30)
})

t.test('several rotations between two looks', async (t) => {
  const { rig, sink } = containerRig(t)
  rig.write('0.log', rows(0, 10))
  await rig.step()
  for (let i = 1; i <= 4; i++) {
    rig.append('0.log', rows(10 * i, 10 * i + 5))
    rig.rename('0.log', stamp(i))
    rig.write('0.log', rows(10 * i + 5, 10 * i + 10))
  }
  await rig.run(8000)
  allThere(t, rig, sink, 50)
})

t.test('a rotation at every look', async (t) => {
  const { rig, sink } = containerRig(t)
  rig.write('0.log', '')
  for (let i = 0; i < 50; i++) {
    rig.append('0.log', rows(10 * i, 10 * i + 8))
    await rig.run(100)
    rig.rename('0.log', stamp(i))
    rig.append(stamp(i), rows(10 * i + 8, 10 * i + 10))
    rig.write('0.log', '')
  }
  await rig.run(120_000)
  allThere(t, rig, sink, 500)
  t.equal(rig.lineage.files.length, 1, 'what was read is closed')
})

t.test('a rotation at every look, the oldest deleted while nothing is delivered', async (t) => {
  const { rig, sink } = containerRig(t)
  rig.write('0.log', '')
  for (let i = 0; i < 50; i++) {
    rig.append('0.log', rows(10 * i, 10 * i + 8))
    rig.clock.monotonicMs += 100
    rig.look()
    sink.fill()
    sink.again()
    rig.rename('0.log', stamp(i))
    rig.append(stamp(i), rows(10 * i + 8, 10 * i + 10))
    rig.write('0.log', '')
    if (i >= 5) rig.unlink(stamp(i - 5))
  }
  await rig.run(120_000)
  allThere(t, rig, sink, 500)
})

t.test('compression after and before a file was read', async (t) => {
  const { rig, sink } = containerRig(t)
  rig.write('0.log', rows(0, 10))
  await rig.step()
  rig.append('0.log', rows(10, 20))
  rig.rename('0.log', stamp(1))
  rig.write('0.log', rows(20, 30))
  rig.look()
  rig.compress(stamp(1))
  await rig.run(3000)
  rig.rename('0.log', stamp(2))
  rig.write('0.log', rows(30, 40))
  await rig.run(3000)
  rig.compress(stamp(2))
  await rig.run(3000)
  allThere(t, rig, sink, 40)
})

t.test('compression before we saw the rename', async (t) => {
  const { rig, sink } = containerRig(t)
  rig.write('0.log', rows(0, 10))
  await rig.step()
  rig.append('0.log', rows(10, 20))
  rig.rename('0.log', stamp(1))
  rig.compress(stamp(1))
  rig.write('0.log', rows(20, 30))
  rig.rename('0.log', stamp(2))
  rig.compress(stamp(2))
  rig.write('0.log', rows(30, 40))
  await rig.run(4000)
  allThere(t, rig, sink, 40)
})

t.test('a compressed file that grows beside the plain one is not read', async (t) => {
  const { rig, sink } = containerRig(t)
  rig.write('0.log', rows(0, 10))
  await rig.step()
  rig.rename('0.log', stamp(1))
  rig.write('0.log', rows(10, 20))
  rig.write(`${stamp(1)}.gz`, '')
  await rig.run(3000)
  const { gzipSync } = await import('node:zlib')
  const gz = gzipSync(rows(0, 10))
  rig.write(`${stamp(1)}.gz`, gz.subarray(0, 30))
  await rig.run(3000)
  rig.write(`${stamp(1)}.gz`, gz)
  rig.unlink(stamp(1))
  await rig.run(3000)
  allThere(t, rig, sink, 20)
})

t.test('at the start: plain and compressed siblings, one in the middle of its compression', async (t) => {
  const { rig, sink } = containerRig(t)
  rig.write(stamp(1), rows(0, 10))
  rig.compress(stamp(1))
  rig.write(stamp(2), rows(10, 20))
  rig.write(`${stamp(2)}.gz`, 'half')
  rig.write(`${stamp(2)}.tmp`, 'half')
  rig.write('0.log', rows(20, 30))
  rig.write('1.log', rows(30, 40))
  rig.write('notes.txt', 'nothing')
  await rig.run(5000)
  allThere(t, rig, sink, 40)
})

t.test('the next life of a container', async (t) => {
  const { rig, sink } = containerRig(t)
  rig.write('0.log', rows(0, 10))
  await rig.step()
  rig.write('1.log', rows(15, 20))
  rig.append('0.log', rows(10, 15))
  await rig.run(2000)
  rig.rename('1.log', '1.log.20261121-080000')
  rig.unlink('0.log')
  rig.write('1.log', rows(20, 25))
  rig.write('2.log', rows(25, 30))
  await rig.run(5000)
  allThere(t, rig, sink, 30)
})

t.test('deleted while we are behind: the open descriptor holds it', async (t) => {
  const { rig, sink } = containerRig(t)
  rig.write('0.log', rows(0, 10))
  rig.look()
  rig.rename('0.log', stamp(1))
  rig.write('0.log', rows(10, 20))
  rig.look()
  rig.unlink(stamp(1))
  rig.rename('0.log', stamp(2))
  rig.unlink(stamp(2))
  rig.write('0.log', rows(20, 30))
  rig.look()
  await rig.run(5000)
  allThere(t, rig, sink, 30)
  for (const name of ['0.log']) rig.unlink(name)
  rig.look()
  t.ok(rig.lineage.gone)
})

t.test('two sinks, one of them far behind', async (t) => {
  const rig = new TailRig(t)
  const fast = rig.sink()
  const slow = rig.sink()
  rig.write('0.log', rows(0, 10))
  rig.look()
  slow.recordsMax = 3
  slow.fill()
  slow.ack()
  for (let i = 1; i <= 3; i++) {
    rig.rename('0.log', stamp(i))
    rig.write('0.log', rows(10 * i, 10 * i + 10))
    for (let ms = 0; ms < 2000; ms += 100) {
      rig.clock.monotonicMs += 100
      rig.look()
      await fast.drain()
    }
    rig.unlink(stamp(i))
    rig.look()
  }
  t.strictSame(fast.texts, messages(0, 40))
  t.equal(rig.lineage.files.length, 4, 'held for the slow one')
  slow.recordsMax = Number.POSITIVE_INFINITY
  await rig.run(6000)
  allThere(t, rig, slow, 40)
  t.equal(rig.lineage.files.length, 1)
})

t.test('an inode that comes back at once, in a rotated file of the same size', async (t) => {
  const { rig, sink } = containerRig(t)
  rig.write('0.log', rows(10, 20))
  await rig.step()
  rig.rename('0.log', stamp(1))
  rig.write('0.log', rows(20, 30))
  await rig.run(3000)
  const { ino, size } = statSync(rig.path(stamp(1)))
  rig.unlink(stamp(1))
  // The next rotated file gets the number of the one that was read and deleted.
  rig.write('new', rows(30, 40))
  if (statSync(rig.path('new')).ino !== ino)
    return void t.comment('skipped: this file system does not give inodes out again at once')
  rig.rename('0.log', stamp(2))
  rig.rename('new', stamp(3))
  t.equal(statSync(rig.path(stamp(3))).size, size)
  rig.write('0.log', rows(40, 50))
  await rig.run(5000)
  t.strictSame(sink.texts, messages(10, 50))
})

t.test('an inode that comes back under the live name', async (t) => {
  const { rig, sink } = containerRig(t)
  rig.write('0.log', rows(0, 10))
  await rig.step()
  rig.rename('0.log', stamp(1))
  rig.write('0.log', rows(10, 20))
  await rig.run(3000)
  rig.unlink(stamp(1))
  rig.rename('0.log', stamp(2))
  rig.write('0.log', rows(20, 30))
  await rig.run(3000)
  allThere(t, rig, sink, 30)
})

t.test('a file that is put in the place of the live one', async (t) => {
  const { rig, sink } = containerRig(t)
  rig.write('0.log', `${rows(0, 10)}${row(10, 'line ', 'P')}\n`)
  await rig.step()
  rig.append('0.log', `${row(11, '1', 'P')}\n`)
  rig.write('new', `${row(12, '0')}\n${rows(11, 20)}`)
  rig.rename('new', '0.log')
  await rig.run(3000)
  t.strictSame(sink.texts, messages(0, 20))
  t.strictSame(rig.told('bytes.lost'), [])
})

t.test('a writer that stays in the renamed file for a long time', async (t) => {
  const { rig, sink } = containerRig(t)
  rig.write('0.log', rows(0, 10))
  await rig.step()
  rig.rename('0.log', stamp(1))
  rig.write('0.log', rows(10, 15))
  await rig.run(5000)
  t.equal(sink.texts.length, 15)
  for (let i = 15; i < 60; i += 5) {
    rig.append(i % 2 === 0 ? '0.log' : stamp(1), rows(i, i + 5))
    await rig.run(15_000)
  }
  t.strictSame(sink.texts.slice().sort(), messages(0, 60).sort(), 'each line once')
  t.strictSame(rig.told('bytes.lost'), [])
})

t.test('lines that come to a file between its last read and the answer', async (t) => {
  const { rig, sink } = containerRig(t)
  rig.write('0.log', rows(0, 10))
  rig.look()
  rig.rename('0.log', stamp(1))
  rig.write('0.log', rows(15, 20))
  rig.look()
  rig.clock.monotonicMs += 2000
  t.equal(sink.fill(), 'dry')
  t.equal(sink.pending.length, 15)
  rig.append(stamp(1), rows(10, 15))
  rig.look()
  sink.ack()
  await rig.run(15_000)
  t.strictSame(sink.texts, [...messages(0, 10), ...messages(15, 20), ...messages(10, 15)])
})

t.test('a file that was only touched is not read again', async (t) => {
  const { rig, sink } = containerRig(t)
  rig.write('0.log', rows(0, 10))
  await rig.step()
  rig.rename('0.log', stamp(1))
  rig.write('0.log', rows(10, 20))
  await rig.run(3000)
  utimesSync(rig.path(stamp(1)), new Date(), new Date(Date.now() + 5000))
  rig.write('other', '')
  await rig.run(15_000)
  allThere(t, rig, sink, 20)
})

t.test('a directory that comes late, goes, and comes back', async (t) => {
  const { rmSync, mkdirSync } = await import('node:fs')
  const { rig, sink } = containerRig(t)
  rmSync(rig.directory, { recursive: true })
  await rig.run(300)
  t.notOk(sink.reader.hasWork)
  mkdirSync(rig.directory)
  await rig.run(300)
  rig.write('0.log', rows(0, 10))
  await rig.run(300)
  t.strictSame(sink.texts, messages(0, 10))
  rmSync(rig.directory, { recursive: true })
  await rig.run(7000)
  t.ok(rig.lineage.gone)
  mkdirSync(rig.directory)
  rig.write('0.log', rows(10, 20))
  await rig.run(7000)
  allThere(t, rig, sink, 20)
})

t.test('a first line that grows', async (t) => {
  const { rig, sink } = containerRig(t)
  const whole = `${row(0, 'line 0')}\n`
  for (const part of [whole.slice(0, 5), whole.slice(5, 40), whole.slice(40)]) {
    rig.append('0.log', part)
    await rig.run(500)
  }
  rig.append('0.log', rows(1, 10))
  await rig.run(500)
  rig.rename('0.log', stamp(1))
  rig.compress(stamp(1))
  rig.write('0.log', rows(10, 20))
  await rig.run(4000)
  allThere(t, rig, sink, 20)
})
