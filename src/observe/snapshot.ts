// The agent's snapshot: everything /status, the metrics and the demo show, computed when somebody asks.
import type { Consumer } from '../batch/consumer.ts'
import type { CheckpointStore } from '../checkpoint/checkpoints.ts'
import type { ByteBudget } from '../core/budget.ts'
import type { Amount } from '../core/ledger.ts'
import type { AgentStatus, DescriptorsStatus, LineageStatus, SinkStatus, WebhookStatus } from '../core/status.ts'
import type { Clock } from '../ports/clock.ts'
import type { Descriptors } from '../tail/descriptors.ts'
import type { Lineage } from '../tail/lineage.ts'
import type { Reader } from '../tail/reader.ts'

/** Something waits for so long and nothing was acknowledged: not healthy. */
const STALLED_SECONDS = 300

/** What of the agent is told. */
export interface Observed {
  readonly options: { version: string; once: boolean }
  readonly config: { clusterName: string; nodeName: string; sources: readonly { name: string }[] }
  readonly ports: { clock: Clock; checkpoints: CheckpointStore }
  readonly startedAt: number
  readonly phase: AgentStatus['phase']
  /** The first discovery is done. */
  readonly scanned: boolean
  readonly consumers: readonly Consumer[]
  readonly tailed: ReadonlyMap<string, { lineage: Lineage; readers: ReadonlyMap<string, Reader> }>
  readonly budget: ByteBudget
  readonly descriptors: Descriptors
  readonly counters: AgentStatus['counters']
  readonly kubernetes: AgentStatus['kubernetes']
  readonly webhooks: readonly { status(): WebhookStatus }[]
}

/** Logs were found, and not one could be opened: another user's, or out of bounds for the container. */
function canOpenNothing({ tailed, counters }: Observed): boolean {
  if (counters.fileErrors === 0 || tailed.size === 0) return false
  return [...tailed.values()].every(({ lineage }) => lineage.files.length === 0 && !lineage.asleep)
}

export function agentStatus(agent: Observed): AgentStatus {
  const { clock, checkpoints } = agent.ports
  const now = clock.monotonic()
  const sinks = agent.consumers.map((consumer) => sinkStatus(consumer, now))
  const reasons = sinks.flatMap((sink) => stalled(sink, clock.now()))
  const webhooks = agent.webhooks.map((webhook) => webhook.status())
  const store = checkpoints.status()
  const consumers = new Map(agent.consumers.map((consumer) => [consumer.sink.name, consumer]))
  return {
    version: agent.options.version,
    startedAt: agent.startedAt,
    now: clock.now(),
    cluster: agent.config.clusterName,
    node: agent.config.nodeName,
    phase: agent.phase,
    ready:
      agent.scanned &&
      !canOpenNothing(agent) &&
      webhooks.every(({ address }) => address !== null || agent.options.once) &&
      sinks.every((sink) => sink.lastAckAt !== null || sink.lagBytes === 0),
    healthy: reasons.length === 0,
    reasons,
    configErrors: [],
    sources: agent.config.sources.map(({ name }) => name),
    sinks,
    lineages: [...agent.tailed.values()].map((tailed): LineageStatus => {
      const { lineage, readers } = tailed
      return {
        source: lineage.info.source,
        lineage: lineage.info.key,
        path: lineage.info.path,
        files: lineage.files.map((file) => ({
          path: file.path,
          dev: file.dev,
          ino: file.ino,
          sizeBytes: file.sizeSeen,
          compressed: file.compressed,
          linked: file.linked,
        })),
        sinks: [...readers].map(([sink, reader]) => ({
          sink,
          path: reader.current?.path ?? null,
          readOffset: reader.offset,
          ackedOffset: reader.committedOffset,
          ackedPath: reader.oldestNeeded?.path ?? null,
          lagBytes: reader.lagBytes,
          lagSeconds: consumers.get(sink)?.laggingSeconds(reader) ?? 0,
          lossSeconds: reader.lossSeconds(now),
          continuity: reader.continuity,
        })),
      }
    }),
    kubernetes: agent.kubernetes,
    webhooks,
    descriptors: descriptorsStatus(agent),
    memory: { budgetBytes: agent.budget.totalBytes, usedBytes: agent.budget.usedBytes },
    checkpoints: store,
    counters: { ...agent.counters },
  }
}

function descriptorsStatus({ descriptors: { open, max }, tailed }: Observed): DescriptorsStatus {
  let sleeping = 0
  let waiting = 0
  for (const { lineage } of tailed.values()) {
    if (lineage.asleep) sleeping++
    if (lineage.waitingSince !== null) waiting++
  }
  return { open, max: Number.isFinite(max) ? max : null, sleeping, waiting }
}

function sinkStatus(consumer: Consumer, now: number): SinkStatus {
  const { sink, ledger, lanes } = consumer
  let lagBytes = 0
  let since = now
  let lanesRetrying = 0
  for (const lane of lanes.values()) {
    lagBytes += lane.lagBytes
    if (lane.attempts > 0) lanesRetrying++
    if (lane.laggingSince !== null && lane.laggingSince < since) since = lane.laggingSince
  }
  const state = sink.status()
  return {
    name: sink.name,
    type: sink.type,
    state: state.state,
    lastError: state.lastError,
    read: { ...ledger.read },
    acked: { ...ledger.acked },
    inFlight: { ...ledger.inFlight },
    skipped: byReason(ledger.skipped),
    dropped: byReason(ledger.dropped),
    deadLettered: byReason(ledger.deadLettered),
    evicted: byReason(ledger.evicted),
    lost: byReason(ledger.lost),
    lanes: lanes.size,
    lanesRetrying,
    requestsInFlight: state.requestsInFlight,
    requests: { ...state.requests },
    retries: { ...state.retries },
    requestSeconds: { ...state.requestSeconds, counts: [...state.requestSeconds.counts] },
    oldestUnackedSeconds: lagBytes === 0 ? 0 : (now - since) / 1000,
    lastAckAt: consumer.lastAckAt,
    lagBytes,
  }
}

function stalled(sink: SinkStatus, nowMs: number): string[] {
  if (sink.lagBytes === 0 || sink.oldestUnackedSeconds < STALLED_SECONDS) return []
  if (sink.lastAckAt !== null && nowMs - sink.lastAckAt < STALLED_SECONDS * 1000) return []
  const why = sink.lastError === null ? '' : ` (${sink.lastError})`
  return [
    `sink ${sink.name}: nothing acknowledged for ${Math.round(sink.oldestUnackedSeconds)} s while lines wait${why}`,
  ]
}

function byReason(amounts: ReadonlyMap<string, Amount>): Record<string, Amount> {
  return Object.fromEntries([...amounts].map(([reason, amount]) => [reason, { ...amount }]))
}
