// Finding the place again after the process was away: in renamed, compressed, truncated, replaced and deleted files.
import { copyFileSync, linkSync, truncateSync, utimesSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { Position, SeenFile } from '../../src/checkpoint/position.ts'
import { losses, messages, numbered, type RigSink, row, rows, TailRig, withoutSpans } from '../support/tail-rig.ts'

const stamp = (n: number) => `0.log.20261121-${String(80_000 + n)}`

/** A container of which `read` of 20 lines are acknowledged when the process ends. */
async function partlyRead(t: Test, read: number): Promise<{ rig: TailRig; sink: RigSink }> {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log', rows(0, 20))
  rig.look()
  sink.recordsMax = read
  sink.fill()
  sink.ack()
  t.equal(sink.texts.length, read)
  sink.recordsMax = Number.POSITIVE_INFINITY
  return { rig, sink }
}

t.test(
  'a checkpoint reads of a file behind its place the end and the first line, once for what it has grown',
  async (t) => {
    const { rig, sink } = await partlyRead(t, 7)
    rig.rename('0.log', stamp(1))
    rig.write('0.log', rows(20, 220))
    rig.look()
    const reads: number[] = []
    rig.fs.shorten = (length) => {
      reads.push(length)
      return length
    }
    const head = rows(20, 21).length
    for (const [grown, expected] of [
      [220, [1024, head]],
      [220, []],
      [240, [1024, head]],
    ] as const) {
      if (grown > 220) {
        rig.append('0.log', rows(220, grown))
        rig.look()
      }
      reads.length = 0
      sink.savePosition()
      // The witness of the place itself, which is in the other file.
      t.strictSame(reads.slice(1), expected, `${grown} lines`)
    }
  },
)

t.test('the same file, grown', async (t) => {
  const { rig, sink } = await partlyRead(t, 7)
  rig.restart()
  rig.append('0.log', rows(20, 30))
  await rig.run(1000)
  t.strictSame(sink.texts, messages(0, 30))
  t.strictSame(
    rig.told('file.opened').map((each) => each.resumed),
    [false, true],
  )
  rig.restart()
  await rig.run(1000)
  t.strictSame(sink.texts, messages(0, 30), 'and at its end')
})

t.test('a file that was empty when it was last looked at', async (t) => {
  const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
  const sink = rig.sink()
  rig.write('app.log', '')
  rig.look()
  rig.append('app.log', 'one\n')
  sink.fill()
  rig.restart()
  rig.look()
  sink.fill()
  const [first] = sink.pending
  sink.ack()
  rig.restart()
  rig.append('app.log', 'two\n')
  await rig.run(500)
  t.strictSame(sink.texts, ['one', 'two'])
  t.equal(sink.delivered[0]?.time, first?.time)
})

t.test('a file that was renamed, with others after it', async (t) => {
  const { rig, sink } = await partlyRead(t, 7)
  rig.stop()
  rig.rename('0.log', stamp(1))
  rig.write(stamp(2), rows(20, 30))
  rig.write('0.log', rows(30, 35))
  rig.write('1.log', rows(35, 40))
  rig.restart()
  await rig.run(6000)
  t.strictSame(sink.texts, messages(0, 40))
  t.strictSame(losses(rig), [])
})

t.test('a file that was renamed and compressed', async (t) => {
  const { rig, sink } = await partlyRead(t, 7)
  rig.stop()
  rig.write(stamp(0), 'older, and read before\n')
  rig.rename('0.log', stamp(1))
  rig.compress(stamp(1))
  rig.write(stamp(2), rows(20, 30))
  rig.compress(stamp(2))
  rig.write('0.log', rows(30, 40))
  rig.restart()
  await rig.run(6000)
  t.strictSame(sink.texts, messages(0, 40))
  t.strictSame(losses(rig), [])
})

t.test('in the middle of a compressed file, twice', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write(stamp(1), rows(0, 20))
  rig.compress(stamp(1))
  rig.write('0.log', rows(20, 40))
  for (const count of [7, 13]) {
    rig.look()
    sink.recordsMax = 7
    while (sink.pending.length < 6) {
      sink.fill()
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    sink.ack()
    t.ok(sink.texts.length >= count - 1)
    rig.restart()
  }
  sink.recordsMax = Number.POSITIVE_INFINITY
  await rig.run(6000)
  t.strictSame(sink.texts, messages(0, 40))
})

t.test('in a line that goes on in the next file', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log', `${rows(0, 2)}${row(2, 'begin ', 'P')}\n`)
  await rig.step()
  rig.stop()
  rig.rename('0.log', stamp(1))
  rig.write('0.log', `${row(3, 'end')}\n${rows(4, 6)}`)
  rig.restart()
  await rig.run(3000)
  t.strictSame(sink.texts, [...messages(0, 2), 'begin end', ...messages(4, 6)])
})

t.test('the file was deleted: what was seen of it and not read is a hole', async (t) => {
  const { rig, sink } = await partlyRead(t, 7)
  rig.stop()
  rig.unlink('0.log')
  rig.write(stamp(2), rows(20, 30))
  rig.write('0.log', rows(30, 40))
  rig.restart()
  await rig.run(6000)
  const [from, to] = [rows(0, 7).length, rows(0, 20).length]
  const hole = `taffrail: lost ${to - from} bytes [${from}, ${to}) of ${rig.path('0.log')}: gone or replaced while taffrail was not running`
  t.strictSame(withoutSpans(sink.texts), [...messages(0, 7), hole, ...messages(20, 40)])
  t.strictSame(losses(rig), [[from, to]])
})

t.test('the file was deleted when it had been read: there is nothing to say', async (t) => {
  const { rig, sink } = await partlyRead(t, 20)
  rig.stop()
  rig.unlink('0.log')
  rig.write('0.log', rows(30, 40))
  rig.restart()
  await rig.run(6000)
  t.strictSame(sink.texts, [...messages(0, 20), ...messages(30, 40)])
  t.strictSame(losses(rig), [])
})

t.test('a hole is something left to deliver, also before its place is found', async (t) => {
  const { rig, sink } = await partlyRead(t, 7)
  rig.stop()
  rig.unlink('0.log')
  rig.write('0.log', '')
  rig.restart()
  rig.look()
  t.equal(sink.reader.lagBytes, 1, 'its place is searched for')
  sink.fill()
  t.equal(sink.reader.lagBytes, 1, 'it is under way')
  sink.again()
  t.equal(sink.reader.lagBytes, 1, 'it was refused')
  sink.fill()
  sink.ack()
  t.equal(sink.reader.lagBytes, 0)
})

t.test('earlier lives of the container that still lie about are not read again', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log', rows(0, 10))
  await rig.step()
  rig.write('1.log', rows(10, 20))
  await rig.run(3000)
  t.strictSame(sink.texts, messages(0, 20))
  rig.stop()
  rig.unlink('1.log')
  rig.write('2.log', rows(20, 30))
  rig.restart()
  await rig.run(3000)
  t.strictSame(sink.texts, messages(0, 30))
})

t.test(
  'a file of a later life that could not be looked at when it came is read, though one after it was seen',
  async (t) => {
    const { rig, sink } = await partlyRead(t, 7)
    rig.write('2.log', rows(30, 40))
    rig.look()
    sink.savePosition()
    rig.stop()
    rig.unlink('0.log')
    rig.write('1.log', rows(20, 30))
    rig.restart()
    await rig.run(6000)
    const texts = sink.texts.filter((text) => !text.startsWith('taffrail: lost'))
    t.strictSame(texts, [...messages(0, 7), ...messages(20, 40)])
    t.strictSame(losses(rig), [[rows(0, 7).length, rows(0, 20).length]])
  },
)

for (const [kind, live, ...rotated] of [
  ['container', '0.log', '0.log.20261121-080001', '0.log.20261121-080002', '0.log.20261121-080003'],
  ['app.log', 'app.log', 'app.log-20261121080001', 'app.log-20261121080002', 'app.log-20261121080003'],
  ['app.log', 'app.log', 'app.log.3', 'app.log.2', 'app.log.1'],
] as const) {
  t.test(
    `${rotated[0]}: a file that could not be looked at when it came is read, though one after it was seen`,
    async (t) => {
      const rig = new TailRig(t, { kind })
      const sink = rig.sink({ format: 'container' })
      rig.write(live, rows(0, 7))
      await rig.step()
      rig.append(live, rows(7, 20))
      rig.rename(live, rotated[0])
      rig.write(rotated[1], rows(20, 30))
      rig.write(live, rows(40, 50))
      rig.look()
      sink.savePosition()
      rig.stop()
      rig.unlink(rotated[0])
      rig.unlink(rotated[1])
      rig.write(rotated[2], rows(30, 40))
      // Later than the others, however coarse the times of the file system are.
      utimesSync(rig.path(rotated[2]), Date.now() / 1000 + 1, Date.now() / 1000 + 1)
      rig.restart()
      await rig.run(6000)
      const texts = sink.texts.map((text) => (text.startsWith('taffrail: lost') ? 'lost' : text))
      t.strictSame(texts, [...messages(0, 7), 'lost', 'lost', ...messages(30, 50)])
    },
  )
}

/** A container of which 7 of 20 lines are acknowledged, and that was rotated since under an earlier name than before. */
async function rotatedBack(t: Test): Promise<{ rig: TailRig; sink: RigSink }> {
  const { rig, sink } = await partlyRead(t, 7)
  rig.rename('0.log', '0.log.20261121-080500')
  rig.write('0.log', rows(20, 30))
  rig.look()
  rig.rename('0.log', '0.log.20261121-080300')
  rig.write('0.log', rows(30, 40))
  rig.look()
  sink.savePosition()
  return { rig, sink }
}

t.test('files that were seen are in that order, though the clock was set back and their names lie', async (t) => {
  const { rig, sink } = await rotatedBack(t)
  rig.restart()
  await rig.run(3000)
  t.strictSame(sink.texts, messages(0, 40))
  t.strictSame(losses(rig), [])
})

t.test('what another sink has begun in the order of the names is read twice, and nothing is passed over', async (t) => {
  const { rig, sink } = await rotatedBack(t)
  const other = rig.sink()
  rig.restart()
  rig.look()
  other.fill()
  other.ack()
  await rig.run(3000)
  t.strictSame([...new Set(sink.texts)].sort(), messages(0, 40).sort())
  t.strictSame(other.texts, [...messages(20, 30), ...messages(0, 20), ...messages(30, 40)])
  t.strictSame(losses(rig), [])
})

t.test('another sink that is past what the names tell wrongly does not hold up that it is put right', async (t) => {
  const { rig, sink } = await rotatedBack(t)
  const other = rig.sink()
  for (let i = 0; i < 40; i++) {
    rig.clock.monotonicMs += 100
    rig.look()
    await other.drain()
  }
  rig.restart()
  rig.look()
  other.fill()
  other.ack()
  await rig.run(3000)
  t.strictSame(sink.texts, messages(0, 40))
  t.strictSame(other.texts, messages(0, 40))
  t.strictSame(losses(rig), [])
})

t.test('a file that came late stays behind the one that was begun', async (t) => {
  const { rig, sink } = await partlyRead(t, 7)
  rig.write('0.log.20261121-080001', rows(20, 30))
  rig.look()
  sink.savePosition()
  rig.restart()
  await rig.run(3000)
  t.strictSame(sink.texts, messages(0, 30))
})

t.test('truncated and written anew, to less, to more and to the same size', async (t) => {
  for (const count of [0, 5, 20, 50]) {
    const { rig, sink } = await partlyRead(t, 20)
    rig.stop()
    truncateSync(rig.path('0.log'), 0)
    rig.append('0.log', rows(100, 100 + count).slice(0, count === 20 ? rows(0, 20).length : undefined))
    rig.append('0.log', rows(500, 501))
    rig.restart()
    await rig.run(3000)
    t.strictSame(sink.texts.slice(0, 20), messages(0, 20))
    t.equal(sink.texts[20], count === 0 ? 'line 500' : 'line 100', `${count} lines`)
    t.strictSame(losses(rig), [])
  }
})

t.test('the same head, and other bytes before the place', async (t) => {
  const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
  const sink = rig.sink()
  rig.write('app.log', 'banner\none\ntwo\nthree\n')
  await rig.step()
  rig.stop()
  rig.write('app.log', 'banner\neins\nzwei\ndrei\nvier\nacht\n')
  rig.restart()
  await rig.run(1000)
  t.strictSame(sink.texts, ['banner', 'one', 'two', 'three', 'banner', 'eins', 'zwei', 'drei', 'vier', 'acht'])
})

t.test('copytruncate while we were away', async (t) => {
  for (const gz of [false, true]) {
    const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
    const sink = rig.sink()
    const lines = (from: number, to: number) => messages(from, to).join('\n').concat('\n')
    rig.write('app.log', lines(0, 10))
    await rig.step()
    rig.stop()
    rig.append('app.log', lines(10, 20))
    copyFileSync(rig.path('app.log'), rig.path('app.log.1'))
    truncateSync(rig.path('app.log'), 0)
    rig.append('app.log', lines(20, 50))
    if (gz) rig.compress('app.log.1')
    rig.restart()
    await rig.run(3000)
    t.strictSame(sink.texts, messages(0, 50))
  }
})

t.test('all files are gone for a while', async (t) => {
  const { rig, sink } = await partlyRead(t, 20)
  rig.stop()
  rig.unlink('0.log')
  rig.restart()
  await rig.run(3000)
  t.notOk(sink.reader.hasWork)
  rig.write('0.log', rows(20, 30))
  await rig.run(3000)
  t.strictSame(sink.texts, messages(0, 30))
})

t.test('a place is not searched for while a file cannot be opened', async (t) => {
  const { rig, sink } = await partlyRead(t, 7)
  rig.stop()
  rig.rename('0.log', stamp(1))
  rig.write('0.log', rows(20, 30))
  rig.fs.fault = (operation, path) => (operation === 'open' && path.endsWith(stamp(1)) ? 'EMFILE' : null)
  rig.restart()
  await rig.run(2000)
  t.equal(sink.texts.length, 7)
  t.notOk(sink.reader.hasWork)
  t.ok(sink.reader.isWaiting, 'it is not done')
  rig.fs.fault = () => null
  await rig.run(4000)
  t.strictSame(sink.texts, messages(0, 30))
})

t.test(
  'a file that nobody tried to open while names failed is waited for when they do not matter any more',
  async (t) => {
    const rig = new TailRig(t, { kind: 'app.log' })
    const sink = rig.sink()
    const lines = (from: number, to: number) => messages(from, to).join('\n').concat('\n')
    for (const [i, name] of ['app.log.3', 'app.log.2', 'app.log.1', 'app.log'].entries())
      rig.write(name, lines(10 * i, 10 * i + 10))
    rig.look()
    sink.take(7)
    let opened = 0
    rig.stop()
    rig.fs.fault = (operation, path) => {
      if (operation === 'open' && path.endsWith('app.log.2') && ++opened <= 2) return 'EIO'
      return operation === 'stat' && path.endsWith('app.log.1') && opened > 0 ? 'EIO' : null
    }
    rig.restart()
    await rig.run(20_000)
    t.ok(opened > 2)
    t.strictSame(sink.texts, messages(0, 40))
    t.strictSame(losses(rig), [])
  },
)

t.test('a file that came late, between one that was cut and its copy, is not passed over', async (t) => {
  const rig = new TailRig(t, { kind: 'app.log' })
  const sink = rig.sink({ format: 'container' })
  for (const [i, name] of ['app.log.3', 'app.log.2', 'app.log.1', 'app.log'].entries())
    rig.write(name, rows(10 * i, 10 * i + 10))
  rig.look()
  sink.fill()
  sink.again()
  sink.savePosition()
  const { later = [] } = sink.position ?? {}
  const cut = { ...later[1], ino: later[2]?.ino, gone: 'truncated' } as SeenFile
  sink.position = { ...(sink.position as Position), later: [cut, ...later] }
  rig.stop()
  rig.unlink('app.log.3')
  rig.restart()
  await rig.run(2000)
  t.strictSame(sink.texts.slice(1), messages(10, 40))
  t.strictSame(losses(rig), [[0, rows(0, 10).length]])
})

t.test('but not for ever', async (t) => {
  const { rig, sink } = await partlyRead(t, 7)
  rig.stop()
  rig.write('0.log.broken', '')
  rig.write(stamp(5), rows(100, 110))
  rig.fs.fault = (operation, path) => (operation === 'open' && path.endsWith(stamp(5)) ? 'EACCES' : null)
  rig.restart()
  await rig.run(15_000)
  t.strictSame(sink.texts, messages(0, 20))
  t.ok((rig.fs.counts.get('open') ?? 0) < 60, 'nor too often')
})

t.test('damaged checkpoints do no harm', async (t) => {
  const { rig, sink } = await partlyRead(t, 7)
  for (const broken of [{ offset: 1e9 }, { head: 'x' }, { witness: 'x' }, { times: [] }, { stamps: [1, 2, 3] }]) {
    sink.position = { ...sink.position!, ...broken }
    rig.restart()
    await rig.run(500)
  }
  t.strictSame([...new Set(numbered(sink.texts))], messages(0, 20))
})

t.test('files that cannot be read for a moment while the place is searched for', async (t) => {
  const { rig, sink } = await partlyRead(t, 7)
  rig.append('0.log', rows(20, 25))
  await rig.run(300)
  rig.rename('0.log', stamp(1))
  rig.write('0.log', rows(25, 30))
  rig.look()
  sink.fill()
  sink.ack()
  rig.restart()
  let failures = 6
  rig.fs.fault = (operation) => (operation === 'read' && rig.lineage.looked && failures-- > 0 ? 'EIO' : null)
  await rig.run(12_000)
  rig.fs.fault = () => null
  t.ok(failures < 6, 'reads failed')
  t.strictSame(sink.texts, messages(0, 30))
  t.strictSame(losses(rig), [])
})

for (const failing of ['in turn', 'one for long'] as const) {
  t.test(`files that cannot be read while the place is searched for: ${failing}`, async (t) => {
    const { rig, sink } = await partlyRead(t, 7)
    rig.rename('0.log', stamp(0))
    for (let i = 1; i < 6; i++) rig.write(stamp(i), rows(17 + 3 * i, 20 + 3 * i))
    rig.write('0.log', rows(35, 40))
    rig.look()
    sink.fill()
    sink.ack()
    rig.restart()
    const begunAt = rig.clock.monotonicMs
    const unreadable = () =>
      failing === 'in turn' ? 1 + (Math.floor((rig.clock.monotonicMs - begunAt) / 1000) % 5) : 3
    rig.fs.fault = (operation, path) =>
      operation === 'read' && rig.lineage.looked && path.endsWith(stamp(unreadable())) ? 'EIO' : null
    await rig.run(15_000)
    rig.fs.fault = () => null
    await rig.run(5000)
    t.strictSame(losses(rig).length, failing === 'in turn' ? 0 : 1)
    t.strictSame(numbered(sink.texts), messages(0, 40))
  })
}

t.test('an empty file that was seen is not missed', async (t) => {
  const { rig, sink } = await partlyRead(t, 7)
  rig.rename('0.log', stamp(1))
  rig.write('0.log', '')
  rig.look()
  sink.ack()
  rig.restart()
  rig.unlink('0.log')
  rig.write('1.log', rows(20, 25))
  await rig.run(6000)
  t.strictSame(sink.texts, messages(0, 25))
  t.strictSame(losses(rig), [])
})

t.test('files that begin alike: one of which nothing was read is not taken for the next one', async (t) => {
  for (const later of [10, 3]) {
    const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
    const sink = rig.sink()
    const head = 'the program starts\n'
    const content = (from: number, to: number) => `${head}${messages(from, to).join('\n')}\n`
    const atMs = 1_795_248_000_000
    rig.clock.wallMs = atMs
    rig.write('app.log', content(0, 5))
    rig.look()
    sink.fill()
    sink.again()
    sink.savePosition()
    rig.restart()
    // Its number is in use: whoever got it would be the same file, as far as anybody can tell.
    linkSync(rig.path('app.log'), rig.path('held'))
    rig.unlink('app.log')
    rig.write('app.log.1', content(20, 20 + later))
    rig.write('app.log', content(40, 45))
    rig.clock.wallMs = atMs + 60_000
    await rig.run(5000)
    t.strictSame(rig.told('bytes.lost').length, 1, `${later} lines in the next one`)
    const times = sink.delivered.filter(({ text }) => `${text}\n` === head).map(({ time }) => time)
    t.equal(times.length, 2)
    t.ok(
      times.every((time) => time >= BigInt(atMs + 60_000) * 1_000_000n),
      'they have a time of their own',
    )
  }
})
