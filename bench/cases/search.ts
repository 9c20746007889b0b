// Case `search`: `taffrail audit` looks for one object's name in an audit log, `grep -F` for the same word, in turn. Both write
// what they find to a file. CPU seconds are of the whole processes, Node's start among them; what is judged is the median
// of the ratios within a round.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Contender } from '../agent.ts'
import { fillAudit } from '../audit-corpus.ts'
import { makeDirectory, removeDirectory } from '../cleanup.ts'
import { Measured } from '../measure.ts'
import { type CaseResult, judged, median, megabytes, mib } from '../report.ts'
import type { Settings } from '../settings.ts'

const RUN_TIMEOUT_MS = 60_000
const TARGET_RATIO = 3
/** The word stands in fewer lines than one in so many. */
const LINES_MIN = 1000

interface Run {
  round: number
  program: string
  cpuSeconds: number
  wallSeconds: number
  rssAnonPeak: number
}

export async function search(settings: Settings, contender: Contender): Promise<CaseResult> {
  const root = makeDirectory(settings.parentDirectory)
  const corpus = fillAudit(root, settings.corpusBytes, settings.seed)
  const word = rareWord(corpus.path)
  const hits = Number(execFileSync('grep', ['-cF', word, corpus.path], { encoding: 'utf8' }))
  if (hits * LINES_MIN > corpus.events) throw new Error(`${word} stands in ${hits} of ${corpus.events} lines`)
  const programs = {
    grep: ['env', 'LC_ALL=C', 'grep', '-F', word, corpus.path],
    [contender.name]: [...contender.command.slice(0, -1), 'audit', corpus.path, '--name', word],
  }
  const runs: Run[] = []
  for (let round = 0; round <= settings.rounds; round++) {
    for (const [program, command] of Object.entries(programs)) {
      const measured = new Measured(command, settings.cores.measured, join(root, `${program}.txt`))
      await measured.success(RUN_TIMEOUT_MS)
      const { cpuSecondsWhole: cpuSeconds, wallSeconds, rssAnonPeak } = measured
      if (round > 0) runs.push({ round, program, cpuSeconds, wallSeconds, rssAnonPeak }) // the first warms the page cache
    }
  }
  const found = readFileSync(join(root, `${contender.name}.txt`), 'utf8').split(word).length > 1
  removeDirectory(root)
  if (!found) throw new Error(`${contender.name} did not find ${word}`)
  const of = (program: string) => runs.filter((run) => run.program === program)
  const greps = of('grep')
  const ratio = median(of(contender.name).map((run, at) => run.cpuSeconds / greps[at]!.cpuSeconds))
  const what = `${contender.name} audit --name: CPU seconds / grep -F's (${mib(corpus.bytes, 0)} MiB)`
  return {
    findings: [judged(what, `<= ${TARGET_RATIO}`, ratio.toFixed(2), ratio <= TARGET_RATIO)],
    raw: [
      {
        title: 'search',
        notes: [`${corpus.events} events, ${megabytes(corpus.bytes)} MB; ${hits} lines hold the word.`],
        head: ['Round', 'Program', 'CPU s', 'Wall s', 'RssAnon MiB'],
        rows: runs.map((run) => [
          String(run.round),
          run.program,
          run.cpuSeconds.toFixed(2),
          run.wallSeconds.toFixed(2),
          mib(run.rssAnonPeak),
        ]),
      },
    ],
  }
}

/** The name of some object, as it stands in the log's first events. */
function rareWord(path: string): string {
  const start = execFileSync('head', ['-n', '400', path], { encoding: 'utf8' })
  for (const line of start.trimEnd().split('\n').toReversed()) {
    const { verb, objectRef } = JSON.parse(line) as { verb: string; objectRef?: { name?: string } }
    if (verb === 'delete' && objectRef?.name !== undefined) return objectRef.name
  }
  throw new Error('no event of the log names an object that was deleted')
}
