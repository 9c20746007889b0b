// Rows at once against rows one by one: the same batches, byte by byte, with the same notes, and the same state after them.
import { deepStrictEqual } from 'node:assert'
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { Lane } from '../../../src/batch/lane.ts'
import { type Part, PartPool } from '../../../src/batch/part.ts'
import { type Segment, Shipment } from '../../../src/batch/shipment.ts'
import { Ledger } from '../../../src/core/ledger.ts'
import { LokiEntryEncoder } from '../../../src/sinks/loki/encode.ts'
import { LokiLane } from '../../../src/sinks/loki/lane.ts'
import { RowsAtOnce } from '../../../src/sinks/loki/rows.ts'
import { closeStream } from '../../../src/sinks/loki/wire.ts'
import type { Sink } from '../../../src/sinks/sink.ts'
import { Account } from '../../../src/tail/account.ts'
import type { TailedFile } from '../../../src/tail/file.ts'
import { Lines } from '../../../src/tail/lines.ts'
import type { Place } from '../../../src/tail/place.ts'
import type { Reader } from '../../../src/tail/reader.ts'
import fc from '../../support/properties.ts'
import { assembled, MODULES, moduleUrl } from './assemble.ts'

const BLOCK_BYTES = 64 * 1024

class Counting extends RowsAtOnce {
  taken = 0

  override take(...args: Parameters<RowsAtOnce['take']>): ReturnType<RowsAtOnce['take']> {
    const spans = super.take(...args)
    this.taken += args[0].lines
    return spans
  }
}

const rowsAtOnce = new Counting(BLOCK_BYTES)

interface Limits {
  bytesMax: number
  recordsMax: number
  lineBytesMax: number
  together: boolean
  skipBeforeSeconds: number
  nowMs: number
  metadata: Record<string, string>
}

/** All that comes of the content: batches with their notes, how far each led, the spans, and the state at the end. */
function encode(content: Buffer, limits: Limits, atOnce: RowsAtOnce | null, blockBytes = BLOCK_BYTES): unknown {
  const lane = new LokiLane('lane', { job: 'ns/app' }, true)
  const sink = {
    separateStreams: true,
    beginSegment(part: Part, _key: string, stream: number) {
      const { header } = lane.streams[stream as 0 | 1]
      lane.streams[stream as 0 | 1].begin()
      part.reserve(header.length)
      part.end += header.copy(part.buffer, part.end)
    },
    endSegment(part: Part, segment: Segment, stream: number) {
      closeStream(part.buffer, segment.starts[stream as 0 | 1], part.end)
    },
  } as unknown as Sink
  const file = { path: 'f', sequence: 1 } as unknown as TailedFile
  const place: Place = { file, offset: 0, logical: 0 }
  const ledger = new Ledger()
  const account = new Account(ledger, place)
  const lines = new Lines(place, account, { format: 'container', lineBytesMax: limits.lineBytesMax, audit: null })
  lines.skipBeforeSeconds = limits.skipBeforeSeconds
  lines.beginRound(limits.nowMs)
  const encoder = new LokiEntryEncoder(lane, limits.metadata, atOnce)
  const block = atOnce?.block ?? Buffer.alloc(blockBytes)
  const pool = new PartPool(4, 1024 * 1024)
  const batches: unknown[] = []
  while (place.offset < content.length) {
    // What lies behind the rows is of an earlier read.
    block.fill('2026-11-21T08:00:00.1Z stdout F old\n')
    const from = 7
    const length = Math.min(content.length - place.offset, block.length - from)
    content.copy(block, from, place.offset, place.offset + length)
    const end = from + content.subarray(place.offset, place.offset + length).lastIndexOf(10) + 1
    const shipment = new Shipment(sink, pool)
    shipment.begin(new Lane('lane'), limits.bytesMax, limits.recordsMax, limits.together)
    shipment.from({ current: file, offset: place.offset } as unknown as Reader, encoder)
    const consumed = lines.rows(file, block, from, lines.limit(file, from, end), shipment)
    place.offset += consumed
    place.logical += consumed
    shipment.end()
    batches.push({
      consumed,
      parts: shipment.parts.map((part) => ({
        bytes: part.buffer.toString('latin1', 0, part.end),
        notes: Array.from({ length: part.count }, (_, i) => [part.offsetOf(i), part.bytesOf(i), part.linesOf(i)]),
        sums: [part.sourceBytes, part.sourceLines],
      })),
      spans: lane.streams.map(({ pendingOldest, pendingNewest }) => [pendingOldest, pendingNewest]),
    })
    shipment.release()
    if (consumed === 0) break
  }
  return {
    batches,
    times: lines.timeline.save(),
    marks: [...(lines.takeMarks() ?? [])],
    read: ledger.read,
    unsettled: account.unsettled,
  }
}

const USUAL: Limits = {
  bytesMax: 1024 * 1024,
  recordsMax: Number.POSITIVE_INFINITY,
  lineBytesMax: 256 * 1024,
  together: false,
  skipBeforeSeconds: Number.NEGATIVE_INFINITY,
  nowMs: Date.UTC(2026, 10, 21, 9),
  metadata: { pod_uid: '0a6e2d1c-92a4-4f3f-8a2b-0c4f3c8e5d11' },
}

const second = fc.constantFrom(
  '2026-11-21T08:00:00',
  '2026-11-21T08:00:01',
  '2026-11-21T08:30:59',
  '2026-11-20T23:59:60',
)
const zone = fc.constantFrom('Z', 'Z', 'Z', '+05:30', '-03:30', '+00:00', 'z', '+5:30', '')
const fraction = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('.144518221', '.999999999', '.07221244', '.000000001', '.5', '') },
  fc.stringMatching(/^\.[0-9]{0,12}$/),
)
const tag = fc.constantFrom('F ', 'F ', 'F ', 'F ', 'P ', 'F', 'F:x ', 'G ')
const stream = fc.constantFrom('stdout', 'stdout', 'stderr', 'stdxxx')
const message = fc.oneof(
  { weight: 5, arbitrary: fc.string({ maxLength: 60, unit: 'binary-ascii' }).map((text) => text.replaceAll('\n', '')) },
  fc.integer({ min: 0, max: 2500 }).map((bytes) => 'm'.repeat(bytes)),
  fc.constantFrom('é ü 日本', 'x'.repeat(8191), 'x'.repeat(8192), 'x'.repeat(8193), 'y'.repeat(20_000)),
)
/** Nearly every row is of the kind that is taken at once, so that runs of them are long. */
const usual = fc
  .tuple(
    fc.constantFrom('2026-11-21T08:00:00', '2026-11-21T08:00:01'),
    fc.constantFrom('.144518221', '.144518221', '.144518222', '.5', '.07221244', '.', ''),
    fc.constantFrom('Z', 'Z', 'Z', 'Z', '+05:30'),
    fc.constantFrom('stdout', 'stderr'),
    fc.oneof(
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 98, max: 102 }),
      fc.integer({ min: 0, max: 2500 }),
      fc.integer({ min: 8190, max: 8194 }),
    ),
  )
  .map(([at, nanos, offset, name, bytes]) => `${at}${nanos}${offset} ${name} F ${'m'.repeat(bytes)}`)
const row = fc.oneof(
  { weight: 60, arbitrary: usual },
  {
    weight: 4,
    arbitrary: fc
      .tuple(second, fraction, zone, stream, tag, message)
      .map(([at, nanos, offset, name, kind, text]) => `${at}${nanos}${offset} ${name} ${kind}${text}`),
  },
  fc.constantFrom('', 'no time at all', '2026-11-21T08:00:00', '2026-11-21T08:00:00.1Z stdout ', '{"log":"x\\n"}'),
)
const content = fc
  .array(fc.tuple(row, fc.integer({ min: 1, max: 4 })), { minLength: 1, maxLength: 60 })
  .map((rows) => Buffer.from(rows.flatMap(([text, times]) => Array(times).fill(`${text}\n`)).join('')))
const limits = fc.record({
  bytesMax: fc.oneof(fc.constant(USUAL.bytesMax), fc.integer({ min: 600, max: 6000 })),
  recordsMax: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 1, max: 30 })),
  lineBytesMax: fc.constantFrom(USUAL.lineBytesMax, 100, 8192),
  together: fc.boolean(),
  skipBeforeSeconds: fc.constantFrom(Number.NEGATIVE_INFINITY, Date.UTC(2026, 10, 21, 8) / 1000 + 0.5),
  nowMs: fc.constantFrom(USUAL.nowMs, Date.UTC(2026, 10, 20, 8)),
  metadata: fc.constantFrom({}, USUAL.metadata, { a: 'b'.repeat(15) }, { a: 'b'.repeat(1200) }),
})

function same(content: Buffer, limits: Limits): void {
  deepStrictEqual(encode(content, limits, rowsAtOnce), encode(content, limits, null))
}

t.test('any rows, any limits', async () => {
  fc.assert(fc.property(content, limits, same), { numRuns: 600, endOnFailure: true })
})

t.test("the runtimes' own files", async (t) => {
  const directory = new URL('../../fixtures/cri/', import.meta.url)
  for (const name of readdirSync(directory).filter((each) => each.endsWith('.log'))) {
    same(readFileSync(new URL(name, directory)), USUAL)
    t.pass(name)
  }
})

t.test('it takes all that is usual, over seconds and calls, but the first row of each stream', async (t) => {
  const rows = Array.from({ length: 20_000 }, (_, i) => {
    const name = i % 3 === 0 ? 'stderr' : 'stdout'
    return `2026-11-21T08:00:${String(Math.floor(i / 400)).padStart(2, '0')}.${i + 100_000}Z ${name} F ${'x'.repeat(i % 90)}\n`
  })
  const text = Buffer.from(rows.join(''))
  rowsAtOnce.taken = 0
  const { batches } = encode(text, USUAL, rowsAtOnce) as { batches: unknown[] }
  t.ok(batches.length > 10)
  t.equal(rowsAtOnce.taken, rows.length - 2 * batches.length)
  same(text, USUAL)
})

const said = (name: string, bytes: number, nanos = '.1') =>
  `2026-11-21T08:00:00${nanos}Z ${name} F ${'x'.repeat(bytes)}\n`

t.test('what one stream takes is taken from the other where they share a request', async (t) => {
  // Of 2700 bytes: what is reserved for an entry, the first two, one more of stdout, and no room for the one of stderr.
  const limits = { ...USUAL, together: true, bytesMax: 2700, metadata: {} }
  const sizes: [string, number][] = [
    ['stdout', 1],
    ['stderr', 1],
    ['stdout', 800],
    ['stderr', 1500],
  ]
  const content = Buffer.from(sizes.map(([name, bytes]) => said(name, bytes)).join(''))
  const { batches } = encode(content, limits, rowsAtOnce) as { batches: unknown[] }
  t.equal(batches.length, 2)
  same(content, limits)
})

t.test('nanoseconds that are counted up into the next second', async () => {
  same(Buffer.from(said('stdout', 3, '.999999998').repeat(6)), USUAL)
})

t.test('entries and notes beyond what one call holds', async () => {
  const large = new RowsAtOnce(4 * 1024 * 1024)
  const row = (bytes: number) => `2026-11-21T08:00:00.1Z stdout F ${'x'.repeat(bytes)}\n`
  const content = Buffer.from(row(1).repeat(20_000) + row(400).repeat(4000))
  const limits = { ...USUAL, bytesMax: 8 * 1024 * 1024 }
  deepStrictEqual(encode(content, limits, large), encode(content, limits, null, 4 * 1024 * 1024))
})

for (const name of MODULES) {
  t.test(`the module is the one of ${name}.wat`, async (t) => {
    t.equal(readFileSync(moduleUrl(name), 'utf8'), await assembled(name))
  })
}
