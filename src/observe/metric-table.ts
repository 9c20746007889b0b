// Every metric but the histograms: its name, its labels, and how its values follow from a snapshot. Names follow
// Prometheus' conventions (unit and `_total` last). No label names a pod, a file or a path: what is per lineage is shown
// as the worst ten and the sum, so that the number of series depends on the configuration and not on the node's load.
import type { Amount } from '../core/ledger.ts'
import type { AgentStatus, ContinuityStatus, KubernetesStatus, SinkStatus, WebhookStatus } from '../core/status.ts'
import type { EventCounters } from './events.ts'
import type { ProcessStatus } from './process.ts'

/** All that one scrape is computed from. */
export interface Snapshot {
  status: AgentStatus
  counters: EventCounters
  process: ProcessStatus
  loopDelay: { p99: number; max: number } | null
}

export type Sample = [labels: Record<string, string>, value: number]

export interface Definition {
  type: 'counter' | 'gauge'
  name: string
  help: string
  labels: string[]
  /** Values by labels; what it leaves out is not shown. */
  samples(snapshot: Snapshot): Iterable<Sample>
}

const worstRanks = 10

export const definitions: Definition[] = [
  // The account of a sink: read = acked + skipped + dropped + dead lettered + in flight.
  ...amount('counter', 'read', 'read from files', (sink) => sink.read),
  ...amount('counter', 'acked', 'acknowledged by the sink', (sink) => sink.acked),
  ...amount('gauge', 'in_flight', 'read and not yet acknowledged or settled otherwise', (sink) => sink.inFlight),
  ...amounts('skipped', 'rule', 'left out by a rule', (sink) => sink.skipped),
  ...amounts('dropped', 'reason', 'discarded by the agent', (sink) => sink.dropped),
  ...amounts(
    'dead_lettered',
    'reason',
    'refused by the sink and written to the dead letters',
    // What was thrown away since counts as dropped, too: a counter does not go back.
    (sink) => sums(sink.deadLettered, sink.evicted),
  ),
  counter('lost_bytes_total', 'Bytes that vanished before they were read.', ['sink', 'cause'], ({ status }) =>
    perKey(status, 'cause', (sink) => sink.lost, 'bytes'),
  ),

  // How far behind a sink is.
  perSink('gauge', 'lag_bytes', 'Unread and unacknowledged bytes, the sum over all files.', (sink) => sink.lagBytes),
  gauge(
    'lineage_lag_bytes',
    'Unread and unacknowledged bytes of the ten lineages with the most.',
    ['sink', 'rank'],
    (s) => worst(s.status, 'lagBytes'),
  ),
  gauge(
    'lineage_lag_seconds',
    'Age of the oldest unread or unacknowledged byte of the ten lineages with the oldest.',
    ['sink', 'rank'],
    (s) => worst(s.status, 'lagSeconds'),
  ),
  gauge(
    'lineage_loss_seconds',
    'Time until the rotation deletes something unacknowledged, at the present rates, of the ten lineages closest to it.',
    ['sink', 'rank'],
    (s) => closestToLoss(s.status),
  ),
  perSink(
    'gauge',
    'oldest_unacked_seconds',
    'Age of the oldest line that is not acknowledged; 0 when there is none.',
    (sink) => sink.oldestUnackedSeconds,
  ),
  gauge(
    'last_ack_timestamp_seconds',
    'When the sink last acknowledged something; absent before the first time.',
    ['sink'],
    (s) =>
      s.status.sinks.flatMap(({ name: sink, lastAckAt }): Sample[] =>
        lastAckAt === null ? [] : [[{ sink }, lastAckAt / 1000]],
      ),
  ),

  // Requests.
  gauge('sink_state', '1 for the state that the sink is in.', ['sink', 'state'], (s) =>
    s.status.sinks.flatMap(({ name: sink, state: current }) =>
      ['ok', 'retrying', 'halted'].map((state): Sample => [{ sink, state }, Number(state === current)]),
    ),
  ),
  counter('requests_total', 'Answers by status code, `error` for none.', ['sink', 'code'], (s) =>
    codes(s.status, 'requests'),
  ),
  counter('retries_total', 'Repeats by the status code that caused them, `error` for none.', ['sink', 'code'], (s) =>
    codes(s.status, 'retries'),
  ),
  perSink('gauge', 'requests_in_flight', 'Requests without an answer yet.', (sink) => sink.requestsInFlight),
  perSink('gauge', 'lanes', 'Ordered paths to the sink.', (sink) => sink.lanes),
  perSink('gauge', 'lanes_retrying', 'Lanes that wait before a repeat.', (sink) => sink.lanesRetrying),
  counter('late_records_total', 'Records sent to the late twin of their stream.', ['sink'], (s) =>
    totals(s.counters.lateRecords, 'sink'),
  ),

  // Checkpoints and memory.
  single(
    'gauge',
    'checkpoint_age_seconds',
    'Time since the oldest watermark that is not durable yet was acknowledged.',
    (s) => s.status.checkpoints.ageSeconds,
  ),
  single('gauge', 'checkpoint_pending', 'Watermarks that are not durable yet.', (s) => s.status.checkpoints.pending),
  single('gauge', 'checkpoint_failing', '1 while checkpoints cannot be written.', (s) =>
    Number(s.status.checkpoints.failing !== null),
  ),
  single(
    'gauge',
    'memory_budget_bytes',
    'Bytes that may be between read and acknowledgement at once.',
    (s) => s.status.memory.budgetBytes,
  ),
  single('gauge', 'memory_used_bytes', 'Bytes of the budget in use.', (s) => s.status.memory.usedBytes),

  // Files.
  single('gauge', 'lineages', 'Sequences of files that are followed.', (s) => s.status.lineages.length),
  single('gauge', 'open_files', 'Files that are known and held for some sink.', (s) => files(s.status).length),
  single(
    'gauge',
    'sleeping_lineages',
    'Lineages whose files are closed, since there are fewer descriptors than files.',
    (s) => s.status.descriptors.sleeping,
  ),
  single(
    'gauge',
    'waiting_lineages',
    'Lineages that have something to read and wait for descriptors.',
    (s) => s.status.descriptors.waiting,
  ),
  single(
    'gauge',
    'unlinked_files',
    'Files without a name that are held until every sink is past them.',
    (s) => unlinked(s.status).length,
  ),
  single(
    'gauge',
    'unlinked_bytes',
    'Stored size of the unlinked files: disk space that is free once they are let go.',
    (s) => unlinked(s.status).reduce((sum, file) => sum + file.sizeBytes, 0),
  ),
  single(
    'counter',
    'rotations_total',
    'Live files that were replaced by another one.',
    (s) => s.status.counters.rotations,
  ),
  single(
    'counter',
    'truncations_total',
    'Files that became shorter than what was read of them.',
    (s) => s.status.counters.truncations,
  ),
  single(
    'counter',
    'files_refused_total',
    'Paths that matched a source and were not opened.',
    (s) => s.status.counters.filesRefused,
  ),
  single('counter', 'file_errors_total', 'Failed opens, reads and stats.', (s) => s.status.counters.fileErrors),
  counter('marked_lines_total', 'Lines by the mark that the parser gave them.', ['mark'], (s) =>
    totals(s.counters.markedLines, 'mark'),
  ),
  counter('redacted_lines_total', 'Lines by the rule that hid something in them.', ['rule'], (s) =>
    totals(s.counters.redactedLines, 'rule'),
  ),

  // The course of audit logs, by what their events say; absent where there are none.
  counter(
    'audit_gaps_total',
    'What was found missing in audit logs: holes between files, silence, requests without an end.',
    ['sink', 'finding', 'confidence'],
    (s) =>
      [...s.counters.auditGaps].map(([key, count]): Sample => {
        const [sink = '', finding = '', confidence = ''] = JSON.parse(key) as string[]
        return [{ sink, finding, confidence }, count]
      }),
  ),
  auditLog('audit_silent', 'Audit logs that are silent for longer than is usual.', (course) => Number(course.isSilent)),
  auditLog(
    'audit_open_requests',
    'Long-running requests that have begun and not ended.',
    (course) => course.openRequests,
  ),
  auditLog(
    'audit_untracked_requests',
    'Long-running requests since the start that were not followed, for there were too many at once.',
    (course) => course.untrackedRequests,
  ),
  // Audit webhooks; absent where there is none.
  webhookTotal('batches_accepted', 'Batches that were answered 200: they are on disk.', [], (hook) => [
    [{}, hook.batches.accepted],
  ]),
  webhookTotal('batches_shed', 'Batches that were put off or were too large.', ['reason'], (hook) =>
    totals(Object.entries(hook.batches.shed), 'reason'),
  ),
  webhookTotal('batches_invalid', 'Batches that are none, answered 400.', [], (hook) => [[{}, hook.batches.invalid]]),
  webhookTotal('batches_missing', 'Refused batches that did not come back.', [], (hook) => [[{}, hook.missing]]),
  webhookTotal('events_accepted', 'Events of the accepted batches.', [], (hook) => [[{}, hook.events.accepted]]),
  webhookTotal('events_dropped', 'Of these, what the policy left out.', [], (hook) => [[{}, hook.events.dropped]]),
  webhookTotal('turned_away', 'Requests that were refused before their body was read.', ['status'], (hook) =>
    totals(Object.entries(hook.turnedAway), 'status'),
  ),
  webhookTotal('syncs', 'Times that the spool was made durable.', [], (hook) => [
    [{}, hook.apiServers.reduce((sum, { syncs }) => sum + syncs.count, 0)],
  ]),
  webhookTotal('sync_seconds', 'Time that took.', [], (hook) => [
    [{}, hook.apiServers.reduce((sum, { syncs }) => sum + syncs.seconds, 0)],
  ]),
  webhookGauge('listening', '1 while batches can be taken.', (hook) => Number(hook.address !== null)),
  webhookGauge('load_bytes', 'Memory of batches that are being taken.', (hook) => hook.load.bytes),
  webhookGauge('spool_bytes', 'What waits on disk for the sinks.', (hook) => hook.spool.bytes),
  webhookGauge('spool_bytes_max', 'What may.', (hook) => hook.spool.bytesMax),
  webhookGauge('spool_oldest_seconds', 'Age of the oldest bytes in the spool.', (hook) =>
    Math.max(0, ...hook.apiServers.map(({ oldestSeconds }) => oldestSeconds)),
  ),
  webhookGauge('api_servers', 'API servers that have a spool.', (hook) => hook.apiServers.length),

  // What is known from the API server; absent when it is not asked.
  gauge('kubernetes_watch_state', '1 for the state that the watch is in.', ['resource', 'state'], ({ status }) =>
    (status.kubernetes?.watches ?? []).flatMap(({ resource, state: current }) =>
      ['starting', 'ok', 'retrying', 'refused'].map(
        (state): Sample => [{ resource, state }, Number(state === current)],
      ),
    ),
  ),
  kubernetesTotal('lists', 'Lists, or pages of them, that were asked for.'),
  kubernetesTotal('watches', 'Watches that were opened.'),
  kubernetesTotal('events', 'Events of watches.'),
  kubernetesTotal('failures', 'Requests to the API server that failed.'),
  kubernetesGauge('kubernetes_pods', 'Pods of this node that are known.', (known) => known.pods),
  kubernetesGauge(
    'kubernetes_tombstones',
    'Pods that are deleted and still known, because their files may be read.',
    (known) => known.tombstones,
  ),
  kubernetesGauge(
    'metadata_waiting',
    'Containers whose lines wait until their pod is known.',
    (known) => known.waiting,
  ),
  kubernetesGauge(
    'metadata_missing',
    'Containers whose lines go out marked metadata=path, because their pod is not known.',
    (known) => known.unknown,
  ),
  kubernetesGauge(
    'annotations_invalid',
    'Annotations of pods that are taken for absent: not understood, or not allowed.',
    (known) => known.annotations.invalid,
  ),

  // The agent and its process.
  single('gauge', 'healthy', '1 while everything that waits also moves.', (s) => Number(s.status.healthy)),
  single('gauge', 'ready', '1 once the first discovery is done and every sink was asked.', (s) =>
    Number(s.status.ready),
  ),
  counter('events_total', 'Events, also those whose log lines were suppressed.', ['event'], (s) =>
    totals(Object.entries(s.counters.events), 'event'),
  ),
  gauge('build_info', 'Always 1.', ['version', 'node_version'], (s) => [
    [{ version: s.status.version, node_version: process.version }, 1],
  ]),
  single('gauge', 'start_time_seconds', 'When the agent started.', (s) => s.status.startedAt / 1000),
  single(
    'gauge',
    'event_loop_delay_p99_seconds',
    'Length of a turn of the event loop, 99th percentile since the last scrape.',
    (s) => s.loopDelay?.p99 ?? null,
  ),
  single(
    'gauge',
    'event_loop_delay_max_seconds',
    'The longest turn of the event loop since the last scrape.',
    (s) => s.loopDelay?.max ?? null,
  ),
  single('counter', 'process_cpu_seconds_total', 'User and system time.', (s) => s.process.cpuSeconds),
  single('gauge', 'process_resident_memory_bytes', 'Resident memory.', (s) => s.process.residentBytes),
  single(
    'gauge',
    'process_anonymous_memory_bytes',
    'Resident memory that no file backs (RssAnon): what limits.memory bounds.',
    (s) => s.process.anonymousBytes,
  ),
  single('gauge', 'process_open_fds', 'Open file descriptors.', (s) => s.process.openFds),
  single('gauge', 'process_max_fds', 'The limit on open file descriptors.', (s) => s.process.maxFds),
]

function counter(name: string, help: string, labels: string[], samples: Definition['samples']): Definition {
  return { type: 'counter', name: `taffrail_${name}`, help, labels, samples }
}

function gauge(name: string, help: string, labels: string[], samples: Definition['samples']): Definition {
  return { type: 'gauge', name: `taffrail_${name}`, help, labels, samples }
}

/** A metric without labels; null leaves it out. */
function single(type: Definition['type'], name: string, help: string, value: (snapshot: Snapshot) => number | null) {
  return (type === 'counter' ? counter : gauge)(name, help, [], (snapshot) => {
    const now = value(snapshot)
    return now === null ? [] : [[{}, now]]
  })
}

function perSink(
  type: Definition['type'],
  name: string,
  help: string,
  value: (sink: SinkStatus) => number,
): Definition {
  return (type === 'counter' ? counter : gauge)(name, help, ['sink'], ({ status }) =>
    status.sinks.map((sink) => [{ sink: sink.name }, value(sink)]),
  )
}

function webhookTotal(
  name: string,
  help: string,
  labels: string[],
  samples: (webhook: WebhookStatus) => Sample[],
): Definition {
  return counter(`webhook_${name}_total`, help, ['source', ...labels], ({ status }) =>
    status.webhooks.flatMap((webhook) =>
      samples(webhook).map(([own, value]): Sample => [{ source: webhook.source, ...own }, value]),
    ),
  )
}

function webhookGauge(name: string, help: string, value: (webhook: WebhookStatus) => number): Definition {
  return gauge(`webhook_${name}`, help, ['source'], ({ status }) =>
    status.webhooks.map((webhook): Sample => [{ source: webhook.source }, value(webhook)]),
  )
}

/** Present while the API server is asked. */
function kubernetesGauge(name: string, help: string, value: (known: KubernetesStatus) => number): Definition {
  return single('gauge', name, help, ({ status }) => (status.kubernetes === null ? null : value(status.kubernetes)))
}

/** The sum over the audit logs of a source, as far as a sink has read them. */
function auditLog(name: string, help: string, value: (course: ContinuityStatus) => number): Definition {
  return gauge(name, help, ['source', 'sink'], ({ status }) => {
    const sums = new Map<string, Sample>()
    for (const { source, sinks } of status.lineages) {
      for (const { sink, continuity } of sinks) {
        if (continuity === null) continue
        const sum = sums.get(`${source} ${sink}`)?.[1] ?? 0
        sums.set(`${source} ${sink}`, [{ source, sink }, sum + value(continuity)])
      }
    }
    return sums.values()
  })
}

/** A total of each watch. */
function kubernetesTotal(field: 'lists' | 'watches' | 'events' | 'failures', help: string): Definition {
  return counter(`kubernetes_${field}_total`, help, ['resource'], ({ status }) =>
    (status.kubernetes?.watches ?? []).map((watch): Sample => [{ resource: watch.resource }, watch[field]]),
  )
}

/** Bytes and lines of one kind as two metrics. */
function amount(type: Definition['type'], name: string, what: string, of: (sink: SinkStatus) => Amount): Definition[] {
  const suffix = type === 'counter' ? '_total' : ''
  return (['bytes', 'lines'] as const).map((unit) =>
    perSink(type, `${name}_${unit}${suffix}`, `${title(unit)} ${what}.`, (sink) => of(sink)[unit]),
  )
}

/** Bytes and lines of one kind by reason as two metrics. */
function amounts(name: string, label: string, what: string, of: (sink: SinkStatus) => Record<string, Amount>) {
  return (['bytes', 'lines'] as const).map((unit) =>
    counter(`${name}_${unit}_total`, `${title(unit)} ${what}.`, ['sink', label], ({ status }) =>
      perKey(status, label, of, unit),
    ),
  )
}

function perKey(
  status: AgentStatus,
  label: string,
  of: (sink: SinkStatus) => Record<string, Amount>,
  unit: keyof Amount,
) {
  return status.sinks.flatMap((sink) =>
    Object.entries(of(sink)).map(([key, value]): Sample => [{ sink: sink.name, [label]: key }, value[unit]]),
  )
}

function codes(status: AgentStatus, kind: 'requests' | 'retries'): Sample[] {
  return status.sinks.flatMap((sink) =>
    Object.entries(sink[kind]).map(([code, count]): Sample => [{ sink: sink.name, code }, count]),
  )
}

function totals(values: Iterable<[string, number]>, label: string): Sample[] {
  return [...values].map(([key, value]) => [{ [label]: key }, value])
}

/** The highest values over all lineages, for each sink by itself, rank 1 first. */
function worst(status: AgentStatus, field: 'lagBytes' | 'lagSeconds'): Sample[] {
  return ranked(status, field, (a, b) => b - a)
}

/** The lowest; lineages in no danger are left out. */
function closestToLoss(status: AgentStatus): Sample[] {
  return ranked(status, 'lossSeconds', (a, b) => a - b)
}

function ranked(
  status: AgentStatus,
  field: 'lagBytes' | 'lagSeconds' | 'lossSeconds',
  order: (a: number, b: number) => number,
): Sample[] {
  const values = new Map<string, number[]>()
  for (const { sinks } of status.lineages) {
    for (const { sink, [field]: value } of sinks) {
      if (value === null) continue
      const ranks = values.get(sink) ?? []
      ranks.push(value)
      values.set(sink, ranks)
    }
  }
  return [...values].flatMap(([sink, ofSink]) =>
    ofSink
      .sort(order)
      .slice(0, worstRanks)
      .map((value, i): Sample => [{ sink, rank: String(i + 1) }, value]),
  )
}

function files(status: AgentStatus) {
  return status.lineages.flatMap((lineage) => lineage.files)
}

function unlinked(status: AgentStatus) {
  return files(status).filter((file) => !file.linked)
}

function title(word: string): string {
  return word[0]!.toUpperCase() + word.slice(1)
}

function sums(a: Record<string, Amount>, b: Record<string, Amount>): Record<string, Amount> {
  const sum = { ...a }
  for (const [key, { bytes, lines }] of Object.entries(b)) {
    sum[key] = { bytes: (a[key]?.bytes ?? 0) + bytes, lines: (a[key]?.lines ?? 0) + lines }
  }
  return sum
}
