// What is compressed here is what the package's decoder reads, whatever it is, wherever it lies; and it is no larger.
import { readdirSync, readFileSync } from 'node:fs'
import { compressSync, uncompressSync } from 'snappy'
import t from 'tap'
import { RowsAtOnce } from '../../../src/sinks/loki/rows.ts'
import { Snappy } from '../../../src/sinks/loki/snappy.ts'
import { fixture } from '../../audit/fixtures.ts'
import fc from '../../support/properties.ts'

const MEBIBYTE = 1024 * 1024
const { shared } = new RowsAtOnce(512 * 1024)
const { compress } = new Snappy(shared)

function uncompress(block: Buffer): Buffer {
  return uncompressSync(block, { asBuffer: true }) as Buffer
}

/** Bytes that cannot be made less, the same for the same seed. */
function noise(bytes: number, seed: number): Buffer {
  const words = new Uint32Array(Math.ceil(bytes / 4))
  let state = seed | 1
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return Buffer.from(words.buffer, 0, bytes)
}

const lengths = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 300 }) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 70_000 }) },
  fc.integer({ min: 0, max: 600_000 }),
)
const seeds = fc.integer({ min: 1, max: 2 ** 31 - 1 })
const stretches = fc.oneof(
  fc.tuple(lengths, seeds).map(([bytes, seed]) => noise(bytes, seed)),
  // Something over and over: copies of all lengths, from all distances, also from within themselves.
  fc
    .tuple(lengths, fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 70_000 })), seeds)
    .map(([bytes, period, seed]) => Buffer.alloc(bytes, noise(period, seed))),
  fc.tuple(lengths, fc.uint8Array({ minLength: 1, maxLength: 12 })).map(([bytes, few]) => Buffer.alloc(bytes, few)),
  // Few different bytes: many short copies.
  fc.tuple(lengths, seeds).map(([bytes, seed]) => noise(bytes, seed).map((byte) => byte & 3) as Buffer),
  fc.tuple(fc.nat({ max: 500 }), lengths).map(([at, bytes]) => LOG.subarray(1000 * at, 1000 * at + bytes)),
)
const LOG = fixture('recommended.log.gz')
const bodies = fc.array(stretches, { maxLength: 6 }).chain((drawn) =>
  // Some come twice, far behind.
  fc.subarray(drawn).map((again) => Buffer.concat([...drawn, ...again])),
)

t.test('any bytes come back, from where they lie and from elsewhere', async () => {
  fc.assert(
    fc.property(bodies, (body) => {
      const block = compress(body)
      if (!uncompress(block).equals(body)) return false
      if (block.length > body.length + body.length / 60 + 32) return false
      if (!compress(body).equals(block)) return false
      const inside = Buffer.from(shared.memory.buffer, shared.stage, shared.stageBytes)
      const part = inside.subarray(0, body.copy(inside))
      return uncompress(compress(part)).equals(body.subarray(0, part.length))
    }),
    { numRuns: 300 },
  )
})

t.test('a block is made of what it was begun for, though the one before it came to nothing', async (t) => {
  const { allocUnsafeSlow } = Buffer
  t.teardown(() => {
    Buffer.allocUnsafeSlow = allocUnsafeSlow
  })
  const elements = compress(noise(100, 1)).subarray(1)
  const snappy = new Snappy(shared)
  snappy.begin(100)
  snappy.addPacked(elements)
  Buffer.allocUnsafeSlow = () => {
    throw new RangeError('Array buffer allocation failed')
  }
  t.throws(() => snappy.end(), RangeError)
  Buffer.allocUnsafeSlow = allocUnsafeSlow
  t.equal(uncompress(snappy.compress(Buffer.from('hello'))).toString(), 'hello')
})

t.test('every length about the limits of its kinds of elements', async (t) => {
  for (const bytes of [0, 1, 15, 16, 17, 18, 59, 60, 61, 62, 255, 256, 257, 258, 65_535, 65_536, 65_537, 65_538]) {
    const body = noise(bytes, 7)
    t.ok(uncompress(compress(body)).equals(body), `${bytes} bytes of noise`)
    for (const less of [3, 4, 8, 11, 12, 59, 60, 63, 64, 65, 67, 68, 69, 128, 132]) {
      const twice = Buffer.concat([body, body.subarray(0, less), Buffer.alloc(40, '-')])
      t.ok(uncompress(compress(twice)).equals(twice), `and ${less} of them again`)
    }
  }
})

t.test('up to 4 MiB', async (t) => {
  const log = Buffer.alloc(4 * MEBIBYTE, LOG)
  for (const body of [noise(4 * MEBIBYTE, 3), Buffer.alloc(4 * MEBIBYTE), log, log.subarray(0, 3 * MEBIBYTE + 1)]) {
    t.ok(uncompress(compress(body)).equals(body))
  }
})

t.test('no more bytes than the package makes of it', async (t) => {
  const folder = new URL('../../fixtures/cri/', import.meta.url)
  const names = readdirSync(folder).filter((name) => name.endsWith('.log'))
  const containers = Buffer.concat(names.map((name) => readFileSync(new URL(name, folder))))
  for (const body of [LOG, fixture('everything.log.gz').subarray(0, MEBIBYTE), containers]) {
    const own = compress(body).length
    t.ok(own < 1.05 * (compressSync(body) as Buffer).length, `${own} of ${body.length}`)
  }
})
