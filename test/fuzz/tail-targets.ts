// The reading half under random content: lines over blocks of any size, pieces put together, plain and compressed, refused
// and begun again anywhere. What is delivered is what a slow reference makes of the same bytes: nothing is missing, double
// or changed.
import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { silentEvents } from '../../src/core/events.ts'
import { LIVE } from '../../src/discover/names.ts'
import { Partial } from '../../src/parse/partial.ts'
import { realGunzip } from '../../src/ports/gunzip.ts'
import { Lineage } from '../../src/tail/lineage.ts'
import fc from '../support/properties.ts'
import { randomRows } from '../support/random-rows.ts'
import { identity, reference } from '../support/reference.ts'
import { type Delivered, RigClock, RigSink } from '../support/tail-rig.ts'
import { bytes, damaged } from './arbitraries.ts'
import { MemoryFiles } from './memory-files.ts'
import { holds, target } from './target.ts'

const INFO = {
  source: 'fuzz',
  sourceType: 'containers' as const,
  key: 'fuzz:key',
  path: '/pods/app',
  namespace: 'ns',
  pod: 'pod',
  podUid: 'uid',
  container: 'app',
}
/** A reader that goes on for longer, and delivers nothing, hangs. */
const IDLE_MAX = 5000

type Step = { records: number; answer: 'ack' | 'again' | 'restart' }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    records: fc.integer({ min: 1, max: 12 }),
    answer: fc.constantFrom<Step['answer']>('ack', 'ack', 'again', 'restart'),
  }),
  { maxLength: 20 },
)
const content = fc.oneof(
  randomRows({ messageBytesMax: 60, rowsMax: 60, json: true }),
  randomRows({ messageBytesMax: 3000, rowsMax: 12 }),
)

class World {
  readonly files = new MemoryFiles()
  readonly sink: RigSink
  readonly #clock = new RigClock()

  constructor(blockBytes: number, lineBytesMax: number) {
    this.#clock.wallMs = Date.parse('2026-11-21T09:00:00Z')
    const world = { ...this.#deps, lineage: this.#newLineage() }
    this.sink = new RigSink(world, { once: true, blockBytes, lineBytesMax })
    this.#world = world
  }

  readonly #world: { lineage: Lineage }

  get #deps() {
    return { fs: this.files.fs, clock: this.#clock, events: silentEvents }
  }

  #newLineage(): Lineage {
    const counters = { rotations: 0, truncations: 0, filesRefused: 0, fileErrors: 0 }
    return new Lineage(INFO, this.files, ['/pods'], { ...this.#deps, gunzip: realGunzip, counters })
  }

  /** Reads to the end, as the steps say; then all the rest. */
  async read(steps: readonly Step[]): Promise<void> {
    const { sink } = this
    this.#world.lineage.look()
    for (const { records, answer } of steps) {
      sink.recordsMax = records
      await this.#fill()
      if (answer === 'ack') sink.ack()
      else sink.again()
      if (answer === 'restart') this.#restart()
    }
    sink.recordsMax = Number.POSITIVE_INFINITY
    for (let idle = 0; sink.reader.hasWork || sink.reader.isWaiting || idle === 0; idle++) {
      holds(idle < IDLE_MAX, 'the reader says that it has work, and does not come to an end')
      if (idle > 0 && !sink.reader.hasWork) await turn(idle)
      await this.#fill()
      sink.ack()
    }
    this.close()
  }

  close(): void {
    this.sink.reader.close()
    this.#world.lineage.close()
  }

  async #fill(): Promise<void> {
    const { sink } = this
    for (let turns = 0; sink.fill() === 'wait' && sink.pending.length === 0; turns++) {
      holds(turns < IDLE_MAX, 'the reader waits, and nothing wakes it')
      await turn(turns)
    }
  }

  #restart(): void {
    this.close()
    this.#world.lineage = this.#newLineage()
    this.sink.open()
    this.#world.lineage.look()
  }
}

/**
 * Each stream's entries are those of the reference, in order. After a restart some are there twice (what was acknowledged
 * behind an open line), but as the same entries.
 */
function same(world: World, files: { content: Buffer; restart: number }[], lineBytesMax: number): void {
  const all = reference(files, { lineBytesMax, finished: true })
  for (const stream of ['stdout', 'stderr']) {
    const of = (entries: readonly Delivered[]) => entries.filter((entry) => entry.stream === stream).map(identity)
    const expected = of(all)
    const delivered = [...new Set(of(world.sink.delivered))]
    // Two files may have the same entry at the same place.
    const wanted = [...new Set(expected)]
    for (let i = 0; i < Math.max(wanted.length, delivered.length); i++) {
      holds(wanted[i] === delivered[i], `entry ${i} of ${stream}: expected ${wanted[i]}, delivered ${delivered[i]}`)
    }
  }
  holds(world.sink.ledger.lost.size === 0, 'something is said to be lost')
}

/** Lets decompression go on; with more patience the longer it takes. */
function turn(count: number): Promise<void> {
  return new Promise((resolve) => {
    if (count < 100) setImmediate(resolve)
    else setTimeout(resolve, 2)
  })
}

const place = (name: string, compressed = false) => ({ path: `/pods/${name}`, compressed })

export const tailTargets = [
  target(
    'lines',
    fc.record({
      rows: content,
      block: fc.integer({ min: 200, max: 6000 }),
      limit: fc.integer({ min: 1, max: 4000 }),
      steps,
    }),
    async ({ rows, block, limit, steps }) => {
      const whole = Buffer.concat(rows)
      // A row of Docker's must be whole in a block.
      const world = new World(Math.max(block, 200), limit)
      world.files.add({ ...place('0.log'), order: { restart: 0, rank: LIVE } }, whole)
      await world.read(steps)
      same(world, [{ content: whole, restart: 0 }], limit)
    },
  ),
  target(
    'gzip-resumption',
    fc.record({ old: content, live: content, level: fc.integer({ min: 0, max: 9 }), steps }),
    async ({ old, live, level, steps }) => {
      const [first, second] = [Buffer.concat(old), Buffer.concat(live)]
      const world = new World(64 * 1024, 2000)
      const order = { restart: 0, rank: '20261121-080000' }
      world.files.add({ ...place('0.log.20261121-080000.gz', true), order }, gzipSync(first, { level }))
      world.files.add({ ...place('0.log'), order: { restart: 0, rank: LIVE } }, second)
      await world.read(steps)
      same(
        world,
        [first, second].map((content) => ({ content, restart: 0 })),
        2000,
      )
    },
  ),
  target(
    'gzip-damage',
    fc.record({ file: damaged(content.map((rows) => gzipSync(Buffer.concat(rows)))), live: content, steps }),
    async ({ file, live, steps }) => {
      const whole = Buffer.concat(live)
      const world = new World(64 * 1024, 2000)
      const order = { restart: 0, rank: '20261121-080000' }
      world.files.add({ ...place('0.log.20261121-080000.gz', true), order }, file)
      world.files.add({ ...place('1.log'), order: { restart: 1, rank: LIVE } }, whole)
      await world.read(steps)
      // However little is left of the one, the other is whole.
      const all = reference([{ content: whole, restart: 1 }], { lineBytesMax: 2000, finished: true })
      for (const stream of ['stdout', 'stderr']) {
        // Times may follow on those of the damaged one.
        const of = (entries: readonly Delivered[]) => {
          const own = entries.filter((entry) => entry.stream === stream && !entry.marks.includes('gap'))
          return [...new Set(own.map(({ offset, text }) => `${offset} ${text}`))]
        }
        const expected = of(all)
        const delivered = of(world.sink.delivered)
        const missing = expected.filter((line) => !delivered.includes(line))
        holds(
          missing.length === 0,
          `${missing.length} lines of ${stream} after a damaged file are missing: ${missing[0]}`,
        )
      }
    },
  ),
  target(
    'partials',
    fc.record({ pieces: fc.array(bytes(9000), { maxLength: 8 }), limit: fc.nat(20_000) }),
    ({ pieces, limit }) => {
      const partial = new Partial<string>()
      for (let line = 0; line < 2; line++) {
        partial.open('here')
        for (const piece of pieces) partial.append(piece, 0, piece.length, limit)
        const whole = Buffer.concat(pieces)
        holds(partial.bytes.equals(whole.subarray(0, limit)), 'other bytes are kept')
        holds(partial.totalBytes === whole.length, 'another length')
        const hash = whole.length > limit ? createHash('sha256').update(whole).digest('hex') : ''
        holds(partial.sha256() === hash, 'another hash')
        partial.close()
        partial.release()
      }
    },
  ),
]
