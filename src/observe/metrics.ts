// The metrics in Prometheus' text format, computed from one snapshot of the status when somebody scrapes and at no other
// time. Which there are stands in metrics/. Invariants: a counter never goes back while the agent and its
// label combination live, and a combination that is gone from the snapshot is gone from the next scrape.
import { createRequire } from 'node:module'
import type * as Prometheus from 'prom-client'
import type { AgentStatus, SinkStatus, WebhookStatus } from '../core/status.ts'
import type { EventCounters } from './events.ts'
import { auditMetrics } from './metrics/audit.ts'
import { fileMetrics } from './metrics/files.ts'
import { kubernetesMetrics } from './metrics/kubernetes.ts'
import type { Definition, Snapshot } from './metrics/metric.ts'
import { processMetrics } from './metrics/process.ts'
import { sinkMetrics } from './metrics/sinks.ts'
import { readProcess, watchLoopDelay } from './process.ts'

// The three parts alone: the whole of prom-client (default metrics, cluster, push gateway, OpenTelemetry) costs 6 MiB of
// anonymous memory and 45 ms of CPU more.
const require = createRequire(import.meta.url)
const Registry: typeof Prometheus.Registry = require('prom-client/lib/registry.js')
const Counter: typeof Prometheus.Counter = require('prom-client/lib/counter.js')
const Gauge: typeof Prometheus.Gauge = require('prom-client/lib/gauge.js')

/** Every metric but the histograms, in the order in which they are shown. */
const definitions: readonly Definition[] = [
  ...sinkMetrics,
  ...fileMetrics,
  ...auditMetrics,
  ...kubernetesMetrics,
  ...processMetrics,
]

export interface Metrics {
  /** One scrape. Rejects with what `status` throws. */
  text(): Promise<string>
  contentType: string
}

const requestSeconds = {
  name: 'taffrail_request_duration_seconds',
  help: 'Time from the start of a request to its answer or failure.',
}

const answerSeconds = {
  name: 'taffrail_webhook_answer_duration_seconds',
  help: 'Time from the headers of a batch to its answer.',
}

/**
 * @param status is called once per scrape.
 * @param counters those that `createEvents` counts in.
 */
export function createMetrics(status: () => AgentStatus, counters: EventCounters): Metrics {
  const registry = new Registry()
  const readDelay = watchLoopDelay()
  let snapshot: Snapshot | null = null
  const look = () => snapshot!

  for (const definition of definitions) register(registry, definition, look)
  registerHistogram(registry, requestSeconds, () => look().status.sinks.flatMap(ofSink))
  registerHistogram(registry, answerSeconds, () => look().status.webhooks.flatMap(ofWebhook))

  return {
    contentType: registry.contentType,
    async text() {
      snapshot = { status: status(), counters, process: readProcess(), loopDelay: readDelay() }
      // The registry collects before it first waits, so a second scrape cannot slip its snapshot under this one.
      const text = registry.metrics()
      snapshot = null
      return text
    },
  }
}

/** The names of all metrics, for the test that keeps docs/operations.md complete. */
export const metricNames: readonly string[] = [
  ...definitions.map(({ name }) => name),
  requestSeconds.name,
  answerSeconds.name,
]

function register(registry: Prometheus.Registry, definition: Definition, look: () => Snapshot): void {
  const { name, help, labels } = definition
  const config = { name, help, labelNames: labels, registers: [registry] }
  if (definition.type === 'gauge') {
    new Gauge({
      ...config,
      collect() {
        forget(this, labels)
        for (const [values, value] of definition.samples(look())) this.set(values, value)
      },
    })
    return
  }
  let shown = new Map<string, number>()
  let startedAt = 0
  new Counter({
    ...config,
    collect() {
      forget(this, labels)
      const snapshot = look()
      // An agent that was built anew, as for a changed configuration, counts from 0 again, and Prometheus may see that.
      if (snapshot.status.startedAt !== startedAt) shown = new Map()
      startedAt = snapshot.status.startedAt
      const next = new Map<string, number>()
      for (const [values, value] of definition.samples(snapshot)) {
        const key = JSON.stringify(values)
        // A rewind gives bytes back to their file: they leave the ledger's `read` and are taken again soon. A counter
        // that went back would look like a restart, and all it ever counted like one burst.
        const highest = Math.max(value, shown.get(key) ?? 0)
        next.set(key, highest)
        this.inc(values, highest)
      }
      shown = next
    },
  })
}

/** Empties a metric; unlike its own `reset`, leaves no zero where a metric without labels has no value. */
function forget(metric: Prometheus.Counter | Prometheus.Gauge, labels: string[]): void {
  metric.reset()
  if (labels.length === 0) metric.remove()
}

/** prom-client's own histogram counts observations with bounds fixed beforehand; here both come from the snapshot. */
function registerHistogram(registry: Prometheus.Registry, named: typeof requestSeconds, values: () => object[]): void {
  const histogram = { get: async () => ({ ...named, type: 'histogram', values: values() }) }
  registry.registerMetric(Object.assign(histogram, named) as unknown as Prometheus.Counter)
}

function ofSink({ name: sink, requestSeconds: seconds }: SinkStatus) {
  return histogramOf(requestSeconds.name, { sink }, seconds)
}

function ofWebhook({ source, answerSeconds: seconds }: WebhookStatus) {
  return histogramOf(answerSeconds.name, { source }, seconds)
}

function histogramOf(name: string, labels: Record<string, string>, seconds: SinkStatus['requestSeconds']) {
  const { bounds, counts, sum } = seconds
  let total = 0
  const buckets = bounds.map((bound, i) => {
    total += counts[i] ?? 0
    const le = bound === Infinity ? '+Inf' : String(bound)
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: total }
  })
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: total },
  ]
}
