// Case `audit`: one audit log of events of about 1.4 kB, read to its end, once as it is (time, labels and metadata of each
// event) and once under a policy with redaction; and by the floor, which only reads, compresses and posts the same bytes, in
// the same rounds. CPU seconds count from the start of work, as in `throughput`; what is judged is the median.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Contender } from '../agent.ts'
import { type AuditCorpus, fillAudit } from '../audit-corpus.ts'
import { makeDirectory, removeDirectory } from '../cleanup.ts'
import { Measured } from '../measure.ts'
import { Receiver } from '../receiver.ts'
import { type CaseResult, judged, median, megabytes, mib, stated } from '../report.ts'
import type { Settings } from '../settings.ts'

const RUN_TIMEOUT_MS = 5 * 60_000
const CORPUS_BYTES_MAX = 256 * 2 ** 20
const TARGET_RSS_ANON = 64 * 2 ** 20
const FLOOR = 'floor'
const KINDS = [
  { kind: 'as it is', target: 400, full: false },
  { kind: 'policy and redaction', target: 100, full: true },
] as const

interface Run {
  kind: string
  round: number
  cpuSeconds: number
  rssAnonPeak: number
  requests: number
  sentBytes: number
}

export async function audit(settings: Settings, contender: Contender): Promise<CaseResult> {
  const root = makeDirectory(settings.parentDirectory)
  const corpus = fillAudit(root, Math.min(settings.corpusBytes, CORPUS_BYTES_MAX), settings.seed)
  const receiver = await Receiver.start(settings.cores.others, false)
  const runs: Run[] = []
  const floorCommand = [
    process.execPath,
    new URL('../floor.ts', import.meta.url).pathname,
    corpus.directory,
    receiver.url,
  ]
  for (let round = 0; round <= settings.rounds; round++) {
    const own = [await measure(settings, receiver, corpus, floorCommand, FLOOR, round)]
    for (const { kind, full } of KINDS) {
      own.push(await runOnce(settings, receiver, corpus, contender, full, kind, round))
    }
    if (round > 0) runs.push(...own) // the first brings the programs' own files into the page cache
  }
  await receiver.stop()
  removeDirectory(root)
  const { name } = contender
  const findings = KINDS.flatMap(({ kind, target }) => {
    const own = runs.filter((run) => run.kind === kind)
    const floors = runs.filter((run) => run.kind === FLOOR)
    const speedOf = (some: Run[]) => median(some.map((run) => corpus.bytes / 1e6 / run.cpuSeconds))
    const speed = speedOf(own)
    const ratio = median(own.map((run, at) => run.cpuSeconds / floors[at]!.cpuSeconds))
    const measured = `${speed.toFixed(0)} (floor ${speedOf(floors).toFixed(0)})`
    const rss = Math.max(...own.map((run) => run.rssAnonPeak))
    return [
      judged(`${name}: audit ${kind}: MB per CPU second`, `>= ${target}`, measured, speed >= target),
      stated(`${name}: audit ${kind}: CPU seconds / floor's`, ratio.toFixed(2)),
      judged(`${name}: audit ${kind}: RssAnon peak, MiB`, '<= 64', mib(rss), rss <= TARGET_RSS_ANON),
    ]
  })
  const notes = [
    `${corpus.events} events, ${megabytes(corpus.bytes)} MB, ${(corpus.bytes / corpus.events).toFixed(0)} bytes an event.`,
  ]
  const head = ['Round', 'Kind', 'CPU s', 'MB/CPU s', 'RssAnon MiB', 'Requests', 'Sent MB']
  const rows = runs.map((run) => [
    String(run.round),
    run.kind,
    run.cpuSeconds.toFixed(2),
    (corpus.bytes / 1e6 / run.cpuSeconds).toFixed(0),
    mib(run.rssAnonPeak),
    String(run.requests),
    megabytes(run.sentBytes),
  ])
  return { findings, raw: [{ title: 'audit', notes, head, rows }] }
}

async function runOnce(
  settings: Settings,
  receiver: Receiver,
  corpus: AuditCorpus,
  contender: Contender,
  full: boolean,
  kind: string,
  round: number,
): Promise<Run> {
  const directory = makeDirectory(settings.parentDirectory)
  const stateDir = join(directory, 'state')
  mkdirSync(stateDir)
  const source = {
    name: 'audit',
    type: 'audit',
    paths: [corpus.path],
    ...(full ? { policyFile: corpus.policyPath } : { redaction: 'off' }),
  }
  const config = {
    clusterName: 'bench',
    nodeName: 'node-1',
    stateDir,
    kubernetes: { metadata: 'off' },
    sources: [source],
    sinks: [{ name: 'loki', type: 'loki', url: receiver.url }],
    limits: { memory: '96Mi' },
    server: 'off',
  }
  const path = join(directory, 'config.yaml')
  writeFileSync(path, JSON.stringify(config))
  const command = [...contender.command, '--config', path, '--once']
  if (settings.profileDirectory !== null && round > 0) {
    command.splice(
      1,
      0,
      '--cpu-prof',
      `--cpu-prof-dir=${join(settings.profileDirectory, full ? 'audit-full' : 'audit-plain')}`,
    )
  }
  const run = await measure(settings, receiver, corpus, command, kind, round)
  removeDirectory(directory)
  return run
}

async function measure(
  settings: Settings,
  receiver: Receiver,
  corpus: AuditCorpus,
  command: readonly string[],
  kind: string,
  round: number,
): Promise<Run> {
  const directory = makeDirectory(settings.parentDirectory)
  await receiver.reset()
  let cpuSecondsOfStart = 0
  const measured = new Measured(command, settings.cores.measured, join(directory, 'output'))
  receiver.onFirstPush(() => {
    cpuSecondsOfStart = measured.cpuSecondsSampled
  })
  await measured.success(RUN_TIMEOUT_MS)
  const { requests, bodyBytes: sentBytes } = await receiver.report()
  removeDirectory(directory)
  const cpuSeconds = measured.cpuSecondsWhole - cpuSecondsOfStart
  console.log(`  round ${round}, ${kind}: ${(corpus.bytes / 1e6 / cpuSeconds).toFixed(0)} MB/CPU s`)
  return { kind, round, cpuSeconds, rssAnonPeak: measured.rssAnonPeak, requests, sentBytes }
}
