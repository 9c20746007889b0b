// Which entries of a push Loki meant when it refused some. Pure. What cannot be named is bisected by the caller.
import type { ListedFinding, LokiFinding } from './sentences.ts'

/** What is known of the entries of one stream's push, in order. */
export interface PushedEntries {
  count: number
  seconds: Float64Array
  nanos: Float64Array
  lineBytes: Float64Array
}

export interface Selection {
  /** Indexes into the push, ascending. */
  indexes: number[]
  /** These are all that Loki refused for this reason: the others passed that check. */
  complete: boolean
}

/** Selects the entries that `finding` speaks of; an empty selection when they cannot be told. */
export function selectRefused(finding: LokiFinding, entries: PushedEntries): Selection {
  switch (finding.reason) {
    case 'too_far_behind':
    case 'out_of_order':
    case 'other':
      return listed(finding, entries)
    case 'too_old': {
      // All that is older than the limit is refused with the one that was named (whole seconds; the named one may be alone in its second).
      const limit = finding.oldestAcceptable?.seconds ?? finding.timestamp.seconds
      const older = select(entries, (i) => entries.seconds[i]! < limit)
      return { indexes: older.length > 0 ? older : firstAt(entries, finding.timestamp.seconds), complete: false }
    }
    case 'too_new': {
      const from = finding.timestamp.seconds
      return {
        indexes: select(entries, (i) => entries.seconds[i]! > from || entries.seconds[i] === from),
        complete: false,
      }
    }
    case 'line_too_long':
      return { indexes: select(entries, (i) => entries.lineBytes[i]! > finding.limitBytes), complete: true }
    default:
      return { indexes: [], complete: false }
  }
}

/**
 * Entries by the times that Loki named. It names about ten and counts all. An entry is held against the newest before it in the stream, so from the first
 * refused one on, everything older than its limit was refused as well.
 */
function listed(finding: ListedFinding, entries: PushedEntries): Selection {
  const chosen = new Set<number>()
  let first = entries.count
  let limit: { seconds: number; nanos: number | null } | null = null
  for (const [at, named] of finding.timestamps.entries()) {
    for (let i = 0; i < entries.count; i++) {
      if (entries.seconds[i] !== named.seconds) continue
      if (named.nanos !== null && entries.nanos[i] !== named.nanos) continue
      chosen.add(i)
      if (i < first) {
        first = i
        limit = finding.oldestAcceptable[at] ?? null
      }
    }
  }
  if (limit !== null) {
    const { seconds } = limit
    for (let i = first; i < entries.count; i++) if (entries.seconds[i]! < seconds) chosen.add(i)
  }
  const indexes = [...chosen].sort((a, b) => a - b)
  return { indexes, complete: finding.ignored !== null && indexes.length === finding.ignored }
}

function select(entries: PushedEntries, matches: (index: number) => boolean): number[] {
  const indexes: number[] = []
  for (let i = 0; i < entries.count; i++) if (matches(i)) indexes.push(i)
  return indexes
}

function firstAt(entries: PushedEntries, seconds: number): number[] {
  for (let i = 0; i < entries.count; i++) if (entries.seconds[i] === seconds) return [i]
  return []
}
