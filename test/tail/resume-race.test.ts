// Finding the place again while files are renamed and compressed: between any two operations of the first look.
import t, { type Test } from 'tap'
import { messages, type RigSink, row, rows, TailRig } from '../support/tail-rig.ts'

const OPERATIONS_MAX = 200

/** Restarts with `change` before the operation number `at` of what follows; false when there were not so many. */
async function restartWith(rig: TailRig, at: number, change: () => void): Promise<boolean> {
  let left = at
  rig.fs.fault = () => {
    if (left-- === 0) change()
    return null
  }
  rig.restart()
  await rig.run(1000)
  rig.fs.fault = () => null
  return left < 0
}

/** Runs it for every place that the change can come at. */
async function everywhere(t: Test, scene: (at: number) => Promise<boolean>): Promise<void> {
  for (let at = 0; await scene(at); at++) if (at > OPERATIONS_MAX) throw new Error('it never ends')
  t.pass('the change came everywhere')
}

function nothingLost(t: Test, rig: TailRig, at: number): void {
  t.strictSame(rig.told('bytes.lost'), [], `no loss with the change at ${at}`)
}

async function ackedUpTo(rig: TailRig, records: number): Promise<RigSink> {
  const sink = rig.sink()
  rig.look()
  sink.recordsMax = records
  sink.fill()
  sink.ack()
  if (sink.texts.length !== records) throw new Error(`${sink.texts.length} records are acknowledged`)
  sink.recordsMax = Number.POSITIVE_INFINITY
  return sink
}

t.test('the file of the place is compressed; a line began in it that ends in the next one', async (t) => {
  await everywhere(t, async (at) => {
    const rig = new TailRig(t)
    const rotated = '0.log.20261121-080001'
    rig.write(rotated, `${rows(0, 20)}${row(20, 'line ', 'P')}\n`)
    rig.write('0.log', `${row(21, '20')}\n${rows(21, 30)}`)
    const sink = await ackedUpTo(rig, 7)
    const came = await restartWith(rig, at, () => rig.compress(rotated))
    if (!came) return false
    await rig.run(3000)
    t.strictSame(sink.texts, messages(0, 30), `the change at ${at}`)
    nothingLost(t, rig, at)
    return true
  })
})

t.test('all are renamed, with numbers that move on', async (t) => {
  await everywhere(t, async (at) => {
    const rig = new TailRig(t, { kind: 'app.log', directory: 'logs' })
    const lines = (from: number, to: number) =>
      messages(from, to)
        .map((each) => `${each}\n`)
        .join('')
    rig.write('app.log.2', lines(0, 10))
    rig.write('app.log.1', lines(10, 20))
    rig.write('app.log', lines(20, 30))
    const sink = await ackedUpTo(rig, 7)
    sink.fill()
    const times = sink.pending.map(({ time }) => time)
    const came = await restartWith(rig, at, () => {
      rig.rename('app.log.2', 'app.log.3')
      rig.rename('app.log.1', 'app.log.2')
      rig.rename('app.log', 'app.log.1')
      rig.write('app.log', lines(30, 40))
    })
    if (!came) return false
    await rig.run(3000)
    t.strictSame(sink.texts, messages(0, 40), `the change at ${at}`)
    t.strictSame(
      sink.delivered.slice(7, 7 + times.length).map(({ time }) => time),
      times,
      'at the times of their arrival',
    )
    nothingLost(t, rig, at)
    return true
  })
})
