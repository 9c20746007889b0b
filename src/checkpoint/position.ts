// What a checkpoint holds: how far one sink is with one lineage. Everything before it is acknowledged (or skipped,
// dropped, dead-lettered with its letter on disk); everything after it is not. It is enough to find the place again
// after renames, compression and a restart, and to make the same entries again from there on.

import type { ContinuityState } from '../audit/continuity/continuity.ts'
import type { Gap } from '../tail/gap.ts'

/** A file that was seen and not read yet: should it be gone when it is looked for, all of it is lost. */
export interface SeenFile {
  path: string
  dev: number
  ino: number
  head: string
  headBytes: number
  /** Bytes that it had, as far as they are known (0 for a compressed one), and the second witness there. */
  offset: number
  witness: string
  compressed?: true
  /** When it was last written, ms since the epoch. */
  mtimeMs: number
  /** Why its content cannot be had any more; absent while it can. */
  gone?: string
}

export interface Position {
  /** Last known path of the file. A hint for people and messages, never an identity. */
  path: string
  dev: number
  ino: number
  /** Hex SHA-256 (first 32 digits) over the first `headBytes` of the decompressed content; '' for an empty file. */
  head: string
  headBytes: number
  /** Acked watermark in decompressed bytes. */
  offset: number
  /** Hex SHA-256 (first 32 digits) of the last min(1024, offset) bytes before `offset`: the second witness. */
  witness: string
  /**
   * The second witness where the file ended when it was last seen: for a place that is too near to the beginning to have
   * one that tells files apart which begin alike.
   */
  end?: Pick<SeenFile, 'offset' | 'witness'>
  /** Size when last seen, in decompressed bytes: the end of the range that is lost should the file vanish. */
  sizeSeen: number
  /** State of the time rule at `offset` (parse/timeline.ts), as its `save` wrote it. */
  times: number[]
  /**
   * Times of arrival given to ranges after `offset` whose lines have none of their own: which file (0: this one, 1: the first
   * of `later`), from, to, seconds, nanos, repeated.
   */
  stamps: number[]
  /** Places after `offset` at which open records of several lines end: which file (as above), offset, repeated. */
  cuts?: number[]
  /**
   * How far a source stream is acknowledged behind `offset`, where a line of the other one is open: stream, which file (as
   * above), offset, repeated.
   */
  acked?: number[]
  /** When the file was last written, ms since the epoch. */
  mtimeMs?: number
  /** The end of the file was dealt with, all of it: nothing of it is left to read or to lose. */
  ended?: true
  /** Why its content cannot be had any more; absent while it can. */
  gone?: string
  /** Holes that were noticed and are not acknowledged yet, oldest first: their records come before all that follows. */
  gaps?: Gap[]
  /** The files after this one, in reading order. */
  later?: SeenFile[]
  /** Lines with a time before this are skipped (startAgeMax when the lineage was first met); absent: none. */
  skipBeforeSeconds?: number
  /** Of an audit log: what is known of its course so far. */
  continuity?: ContinuityState
}

/** Whether a position speaks of bytes, or holes, that are not delivered. */
export function hasUnread({ offset, sizeSeen, gaps = [], later = [] }: Position): boolean {
  return sizeSeen > offset || gaps.length > 0 || later.length > 0
}
