// What the store makes of a log that is torn, damaged, of another version, or not to be read at all.
import { crc32 } from 'node:zlib'
import t from 'tap'
import { createCheckpointStore } from '../../src/checkpoint/store.ts'
import { silentEvents } from '../../src/core/events.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FaultyFileSystem } from '../support/faulty-fs.ts'
import { DIRECTORY, failing, LOG, offsets, openStore, position } from './rig.ts'

/** A log of three changes, and where each ends. */
async function log(): Promise<{ data: Buffer; ends: number[] }> {
  const fs = new FaultyFileSystem()
  const { store } = await openStore(fs)
  const ends = [fs.peek(LOG)!.length]
  for (const [lineage, offset] of [
    ['a', 1],
    ['b', 2],
    ['a', 3],
  ] as const) {
    store.set('loki', lineage, position(offset))
    await store.flush()
    ends.push(fs.peek(LOG)!.length)
  }
  return { data: fs.peek(LOG)!, ends }
}

function diskWith(data: Buffer | string): FaultyFileSystem {
  const fs = new FaultyFileSystem()
  fs.plant(LOG, data)
  return fs
}

const damagedNames = async (fs: FaultyFileSystem) =>
  (await fs.writes.list(DIRECTORY)).filter((name) => name.includes('damaged')).sort()

t.test('a torn tail is cut off and told of', async (t) => {
  const { data, ends } = await log()
  const fs = diskWith(data.subarray(0, ends[3]! - 1))
  const { store, events } = await openStore(fs)
  t.strictSame(offsets(store), { 'loki a': 1, 'loki b': 2 })
  t.strictSame(events.of('checkpoint.damaged'), [
    {
      path: LOG,
      recordsKept: 2,
      atByte: ends[2]!,
      detail: `the last ${ends[3]! - 1 - ends[2]!} bytes are not a whole record, as after a power cut or a full disk`,
      movedTo: null,
    },
  ])
  const next = await openStore(fs.powerCut())
  t.strictSame(offsets(next.store), { 'loki a': 1, 'loki b': 2 })
  t.strictSame(next.events.names, [], 'told once')
})

t.test('a damaged record: what is before it holds, the rest is kept for people', async (t) => {
  const { data, ends } = await log()
  const damaged = Buffer.from(data)
  damaged[ends[1]! + 30]! ^= 1
  const fs = diskWith(damaged)
  const { store, events } = await openStore(fs)
  t.strictSame(offsets(store), { 'loki a': 1 })
  const movedTo = `${LOG}.damaged-2026-11-21T08-00-00.000Z`
  t.match(events.of('checkpoint.damaged'), [
    { path: LOG, recordsKept: 1, atByte: ends[1]!, detail: /record at byte \d+ does not match its checksum/, movedTo },
  ])
  t.ok(fs.peek(movedTo)?.equals(damaged))
  store.set('loki', 'b', position(4))
  await store.flush()
  const next = await openStore(fs.powerCut())
  t.strictSame(offsets(next.store), { 'loki a': 1, 'loki b': 4 })
  t.strictSame(next.events.names, [])
})

t.test('at whatever byte: a prefix, never an error', async (t) => {
  const { data, ends } = await log()
  const prefixes = [{}, { 'loki a': 1 }, { 'loki a': 1, 'loki b': 2 }, { 'loki a': 3, 'loki b': 2 }]
  for (let index = 0; index < data.length; index++) {
    const whole = ends.filter((end) => end <= index).length - 1
    const expected = JSON.stringify(prefixes[Math.max(0, whole)])
    const flipped = Buffer.from(data)
    flipped[index]! ^= 1 << (index % 8)
    for (const [what, content] of [
      ['cut', data.subarray(0, index)],
      ['flipped', flipped],
    ] as const) {
      const { store, events } = await openStore(diskWith(content))
      if (JSON.stringify(offsets(store)) !== expected) t.fail(`${what} at ${index}: ${JSON.stringify(offsets(store))}`)
      if (what === 'flipped') t.equal(events.names.join(), 'checkpoint.damaged', `${what} at ${index}`)
    }
  }
})

t.test('a log of another version is set aside under its own name', async (t) => {
  const header = '{"format":"taffrail-checkpoints","version":2}'
  const later = `${crc32(header).toString(16).padStart(8, '0')} ${header}\nwhatever\n`
  const fs = diskWith(later)
  const { store, events } = await openStore(fs)
  t.strictSame(offsets(store), {})
  const [event] = events.of('checkpoint.damaged')
  t.match(event, { recordsKept: 0, atByte: 0, detail: /version 2; this taffrail reads version 1/ })
  t.equal(String(fs.peek(event!.movedTo!)), later)
})

t.test('the three latest damaged logs are kept', async (t) => {
  let fs = new FaultyFileSystem()
  const clock = new FakeClock()
  for (let round = 0; round < 5; round++) {
    fs.plant(LOG, `damage ${round}\n`)
    await openStore(fs, clock)
    fs = fs.powerCut()
    await clock.advance(1000)
  }
  const names = await damagedNames(fs)
  t.strictSame(
    names.map((name) => String(fs.peek(`${DIRECTORY}/${name}`))),
    ['damage 2\n', 'damage 3\n', 'damage 4\n'],
  )
})

t.test('no moment of the repair loses what was sound', async (t) => {
  const { data, ends } = await log()
  const damaged = Buffer.from(data)
  damaged[ends[2]! + 30]! ^= 1
  for (let operations = 0; operations < 12; operations++) {
    for (let seed = 0; seed < 10; seed++) {
      const fs = new FaultyFileSystem(seed)
      fs.plant(LOG, damaged)
      let left = operations
      fs.delay = () => (left-- > 0 ? Promise.resolve() : new Promise(() => {}))
      const store = createCheckpointStore({
        directory: DIRECTORY,
        fs: fs.writes,
        clock: new FakeClock(),
        events: silentEvents,
      })
      void store.open()
      await new FakeClock().settle()
      const next = await openStore(fs.powerCut())
      t.strictSame(offsets(next.store), { 'loki a': 1, 'loki b': 2 }, `power cut after ${operations} operations`)
    }
  }
})

t.test('a full disk: the damaged log stays where it is until there is room', async (t) => {
  const { data, ends } = await log()
  const damaged = Buffer.from(data)
  damaged[ends[2]! + 30]! ^= 1
  const fs = diskWith(damaged)
  fs.fault = failing('append', 'ENOSPC')
  const { store, events } = await openStore(fs)
  t.strictSame(offsets(store), { 'loki a': 1, 'loki b': 2 })
  t.match(events.of('checkpoint.damaged'), [{ detail: /checksum.*could not be kept.*ENOSPC/, movedTo: null }])
  t.ok(fs.peek(LOG)?.equals(damaged))
  t.strictSame(await fs.writes.list(DIRECTORY), ['checkpoints.log'], 'and nothing half written takes its room')
})

t.test('what an interrupted compaction left is gone after the start', async (t) => {
  const { data } = await log()
  const fs = diskWith(data)
  fs.plant(`${LOG}.tmp`, 'half a log')
  const { store, events } = await openStore(fs)
  t.strictSame(offsets(store), { 'loki a': 3, 'loki b': 2 })
  t.strictSame(await fs.writes.list(DIRECTORY), ['checkpoints.log'])
  t.strictSame(events.names, [])
})

t.test('a log that cannot be read is not taken for none', async (t) => {
  for (const code of ['EACCES', 'EIO']) {
    const { data } = await log()
    const fs = diskWith(data)
    fs.fault = failing('readFile', code)
    await t.rejects(openStore(fs), { code })
    t.ok(fs.peek(LOG)?.equals(data))
  }
})
