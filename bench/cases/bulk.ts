// Case `bulk`: an elasticsearch sink and its floor on the same corpus, with gzip and without, round by round. A first run of
// the agent, not counted, records the documents that the floor sends. As in `throughput`, CPU seconds count from the
// start of work, and the ratio is taken pair by pair within a round.

import { join } from 'node:path'
import { agentCommand, type Contender } from '../agent.ts'
import type { BulkQuestion, BulkReport } from '../bulk-receiver.ts'
import { makeDirectory, removeDirectory } from '../cleanup.ts'
import type { Corpus } from '../corpus.ts'
import { Helper } from '../helper.ts'
import { Measured } from '../measure.ts'
import { type CaseResult, type Finding, judged, median, megabytes, mib, type Table } from '../report.ts'
import type { Settings } from '../settings.ts'

const RUN_TIMEOUT_MS = 5 * 60_000
const TARGET_RATIO = 1.6
const TARGET_MB_PER_CPU_SECOND = 100
const TARGET_RSS_ANON = 64 * 2 ** 20
const LEVELS = [1, 0]
const FLOOR = 'floor'

interface Run extends BulkReport {
  program: string
  level: number
  round: number
  cpuSeconds: number
  rssAnonPeak: number
  wallSeconds: number
}

export async function bulk(settings: Settings, corpus: Corpus): Promise<CaseResult> {
  const [helper, first] = await Helper.start(settings.cores.others, './bulk-receiver.ts', [])
  const rig = new Rig(settings, corpus, helper, `http://127.0.0.1:${first.port as number}`)
  const runs: Run[] = []
  const [contender] = settings.contenders as [Contender]
  await rig.run(contender, 1, 0, rig.documents)
  for (const level of LEVELS) {
    for (let round = 1; round <= settings.rounds; round++) {
      runs.push(await rig.run(null, level, round), await rig.run(contender, level, round))
    }
  }
  await helper.stop()
  rig.close()
  return {
    findings: LEVELS.flatMap((level) => judge(contender.name, level, runs, corpus)),
    raw: [rawTable(runs, corpus)],
  }
}

class Rig {
  readonly documents: string
  readonly #settings: Settings
  readonly #corpus: Corpus
  readonly #helper: Helper
  readonly #url: string
  readonly #directory: string

  constructor(settings: Settings, corpus: Corpus, helper: Helper, url: string) {
    this.#settings = settings
    this.#corpus = corpus
    this.#helper = helper
    this.#url = url
    this.#directory = makeDirectory(settings.parentDirectory)
    this.documents = join(this.#directory, 'documents.ndjson')
  }

  /** `contender` null: the floor. `record`: where what is sent is kept. */
  async run(contender: Contender | null, level: number, round: number, record: string | null = null): Promise<Run> {
    const directory = makeDirectory(this.#settings.parentDirectory)
    const { links } = this.#corpus.tree
    const sink = { name: 'es', type: 'elasticsearch', urls: [this.#url], gzipLevel: level }
    const floor = new URL('../bulk-floor.ts', import.meta.url).pathname
    const command =
      contender === null
        ? [process.execPath, floor, links, this.documents, this.#url, String(level)]
        : agentCommand(contender, { directory, links, url: this.#url, once: true, sink })
    await this.#helper.ask({ ask: 'reset', record } satisfies BulkQuestion)
    let cpuSecondsOfStart = 0
    const measured = new Measured(command, this.#settings.cores.measured, join(directory, 'output'))
    this.#helper.onNotice = () => {
      cpuSecondsOfStart = measured.cpuSecondsSampled
    }
    await measured.success(RUN_TIMEOUT_MS)
    const report = await this.#helper.ask<BulkReport>({ ask: 'report' } satisfies BulkQuestion)
    removeDirectory(directory)
    const { wallSeconds, rssAnonPeak } = measured
    const program = contender?.name ?? FLOOR
    // The floor has read the corpus before its first post: all of it counts.
    const cpuSeconds = measured.cpuSecondsWhole - (contender === null ? 0 : cpuSecondsOfStart)
    const speed = (this.#corpus.bytes / 1e6 / cpuSeconds).toFixed(0)
    const title = round === 0 ? 'not counted' : `round ${round}`
    console.log(`  ${title}, ${program}, gzip ${level}: ${speed} MB/CPU s, RssAnon ${mib(rssAnonPeak)} MiB`)
    return { program, level, round, cpuSeconds, wallSeconds, rssAnonPeak, ...report }
  }

  close(): void {
    removeDirectory(this.#directory)
  }
}

function judge(name: string, level: number, runs: readonly Run[], corpus: Corpus): Finding[] {
  const own = runs.filter((run) => run.program === name && run.level === level)
  const floors = runs.filter((run) => run.program === FLOOR && run.level === level)
  const ratios = own.map((run, at) => run.cpuSeconds / floors[at]!.cpuSeconds)
  const ratio = median(ratios)
  const speed = median(own.map((run) => corpus.bytes / 1e6 / run.cpuSeconds))
  const floorSpeed = median(floors.map((run) => corpus.bytes / 1e6 / run.cpuSeconds))
  const rssAnon = Math.max(...own.map((run) => run.rssAnonPeak))
  const spread = `${ratio.toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`
  const what = `${name}, _bulk, ${level === 0 ? 'not compressed' : `gzip level ${level}`}`
  const memory = judged(`${what}: RssAnon peak, MiB`, '<= 64', mib(rssAnon), rssAnon <= TARGET_RSS_ANON)
  const fast = `${speed.toFixed(0)} (floor ${floorSpeed.toFixed(0)})`
  if (level > 0) {
    return [
      judged(`${what}: CPU seconds / floor's`, `<= ${TARGET_RATIO}`, spread, ratio <= TARGET_RATIO),
      { what: `${what}: MB per CPU second`, target: 'stated', measured: fast, verdict: 'stated' },
      memory,
    ]
  }
  const finding = judged(
    `${what}: MB per CPU second`,
    `>= ${TARGET_MB_PER_CPU_SECOND}`,
    fast,
    speed >= TARGET_MB_PER_CPU_SECOND,
  )
  // Below the target and within the ratio: then the floor is slow here too, and the ratio counts.
  if (finding.verdict === 'FAIL' && ratio <= TARGET_RATIO) finding.verdict = 'slow machine'
  return [
    finding,
    { what: `${what}: CPU seconds / floor's`, target: 'stated', measured: spread, verdict: 'stated' },
    memory,
  ]
}

function rawTable(runs: readonly Run[], corpus: Corpus): Table {
  return {
    title: 'bulk',
    notes: [
      `${corpus.rows} rows, ${megabytes(corpus.bytes)} MB. The floor's CPU seconds are those of the whole process: it reads the corpus before its first request.`,
    ],
    head: [
      'Round',
      'Program',
      'gzip',
      'CPU s',
      'MB/CPU s',
      'Wall s',
      'RssAnon MiB',
      'Requests',
      'Documents',
      'Bulk MB',
      'Sent MB',
    ],
    rows: runs.map((run) => [
      String(run.round),
      run.program,
      String(run.level),
      run.cpuSeconds.toFixed(2),
      (corpus.bytes / 1e6 / run.cpuSeconds).toFixed(0),
      run.wallSeconds.toFixed(2),
      mib(run.rssAnonPeak),
      String(run.requests),
      String(run.documents),
      megabytes(run.bulkBytes),
      megabytes(run.sentBytes),
    ]),
  }
}
