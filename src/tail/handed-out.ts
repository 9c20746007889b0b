// How far the lines of a reader were ever handed out: in this process, and perhaps by the one before it. Only behind that may
// it be decided anew how lines go out, for a line that comes again must be the same entry.
import type { TailedFile } from './file.ts'
import type { Lineage } from './lineage.ts'
import type { Snapshot } from './place.ts'

export class HandedOut {
  readonly #lineage: Lineage
  readonly #endsAtRestart: boolean
  /** In this process (logical). */
  #to = 0
  /** By the process before: all there was then. */
  #before: { file: TailedFile; offset: number } | null = null

  /** `endsAtRestart`: lines of a container's restarts do not go out together. */
  constructor(lineage: Lineage, endsAtRestart: boolean) {
    this.#lineage = lineage
    this.#endsAtRestart = endsAtRestart
  }

  /** What was read up to `logical` was handed out. */
  note(logical: number): void {
    this.#to = Math.max(this.#to, logical)
  }

  /** Whether nothing behind `logical` was handed out in this process. */
  isUpTo(logical: number): boolean {
    return this.#to <= logical
  }

  /**
   * Reading begins in `file`. `isDecided`: the process before had decided how its lines go out, and may have handed out all that
   * there is; null: it goes on after a sleep.
   */
  begin(file: TailedFile, isDecided: boolean | null): void {
    if (!(isDecided ?? this.#before !== null)) return
    const { files } = this.#lineage
    const isSame = (each: TailedFile) => !this.#endsAtRestart || each.order.restart === file.order.restart
    const last = files.findLast(isSame) ?? file
    this.#before = { file: last, offset: last.compressed ? Number.POSITIVE_INFINITY : last.sizeSeen }
  }

  /** Whether nothing from the committed place on was ever handed out. */
  isBefore(at: Snapshot): boolean {
    if (!this.isUpTo(at.logical)) return false
    const before = this.#before
    if (before === null) return true
    const isPast =
      at.file.sequence > before.file.sequence || (at.file === before.file && (at.ended || at.offset >= before.offset))
    if (isPast) this.#before = null
    return isPast
  }
}
