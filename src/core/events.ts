// What may happen in the agent that somebody should hear of. The rooms emit these and know nothing of logs or metrics;
// src/observe turns each into a log line (throttled) and a counter. Nothing on the byte path emits an event per line.

export interface AgentEvents {
  /** The first discovery found nothing that a source's globs match. */
  'source.empty': { source: string; paths: readonly string[] }
  /** A path that matched a source was not opened: outside its roots, a FIFO, socket, device or directory, a dangling link. */
  'file.refused': { source: string; path: string; reason: string }
  /** An open, read or stat failed; it is tried again. */
  'file.error': { source: string; path: string; operation: string; error: unknown }
  /** A file was met for the first time (by this process). `offset` in decompressed bytes. */
  'file.opened': { source: string; path: string; lineage: string; sink: string; offset: number; resumed: boolean }
  /** The live file of a lineage was replaced by another one. */
  'file.rotated': { source: string; path: string; lineage: string }
  /** The file became shorter than what was read of it (copytruncate or truncation). */
  'file.truncated': { source: string; path: string; lineage: string; fromBytes: number; toBytes: number }
  /** A lineage has no files left and is forgotten. */
  'lineage.gone': { source: string; lineage: string }
  /** Bytes vanished before they were read. `toOffset` null when the end is not known. */
  'bytes.lost': {
    sink: string
    path: string
    lineage: string
    fromOffset: number
    toOffset: number | null
    cause: string
  }
  /** Bytes that a rule left out, e.g. startAgeMax. Emitted once per file and rule, at the end of the range. */
  'bytes.skipped': { sink: string; path: string; lineage: string; bytes: number; lines: number; rule: string }
  /** Lines marked by the parser: not_cri, future_time, invalid_utf8, cut, partial_open. Once per batch at most. */
  'lines.marked': { source: string; path: string; mark: string; lines: number }
  /** Lines in which a rule hid something. Once per batch and rule at most; a repeat counts again. */
  'lines.redacted': { source: string; rule: string; lines: number }
  /** An audit source is not read: its policy or key cannot be, or its redaction lets a secret out. */
  'audit.stopped': { source: string; reason: string }
  /** Something is missing in an audit log, though nothing that could be read was lost. */
  'audit.gap': { source: string; sink: string; path: string; finding: string; confidence: string; text: string }
  /** An audit webhook takes batches now. */
  'webhook.listening': { source: string; address: string }
  /** It cannot listen, read a certificate, or write its spool; it is tried again. */
  'webhook.failed': { source: string; error: unknown }
  /** A request was turned away before its body was read; `status` 0: there was no TLS connection. */
  'webhook.refused': { source: string; status: number; reason: string }
  /** A batch was refused for now; the API server sends it again. */
  'webhook.shed': { source: string; reason: string }
  /** The spool has no room: everything is refused until sinks have taken some of it. */
  'webhook.full': { source: string; bytes: number }
  /** A batch that is none; it will never be taken. */
  'webhook.invalid': { source: string; apiServer: string; problem: string }
  /** Refused batches did not come back; the record of it is in the stream. */
  'webhook.missing': { source: string; apiServer: string; message: string }
  /** A request will be made again. `status` 0 when there was no answer. */
  'sink.retry': {
    sink: string
    lane: string
    status: number
    code: string
    message: string
    attempt: number
    delayMs: number
  }
  /** An answer that no retry mends by itself (401, 403, 404, unknown 4xx): tried slowly, nothing is lost. */
  'sink.halted': { sink: string; status: number; message: string; delayMs: number }
  /** The first delivery after retries or a halt. */
  'sink.recovered': { sink: string; lane: string; attempts: number }
  /** A batch was split because it was too large or holds something poisonous. */
  'sink.split': { sink: string; lane: string; reason: string; records: number }
  /** Records went to the dead letters. */
  'records.deadLettered': {
    sink: string
    lane: string
    reason: string
    records: number
    bytes: number
    message: string
  }
  /** Entries were sent to the stream's `late` twin. */
  'records.late': { sink: string; lane: string; records: number }
  'checkpoint.failed': { path: string; error: unknown }
  'checkpoint.recovered': { path: string }
  /** A checkpoint log was damaged; `recordsKept` of it were sound. */
  'checkpoint.damaged': { path: string; recordsKept: number; atByte: number; detail: string; movedTo: string | null }
  'deadLetters.failed': { path: string; error: unknown }
  /** A request to the API server failed and is made again. `status` 0 when there was no answer. */
  'kubernetes.failed': { resource: string; status: number; error: unknown; delayMs: number }
  /** The API server does not let us; `rule` is what a ClusterRole lacks. */
  'kubernetes.forbidden': { resource: string; message: string; rule: string; delayMs: number }
  'kubernetes.recovered': { resource: string }
  /** All objects are asked for again: the watch was too old to go on (`expired`), or not to be believed (`untrusted`). */
  'kubernetes.relisted': { resource: string; reason: 'expired' | 'untrusted' }
  /** A pod's annotation cannot be understood; its lines go out as if it were absent. */
  'annotation.invalid': { lineage: string; annotation: string; problem: string }
  /** A container's lines go out with what its path tells: its pod was not known in time. */
  'metadata.missing': { source: string; lineage: string; waitedMs: number }
  /** The oldest file of a sink's dead letters was thrown away to make room. `bytes` are of the records' source files. */
  'deadLetters.evicted': { sink: string; path: string; records: number; bytes: number }
  /** Refused records were given up because their dead letters could not be written. A gap says so in their place. */
  'records.dropped': { sink: string; lane: string; reason: string; records: number; bytes: number; message: string }
  'config.reloaded': { path: string }
  'config.rejected': { path: string; errors: string[] }
  'agent.started': { version: string; node: string; sources: number; sinks: number }
  'agent.stopping': { reason: string }
  /** `left`: by sink, what is not acknowledged and is read again by the next start. */
  'agent.stopped': { drained: boolean; left: { sink: string; bytes: number; files: number }[] }
  /** chokidar or inotify could not be used for a path; rescans go on. */
  'hints.failed': { path: string; error: unknown }
}

export type EventName = keyof AgentEvents

export interface Events {
  emit<Name extends EventName>(name: Name, detail: AgentEvents[Name]): void
}

export const silentEvents: Events = { emit() {} }
