// A shipment's parts come back to their places, so that those which hold nothing stay small.
import t from 'tap'
import { Lane } from '../../src/batch/lane.ts'
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

t.test(
  'what a sink compresses as it writes counts for a request as if it did not, and for memory as it lies there',
  async (t) => {
    const frame = { separateStreams: true, beginSegment() {}, endSegment() {} }
    const shipment = new Shipment(frame, new PartPool(2, 1_000_000))
    shipment.begin(new Lane('lane'), 1000, 10, true)
    const [part] = shipment.parts
    part.put(Buffer.alloc(100))
    part.savedBytes += 500
    t.equal(shipment.roomBytes, 400)
    t.equal(shipment.bytes, 100)
    shipment.extend(700)
    t.equal(shipment.roomBytes, 700)
    shipment.release()
    t.equal(part.size, 0, 'a part that is used again begins anew')
  },
)
