import { spawnSync } from 'node:child_process'
import t from 'tap'
import { createLog, throttle } from '../../src/observe/log.ts'
import { fakeClock } from './fake-clock.ts'

const minute = 60_000

t.test('a line is JSON with level, time, fields and message', async (t) => {
  const lines: string[] = []
  const log = createLog({ level: 'info', destination: { write: (line: string) => lines.push(line) } })
  log.debug('not at this level')
  log.warn({ event: 'file.refused', path: '/a "b"\n' }, 'said %s 100%')
  t.equal(lines.length, 1)
  const { time, ...line } = JSON.parse(lines[0]!)
  t.same(line, { level: 'warn', event: 'file.refused', path: '/a "b"\n', msg: 'said %s 100%' })
  t.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
})

t.test('what was logged before an exit or a crash is on stderr', async (t) => {
  const module = new URL('../../src/observe/log.ts', import.meta.url).href
  for (const end of ['process.exit(0)', 'process.kill(process.pid, "SIGKILL")', 'throw new Error("end")']) {
    const code = `import { createLog } from ${JSON.stringify(module)}
      const log = createLog({ level: 'info' })
      for (let i = 0; i < 5000; i++) log.info({ i }, 'x'.repeat(100))
      ${end}`
    const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
      encoding: 'utf8',
      maxBuffer: 1e8,
    })
    t.equal(stderr.split('\n').filter((line) => line.startsWith('{"level":"info"')).length, 5000, end)
  }
})

t.test('the first is written at once, repeats once a minute with their number', async (t) => {
  const clock = fakeClock()
  const lines = throttle(clock)
  const written: string[] = []
  const say = (text: string) => lines.say('sink.retry', 'loki', (suppressed) => written.push(`${text} +${suppressed}`))
  say('a')
  t.same(written, ['a +0'])
  say('b')
  clock.advance(minute - 1)
  say('c')
  t.same(written, ['a +0'], 'not before the minute is over')
  clock.advance(1)
  t.same(written, ['a +0', 'c +2'], 'the latest stands for all')
  say('d')
  t.equal(written.length, 2, 'the next minute has begun')
  clock.advance(minute)
  t.same(written, ['a +0', 'c +2', 'd +1'])
  clock.advance(minute)
  t.equal(clock.scheduled(), 0, 'after a quiet minute no timer is left')
  say('e')
  t.equal(written.at(-1), 'e +0')
})

t.test('subjects and events do not hold each other back', async (t) => {
  const lines = throttle(fakeClock())
  const written: string[] = []
  for (const [event, subject] of [
    ['x', '1'],
    ['x', '2'],
    ['y', '1'],
  ]) {
    lines.say(event!, subject!, () => written.push(`${event}${subject}`))
  }
  t.same(written, ['x1', 'x2', 'y1'])
})

t.test('close writes what was held back and stops the timers', async (t) => {
  const clock = fakeClock()
  const lines = throttle(clock)
  const written: number[] = []
  for (let i = 0; i < 5; i++) lines.say('e', 's', (suppressed) => written.push(suppressed))
  lines.close()
  t.same(written, [0, 4])
  t.equal(clock.scheduled(), 0)
  lines.say('e', 's', (suppressed) => written.push(suppressed))
  t.same(written, [0, 4, 0], 'later lines are written at once')
  t.equal(clock.scheduled(), 0)
})

t.test('any number of subjects takes a bounded number of keys and lines, and each call is counted once', async (t) => {
  const clock = fakeClock()
  const lines = throttle(clock, { keysMax: 10 })
  let written = 0
  let suppressedTotal = 0
  const say = (subject: number) =>
    lines.say('file.refused', String(subject), (suppressed) => {
      written++
      suppressedTotal += suppressed
    })
  for (let i = 0; i < 10_000; i++) say(i)
  t.equal(written, 11, 'ten subjects of their own, one line for all others')
  t.equal(clock.scheduled(), 11)
  clock.advance(minute)
  t.equal(written, 12)
  lines.close()
  // A line with a number is itself one of those that it counts.
  t.equal(11 + suppressedTotal, 10_000)
})
