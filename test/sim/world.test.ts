// The simulation itself: the same seed is the same world, and other seeds are others.
import t from 'tap'
import { Draw } from './draw.ts'
import { drawFaults, FAULT_KINDS, type FaultKind } from './faults.ts'
import { World } from './world.ts'

t.test('the same seed is the same world, to the last call', async (t) => {
  for (const seed of [1, 7, 2000]) {
    const first = await new World(seed).run()
    const second = await new World(seed).run()
    t.equal(second.hash, first.hash, `seed ${seed}`)
    t.ok(first.lines > 0 && first.lives > 0)
  }
  t.not((await new World(3).run()).hash, (await new World(4).run()).hash)
})

t.test('every kind of fault has its worlds', async (t) => {
  const seen = new Set<FaultKind>()
  for (let seed = 0; seed < 500; seed++) for (const kind of drawFaults(new Draw(seed)).on) seen.add(kind)
  t.strictSame([...seen].sort(), Object.keys(FAULT_KINDS).sort())
})
