// Case `webhook`: 10,000 events/s in batches of 400 over TLS, and an event of 2 MiB every second, taken under a policy with
// redaction and made durable, while one Loki takes them from the spool and another is down. After a warm-up a window is measured:
// what was accepted, the time from when a batch was due to its answer, CPU share of a core, and anonymous memory, which
// must not grow.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Contender } from '../agent.ts'
import { fillAudit } from '../audit-corpus.ts'
import { makeDirectory, removeDirectory } from '../cleanup.ts'
import { Helper } from '../helper.ts'
import { Measured } from '../measure.ts'
import { Receiver } from '../receiver.ts'
import { type CaseResult, judged, mib, percent, stated } from '../report.ts'
import type { Settings } from '../settings.ts'
import type { SenderJob, SenderReport } from '../webhook-sender.ts'

const EVENTS_PER_SECOND = 10_000
const CORPUS_BYTES = 24 * 2 ** 20
const START_TIMEOUT_MS = 20_000
const STOP_GRACE_MS = 20_000
const TARGET_P99_MS = 100
const TARGET_RSS_ANON = 64 * 2 ** 20
/** Of the rate; a batch may lie across either end of the window. */
const ACCEPTED_SHARE_MIN = 0.99
const TLS = fileURLToPath(new URL('../../test/fixtures/tls/', import.meta.url))
const PORT = 19_443

export async function webhook(settings: Settings, contender: Contender): Promise<CaseResult> {
  const directory = makeDirectory(settings.parentDirectory)
  const corpus = fillAudit(directory, CORPUS_BYTES, settings.seed)
  const receiver = await Receiver.start(settings.cores.others, false)
  const [sender] = await Helper.start(settings.cores.others, './webhook-sender.ts', [])
  const command = commandFor(contender, directory, corpus.policyPath, receiver.url)
  const agent = new Measured(command, settings.cores.measured, join(directory, 'output'))
  const start: SenderJob = {
    logPath: corpus.path,
    port: PORT,
    caPath: `${TLS}ca.pem`,
    certPath: `${TLS}client.pem`,
    keyPath: `${TLS}client-key.pem`,
    eventsPerSecond: EVENTS_PER_SECOND,
  }
  await listening(agent)
  await sender.ask({ start })
  await sleep(settings.warmUpSeconds * 1000)

  await receiver.windowStart()
  await sender.ask({ window: true })
  const cpuBefore = agent.cpuSeconds()
  const atStart = await anonymous(agent)
  await sleep(settings.pacedSeconds * 1000)
  const coreShare = (agent.cpuSeconds() - cpuBefore) / settings.pacedSeconds
  const atEnd = await anonymous(agent)
  const report = await sender.ask<SenderReport>({ report: true })
  await receiver.windowEnd()
  await sender.ask({ stop: true })
  await sender.stop()
  const received = await receiver.report()
  // With a sink that is down something is left, so it does not end with 0.
  await agent.stop(STOP_GRACE_MS)
  await receiver.stop()
  if (report.small.count === 0) throw new Error(`nothing was accepted: ${agent.outputTail()}`)
  removeDirectory(directory)

  const title = `${contender.name}, webhook (${EVENTS_PER_SECOND} events/s and one of 2 MiB, one sink down)`
  const rate = report.accepted / report.seconds
  const { small, big } = report
  const refused = Object.values(report.refused).reduce((sum, count) => sum + count, 0)
  const isTaken = rate >= ACCEPTED_SHARE_MIN * EVENTS_PER_SECOND && refused === 0
  return {
    findings: [
      judged(
        `${title}: events accepted per second`,
        `${EVENTS_PER_SECOND}`,
        `${rate.toFixed(0)}, ${refused} refused`,
        isTaken,
      ),
      judged(
        `${title}: p99 from due to answer, ms`,
        `<= ${TARGET_P99_MS}`,
        small.p99.toFixed(0),
        small.p99 <= TARGET_P99_MS,
      ),
      stated(`${title}: p50 / p99 of the 2 MiB event, ms`, `${big.p50.toFixed(0)} / ${big.p99.toFixed(0)}`),
      stated(`${title}: share of a core`, coreShare.toFixed(2)),
      judged(`${title}: RssAnon peak, MiB`, '<= 64', mib(agent.rssAnonPeak), agent.rssAnonPeak <= TARGET_RSS_ANON),
      stated(`${title}: RssAnon in the first and last seconds, MiB`, `${mib(atStart)} / ${mib(atEnd)}`),
    ],
    raw: [
      {
        title: `webhook, ${contender.name}`,
        notes: [
          `A window of ${settings.pacedSeconds} s after ${settings.warmUpSeconds} s. The sender was at most ${report.lateMsMax.toFixed(0)} ms late.`,
        ],
        head: [
          'Events/s',
          'MB/s',
          'p50 ms',
          'p90 ms',
          'p99 ms',
          'max ms',
          'Share of a core',
          'RssAnon MiB',
          'Pushes/s',
        ],
        rows: [
          [
            rate.toFixed(0),
            (report.bodyBytes / 1e6 / report.seconds).toFixed(1),
            ...[small.p50, small.p90, small.p99, small.max].map((ms) => ms.toFixed(1)),
            percent(coreShare),
            mib(agent.rssAnonPeak),
            (received.windowRequests / received.windowSeconds).toFixed(1),
          ],
        ],
      },
    ],
  }
}

function commandFor(contender: Contender, directory: string, policyFile: string, url: string): string[] {
  const stateDir = join(directory, 'state')
  mkdirSync(stateDir, { recursive: true })
  const tls = { certFile: `${TLS}server.pem`, keyFile: `${TLS}server-key.pem`, clientCaFile: `${TLS}ca.pem` }
  const listen = `127.0.0.1:${PORT}`
  const config = {
    clusterName: 'bench',
    nodeName: 'node-1',
    stateDir,
    kubernetes: { metadata: 'off' },
    sources: [{ name: 'hook', type: 'auditWebhook', listen, tls, policyFile, spoolBytesMax: '8Gi' }],
    sinks: [
      { name: 'up', type: 'loki', url },
      { name: 'down', type: 'loki', url: 'http://127.0.0.1:9' },
    ],
    limits: { memory: '96Mi' },
    server: { listen: '127.0.0.1:0' },
  }
  const path = join(directory, 'webhook.yaml')
  writeFileSync(path, JSON.stringify(config, null, 2))
  return [...contender.command, '--config', path]
}

async function listening(agent: Measured): Promise<void> {
  const until = performance.now() + START_TIMEOUT_MS
  while (!agent.outputTail().includes('webhook.listening')) {
    if (agent.exitCode !== null || performance.now() > until)
      throw new Error(`it does not listen\n${agent.outputTail()}`)
    await sleep(50)
  }
}

/** The mean over three seconds. */
async function anonymous(agent: Measured): Promise<number> {
  let sum = 0
  for (let i = 0; i < 30; i++) {
    sum += agent.rssAnon
    await sleep(100)
  }
  return sum / 30
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
