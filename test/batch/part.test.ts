// A part: bytes that stay where they are when it grows, and what each record stands for.

import t from 'tap'
import { Part, PartPool } from '../../src/batch/part.ts'
import fc from '../support/properties.ts'

t.test('whatever is written is there, and each record says what it stands for', async () => {
  const record = fc.record({
    bytes: fc.integer({ min: 0, max: 50_000 }),
    offset: fc.maxSafeNat(),
    sourceBytes: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    sourceLines: fc.integer({ min: 0, max: 100_000 }),
  })
  fc.assert(
    fc.property(fc.array(record, { maxLength: 60 }), fc.integer({ min: 1, max: 2_000_000 }), (records, usualBytes) => {
      const part = new Part(usualBytes)
      for (const [index, { bytes, offset, sourceBytes, sourceLines }] of records.entries()) {
        part.reserve(bytes)
        part.buffer.fill(index, part.end, part.end + bytes)
        if (bytes > 0 && part.view.getUint8(part.end) !== index) return false
        part.end += bytes
        part.note(offset, sourceBytes, sourceLines)
      }
      let at = 0
      return (
        part.count === records.length &&
        part.sourceBytes === records.reduce((sum, each) => sum + each.sourceBytes, 0) &&
        part.sourceLines === records.reduce((sum, each) => sum + each.sourceLines, 0) &&
        records.every(({ bytes, offset, sourceBytes, sourceLines }, index) => {
          const own = part.buffer.subarray(at, at + bytes)
          at += bytes
          return (
            own.every((byte) => byte === index) &&
            part.offsetOf(index) === offset &&
            part.bytesOf(index) === sourceBytes &&
            part.linesOf(index) === sourceLines
          )
        })
      )
    }),
    { numRuns: 100 },
  )
})

t.test('it grows to what is usual exactly, and beyond only for what is larger', async (t) => {
  const part = new Part(1_100_000)
  const sizes = new Set<number>()
  for (let written = 0; written < 1_100_000; written += 1000) {
    part.reserve(1000)
    part.end += 1000
    sizes.add(part.buffer.length)
  }
  t.equal(Math.max(...sizes), 1_100_000)
  part.reserve(1)
  t.ok(part.buffer.length > 1_100_000)
})

t.test('the pool hands out empty parts and keeps no more than it may', async (t) => {
  const pool = new PartPool(2, 1000)
  const parts = [pool.take(), pool.take(), pool.take()]
  for (const part of parts) {
    part.reserve(10)
    part.end = 10
    part.note(1, 2, 3)
  }
  for (const part of parts) pool.give(part)
  const again = [pool.take(), pool.take(), pool.take()]
  t.equal(again.filter((part) => parts.includes(part)).length, 2)
  for (const part of again) t.match(part, { end: 0, count: 0, sourceBytes: 0, sourceLines: 0 })
})

t.test('what a backlog made larger than four usual ones is given back', async (t) => {
  const pool = new PartPool(2, 100_000)
  const [large, usual] = [pool.take(), pool.take()]
  large.reserve(400_001)
  usual.reserve(400_000)
  const { buffer } = large
  pool.give(large)
  pool.give(usual)
  t.equal(buffer.length, 0)
  t.equal(pool.take(), usual)
  t.not(pool.take(), large)
})
