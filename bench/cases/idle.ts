// Case `idle`: 1,000 files that were read to their ends and are not written any more. After a warm-up the CPU share of
// a window is measured, with the number of files that the agent then holds open.

import { realpathSync } from 'node:fs'
import { join } from 'node:path'
import { agentCommand, type Contender } from '../agent.ts'
import { makeDirectory, removeDirectory } from '../cleanup.ts'
import { nowMicros } from '../clock.ts'
import { fillTree, makeTree } from '../corpus.ts'
import { Measured } from '../measure.ts'
import { openFiles } from '../proc.ts'
import { Receiver } from '../receiver.ts'
import { type CaseResult, judged, mib, percent } from '../report.ts'
import type { Settings } from '../settings.ts'
import { differences, totalEntries } from '../tally.ts'

const FILE_BYTES = 4096
const ROW_BYTES = 230
const READ_TIMEOUT_MS = 60_000
const STOP_GRACE_MS = 20_000
const TARGET_CORE_SHARE = 0.005

export async function idle(settings: Settings, contender: Contender): Promise<CaseResult> {
  const { idleFiles, idleSeconds, idleWarmUpSeconds } = settings
  const directory = makeDirectory(settings.parentDirectory)
  const tree = makeTree(join(directory, 'node'), idleFiles, settings.seed)
  const corpus = fillTree(tree, idleFiles * FILE_BYTES, ROW_BYTES, settings.seed)
  const receiver = await Receiver.start(settings.cores.others, true)
  const command = agentCommand(contender, { directory, links: tree.links, url: receiver.url, once: false })
  const agent = new Measured(command, settings.cores.measured, join(directory, 'output'))
  const arrived = await receiver.arrived(totalEntries(corpus.tally), READ_TIMEOUT_MS)
  if (!arrived && agent.exitCode !== null) throw new Error(`${agent.describe()} ended\n${agent.outputTail()}`)
  await new Promise((resolve) => setTimeout(resolve, idleWarmUpSeconds * 1000))

  const requestsBefore = (await receiver.count()).requests
  const open = openFiles(agent.pid, realpathSync(tree.root))
  agent.readSwitches()
  const switchesBefore = agent.voluntarySwitches
  const cpuBefore = agent.cpuSeconds()
  const before = nowMicros()
  await new Promise((resolve) => setTimeout(resolve, idleSeconds * 1000))
  const cpu = agent.cpuSeconds() - cpuBefore
  const coreShare = (cpu * 1e6) / (nowMicros() - before)
  agent.readSwitches()
  const wakeUps = (agent.voluntarySwitches - switchesBefore) / idleSeconds
  const received = await receiver.report()
  const stopped = await agent.stop(STOP_GRACE_MS)
  await receiver.stop()
  removeDirectory(directory)

  const { name } = contender
  const found = differences(corpus.tally, received.tally)
  return {
    findings: [
      judged(
        `${name}: idle with ${idleFiles} files, ${open} of them open: share of a core`,
        `<= ${percent(TARGET_CORE_SHARE, 1)}`,
        percent(coreShare),
        coreShare <= TARGET_CORE_SHARE,
      ),
    ],
    raw: [
      {
        title: `idle, ${name}`,
        notes: [`A window of ${idleSeconds} s, ${idleWarmUpSeconds} s after the last entry had arrived.`],
        head: [
          'CPU s',
          'Share',
          'Switches/s',
          'Requests',
          'RssAnon peak MiB',
          'Open files',
          'Entries',
          'Went by itself',
        ],
        rows: [
          [
            cpu.toFixed(2),
            percent(coreShare, 3),
            wakeUps.toFixed(1),
            String(received.requests - requestsBefore),
            mib(agent.rssAnonPeak),
            String(open),
            found.length === 0 ? `${received.entries} exact` : `${received.entries}, ${found[0]}`,
            stopped ? 'yes' : 'NO',
          ],
        ],
      },
    ],
  }
}
