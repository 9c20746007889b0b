// Compression in pieces: one gzip member, whatever the size, and no memory of others touched.
import { randomBytes } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { release } from '../../../src/core/memory.ts'
import { gzip } from '../../../src/sinks/elasticsearch/gzip.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const MIB = 1024 * 1024

t.test('what is compressed comes back, at every level and around the size of a piece', async (t) => {
  const pool = Array.from({ length: 64 }, (_, n) => Buffer.from(`in the pool ${n}`))
  for (const level of [1, 6, 9]) {
    for (const bytes of [1, 1000, MIB - 1, MIB, MIB + 1, 3 * MIB + 5]) {
      const text = Buffer.alloc(bytes, 'a line that is nearly like the next ')
      const compressed = await gzip(text, level, new FakeClock())
      t.ok(gunzipSync(compressed).equals(text), `${bytes} bytes at level ${level}`)
      release(compressed)
    }
  }
  const noise = randomBytes(2 * MIB)
  t.ok(gunzipSync(await gzip(noise, 1, new FakeClock())).equals(noise), 'what cannot be compressed')
  t.strictSame(
    pool.map(String),
    pool.map((_, n) => `in the pool ${n}`),
  )
})

t.test('others get a turn between two pieces', async (t) => {
  let turns = 0
  const clock = new FakeClock()
  const yielding = { ...clock, yield: async () => void turns++ } as unknown as FakeClock
  await gzip(Buffer.alloc(4 * MIB), 1, yielding)
  t.equal(turns, 3)
})
