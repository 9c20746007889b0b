// Where one reader begins: at the place of a checkpoint, or at what is left of it; at the place that it left when its files
// were closed for a while (sleep); or where the options say. Invariant: a place is searched for only when all files are known
// that it may be in, or that come before it.
import { basename } from 'node:path'
import { hasUnread, type Position } from '../checkpoint/position.ts'
import { kubeletSibling } from '../discover/names.ts'
import type { Committed } from './committed.ts'
import { readTail } from './copies.ts'
import { lastLineStart, type TailedFile } from './file.ts'
import type { HandedOut } from './handed-out.ts'
import type { Holes } from './holes.ts'
import type { ReaderParts } from './parts.ts'
import { comesBefore, findResumption, type Resumption } from './resume.ts'
import { Unreadable } from './unreadable.ts'

const CAUSE_ASLEEP = 'gone or replaced while there was no descriptor for it'

/** What is told of a reader while it sleeps. */
interface Slept {
  restart: number
  lagBytes: number
}

export class Beginning {
  readonly #parts: ReaderParts
  readonly #holes: Holes
  readonly #committed: Committed
  readonly #handedOut: HandedOut
  #saved: Position | undefined
  /** It left its place for a while, and has not come back to it yet. */
  #slept: Slept | null = null
  /** Of a search for the checkpoint's place that could not be done yet; null: there is none. */
  #unreadable: Unreadable | null = null

  constructor(
    parts: ReaderParts,
    holes: Holes,
    committed: Committed,
    handedOut: HandedOut,
    saved: Position | undefined,
  ) {
    this.#parts = parts
    this.#holes = holes
    this.#committed = committed
    this.#handedOut = handedOut
    this.#saved = saved
  }

  /** Which life of its container the first line will be of. */
  get restart(): number {
    if (this.#slept !== null) return this.#slept.restart
    const saved = this.#saved === undefined ? null : kubeletSibling(basename(this.#saved.path))
    return (saved ?? this.#parts.lineage.files[0])?.order.restart ?? 0
  }

  /** There is a place to be found. */
  get hasPlace(): boolean {
    return this.#saved !== undefined
  }

  /** Something may be left to deliver there, holes too. */
  get hasUnread(): boolean {
    return this.#parts.lineage.files.length > 0 && this.#saved !== undefined && hasUnread(this.#saved)
  }

  get isAsleep(): boolean {
    return this.#slept !== null
  }

  /** What was not acknowledged when it went to sleep. */
  get sleptLagBytes(): number {
    return this.#slept?.lagBytes ?? 0
  }

  /** All files are known that matter for the first place. */
  get isPossible(): boolean {
    const { files, settled, starved, wasWhole } = this.#parts.lineage
    return files.length > 0 && (settled || (starved && wasWhole))
  }

  /** Makes the first place. False when that cannot be done yet. */
  begin(): boolean {
    const { lineage, options, deps, cursor, lines } = this.#parts
    const first = lineage.files[0]
    if (first === undefined || !this.isPossible) return false
    const { clock, events } = deps
    const slept = this.#slept
    if (this.#saved !== undefined) {
      if (!this.#resume(slept === null ? this.#saved : this.#asSeen(this.#saved))) return false
    } else if (slept !== null) cursor.goTo(first, first.begin)
    else if (options.startAt === 'end' && !options.once) this.#atEnd()
    else {
      if (options.startAgeMax !== null) lines.skipBeforeSeconds = (clock.now() - options.startAgeMax) / 1000
      cursor.goTo(first, first.begin)
    }
    this.#committed.toHere()
    const file = cursor.place.file as TailedFile
    this.#holes.noteMissing(
      this.#holes.missing.filter((each) => comesBefore(each, file)),
      file,
    )
    this.#handedOut.begin(file, slept === null ? options.decidedBefore === true : null)
    this.#slept = null
    if (slept !== null) return true
    const { source, key } = lineage.info
    events.emit('file.opened', {
      source,
      path: file.path,
      lineage: key,
      sink: options.sink,
      offset: cursor.place.offset,
      resumed: this.hasPlace,
    })
    return true
  }

  /** What it will go back to, the cursor having left: a place, or the beginning of what is there. */
  sleep(place: Position | 'start', slept: Slept): void {
    this.#slept = slept
    this.#saved = place === 'start' ? undefined : place
    this.#unreadable = null
  }

  /** The place with what was seen of its file since: should it be gone, that is lost. */
  #asSeen(saved: Position): Position {
    const { seen } = this.#parts.lineage.sleeping
    const isOther = seen === null || seen.dev !== saved.dev || seen.ino !== saved.ino
    if (isOther || saved.ended || seen.size <= saved.sizeSeen) return saved
    return { ...saved, sizeSeen: seen.size, mtimeMs: seen.mtimeMs }
  }

  /**
   * Goes to the place of a checkpoint, or to what is left of it, and takes up the holes that it speaks of. False: a file
   * cannot be read in which the place may be; it is searched for again a little later.
   */
  #resume(saved: Position): boolean {
    const { lineage, cursor, lines, account, continuity } = this.#parts
    const { fs, gunzip, clock } = this.#parts.deps
    const cause = this.#slept === null ? undefined : CAUSE_ASLEEP
    // What was cut off since the last look may be found in a copy, which nobody knows yet.
    lineage.measure()
    this.#unreadable ??= new Unreadable(clock)
    let resumption: Resumption
    let tail = ''
    try {
      resumption = findResumption(lineage, saved, fs, gunzip, this.#unreadable, cause)
      if (resumption.found) tail = readTail(fs, resumption.file, resumption.offset)
    } catch (error) {
      cursor.failed('read', error)
      return false
    }
    this.#unreadable = null
    const { file, offset, found, lost, missing, named } = resumption
    // It was cut just now, and what may be its copy could not be looked at yet.
    if (file.gone !== null && !this.#parts.options.once && !lineage.isNextCertain(file)) {
      cursor.retryLater()
      return false
    }
    account.load(found ? named : [], Array.isArray(saved.acked) ? saved.acked : [])
    this.#committed.wasNotFound = !found
    lines.timeline.load(saved.times)
    lines.skipBeforeSeconds = saved.skipBeforeSeconds ?? Number.NEGATIVE_INFINITY
    cursor.goTo(file, offset, tail)
    lines.stamps.load(named, saved.stamps)
    if (Array.isArray(saved.cuts)) lines.cuts.load(named, saved.cuts)
    if (found && saved.ended) cursor.ended = file
    // What was cut off is told with the place, if that was in it; what was written and cut since then is a loss of its own.
    // One without a byte stands for a lineage that has no files any more.
    const { head } = file
    const isAlike = head.bytes === saved.headBytes && head.hash === saved.head
    const isOther = head.bytes > 0 && (!isAlike || saved.gone !== undefined)
    if (cursor.ended === file || (file.gone !== null && !found && !isOther)) this.#holes.noteFrom(file, offset)
    this.#holes.load(saved.gaps, missing)
    if (found) continuity?.goOnIn(file)
    else continuity?.noteGone()
    if (lost !== null) this.#holes.note(lost, file)
    return true
  }

  /** The last line that has begun, and what comes after it. */
  #atEnd(): void {
    const { lineage, options, deps, cursor } = this.#parts
    const last = lineage.files.at(-1) as TailedFile
    let bytes = cursor.bytesFrom(null, 0)
    if (last.compressed) {
      cursor.goTo(last, 0)
      cursor.ended = last
    } else {
      let offset = last.sizeSeen
      try {
        offset = lastLineStart(deps.fs, last.fd, last.sizeSeen)
      } catch (error) {
        cursor.failed('read', error)
      }
      bytes -= last.sizeSeen - offset
      cursor.goTo(last, offset)
    }
    options.ledger.take(bytes, 0)
    options.ledger.settle('skipped', 'startAt', bytes, 0)
  }
}
