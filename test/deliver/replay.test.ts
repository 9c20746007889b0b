// Dead letters sent again: what is acknowledged goes, what is not stays, and no kill and no agent at work on the same files
// makes one disappear.

import t from 'tap'
import type { DeadLetter } from '../../src/deliver/dead-letter.ts'
import { createDeadLetters } from '../../src/deliver/dead-letters.ts'
import { encodeLetters, readLetters } from '../../src/deliver/letter-file.ts'
import { type Resender, type Resent, replay } from '../../src/deliver/replay.ts'
import { RecordedEvents } from '../checkpoint/rig.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FaultyFileSystem } from '../support/faulty-fs.ts'
import fc from '../support/properties.ts'

const DIRECTORY = '/state/dead-letters'
const FILE = `${DIRECTORY}/loki.1.ndjson`

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
    rows: 1,
    timestamp: String(1_795_248_006_000_000_000n + BigInt(offset)),
    labels: { app: 'shop' },
    metadata: {},
    line: `line ${offset}`,
    ...more,
  }
}

/** A sink that stores what it is given, but for what it refuses. */
class MemorySink implements Resender {
  readonly stored: number[] = []
  readonly calls: number[][] = []
  refuses: (letter: DeadLetter) => boolean = () => false
  /** Says this once each instead. */
  says: Resent[] = []

  async resend(letters: readonly DeadLetter[]): Promise<Resent> {
    this.calls.push(letters.map(({ offset }) => offset))
    const said = this.says.shift()
    if (said !== undefined) return said
    const refused = new Map()
    for (const [index, each] of letters.entries()) {
      if (this.refuses(each)) refused.set(index, { ...each, at: 'now', reason: 'too_new', message: 'no', status: 422 })
      else this.stored.push(each.offset)
    }
    return { kind: 'done', refused }
  }
}

function world(letters: DeadLetter[] | Buffer = [1, 2, 3].map((offset) => letter(offset))) {
  const fs = new FaultyFileSystem()
  fs.plant(FILE, Buffer.isBuffer(letters) ? letters : encodeLetters(letters))
  const sink = new MemorySink()
  const clock = new FakeClock()
  const run = (more: { signal?: AbortSignal; fs?: FaultyFileSystem; sinks?: Map<string, Resender> } = {}) => {
    const options = { directory: DIRECTORY, sinks: new Map([['loki', sink]]), fs: fs.writes, clock }
    return clock.until(replay({ ...options, ...more, fs: (more.fs ?? fs).writes }))
  }
  return { fs, sink, clock, run }
}

function left(fs: FaultyFileSystem): DeadLetter[] {
  const paths = fs.reads.readdir(DIRECTORY).sort()
  return paths.flatMap((name) => readLetters(fs.peek(`${DIRECTORY}/${name}`)!).letters)
}

const AGAIN: Resent = { kind: 'again', delayMs: 500, halted: false }

t.test('what is acknowledged is gone, and with the last letter its file', async (t) => {
  const { fs, sink, run } = world()
  fs.plant(`${DIRECTORY}/loki.2.audit.ndjson`, encodeLetters([letter(4, { quota: 'audit' })]))
  const accounts = await run()
  t.strictSame(sink.stored, [1, 2, 3, 4])
  t.strictSame(accounts.get('loki'), { sent: 4, refused: new Map(), unsent: 0, unreadable: 0 })
  t.strictSame(fs.reads.readdir(DIRECTORY), [])
  t.equal(fs.openHandles, 0)
})

t.test('what is refused again stays with its new reason, and all that it was', async (t) => {
  const { fs, sink, run } = world()
  sink.refuses = ({ offset }) => offset === 2
  t.strictSame((await run()).get('loki')?.refused, new Map([['too_new', 1]]))
  t.strictSame(left(fs), [letter(2, { at: 'now', reason: 'too_new', message: 'no', status: 422 })])
  t.strictSame(fs.reads.readdir(DIRECTORY), ['loki.1r.ndjson'])
  sink.refuses = () => false
  t.equal((await run()).get('loki')?.sent, 1, 'and is sent the next time')
  t.strictSame(fs.reads.readdir(DIRECTORY), [])
})

t.test('by stream, oldest first, in pieces of a size', async (t) => {
  const long = 'x'.repeat(300_000)
  const letters = [letter(3, { line: long }), letter(1, { line: long }), letter(2, { labels: { b: '1', a: '2' } })]
  const { sink, run } = world([...letters, letter(4, { labels: { a: '2', b: '1' } })])
  sink.says = [{ kind: 'done', refused: new Map() }]
  await run()
  t.strictSame(sink.calls, [[1], [3], [2, 4]])
})

t.test('a sink that wants less at once gets less, and one that fails is tried again', async (t) => {
  const { sink, run, clock } = world()
  sink.says = [{ ...AGAIN, delayMs: 0, recordsMax: 1 }, AGAIN]
  await run()
  t.strictSame(sink.calls, [[1, 2, 3], [1], [1], [2, 3]])
  t.equal(clock.monotonic(), 500)
})

t.test('a sink that goes on failing, that needs an operator, or is not there: everything stays', async (t) => {
  for (const says of [Array(9).fill(AGAIN), [{ ...AGAIN, halted: true }], null]) {
    const { fs, sink, run } = world()
    fs.plant(`${DIRECTORY}/loki.2.ndjson`, encodeLetters([letter(4)]))
    sink.says = says ?? []
    const accounts = await run(says === null ? { sinks: new Map() } : {})
    t.strictSame(accounts.get('loki'), { sent: 0, refused: new Map(), unsent: 4, unreadable: 0 })
    t.strictSame(
      left(fs),
      [1, 2, 3, 4].map((offset) => letter(offset)),
    )
    t.match(
      fs.reads.readdir(DIRECTORY).sort(),
      says === null ? ['loki.1.ndjson', 'loki.2.ndjson'] : [/^loki.1r/, /^loki.2/],
    )
    t.ok(sink.calls.length <= 5)
  }
})

t.test('ended early: what was sent is gone, the rest stays', async (t) => {
  const { fs, sink, run } = world([letter(1), letter(2, { labels: {} })])
  const ending = new AbortController()
  sink.refuses = () => {
    ending.abort()
    return false
  }
  t.equal((await run({ signal: ending.signal })).get('loki')?.unsent, 1)
  t.strictSame(
    left(fs).map(({ offset }) => offset),
    [2],
  )
})

t.test('lines that are no letters stay, and do not keep the letters', async (t) => {
  const { fs, run } = world(Buffer.concat([encodeLetters([letter(1)]), Buffer.from('{"at":"20\n\0\0\0')]))
  t.strictSame((await run()).get('loki'), { sent: 1, refused: new Map(), unsent: 0, unreadable: 2 })
  t.equal(String(fs.peek(`${DIRECTORY}/loki.1r.ndjson`)), '{"at":"20\n\0\0\0\n')
  t.equal((await run()).get('loki')?.unreadable, 2)
})

t.test('files that are none of ours are left alone', async (t) => {
  const { fs, run } = world()
  for (const name of ['lock', 'notes.txt', 'loki.x.ndjson', 'loki.1.ndjson.taken'])
    fs.plant(`${DIRECTORY}/${name}`, 'x')
  await run()
  t.equal(fs.reads.readdir(DIRECTORY).length, 4)
})

t.test('killed at any moment, or the power cut: each letter was acknowledged or is there', async (t) => {
  for (const how of ['kill', 'powerCut'] as const) {
    for (let at = 0, done = false; !done; at++) {
      const { fs, sink, clock } = world()
      sink.refuses = ({ offset }) => offset === 2
      let operations = 0
      let next: FaultyFileSystem | null = null
      fs.delay = async () => {
        if (operations++ === at) next = fs[how]()
        if (next !== null) await new Promise(() => {})
      }
      const running = replay({ directory: DIRECTORY, sinks: new Map([['loki', sink]]), fs: fs.writes, clock })
      running.catch(() => {})
      await clock.settle()
      done = next === null
      const after = next ?? fs
      const there = new Set([...left(after).map(({ offset }) => offset), ...sink.stored])
      t.strictSame([...there].sort(), [1, 2, 3], `${how} before operation ${at}`)
      if (done) break
      const again = new MemorySink()
      await replay({ directory: DIRECTORY, sinks: new Map([['loki', again]]), fs: after.writes, clock })
      t.strictSame([...new Set([...sink.stored, ...again.stored])].sort(), [1, 2, 3], 'and the next run sends it')
      t.strictSame(left(after), [])
    }
  }
})

t.test(
  'property: an agent that writes and throws away meanwhile: each confirmed letter was sent, thrown away or is there',
  async () => {
    const step = fc.constantFrom('write', 'replay', 'settle', 'kill')
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.array(step, { minLength: 1, maxLength: 25 }), async (seed, steps) => {
        let fs = new FaultyFileSystem(seed)
        let turns = (seed % 2_147_483_646) + 1
        const clock = new FakeClock()
        const sink = new MemorySink()
        sink.refuses = ({ offset }) => offset % 3 === 0
        const confirmed: number[] = []
        const evicted: number[] = []
        let next = 1
        const open = () => {
          const letters = createDeadLetters({
            directory: '/state',
            fs,
            clock,
            events: new RecordedEvents(),
            bytesMax: 3000,
          })
          letters.onEvicted = ({ records }) => evicted.push(records)
          return letters
        }
        let letters = open()
        // One replay at a time, as its lock has it.
        let replaying: Promise<unknown> | null = null
        for (const each of steps) {
          // Every operation takes some turns, so that the two interleave in all ways.
          fs.delay = async (operation) => {
            turns = (turns * 16_807) % 2_147_483_647
            for (let i = turns % (operation === 'append' ? 60 : 7); i > 0; i--) await null
          }
          if (each === 'write') {
            const offset = next++
            letters.write([letter(offset)]).then(
              () => confirmed.push(offset),
              () => {},
            )
          }
          if (each === 'replay' && replaying === null) {
            const options = { directory: DIRECTORY, sinks: new Map([['loki', sink]]), fs: fs.writes, clock }
            replaying = replay(options).catch(() => {})
            void replaying.then(() => {
              replaying = null
            })
          }
          if (each === 'settle') await clock.settle()
          if (each === 'kill') {
            fs = fs.kill()
            replaying = null
            letters = open()
          }
        }
        await clock.settle()
        const there = new Set([...left(fs).map(({ offset }) => offset), ...sink.stored])
        const missing = confirmed.filter((offset) => !there.has(offset))
        const thrown = evicted.reduce((sum, records) => sum + records, 0)
        if (missing.length > thrown)
          throw new Error(`letters ${missing.join(', ')} are missing, ${thrown} were thrown away`)
      }),
      { numRuns: 300 },
    )
  },
)
