// The time rule. Loki merges entries of one stream that have the same timestamp, line and metadata, and runtimes write
// many lines with one timestamp; so per source stream the emitted time is the line's own, unless that is not later than
// the last emitted time and not earlier than the last line's own time: then it is the last emitted time plus 1 ns.
// A pure function of the lines read since the start of the file or since a saved state: a repeat makes the same entries.

const EMITTED_SECONDS = 0
const EMITTED_NANOS = 1
const OWN_SECONDS = 2
const OWN_NANOS = 3
const FIELDS = 4
const ROW_SECONDS = 2 * FIELDS
const ROW_NANOS = ROW_SECONDS + 1
const LENGTH = ROW_NANOS + 1

export class Timeline {
  /** Result of `emit`. */
  seconds = 0
  nanos = 0
  // Per source stream the last emitted and the last own time, then the time of the last row of either stream.
  readonly #state = new Float64Array(LENGTH).fill(-1)

  /** Gives the time to emit for a line of `stream` with its own time, in `seconds` and `nanos`. */
  emit(stream: number, ownSeconds: number, ownNanos: number): void {
    const s = this.#state
    const at = stream * FIELDS
    const emittedSeconds = s[at + EMITTED_SECONDS] as number
    const emittedNanos = s[at + EMITTED_NANOS] as number
    let seconds = ownSeconds
    let nanos = ownNanos
    if (
      !later(ownSeconds, ownNanos, emittedSeconds, emittedNanos) &&
      !later(s[at + OWN_SECONDS] as number, s[at + OWN_NANOS] as number, ownSeconds, ownNanos)
    ) {
      seconds = emittedSeconds
      nanos = emittedNanos + 1
      if (nanos === 1_000_000_000) {
        seconds++
        nanos = 0
      }
    }
    s[at + EMITTED_SECONDS] = seconds
    s[at + EMITTED_NANOS] = nanos
    s[at + OWN_SECONDS] = ownSeconds
    s[at + OWN_NANOS] = ownNanos
    this.seconds = seconds
    this.nanos = nanos
  }

  /** Notes the time of a row, for rows after it that have none of their own. */
  row(seconds: number, nanos: number): void {
    this.#state[ROW_SECONDS] = seconds
    this.#state[ROW_NANOS] = nanos
  }

  /** Seconds of the last row that had a time, -1 before the first. */
  get rowSeconds(): number {
    return this.#state[ROW_SECONDS] as number
  }

  get rowNanos(): number {
    return this.#state[ROW_NANOS] as number
  }

  /** The source stream whose line came last by its own time; that of stdout before the first. */
  get lastStream(): number {
    const s = this.#state
    const [outSeconds, errSeconds] = [s[OWN_SECONDS] as number, s[FIELDS + OWN_SECONDS] as number]
    return later(errSeconds, s[FIELDS + OWN_NANOS] as number, outSeconds, s[OWN_NANOS] as number) ? 1 : 0
  }

  /** The time last emitted for a source stream; null before the first. */
  emitted(stream: number): { seconds: number; nanos: number } | null {
    const at = stream * FIELDS
    const seconds = this.#state[at + EMITTED_SECONDS] as number
    return seconds < 0 ? null : { seconds, nanos: this.#state[at + EMITTED_NANOS] as number }
  }

  /** The state as plain numbers, for `load`. */
  save(): number[] {
    return Array.from(this.#state)
  }

  /** Takes up a saved state; anything of another length (an older version's) is as none. */
  load(saved: readonly number[] | null): void {
    if (saved !== null && saved.length === LENGTH) this.#state.set(saved)
    else this.#state.fill(-1)
  }
}

function later(aSeconds: number, aNanos: number, bSeconds: number, bNanos: number): boolean {
  return aSeconds > bSeconds || (aSeconds === bSeconds && aNanos > bNanos)
}
