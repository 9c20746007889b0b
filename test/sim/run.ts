// `npm run sim -- SEED [--runs N] [--trace]`: runs the worlds SEED, SEED + 1, … and says which faults each had and what
// came of it. Exit code 1 when a promise was broken; the line that replays it is printed. For the search of causes:
// `--without KIND,…` leaves kinds of faults out, `--shrink` looks for all that a broken world can do without, `--stop`
// ends with the first broken one, `--hard` adds the kinds that are known to break something.
import { parseArgs } from 'node:util'
import { describeFaults, HARD_KINDS } from './faults.ts'
import { World } from './world.ts'

const USAGE = 'usage: npm run sim -- SEED [--runs N] [--trace] [--without KIND,…] [--hard] [--stop] [--shrink]'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
    without: { type: 'string', default: '' },
    hard: { type: 'boolean', default: false },
    stop: { type: 'boolean', default: false },
    shrink: { type: 'boolean', default: false },
  },
})
const seed = Number(positionals[0])
const runs = Number(values.runs)
if (positionals.length !== 1 || !Number.isSafeInteger(seed) || !Number.isSafeInteger(runs)) {
  console.error(USAGE)
  process.exit(2)
}
const without = values.without.split(',').filter((kind) => kind !== '')
if (!values.hard) without.push(...HARD_KINDS)
let failures = 0
for (let each = seed; each < seed + runs; each++) {
  if (await isKept(each)) continue
  failures++
  if (values.stop) break
}
if (runs > 1) console.log(`${runs - failures} of ${runs} worlds kept every promise`)
process.exitCode = failures > 0 ? 1 : 0

async function isKept(each: number): Promise<boolean> {
  const world = new World(each, values.trace ? (line) => console.log(line) : null, without)
  console.log(`seed ${each}\n${describeFaults(world.faults)}`)
  const began = performance.now()
  const { failure, hash, lines, destroyed, lives, virtualMs } = await world.run()
  const cost = `${Math.round(performance.now() - began)} ms for ${Math.round(virtualMs / 1000)} s`
  console.log(`  ${lines} lines, ${destroyed} of them destroyed unread, ${lives} lives, ${cost}, trace ${hash}`)
  if (failure === null) return true
  const replay = `${values.without === '' ? '' : ` --without ${values.without}`}${values.hard ? ' --hard' : ''}`
  console.log(`  BROKEN after ${(failure.atMs / 1000).toFixed(3)} s: ${failure.checker}: ${failure.message}`)
  console.log(`  again: npm run sim -- ${each}${replay} --trace`)
  if (values.shrink) await shrink(each, failure.checker)
  return false
}

/** Leaves out one kind after the other, for good where the same checker is still not content. */
async function shrink(each: number, checker: string): Promise<void> {
  const out = [...without]
  const { on } = new World(each, null, out).faults
  for (const kind of on) {
    const { failure } = await new World(each, null, [...out, kind]).run()
    if (failure?.checker === checker) out.push(kind)
  }
  const left = [...on].filter((kind) => !out.includes(kind))
  const { failure } = await new World(each, null, out).run()
  console.log(`  enough: ${left.join(' ')}: ${failure?.message}`)
  console.log(`  npm run sim -- ${each} --without ${out.join(',')} --trace`)
}
