// The clock that other tests trust.
import t from 'tap'
import { FakeClock } from './fake-clock.ts'

t.test('timers fire in order, those set on the way too', async (t) => {
  const clock = new FakeClock()
  const fired: [string, number][] = []
  const note = (name: string) => () => void fired.push([name, clock.monotonic()])
  clock.after(20, note('c'))
  clock.after(10, () => {
    note('a')()
    clock.after(10, note('d'))
    clock.after(5, note('b'))
  })
  clock.after(21, note('late'))
  const cancel = clock.after(12, note('cancelled'))
  cancel()
  cancel()
  await clock.advance(20)
  t.strictSame(fired, [
    ['a', 10],
    ['b', 15],
    ['c', 20],
    ['d', 20],
  ])
  t.equal(clock.timerCount, 1)
  t.equal(clock.monotonic(), 20)
})

t.test('what a timer sets in motion is done before the next fires', async (t) => {
  const clock = new FakeClock()
  const seen: string[] = []
  clock.after(1, async () => {
    for (let turn = 0; turn < 5; turn++) await clock.yield()
    seen.push('yielded')
    await clock.sleep(1)
    seen.push('slept')
  })
  clock.after(3, () => void seen.push('next'))
  await clock.advance(3)
  t.strictSame(seen, ['yielded', 'slept', 'next'])
})

t.test('sleep ends at an abort and leaves no timer', async (t) => {
  const clock = new FakeClock()
  const abort = new AbortController()
  const sleeping = clock.sleep(1000, abort.signal)
  abort.abort()
  await sleeping
  await clock.sleep(1000, abort.signal)
  t.equal(clock.timerCount, 0)
})

t.test('a step moves the wall clock only', async (t) => {
  const clock = new FakeClock(1_000_000)
  await clock.advance(1.5)
  t.equal(clock.now(), 1_000_001)
  clock.step(-500_000)
  t.equal(clock.now(), 500_001)
  t.equal(clock.monotonic(), 1.5)
})

t.test('until goes as far as it must and gives up where told', async (t) => {
  const clock = new FakeClock()
  t.equal(await clock.until(clock.sleep(5).then(() => 'done')), 'done')
  t.equal(clock.monotonic(), 5)
  const refused = clock.sleep(5).then(() => Promise.reject(new Error('refused')))
  await t.rejects(clock.until(refused), { message: 'refused' })
  await t.rejects(clock.until(new Promise(() => {})), { message: /not settled/ })
})
