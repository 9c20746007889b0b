// The simulation can fail: bugs that are planted one by one are found within a bounded number of worlds, in worlds that
// keep every promise without them.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import type { WorldLimits } from './faults.ts'
import { PLANTED_BUGS } from './planted-bugs.ts'
import { World } from './world.ts'

const WORLDS_MAX = 40
const TIMEOUT_MS = 900_000

const run = promisify(execFile)

t.setTimeout(TIMEOUT_MS)
t.jobs = 2

for (const [name, { what, seed: first, world = { always: [] } }] of Object.entries(PLANTED_BUGS)) {
  t.test(`${name}: ${what}`, { timeout: TIMEOUT_MS }, async (t) => {
    const found = await search(name, first, WORLDS_MAX, world)
    t.match(found, /BROKEN/, `found within ${WORLDS_MAX} worlds`)
    const seed = Number(/again: npm run sim -- (\d+)/.exec(found)?.[1])
    const { failure } = await new World(seed, world).run()
    t.equal(failure, null, `world ${seed} is whole without it`)
  })
}

t.test('a bug that cannot be planted is no bug that was not found', async (t) => {
  await t.rejects(run(process.execPath, commandOf(1, 1), { env: { ...process.env, SIM_BUG: 'noSuchBug' } }), {
    message: /no such bug: noSuchBug/,
  })
})

/** What the run says that stops at the first broken world. */
async function search(name: string, seed: number, worlds: number, world: WorldLimits): Promise<string> {
  try {
    const { stdout } = await run(process.execPath, commandOf(seed, worlds, world), {
      env: { ...process.env, SIM_BUG: name },
    })
    return stdout
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    return `${stdout}${stderr}`
  }
}

function commandOf(seed: number, worlds: number, { always = [], sinks = [] }: WorldLimits = {}): string[] {
  const file = (name: string) => new URL(name, import.meta.url).pathname
  const kinds = [`--with=${always}`, `--sinks=${sinks}`]
  return ['--import', file('plant.ts'), file('run.ts'), String(seed), '--runs', String(worlds), '--stop', ...kinds]
}
