// What the agent tells of itself, as one snapshot: GET /status is this object as JSON, the metrics are computed from it
// at scrape time, the page and the demo's summary show it. Making it costs nothing until somebody asks.
import type { Amount } from './ledger.ts'

export interface SinkStatus {
  name: string
  type: string
  /** `ok`, `retrying` (some lane waits before a repeat) or `halted` (an answer that needs an operator). */
  state: 'ok' | 'retrying' | 'halted'
  /** The last refusal or failure in words, until the next success. */
  lastError: string | null
  read: Amount
  acked: Amount
  inFlight: Amount
  skipped: Record<string, Amount>
  dropped: Record<string, Amount>
  deadLettered: Record<string, Amount>
  /** Of what this process dead-lettered, what was thrown away to make room, by reason. It is among the dropped. */
  evicted: Record<string, Amount>
  lost: Record<string, Amount>
  lanes: number
  /** Lanes that wait before a repeat. */
  lanesRetrying: number
  requestsInFlight: number
  /** Answers by status code, `error` for none. */
  requests: Record<string, number>
  /** Repeats by the status code that caused them, `error` for none. */
  retries: Record<string, number>
  /** Upper bounds in seconds -> count, not cumulative; the last bound is Infinity. */
  requestSeconds: { bounds: number[]; counts: number[]; sum: number }
  /** Age of the oldest line that was read or is waiting in a file and is not acked; 0 when there is none. */
  oldestUnackedSeconds: number
  /** Milliseconds since the epoch; null before the first. */
  lastAckAt: number | null
  /** Unread and unacked bytes over all files. */
  lagBytes: number
}

/** What is known of the course of an audit log. */
export interface ContinuityStatus {
  openRequests: number
  /** Long-running requests that were not followed, for there were too many at once. */
  untrackedRequests: number
  /** The usual longest pause between two events in seconds, and from which on it is a silence; null while not known. */
  usualPauseSeconds: number | null
  silenceSeconds: number | null
  /** Seconds since the epoch of the newest event; null before the first. */
  newestEventSeconds: number | null
  /** Nothing has come since then for so long that it was told. */
  isSilent: boolean
}

export interface LineageFileStatus {
  path: string
  dev: number
  ino: number
  /** Of the file as it is stored. */
  sizeBytes: number
  compressed: boolean
  /** False once its name is gone or points to another file. */
  linked: boolean
}

export interface LineageSinkStatus {
  sink: string
  /** Path of the file that the reader is in. */
  path: string | null
  /** Read position, decompressed bytes. */
  readOffset: number
  /** Acked watermark, decompressed bytes, in `ackedPath`. */
  ackedOffset: number
  ackedPath: string | null
  lagBytes: number
  /** Seconds since the oldest unread or unacked byte was first seen; 0 when there is none. */
  lagSeconds: number
  /**
   * At the present rates, seconds until the rotation deletes something that is not acked; 0 when it has, and an open
   * descriptor is all that holds it; null when nothing is in danger.
   */
  lossSeconds: number | null
  /** Of an audit log: its course, as far as this sink's reader has come; null for others. */
  continuity: ContinuityStatus | null
}

export interface LineageStatus {
  source: string
  /** `NAMESPACE/POD/CONTAINER` and pod UID for containers, the path for files. */
  lineage: string
  /** The path under which discovery found it. */
  path: string
  files: LineageFileStatus[]
  sinks: LineageSinkStatus[]
}

/** Log files that are open. */
export interface DescriptorsStatus {
  open: number
  /** How many there may be; null: as many as it wants. */
  max: number | null
  /** Lineages whose files are closed, and of them those that have something to read and wait for their turn. */
  sleeping: number
  waiting: number
}

/** One list+watch at the API server. */
export interface KubernetesWatchStatus {
  resource: string
  /** `starting` before the first list is whole; `refused`: an operator must grant something. */
  state: 'starting' | 'ok' | 'retrying' | 'refused'
  lastError: string | null
  /** Totals since start: requests for (a page of) a list and for a watch, events, failed requests. */
  lists: number
  watches: number
  events: number
  failures: number
}

/** An annotation that is taken for absent. */
export interface AnnotationProblem {
  /** `NAMESPACE/POD`. */
  pod: string
  annotation: string
  problem: string
}

/** What is known from the API server; null in AgentStatus when it is not asked. */
export interface KubernetesStatus {
  /** Where the credentials were found. */
  from: string
  watches: KubernetesWatchStatus[]
  pods: number
  /** Pods that are deleted and still known, because their files may still be read. */
  tombstones: number
  namespaces: number
  /** Annotations of pods whose lines are read that are taken for absent: how many, and some of them. */
  annotations: { invalid: number; first: AnnotationProblem[] }
  /** Containers whose lines wait for their pod's metadata, and those that went out without. */
  waiting: number
  unknown: number
}

/** A source of type auditWebhook. */
export interface WebhookStatus {
  source: string
  /** Where it is meant to listen, and where it does; null while it does not. */
  listen: string
  address: string | null
  lastError: string | null
  /** Totals since start. Of refused ones by reason: `memory`, `spool`, `disk`, `size`. */
  batches: { accepted: number; shed: Record<string, number>; invalid: number }
  /** Of the accepted batches; `dropped` is what the policy left out of them. */
  events: { accepted: number; dropped: number }
  /** Batches that were refused and did not come back. */
  missing: number
  /** Requests of which no body was read: by status, `tls` for handshakes. */
  turnedAway: Record<string, number>
  /** Upper bounds in seconds -> count, not cumulative; the last bound is Infinity. */
  answerSeconds: { bounds: number[]; counts: number[]; sum: number }
  /** Memory of bodies that are being taken. */
  load: { bytes: number; bytesMax: number }
  spool: { bytes: number; bytesMax: number; isFull: boolean }
  apiServers: {
    name: string
    bytes: number
    segments: number
    /** Age of the oldest bytes in its spool; 0 when there are none. */
    oldestSeconds: number
    syncs: { count: number; seconds: number }
    /** Refused batches that may still come back. */
    awaited: number
  }[]
}

export interface AgentStatus {
  version: string
  /** Milliseconds since the epoch. */
  startedAt: number
  now: number
  cluster: string
  node: string
  /** `running`, `draining` or `stopped`. */
  phase: 'running' | 'draining' | 'stopped'
  /** Whether the first discovery is done, not all files refuse to be opened, and every sink has acknowledged something or had nothing to take. */
  ready: boolean
  /** False when there is something to deliver and nothing has moved for too long; `reasons` says what. */
  healthy: boolean
  reasons: string[]
  /** What was wrong with the configuration file when it was last read again; empty: it is the one that runs. */
  configErrors: readonly string[]
  /** Names of all that it reads from, those included of which nothing was found. */
  sources: string[]
  sinks: SinkStatus[]
  lineages: LineageStatus[]
  kubernetes: KubernetesStatus | null
  webhooks: WebhookStatus[]
  memory: { budgetBytes: number; usedBytes: number }
  descriptors: DescriptorsStatus
  checkpoints: {
    /** Seconds since the oldest acknowledged but not yet durable watermark was acknowledged; 0 when all are durable. */
    ageSeconds: number
    pending: number
    failing: string | null
  }
  /** Totals since start. */
  counters: { rotations: number; truncations: number; filesRefused: number; fileErrors: number }
}
