// Each fuzz target for a moment, with a fixed seed, so that what it finds here it finds everywhere; `npm run fuzz` goes on.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { TaffrailError } from '../../src/core/errors.ts'
import fc from '../support/properties.ts'
import { orTaffrailError, replayCommand, runTarget, target } from './target.ts'
import { targets } from './targets.ts'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))
const SEED = 20_261_121
const RUNS = 150

for (const target of targets.values()) {
  t.test(`fuzz: ${target.name}`, async (t) => {
    const outcome = await runTarget(target, { seed: SEED, runs: RUNS })
    t.equal(outcome.failure, null, replayCommand(outcome))
    t.equal(outcome.runs, RUNS)
  })
}

t.test('a finding names its smallest input, and is found again by the command that it prints', async (t) => {
  const broken = target('broken', fc.array(fc.nat()), (numbers) => {
    if (numbers.some((number) => number > 1000)) throw new Error('too large')
  })
  const outcome = await runTarget(broken, { seed: 5, runs: 200 })
  t.equal(outcome.failure?.counterexample, '[[1001]]')
  t.match(outcome.failure?.message, /too large/)
  t.match(replayCommand(outcome), `--target broken --seed 5 --path ${outcome.failure?.path}`)
  const again = await runTarget(broken, { seed: 5, runs: 200, path: outcome.failure?.path ?? '' })
  t.equal(again.failure?.counterexample, '[[1001]]')
})

t.test('errors of ours may come, others may not', async (t) => {
  orTaffrailError(() => {
    throw new TaffrailError('CODE', 'ours')
  })
  t.throws(() => orTaffrailError(() => void (null as unknown as string).length))
})

t.test('the long mode: a round, a target, and bad usage', async (t) => {
  const run = (...args: string[]) => spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' })
  const round = run('0', '--seed', '7', '--target', 'cri')
  t.strictSame([round.status, round.stderr], [0, ''])
  t.match(round.stdout, /^seed 7, 0 minutes, 1 targets\ncri +200 runs {2}ok\n$/)
  const { status, stderr } = run('0', '--target', 'none')
  t.equal(status, 2)
  t.match(stderr, /^fuzz: --target none: there is none of that name\n\nUsage: npm run fuzz/)
})
