// Silence: against the heartbeat that was learned, as it happens and afterwards; clocks that step, a reader that lags or was
// not there, and what must be learned anew.
import t from 'tap'
import { Log } from './events.ts'

const HOUR = 3600
const learned = (hours = 7, step = 2) => new Log().beat(hours * HOUR, step)

t.test(
  'nothing comes at the end of the live file: told once, when the usual is over tenfold, and for five minutes',
  async (t) => {
    const log = learned()
    log.wait(290)
    t.strictSame(log.told, [], 'not before')
    log.wait(20)
    t.strictSame(log.told, ['likely silence'])
    t.match(log.found[0]?.text, /^no event since 2026-11-21T15:00:00Z, where the longest usual pause is 2 s$/)
    t.equal(log.continuity.status().isSilent, true)
    log.wait(4 * HOUR)
    log.beat(60)
    t.equal(log.found.length, 1, 'nor when it ends')
    t.equal(log.continuity.status().isSilent, false)
    log.wait(320)
    t.equal(log.found.length, 2, 'the next one is another one')
  },
)

t.test('while the usual is not known nothing is silence', async (t) => {
  const log = learned(1.9).wait(HOUR)
  t.strictSame(log.told, [])
  const young = learned(3).wait(HOUR)
  t.strictSame(young.told, ['possible silence'], 'and after three hours not for sure')
})

t.test('a log in which pauses are usual', async (t) => {
  const log = learned(12, 120)
  log.wait(1100)
  t.strictSame(log.told, [], 'ten times two minutes')
  log.wait(200)
  t.strictSame(log.told, ['possible silence'], 'a beat like that is not steady')
})

t.test('what comes again is usual: told twice, then learned; once is an exception', async (t) => {
  const log = learned()
  for (let i = 0; i < 6; i++) log.wait(900).beat(2 * HOUR)
  t.equal(log.found.length, 2)
  const once = learned()
    .wait(900)
    .beat(2 * HOUR)
  once.wait(330)
  t.equal(once.found.length, 2, 'one outage makes nobody deaf')
})

t.test('not at the end of the live file, or none there: no silence', async (t) => {
  for (const end of [null, Number.MAX_SAFE_INTEGER]) {
    const log = learned()
    for (let i = 0; i < 100; i++) {
      log.monotonicMs += 10_000
      log.look(end)
    }
    t.strictSame(log.told, [])
  }
})

t.test('a process that stood still saw nothing', async (t) => {
  const log = learned()
  log.monotonicMs += 2 * HOUR * 1000
  log.look()
  t.strictSame(log.told, [], 'one look bears witness of a minute')
})

t.test('found afterwards, between two events: possible', async (t) => {
  const log = learned()
  // The reader lags: no look reaches the end.
  log.look(Number.MAX_SAFE_INTEGER)
  log.at += 1000
  log.monotonicMs += 1000 * 1000
  log.note()
  log.look()
  t.strictSame(log.told, ['possible silence'])
  t.match(log.found[0]?.text, /^no event between 2026-11-21T15:00:00Z and 2026-11-21T15:16:40Z.*clock/)
})

t.test(
  'over a restart: what was usual and when the last event was are known; a stop of ours is no silence',
  async (t) => {
    const quiet = learned().restart()
    quiet.at += 10 * HOUR
    quiet.note()
    quiet.look()
    t.strictSame(quiet.told, ['possible silence'])
    const behind = learned().restart()
    // It was away for ten hours, in which the log went on.
    for (let i = 0; i < 10 * HOUR; i += 2) {
      behind.at += 2
      behind.note()
    }
    behind.look()
    behind.wait(320)
    t.strictSame(behind.told, ['likely silence'], 'but the one that follows is')
  },
)

t.test('killed after it was told: the next process does not tell it again', async (t) => {
  const log = learned().wait(330).restart()
  log.wait(2 * HOUR).beat(60)
  t.equal(log.found.length, 1)
})

t.test('clocks that step', async (t) => {
  const forward = learned()
  forward.at += 5 * HOUR
  forward.beat(60)
  t.strictSame(forward.told, [], 'forward: no more time has passed for us')
  const back = learned()
  back.at -= 5 * HOUR
  back.beat(600)
  t.strictSame(back.told, [])
  back.wait(330)
  t.strictSame(back.told, ['likely silence'], 'back, and then silence')
  const year = new Log().beat(7 * HOUR)
  year.note({}, year.at + 365 * 86_400)
  year.look()
  year.beat(HOUR)
  t.strictSame(year.told, [], 'one event of next year')
  year.wait(330)
  t.strictSame(year.told, ['likely silence'])
  t.match(year.found[0]?.text, /^no event since 2026-/)
})
