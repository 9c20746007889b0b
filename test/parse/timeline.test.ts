// The time rule: lines of one stream get different times, and a repeat gets the same ones.

import t from 'tap'
import { STDERR, STDOUT } from '../../src/core/entry.ts'
import { Timeline } from '../../src/parse/timeline.ts'
import fc from '../support/properties.ts'

function emit(timeline: Timeline, stream: number, seconds: number, nanos: number): bigint {
  timeline.emit(stream, seconds, nanos)
  if (timeline.nanos < 0 || timeline.nanos > 999_999_999) throw new Error(`${timeline.nanos} nanoseconds`)
  return BigInt(timeline.seconds) * 1_000_000_000n + BigInt(timeline.nanos)
}

t.test('500 lines at one nanosecond, then one of the next', async (t) => {
  const timeline = new Timeline()
  const start = 100_000_000_000n
  for (let i = 0n; i < 500n; i++) t.equal(emit(timeline, STDOUT, 100, 0), start + i)
  t.equal(emit(timeline, STDOUT, 100, 1), start + 500n, 'after all of them')
  t.equal(emit(timeline, STDOUT, 100, 2), start + 501n)
  t.equal(emit(timeline, STDOUT, 100, 1000), start + 1000n, 'a time past all that was emitted stands')
})

t.test('the second turns over', async (t) => {
  const timeline = new Timeline()
  emit(timeline, STDOUT, 100, 999_999_999)
  t.equal(emit(timeline, STDOUT, 100, 999_999_999), 101_000_000_000n)
  t.equal(emit(timeline, STDOUT, 101, 0), 101_000_000_001n)
})

t.test('a clock that goes back is believed', async (t) => {
  const timeline = new Timeline()
  emit(timeline, STDOUT, 100, 5)
  t.equal(emit(timeline, STDOUT, 99, 5), 99_000_000_005n)
  t.equal(emit(timeline, STDOUT, 99, 5), 99_000_000_006n)
  t.equal(emit(timeline, STDOUT, 99, 6), 99_000_000_007n)
  t.equal(emit(timeline, STDOUT, 100, 0), 100_000_000_000n)
})

t.test('the streams do not move each other', async (t) => {
  const timeline = new Timeline()
  for (let i = 0; i < 10; i++) emit(timeline, STDOUT, 100, 0)
  t.equal(emit(timeline, STDERR, 100, 0), 100_000_000_000n)
  t.equal(emit(timeline, STDERR, 100, 0), 100_000_000_001n)
  t.equal(emit(timeline, STDOUT, 100, 0), 100_000_000_010n)
})

t.test('the time of the row before', async (t) => {
  const timeline = new Timeline()
  t.equal(timeline.rowSeconds, -1)
  timeline.row(7, 8)
  t.equal(timeline.rowSeconds, 7)
  t.equal(timeline.rowNanos, 8)
  const other = new Timeline()
  other.load(timeline.save())
  t.equal(other.rowSeconds, 7)
  t.equal(other.rowNanos, 8)
  for (const state of [null, [], [1, 2, 3]]) {
    other.load(state)
    t.equal(other.rowSeconds, -1, 'a state of another kind is none')
    t.equal(emit(other, STDOUT, 1, 0), 1_000_000_000n)
  }
})

t.test('property: saved and loaded between any two lines, through JSON, the times are the same', async () => {
  // Few different times, so that most of them collide.
  const line = fc.record({
    stream: fc.constantFrom(STDOUT, STDERR),
    seconds: fc.integer({ min: 5, max: 7 }),
    nanos: fc.constantFrom(0, 1, 2, 999_999_998, 999_999_999),
    saved: fc.boolean(),
  })
  const check = fc.property(fc.array(line, { maxLength: 60 }), (lines) => {
    const straight = new Timeline()
    let repeated = new Timeline()
    const last = new Map<number, { own: bigint; emitted: bigint }>()
    for (const { stream, seconds, nanos, saved } of lines) {
      if (saved) {
        const state = JSON.parse(JSON.stringify(repeated.save())) as number[]
        repeated = new Timeline()
        repeated.load(state)
      }
      const emitted = emit(straight, stream, seconds, nanos)
      if (emit(repeated, stream, seconds, nanos) !== emitted) return false
      // The rule itself, in other words.
      const own = BigInt(seconds) * 1_000_000_000n + BigInt(nanos)
      const before = last.get(stream)
      const expected = before === undefined || own > before.emitted || own < before.own ? own : before.emitted + 1n
      if (emitted !== expected) return false
      last.set(stream, { own, emitted })
    }
    return true
  })
  fc.assert(check, { numRuns: 2000 })
})

t.test('property: while a stream does not go back, its times ascend strictly', async () => {
  const check = fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 100 }), (steps) => {
    const timeline = new Timeline()
    let nanos = 0
    let before = -1n
    return steps.every((step) => {
      nanos += step
      const now = emit(timeline, STDOUT, 9, nanos)
      const ok = now > before && now >= BigInt(9e9) + BigInt(nanos)
      before = now
      return ok
    })
  })
  fc.assert(check, { numRuns: 500 })
})
