// Metrics of audit logs and of audit webhooks.
import type { ContinuityStatus, WebhookStatus } from '../../core/status.ts'
import { counter, type Definition, gauge, type Sample, totals } from './metric.ts'

export const auditMetrics: Definition[] = [
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
]

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
