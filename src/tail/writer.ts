// Where a reader's entries go: the contract between reading and batching.
import type { AuditLines } from '../audit/lines.ts'
import type { Entry } from '../core/entry.ts'
import type { Timeline } from '../parse/timeline.ts'
import type { TailedFile } from './file.ts'

/** Where entries go. The reader asks before it changes any state, so that a line that does not fit is read again. */
export interface EntryWriter {
  /** Whether an entry with a message of so many bytes can be written. */
  fits(entry: Entry, messageBytes: number): boolean
  write(entry: Entry): void
  /**
   * Takes as many rows as it can at once, as `fits` and `write` would take them one by one, and moves `rows.from` behind
   * them; it may leave any row to those two. False: it takes no rows of this block but one by one.
   */
  writeRows?(rows: CriRows): boolean
  /** The same for lines of an audit log, which may be left out by its policy. */
  writeEvents?(events: EventRows): boolean
  /** Bytes that may still be written, about. */
  readonly roomBytes: number
}

/** Whole CRI rows in block[from, end), in valid UTF-8, while no line is open. */
export interface CriRows {
  file: TailedFile
  block: Buffer
  from: number
  end: number
  /** Offset in the file of block[0]. */
  base: number
  /** Moved on with the rows. */
  timeline: Timeline
  /** Only rows of a time from `secondsMin` to `secondsMax`, and with a message of at most so many bytes. */
  secondsMin: number
  secondsMax: number
  lineBytesMax: number
  /** How many rows were taken. */
  lines: number
}

/** Whole lines of an audit log in block[from, end), in valid UTF-8, while no line is open. */
export interface EventRows {
  file: TailedFile
  block: Buffer
  from: number
  end: number
  /** Offset in the file of block[0]. */
  base: number
  audit: AuditLines
  /** Only events of a time from `secondsMin` to `secondsMax`. */
  secondsMin: number
  secondsMax: number
  /** How many lines were taken that go out, and the time of the last one; and what of lines that its policy drops. */
  lines: number
  seconds: number
  nanos: number
  droppedLines: number
  droppedBytes: number
}
