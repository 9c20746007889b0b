// One round of reading: from the place on, blocks become lines, and lines entries, as long as there is room. What lies
// between goes out first: gaps, and the ends of records that are over. Invariant: each step either goes on from the place where
// the last one ended, or says why it cannot, and nothing was taken then.
import type { AuditLines } from '../audit/lines.ts'
import { MARK_PARTIAL_OPEN, STDOUT } from '../core/entry.ts'
import type { Beginning } from './beginning.ts'
import type { Committed } from './committed.ts'
import { CHANGED, DRY } from './cursor.ts'
import type { TailedFile } from './file.ts'
import type { FileEnds } from './file-ends.ts'
import { WAIT } from './gzip.ts'
import type { Holes } from './holes.ts'
import type { ReaderParts } from './parts.ts'
import { AT_END } from './place.ts'
import type { EntryWriter } from './writer.ts'

/** A record of several lines is whole when nothing came for so long. */
const RECORD_QUIET_MS = 1000

/** full: the writer has no room; dry: nothing more to read now; wait: decompression is under way, `wake` is called. */
export type FillEnd = 'full' | 'dry' | 'wait'

export class Reading {
  /** Open records are to end at the next place, so that it is a fresh line. */
  wantsFreshLine = false
  readonly #parts: ReaderParts
  readonly #audit: AuditLines | null
  readonly #beginning: Beginning
  readonly #holes: Holes
  readonly #committed: Committed
  readonly #ends: FileEnds

  constructor(
    parts: ReaderParts,
    audit: AuditLines | null,
    beginning: Beginning,
    holes: Holes,
    committed: Committed,
    ends: FileEnds,
  ) {
    this.#parts = parts
    this.#audit = audit
    this.#beginning = beginning
    this.#holes = holes
    this.#committed = committed
    this.#ends = ends
  }

  /** A record is open that is over, or is to end here. */
  get hasLineToEnd(): boolean {
    return this.#isRecordOver || (this.wantsFreshLine && this.#parts.lines.hasOpenRecord && this.#mayCut)
  }

  /** Reads and writes entries until there is no room, nothing more to read, or `bytesMax` were consumed. */
  fill(out: EntryWriter, block: Buffer, bytesMax: number): FillEnd {
    const { cursor, lines, account, deps } = this.#parts
    const { place } = cursor
    lines.beginRound(deps.clock.now())
    if (place.file === null && !this.#beginning.begin()) return 'dry'
    cursor.retryNow()
    if (!account.isUnsettled) this.#holes.noteFindings()
    const until = place.logical + bytesMax
    for (;;) {
      for (let gap = this.#holes.next; gap !== undefined; gap = this.#holes.next) {
        if (!lines.writeGap(gap, out)) return 'full'
        this.#holes.written()
      }
      if (!lines.cutAgain(out)) return 'full'
      if (this.wantsFreshLine && this.#mayCut) {
        if (!lines.cut(out)) return 'full'
        this.wantsFreshLine = false
        return 'full'
      }
      const file = place.file as TailedFile
      if (cursor.ended === file && (file.gone !== null || file.compressed) && !this.#endRecord(file, out)) return 'full'
      if (file.gone !== null) {
        const end = this.#ends.leaveGone(file, out)
        if (end !== null) return end
        continue
      }
      if (place.logical >= until) return 'full'
      const isFresh = place.offset === file.begin && cursor.ended !== file
      if (isFresh && !this.#ends.mayBegin(file)) return 'dry'
      if (isFresh && file.mtimeMs / 1000 < lines.skipBeforeSeconds) this.#skipFile(file)
      if (cursor.ended === file && file.compressed) {
        const end = this.#ends.goOn(file, out)
        if (end !== null) return end
        continue
      }
      if (cursor.lacksTail) {
        if (!cursor.readTail(file)) return 'dry'
        continue
      }
      const end = this.#readOn(file, out, block)
      if (end !== null) return end
    }
  }

  /** Reads on in the file, and leaves it where it ends. null: go on. */
  #readOn(file: TailedFile, out: EntryWriter, block: Buffer): FillEnd | null {
    const { cursor, lines, lineage } = this.#parts
    const { place } = cursor
    const { at } = this.#committed
    const bytes = cursor.read(file, block, out.roomBytes, at?.file === file ? at.offset : 0)
    if (bytes === WAIT) return cursor.wait()
    if (bytes === DRY) return 'dry'
    if (bytes === CHANGED) return null
    const { from, isAll } = cursor
    const to = from + bytes
    const lastNewline = bytes === 0 ? -1 : block.lastIndexOf(10, to - 1)
    const hasLines = lastNewline >= from
    if (hasLines) {
      const end = lines.limit(file, from, lastNewline + 1)
      const consumed = lines.rows(file, block, from, end, out)
      cursor.consume(block, from, consumed)
      if (consumed < end - from) return this.#noRoom()
      if (!isAll || end <= lastNewline) return null
    } else if (!isAll) {
      lines.rawPiece(block, from, to)
      cursor.consume(block, from, bytes)
      return null
    }
    // All that is there was seen.
    const rest = hasLines ? to - lastNewline - 1 : bytes
    cursor.incompleteBytes = rest
    if (!file.compressed && place.offset + rest < file.sizeSeen) {
      return cursor.noteShort(file, file.sizeSeen) === CHANGED || hasLines ? null : 'dry'
    }
    if (!this.#endRecord(file, out)) return 'full'
    if (!this.#ends.isFinished(file)) {
      if (file.compressed) return cursor.isGzipEnded ? 'dry' : cursor.wait()
      return lineage.next(file) === null ? this.#ends.goOn(file, out) : 'dry'
    }
    const isDamaged = file.compressed && cursor.gzipFailure !== null
    if (isDamaged && this.#ends.mayGrow(file)) {
      cursor.closeGzip()
      cursor.retryLater()
      return 'dry'
    }
    // Only what the file ends with can be its last line.
    if (!file.compressed && !cursor.isAllOf(file, place.offset + rest)) return 'dry'
    if (rest > 0 && !hasLines) {
      // Where a damaged file ends a line does not.
      if (!lines.lastLine(block, from, to, out, isDamaged ? MARK_PARTIAL_OPEN : 0)) return this.#noRoom()
      cursor.consume(block, from, bytes)
    } else if (bytes > 0) return null
    else if (lines.isInRaw && !lines.rawEnd(block, to, to, to, out)) return this.#noRoom()
    return this.#ends.leaveFinished(file, out)
  }

  /** Ends the record that is open at the end of `file`, if it is over. False: no room for it. */
  #endRecord(file: TailedFile, out: EntryWriter): boolean {
    if (!this.#isRecordOver) return true
    // It goes on in what was written since the last look.
    this.#ends.lookBehind(file)
    return !this.#isRecordOver || this.#parts.lines.cut(out)
  }

  /** A record of several lines is open at the end of all there is, and nothing has come for a while. */
  get #isRecordOver(): boolean {
    const { cursor, lines, deps } = this.#parts
    const { file } = cursor.place
    if (!lines.hasOpenRecord || file === null || !this.#mayCut) return false
    if ((file.gone !== null || file.compressed) && cursor.ended !== file) return false
    // What goes on in the next file is not over.
    return this.#ends.isLast(file) && deps.clock.monotonic() - cursor.movedAt >= RECORD_QUIET_MS
  }

  /** Whether the place can be named, so that it can be decided for good that a record ends here. */
  get #mayCut(): boolean {
    const { cursor, lines } = this.#parts
    const { file, offset } = cursor.place
    if (lines.isInRaw || file === null || file.head.bytes === 0) return false
    return offset !== file.begin || cursor.ended === file || this.#ends.mayBegin(file)
  }

  /** The next line was not taken: there is no room, or it is large and is being worked on. */
  #noRoom(): FillEnd {
    return this.#audit?.isWorking ? this.#parts.cursor.wait() : 'full'
  }

  /** Leaves out a whole file that was last written before the limit of startAgeMax. */
  #skipFile(file: TailedFile): void {
    const { cursor, account } = this.#parts
    const { sizeSeen } = file
    account.skip(STDOUT, file.compressed ? AT_END : sizeSeen, sizeSeen - file.begin, 0)
    cursor.goTo(file, file.compressed ? 0 : sizeSeen)
    if (file.compressed) cursor.ended = file
  }
}
