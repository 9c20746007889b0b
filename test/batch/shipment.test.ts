// A shipment's parts come back to their places, so that those which hold nothing stay small.
import t from 'tap'
import { PartPool } from '../../src/batch/part.ts'
import { Shipment } from '../../src/batch/shipment.ts'

t.test('where all goes into the first part, the second ones never grow', async (t) => {
  const frame = { separateStreams: false, beginSegment() {}, endSegment() {} }
  const pool = new PartPool(8, 1_000_000)
  const sizes = new Set<number>()
  for (let round = 0; round < 5; round++) {
    const shipments = Array.from({ length: 4 }, () => new Shipment(frame, pool))
    for (const { parts } of shipments) {
      parts[0].reserve(1_000_000)
      sizes.add(parts[1].buffer.length)
    }
    for (const at of [2, 0, 3, 1]) shipments[at]?.release()
  }
  t.strictSame([...sizes], [64 * 1024])
})
