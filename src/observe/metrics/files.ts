// Metrics of checkpoints, of memory, and of the files that are followed with what was found in them.
import type { AgentStatus } from '../../core/status.ts'
import { counter, type Definition, gauge, single, totals } from './metric.ts'

export const fileMetrics: Definition[] = [
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
  gauge('lineages', 'Sequences of files that are followed.', ['source'], ({ status }) => {
    const counts = new Map(status.sources.map((source) => [source, 0]))
    for (const { source } of status.lineages) counts.set(source, (counts.get(source) ?? 0) + 1)
    return totals(counts, 'source')
  }),
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
]

function files(status: AgentStatus) {
  return status.lineages.flatMap((lineage) => lineage.files)
}

function unlinked(status: AgentStatus) {
  return files(status).filter((file) => !file.linked)
}
