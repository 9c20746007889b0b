// Times of arrival, kept per range of a file.
import t from 'tap'
import type { TailedFile } from '../../src/tail/file.ts'
import { Stamps } from '../../src/tail/stamps.ts'

const file = (sequence: number) => ({ sequence }) as TailedFile
const [one, two, three] = [file(1), file(2), file(3)]
const T1 = 1_000_250
const T2 = 2_000_500

t.test('a range keeps its time', async (t) => {
  const stamps = new Stamps()
  t.equal(stamps.range(one, 0, 100, T1), 100)
  t.strictSame([stamps.seconds, stamps.nanos, stamps.fresh], [1000, 250_000_000, true])
  stamps.fresh = false
  for (const [from, to, end] of [
    [0, 100, 100],
    [50, 70, 70],
    [99, 200, 100],
    [0, 1, 1],
  ] as const) {
    t.equal(stamps.range(one, from, to, T2), end)
    t.strictSame([stamps.seconds, stamps.fresh], [1000, false])
  }
  t.equal(stamps.range(one, 100, 150, T2), 150)
  t.strictSame([stamps.seconds, stamps.nanos, stamps.fresh], [2000, 500_000_000, true])
  stamps.range(two, 0, 10, T2)
  t.equal(stamps.seconds, 2000, 'another file has its own')
})

t.test('a new range ends where a known one begins', async (t) => {
  const stamps = new Stamps()
  stamps.range(one, 100, 200, T2)
  t.equal(stamps.range(one, 50, 300, T1), 100)
  t.equal(stamps.seconds, 1000)
  t.equal(stamps.range(one, 100, 300, T1), 200)
  t.equal(stamps.seconds, 2000)
})

t.test('what is read late arrived no later than what is behind it', async (t) => {
  const stamps = new Stamps()
  const timeOf = (file: TailedFile, from: number, nowMs: number) => {
    stamps.range(file, from, from + 10, nowMs)
    return stamps.seconds * 1000 + stamps.nanos / 1_000_000
  }
  t.equal(timeOf(one, 0, T1), T1)
  t.equal(timeOf(three, 0, T1 + 7), T1 + 7)
  t.equal(timeOf(three, 50, T1 + 9), T1 + 9)
  t.equal(timeOf(two, 0, T2), T1 + 7, 'before a file that has a time')
  t.equal(timeOf(two, 10, T1 + 2), T1 + 2, 'earlier than all: its own')
  t.equal(timeOf(three, 20, T2), T1 + 9, 'before a range of the same file')
  t.equal(timeOf(three, 60, T2), T2, 'behind all')
})

t.test('extent says how far the same holds', async (t) => {
  const stamps = new Stamps()
  t.equal(stamps.extent(one, 0, 500), 500)
  t.notOk(stamps.found)
  stamps.range(one, 100, 200, T1)
  t.equal(stamps.extent(one, 0, 500), 100)
  t.notOk(stamps.found)
  t.equal(stamps.extent(one, 100, 500), 200)
  t.ok(stamps.found)
  t.equal(stamps.extent(one, 200, 500), 500)
  t.notOk(stamps.found)
  t.equal(stamps.extent(two, 100, 500), 500)
  t.notOk(stamps.found)
})

t.test('saved and loaded with the files after it', async (t) => {
  const stamps = new Stamps()
  stamps.range(one, 0, 100, T1)
  stamps.range(two, 0, 10, T1)
  stamps.range(two, 10, 20, T2)
  stamps.range(three, 5, 6, T2)
  const saved = JSON.parse(JSON.stringify(stamps.save([two, three]))) as number[]
  const loaded = new Stamps()
  loaded.load([one, two], saved)
  loaded.range(one, 0, 10, T1 + 5e6)
  t.equal(loaded.seconds, 1000)
  loaded.range(one, 15, 20, T1 + 5e6)
  t.equal(loaded.seconds, 2000)
  t.equal(loaded.range(two, 0, 10, T1), 5)
  t.equal(loaded.range(two, 5, 10, T1), 6)
  t.equal(loaded.seconds, 2000)
  const fewer = new Stamps()
  fewer.load([one], saved)
  t.strictSame(fewer.save([one]).length, 10, 'what belongs to files that are not there is left out')
  fewer.load([one], [1, 2])
  t.strictSame(fewer.save([one]).length, 10)
})

t.test('what is acknowledged is forgotten', async (t) => {
  const stamps = new Stamps()
  stamps.range(one, 0, 100, T1)
  stamps.range(two, 0, 100, T1)
  stamps.range(two, 100, 200, T1)
  stamps.range(three, 0, 100, T1)
  stamps.prune(two, 100)
  t.strictSame(stamps.save([one]), [])
  t.strictSame(stamps.save([two, three]), [0, 100, 200, 1000, 250_000_000, 1, 0, 100, 1000, 250_000_000])
  stamps.prune(two, 150)
  t.equal(stamps.save([two, three]).length, 10, 'a range is kept until its end')
})
