// Times of arrival for lines that have no time of their own, or one that cannot be. A range of a file gets one when it is
// first read and keeps it until it is acknowledged, over rewinds and (through the checkpoint) over restarts: a repeat
// makes the same entries.
import { later } from '../parse/timeline.ts'
import type { TailedFile } from './file.ts'

interface Stamp {
  file: TailedFile
  from: number
  to: number
  seconds: number
  nanos: number
}

/** Numbers per stamp in a checkpoint: which file of those that the checkpoint names, from, to, seconds, nanos. */
const SAVED_FIELDS = 5

export class Stamps {
  /** Result of `range`, and of `extent` when it found one. */
  seconds = 0
  nanos = 0
  /** Whether there are stamps that no checkpoint holds yet. */
  fresh = false
  /** Whether `extent` found one. */
  found = false
  #stamps: Stamp[] = []

  /**
   * Sets `seconds` and `nanos` for what begins at `from`, to `nowMs` unless it has a time already, and returns how far
   * that time holds, at most `to`. What comes before a range that has a time (its file could not be read by then) arrived
   * no later than that: with a later time those behind it would seem to go back, to times that are others' already.
   */
  range(file: TailedFile, from: number, to: number, nowMs: number): number {
    const end = this.extent(file, from, to)
    if (this.found) return end
    this.seconds = Math.floor(nowMs / 1000)
    this.nanos = Math.floor(nowMs % 1000) * 1_000_000
    for (const { file: other, from: start, seconds, nanos } of this.#stamps) {
      const isBehind = other === file ? start > from : other.sequence > file.sequence
      if (isBehind && later(this.seconds, this.nanos, seconds, nanos)) Object.assign(this, { seconds, nanos })
    }
    this.#stamps.push({ file, from, to: end, seconds: this.seconds, nanos: this.nanos })
    this.fresh = true
    return end
  }

  /** Sets `found`, whether what begins at `from` has a time, and returns how far that is so, at most `to`. */
  extent(file: TailedFile, from: number, to: number): number {
    this.found = false
    let end = to
    for (const stamp of this.#stamps) {
      if (stamp.file !== file) continue
      if (stamp.from > from) end = Math.min(end, stamp.from)
      else if (stamp.to > from) {
        this.found = true
        this.seconds = stamp.seconds
        this.nanos = stamp.nanos
        return Math.min(stamp.to, to)
      }
    }
    return end
  }

  /** What was in `file` is read from `copy` from now on, at the same offsets. */
  carry(file: TailedFile, copy: TailedFile): void {
    for (const stamp of this.#stamps) if (stamp.file === file) stamp.file = copy
  }

  /** Forgets all. */
  clear(): void {
    this.#stamps = []
    this.fresh = false
  }

  /** Forgets what ends at or before `offset` of `file`, or in files before it. */
  prune(file: TailedFile, offset: number): void {
    if (this.#stamps.length === 0) return
    this.#stamps = this.#stamps.filter(
      (stamp) => stamp.file.sequence > file.sequence || (stamp.file === file && stamp.to > offset),
    )
  }

  /** Those of these files, which the checkpoint names (its own one first), as plain numbers for it. */
  save(files: readonly (TailedFile | null)[]): number[] {
    return this.#stamps.flatMap(({ file, from, to, seconds, nanos }) => {
      const after = files.indexOf(file)
      return after < 0 ? [] : [after, from, to, seconds, nanos]
    })
  }

  /** `files` are those that the checkpoint names, where they are there. */
  load(files: readonly (TailedFile | null)[], saved: readonly number[]): void {
    for (let i = 0; i + SAVED_FIELDS <= saved.length; i += SAVED_FIELDS) {
      const [after, from, to, seconds, nanos] = saved.slice(i, i + SAVED_FIELDS) as [
        number,
        number,
        number,
        number,
        number,
      ]
      const file = files[after]
      if (file != null) this.#stamps.push({ file, from, to, seconds, nanos })
    }
  }
}
