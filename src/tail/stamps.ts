// Times of arrival for lines that have no time of their own. A range of a file gets one when it is first read and keeps
// it until it is acknowledged, over rewinds and (through the checkpoint) over restarts: a repeat makes the same entries.
import type { Clock } from '../ports/clock.ts'
import type { TailedFile } from './file.ts'

interface Stamp {
  file: TailedFile
  from: number
  to: number
  seconds: number
  nanos: number
}

export class Stamps {
  /** Result of `range`. */
  seconds = 0
  nanos = 0
  /** Whether there are stamps that no checkpoint holds yet. */
  fresh = false
  readonly #clock: Clock
  #stamps: Stamp[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Sets `seconds` and `nanos` for what begins at `from` and returns how far that time holds, at most `to`. */
  range(file: TailedFile, from: number, to: number): number {
    for (const stamp of this.#stamps) {
      if (stamp.file !== file || from < stamp.from || from >= stamp.to) continue
      this.seconds = stamp.seconds
      this.nanos = stamp.nanos
      return Math.min(stamp.to, to)
    }
    const now = this.#clock.now()
    this.seconds = Math.floor(now / 1000)
    this.nanos = Math.floor(now % 1000) * 1_000_000
    this.#stamps.push({ file, from, to, seconds: this.seconds, nanos: this.nanos })
    this.fresh = true
    return to
  }

  /** Forgets what ends at or before `offset` of `file`, or in files before it. */
  prune(file: TailedFile, offset: number): void {
    if (this.#stamps.length === 0) return
    this.#stamps = this.#stamps.filter(
      (stamp) => stamp.file.sequence > file.sequence || (stamp.file === file && stamp.to > offset),
    )
  }

  /** The stamps of `file` as plain numbers for the checkpoint. */
  save(file: TailedFile): number[] {
    return this.#stamps.filter((s) => s.file === file).flatMap((s) => [s.from, s.to, s.seconds, s.nanos])
  }

  load(file: TailedFile, saved: readonly number[]): void {
    for (let i = 0; i + 3 < saved.length; i += 4) {
      const [from, to, seconds, nanos] = saved.slice(i, i + 4) as [number, number, number, number]
      this.#stamps.push({ file, from, to, seconds, nanos })
    }
  }
}
