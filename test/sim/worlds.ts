// Runs a part of the worlds that the commit stands for, and says of each that broke how to see it again.
import type { Test } from 'tap'
import { describeFaults } from './faults.ts'
import { firstSeed } from './seeds.ts'
import { World } from './world.ts'

const WORLDS = 50
const TIMEOUT_MS = 600_000

/** A quarter of this commit’s worlds, by number from 0. */
export async function keepsPromises(t: Test, part: number): Promise<void> {
  t.setTimeout(TIMEOUT_MS)
  const first = firstSeed() + part * WORLDS
  let lines = 0
  for (let seed = first; seed < first + WORLDS; seed++) {
    const outcome = await new World(seed).run()
    lines += outcome.lines
    if (outcome.failure === null) continue
    const { checker, message, atMs } = outcome.failure
    const again = `again: npm run sim -- ${seed} --trace`
    t.fail(`seed ${seed}, ${checker} after ${atMs} ms: ${message}\n${describeFaults(outcome.faults)}\n  ${again}`)
  }
  t.ok(lines > 100 * WORLDS, `worlds ${first} to ${first + WORLDS - 1}: ${lines} lines`)
}
