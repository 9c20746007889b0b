// `npm run sim -- SEED [--runs N] [--trace]`: runs the worlds SEED, SEED + 1, … and says which faults each had and what
// came of it. Exit code 1 when a promise was broken; the line that replays it is printed. For the search of causes:
// `--without KIND,…` leaves kinds of faults out, `--with KIND,…` puts them into every world, `--shrink` looks for all that a broken world can do without, `--stop`
// ends with the first broken one, `--sinks loki,elasticsearch` (or one of them) takes these instead of those that the seed draws.
import { parseArgs } from 'node:util'
import { describeFaults, FAULT_KINDS, type SinkKind } from './faults.ts'
import { World } from './world.ts'

const USAGE =
  'usage: npm run sim -- SEED [--runs N] [--trace] [--without KIND,…] [--with KIND,…] [--sinks SINK,…] [--stop] [--shrink]'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
    without: { type: 'string', default: '' },
    with: { type: 'string', default: '' },
    sinks: { type: 'string', default: '' },
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
const without = kindsOf(values.without)
const always = kindsOf(values.with)
const sinks = values.sinks === '' ? {} : { sinks: values.sinks.split(',') as SinkKind[] }
let failures = 0
for (let each = seed; each < seed + runs; each++) {
  if (await isKept(each)) continue
  failures++
  if (values.stop) break
}
if (runs > 1) console.log(`${runs - failures} of ${runs} worlds kept every promise`)
process.exitCode = failures > 0 ? 1 : 0

async function isKept(each: number): Promise<boolean> {
  const print = values.trace ? { print: (line: string) => console.log(line) } : {}
  const world = new World(each, { ...print, without, always, ...sinks })
  console.log(`seed ${each}\n${describeFaults(world.faults)}`)
  const began = performance.now()
  const { failure, hash, lines, destroyed, lives, virtualMs } = await world.run()
  const cost = `${Math.round(performance.now() - began)} ms for ${Math.round(virtualMs / 1000)} s`
  console.log(`  ${lines} lines, ${destroyed} of them destroyed unread, ${lives} lives, ${cost}, trace ${hash}`)
  if (failure === null) return true
  const kinds = (['without', 'with', 'sinks'] as const).map((name) =>
    values[name] === '' ? '' : ` --${name} ${values[name]}`,
  )
  const replay = kinds.join('')
  console.log(`  BROKEN after ${(failure.atMs / 1000).toFixed(3)} s: ${failure.checker}: ${failure.message}`)
  console.log(`  again: npm run sim -- ${each}${replay} --trace`)
  if (values.shrink) await shrink(each, failure.checker)
  return false
}

/** Leaves out one kind after the other, for good where the same checker is still not content. */
async function shrink(each: number, checker: string): Promise<void> {
  let out = [...without]
  let held = [...always]
  const { on } = new World(each, { without: out, always: held, ...sinks }).faults
  for (const kind of on) {
    const less = held.filter((other) => other !== kind)
    const { failure } = await new World(each, { without: [...out, kind], always: less, ...sinks }).run()
    if (failure?.checker !== checker) continue
    out = [...out, kind]
    held = less
  }
  const left = [...on].filter((kind) => !out.includes(kind))
  const { failure } = await new World(each, { without: out, always: held, ...sinks }).run()
  console.log(`  enough: ${left.join(' ')}: ${failure?.message}`)
  const put = held.length === 0 ? '' : ` --with ${held.join(',')}`
  console.log(
    `  npm run sim -- ${each} --without ${out.join(',')}${put}${values.sinks === '' ? '' : ` --sinks ${values.sinks}`} --trace`,
  )
}

function kindsOf(list: string): string[] {
  const kinds = list.split(',').filter((kind) => kind !== '')
  const unknown = kinds.filter((kind) => !(kind in FAULT_KINDS))
  if (unknown.length === 0) return kinds
  console.error(`no such kind of fault: ${unknown.join(', ')}`)
  process.exit(2)
}
