// The place that is acknowledged: where a rewind leads, and where the next process begins, as a position for the checkpoint.
// Invariant: it never passes what is acknowledged, and what is told of it is true of the files as they are now: where a place
// cannot be named, nothing is told.
import type { ContinuityState } from '../audit/continuity/continuity.ts'
import type { Position } from '../checkpoint/position.ts'
import { bytesInCopy, isLikeCopy, type Witness } from './copies.ts'
import { insistOnWitness, type TailedFile, WITNESS_BYTES } from './file.ts'
import type { Gap } from './gap.ts'
import type { Holes } from './holes.ts'
import type { ReaderParts } from './parts.ts'
import type { Snapshot } from './place.ts'
import { SeenFiles } from './seen-files.ts'

/** Committed places that are remembered. */
const WITNESSES = 4

/** What a position says of the file that it is in. */
type OwnFile = Pick<
  Position,
  | 'path'
  | 'dev'
  | 'ino'
  | 'head'
  | 'headBytes'
  | 'offset'
  | 'witness'
  | 'end'
  | 'sizeSeen'
  | 'mtimeMs'
  | 'ended'
  | 'gone'
>

export class Committed {
  /** null: there is no place yet. Good until the next one: it is the same object then, for there is one with each acknowledgement. */
  at: Snapshot | null = null
  readonly #parts: ReaderParts
  readonly #holes: Holes
  readonly #seenFiles: SeenFiles
  /** The places before it, the last one first: copies of a truncated file are known by them. */
  #witnesses: Witness[] = []
  /** The last one that was told, or given at the start. */
  #lastPosition: Position | undefined
  /** Its file was not found, and no other place was told since. */
  wasNotFound = false
  /** What lay unread when it was told: up to which file, and how many bytes. */
  #toldSequence = -1
  #toldBytes = -1

  constructor(parts: ReaderParts, holes: Holes, saved: Position | undefined) {
    this.#parts = parts
    this.#holes = holes
    this.#lastPosition = saved
    this.#seenFiles = new SeenFiles(parts.deps, (error) => parts.cursor.failed('read', error))
  }

  /** Everything up to the cursor is acknowledged. */
  toHere(): void {
    const { cursor, lines } = this.#parts
    const { offset, logical } = cursor.place
    const file = cursor.place.file as TailedFile
    const last = this.at
    if (last !== null && (last.file !== file || last.offset !== offset)) this.#remember(last)
    const tail = file.compressed ? '' : cursor.tail
    const times = lines.timeline.save()
    const ended = cursor.ended === file
    this.#move({ file, offset, logical, tail, times, ended })
  }

  /** The oldest of the places before is written over: what is made anew with each acknowledgement is what old space fills with. */
  #remember({ file, offset, tail }: Witness): void {
    const witnesses = this.#witnesses
    const witness = witnesses.length < WITNESSES ? { file, offset, tail } : (witnesses.pop() as Witness)
    witness.file = file
    witness.offset = offset
    witness.tail = tail
    witnesses.unshift(witness)
  }

  #move(to: Omit<Snapshot, 'gaps' | 'continuity'>): void {
    const { continuity } = this.#parts
    const gaps = this.#holes.toWrite
    const { at } = this
    if (at === null) this.at = { ...to, gaps, ...this.#course }
    else {
      at.file = to.file
      at.offset = to.offset
      at.logical = to.logical
      at.tail = to.tail
      at.times = to.times
      at.ended = to.ended
      at.gaps = gaps
      if (continuity !== null) at.continuity = continuity.save()
    }
  }

  /** Everything up to `place` is acknowledged, where a line begins that is still open. */
  to(place: Snapshot): void {
    this.#move(place)
  }

  /** A gap is to be written when it is begun from here. */
  add(gap: Gap): void {
    const { at } = this
    if (at !== null) this.at = { ...at, gaps: [...at.gaps, gap], ...this.#course }
  }

  /** There is no place any more. */
  leave(): void {
    this.at = null
    this.#witnesses = []
  }

  /** How much of a truncated file is in its copy (copytruncate); -1: `next` is not a copy of it, null: it cannot be told now. */
  bytesInCopy(file: TailedFile, next: TailedFile): number | null {
    const { cursor, deps } = this.#parts
    const here = { file, offset: cursor.place.offset, tail: cursor.tail }
    try {
      return bytesInCopy(deps.fs, deps.gunzip, next, here, [this.at as Snapshot, ...this.#witnesses])
    } catch (error) {
      cursor.failed('read', error)
      return null
    }
  }

  /** The place for the checkpoint; null when there is nothing to say, or when it cannot be said now. */
  position(): Position | null {
    const at = this.#byName
    const own = at === null ? null : this.#own(at)
    if (at === null || own === null) return null
    const { file, times, gaps, continuity } = at
    const { account, lines } = this.#parts
    const { stamps, cuts, skipBeforeSeconds } = lines
    const holes = this.#holes
    const { files } = this.#parts.lineage
    const later = this.#seenFiles.after(file, files, holes.missing, (each) => holes.has(each))
    const named = [file, ...later.map((each) => each.file)]
    const savedCuts = cuts.save(named)
    const acked = account.isPlain ? [] : account.save(named)
    this.#toldSequence = this.#lastSequence
    this.#toldBytes = this.lagBytes
    this.#lastPosition = {
      ...own,
      times,
      stamps: stamps.save(named),
      ...(savedCuts.length > 0 && { cuts: savedCuts }),
      ...(acked.length > 0 && { acked }),
      ...(gaps.length > 0 && { gaps: [...gaps] }),
      ...(later.length > 0 && { later: later.map(({ seen }) => seen) }),
      ...(Number.isFinite(skipBeforeSeconds) && { skipBeforeSeconds }),
      ...(continuity !== undefined && { continuity }),
    }
    return this.#lastPosition
  }

  /** What a position says of its own file; null when the place cannot be named now. */
  #own(at: Snapshot): OwnFile | null {
    const { file, offset, ended } = at
    if (offset === file.begin && !this.#parts.lineage.isCertain(file)) return null
    const witness = this.#witnessAt(at)
    if (witness === null) return this.#isNameless(file) ? this.#dealtWith() : null
    this.wasNotFound = false
    const { path, dev, ino, head, compressed, gone, sizeSeen, mtimeMs } = file
    const holedFrom = this.#holes.from(file)
    // What lies between the place and a hole behind it is in a copy.
    const isOver = (holedFrom !== undefined && holedFrom <= offset) || (compressed && ended)
    const end = offset < WITNESS_BYTES && !isOver ? this.#seenFiles.endOf(file) : null
    return {
      path,
      dev,
      ino,
      head: head.hash,
      headBytes: head.bytes,
      offset,
      witness,
      ...(end !== null && end.offset > offset && end.witness !== '' && { end }),
      sizeSeen: compressed || isOver ? offset : Math.max(holedFrom ?? sizeSeen, offset),
      mtimeMs,
      ...(isOver && { ended: true as const }),
      ...(gone !== null && { gone }),
    }
  }

  /** Without a byte, so that there is nothing to know it by. */
  #isNameless(file: TailedFile): boolean {
    return file.gone === null && file.fd >= 0 && !this.#parts.lineage.hasHead(file)
  }

  /** Where nothing has come since whose place could be named: the file that was not found, of which nothing is left to tell. */
  #dealtWith(): OwnFile | null {
    if (!this.wasNotFound || this.#lastPosition === undefined) return null
    const { path, dev, ino, offset } = this.#lastPosition
    return { path, dev, ino, head: '', headBytes: 0, offset, witness: '', sizeSeen: offset, ended: true }
  }

  /** Bytes of the lineage that are not acknowledged; at least one while the record of a hole is not. */
  get lagBytes(): number {
    const { at } = this
    const hasHoles = at !== null && at.gaps.length + this.#holes.missing.length > 0
    return this.#parts.cursor.bytesFrom(at?.file ?? null, at?.offset ?? 0) || (hasHoles ? 1 : 0)
  }

  /** Whether there are files, or bytes, that were not there when the position was last told. */
  get hasUntoldUnread(): boolean {
    return this.hasUntoldFiles || (this.at !== null && this.lagBytes !== this.#toldBytes)
  }

  /** Which files are unread, whatever their sizes: asked of thousands at once. */
  get hasUntoldFiles(): boolean {
    return this.at !== null && this.#lastSequence !== this.#toldSequence
  }

  get #lastSequence(): number {
    return this.#parts.lineage.files.at(-1)?.sequence ?? 0
  }

  get #course(): { continuity?: ContinuityState } {
    const { continuity } = this.#parts
    return continuity === null ? {} : { continuity: continuity.save() }
  }

  /** The place; at a file that was left as empty as it had come, which has no name, the beginning of the next one. */
  get #byName(): Snapshot | null {
    const { at } = this
    if (at === null) return null
    let { file } = at
    while (file !== this.#parts.cursor.place.file && file.head.bytes === 0 && file.gone === null) {
      const next = this.#parts.lineage.next(file)
      if (next === null) break
      file = next
    }
    return file === at.file ? at : { ...at, file, offset: file.begin, tail: '', ended: false }
  }

  /** The second witness of a place; null when it cannot be named now. */
  #witnessAt(at: Snapshot): string | null {
    const { file, offset } = at
    const { lineage } = this.#parts
    if (file.gone === null) {
      if (!lineage.hasHead(file)) return null
      const witness = file.compressed ? '' : this.#readWitness(file, at)
      if (witness !== null) return witness
      // It may have been cut since it was looked at.
      lineage.lookInto(file)
    }
    // Nobody will find it there, unless a copy was made of it: that is known by what was told before, or has it itself.
    const last = this.#lastPosition
    if (last?.offset === offset && last.head === file.head.hash) return last.witness
    return this.#witnessInCopy(at) ?? (this.#holes.has(file) ? '' : null)
  }

  /** The second witness of a place in a file that was cut, out of its copy; null where that is not there. */
  #witnessInCopy(at: Snapshot): string | null {
    const { file, offset, tail } = at
    const next = this.#parts.lineage.next(file)
    if (next?.compressed !== false || !isLikeCopy(next, file) || (tail === '' && offset > 0)) return null
    return this.#readWitness(next, at)
  }

  /** null: it cannot be read now, or what was read is not there any more. */
  #readWitness({ fd }: TailedFile, { offset, tail }: Snapshot): string | null {
    try {
      return insistOnWitness(this.#parts.deps.fs, fd, offset, tail) || null
    } catch (error) {
      this.#parts.cursor.failed('read', error)
      return null
    }
  }
}
