// Metrics of sinks: the account of bytes and lines, how far behind they are, their requests. No label names a pod, a file or a
// path: what is per lineage is shown as the worst ten and the sum, so that the number of series depends on the configuration
// and not on the node's load.
import type { Amount } from '../../core/ledger.ts'
import type { AgentStatus, SinkStatus } from '../../core/status.ts'
import { counter, type Definition, gauge, type Sample, totals } from './metric.ts'

const worstRanks = 10

export const sinkMetrics: Definition[] = [
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
]

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
