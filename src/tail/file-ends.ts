// What comes after a file, for one reader: when a file is finished, what of it is lost, and the way on to the next one or to
// its copy. Invariant: a file is left only when what was seen of it is read, or is a hole; and no file is come to before all
// that may lie between is known.
import { MARK_PARTIAL_OPEN } from '../core/entry.ts'
import { compareOrder, hasPlaceForEver } from '../discover/names.ts'
import type { Committed } from './committed.ts'
import type { TailedFile } from './file.ts'
import type { Holes } from './holes.ts'
import type { ReaderParts } from './parts.ts'
import type { EntryWriter } from './writer.ts'

/** A superseded file is finished when it has been at its end for this long since its successor came. */
const SUPERSEDED_GRACE_MS = 1000
const UNLINKED_GRACE_MS = 5000
/** A compressed file that ends too early is being written for so long. */
const GROWING_GZIP_MS = 2000

/** full: the writer has no room, or what was written must be acknowledged first; dry: there is no way on now; null: it was gone on. */
export type Step = 'full' | 'dry' | null

export class FileEnds {
  readonly #parts: ReaderParts
  readonly #holes: Holes
  readonly #committed: Committed
  /** How far a file had been read when it was left. Most readers never leave one. */
  #left: WeakMap<TailedFile, number> | null = null

  constructor(parts: ReaderParts, holes: Holes, committed: Committed) {
    this.#parts = parts
    this.#holes = holes
    this.#committed = committed
  }

  /** How far a file was read that was left; undefined where it was never read. */
  leftAt(file: TailedFile): number | undefined {
    return this.#left?.get(file)
  }

  /** Nothing more will be written to the file, and what comes after it is known. */
  isFinished(file: TailedFile): boolean {
    const { lineage, cursor, options, deps } = this.#parts
    if (options.once) return file.compressed ? cursor.isGzipEnded : true
    if (!lineage.isNextCertain(file)) return false
    if (file.compressed) return cursor.isGzipEnded
    const now = deps.clock.monotonic()
    if (lineage.next(file) !== null) {
      return file.supersededAt !== null && now - Math.max(file.supersededAt, file.grewAt) >= SUPERSEDED_GRACE_MS
    }
    return file.unlinkedAt !== null && now - Math.max(file.unlinkedAt, file.grewAt) >= UNLINKED_GRACE_MS
  }

  /** A compressed file that ends too early may be one that is being written. */
  mayGrow(file: TailedFile): boolean {
    const { options, deps } = this.#parts
    return !options.once && deps.clock.monotonic() - file.grewAt < GROWING_GZIP_MS
  }

  /** Whether nothing that is not known yet can come before what is in the file. */
  mayBegin(file: TailedFile): boolean {
    return this.#parts.options.once || this.#parts.lineage.isCertain(file)
  }

  /** Whether there is a next file, and nothing that is not known yet can come before it. */
  mayGoOn(file: TailedFile): boolean {
    const { lineage, options } = this.#parts
    return lineage.next(file) !== null && (options.once || lineage.isNextCertain(file))
  }

  /** Whether nothing was seen yet behind the file. */
  isLast(file: TailedFile): boolean {
    return this.#behind(file).every(isEmpty)
  }

  /** Looks at the files behind this one of which nothing was seen. */
  lookBehind(file: TailedFile): void {
    for (const next of this.#behind(file)) if (isEmpty(next)) this.#parts.lineage.lookInto(next)
  }

  #behind(file: TailedFile): TailedFile[] {
    const { files } = this.#parts.lineage
    return files.slice(files.indexOf(file) + 1)
  }

  /** Whether a record that is open at the end of the file is to be over before that is left: an empty file cannot be named. */
  isHeld(file: TailedFile): boolean {
    const { lineage, lines, options } = this.#parts
    return !options.once && lines.hasOpenRecord && lineage.next(file) !== null && this.isLast(file)
  }

  /** At the very end of a finished file: on to the next one. */
  leaveFinished(file: TailedFile, out: EntryWriter): Step {
    const { cursor, lines, account } = this.#parts
    const next = this.#nextToRead(file)
    if (cursor.ended !== file) {
      const failure = file.compressed ? cursor.gzipFailure : null
      if (failure !== null) {
        if (!lines.endPartials(out, MARK_PARTIAL_OPEN)) return 'full'
        if (!this.#holes.has(file)) {
          if (account.isUnsettled) return 'full'
          const cause = `the compressed file is damaged: ${failure}`
          this.#holes.noteRest(file, { from: cursor.place.offset, to: null, cause, writtenMs: null }, next)
        }
      } else if (next === null || !isContinuedBy(file, next)) {
        // A container that ended without a newline leaves an open line behind; nothing will end it.
        if (!lines.endPartials(out, 0)) return 'full'
      }
      cursor.ended = file
      this.#noteLeft(file, cursor.place.offset)
      if (this.#holes.next !== undefined) return null
    }
    // A checkpoint cannot name an empty file: the end of this one must be acknowledged, and saved, before it is left.
    if (next !== null && next.head.bytes === 0 && account.isUnsettled) return 'dry'
    return this.goOn(file, out)
  }

  /** From the end of a file to the next one, past what is missing between them. */
  goOn(file: TailedFile, out: EntryWriter): Step {
    const { lineage, cursor, lines, account, options } = this.#parts
    const next = lineage.next(file)
    const due = this.#holes.missingBefore(next)
    if (due.length > 0) {
      if (!lines.endPartials(out, MARK_PARTIAL_OPEN) || account.isUnsettled) return 'full'
      this.#holes.noteMissing(due, next)
      return null
    }
    if (next === null || !this.mayGoOn(file) || this.isHeld(file)) return 'dry'
    cursor.goTo(next, next.begin)
    return options.endsAtRestart && next.order.restart !== file.order.restart ? 'full' : null
  }

  /** The rest of the file is gone: on to the copy or the next file, at the right place, noting what is lost. */
  leaveGone(file: TailedFile, out: EntryWriter): Step {
    const { lineage, cursor, lines, account } = this.#parts
    if (cursor.ended === file) return this.goOn(file, out)
    const next = lineage.next(file)
    // Its copy may be one that cannot be looked at yet.
    if (file.gone === 'truncated' && !this.mayGoOn(file)) return 'dry'
    const { offset } = cursor.place
    const copyBytes = next === null ? -1 : this.#committed.bytesInCopy(file, next)
    if (copyBytes === null) return 'dry'
    const from = Math.max(offset, copyBytes)
    const isRead = this.#holes.has(file) || (file.compressed ? cursor.isGzipEnded : file.sizeSeen <= from)
    if (copyBytes < 0 && (!isRead || lines.isInRaw) && !lines.endPartials(out, MARK_PARTIAL_OPEN)) return 'full'
    if (!isRead) {
      // What was read of it before may yet be refused, and then it is lost with the rest.
      if (account.isUnsettled) return 'full'
      const { compressed, sizeSeen, mtimeMs } = file
      const end = compressed ? { to: null, writtenMs: null } : { to: sizeSeen, writtenMs: mtimeMs }
      this.#holes.noteRest(file, { from, ...end, cause: file.gone as string }, next)
    }
    if (next !== null && copyBytes >= offset) {
      lines.stamps.carry(file, next)
      lines.cuts.carry(file, next)
      cursor.goTo(next, offset, cursor.tail)
    } else if (next !== null && copyBytes >= 0) cursor.goTo(next, copyBytes)
    else {
      cursor.closeGzip()
      cursor.ended = file
    }
    return null
  }

  /** The file after this one, without those that came to their end empty. */
  #nextToRead(file: TailedFile): TailedFile | null {
    const { lineage } = this.#parts
    let next = lineage.next(file)
    while (next !== null && next.head.bytes === 0 && next.gone === null && this.isFinished(next)) {
      const after = lineage.next(next)
      if (after === null) break
      this.#noteLeft(next, 0)
      next = after
    }
    return next
  }

  #noteLeft(file: TailedFile, offset: number): void {
    this.#left ??= new WeakMap()
    this.#left.set(file, offset)
  }
}

/** Of which nothing was seen, so that there is nothing to know it by. */
function isEmpty({ head, compressed, sizeSeen }: TailedFile): boolean {
  return head.bytes === 0 && (compressed || sizeSeen === 0)
}

/** Whether a line that is open at the end of `file` may go on in `next`: of the same life, and not an older file met late. */
function isContinuedBy(file: TailedFile, next: TailedFile): boolean {
  if (file.order.restart !== next.order.restart) return false
  // Other names hold only while they lead there.
  const isOrderKnown = ({ met, order }: TailedFile) => met || hasPlaceForEver(order)
  return !isOrderKnown(file) || !isOrderKnown(next) || compareOrder(file.order, next.order) < 0
}
