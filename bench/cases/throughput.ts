// Case `throughput`: the floor and the agents read the same corpus in turn, round by round, each from nothing to its
// end (`--once`, an empty state directory). CPU seconds count from the start of work, which is the last look at the
// process before its first push arrived, to its end; what went before (Node, modules, configuration) is told beside them.
// The ratio is taken pair by pair within a round; what is judged are the medians, and of the memory the worst.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { agentCommand, type Contender } from '../agent.ts'
import { makeDirectory, removeDirectory } from '../cleanup.ts'
import type { Corpus } from '../corpus.ts'
import { Measured } from '../measure.ts'
import { Receiver } from '../receiver.ts'
import { type CaseResult, type Finding, judged, median, megabytes, mib, stated, type Table } from '../report.ts'
import type { Settings } from '../settings.ts'

const RUN_TIMEOUT_MS = 3 * 60_000
const TARGET_MB_PER_CPU_SECOND = 300
const TARGET_RATIO = 1.3
const TARGET_RSS_ANON = 64 * 2 ** 20
const FLOOR = 'floor'

interface Run {
  program: string
  round: number
  /** From the start of work on. */
  cpuSeconds: number
  cpuSecondsOfStart: number
  wallSeconds: number
  rssAnonPeak: number
  rssPeak: number
  voluntarySwitches: number
  involuntarySwitches: number
  requests: number
  sentBytes: number
}

export async function throughput(settings: Settings, corpus: Corpus): Promise<CaseResult> {
  const receiver = await Receiver.start(settings.cores.others, false)
  const runs: Run[] = []
  const programs: (Contender | null)[] = [null, ...settings.contenders]
  // Round 0 is not counted: it brings the programs' own files into the page cache.
  for (let round = 0; round <= settings.rounds; round++) {
    for (const program of programs) runs.push(await runOnce(settings, receiver, corpus, program, round))
    if (round === 0) runs.length = 0
  }
  if (settings.profileDirectory !== null) {
    for (const contender of settings.contenders) {
      await runOnce(settings, receiver, corpus, contender, 0, settings.profileDirectory)
    }
  }
  await receiver.stop()
  const findings = settings.contenders.flatMap(({ name }) => judge(name, runs, corpus))
  return { findings, raw: [rawTable(runs, corpus)] }
}

/** `contender` null: the floor. `profileDirectory`: where a profile goes, for a run that is not counted. */
async function runOnce(
  settings: Settings,
  receiver: Receiver,
  corpus: Corpus,
  contender: Contender | null,
  round: number,
  profileDirectory: string | null = null,
): Promise<Run> {
  const directory = makeDirectory(settings.parentDirectory)
  const { links } = corpus.tree
  const command =
    contender === null
      ? [process.execPath, new URL('../floor.ts', import.meta.url).pathname, links, receiver.url]
      : agentCommand(contender, { directory, links, url: receiver.url, once: true })
  if (profileDirectory !== null) {
    const profiles = join(profileDirectory, (contender?.name ?? FLOOR).replaceAll(' ', '-'))
    mkdirSync(profiles, { recursive: true })
    command.splice(1, 0, '--cpu-prof', `--cpu-prof-dir=${profiles}`)
  }
  await receiver.reset()
  let cpuSecondsOfStart = 0
  const measured = new Measured(command, settings.cores.measured, join(directory, 'output'))
  receiver.onFirstPush(() => {
    cpuSecondsOfStart = measured.cpuSecondsSampled
  })
  await measured.success(RUN_TIMEOUT_MS)
  const { requests, bodyBytes } = await receiver.report()
  removeDirectory(directory)
  const run = {
    program: contender?.name ?? FLOOR,
    round,
    cpuSeconds: measured.cpuSecondsWhole - cpuSecondsOfStart,
    cpuSecondsOfStart,
    wallSeconds: measured.wallSeconds,
    rssAnonPeak: measured.rssAnonPeak,
    rssPeak: measured.rssPeak,
    voluntarySwitches: measured.voluntarySwitches,
    involuntarySwitches: measured.involuntarySwitches,
    requests,
    sentBytes: bodyBytes,
  }
  const speed = (corpus.bytes / 1e6 / run.cpuSeconds).toFixed(0)
  const title = profileDirectory !== null ? 'profiled' : round === 0 ? 'not counted' : `round ${round}`
  console.log(`  ${title}, ${run.program}: ${speed} MB/CPU s, RssAnon ${mib(run.rssAnonPeak)} MiB`)
  return run
}

function judge(name: string, runs: readonly Run[], corpus: Corpus): Finding[] {
  const own = runs.filter((run) => run.program === name)
  const floors = runs.filter((run) => run.program === FLOOR)
  const speed = (of: readonly Run[]) => median(of.map((run) => corpus.bytes / 1e6 / run.cpuSeconds))
  const ratios = own.map((run, at) => run.cpuSeconds / floors[at]!.cpuSeconds)
  const ratio = median(ratios)
  const start = median(own.map((run) => run.cpuSecondsOfStart))
  const rssAnon = Math.max(...own.map((run) => run.rssAnonPeak))
  const size = `${mib(corpus.bytes, 0)} MiB, ${corpus.tree.files.length} files`
  const fast = judged(
    `${name}: MB per CPU second, one core (${size})`,
    `>= ${TARGET_MB_PER_CPU_SECOND}`,
    `${speed(own).toFixed(0)} (floor ${speed(floors).toFixed(0)})`,
    speed(own) >= TARGET_MB_PER_CPU_SECOND,
  )
  // Below the target and within the ratio: then the floor is slow here too, and the ratio counts.
  if (fast.verdict === 'FAIL' && ratio <= TARGET_RATIO) fast.verdict = 'slow machine'
  const spread = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`
  const within = ratio <= TARGET_RATIO
  return [
    fast,
    judged(`${name}: CPU seconds / floor's`, `<= ${TARGET_RATIO}`, `${ratio.toFixed(2)} (${spread})`, within),
    stated(`${name}: CPU seconds before the start of work`, start.toFixed(2)),
    judged(`${name}: RssAnon peak at full speed, MiB`, '<= 64', mib(rssAnon), rssAnon <= TARGET_RSS_ANON),
  ]
}

function rawTable(runs: readonly Run[], corpus: Corpus): Table {
  const floorOf = (round: number) => runs.find((run) => run.program === FLOOR && run.round === round)!
  const whole = (run: Run) => run.cpuSeconds + run.cpuSecondsOfStart
  return {
    title: 'throughput',
    notes: [
      `${corpus.rows} rows, ${megabytes(corpus.bytes)} MB, ${(corpus.bytes / corpus.rows).toFixed(0)} bytes a row on average. ` +
        'CPU seconds count from the start of work; "whole" is the process from its start to its end.',
    ],
    head: [
      'Round',
      'Program',
      'CPU s',
      'MB/CPU s',
      'Ratio',
      'CPU s whole',
      'Ratio whole',
      'Wall s',
      'RssAnon MiB',
      'VmHWM MiB',
      'Requests',
      'Sent MB',
      'Switches vol./invol.',
    ],
    rows: runs.map((run) => [
      String(run.round),
      run.program,
      run.cpuSeconds.toFixed(2),
      (corpus.bytes / 1e6 / run.cpuSeconds).toFixed(0),
      (run.cpuSeconds / floorOf(run.round).cpuSeconds).toFixed(2),
      whole(run).toFixed(2),
      (whole(run) / whole(floorOf(run.round))).toFixed(2),
      run.wallSeconds.toFixed(2),
      mib(run.rssAnonPeak),
      mib(run.rssPeak),
      String(run.requests),
      megabytes(run.sentBytes),
      `${run.voluntarySwitches} / ${run.involuntarySwitches}`,
    ]),
  }
}
