// Made-up statuses for the tests of this room: realistic names and numbers, the same on every call.
import type { Amount } from '../../src/core/ledger.ts'
import type { AgentStatus, LineageStatus, SinkStatus } from '../../src/core/status.ts'

const MiB = 1024 * 1024

/** An agent that runs, with two sinks; `lineages` containers. */
export function sampleStatus(lineages = 3): AgentStatus {
  return {
    version: '0.1.0',
    startedAt: 1_790_000_000_000,
    now: 1_790_000_273_600,
    cluster: 'prod-1',
    node: 'worker-3',
    phase: 'running',
    ready: true,
    healthy: true,
    reasons: [],
    configErrors: [],
    sources: ['containers', 'audit'],
    sinks: [sampleSink('loki', 'loki'), sampleSink('out', 'stdout')],
    lineages: Array.from({ length: lineages }, (_, i) => sampleLineage(i, ['loki', 'out'])),
    kubernetes: {
      from: 'the service account in /var/run/secrets/kubernetes.io/serviceaccount',
      watches: [
        { resource: 'pods', state: 'ok', lastError: null, lists: 2, watches: 3, events: 40, failures: 1 },
        { resource: 'namespaces', state: 'refused', lastError: 'no', lists: 1, watches: 0, events: 0, failures: 5 },
      ],
      pods: 12,
      tombstones: 2,
      namespaces: 4,
      annotations: { invalid: 0, first: [] },
      waiting: 1,
      unknown: 3,
    },
    webhooks: [
      {
        source: 'hook',
        listen: '0.0.0.0:9443',
        address: '0.0.0.0:9443',
        lastError: null,
        batches: { accepted: 310, shed: { memory: 2, spool: 1 }, invalid: 1 },
        events: { accepted: 12_000, dropped: 40 },
        missing: 1,
        turnedAway: { 401: 3, tls: 2 },
        answerSeconds: { bounds: [0.01, 0.1, Number.POSITIVE_INFINITY], counts: [300, 8, 2], sum: 3.5 },
        load: { bytes: 2 * MiB, bytesMax: 32 * MiB },
        spool: { bytes: 70 * MiB, bytesMax: 1024 * MiB, isFull: false },
        apiServers: [
          {
            name: 'cp-1',
            bytes: 70 * MiB,
            segments: 2,
            oldestSeconds: 90,
            syncs: { count: 250, seconds: 1.5 },
            awaited: 1,
          },
        ],
      },
    ],
    descriptors: { open: 3, max: 1000, sleeping: 0, waiting: 0 },
    memory: { budgetBytes: 24 * MiB, usedBytes: 3 * MiB },
    checkpoints: { ageSeconds: 0.12, pending: 2, failing: null },
    counters: { rotations: 41, truncations: 2, filesRefused: 1, fileErrors: 0 },
  }
}

/** A sink whose account balances. */
export function sampleSink(name: string, type: string): SinkStatus {
  const skipped = { startAgeMax: amount(5_000, 50) }
  const dropped = { queue_full: amount(300, 3) }
  const deadLettered = { too_old: amount(2_000, 20), invalid_labels: amount(100, 1) }
  return {
    name,
    type,
    state: 'ok',
    lastError: null,
    read: amount(1_007_900, 10_079),
    acked: amount(1_000_000, 10_000),
    inFlight: amount(500, 5),
    skipped,
    dropped,
    deadLettered,
    evicted: { too_old: amount(50, 1) },
    lost: { deleted_while_behind: amount(4_096, 0) },
    lanes: 12,
    lanesRetrying: 0,
    requestsInFlight: 1,
    requests: { 204: 1234, 429: 3, error: 1 },
    retries: { 429: 3, error: 1 },
    requestSeconds: { bounds: [0.1, 1, Infinity], counts: [1200, 30, 4], sum: 61.5 },
    oldestUnackedSeconds: 0.4,
    lastAckAt: 1_790_000_273_000,
    lagBytes: 12_345,
  }
}

/** The container number `i`; its lag grows with `i`. */
export function sampleLineage(i: number, sinks: string[]): LineageStatus {
  const uid = `0d9f6c1e-${String(i).padStart(4, '0')}-4a53-9c1b-5f3e8a7d2b10`
  const directory = `/var/log/pods/shop_checkout-${i}_${uid}/api`
  const current = `${directory}/0.log`
  return {
    source: 'containers',
    lineage: `shop/checkout-${i}/api ${uid}`,
    path: `/var/log/containers/checkout-${i}_shop_api-4f2a.log`,
    files: [
      { path: current, dev: 66306, ino: 9000 + i, sizeBytes: 1000 * (i + 1), compressed: false, linked: true },
      {
        path: `${directory}/0.log.20261102-031500.gz`,
        dev: 66306,
        ino: 5000 + i,
        sizeBytes: 700,
        compressed: true,
        linked: false,
      },
    ],
    sinks: sinks.map((sink) => ({
      sink,
      path: current,
      readOffset: 900 * (i + 1),
      ackedOffset: 800 * (i + 1),
      ackedPath: current,
      lagBytes: 100 * (i + 1),
      lagSeconds: i,
      lossSeconds: i % 2 === 0 ? null : 100 * i,
      continuity: null,
    })),
  }
}

function amount(bytes: number, lines: number): Amount {
  return { bytes, lines }
}
