// When a file is lost: what is known of how a lineage grows and is rotated, and from it the moment at which the oldest
// file that is still needed is deleted. The kubelet deletes the oldest file at the rotation that makes one too many
// (containerLogMaxSize, containerLogMaxFiles; 10Mi and 5 unless changed), logrotate likewise (`rotate N`). Both numbers
// are learned: the size from files that were superseded, the count from what was there when the oldest one vanished;
// until then a lineage goes by what others of its source have shown. A forecast only decides who comes first: wrong, it
// costs nothing but the order.
import { compareOrder, type FileOrder } from '../discover/names.ts'
import type { TailedFile } from './file.ts'

/** Rates are averages over about so long. */
const AVERAGED_MS = 30_000
/** Growth is summed up for so long before the rate is computed anew. */
const INTERVAL_MS = 1000

/** How a source's files are rotated, as far as it has been seen; null: never. */
export interface RotationHabit {
  /** A file is superseded at about this size, in bytes. */
  sizeBytes: number | null
  /** So many files are kept, the live one included. */
  filesMax: number | null
  /** Who deletes files deletes none that somebody still has to read. */
  sparesUnread?: true
}

export const KUBELET_HABIT: Readonly<RotationHabit> = { sizeBytes: 10 * 1024 * 1024, filesMax: 5 }

/** An amount per time, averaged: what is recent counts most. */
export class Rate {
  /** Bytes per millisecond; what was measured first counts in full. */
  #perMs = 0
  #since: number
  #amount = 0
  #begun = false

  /** `now` in monotonic milliseconds, here and below. */
  constructor(now: number) {
    this.#since = now
  }

  /** What the rate is taken to be until there is a measurement. */
  guess(perSecond: number): void {
    if (!this.#begun) this.#perMs = perSecond / 1000
  }

  add(amount: number, now: number): void {
    this.#amount += amount
    const elapsed = now - this.#since
    if (elapsed < INTERVAL_MS) return
    const weight = this.#begun ? 1 - Math.exp(-elapsed / AVERAGED_MS) : 1
    this.#perMs += weight * (this.#amount / elapsed - this.#perMs)
    this.#begun = true
    this.#amount = 0
    this.#since = now
  }

  get perMs(): number {
    return this.#perMs
  }
}

/** One lineage's rotation. */
export class Rotation {
  readonly written: Rate
  readonly #habit: RotationHabit
  #sizeBytes: number | null = null
  #filesMax: number | null = null
  /** Of the last listing: how many files, and the oldest. */
  #listed = 0
  #oldest: FileOrder | null = null

  /** `habit` is shared by the lineages of a source, and learns from them. */
  constructor(habit: RotationHabit, now: number) {
    this.#habit = habit
    this.written = new Rate(now)
  }

  /** A file of so many bytes, uncompressed, has a successor. */
  superseded(sizeBytes: number): void {
    if (sizeBytes === 0) return
    this.#sizeBytes = sizeBytes
    this.#habit.sizeBytes = sizeBytes
  }

  /** The names that are there now, in reading order; a file and its compressed form are one. */
  listed(candidates: readonly { order: FileOrder }[]): void {
    const oldest = candidates[0]?.order ?? null
    let count = 0
    let last: FileOrder | null = null
    for (const { order } of candidates) {
      if (last === null || compareOrder(last, order) !== 0) count++
      last = order
    }
    const was = this.#oldest
    // Of a container that has begun anew the whole series goes at once, for another reason.
    if (was !== null && oldest !== null && was.restart === oldest.restart && compareOrder(was, oldest) < 0) {
      this.#filesMax = Math.max(this.#listed, count)
      this.#habit.filesMax = this.#filesMax
    }
    this.#listed = count
    this.#oldest = oldest
  }

  /** At the first look: how fast the live file has grown since the one before it was written last. */
  guess(files: readonly TailedFile[]): void {
    const live = files.at(-1)
    const before = files.at(-2)
    if (live === undefined || before === undefined) return
    const elapsedMs = live.mtimeMs - before.mtimeMs
    if (elapsedMs > 0) this.written.guess((1000 * live.sizeSeen) / elapsedMs)
  }

  /**
   * Bytes that can still be written before `file`, one of `files` (in reading order, the live one last), loses its name;
   * infinite when nothing is known, 0 when it has lost it.
   */
  bytesUntilLoss(files: readonly TailedFile[], file: TailedFile): number {
    const sizeBytes = this.#sizeBytes ?? this.#habit.sizeBytes
    const filesMax = this.#filesMax ?? this.#habit.filesMax
    if (!file.linked) return 0
    if (this.#habit.sparesUnread) return Number.POSITIVE_INFINITY
    if (sizeBytes === null || filesMax === null) return Number.POSITIVE_INFINITY
    let newer = 0
    for (let i = files.length - 1; i >= 0 && files[i] !== file; i--) if ((files[i] as TailedFile).linked) newer++
    const liveBytes = (files.at(-1) as TailedFile).sizeSeen
    return Math.max(0, sizeBytes - liveBytes) + Math.max(0, filesMax - newer - 1) * sizeBytes
  }
}
