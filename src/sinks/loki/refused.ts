// Which entries of a push Loki meant when it refused some. Pure. What cannot be named is divided by the caller.
import type { ListedFinding, LokiFinding, LokiTime } from './sentences.ts'

/** What is known of the entries of one stream, by index. */
export interface PushedEntries {
  seconds: Float64Array
  nanos: Float64Array
  lineBytes: Float64Array
  /** Names and values of structured metadata, in bytes, and the number of pairs. */
  metadataOf(index: number): { bytes: number; pairs: number }
}

export interface Selection {
  indexes: readonly number[]
  /** These are all that Loki refused for this reason: the others passed that check. */
  complete: boolean
}

const NONE: Selection = { indexes: [], complete: false }

/**
 * Selects from `pushed` (the indexes that were in the push) the entries that `finding` speaks of; none when they cannot
 * be told. `isOnlyList`: no other listed finding shares its count.
 */
export function selectRefused(
  finding: LokiFinding,
  entries: PushedEntries,
  pushed: readonly number[],
  isOnlyList: boolean,
): Selection {
  if (pushed.length === 1 && finding.scope === 'entry') return { indexes: pushed, complete: true }
  switch (finding.reason) {
    case 'too_far_behind':
      return (isOnlyList ? oldest(finding, entries, pushed) : null) ?? listed(finding, entries, pushed)
    case 'out_of_order':
    case 'other':
      return listed(finding, entries, pushed)
    case 'too_old': {
      // The limit is told in whole seconds. All before its second are too old, and of those in it the oldest.
      const { timestamp, oldestAcceptable } = finding
      const limit = oldestAcceptable?.seconds ?? timestamp.seconds
      const older = pushed.filter((i) => entries.seconds[i]! < limit)
      if (timestamp.seconds < limit) return { indexes: older, complete: false }
      const inSecond = pushed.filter((i) => entries.seconds[i] === timestamp.seconds)
      return {
        indexes: [...older, ...byTime(inSecond, entries).slice(0, finding.entries ?? 1)],
        complete: false,
      }
    }
    case 'too_new': {
      const { seconds } = finding.timestamp
      const newer = pushed.filter((i) => entries.seconds[i]! > seconds)
      const inSecond = pushed.filter((i) => entries.seconds[i] === seconds)
      return {
        indexes: [...byTime(inSecond, entries).slice(-(finding.entries ?? 1)), ...newer],
        complete: false,
      }
    }
    case 'line_too_long':
      return { indexes: pushed.filter((i) => entries.lineBytes[i]! > finding.limitBytes), complete: true }
    case 'metadata_too_large':
      return { indexes: pushed.filter((i) => entries.metadataOf(i).bytes > finding.limit), complete: true }
    case 'metadata_too_many':
      return { indexes: pushed.filter((i) => entries.metadataOf(i).pairs > finding.limit), complete: true }
    default:
      return NONE
  }
}

/** The same indexes, oldest entry first. */
export function byTime(indexes: readonly number[], { seconds, nanos }: PushedEntries): number[] {
  return [...indexes].sort((a, b) => seconds[a]! - seconds[b]! || nanos[a]! - nanos[b]!)
}

/**
 * Too far behind are the oldest of a push, as many as Loki counted: what is pushed together lies so close together that
 * the stream's limit does not move within it. Null when what Loki named contradicts that.
 */
function oldest(finding: ListedFinding, entries: PushedEntries, pushed: readonly number[]): Selection | null {
  // What the distributor has refused before is among them.
  if (finding.ignored === null || (finding.total !== null && finding.total !== pushed.length)) return null
  const chosen = byTime(pushed, entries).slice(0, finding.ignored)
  const last = chosen.at(-1)
  if (last === undefined || chosen.length < finding.ignored) return null
  const limits = finding.oldestAcceptable
  if (limits.some((limit) => limit !== null && entries.seconds[last]! > limit.seconds)) return null
  if (!finding.timestamps.every((named) => chosen.some((i) => isAt(entries, i, named)))) return null
  return { indexes: chosen.sort((a, b) => a - b), complete: true }
}

/** Entries by the times that Loki named, and what must have been refused with them. It names about ten and counts all. */
function listed(finding: ListedFinding, entries: PushedEntries, pushed: readonly number[]): Selection {
  const chosen = new Set<number>()
  let first = pushed.length
  let limit: LokiTime | null = null
  for (const [at, named] of finding.timestamps.entries()) {
    for (const [place, i] of pushed.entries()) {
      if (!isAt(entries, i, named)) continue
      chosen.add(i)
      if (place >= first) continue
      first = place
      limit = finding.oldestAcceptable[at] ?? null
    }
  }
  // A limit only ever rises within a push.
  if (limit !== null) {
    for (const i of pushed.slice(first)) if (entries.seconds[i]! < limit.seconds) chosen.add(i)
  }
  // Where the distributor has refused some before, these may be among the chosen ones, and the count right by chance.
  const isCounted = finding.total === null || finding.total === pushed.length
  return { indexes: [...chosen], complete: isCounted && finding.ignored !== null && chosen.size === finding.ignored }
}

function isAt({ seconds, nanos }: PushedEntries, index: number, time: LokiTime): boolean {
  return seconds[index] === time.seconds && (time.nanos === null || nanos[index] === time.nanos)
}
