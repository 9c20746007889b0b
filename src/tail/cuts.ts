// Places at which an open record of several lines was taken for whole because nothing came for a while. Whether more comes is
// not in the bytes; so a place is decided once and kept until it is acknowledged, over rewinds and (through the checkpoint)
// over restarts: a repeat ends the record there, too.
import type { TailedFile } from './file.ts'

/** Numbers per place in a checkpoint: which file of those that the checkpoint names, and the offset. */
const SAVED_FIELDS = 2

export class Cuts {
  /** Whether there are places that no checkpoint holds yet. */
  fresh = false
  #places: { file: TailedFile; offset: number }[] = []

  add(file: TailedFile, offset: number): void {
    if (this.has(file, offset)) return
    this.#places.push({ file, offset })
    this.fresh = true
  }

  has(file: TailedFile | null, offset: number): boolean {
    return this.#places.some((place) => place.file === file && place.offset === offset)
  }

  /** The first place in `file` behind `from`, at most `to`. */
  next(file: TailedFile, from: number, to: number): number {
    let end = to
    for (const place of this.#places) if (place.file === file && place.offset > from) end = Math.min(end, place.offset)
    return end
  }

  /** Forgets what is at or before `offset` of `file`, or in files before it. */
  prune(file: TailedFile, offset: number): void {
    if (this.#places.length === 0) return
    this.#places = this.#places.filter(
      (place) => place.file.sequence > file.sequence || (place.file === file && place.offset > offset),
    )
  }

  /** The content of `from` is in `to` now, at the same offsets. */
  carry(from: TailedFile, to: TailedFile): void {
    for (const place of this.#places) if (place.file === from) place.file = to
  }

  /** Those in these files, which the checkpoint names (its own one first), as plain numbers for it. */
  save(files: readonly (TailedFile | null)[]): number[] {
    return this.#places.flatMap(({ file, offset }) => {
      const after = files.indexOf(file)
      return after < 0 ? [] : [after, offset]
    })
  }

  /** `files` are those that the checkpoint names, where they are there. */
  load(files: readonly (TailedFile | null)[], saved: readonly number[]): void {
    for (let i = 0; i + SAVED_FIELDS <= saved.length; i += SAVED_FIELDS) {
      const file = files[saved[i] as number]
      if (file != null) this.#places.push({ file, offset: saved[i + 1] as number })
    }
  }
}
