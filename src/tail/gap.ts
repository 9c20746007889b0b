// A gap: a hole in what could be read, and the record that is shipped in its place. Everything in the record is decided
// once, when the hole is noticed, and is in the checkpoint before the record is first sent: a repeat, also after a kill,
// makes the same entry. Pure.
// Its source stream is that of the last line before the hole, stdout when there was none. Its time is the one that Loki
// is sure to take: not before the last entry of that stream, and at most half an hour before the end of the hole. So it
// is never far behind its stream, nor too old when the lines after it are not, and no line after it is far behind it.
import type { Confidence, FindingKind } from '../audit/continuity/finding.ts'
import { STDERR, STDOUT } from '../core/entry.ts'
import { later, type Timeline } from '../parse/timeline.ts'

/** Half of what a Loki stream lets its entries be behind. */
const BEFORE_END_SECONDS_MAX = 30 * 60

/** A point in time. */
export interface Time {
  seconds: number
  nanos: number
}

/** What vanished: bytes [from, to) of a file, decompressed. */
export interface Hole {
  path: string
  /** Of the file: the hash of its head, and its container's restart. */
  head: string
  restart: number
  from: number
  /** null: the end is not known. */
  to: number | null
  cause: string
  /** Of what was read and dropped: the number of records, others between them were delivered. */
  records?: number
  /** Nothing was lost that could be read: something is missing in an audit log, and how sure that is. `cause` says it. */
  finding?: FindingKind
  confidence?: Confidence
  /** When its last byte was written, ms since the epoch; null where that is not known. */
  writtenMs: number | null
}

/** Records of one file that were dropped. */
export interface DroppedRange {
  path: string
  /** From the first byte of the first one to the last byte of the last one; others may lie between. */
  from: number
  to: number
  records: number
  cause: string
}

/** A hole with all that its record says. Kept in checkpoints: plain values only. */
export interface Gap extends Time {
  path: string
  head: string
  restart: number
  from: number
  to: number | null
  cause: string
  records?: number
  finding?: FindingKind
  /** Left out: certain. */
  confidence?: Confidence
  /** STDOUT or STDERR. */
  stream: number
  /** What was lost was written between these two, as far as they are known; RFC 3339. */
  after: string | null
  before: string | null
}

/**
 * Decides on the record of a hole that lies between the last line of `timeline` and `first`, the time of the first line
 * behind it where there is one that says so. `arrival`: the lines around it have times of arrival, and so has it.
 */
export function decideGap(hole: Hole, timeline: Timeline, first: Time | null, nowMs: number, arrival: boolean): Gap {
  const { writtenMs, ...lost } = hole
  const now = timeOf(nowMs)
  const stream = timeline.lastStream === STDERR ? STDERR : STDOUT
  const last = timeline.emitted(stream)
  const end = first ?? (writtenMs === null ? null : timeOf(writtenMs))
  let at = arrival || end === null || isLater(end, now) ? now : end
  if (last !== null) {
    if (!arrival) at = { seconds: at.seconds - BEFORE_END_SECONDS_MAX, nanos: at.nanos }
    if ((end === null && !arrival) || isLater(last, at)) at = last
  }
  const { rowSeconds, rowNanos } = timeline
  const after = rowSeconds < 0 ? null : formatTime({ seconds: rowSeconds, nanos: rowNanos })
  return { ...lost, stream, ...at, after, before: end === null ? null : formatTime(end) }
}

/** The line of a gap's record. */
export function gapText({ path, from, to, cause, after, before, records, finding, confidence }: Gap): string {
  if (finding !== undefined) return `taffrail: ${confidence} gap in the audit log: ${cause}`
  if (records !== undefined) return `taffrail: dropped ${records} records in [${from}, ${to}) of ${path}: ${cause}`
  const range = to === null ? `from offset ${from}` : `${to - from} bytes [${from}, ${to})`
  const span = [after === null ? '' : ` after ${after}`, before === null ? '' : ` before ${before}`].join('')
  return `taffrail: lost ${range} of ${path}${span === '' ? '' : `, written${span}`}: ${cause}`
}

/** RFC 3339 with nine digits. */
export function formatTime({ seconds, nanos }: Time): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(nanos).padStart(9, '0')}Z`
}

function timeOf(ms: number): Time {
  const seconds = Math.floor(ms / 1000)
  return { seconds, nanos: Math.floor(ms - seconds * 1000) * 1_000_000 }
}

function isLater(a: Time, b: Time): boolean {
  return later(a.seconds, a.nanos, b.seconds, b.nanos)
}
