// The paced cases: a writer appends rows to the files of a node at a steady rate while the agent runs. After a warm-up
// a window is measured: CPU share of a core, requests a second, and for every row written in it the time from its write
// to the end of the answer to its push. At the end everything that was written must have arrived, exactly.
//   fleet    300 files of 33 rows/s each
//   steady   10,000 rows/s of 216 bytes over 20 files
//   latency  1 MB/s over 20 files
//   crowd    2,000 files of two rows/s each, in a cgroup of a fifth of a core: how often the kernel stops it

import { join } from 'node:path'
import { type Cgroup, makeCgroup } from '../../test/support/cgroup.ts'
import { agentCommand, type Contender } from '../agent.ts'
import { endChildren, makeDirectory, removeDirectory } from '../cleanup.ts'
import { nowMicros } from '../clock.ts'
import { makeTree } from '../corpus.ts'
import { Helper } from '../helper.ts'
import { Measured } from '../measure.ts'
import type { ReceiverReport } from '../null-receiver.ts'
import { Receiver } from '../receiver.ts'
import { type CaseResult, type Finding, judged, mib, percent, stated } from '../report.ts'
import type { Settings } from '../settings.ts'
import { differences } from '../tally.ts'
import type { WriterJob, WriterReport } from '../writer.ts'

const START_TIMEOUT_MS = 20_000
const DRAIN_TIMEOUT_MS = 60_000
const STOP_GRACE_MS = 20_000
const TARGET_STEADY_CORE = 0.03
const TARGET_RSS_ANON = 64 * 2 ** 20
const TARGET_THROTTLED = 0.02
/** What a start takes of one core takes longer of less. */
const CROWD_WARM_UPS = 4

export type PacedCase = 'fleet' | 'steady' | 'latency' | 'crowd'

interface Pace {
  files: number
  rowsPerSecond: number
  rowBytes: number
  /** Of a cgroup of its own. */
  millicores?: number
}

const PACES: Record<PacedCase, Pace> = {
  fleet: { files: 300, rowsPerSecond: 9900, rowBytes: 230 },
  steady: { files: 20, rowsPerSecond: 10_000, rowBytes: 216 },
  latency: { files: 20, rowsPerSecond: Math.round(1e6 / 230), rowBytes: 230 },
  crowd: { files: 2000, rowsPerSecond: 4000, rowBytes: 230, millicores: 200 },
}

interface Window {
  written: WriterReport
  received: ReceiverReport
  coreShare: number
  /** Share of the kernel's periods in which it was stopped; null where it is in no cgroup of ours. */
  throttledShare: number | null
  rssAnonPeak: number
  differences: string[]
  stopped: boolean
}

export async function paced(settings: Settings, name: PacedCase, contender: Contender): Promise<CaseResult> {
  const group = groupOf(PACES[name])
  if (typeof group === 'string') {
    return { findings: [stated(`${contender.name}, ${name}`, `not measured, there is no cgroup: ${group}`)], raw: [] }
  }
  try {
    return await run(settings, name, contender, group.cgroup)
  } finally {
    await endChildren()
    await group.removed()
  }
}

async function run(
  settings: Settings,
  name: PacedCase,
  contender: Contender,
  cgroup: Cgroup | null,
): Promise<CaseResult> {
  const pace = PACES[name]
  const directory = makeDirectory(settings.parentDirectory)
  const tree = makeTree(join(directory, 'node'), pace.files, settings.seed)
  const receiver = await Receiver.start(settings.cores.others, true)
  const [writer] = await Helper.start(settings.cores.others, './writer.ts', [])
  const command = agentCommand(contender, { directory, links: tree.links, url: receiver.url, once: false })
  const prefixed = [...(cgroup?.prefix ?? []), ...command]
  const agent = new Measured(prefixed, settings.cores.measured, join(directory, 'output'))
  const { rowsPerSecond, rowBytes } = pace
  const start: WriterJob = { rowsPerSecond, rowBytes, files: tree.files, seed: settings.seed }
  await writer.ask({ start })
  const warmUpSeconds = settings.warmUpSeconds * (cgroup === null ? 1 : CROWD_WARM_UPS)
  await warmUp(warmUpSeconds, agent, receiver)

  await receiver.windowStart()
  const periodsBefore = cgroup?.throttling()
  const cpuBefore = agent.cpuSeconds()
  const before = nowMicros()
  await sleep(settings.pacedSeconds * 1000)
  const cpuAfter = agent.cpuSeconds()
  const coreShare = ((cpuAfter - cpuBefore) * 1e6) / (nowMicros() - before)
  const periods = cgroup?.throttling()
  await receiver.windowEnd()

  const written = await writer.ask<WriterReport>({ stop: true })
  await receiver.arrived(written.rows, DRAIN_TIMEOUT_MS)
  agent.readSwitches()
  const stopped = await agent.stop(STOP_GRACE_MS)
  const received = await receiver.report()
  await writer.stop()
  await receiver.stop()
  removeDirectory(directory)
  const found = differences(written.tally, received.tally)
  const throttledShare =
    periods === undefined || periodsBefore === undefined
      ? null
      : (periods.throttled - periodsBefore.throttled) / (periods.periods - periodsBefore.periods)
  const window = {
    written,
    received,
    coreShare,
    throttledShare,
    rssAnonPeak: agent.rssAnonPeak,
    differences: found,
    stopped,
  }
  return {
    findings: judge(name, contender.name, window),
    raw: [rawTable(name, contender.name, window, settings.pacedSeconds, warmUpSeconds)],
  }
}

/** The pace's cgroup, if it asks for one, and what removes it; a sentence where none can be made. */
function groupOf({ millicores }: Pace): { cgroup: Cgroup | null; removed: () => Promise<void> } | string {
  const ends: (() => unknown)[] = []
  const removed = async () => {
    for (const end of ends) await end()
  }
  if (millicores === undefined) return { cgroup: null, removed }
  const cgroup = makeCgroup({ teardown: (end: () => unknown) => void ends.push(end) }, { millicores })
  return typeof cgroup === 'string' ? cgroup : { cgroup, removed }
}

async function warmUp(seconds: number, agent: Measured, receiver: Receiver): Promise<void> {
  await sleep(seconds * 1000)
  if (agent.exitCode !== null || !(await receiver.arrived(1, START_TIMEOUT_MS))) {
    throw new Error(`${agent.describe()} sends nothing\n${agent.outputTail()}`)
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

function judge(name: PacedCase, agent: string, window: Window): Finding[] {
  const { written, received, coreShare, rssAnonPeak } = window
  const { latency } = received
  const pace = PACES[name]
  const title = `${agent}, ${name} (${pace.files} files, ${pace.rowsPerSecond} rows/s of ${pace.rowBytes} bytes)`
  const exactness = judged(
    `${title}: entries, all exact`,
    String(written.rows),
    window.differences.length === 0 ? String(received.entries) : `${received.entries}, ${window.differences[0]}`,
    window.differences.length === 0 && window.stopped,
  )
  const percentiles = `${latency.p50.toFixed(0)} / ${latency.p99.toFixed(0)}`
  const requests = (received.windowRequests / received.windowSeconds).toFixed(1)
  if (name === 'steady') {
    const little = coreShare <= TARGET_STEADY_CORE
    return [
      judged(`${title}: share of a core`, `<= ${TARGET_STEADY_CORE}`, coreShare.toFixed(4), little),
      judged(`${title}: RssAnon peak, MiB`, '<= 64', mib(rssAnonPeak), rssAnonPeak <= TARGET_RSS_ANON),
      exactness,
    ]
  }
  if (name === 'crowd') {
    const { throttledShare } = window
    const isRare = throttledShare !== null && throttledShare < TARGET_THROTTLED
    return [
      judged(
        `${title}, 200m: periods throttled`,
        `< ${percent(TARGET_THROTTLED, 0)}`,
        percent(throttledShare ?? Number.NaN, 1),
        isRare,
      ),
      judged(`${title}, 200m: share of a core`, '<= 0.22', coreShare.toFixed(3), coreShare <= 0.22),
      stated(`${title}, 200m: p50 / p99 from write to ack, ms`, percentiles),
      judged(`${title}, 200m: RssAnon peak, MiB`, '<= 96', mib(rssAnonPeak), rssAnonPeak <= 96 * 2 ** 20),
      exactness,
    ]
  }
  if (name === 'latency') return [stated(`${title}: p50 / p99 from write to ack, ms`, percentiles), exactness]
  return [
    stated(`${title}: requests per second`, requests),
    stated(`${title}: p50 / p99 from write to ack, ms`, percentiles),
    stated(`${title}: share of a core`, coreShare.toFixed(4)),
    judged(`${title}: RssAnon peak, MiB`, '<= 64', mib(rssAnonPeak), rssAnonPeak <= TARGET_RSS_ANON),
    exactness,
  ]
}

function rawTable(name: PacedCase, agent: string, window: Window, seconds: number, warmUpSeconds: number) {
  const { written, received, coreShare, rssAnonPeak } = window
  const { latency } = received
  return {
    title: `${name}, ${agent}`,
    notes: [
      `A window of ${seconds} s after ${warmUpSeconds} s of warm-up, start included. ` +
        `The writer was at most ${written.lateMsMax.toFixed(0)} ms late.`,
    ],
    head: [
      'Share of a core',
      'RssAnon MiB',
      'Requests/s',
      'Entries/request',
      'Streams/request',
      'p50 ms',
      'p90 ms',
      'p99 ms',
      'max ms',
      'Rows in window',
      'Went by itself',
    ],
    rows: [
      [
        percent(coreShare),
        mib(rssAnonPeak),
        (received.windowRequests / received.windowSeconds).toFixed(1),
        (received.entries / received.requests).toFixed(0),
        (received.streamsPushed / received.requests).toFixed(1),
        ...[latency.p50, latency.p90, latency.p99, latency.max].map((ms) => ms.toFixed(1)),
        String(latency.count),
        window.stopped ? 'yes' : 'NO',
      ],
    ],
  }
}
