// The verifier has to find each kind of trouble, and nothing where there is none.

import t from 'tap'
import { readSampleLine, sampleLine } from '../../src/demo/sample-line.ts'
import { SequenceSet, Verifier } from '../../src/demo/verifier.ts'
import fc from '../support/properties.ts'

const LABELS = { app: 'a' }
const line = (sequence: number, writer = 'w1') => sampleLine(writer, sequence, 100)
const CLEAN = { missing: 0, duplicates: 0, repeats: 0, repeatsUnchecked: 0, corrupt: 0, outOfOrder: 0, unexpected: 0 }

function see(verifier: Verifier, ...sequences: number[]) {
  for (const sequence of sequences) verifier.see(LABELS, BigInt(sequence), line(sequence))
}

t.test('sample lines', (t) => {
  t.match(sampleLine('w1', 7, 80).toString(), /^w=w1 n=7 c=[0-9a-f]{8} .{60}$/)
  for (const bytes of [0, 18, 19, 20, 21, 100, 16_384, 100_000, 700_000]) {
    const made = sampleLine('w1', 12, bytes)
    t.equal(made.length, Math.max(bytes, 'w=w1 n=12 c=00000000'.length))
    t.match(readSampleLine(made), { writer: 'w1', sequence: 12 })
    t.notOk(made.includes(10))
    t.ok(made.equals(sampleLine('w1', 12, bytes)))
  }
  t.notOk(sampleLine('w1', 12, 100).equals(sampleLine('w1', 13, 100)))
  t.notOk(
    sampleLine('w1', 1, 100_000)
      .subarray(16_384, 32_768)
      .equals(sampleLine('w1', 1, 100_000).subarray(0, 16_384)),
  )
  t.end()
})

t.test('any change to a sample line is seen', (t) => {
  fc.assert(
    fc.property(
      fc.nat(99_999),
      fc.integer({ min: 30, max: 5000 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (n, bytes, at, flip) => {
        const damaged = sampleLine('w1', n, bytes)
        damaged[at % damaged.length]! ^= flip
        t.equal(readSampleLine(damaged), null)
      },
    ),
  )
  const whole = sampleLine('w1', 1, 100_000)
  t.equal(readSampleLine(whole.subarray(0, 99_999)), null, 'cut')
  t.equal(readSampleLine(whole.subarray(16_384)), null, 'a piece that was not joined')
  t.equal(readSampleLine(Buffer.concat([whole.subarray(0, 16_384), whole.subarray(32_768)])), null, 'a piece lost')
  t.equal(readSampleLine(Buffer.concat([whole, Buffer.from(' ')])), null, 'something added')
  t.equal(readSampleLine(Buffer.from('')), null)
  t.end()
})

t.test('exact delivery', (t) => {
  const verifier = new Verifier()
  verifier.expect('w1', 1000)
  verifier.expect(2, 1)
  for (let sequence = 1; sequence <= 1000; sequence++) see(verifier, sequence)
  t.notOk(verifier.report().exact, 'the second writer is still missing')
  verifier.see({ app: 'b' }, 1n, line(1, '2'))
  t.strictSame(verifier.report(), {
    expected: 1001,
    seen: 1001,
    ...CLEAN,
    missingRanges: {},
    examples: [],
    exact: true,
  })
  t.end()
})

t.test('missing lines are named', (t) => {
  const verifier = new Verifier()
  verifier.expect('w1', 10)
  verifier.expect('w2', 3)
  see(verifier, 2, 3, 7, 9)
  t.match(verifier.report(), {
    expected: 13,
    seen: 4,
    missing: 9,
    missingRanges: {
      w1: [
        [1, 1],
        [4, 6],
        [8, 8],
        [10, 10],
      ],
      w2: [[1, 3]],
    },
    exact: false,
  })
  see(verifier, 10)
  t.match(verifier.report(), {
    missingRanges: {
      w1: [
        [1, 1],
        [4, 6],
        [8, 8],
      ],
    },
  })
  t.end()
})

t.test('a repeat is harmless, a duplicate is not', (t) => {
  const verifier = new Verifier()
  verifier.expect('w1', 5)
  see(verifier, 1, 2, 3, 4, 5)
  see(verifier, 1, 3, 5, 5)
  verifier.see({ app: 'a' }, 2n, line(2))
  t.match(verifier.report(), { ...CLEAN, repeats: 5, exact: true })

  verifier.see(LABELS, 99n, line(1))
  t.match(verifier.report(), { duplicates: 1, exact: false, examples: [/duplicates: w=w1 n=1 at 99/] })
  verifier.see({ app: 'a', late: 'true' }, 1n, line(1))
  t.match(verifier.report(), { duplicates: 2 })
  verifier.see(LABELS, 1n, line(1), { pod: 'p' })
  t.match(verifier.report(), { duplicates: 3 })
  verifier.see(LABELS, 1n, sampleLine('w1', 1, 101))
  t.match(verifier.report(), { duplicates: 4, repeats: 5, outOfOrder: 0 })
  verifier.see({ app: 'a' }, 1n, line(1), {}, 'other')
  t.match(verifier.report(), { duplicates: 5, repeats: 5, outOfOrder: 0 })
  t.end()
})

t.test('damage, strangers and lines never written', (t) => {
  const verifier = new Verifier()
  verifier.expect('w1', 2)
  see(verifier, 1, 2)
  verifier.see(LABELS, 3n, Buffer.from('hello'))
  verifier.see(LABELS, 3n, line(1).subarray(0, 50))
  t.match(verifier.report(), { corrupt: 2, seen: 2, unexpected: 0, exact: false })
  see(verifier, 3)
  verifier.see(LABELS, 3n, line(1, 'nobody'))
  t.match(verifier.report(), { unexpected: 2, seen: 2 })
  t.end()
})

t.test('order counts within one writer and stream', (t) => {
  const verifier = new Verifier()
  verifier.expect('w1', 5)
  see(verifier, 2, 3)
  verifier.see({ app: 'late' }, 1n, line(1))
  verifier.see(LABELS, 1n, line(1, 'w2'))
  t.equal(verifier.report().outOfOrder, 0)
  see(verifier, 5, 4)
  t.match(verifier.report(), { outOfOrder: 1, missing: 0, exact: false, examples: ['outOfOrder: w=w1 n=4 after n=5'] })
  see(verifier, 2)
  t.match(verifier.report(), { outOfOrder: 1, repeats: 1 }, 'a repeat is not out of order')
  t.end()
})

t.test('what is long ago is forgotten, and said to be', (t) => {
  const verifier = new Verifier()
  const far = 1 << 20
  see(verifier, 1, 2, 1000, 5000, far, far + 1)
  see(verifier, 2, 1000, 5000, far)
  t.match(verifier.report(), { repeats: 4, repeatsUnchecked: 0, duplicates: 0 })
  see(verifier, 1)
  t.match(verifier.report(), { repeats: 4, repeatsUnchecked: 1, duplicates: 0 })
  t.end()
})

t.test('a sequence set is a set', (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60 })), fc.integer({ min: 0, max: 70 }), (numbers, last) => {
      const set = new SequenceSet()
      const model = new Set<number>()
      for (const number of numbers) {
        t.equal(set.add(number), !model.has(number))
        model.add(number)
      }
      t.equal(set.count, model.size)
      const missing = Array.from({ length: last }, (_, index) => index + 1).filter((number) => !model.has(number))
      t.equal(set.countUpTo(last), last - missing.length)
      const gaps = set.gapsUpTo(last, 100)
      const listed = gaps.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, index) => from + index))
      t.strictSame(listed, missing)
    }),
  )
  t.end()
})
