// Case `exact`: one run over the corpus that is not timed, into a receiver that takes every push apart. Count, bytes,
// checksum and times must agree per pod, container and source stream, in order. Then the same once more with the state
// that the first run left: everything was acknowledged, so nothing may be sent again.

import { join } from 'node:path'
import { agentCommand, type Contender } from '../agent.ts'
import { makeDirectory, removeDirectory } from '../cleanup.ts'
import type { Corpus } from '../corpus.ts'
import { Measured } from '../measure.ts'
import type { ReceiverReport } from '../null-receiver.ts'
import { Receiver } from '../receiver.ts'
import { type CaseResult, judged, megabytes } from '../report.ts'
import type { Settings } from '../settings.ts'
import { differences, totalEntries } from '../tally.ts'

const RUN_TIMEOUT_MS = 3 * 60_000
const DIFFERENCES_SHOWN = 10

export async function exact(settings: Settings, corpus: Corpus, contender: Contender): Promise<CaseResult> {
  const directory = makeDirectory(settings.parentDirectory)
  const receiver = await Receiver.start(settings.cores.others, true)
  const first = await runOnce(settings, corpus, contender, receiver, directory)
  await receiver.reset()
  const second = await runOnce(settings, corpus, contender, receiver, directory)
  await receiver.stop()
  removeDirectory(directory)
  const { name } = contender
  const found = differences(corpus.tally, first.tally)
  const written = totalEntries(corpus.tally)
  const labels = Object.keys(first.tally)
  return {
    findings: [
      judged(
        `${name}: entries, checksum, times and order per stream`,
        'exact',
        found.length === 0 ? `${first.entries} of ${written} exact` : `${found.length} differences`,
        found.length === 0,
      ),
      judged(
        `${name}: entries sent again by a second run`,
        '0',
        String(second.entries),
        second.entries === 0 && first.entries > 0,
      ),
    ],
    raw: [
      {
        title: `exact, ${name}`,
        notes: [
          `${first.requests} requests, ${labels.length} label sets such as \`${labels[0] ?? 'none'}\`, ` +
            `${(first.metadata / first.entries || 0).toFixed(2)} pairs of structured metadata an entry, ` +
            `${(first.streamsPushed / first.requests || 0).toFixed(2)} streams a push, ` +
            `${megabytes(first.pushBytes)} MB of protobuf, ${megabytes(first.bodyBytes)} MB sent.`,
        ],
        head: ['Differences'],
        rows: found.length === 0 ? [['none']] : found.slice(0, DIFFERENCES_SHOWN).map((line) => [line]),
      },
    ],
  }
}

async function runOnce(
  settings: Settings,
  corpus: Corpus,
  contender: Contender,
  receiver: Receiver,
  directory: string,
): Promise<ReceiverReport> {
  const command = agentCommand(contender, { directory, links: corpus.tree.links, url: receiver.url, once: true })
  await new Measured(command, settings.cores.measured, join(directory, 'output')).success(RUN_TIMEOUT_MS)
  return receiver.report()
}
