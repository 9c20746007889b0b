// Large lines are worked on one after the other with the same tools: each becomes what it would be alone, also where the work
// on one was given up, and what they needed goes back.
import { createHash } from 'node:crypto'
import { test } from 'tap'
import { AuditFilter } from '../../src/audit/filter.ts'
import { AuditLines, type AuditLinesOptions } from '../../src/audit/lines.ts'
import { maskWith } from '../../src/audit/redact/mask.ts'
import { newEntry } from '../../src/core/entry.ts'

const OPTIONS = { policy: null, mask: maskWith(Buffer.from('a key of 16 bytes')), lineBytesMax: 1e9 }
const NOTHING = Buffer.alloc(0)
const FILE = {} as never

function eventWith(name: string, items: number): Buffer {
  const secret = (i: number) => ({ metadata: { name: `${name}-${i}` }, stringData: { a: `${name} knows ${i}` } })
  return Buffer.from(
    JSON.stringify({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: 'RequestResponse',
      auditID: name,
      stage: 'ResponseComplete',
      requestURI: '/api/v1/namespaces/a/secrets',
      verb: 'list',
      user: { username: name },
      responseObject: { kind: 'SecretList', items: Array.from({ length: items }, (_, i) => secret(i)) },
      stageTimestamp: '2026-11-21T08:00:00.000000Z',
    }),
  )
}

/** What becomes of it alone. */
function alone(line: Buffer): string {
  const filter = new AuditFilter(OPTIONS)
  let end = filter.judge(line, 0, line.length)
  while (end === 'working') end = filter.step()
  return filter.buffer.toString('utf8', filter.start, filter.end)
}

class Reading {
  readonly lines: AuditLines
  #ready = () => {}

  constructor(options: Partial<AuditLinesOptions> = {}) {
    this.lines = new AuditLines({
      ...OPTIONS,
      ...options,
      pause: () => Promise.resolve(),
      ready: () => this.#ready(),
    })
  }

  /** Begins with a line; resolves when the work on it is done. */
  ahead(line: Buffer, offset: number): Promise<void> | null {
    const done = new Promise<void>((resolve) => {
      this.#ready = resolve
    })
    return this.lines.ahead(FILE, offset, NOTHING, 0, line, 0, line.length) ? null : done
  }

  apply(line: Buffer, offset: number) {
    const entry = newEntry()
    const ofTheOneBefore = { shape: {} }
    Object.assign(entry, ofTheOneBefore, { file: FILE, offset, buffer: line, messageStart: 0, messageEnd: line.length })
    this.lines.apply(entry, true)
    return entry
  }
}

const textOf = ({ buffer, messageStart, messageEnd }: ReturnType<typeof newEntry>) =>
  buffer.toString('utf8', messageStart, messageEnd)

test('large lines one after the other, and one that was given up', async (t) => {
  const reading = new Reading()
  const lines = [eventWith('anna', 3000), eventWith('bert', 5000), eventWith('carl', 2000)]
  for (const [offset, line] of lines.entries()) {
    const done = reading.ahead(line, offset)
    t.ok(reading.lines.isWorking)
    await done
    t.equal(reading.ahead(line, offset), null)
    t.equal(textOf(reading.apply(line, offset)), alone(line))
  }
  const given = eventWith('dora', 4000)
  void reading.ahead(given, 10)
  await reading.ahead(lines[0]!, 11)
  t.equal(textOf(reading.apply(lines[0]!, 11)), alone(lines[0]!))
})

test('what a large line needed goes back with the next line, or when there is none', async (t) => {
  const reading = new Reading()
  const line = eventWith('anna', 3000)
  const small = eventWith('bert', 1)
  for (const next of [() => void reading.apply(small, 1), () => reading.lines.release()]) {
    await reading.ahead(line, 0)
    const entry = reading.apply(line, 0)
    t.equal(textOf(entry), alone(line), 'it is there until then')
    next()
    t.equal(entry.buffer.length, 0)
  }
})

test('what an encoder wants made ready of a large event is there with it, and with no other', async (t) => {
  let working = () => false
  function* shape(event: Buffer) {
    const text = event.toString()
    t.ok(working(), 'the line waits')
    yield
    t.ok(working(), 'to the end')
    return { text }
  }
  for (const options of [{ shape }, { shape, policy: null, mask: null }]) {
    const reading = new Reading(options)
    working = () => reading.lines.isWorking
    const [given, large, small] = [eventWith('dora', 4000), eventWith('anna', 3000), eventWith('bert', 1)]
    void reading.ahead(given, 0)
    await reading.ahead(large, 1)
    t.equal(reading.lines.isWorking, false)
    const entry = reading.apply(large, 1)
    t.same(entry.shape, { text: textOf(entry) }, 'of what is left of it')
    t.equal(reading.ahead(small, 2), null)
    t.equal(reading.apply(small, 2).shape, null)
    t.equal(reading.apply(given, 3).shape, null, 'of one that was not waited for')
  }
})

test('a large line of which nothing is changed is hashed in slices where it is too long', async (t) => {
  const reading = new Reading({ policy: null, mask: null, lineBytesMax: 65_536 })
  const line = eventWith('anna', 3000)
  const done = reading.ahead(line, 0)
  t.ok(reading.lines.isWorking)
  await done
  t.match(JSON.parse(textOf(reading.apply(line, 0))).annotations, {
    'taffrail/original-sha256': createHash('sha256').update(line).digest('hex'),
  })
})

test('what is thrown in the work on a large line is for who reads on', async (t) => {
  const reading = new Reading({
    // biome-ignore lint/correctness/useYield: it comes to nothing
    *shape() {
      throw new Error('no memory')
    },
  })
  const line = eventWith('anna', 3000)
  await reading.ahead(line, 0)
  t.equal(reading.lines.isWorking, false)
  t.throws(() => reading.ahead(line, 0), { message: 'no memory' })
})
