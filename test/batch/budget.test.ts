// The byte budget: never over its total, and nobody's least is ever taken by another one.

import t from 'tap'
import { ByteBudget } from '../../src/core/budget.ts'
import fc from '../support/properties.ts'

t.test('whatever is taken and released, the invariants hold', async () => {
  const step = fc.record({ share: fc.nat(2), bytes: fc.integer({ min: 1, max: 60 }), take: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const budget = new ByteBudget(100)
      const shares = [budget.share(20), budget.share(30), budget.share(0)]
      for (const { share: index, bytes, take } of steps) {
        const share = shares[index]!
        if (take) {
          const could = share.usedBytes + bytes <= share.bytesMin
          if (!share.tryTake(bytes, () => {}) && could) return false
        } else if (share.usedBytes >= bytes) share.release(bytes)
        const used = shares.reduce((sum, { usedBytes }) => sum + usedBytes, 0)
        const least = shares.reduce((sum, each) => sum + Math.max(0, each.bytesMin - each.usedBytes), 0)
        if (budget.usedBytes !== used || used < 0 || used + least > 100) return false
      }
      return true
    }),
    { numRuns: 1000 },
  )
})

t.test('who got nothing is woken once, by a release of anybody', async (t) => {
  const budget = new ByteBudget(100)
  const a = budget.share(0)
  const b = budget.share(0)
  let woken = 0
  t.ok(a.tryTake(100, () => t.fail()))
  for (let i = 0; i < 1000; i++) t.notOk(b.tryTake(10, () => woken++))
  a.release(5)
  t.equal(woken, 1)
  a.release(5)
  t.equal(woken, 1, 'not again, until it asks again')
  t.ok(b.tryTake(10, () => t.fail()))
})

t.test('a budget that lies is a bug', async (t) => {
  const budget = new ByteBudget(100)
  const share = budget.share(10)
  share.tryTake(5, () => {})
  t.throws(() => share.release(6), /released 1 bytes more than were taken/)
  t.throws(() => new ByteBudget(10).share(11), /10 bytes are too few/)
})
