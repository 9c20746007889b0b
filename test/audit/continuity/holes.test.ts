// Holes between files: the name of a rotated file against the first event behind it.
import t from 'tap'
import { Continuity } from '../../../src/audit/continuity/continuity.ts'
import { file, Log } from './events.ts'

const rotated = (at: string) => file(`d2026-11-21T${at}`)

t.test('another file was in between: likely, and no silence is told of the same', async (t) => {
  const log = new Log()
  log.file = rotated('08-10-00.500')
  log.beat(600)
  t.equal(log.at, 600)
  log.file = file()
  log.at += 120
  log.beat(10)
  t.strictSame(log.told, ['likely hole'])
  t.match(log.found[0]?.text, /^events between 2026-11-21T08:10:00.500Z and 2026-11-21T08:12:02Z are missing: /)
})

t.test('a spool: whoever took the events rotates its files, and what follows comes later', async (t) => {
  const log = new Log()
  log.continuity = new Continuity(() => 0, undefined, true)
  log.file = rotated('08-10-00.500')
  log.beat(600)
  log.file = file()
  log.at += 120
  log.beat(10)
  log.continuity.noteGone()
  log.at += 120
  log.beat(10)
  t.notMatch(log.told.join(), /hole/)
})

t.test('near misses', async (t) => {
  const cases: [name: string, rank: string, next: number][] = [
    ['the next event, at that instant', 'd2026-11-21T08-10-00.500', 600.5],
    ['it was written a little later', 'd2026-11-21T08-10-00.500', 601.4],
    ['nothing came before the rotation for long', 'd2026-11-21T09-00-00.000', 3600],
    [
      'an older file that turned up late: what follows it comes after what was read before',
      'd2026-11-21T07-00-00.000',
      601,
    ],
    ['a name with a date alone', 'd20261121', 5000],
    ['a number', 'n00001', 5000],
    ['the live file, truncated', '\uffff', 5000],
  ]
  for (const [name, rank, next] of cases) {
    const log = new Log()
    log.file = file(rank)
    log.beat(600)
    log.file = file()
    log.note({}, next)
    log.look()
    t.strictSame(log.told, [], name)
  }
})

t.test('read again after a failure, or by the next process: not told again', async (t) => {
  const log = new Log()
  const before = rotated('08-10-00.500')
  const after = file()
  log.file = before
  log.beat(600)
  for (let i = 0; i < 3; i++) {
    log.file = before
    log.note({}, 600)
    log.file = after
    log.note({}, 700)
    log.look()
  }
  log.restart()
  log.continuity.goOnIn(before)
  log.note({}, 700)
  log.look()
  t.strictSame(log.told, ['likely hole'])
})

t.test('taffrail was stopped at the end of a file: its name is known to the next process', async (t) => {
  const log = new Log()
  const before = rotated('08-10-00.500')
  log.file = before
  log.beat(600).restart()
  log.continuity.goOnIn(before)
  log.file = file()
  log.note({}, 700)
  log.look()
  t.strictSame(log.told, ['likely hole'])
})

t.test('the file that was read is gone', async (t) => {
  const gone = (hours: number, pause: number) => {
    const log = new Log().beat(hours * 3600).restart()
    log.continuity.noteGone()
    log.at += pause
    log.note()
    log.look()
    return log.told
  }
  t.strictSame(gone(7, 60), ['likely hole'])
  t.strictSame(gone(7, 8), [], 'what is left follows')
  t.strictSame(gone(1, 50), [], 'nothing is usual yet')
  t.strictSame(gone(1, 70), ['possible hole'])
})

t.test('a hole that is told by somebody else is not told again', async (t) => {
  const log = new Log()
  log.file = rotated('08-10-00.500')
  log.beat(600)
  log.continuity.noteHole()
  log.file = file()
  log.at += 120
  log.beat(10)
  t.strictSame(log.told, [])
  log.file = rotated('08-20-00.500')
  log.beat(10)
  log.file = file()
  log.at = 1400
  log.beat(10)
  t.strictSame(log.told, ['likely hole'], 'the next one is')
})

t.test("a webhook's spool: segments have our own clock's names and are deleted when they are done", async (t) => {
  const log = new Log(true)
  log.file = rotated('08-10-00.500')
  log.beat(600)
  log.file = rotated('08-30-00.500')
  log.at += 120
  log.beat(7 * 3600)
  log.restart()
  log.continuity.noteGone()
  log.at += 100
  log.beat(600)
  t.strictSame(log.told, [])
  log.wait(330)
  t.strictSame(log.told, ['possible silence'], 'another replica may have what is missing here')
  t.match(log.found[0]?.text, /or another replica has it$/)
})
