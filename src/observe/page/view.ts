// What the page computes from the status: pure functions, tested here and sent to the browser as they stand (script.ts
// puts their source into the page). So each may use the others in this file and what every browser has, and no imports
// but types.
import type { Amount } from '../../core/ledger.ts'
import type { AgentStatus, LineageStatus, SinkStatus } from '../../core/status.ts'

/** `0 B`, `1.5 KiB`, `12.3 GiB`: three digits at most before the unit. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = Math.abs(bytes)
  let unit = 0
  // 1023.95 would be shown as 1024.0.
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  const digits = unit === 0 ? value.toFixed(0) : value.toFixed(value < 99.95 ? 1 : 0)
  return `${bytes < 0 ? '−' : ''}${digits} ${units[unit]}`
}

/** `1,234,567`. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}

/** `0 s`, `0.4 s`, `59 s`, `2 m 05 s`, `3 h 12 m`, `4 d 2 h`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.95) return `${seconds < 0.05 ? '0' : seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const two = (value: number) => String(value).padStart(2, '0')
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${two(whole % 60)} s`
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole / 60) % 60)} m`
  return `${Math.floor(whole / 86400)} d ${Math.floor(whole / 3600) % 24} h`
}

/**
 * Lines and bytes per second that a sink acknowledged between two snapshots; null when they do not tell: the same one
 * twice, a restart between them, a clock that was set back, a sink that is new.
 */
export function throughput(older: AgentStatus | undefined, newer: AgentStatus, sinkName: string): Amount | null {
  const before = older?.sinks.find((sink) => sink.name === sinkName)
  const after = newer.sinks.find((sink) => sink.name === sinkName)
  if (older === undefined || before === undefined || after === undefined) return null
  const seconds = (newer.now - older.now) / 1000
  if (seconds <= 0 || newer.startedAt !== older.startedAt) return null
  return {
    bytes: (after.acked.bytes - before.acked.bytes) / seconds,
    lines: (after.acked.lines - before.acked.lines) / seconds,
  }
}

export interface BalancePart {
  kind: string
  /** What it counts, for people. */
  title: string
  bytes: number
  lines: number
  /** `too_old 12 lines, …`; empty where there are no reasons. */
  reasons: [reason: string, amount: Amount][]
}

/**
 * Where what a sink read went, and by how much the sum is off (0 and 0 when it balances). Lost bytes stand beside it, by
 * causes of which one may have 0 bytes: the end of what was lost is not always known.
 */
export function balance(sink: SinkStatus): { parts: BalancePart[]; lost: BalancePart; off: Amount } {
  const part = (kind: string, title: string, amounts: Record<string, Amount>): BalancePart => {
    const reasons = Object.entries(amounts).filter(
      ([, { bytes, lines }]) => kind === 'lost' || bytes !== 0 || lines !== 0,
    )
    const sum = (unit: 'bytes' | 'lines') => reasons.reduce((total, [, amount]) => total + amount[unit], 0)
    return { kind, title, bytes: sum('bytes'), lines: sum('lines'), reasons }
  }
  const parts = [
    { kind: 'acked', title: 'Acknowledged', ...sink.acked, reasons: [] },
    { kind: 'flight', title: 'In flight', ...sink.inFlight, reasons: [] },
    part('skipped', 'Skipped', sink.skipped),
    part('dropped', 'Dropped', sink.dropped),
    part('dead', 'Dead letters', sink.deadLettered),
  ]
  const off = (unit: 'bytes' | 'lines') => sink.read[unit] - parts.reduce((total, each) => total + each[unit], 0)
  return { parts, lost: part('lost', 'Lost unread', sink.lost), off: { bytes: off('bytes'), lines: off('lines') } }
}

/** The line on top. `tone` is `good`, `wait` or `bad`; `reasons` go below it. */
export function headline(status: AgentStatus): { tone: string; title: string; reasons: string[] } {
  if (status.phase === 'stopped') return { tone: 'wait', title: 'Stopped', reasons: [] }
  if (!status.healthy) return { tone: 'bad', title: 'Not healthy', reasons: status.reasons }
  if (status.phase === 'draining') return { tone: 'wait', title: 'Draining before it stops', reasons: status.reasons }
  if (!status.ready) return { tone: 'wait', title: 'Starting', reasons: status.reasons }
  const troubled = status.sinks.filter((sink) => sink.state !== 'ok')
  const reasons = troubled.map(
    (sink) => `Sink ${sink.name} ${sink.state === 'halted' ? 'needs an operator' : 'is retrying'}.`,
  )
  for (const { source, address, spool } of status.webhooks) {
    if (address === null) reasons.push(`Webhook ${source} does not listen.`)
    if (spool.isFull) reasons.push(`The spool of webhook ${source} is full.`)
  }
  const [error, ...others] = status.configErrors
  if (error !== undefined) {
    const more = others.length === 0 ? '' : ` (and ${others.length} more)`
    reasons.push(`The configuration was read again and not taken, the one before it runs: ${error}${more}.`)
  }
  if (reasons.length === 0) return { tone: 'good', title: 'Healthy', reasons: status.reasons }
  return { tone: 'wait', title: 'Healthy, with trouble', reasons: [...reasons, ...status.reasons] }
}

export interface LineageRow {
  key: string
  lineage: LineageStatus
  /** Over its sinks, the worst. */
  lagBytes: number
  lagSeconds: number
  /** null: nothing is in danger. */
  lossSeconds: number | null
  sizeBytes: number
}

/**
 * The rows of the lineage table: those in which `search` occurs (lineage, path, source or a file's path; case does not
 * matter), by `sortBy` (a field
 * of the row, `files`, `lineage` or `source`), ties by name, and at most `rowsMax` of them.
 */
export function lineageRows(
  lineages: LineageStatus[],
  view: { search: string; sortBy: string; descending: boolean; rowsMax: number },
): { rows: LineageRow[]; matching: number } {
  const wanted = view.search.trim().toLowerCase()
  const holds = (text: string) => text.toLowerCase().includes(wanted)
  const rows = lineages
    .filter((each) => [each.lineage, each.path, each.source, ...each.files.map((file) => file.path)].some(holds))
    .map((lineage) => ({
      key: `${lineage.source} ${lineage.lineage}`,
      lineage,
      lagBytes: Math.max(0, ...lineage.sinks.map((sink) => sink.lagBytes)),
      lagSeconds: Math.max(0, ...lineage.sinks.map((sink) => sink.lagSeconds)),
      lossSeconds: lineage.sinks.reduce<number | null>(
        (least, { lossSeconds: each }) => (each === null || (least !== null && least < each) ? least : each),
        null,
      ),
      sizeBytes: lineage.files.reduce((sum, file) => sum + file.sizeBytes, 0),
    }))
  const value = (row: LineageRow): number => {
    if (view.sortBy === 'lagBytes') return row.lagBytes
    if (view.sortBy === 'lagSeconds') return row.lagSeconds
    // Descending shows first what is closest to it.
    if (view.sortBy === 'lossSeconds') return row.lossSeconds === null ? -1 : 1 / (1 + row.lossSeconds)
    if (view.sortBy === 'sizeBytes') return row.sizeBytes
    return row.lineage.files.length
  }
  const text = (row: LineageRow) => (view.sortBy === 'source' ? row.key : row.lineage.lineage)
  const byText = (a: LineageRow, b: LineageRow) => (text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0)
  const sign = view.descending ? -1 : 1
  if (view.sortBy === 'lineage' || view.sortBy === 'source') rows.sort((a, b) => sign * byText(a, b))
  else rows.sort((a, b) => sign * (value(a) - value(b)) || byText(a, b))
  return { rows: rows.slice(0, view.rowsMax), matching: rows.length }
}

/** Sentences about annotations that are not understood; empty where all are. */
export function annotationNotes(status: AgentStatus): string[] {
  const { invalid, first } = status.kubernetes?.annotations ?? { invalid: 0, first: [] }
  const notes = first.map(({ pod, annotation, problem }) => `${pod}: ${annotation} is taken for absent: ${problem}`)
  return invalid > notes.length ? [...notes, `and ${formatCount(invalid - notes.length)} more`] : notes
}

/** Sentences about audit webhooks and the API servers that send to them; empty where there is none. */
export function webhookNotes(status: AgentStatus): string[] {
  return status.webhooks.flatMap(
    ({ source, listen, address, lastError, batches, events, missing, spool, apiServers }) => {
      const putOff = Object.values(batches.shed).reduce((sum, count) => sum + count, 0)
      const where = address === null ? `does not listen on ${listen}` : `listens on ${address}`
      const taken = `${formatCount(batches.accepted)} batches taken (${formatCount(events.accepted)} events)`
      const refused = `${formatCount(putOff)} put off, ${formatCount(batches.invalid)} refused for good, ${formatCount(missing)} missing`
      const full = spool.isFull ? ' The spool is full.' : ''
      const error = lastError === null ? '' : ` Last error: ${lastError}`
      const own = `${source} ${where}: ${taken}, ${refused}.${full}${error}`
      const of = apiServers.map(
        ({ name, bytes, oldestSeconds }) =>
          `${source}, ${name}: ${formatBytes(bytes)} in the spool, the oldest ${formatSeconds(oldestSeconds)} old.`,
      )
      return [own, ...of]
    },
  )
}

/**
 * What a lineage is called in a table that has a column for its source, and what tells it from another of that name: the pod's
 * UID, '' for others.
 */
export function lineageName({
  source,
  lineage,
}: Pick<LineageStatus, 'source' | 'lineage'>): [name: string, uid: string] {
  const key = lineage.startsWith(`${source}:`) ? lineage.slice(source.length + 1) : lineage
  const pod = /^([^/].*)\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})$/.exec(key)
  return pod === null ? [key, ''] : [pod[1] as string, pod[2] as string]
}

/** Everything above, in the order in which the page needs it. */
export const viewFunctions = [
  formatBytes,
  formatCount,
  formatSeconds,
  throughput,
  balance,
  headline,
  lineageRows,
  lineageName,
  annotationNotes,
  webhookNotes,
] as const
