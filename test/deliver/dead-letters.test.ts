// Dead letters: once a write resolved, its letters are on the disk, each on a line of its own, come what may.
import { statSync } from 'node:fs'
import t from 'tap'
import type { DeadLetter } from '../../src/deliver/dead-letter.ts'
import { bury, type Evicted, letterKey, letterLine, lineOf } from '../../src/deliver/dead-letter.ts'
import { createDeadLetters } from '../../src/deliver/dead-letters.ts'
import { encodeLetters, readLetters } from '../../src/deliver/letter-file.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { RecordedEvents } from '../checkpoint/rig.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FaultyFileSystem, type Operation } from '../support/faulty-fs.ts'
import fc from '../support/properties.ts'

const DIRECTORY = '/state/dead-letters'
const MIB = 1024 * 1024

function open(fs: FaultyFileSystem, bytesMax?: number) {
  const events = new RecordedEvents()
  const clock = new FakeClock()
  const options = { directory: '/state', fs, clock, events, ...(bytesMax === undefined ? {} : { bytesMax }) }
  const letters = createDeadLetters(options)
  const evicted: Evicted[] = []
  letters.onEvicted = (each) => evicted.push(each)
  return { fs, letters, events, clock, evicted }
}

function letter(offset: number, more: Partial<DeadLetter> = {}): DeadLetter {
  return {
    at: '2026-11-21T08:00:00.000Z',
    sink: 'loki',
    lane: 'shop',
    reason: 'too_old',
    message: 'entry too far behind',
    status: 400,
    path: '/var/log/pods/shop_web_1/app/0.log',
    offset,
    bytes: 10,
    timestamp: '1795248006000000000',
    labels: { app: 'shop' },
    metadata: {},
    line: 'hello',
    ...more,
  }
}

const large = (offset: number, bytes: number) =>
  letter(offset, { line: 'x'.repeat(bytes - JSON.stringify(letter(offset, { line: '' })).length - 1) })

async function names(fs: FaultyFileSystem): Promise<string[]> {
  return (await fs.writes.list(DIRECTORY)).sort((a, b) => Number(/\d+/.exec(a)) - Number(/\d+/.exec(b)))
}

/** The letters that a reader finds: the lines that are JSON. Throws where one line holds more, or less, than a letter. */
async function read(fs: FaultyFileSystem, sink = 'loki'): Promise<DeadLetter[]> {
  const found: DeadLetter[] = []
  for (const name of await names(fs)) {
    if (!name.startsWith(`${sink}.`)) continue
    for (const line of String(fs.peek(`${DIRECTORY}/${name}`)).split('\n')) {
      try {
        found.push(JSON.parse(line))
      } catch {
        // Empty or torn.
      }
    }
  }
  return found
}

const offsetsIn = async (fs: FaultyFileSystem) => (await read(fs)).map((letter) => letter.offset)

t.test('a letter is one line of JSON in a file of its sink', async (t) => {
  const fs = new FaultyFileSystem()
  const { letters, events } = open(fs)
  await letters.write([letter(1, { line: 'two\nlines' }), letter(2, { sink: 'es' }), letter(3)])
  await letters.write([])
  t.strictSame(await names(fs), ['loki.1.ndjson', 'es.1.ndjson'])
  const content = String(fs.peek(`${DIRECTORY}/loki.1.ndjson`))
  t.equal(content, `${JSON.stringify(letter(1, { line: 'two\nlines' }))}\n${JSON.stringify(letter(3))}\n`)
  t.strictSame(await read(fs, 'es'), [letter(2, { sink: 'es' })])
  await letters.close()
  t.equal(fs.openHandles, 0)
  await t.rejects(letters.write([letter(4)]), { message: /after close/ })
  t.strictSame(events.names, [])
})

t.test('what resolved survives a power cut', async (t) => {
  for (let seed = 0; seed < 50; seed++) {
    const fs = new FaultyFileSystem(seed)
    const { letters } = open(fs)
    await letters.write([letter(1)])
    await letters.write([letter(2)])
    letters.write([letter(3)]).catch(() => {})
    t.strictSame((await offsetsIn(fs.powerCut())).slice(0, 2), [1, 2])
  }
})

t.test('writes at the same time share a sync', async (t) => {
  const fs = new FaultyFileSystem()
  const { letters } = open(fs)
  await letters.write([letter(0)])
  fs.log.length = 0
  await Promise.all(Array.from({ length: 100 }, (_, index) => letters.write([letter(index + 1)])))
  t.equal(fs.log.filter((line) => line.startsWith('sync ')).length, 2, 'the first goes alone')
  t.strictSame(
    await offsetsIn(fs),
    Array.from({ length: 101 }, (_, index) => index),
  )
})

t.test('a file is left when it would grow over 8 MiB', async (t) => {
  const fs = new FaultyFileSystem()
  const { letters } = open(fs)
  for (let index = 0; index < 6; index++) await letters.write([large(index, 3 * MIB)])
  await letters.write([large(6, 9 * MIB)])
  await letters.write([letter(7)])
  const sizes = (await names(fs)).map((name) => fs.peek(`${DIRECTORY}/${name}`)!.length / MIB)
  t.strictSame(sizes.map(Math.round), [6, 6, 6, 9, 0])
  t.strictSame(await offsetsIn(fs), [0, 1, 2, 3, 4, 5, 6, 7])
  t.equal(fs.openHandles, 1)
  const many = Array.from({ length: 5 }, (_, index) => letters.write([large(index + 8, 3 * MIB)]))
  await Promise.all(many)
  for (const name of await names(fs)) t.ok(fs.peek(`${DIRECTORY}/${name}`)!.length <= 9 * MIB, 'at the same time, too')
})

t.test('full of logs: the oldest go, and are counted', async (t) => {
  const fs = new FaultyFileSystem()
  const { letters, events, evicted } = open(fs, 20 * MIB)
  await letters.write([letter(100, { bytes: 7, rows: 3, reason: 'other' })])
  for (let index = 0; index < 9; index++) await letters.write([large(index, 3 * MIB)])
  t.strictSame(await offsetsIn(fs), [4, 5, 6, 7, 8])
  t.strictSame(evicted, [
    { sink: 'loki', reason: 'other', records: 1, bytes: 7, rows: 3 },
    { sink: 'loki', reason: 'too_old', records: 2, bytes: 20, rows: 2 },
    { sink: 'loki', reason: 'too_old', records: 2, bytes: 20, rows: 2 },
  ])
  t.strictSame(events.names, ['deadLetters.evicted', 'deadLetters.evicted'])
  await letters.write([letter(9, { sink: 'es' })])
  t.strictSame(await offsetsIn(fs), [4, 5, 6, 7, 8], 'a sink has room of its own')

  const next = open(fs.kill(), 2 * MIB)
  await next.letters.write([letter(9)])
  t.strictSame(await offsetsIn(next.fs), [9], 'also after a restart')
  await next.letters.write([large(10, 5 * MIB)])
  t.strictSame(await offsetsIn(next.fs), [10], 'one that is larger than all the room is there')
  t.equal(next.fs.openHandles, 1)
})

t.test('full of what was audited: nothing makes room but people', async (t) => {
  const fs = new FaultyFileSystem()
  const { letters, events } = open(fs, 20 * MIB)
  const audited = (offset: number, bytes: number) => ({ ...large(offset, bytes), quota: 'audit' as const })
  for (let index = 0; index < 6; index++) await letters.write([audited(index, 3 * MIB)])
  const full = {
    code: 'DEAD_LETTERS_FULL',
    message: /sink loki in \/state\/dead-letters fill their 20971520 bytes: .*replay/,
  }
  await t.rejects(letters.write([audited(6, 3 * MIB)]), full)
  await t.rejects(letters.write([audited(6, 3 * MIB)]), full)
  await letters.write([{ ...letter(7), quota: 'audit' }])
  t.strictSame(events.names, ['deadLetters.failed'], 'told once')
  for (let index = 10; index < 30; index++) await letters.write([large(index, 3 * MIB)])
  const offsets = await offsetsIn(fs)
  t.strictSame(
    offsets.filter((offset) => offset < 10),
    [0, 1, 2, 3, 4, 5, 7],
    'no flood of logs pushes it out',
  )
  t.strictSame((await names(fs)).filter((name) => name.includes('audit')).length, 3)

  const next = open(fs.kill(), 20 * MIB)
  await t.rejects(next.letters.write([audited(9, 3 * MIB)]), { code: 'DEAD_LETTERS_FULL' }, 'also after a restart')
  for (const name of await names(next.fs)) {
    if (name.includes('audit')) await next.fs.writes.rename(`${DIRECTORY}/${name}`, `/state/${name}`)
  }
  await next.letters.write([audited(9, 3 * MIB)])
})

t.test('a file that is taken away is written to no more, whenever that happens', async (t) => {
  for (const operation of ['append', 'sync'] as const) {
    const fs = new FaultyFileSystem()
    const { letters } = open(fs)
    await letters.write([letter(1)])
    let taken = false
    fs.delay = async (asked) => {
      if (asked !== operation || taken) return
      taken = true
      await fs.writes.rename(`${DIRECTORY}/loki.1.ndjson`, `${DIRECTORY}/loki.1.ndjson.replay`)
      fs.peek(`${DIRECTORY}/loki.1.ndjson.replay`)
    }
    await letters.write([letter(2)])
    const [now] = (await names(fs)).filter((name) => !name.endsWith('.replay'))
    t.equal(now, 'loki.2.ndjson')
    t.strictSame(readLetters(fs.peek(`${DIRECTORY}/${now}`)!).letters, [letter(2)], 'where the next reader finds it')
    const next = open(fs.kill())
    await next.fs.writes.unlink(`${DIRECTORY}/loki.2.ndjson`)
    await next.letters.write([letter(3)])
    t.ok(next.fs.peek(`${DIRECTORY}/loki.2.ndjson`), 'the number of the taken one is not used')
  }
})

t.test('a disk that takes nothing for a minute: logs may be given up, what was audited may not', async (t) => {
  const fs = new FaultyFileSystem()
  const { letters, clock, events } = open(fs)
  fs.fault = (asked) => (asked === 'append' ? 'ENOSPC' : null)
  const audited = { ...letter(2), quota: 'audit' as const }
  t.equal(await bury(letters, [letter(1)]), 'held')
  await clock.advance(59_000)
  t.equal(await bury(letters, [letter(1)]), 'held')
  t.equal(await bury(letters, [audited]), 'held')
  await clock.advance(1000)
  t.equal(await bury(letters, [letter(1)]), 'dropped')
  await clock.advance(3_600_000)
  t.equal(await bury(letters, [audited]), 'held')
  fs.fault = () => null
  t.equal(await bury(letters, [letter(1)]), 'buried')
  t.equal(await bury(letters, [audited]), 'buried')
  fs.fault = (asked) => (asked === 'append' ? 'ENOSPC' : null)
  t.equal(await bury(letters, [letter(1)]), 'held', 'the minute begins again')
  t.equal(events.names.filter((name) => name === 'deadLetters.failed').length, 3)
})

t.test('bytes that are no UTF-8 come back as they were', async (t) => {
  for (const bytes of [Buffer.from('héllo'), Buffer.from([0, 255, 10, 128]), Buffer.alloc(0)]) {
    const { line: _, ...bare } = letter(1)
    const [read] = readLetters(encodeLetters([{ ...bare, ...letterLine(bytes) }])).letters
    t.ok(lineOf(read!).equals(bytes))
  }
  t.ok('lineBase64' in letterLine(Buffer.from([255])))
})

t.test('what is no letter is told from what is', async (t) => {
  const sound = JSON.stringify(letter(1))
  const broken = ['{', 'null', '3', '"x"', '{}', '\0\0', sound.slice(0, -3), sound.replace('"1795', '"x1795'), '[]']
  const { letters, unreadable } = readLetters(Buffer.from(`\n${broken.join('\n')}\n\n${sound}`))
  t.strictSame(letters, [letter(1)])
  t.strictSame(unreadable.map(String), broken)
})

t.test('names of other sinks and other files count for nothing', async (t) => {
  const fs = new FaultyFileSystem()
  for (const name of ['loki.b.7.ndjson', 'loki.x.ndjson', 'loki.7.ndjson.taken', 'lokis.9.ndjson']) {
    fs.plant(`${DIRECTORY}/${name}`, 'x'.repeat(MIB))
  }
  const { letters } = open(fs, MIB)
  await letters.write([letter(1)])
  t.ok(fs.peek(`${DIRECTORY}/loki.1.ndjson`))
})

t.test('after a restart the latest file is used on, whatever its last line is', async (t) => {
  const whole = `${JSON.stringify(letter(1))}\n`
  for (const tail of ['', '{"at":"2026', '\0\0\0\0', '\n']) {
    const fs = new FaultyFileSystem()
    fs.plant(`${DIRECTORY}/loki.9.ndjson`, 'earlier\n')
    fs.plant(`${DIRECTORY}/loki.10.ndjson`, whole + tail)
    const { letters } = open(fs)
    await letters.write([letter(2)])
    await letters.write([letter(3)])
    const added = [letter(2), letter(3)].map((letter) => `${JSON.stringify(letter)}\n`).join('')
    t.equal(String(fs.peek(`${DIRECTORY}/loki.10.ndjson`)), `${whole}${tail}\n${added}`)
    t.strictSame(await offsetsIn(fs), [1, 2, 3])
    t.strictSame(await names(fs), ['loki.9.ndjson', 'loki.10.ndjson'])
  }
})

t.test('after a restart a latest file that is long enough is not', async (t) => {
  const fs = new FaultyFileSystem()
  fs.plant(`${DIRECTORY}/loki.3.ndjson`, Buffer.alloc(8 * MIB - 10))
  await open(fs).letters.write([letter(1)])
  t.strictSame(await names(fs), ['loki.3.ndjson', 'loki.4.ndjson'])
})

for (const operation of ['append', 'sync', 'syncDirectory', 'openAppend', 'mkdir', 'list'] satisfies Operation[]) {
  t.test(`${operation} fails: refused, told once, and mended when the disk is well again`, async (t) => {
    for (let seed = 0; seed < 20; seed++) {
      const fs = new FaultyFileSystem(seed)
      const { letters, events } = open(fs)
      const isNew = operation !== 'append' && operation !== 'sync'
      if (!isNew) await letters.write([letter(1)])
      fs.fault = (asked) => (asked === operation ? 'ENOSPC' : null)
      const failed = { code: 'DEAD_LETTERS_FAILED', message: /ENOSPC/, cause: { code: 'ENOSPC' } }
      await t.rejects(letters.write([letter(2)]), failed)
      await Promise.all([t.rejects(letters.write([letter(2)]), failed), t.rejects(letters.write([letter(3)]), failed)])
      t.strictSame(events.names, ['deadLetters.failed'])
      t.equal(fs.openHandles, 0)
      if (!isNew) {
        t.strictSame(await names(fs), ['loki.1.ndjson'], 'attempts leave nothing behind')
        t.equal(String(fs.peek(`${DIRECTORY}/loki.1.ndjson`)), `${JSON.stringify(letter(1))}\n`, 'not half a line')
      }
      fs.fault = () => null
      await letters.write([letter(2)])
      await letters.write([letter(3)])
      if (!isNew) t.strictSame(await names(fs), ['loki.1.ndjson', 'loki.4.ndjson'], 'what failed is not used on')
      fs.fault = (asked) => (asked === 'append' ? 'EIO' : null)
      await t.rejects(letters.write([letter(4)]), { cause: { code: 'EIO' } })
      t.strictSame(events.names, ['deadLetters.failed', 'deadLetters.failed'], 'another failure is told again')
      const lines = (await offsetsIn(fs.powerCut())).filter((offset, index, all) => all.indexOf(offset) === index)
      t.strictSame(lines, isNew ? [2, 3] : [1, 2, 3])
    }
  })
}

t.test('close does not wait for a disk that does not answer', async (t) => {
  const fs = new FaultyFileSystem()
  const { letters, clock } = open(fs)
  fs.delay = (operation) => (operation === 'sync' ? new Promise(() => {}) : Promise.resolve())
  void letters.write([letter(1)])
  await clock.until(letters.close(), 5_000)
  t.equal(clock.monotonic(), 5_000)
})

t.test('close waits for what is under way', async (t) => {
  const fs = new FaultyFileSystem()
  const { letters, clock } = open(fs)
  const written = letters.write([letter(1)])
  await letters.close()
  await written
  t.equal(clock.timerCount, 0)
  t.strictSame(await offsetsIn(fs.powerCut()), [1])
})

t.test('through faults, kills and power cuts every letter whose write resolved is found', async () => {
  const operation = fc.constantFrom<Operation>('append', 'sync', 'truncate', 'unlink', 'syncDirectory', 'openAppend')
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('write', 'write twice') }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('fail'), operation, times: fc.constantFrom(1, 2, 100) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('heal', 'kill', 'power cut', 'settle') }) },
  )
  const seed = fc.integer({ min: 0, max: 1_000_000 })
  await fc.assert(
    fc.asyncProperty(seed, fc.array(step, { maxLength: 40 }), async (seed, steps) => {
      let fs = new FaultyFileSystem(seed)
      let { letters, clock } = open(fs)
      const resolved: number[] = []
      let next = 0
      const write = () => {
        const offset = ++next
        letters.write([letter(offset)]).then(
          () => resolved.push(offset),
          () => {},
        )
      }
      for (const step of [...steps, { do: 'settle' }, { do: 'power cut' }]) {
        const { fault } = fs
        if (step.do.startsWith('write')) write()
        if (step.do === 'write twice') write()
        if (step.do === 'settle') await clock.settle()
        if (step.do === 'heal') fs.fault = () => null
        if ('times' in step) {
          let left = step.times
          fs.fault = (asked) => (asked === step.operation && left-- > 0 ? 'EIO' : null)
        }
        if (step.do === 'kill' || step.do === 'power cut') {
          fs = step.do === 'kill' ? fs.kill() : fs.powerCut()
          fs.fault = fault
          letters = open(fs).letters
        }
      }
      fs.fault = () => null
      const found = new Set(await offsetsIn(fs))
      for (const offset of resolved) if (!found.has(offset)) throw new Error(`letter ${offset} is lost`)
    }),
    { numRuns: 500 },
  )
})

t.test('on the machine itself they are for no one else to read', async (t) => {
  const directory = t.testdir({})
  const letters = createDeadLetters({
    directory,
    fs: realFileSystem,
    clock: new FakeClock(),
    events: new RecordedEvents(),
  })
  await letters.write([letter(1), letter(2, { quota: 'audit' })])
  await letters.close()
  const modeOf = (path: string) => statSync(`${directory}/${path}`).mode & 0o777
  t.equal(modeOf('dead-letters'), 0o700)
  t.equal(modeOf('dead-letters/loki.1.ndjson'), 0o600)
  t.equal(modeOf('dead-letters/loki.1.audit.ndjson'), 0o600)
})

t.test('records of holes are letters of their own beside each other and the line after them', async (t) => {
  const line = letter(0)
  const gaps = ['a', 'b'].map((path) => letter(0, { bytes: 0, line: `taffrail: lost 7 bytes of ${path}` }))
  const documents = ['a', 'b'].map((document) => letter(0, { bytes: 0, create: { index: 'logs', document } }))
  t.equal(new Set([line, ...gaps, ...documents].map(letterKey)).size, 5)
  t.equal(letterKey(letter(0, { message: 'in other words' })), letterKey(line), 'sent again it is the same')
})
