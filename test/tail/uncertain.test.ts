// What cannot be told from what lies there: files that begin alike, names and files that do not go together, a disk that does not
// let itself be read. Nothing is passed over for it without a word, and nothing waits for it for ever.
import { truncateSync } from 'node:fs'
import t from 'tap'
import { Placing } from '../../src/tail/placing.ts'
import { lines, losses, messages, plainRig } from '../support/tail-rig.ts'

const BANNER = 'the program starts\n'
t.test('a file that was cut is not its own copy, though it begins as before', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log.1', lines(0, 10))
  const content = BANNER + lines(10, 22)
  rig.write('app.log', BANNER + lines(10, 20))
  rig.look()
  sink.take(3)
  rig.append('app.log', lines(20, 22))
  rig.look()
  truncateSync(rig.path('app.log'), 0)
  // It is named without a witness, which is not there any more.
  sink.savePosition()
  rig.append('app.log', BANNER + lines(100, 130))
  rig.restart()
  await rig.run(3000)
  t.strictSame(losses(rig), [[0, content.length]])
})

t.test('a file that cannot be read is not asked for ever whether it is a copy', async (t) => {
  const { rig, sink } = plainRig(t)
  rig.write('app.log.2', lines(0, 3))
  rig.write('app.log.1', lines(3, 5))
  rig.write('app.log', lines(5, 7))
  rig.look()
  sink.take(1)
  const { position } = sink
  const later = position?.later ?? []
  // One that was cut when its first line was not whole yet, and is not there.
  const cut = { ...later[0]!, path: 'app.log', ino: 1, head: 'ff', headBytes: 2, offset: 5, witness: '' }
  sink.position = { ...position!, later: [...later, cut] }
  rig.restart()
  rig.look()
  rig.fs.fault = (op, path) => (op === 'read' && path.endsWith('app.log.1') ? 'EIO' : null)
  await rig.run(60_000)
  t.strictSame(sink.texts.slice(0, 3), messages(0, 3))
})

t.test('what was unread of a file that is gone is told, though the names tell another order', async (t) => {
  for (const hasOther of [true, false]) {
    const { rig, sink } = plainRig(t)
    const name = (second: number) => `app.log-202611210805${second}`
    rig.write('app.log', lines(0, 20))
    rig.look()
    sink.take(7)
    let from = 20
    // The clock was set back before each.
    for (const second of [55, 40, 30]) {
      rig.rename('app.log', name(second))
      rig.write('app.log', lines(from, from + 10))
      from += 10
      rig.look()
    }
    sink.savePosition()
    const other = hasOther ? rig.sink() : null
    for (const each of rig.sinks) each.again()
    rig.stop()
    rig.unlink(name(55))
    rig.open()
    for (const each of rig.sinks) each.open()
    rig.look()
    // It has begun: files are not moved any more.
    other?.fill()
    other?.ack()
    await rig.run(4000)
    t.strictSame(losses(rig)[0], [lines(0, 7).length, lines(0, 20).length])
  }
})

t.test(
  'a name that nothing could be made of is given up after its time, whatever else went wrong meanwhile',
  async (t) => {
    const placing = new Placing([])
    const order = { restart: 0, rank: '3' } as never
    let now = 0
    for (; now < 120_000; now += 1000) {
      placing.begin()
      if (now % 9000 === 0) placing.noteUntried('x', order, now)
      else placing.noteUnknown('x', order, now)
      placing.end()
      if (placing.isSettled(now)) break
    }
    t.ok(now <= 13_000, `${now} ms`)
  },
)

t.test(
  'a new file is not a copy of one that was cut, though it begins like it and the name of that is not met',
  async (t) => {
    const { rig, sink } = plainRig(t)
    rig.write('app.log', BANNER + lines(0, 10))
    rig.look()
    sink.take(3)
    truncateSync(rig.path('app.log'), 0)
    rig.append('app.log', BANNER + lines(10, 12))
    rig.look()
    for (let look = 0; look < 3; look++) {
      rig.clock.monotonicMs += 100
      rig.look()
    }
    rig.rename('app.log', 'app.log.1')
    rig.write('app.log', BANNER + lines(20, 30))
    rig.fs.fault = (op, path) => (op === 'stat' && path.endsWith('app.log.1') ? 'EIO' : null)
    rig.clock.monotonicMs += 1000
    rig.look()
    rig.fs.fault = () => null
    await rig.run(5000)
    const isLine = (text: string) => `${text}\n` !== BANNER && !text.startsWith('taffrail: ')
    t.strictSame(sink.texts.filter(isLine), [...messages(0, 2), ...messages(10, 12), ...messages(20, 30)])
  },
)
