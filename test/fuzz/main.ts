// `npm run fuzz -- MINUTES [--seed N] [--target NAME] [--path P]`: the fuzz targets in turn, for as long as it is told; 0 minutes
// are one round. They run in a thread, so that one that hangs is noticed. Prints each target with its runs and the
// first seed, and for a finding the input and a command that shows it again. Exit codes: 0 nothing was found, 1 something
// was, 2 bad usage.
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { type Outcome, replayCommand, runTarget } from './target.ts'
import { targets } from './targets.ts'

const USAGE = `Usage: npm run fuzz -- MINUTES [--seed N] [--target NAME] [--path P]

  MINUTES        how long; 0 is one round
  --seed N       of the first round; printed, and drawn when it is left out
  --target NAME  only this one of ${[...targets.keys()].join(', ')}
  --path P       of a counterexample that was printed: only this input
`
const RUNS = 200
/** A round of one target takes far less than a second. */
const HANG_MS = 60_000
const SEED_MAX = 0x7fff_ffff

interface Options {
  minutes: number
  seed: number
  names: string[]
  path: string | undefined
}

/** What the thread says: it begins with a target, or has come to its end. */
type Report = { begun: { target: string; seed: number } } | { outcome: Outcome }

function parse(args: string[]): Options | string {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { seed: { type: 'string' }, target: { type: 'string' }, path: { type: 'string' } },
    })
    const minutes = Number(positionals[0] ?? Number.NaN)
    if (positionals.length !== 1 || !(minutes >= 0)) return 'MINUTES must be a number'
    const seed = values.seed === undefined ? Math.floor(Math.random() * SEED_MAX) : Number(values.seed)
    if (!Number.isInteger(seed)) return `--seed ${values.seed}: must be a whole number`
    const { target, path } = values
    if (target !== undefined && !targets.has(target)) return `--target ${target}: there is none of that name`
    if (path !== undefined && target === undefined) return '--path needs --target'
    return { minutes, seed, names: target === undefined ? [...targets.keys()] : [target], path }
  } catch (error) {
    return (error as Error).message
  }
}

/** In the thread: one target after the other, each round with the next seed. */
async function work({ minutes, seed, names, path }: Options): Promise<void> {
  const say = (report: Report) => parentPort?.postMessage(report)
  const until = performance.now() + minutes * 60_000
  const broken = new Set<string>()
  for (let round = seed; ; round++) {
    for (const name of names) {
      if (broken.has(name)) continue
      say({ begun: { target: name, seed: round } })
      const target = targets.get(name)
      if (target === undefined) continue
      const outcome = await runTarget(target, { seed: round, runs: RUNS, ...(path !== undefined && { path }) })
      if (outcome.failure !== null) broken.add(name)
      say({ outcome })
    }
    if (performance.now() >= until || broken.size === names.length) return
  }
}

/** Starts the thread and keeps the account; gives the exit code. */
async function watch(options: Options): Promise<number> {
  const { names, seed, minutes } = options
  const runs = new Map(names.map((name) => [name, 0]))
  const failures: Outcome[] = []
  let current = { target: '', seed }
  let since = performance.now()
  console.log(`seed ${seed}, ${minutes} minutes, ${names.length} targets`)
  const thread = new Worker(new URL(import.meta.url), { workerData: options })
  const { promise, resolve, reject } = Promise.withResolvers<boolean>()
  const timer = setInterval(() => {
    if (performance.now() - since > HANG_MS) resolve(false)
  }, 1000)
  thread.on('message', (report: Report) => {
    since = performance.now()
    if ('begun' in report) {
      current = report.begun
      return
    }
    const { outcome } = report
    runs.set(outcome.target, (runs.get(outcome.target) ?? 0) + outcome.runs)
    if (outcome.failure === null) return
    failures.push(outcome)
    const { counterexample, message } = outcome.failure
    console.log(`\n${outcome.target}: FAILED with seed ${outcome.seed} after ${outcome.runs} runs`)
    console.log(`  input: ${counterexample}\n  ${message}\n  again: ${replayCommand(outcome)}\n`)
  })
  thread.on('exit', () => resolve(true))
  thread.on('error', reject)
  const ended = await promise.finally(() => clearInterval(timer))
  if (!ended) {
    await thread.terminate()
    const again = replayCommand({ ...current, runs: 0, failure: null })
    console.log(`\n${current.target}: HANGS with seed ${current.seed}\n  again: ${again}\n`)
  }
  for (const [name, count] of runs) {
    const bad = failures.some(({ target }) => target === name) || (!ended && name === current.target)
    console.log(`${name.padEnd(20)} ${String(count).padStart(9)} runs  ${bad ? 'FAILED' : 'ok'}`)
  }
  return ended && failures.length === 0 ? 0 : 1
}

if (isMainThread) {
  const options = parse(process.argv.slice(2))
  if (typeof options === 'string') {
    console.error(`fuzz: ${options}\n\n${USAGE}`)
    process.exitCode = 2
  } else process.exitCode = await watch(options)
} else await work(workerData as Options)
