// What a marked entry says of itself in its metadata. Pure: a repeat says the same.
import {
  type Entry,
  MARK_CUT,
  MARK_CUT_TO_METADATA,
  MARK_FUTURE_TIME,
  MARK_GAP,
  MARK_NAMES,
  MARK_TRUNCATED,
} from './entry.ts'
import type { Labels } from './labels.ts'

/** `pairs` with the entry's marks added: `taffrail_mark` and, for cut lines, holes and replaced times, the particulars. */
export function withMarks(pairs: Labels, entry: Entry, marks: number): Labels {
  const marked = { ...pairs }
  marked.taffrail_mark = MARK_NAMES.filter(([bit]) => (marks & bit) !== 0)
    .map(([, name]) => name)
    .join(',')
  if ((marks & MARK_CUT_TO_METADATA) !== 0) marked.taffrail_original_bytes = String(entry.originalBytes)
  if ((marks & (MARK_CUT | MARK_TRUNCATED)) !== 0) {
    marked.taffrail_original_bytes = String(entry.originalBytes)
    marked.taffrail_original_sha256 = entry.originalSha256
  }
  if ((marks & MARK_FUTURE_TIME) !== 0) marked.taffrail_original_time = entry.originalTime
  if ((marks & MARK_GAP) !== 0) {
    marked.taffrail_offset = String(entry.offset)
    marked.taffrail_confidence = entry.confidence
  }
  return marked
}
