// The spool of an API server on a disk that fails, is killed and loses its power: what was answered is there, whole, once.
import { test } from 'tap'
import { DurableReads } from '../../../src/audit/webhook/durable-reads.ts'
import { Journal } from '../../../src/audit/webhook/journal.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FaultyFileSystem } from '../../support/faulty-fs.ts'

const DIRECTORY = '/state/spool/hook/cp-1'
const LIVE = `${DIRECTORY}/audit.log`

function rig(disk = new FaultyFileSystem(), segmentBytesMax = 1000, clock = new FakeClock()) {
  const durable = new DurableReads(disk.reads)
  const journal = new Journal(DIRECTORY, segmentBytesMax, { reads: disk.reads, writes: disk.writes, clock, durable })
  return { disk, clock, durable, journal }
}

function lines(...texts: string[]): Buffer {
  return Buffer.from(texts.map((text) => `${text}\n`).join(''))
}

/** All lines that are on the disk, in the order of segments. */
function stored(disk: FaultyFileSystem, journal: Journal): string[] {
  const paths = [...journal.segments.map(({ path }) => path), LIVE]
  return paths.flatMap((path) => (disk.peek(path)?.toString() ?? '').split('\n').slice(0, -1))
}

/** What a tailer sees of the live segment. */
function seen({ durable }: { durable: DurableReads }): string {
  const fd = durable.open(LIVE)
  const target = Buffer.alloc(10_000)
  const bytes = durable.read(fd, target, 0, target.length, 0)
  durable.close(fd)
  return target.toString('utf8', 0, bytes)
}

test('what waits during a sync is made durable by the next one, together', async (t) => {
  const { disk, journal } = rig()
  await journal.open()
  disk.log.length = 0
  await Promise.all(['a', 'b', 'c', 'd'].map((text) => journal.append(lines(text))))
  t.strictSame(stored(disk, journal), ['a', 'b', 'c', 'd'])
  t.equal(disk.log.filter((each) => each.startsWith('sync ')).length, 2)
  t.equal(journal.syncs.count, 2)
})

test('nothing is seen before it is durable', async (t) => {
  const made = rig()
  const { disk, journal } = made
  await journal.open()
  await journal.append(lines('first'))
  let during = ''
  disk.delay = async (operation) => {
    if (operation === 'sync') during = `${seen(made)}|${disk.peek(LIVE)}`
  }
  await journal.append(lines('second'))
  t.equal(during, 'first\n|first\nsecond\n')
  t.equal(seen(made), 'first\nsecond\n')
  t.equal(made.durable.stat(LIVE)?.size, 13)
})

for (const operation of ['append', 'sync'] as const) {
  test(`a failed ${operation}: told, nothing of it is ever seen, and what comes next follows what was there`, async (t) => {
    const made = rig()
    const { disk, journal } = made
    await journal.open()
    await journal.append(lines('kept'))
    disk.fault = (each) => (each === operation ? 'ENOSPC' : null)
    await t.rejects(journal.append(lines('a long line that comes in part')), { code: 'ENOSPC' })
    await t.rejects(journal.append(lines('another')), { code: 'ENOSPC' })
    t.equal(made.durable.stat(LIVE)?.size, 5)
    t.equal(seen(made), 'kept\n')
    disk.fault = () => null
    await journal.append(lines('again'))
    t.equal(disk.peek(LIVE)?.toString(), 'kept\nagain\n')
  })
}

test('a segment ends at its size; names rise though the clock is set back', async (t) => {
  const { disk, journal, clock } = rig(undefined, 10)
  await journal.open()
  await journal.append(lines('0123456789'))
  clock.step(-3_600_000)
  await journal.append(lines('abcdefghij'))
  await journal.append(lines('k'))
  t.strictSame(stored(disk, journal), ['0123456789', 'abcdefghij', 'k'])
  const names = journal.segments.map(({ path }) => path)
  t.strictSame(names, [...names].sort())
  t.match(names[0], /\/audit-2026-11-21T08-00-00\.\d{3}\.log$/)
  t.equal(journal.bytes, 24)
})

test('a start cuts a torn last line, gives the rest a name of its own and begins a segment', async (t) => {
  const { disk, journal } = rig()
  disk.plant(LIVE, `${'x'.repeat(100_000)}\nwhole\ntorn without an e`)
  disk.plant(`${DIRECTORY}/audit-2031-01-01T00-00-00.000.log`, 'from the future\n')
  await journal.open()
  await journal.append(lines('new'))
  t.strictSame(stored(disk, journal), ['from the future', 'x'.repeat(100_000), 'whole', 'new'])
  t.equal(disk.peek(LIVE)?.toString(), 'new\n')
})

test('a start after nothing but a torn line keeps no empty segment', async (t) => {
  const { disk, journal } = rig()
  disk.plant(LIVE, 'torn')
  await journal.open()
  t.strictSame([journal.segments, stored(disk, journal), journal.bytes], [[], [], 0])
})

test('power cuts at any moment: what was answered is there, whole, once, in order', async (t) => {
  for (let seed = 1; seed <= 150; seed++) {
    let disk = new FaultyFileSystem(seed)
    const answered: string[] = []
    let count = 0
    for (let life = 0; life < 3; life++) {
      const { journal } = rig(disk, 60)
      await journal.open()
      let operations = (seed * 7 + life * 13) % 23
      const { promise: cut, resolve } = Promise.withResolvers<void>()
      disk.delay = async () => {
        if (operations-- === 0) {
          resolve()
          await new Promise(() => {})
        }
      }
      for (let i = 0; i < 12; i++) {
        const text = `line ${count++} ${'y'.repeat(seed % 11)}`
        void journal.append(lines(text)).then(() => answered.push(text))
        if (i % 3 === 0) await new Promise(setImmediate)
      }
      await Promise.race([cut, new Promise((done) => setTimeout(done, 5))])
      const told = [...answered]
      disk = disk.powerCut()
      const { journal: next } = rig(disk, 60)
      await next.open()
      const there = stored(disk, next)
      const missing = told.filter((text) => there.filter((each) => each === text).length !== 1)
      if (missing.length > 0) t.fail(`seed ${seed}, life ${life}: ${missing[0]} is not there once`, { there, told })
      await next.close()
    }
  }
  t.pass('all of them')
})

test('segments are deleted oldest first, and the first one that is needed keeps those after it', async (t) => {
  const { disk, journal } = rig(undefined, 5)
  await journal.open()
  for (const text of ['aaaa', 'bbbb', 'cccc']) await journal.append(lines(text))
  const needed = journal.segments[1]!.path
  await journal.prune(({ path }) => path !== needed)
  t.strictSame(stored(disk, journal), ['bbbb', 'cccc'])
})
