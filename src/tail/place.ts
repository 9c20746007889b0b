// Places in a lineage: where a reader is, where it may begin again, and how far a source stream is acknowledged.
import type { ContinuityState } from '../audit/continuity/continuity.ts'
import type { TailedFile } from './file.ts'
import type { Gap } from './gap.ts'

/** Bytes before the offset that every read repeats and compares: a file rewritten under us does not go unnoticed. */
export const OVERLAP_BYTES = 64

/** Where a reader is. One object, shared by the reader, which moves it, and those who work for it. */
export interface Place {
  /** null before the first. */
  file: TailedFile | null
  offset: number
  /** Bytes of the lineage read since the start: offsets that do not begin again with each file. */
  logical: number
}

/** A place to begin again, with the state of the time rule there. */
export interface Snapshot {
  file: TailedFile
  offset: number
  logical: number
  /** The bytes before it (latin1), at most OVERLAP_BYTES of them, as they were when they were read. */
  tail: string
  times: number[]
  /** The end of the file was dealt with. */
  ended: boolean
  /** Holes that are still to be written before anything is read. */
  gaps: readonly Gap[]
  /** Of an audit log: what is known of its course so far. */
  continuity?: ContinuityState
}

/** Entries that end at or before it are acknowledged; what the end of a file ends counts half a byte more. */
export interface Acked {
  file: TailedFile
  offset: number
}

export const AT_END = 0.5
/** What a cut (cuts.ts) ends counts a quarter of a byte more than the rows before it. */
export const AT_CUT = 0.25

export function isBefore(a: Acked, b: Acked): boolean {
  return a.file.sequence < b.file.sequence || (a.file === b.file && a.offset <= b.offset)
}
