// The store on a disk that does what it is told: what is durable when, and what it costs.
import t from 'tap'
import { createCheckpointStore } from '../../src/checkpoint/store.ts'
import { silentEvents } from '../../src/core/events.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FaultyFileSystem } from '../support/faulty-fs.ts'
import { DIRECTORY, LOG, offsets, openStore, position } from './rig.ts'

const writesOf = (fs: FaultyFileSystem) => fs.log.filter((line) => /^(append|sync|rename) /.test(line))

t.test('what was set is there at once, and after a restart', async (t) => {
  const fs = new FaultyFileSystem()
  const { store, events } = await openStore(fs)
  t.strictSame([...store.entries()], [])
  t.equal(store.get('loki', 'a'), undefined)
  store.set('loki', 'a', position(1))
  store.set('es', 'a', position(2))
  store.set('loki', 'b', position(3))
  t.strictSame(store.get('es', 'a'), position(2))
  await store.flush()
  store.set('loki', 'a', position(4))
  store.delete('loki', 'b')
  store.delete('loki', 'unknown')
  t.equal(store.get('loki', 'b'), undefined)
  await store.close()

  const next = await openStore(fs.kill())
  t.strictSame(offsets(next.store), { 'loki a': 4, 'es a': 2 })
  t.strictSame(next.store.get('loki', 'a'), position(4))
  t.strictSame([...events.names, ...next.events.names], [])
})

t.test('a change is durable within 250 ms, in whatever moment of a commit it comes', async (t) => {
  for (let delayMs = 0; delayMs <= 250; delayMs += 10) {
    const fs = new FaultyFileSystem(delayMs)
    const { store, clock } = await openStore(fs)
    store.set('loki', 'a', position(1))
    await clock.advance(delayMs)
    store.set('loki', 'a', position(2))
    store.set('loki', 'b', position(3))
    await clock.advance(250)
    t.strictSame(store.status(), { ageSeconds: 0, pending: 0, failing: null })
    const next = await openStore(fs.powerCut())
    t.strictSame(offsets(next.store), { 'loki a': 2, 'loki b': 3 }, `${delayMs} ms between the two`)
  }
})

t.test('changes that come during a commit go into the next, without a new wait', async (t) => {
  const fs = new FaultyFileSystem()
  const { store, clock } = await openStore(fs)
  const { promise: synced, resolve: sync } = Promise.withResolvers<void>()
  const slow = slowSyncs(fs, () => synced)
  store.set('loki', 'a', position(1))
  await clock.advance(100)
  t.equal(slow.count, 1)
  store.set('loki', 'a', position(2))
  t.strictSame(store.status(), { ageSeconds: 0.1, pending: 2, failing: null })
  await clock.advance(120)
  t.equal(slow.count, 1, 'one commit at a time')
  sync()
  await clock.settle()
  await clock.advance(1)
  t.equal(slow.count, 2)
  t.strictSame(store.status(), { ageSeconds: 0, pending: 0, failing: null })
})

t.test('one sync for however many changes, one record for however many of a key', async (t) => {
  const fs = new FaultyFileSystem()
  const { store, clock } = await openStore(fs)
  const before = fs.peek(LOG)!.length
  fs.log.length = 0
  for (let round = 0; round < 5; round++) {
    for (let index = 0; index < 30; index++) store.set('loki', `lineage ${index}`, position(round))
    await clock.advance(10)
  }
  t.equal(store.status().pending, 30)
  await clock.advance(250)
  t.strictSame(writesOf(fs), [`append ${LOG}`, `sync ${LOG}`])
  t.equal(String(fs.peek(LOG)!.subarray(before)).split('\n').length - 1, 30)
})

t.test('nothing to do is nothing done', async (t) => {
  const fs = new FaultyFileSystem()
  const { store, clock } = await openStore(fs)
  fs.log.length = 0
  t.equal(clock.timerCount, 0)
  await store.flush()
  await clock.advance(3_600_000)
  t.strictSame(fs.log, [])
})

t.test('flush waits for all that was set before it, and not for the timer', async (t) => {
  const fs = new FaultyFileSystem()
  const { store, clock } = await openStore(fs)
  store.set('loki', 'a', position(1))
  const first = store.flush()
  store.set('loki', 'a', position(2))
  const second = store.flush()
  await Promise.all([first, second])
  t.equal(clock.monotonic(), 0)
  t.strictSame(offsets((await openStore(fs.powerCut())).store), { 'loki a': 2 })
})

t.test('the age is measured by the clock that does not step', async (t) => {
  const fs = new FaultyFileSystem()
  const { store, clock } = await openStore(fs)
  store.set('loki', 'a', position(1))
  await clock.advance(40)
  clock.step(-3_600_000)
  store.set('loki', 'b', position(1))
  await clock.advance(40)
  t.strictSame(store.status(), { ageSeconds: 0.08, pending: 2, failing: null })
})

t.test('the log is written anew only when it is large beside what is live', async (t) => {
  const fs = new FaultyFileSystem()
  const { store, clock } = await openStore(fs)
  fs.log.length = 0
  let longest = 0
  let appended = 0
  for (let round = 1; round <= 400; round++) {
    const before = fs.peek(LOG)!.length
    for (let index = 0; index < 100; index++) store.set('loki', `lineage ${index}`, position(round))
    await clock.advance(250)
    const after = fs.peek(LOG)!.length
    longest = Math.max(longest, after)
    appended += Math.max(0, after - before)
  }
  const rewrites = fs.log.filter((line) => line.startsWith('rename ')).length
  t.ok(appended > 12e6, `${appended} bytes were appended`)
  t.ok(longest < 1.1 * 1024 * 1024, `the log was never longer than ${longest} bytes`)
  t.equal(fs.openHandles, 1)
  t.ok(rewrites >= 10 && rewrites <= 15, `${rewrites} times written anew in 400 commits`)
  t.strictSame(Object.values(offsets((await openStore(fs.powerCut())).store)), Array(100).fill(400))
})

t.test('where much is live, the log may grow to four times that', async (t) => {
  const fs = new FaultyFileSystem()
  const { store, clock } = await openStore(fs)
  for (let index = 0; index < 3000; index++) store.set('loki', `lineage ${index}`, position(1))
  await clock.advance(250)
  for (let index = 0; index < 100; index++) store.set('loki', `lineage ${index}`, position(2))
  await clock.advance(250)
  const liveBytes = fs.peek(LOG)!.length
  fs.log.length = 0
  for (let round = 3; round < 130; round++) {
    for (let index = 0; index < 100; index++) store.set('loki', `lineage ${index}`, position(round))
    await clock.advance(250)
    if (fs.log.some((line) => line.startsWith('rename '))) {
      t.ok(round > 85 && round < 100, `written anew in round ${round}`)
      t.ok(fs.peek(LOG)!.length <= liveBytes * 1.01)
      return
    }
  }
  t.fail('never written anew')
})

t.test('close makes durable what it can', async (t) => {
  const fs = new FaultyFileSystem()
  const { store, clock } = await openStore(fs)
  store.set('loki', 'a', position(1))
  await store.close()
  await store.close()
  t.equal(clock.timerCount, 0)
  t.equal(fs.openHandles, 0)
  await t.rejects(store.flush(), { message: /closed/ })
  store.set('loki', 'a', position(2))
  await clock.advance(1000)
  t.strictSame(offsets((await openStore(fs.powerCut())).store), { 'loki a': 1 })
})

t.test('close does not wait for a disk that does not answer', async (t) => {
  const fs = new FaultyFileSystem()
  const { store, clock } = await openStore(fs)
  slowSyncs(fs, () => new Promise(() => {}))
  store.set('loki', 'a', position(1))
  await clock.until(store.close(), 5_000)
  t.equal(clock.monotonic(), 5_000)
})

t.test('used before it is open, or opened twice, is a mistake of the caller', async (t) => {
  const options = { directory: DIRECTORY, fs: new FaultyFileSystem().writes, clock: new FakeClock() }
  const store = createCheckpointStore({ ...options, events: silentEvents })
  t.throws(() => store.set('loki', 'a', position(1)), { message: /before open/ })
  await t.rejects(store.flush(), { message: /new/ })
  await store.close()
  await store.open()
  await t.rejects(store.open(), { message: /open/ })
})

/** Makes each sync wait for what `until` returns, and counts them. */
function slowSyncs(fs: FaultyFileSystem, until: () => Promise<void>): { count: number } {
  const slow = { count: 0 }
  fs.delay = (operation) => {
    if (operation !== 'sync') return Promise.resolve()
    slow.count++
    return until()
  }
  return slow
}
