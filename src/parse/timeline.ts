// The time rule. Loki merges entries of one stream that have the same timestamp, line and metadata, and runtimes write
// many lines with one timestamp; so per source stream the emitted time is the line's own, unless that is not later than
// the last emitted time and not earlier than the last line's own time: then it is the last emitted time plus 1 ns.
// A pure function of the lines read since the start of the file or since a saved state: a repeat makes the same entries.

/** The last emitted and the last own time of one source stream; -1 before the first. Plain fields: whole numbers stay whole. */
export class LastTimes {
  emittedSeconds = -1
  emittedNanos = -1
  ownSeconds = -1
  ownNanos = -1
}

const LENGTH = 10

export class Timeline {
  /** Result of `emit`. */
  seconds = 0
  nanos = 0
  /** Time of the last row of either stream that had one; -1 before the first. */
  rowSeconds = -1
  rowNanos = -1
  /** By source stream. */
  readonly last: readonly [LastTimes, LastTimes] = [new LastTimes(), new LastTimes()]

  /** Gives the time to emit for a line of `stream` with its own time, in `seconds` and `nanos`. */
  emit(stream: number, ownSeconds: number, ownNanos: number): void {
    const last = this.last[stream as 0 | 1]
    let seconds = ownSeconds
    let nanos = ownNanos
    if (
      !later(ownSeconds, ownNanos, last.emittedSeconds, last.emittedNanos) &&
      !later(last.ownSeconds, last.ownNanos, ownSeconds, ownNanos)
    ) {
      seconds = last.emittedSeconds
      nanos = last.emittedNanos + 1
      if (nanos === 1_000_000_000) {
        seconds++
        nanos = 0
      }
    }
    last.emittedSeconds = seconds
    last.emittedNanos = nanos
    last.ownSeconds = ownSeconds
    last.ownNanos = ownNanos
    this.seconds = seconds
    this.nanos = nanos
  }

  /** Notes the time of a row, for rows after it that have none of their own. */
  row(seconds: number, nanos: number): void {
    this.rowSeconds = seconds
    this.rowNanos = nanos
  }

  /** The source stream whose line came last by its own time; that of stdout before the first. */
  get lastStream(): number {
    const [out, err] = this.last
    return later(err.ownSeconds, err.ownNanos, out.ownSeconds, out.ownNanos) ? 1 : 0
  }

  /** The time last emitted for a source stream; null before the first. */
  emitted(stream: number): { seconds: number; nanos: number } | null {
    const { emittedSeconds: seconds, emittedNanos: nanos } = this.last[stream as 0 | 1]
    return seconds < 0 ? null : { seconds, nanos }
  }

  /** The state as plain numbers, for `load`: of stdout and of stderr the four, then the row's. */
  save(): number[] {
    const [out, err] = this.last
    return [
      out.emittedSeconds,
      out.emittedNanos,
      out.ownSeconds,
      out.ownNanos,
      err.emittedSeconds,
      err.emittedNanos,
      err.ownSeconds,
      err.ownNanos,
      this.rowSeconds,
      this.rowNanos,
    ]
  }

  /** Takes up a saved state; anything of another length (an older version's) is as none. */
  load(saved: readonly number[] | null): void {
    const state = saved !== null && saved.length === LENGTH ? saved : new Array<number>(LENGTH).fill(-1)
    const at = (index: number) => state[index] as number
    for (const [stream, last] of this.last.entries()) {
      last.emittedSeconds = at(4 * stream)
      last.emittedNanos = at(4 * stream + 1)
      last.ownSeconds = at(4 * stream + 2)
      last.ownNanos = at(4 * stream + 3)
    }
    this.rowSeconds = at(LENGTH - 2)
    this.rowNanos = at(LENGTH - 1)
  }
}

/** Whether the first time is later than the second. */
export function later(aSeconds: number, aNanos: number, bSeconds: number, bNanos: number): boolean {
  return aSeconds > bSeconds || (aSeconds === bSeconds && aNanos > bNanos)
}
