// The store on a disk that refuses: nothing is forgotten, somebody is told, and what was written stays readable.
import t, { type Test } from 'tap'
import { errorCode } from '../../src/core/errors.ts'
import { FaultyFileSystem, type Operation } from '../support/faulty-fs.ts'
import { failing, LOG, offsets, openStore, position, type Rig } from './rig.ts'

/** Lets the disk be well again, and shows that all is then durable and told once. */
async function recovers(t: Test, fs: FaultyFileSystem, { store, clock, events }: Rig, expected: object): Promise<void> {
  fs.fault = () => null
  await clock.advance(10_000)
  t.strictSame(store.status(), { ageSeconds: 0, pending: 0, failing: null })
  t.strictSame(events.names, ['checkpoint.failed', 'checkpoint.recovered'])
  t.equal(events.of('checkpoint.failed')[0]?.path, LOG)
  t.equal(clock.timerCount, 0)
  const next = await openStore(fs.powerCut())
  t.strictSame(offsets(next.store), expected)
  t.strictSame(next.events.names, [], 'the log is sound')
}

for (const operation of ['append', 'sync'] as const) {
  t.test(`${operation} fails: kept in memory, tried again with growing delay`, async (t) => {
    const fs = new FaultyFileSystem(7)
    const rig = await openStore(fs)
    const { store, clock, events } = rig
    store.set('loki', 'a', position(1))
    store.set('loki', 'b', position(1))
    await store.flush()
    const attempts: number[] = []
    fs.fault = (asked) => {
      if (asked !== operation) return null
      attempts.push(clock.monotonic())
      return 'ENOSPC'
    }
    store.set('loki', 'a', position(2))
    await clock.advance(300)
    store.set('loki', 'a', position(3))
    store.delete('loki', 'b')
    store.set('loki', 'c', position(3))
    await clock.advance(40_000 - 300)
    const delays = attempts.slice(1).map((at, index) => at - attempts[index]!)
    t.strictSame(delays, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000])
    t.strictSame(events.names, ['checkpoint.failed'])
    t.equal(errorCode(events.of('checkpoint.failed')[0]?.error), 'ENOSPC')
    t.match(store.status(), { ageSeconds: 40, pending: 3, failing: /ENOSPC/ })
    await recovers(t, fs, rig, { 'loki a': 3, 'loki c': 3 })
  })
}

t.test('what an append left behind is cut off before the next', async (t) => {
  for (let seed = 0; seed < 50; seed++) {
    const fs = new FaultyFileSystem(seed)
    const rig = await openStore(fs)
    rig.store.set('loki', 'a', position(1))
    await rig.store.flush()
    const soundBytes = fs.peek(LOG)!.length
    fs.fault = failing('append', 'ENOSPC')
    rig.store.set('loki', 'a', position(2))
    await rig.clock.advance(1000)
    if (fs.peek(LOG)!.length === soundBytes) continue
    fs.log.length = 0
    await recovers(t, fs, rig, { 'loki a': 2 })
    t.notOk(
      fs.log.some((line) => line.startsWith('rename ')),
      'without writing the log anew',
    )
  }
})

t.test('where it cannot be cut off, the log is written anew', async (t) => {
  for (let seed = 0; seed < 50; seed++) {
    const fs = new FaultyFileSystem(seed)
    const rig = await openStore(fs)
    rig.store.set('loki', 'a', position(1))
    await rig.store.flush()
    fs.fault = failing('append', 'EIO')
    rig.store.set('loki', 'a', position(2))
    await rig.clock.advance(120)
    fs.fault = failing('truncate', 'EIO')
    await rig.clock.advance(10_000)
    t.equal(rig.store.status().failing, null)
    await recovers(t, fs, rig, { 'loki a': 2 })
  }
})

t.test('after a failed sync nothing in the page cache is trusted', async (t) => {
  const fs = new FaultyFileSystem()
  const rig = await openStore(fs)
  fs.fault = failing('sync', 'EIO', 1)
  rig.store.set('loki', 'a', position(1))
  rig.store.set('loki', 'b', position(1))
  await rig.clock.advance(110)
  t.match(rig.store.status().failing, /EIO/)
  rig.store.set('loki', 'a', position(2))
  fs.log.length = 0
  await recovers(t, fs, rig, { 'loki a': 2, 'loki b': 1 })
  t.strictSame(
    fs.log.filter((line) => /^(append|sync|rename|truncate) /.test(line)),
    [`append ${LOG}.tmp`, `sync ${LOG}.tmp`, `rename ${LOG}.tmp`],
    'no second sync of the same pages',
  )
})

t.test('what changes again during a commit that fails is not set back', async (t) => {
  const fs = new FaultyFileSystem()
  const rig = await openStore(fs)
  fs.fault = failing('append', 'ENOSPC', 1)
  rig.store.set('loki', 'a', position(1))
  rig.store.set('loki', 'b', position(1))
  const refused = rig.store.flush()
  rig.store.set('loki', 'a', position(2))
  rig.store.delete('loki', 'b')
  await t.rejects(refused, { code: 'CHECKPOINT_FAILED' })
  await recovers(t, fs, rig, { 'loki a': 2 })
})

for (const operation of ['openAppend', 'append', 'sync', 'rename', 'syncDirectory'] satisfies Operation[]) {
  t.test(`a compaction that fails at ${operation} loses nothing, and leaves nothing behind`, async (t) => {
    for (let seed = 0; seed < 20; seed++) {
      const fs = new FaultyFileSystem(seed)
      const { store, clock } = await openStore(fs)
      for (let index = 0; index < 100; index++) store.set('loki', String(index), position(1))
      for (let round = 2; fs.peek(LOG)!.length <= 1024 * 1024; round++) {
        for (let index = 0; index < 100; index++) store.set('loki', String(index), position(round))
        await store.flush()
      }
      fs.fault = failing(operation, 'ENOSPC')
      store.set('loki', '0', position(999_999))
      await t.rejects(store.flush(), { code: 'CHECKPOINT_FAILED', message: /ENOSPC/ })
      t.notOk(fs.peek(`${LOG}.tmp`), 'no space is held')
      t.equal(fs.openHandles, 0, 'no descriptor either')
      fs.fault = () => null
      const expected = Object.values(offsets(store))
      // Killed here or later, before or after the disk is well again.
      if (seed % 2 === 0) {
        const afterCut = Object.values(offsets((await openStore(fs.powerCut())).store))
        t.strictSame(afterCut.slice(1), expected.slice(1))
      } else {
        await clock.advance(10_000)
        t.strictSame(Object.values(offsets((await openStore(fs.powerCut())).store)), expected)
      }
    }
  })
}

t.test('flush tries at once, and rejects when the disk refuses', async (t) => {
  const fs = new FaultyFileSystem()
  const rig = await openStore(fs)
  fs.fault = failing('append', 'ENOSPC')
  rig.store.set('loki', 'a', position(1))
  await t.rejects(rig.store.flush(), { code: 'CHECKPOINT_FAILED', message: /ENOSPC/, cause: { code: 'ENOSPC' } })
  await rig.clock.advance(5000)
  const refused = rig.store.flush()
  rig.store.set('loki', 'b', position(1))
  const refusedToo = rig.store.flush()
  await t.rejects(refused, { code: 'CHECKPOINT_FAILED' })
  await t.rejects(refusedToo, { code: 'CHECKPOINT_FAILED' })
  fs.fault = () => null
  const before = rig.clock.monotonic()
  await rig.store.flush()
  t.equal(rig.clock.monotonic(), before)
  await recovers(t, fs, rig, { 'loki a': 1, 'loki b': 1 })
})

t.test('a full disk at the start is survived like one later', async (t) => {
  const fs = new FaultyFileSystem()
  fs.fault = failing('openAppend', 'ENOSPC')
  const rig = await openStore(fs)
  t.match(rig.store.status().failing, /ENOSPC/)
  rig.store.set('loki', 'a', position(1))
  await rig.clock.advance(60_000)
  t.strictSame(offsets(rig.store), { 'loki a': 1 })
  await recovers(t, fs, rig, { 'loki a': 1 })
})

t.test('close ends while the disk refuses', async (t) => {
  const fs = new FaultyFileSystem()
  const { store, clock } = await openStore(fs)
  fs.fault = failing('sync', 'EIO')
  store.set('loki', 'a', position(1))
  await store.close()
  t.equal(clock.timerCount, 0)
  t.match(store.status().failing, /EIO/)
})
