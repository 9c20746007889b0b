// Where a reader is in its files, and reading on from there. Invariant: what is read continues what was read. Each read
// repeats the bytes before the place and compares them, so a file that was cut or written anew is noticed before a byte of
// it is taken; the lineage is told. Bound: OVERLAP_BYTES and, for a compressed file, what a GzipReader holds.
import { isLikeCopy, noteMarks } from './copies.ts'
import { type TailedFile, takeHead } from './file.ts'
import { GzipReader } from './gzip.ts'
import type { Lineage } from './lineage.ts'
import { OVERLAP_BYTES, type Place } from './place.ts'
import type { ReaderDeps } from './reader-options.ts'

/** `read` found nothing that can be told now: it failed, or was short, and is tried again. */
export const DRY = -2
/** `read` found another file than it had been: the place is to be looked at anew. */
export const CHANGED = -3

/** After a failed read. */
const RETRY_MS = 1000
/** The least that is read at once; a line that is not whole in what was read then is taken in pieces. */
const PIECE_BYTES_MIN = 128 * 1024

export class Cursor {
  readonly place: Place = { file: null, offset: 0, logical: 0 }
  /** The end of this file was dealt with; there was no next one. */
  ended: TailedFile | null = null
  /** The file before the present one when that was come to; null: there was none. */
  cameFrom: TailedFile | null = null
  /** More will come by itself: `ready` is called then. */
  isWaiting = false
  /** Bytes of an unfinished last line that were looked at already: no work until there are more. */
  incompleteBytes = 0
  /** Monotonic ms when something was read last. */
  movedAt = 0
  /** Where in the block what was read last begins, and whether it was all that is there. */
  from = 0
  isAll = false
  readonly #lineage: Lineage
  readonly #deps: ReaderDeps
  readonly #ready: () => void
  #tail = Buffer.allocUnsafe(OVERLAP_BYTES)
  #tailBytes = 0
  #gzip: GzipReader | null = null
  /** Monotonic ms before which nothing is tried again. */
  #retryAt = Number.NEGATIVE_INFINITY

  constructor(lineage: Lineage, deps: ReaderDeps, ready: () => void) {
    this.#lineage = lineage
    this.#deps = deps
    this.#ready = ready
  }

  /** The bytes before the place (latin1), as far as they are known. */
  get tail(): string {
    return this.#tail.toString('latin1', 0, this.#tailBytes)
  }

  /** The whole of a compressed file is decompressed, or what there is of it. */
  get isGzipEnded(): boolean {
    return this.#gzip?.ended === true
  }

  /** Why the data of a compressed file ends before its time; null where it does not. */
  get gzipFailure(): string | null {
    return this.#gzip?.failure ?? null
  }

  /** Something failed shortly before, and is to be tried again only then. */
  get isRetrying(): boolean {
    return this.#retryAt > this.#deps.clock.monotonic()
  }

  retryNow(): void {
    this.#retryAt = Number.NEGATIVE_INFINITY
  }

  retryLater(): void {
    this.#retryAt = this.#deps.clock.monotonic() + RETRY_MS
  }

  /** Tells of a failed operation, which is tried again later. */
  failed(operation: string, error: unknown): void {
    const { source, path } = this.#lineage.info
    this.#deps.events.emit('file.error', { source, path: this.place.file?.path ?? path, operation, error })
    this.retryLater()
  }

  wait(): 'wait' {
    this.isWaiting = true
    return 'wait'
  }

  /** Goes there. `tail` is what was read before it, where that is known. */
  goTo(file: TailedFile, offset: number, tail = ''): void {
    if (this.place.file !== file) {
      this.closeGzip()
      const { files } = this.#lineage
      this.cameFrom = files[files.indexOf(file) - 1] ?? null
    }
    this.place.file = file
    this.place.offset = offset
    this.ended = null
    this.isWaiting = false
    this.incompleteBytes = 0
    this.#tailBytes = this.#tail.write(tail, 'latin1')
  }

  /** Is nowhere any more. */
  leave(): void {
    this.closeGzip()
    this.place.file = null
    this.place.offset = 0
    this.ended = null
    this.incompleteBytes = 0
  }

  /** What is read of a compressed file from here on is decompressed anew. */
  closeGzip(): void {
    this.#gzip?.close()
    this.#gzip = null
  }

  /** The bytes before the place were looked at by somebody else: they are to be read before anything is (`readTail`). */
  get lacksTail(): boolean {
    const { file, offset } = this.place
    return this.#tailBytes === 0 && offset > 0 && file?.compressed === false
  }

  /** False: that cannot be done now. */
  readTail(file: TailedFile): boolean {
    const { offset } = this.place
    const length = Math.min(OVERLAP_BYTES, offset)
    const got = this.#read(file, this.#tail, length, offset - length, 0)
    if (got < 0) return false
    if (got < length) return this.noteShort(file, offset) === CHANGED
    this.#tailBytes = length
    return true
  }

  /**
   * Reads what follows the place: block[from, from + bytes), where there is room for `roomBytes` of it. What comes after
   * `keepFrom` may be asked for again. Returns the bytes; WAIT, DRY or CHANGED where there is nothing to take now.
   */
  read(file: TailedFile, block: Buffer, roomBytes: number, keepFrom: number): number {
    const { offset } = this.place
    const { compressed } = file
    if (offset === 0 && !compressed && file.head.bytes === 0) {
      this.#lineage.lookInto(file)
      if (file.head.bytes > 0 || file.gone !== null) return CHANGED
    }
    const overlap = compressed ? 0 : this.#tailBytes
    const wantMax = compressed ? Math.min(PIECE_BYTES_MIN, block.length) : block.length - overlap
    const want = Math.min(wantMax, Math.max(roomBytes + 4096, PIECE_BYTES_MIN))
    const got = this.#read(file, block, overlap + want, offset - overlap, keepFrom)
    if (got < 0) return got
    if (got < overlap) return this.noteShort(file, offset)
    // It is shorter than its first line was, or the read was.
    if (offset === 0 && !compressed && got < Math.min(want, file.head.bytes)) {
      return this.noteShort(file, file.head.bytes)
    }
    // Written anew since it was last looked at, or since the last read.
    const isOther =
      overlap > 0
        ? block.compare(this.#tail, 0, overlap, 0, overlap) !== 0
        : offset === 0 && !compressed && !takeHead(file, block.subarray(0, got))
    if (isOther) {
      this.#lineage.truncated(file, this.size(file) ?? 0, true)
      return CHANGED
    }
    const bytes = got - overlap
    this.from = overlap
    this.isAll = bytes < want
    if (compressed) return bytes
    // Less than was seen: cut since then, and what is there now may begin alike.
    if (this.isAll && offset + bytes < file.sizeSeen && this.#isCutBelow(file, file.sizeSeen)) return CHANGED
    this.#lineage.sawBytes(file, offset + bytes)
    return bytes
  }

  /** block[from, from + bytes) was taken. */
  consume(block: Buffer, from: number, bytes: number): void {
    if (bytes === 0) return
    const { place } = this
    const { file, offset } = place
    // Nobody copies the log of a container.
    if (file?.compressed === false && this.#lineage.info.podUid === '') noteMarks(file, block, from, bytes, offset)
    this.movedAt = this.#deps.clock.monotonic()
    this.ended = null
    place.offset += bytes
    place.logical += bytes
    this.incompleteBytes = 0
    // The overlap before `from` and the bytes after it are adjacent in the block, as they are in the file.
    const length = Math.min(OVERLAP_BYTES, from + bytes, place.offset)
    block.copy(this.#tail, 0, from + bytes - length, from + bytes)
    this.#tailBytes = length
  }

  /**
   * A read ended before `offset`, where there had been something. CHANGED when the file is shorter now, and was noted to
   * be; else it was the read that was short, and is tried again a little later: DRY.
   */
  noteShort(file: TailedFile, offset: number): typeof CHANGED | typeof DRY {
    if (this.#isCutBelow(file, offset)) return CHANGED
    this.retryLater()
    return DRY
  }

  /** Size of a plain file; null when it cannot be told now. */
  size(file: TailedFile): number | null {
    try {
      return this.#deps.fs.fstat(file.fd).size
    } catch (error) {
      this.failed('fstat', error)
      return null
    }
  }

  /** Whether a plain file has so many bytes and no more. */
  isAllOf(file: TailedFile, bytes: number): boolean {
    const size = this.size(file)
    if (size !== null) this.#lineage.sawBytes(file, size)
    return size === bytes
  }

  /** Bytes of the lineage behind this place (compressed files count as stored); `from` null: all of them. */
  bytesFrom(from: TailedFile | null, offset: number): number {
    let bytes = 0
    const next = from?.gone === 'truncated' ? this.#lineage.next(from) : null
    const copy = from !== null && next?.compressed === false && isLikeCopy(next, from) ? next : null
    for (const file of this.#lineage.files) {
      if (file === copy) bytes += Math.max(0, copy.sizeSeen - offset)
      else if (from === null || file.sequence > from.sequence)
        bytes += file.gone === null ? file.sizeSeen - file.begin : 0
      else if (file === from && file.gone === null && !file.compressed) bytes += Math.max(0, file.sizeSeen - offset)
      else if (file === from && file.compressed && !this.isGzipEnded) bytes += 1
    }
    return bytes
  }

  /** Whether a file is shorter now than the `bytes` that it had; it is noted to be. */
  #isCutBelow(file: TailedFile, bytes: number): boolean {
    const size = this.size(file)
    if (size === null || size >= bytes) return false
    this.#lineage.truncated(file, size)
    return true
  }

  /** Returns bytes read, WAIT, or DRY when the read failed (an event; tried again). */
  #read(file: TailedFile, block: Buffer, length: number, position: number, keepFrom: number): number {
    const { fs, gunzip } = this.#deps
    try {
      if (!file.compressed) return fs.read(file.fd, block, 0, length, position)
      this.#gzip ??= new GzipReader(fs, file.fd, gunzip, this.#ready)
      return this.#gzip.read(block, 0, length, position, keepFrom)
    } catch (error) {
      this.failed('read', error)
      return DRY
    }
  }
}
