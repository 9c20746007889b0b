// The holes that one reader has come to: what is missing before a file, what a file lost, what is missing in an audit log,
// and the gaps that are still to be written for them. Invariant: a hole is decided on once. Its gap is with the committed
// place at once (`added`), so that a repeat writes the same; the loss is counted and told once in each process that has to do
// with it.
import { readFirstTime, type TailedFile } from './file.ts'
import { type DroppedRange, decideGap, type Gap, type Hole } from './gap.ts'
import type { ReaderParts } from './parts.ts'
import { comesBefore, holeOf, type Missing } from './resume.ts'

const NO_GAPS: readonly Gap[] = []

export class Holes {
  /** Files that were seen by an earlier process, are gone, and have not been come to yet. */
  missing: readonly Missing[] = []
  /** Holes were noticed that no checkpoint holds yet. */
  hasFresh = false
  readonly #parts: ReaderParts
  readonly #added: (gap: Gap) => void
  /** Holes whose records are to be written next. */
  #gaps: Gap[] = []
  /** Files the loss of which, or of whose rest, was noticed, and from where on. Most readers have none. */
  #from: WeakMap<TailedFile, number> | null = null

  constructor(parts: ReaderParts, added: (gap: Gap) => void) {
    this.#parts = parts
    this.#added = added
  }

  /** The gap that is to be written before anything is read; undefined: none. */
  get next(): Gap | undefined {
    return this.#gaps[0]
  }

  /** `next` is written. */
  written(): void {
    this.#gaps.shift()
  }

  /** The gaps that are still to be written. */
  get toWrite(): readonly Gap[] {
    return this.#gaps.length === 0 ? NO_GAPS : [...this.#gaps]
  }

  /** These are to be written again. */
  rewind(gaps: readonly Gap[]): void {
    this.#gaps = [...gaps]
  }

  /** Takes up what an earlier process left: the gaps to be written, and the files that are missing. */
  load(gaps: readonly Gap[] | undefined, missing: readonly Missing[]): void {
    this.#gaps = Array.isArray(gaps) ? [...gaps] : []
    for (const gap of this.#gaps) if (gap.records === undefined) this.#tell(gap)
    this.missing = missing
  }

  /** From where on the rest of a file is lost; undefined: it is not. */
  from(file: TailedFile): number | undefined {
    return this.#from?.get(file)
  }

  has(file: TailedFile): boolean {
    return this.#from?.has(file) ?? false
  }

  /** What there is of the file from `from` on is dealt with. */
  noteFrom(file: TailedFile, from: number): void {
    this.#from ??= new WeakMap()
    this.#from.set(file, from)
  }

  /** Notes the loss of a file's rest. */
  noteRest(file: TailedFile, rest: Pick<Hole, 'from' | 'to' | 'cause' | 'writtenMs'>, next: TailedFile | null): void {
    this.noteFrom(file, rest.from)
    this.note({ path: file.path, head: file.head.hash, restart: file.order.restart, ...rest }, next)
  }

  /** The files that are missing before `next`; null: at the end of all there is. */
  missingBefore(next: TailedFile | null): readonly Missing[] {
    if (this.missing.length === 0) return this.missing
    return this.missing.filter((each) => each.before === null || (next !== null && comesBefore(each, next)))
  }

  /** Notes the loss of files that were seen before `next` and are not there. */
  noteMissing(due: readonly Missing[], next: TailedFile | null): void {
    this.missing = this.missing.filter((each) => !due.includes(each))
    for (const { seen } of due) this.note(holeOf(seen), next)
  }

  /**
   * Decides on the record of a hole before `next`, and tells of it: once for each hole, since nothing that may be read
   * again lies between the committed place and here.
   */
  note(hole: Hole, next: TailedFile | null): void {
    this.#parts.continuity?.noteHole()
    this.#tell(this.#add(hole, next))
  }

  /** What is missing in an audit log becomes a gap. All that was read must be acknowledged. */
  noteFindings(): void {
    const { continuity, cursor } = this.#parts
    if (!continuity?.hasFindings) return
    const { path, head, order } = cursor.place.file as TailedFile
    const { offset } = cursor.place
    const here = { path, head: head.hash, restart: order.restart, from: offset, to: offset, writtenMs: null }
    for (const { kind, confidence, text } of continuity.take()) {
      this.#tell(this.#add({ ...here, finding: kind, confidence, cause: text }, null))
    }
  }

  /** Records that were read were dropped. */
  noteDropped(range: DroppedRange): void {
    const { file } = this.#parts.cursor.place
    const hole = { ...range, head: file?.head.hash ?? '', restart: file?.order.restart ?? 0, writtenMs: null }
    this.#add(hole, null)
  }

  #add(hole: Hole, next: TailedFile | null): Gap {
    const { options, lines, cursor } = this.#parts
    const { fs, clock, gunzip } = this.#parts.deps
    const isArrival = options.format === 'plain'
    let first = null
    try {
      if (next !== null && !isArrival) first = readFirstTime(fs, next, gunzip)
    } catch (error) {
      cursor.failed('read', error)
    }
    const gap = decideGap(hole, lines.timeline, first, clock.now(), isArrival)
    this.#gaps.push(gap)
    this.#added(gap)
    this.hasFresh = true
    return gap
  }

  /** Counts a hole and says so. */
  #tell({ path, from, to, cause, finding, confidence = 'certain' }: Gap): void {
    const { lineage, account, deps } = this.#parts
    const { sink } = this.#parts.options
    const { source, key } = lineage.info
    if (finding !== undefined) {
      deps.events.emit('audit.gap', { source, sink, path, finding, confidence, text: cause })
      return
    }
    account.lose(cause, to === null ? 0 : to - from)
    deps.events.emit('bytes.lost', { sink, path, lineage: key, fromOffset: from, toOffset: to, cause })
  }
}
