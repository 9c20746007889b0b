// Holes: their records are decided once, outlive a kill before and after they are sent, and lie in time where Loki takes them.
import { truncateSync, utimesSync } from 'node:fs'
import t, { type Test } from 'tap'
import { Timeline } from '../../src/parse/timeline.ts'
import { decideGap, gapText, type Hole } from '../../src/tail/gap.ts'
import { messages, type RigSink, row, rows, TailRig } from '../support/tail-rig.ts'

const HOUR = 3600

const HOLE: Hole = {
  path: '/logs/0.log',
  head: 'abc',
  restart: 0,
  from: 10,
  to: 30,
  cause: 'deleted',
  writtenMs: null,
}

function timelineOf(...emitted: [stream: number, seconds: number][]): Timeline {
  const timeline = new Timeline()
  for (const [stream, seconds] of emitted) {
    timeline.emit(stream, seconds, 5)
    timeline.row(seconds, 5)
  }
  return timeline
}

const isHole = (text: string) => text.startsWith('taffrail: lost')
const holesOf = (sink: RigSink) => sink.delivered.filter(({ marks }) => marks.includes('gap'))
const lostOf = (sink: RigSink) => [...sink.ledger.lost.values()].reduce((sum, { bytes }) => sum + bytes, 0)

t.test('the time of a record: after its stream, and near to what comes after the hole', async (t) => {
  const now = 1_000_000
  const cases: [name: string, timeline: Timeline, hole: Partial<Hole>, first: number | null, seconds: number][] = [
    ['right after the last line', timelineOf([0, now - 600]), {}, now - 300, now - 600],
    ['a day after the last line', timelineOf([0, now - 24 * HOUR]), {}, now - 300, now - 300 - HOUR / 2],
    ['nothing is known of its end', timelineOf([0, now - 24 * HOUR]), {}, null, now - 24 * HOUR],
    ['the file says when it ended', timelineOf([0, 0]), { writtenMs: (now - HOUR) * 1000 }, null, now - 1.5 * HOUR],
    ['no line before', timelineOf(), {}, now - 300, now - 300],
    ['no line before or after', timelineOf(), {}, null, now],
    ['what comes after is of the future', timelineOf(), {}, now + HOUR, now],
    ['what comes after is older', timelineOf([0, now - 600]), {}, now - HOUR, now - 600],
    ['the last line is of the near future', timelineOf([0, now + 60]), {}, now, now + 60],
  ]
  for (const [name, timeline, hole, first, seconds] of cases) {
    const time = first === null ? null : { seconds: first, nanos: 0 }
    t.equal(decideGap({ ...HOLE, ...hole }, timeline, time, now * 1000, false).seconds, seconds, name)
  }
  const arrival = decideGap({ ...HOLE, writtenMs: 1000 }, timelineOf([0, now - 5 * HOUR]), null, now * 1000, true)
  t.equal(arrival.seconds, now, 'lines without times of their own: when it is noticed')
})

t.test('its stream is that of the last line, by time', async (t) => {
  const stream = (...emitted: [number, number][]) => decideGap(HOLE, timelineOf(...emitted), null, 0, false).stream
  t.strictSame(
    [stream(), stream([0, 5]), stream([1, 5]), stream([1, 5], [0, 6]), stream([0, 5], [1, 6])],
    [0, 0, 1, 0, 1],
  )
})

t.test('what a record says', async (t) => {
  const now = Date.UTC(2026, 10, 21, 8)
  const full = decideGap({ ...HOLE, writtenMs: now }, timelineOf([0, now / 1000 - 60]), null, now, false)
  const span = 'written after 2026-11-21T07:59:00.000000005Z before 2026-11-21T08:00:00.000000000Z'
  t.equal(gapText(full), `taffrail: lost 20 bytes [10, 30) of /logs/0.log, ${span}: deleted`)
  const bare = decideGap({ ...HOLE, to: null }, timelineOf(), null, now, false)
  t.equal(gapText(bare), 'taffrail: lost from offset 10 of /logs/0.log: deleted')
})

/** A file that is read up to line 7 of 20 and then cut off in place; a look sees it. */
async function truncated(t: Test): Promise<{ rig: TailRig; sink: RigSink; lost: number }> {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log', rows(0, 20))
  rig.look()
  sink.take(7)
  truncateSync(rig.path('0.log'), 0)
  rig.append('0.log', rows(30, 32))
  rig.look()
  return { rig, sink, lost: rows(0, 20).length - rows(0, 7).length }
}

t.test('killed after the hole was noticed: the next process ships the same record, and counts it once', async (t) => {
  for (const kill of ['before it is sent', 'when it is stored and not acknowledged', 'when it is acknowledged']) {
    const { rig, sink, lost } = await truncated(t)
    sink.fill()
    const [sent] = sink.pending.filter(({ marks }) => marks.includes('gap'))
    t.equal(lostOf(sink), lost)
    if (kill === 'when it is acknowledged') sink.ack()
    // Time passes, and what is beside the hole has changed: all that was decided stays.
    rig.clock.wallMs = Date.now() + 7_200_000
    rig.append('0.log', rows(32, 34))
    utimesSync(rig.path('0.log'), 1, 1)
    sink.ledger.lost.clear()
    rig.restart()
    await rig.run(3000)
    const holes = holesOf(sink)
    t.equal(holes.length, 1, kill)
    t.strictSame(
      [holes[0]?.text, holes[0]?.time, holes[0]?.stream],
      [sent?.text, sent?.time, sent?.stream],
      'the same entry',
    )
    t.strictSame(
      sink.texts.filter((text) => !isHole(text)),
      [...messages(0, 7), ...messages(30, 34)],
    )
    t.equal(lostOf(sink), kill === 'when it is acknowledged' ? 0 : lost, 'counted by the process that ships it')
    rig.restart()
    await rig.run(3000)
    t.equal(holesOf(sink).length, 1, 'and then it is over')
  }
})

t.test('what was read before the hole and is refused is lost with it, and said once', async (t) => {
  const { rig, sink } = await truncated(t)
  rig.restart()
  sink.fill()
  sink.again()
  await rig.run(3000)
  t.equal(holesOf(sink).length, 1)
  const second = await truncated(t)
  const { sink: other } = second
  // The record itself is refused, again and again.
  for (let i = 0; i < 3; i++) {
    other.fill()
    other.again(i === 1 ? [1] : [])
  }
  await second.rig.run(3000)
  t.equal(holesOf(other).length, 1)
  t.equal(second.rig.told('bytes.lost').length, 1)
  t.equal(lostOf(other), second.lost)
})

t.test('files deleted behind a stopped sink, and a restart: each hole is named', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  const stamps = ['0.log.20261121-080100', '0.log.20261121-080200', '0.log.20261121-080300']
  rig.write('0.log', rows(0, 10))
  await rig.step()
  // From here on the sink is stopped: files rotate, and the oldest are deleted.
  rig.append('0.log', rows(10, 20))
  for (const [i, stamp] of stamps.entries()) {
    rig.rename('0.log', stamp)
    rig.write('0.log', rows(20 + 10 * i, 30 + 10 * i))
    rig.look()
  }
  sink.savePosition()
  rig.unlink(stamps[0]!)
  rig.unlink(stamps[1]!)
  rig.restart()
  await rig.run(5000)
  const holes = holesOf(sink).map(({ text }) => /lost (.*), written/.exec(text)?.[1])
  const [from, to] = [rows(0, 10).length, rows(0, 20).length]
  t.strictSame(holes, [
    `${to - from} bytes [${from}, ${to}) of ${rig.path(stamps[0]!)}`,
    `${rows(20, 30).length} bytes [0, ${rows(20, 30).length}) of ${rig.path(stamps[1]!)}`,
  ])
  t.strictSame(
    sink.texts.filter((text) => !isHole(text)),
    [...messages(0, 10), ...messages(30, 50)],
  )
  t.equal(lostOf(sink), rows(10, 20).length + rows(20, 30).length)
  const times = sink.delivered.map(({ time }) => time)
  t.strictSame(
    times,
    [...times].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)),
    'in order of time',
  )
})

t.test('the one in the middle is gone: its record comes between its neighbours', async (t) => {
  for (const gz of [false, true]) {
    const rig = new TailRig(t)
    const sink = rig.sink()
    const stamps = ['0.log.20261121-080100', '0.log.20261121-080200', '0.log.20261121-080300']
    rig.write('0.log', rows(0, 10))
    await rig.step()
    rig.append('0.log', `${rows(10, 20)}${row(20, 'open ', 'P')}\n`)
    for (const [i, stamp] of stamps.entries()) {
      rig.rename('0.log', stamp)
      rig.write('0.log', rows(30 + 10 * i, 40 + 10 * i))
      rig.look()
    }
    sink.savePosition()
    rig.stop()
    rig.unlink(stamps[1]!)
    if (gz) rig.compress(stamps[0]!)
    rig.restart()
    await rig.run(5000)
    const texts = sink.texts.map((text) => (isHole(text) ? 'hole' : text))
    t.strictSame(texts, [...messages(0, 20), 'open ', 'hole', ...messages(40, 60)])
    t.strictSame(sink.delivered[20]?.marks, ['partial_open'])
    t.match(sink.texts[21], `bytes [0, ${rows(30, 40).length}) of ${rig.path(stamps[1]!)}`)
    rig.restart()
    await rig.run(5000)
    t.equal(holesOf(sink).length, 1)
  }
})

t.test('the newest is gone, and nothing came after it', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log', rows(0, 10))
  await rig.step()
  rig.append('0.log', rows(10, 20))
  rig.rename('0.log', '0.log.20261121-080100')
  rig.write('0.log', rows(20, 30))
  rig.look()
  sink.savePosition()
  rig.stop()
  rig.unlink('0.log')
  rig.restart()
  await rig.run(3000)
  t.strictSame(
    sink.texts.map((text) => (isHole(text) ? 'hole' : text)),
    [...messages(0, 20), 'hole'],
  )
  rig.write('0.log', rows(30, 40))
  await rig.run(3000)
  t.strictSame(sink.texts.slice(21), messages(30, 40))
  t.equal(holesOf(sink).length, 1)
})

t.test('a damaged compressed file is told of once, over restarts', async (t) => {
  const rig = new TailRig(t)
  const sink = rig.sink()
  rig.write('0.log.20261121-080000', rows(0, 5000))
  rig.compress('0.log.20261121-080000')
  truncateSync(rig.path('0.log.20261121-080000.gz'), 9000)
  await rig.run(5000)
  const [hole] = holesOf(sink)
  t.match(hole?.text, /^taffrail: lost from offset \d+ of .*gz, written after .*: the compressed file is damaged/)
  for (let i = 0; i < 3; i++) {
    rig.restart()
    await rig.run(3000)
  }
  t.equal(holesOf(sink).length, 1)
  t.equal(rig.told('bytes.lost').length, 1)
})
