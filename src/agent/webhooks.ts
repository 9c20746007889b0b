// The webhooks of the agent: opened from their sources, and stopped before anything else is, so that what was answered is what
// is read. Bound: a stop waits as long as it is given, and no longer; what was not answered is sent again.
import { readFileSync } from 'node:fs'
import type { AuditSource } from '../audit/open.ts'
import type { DurableReads } from '../audit/webhook/durable-reads.ts'
import { Webhook } from '../audit/webhook/webhook.ts'
import type { Config } from '../config/config.ts'
import { takes } from '../config/sources.ts'
import { patiently } from '../core/patience.ts'
import type { AgentPorts } from './ports.ts'

const STOP_MS_MAX = 2000

export interface WebhooksDeps {
  /** What is kept of each audit source, by its name; not there: it was stopped. */
  audits: ReadonlyMap<string, AuditSource>
  durable: DurableReads
  onJournal: () => void
}

/** Those of the configuration whose audit source was not stopped. `onJournal`: an API server is there that was not known. */
export function openWebhooks(config: Config, ports: AgentPorts, given: WebhooksDeps): Webhook[] {
  const { fs, clock, events, checkpoints, webhooks, readFile = readFileSync } = ports
  const { sources, sinks, stateDir, limits } = config
  return sources.flatMap((source) => {
    const audit = given.audits.get(source.name)
    if (source.type !== 'auditWebhook' || audit === undefined) return []
    if (webhooks === undefined) throw new Error('an audit webhook, and nothing to listen with')
    const takers = sinks.filter((sink) => takes(sink, source.name))
    const own = { stateDir, memoryBytes: limits.memory, sinks: takers.map(({ name }) => name), audit }
    const shared = { fs, clock, events, checkpoints, readFile, durable: given.durable, onJournal: given.onJournal }
    return [new Webhook(source, { ...own, ...shared, ...webhooks })]
  })
}

/** Takes no more batches, and waits for those that are being taken until `signal` aborts. */
export async function stopWebhooks(
  webhooks: readonly Webhook[],
  signal: AbortSignal = AbortSignal.timeout(STOP_MS_MAX),
): Promise<void> {
  if (webhooks.length === 0) return
  // A disk that does not answer holds nobody up; what was not answered is sent again.
  await patiently(Promise.all(webhooks.map((webhook) => webhook.stop(signal))), signal)
}
