// The account of a sink, where somebody else chooses the reasons.
import t from 'tap'
import { Ledger } from '../../src/core/ledger.ts'

t.test('a sink that has a new name for every refusal makes no more than some hundred reasons', async (t) => {
  const ledger = new Ledger()
  const count = 1000
  ledger.take(count * 10, count)
  for (let i = 0; i < count; i++) ledger.settle('deadLettered', `exception_${i}`, 10, 1)
  t.ok(ledger.deadLettered.size < 300, `${ledger.deadLettered.size} reasons`)
  t.strictSame(ledger.deadLettered.get('exception_7'), { bytes: 10, lines: 1 }, 'the first are kept apart')
  t.strictSame(ledger.imbalance(), { bytes: 0, lines: 0 })

  const others = ledger.deadLettered.get('other')?.bytes as number
  for (let i = 0; i < count; i++) ledger.evict(`exception_${i}`, 10, 1)
  t.ok(others > 5000)
  t.equal(ledger.read.bytes, count * 10, 'letters of this process are not taken for those of an earlier one')
  t.strictSame(ledger.deadLettered.get('other'), { bytes: 0, lines: 0 })
  t.strictSame(ledger.imbalance(), { bytes: 0, lines: 0 })
})
