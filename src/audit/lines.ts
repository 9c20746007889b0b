// What reading does with a line of an audit log before it becomes an entry: the policy, redaction, the marks. A large line
// is worked on between turns of the event loop; until that is done the reader waits before it.
import {
  type Entry,
  MARK_CUT,
  MARK_CUT_TO_METADATA,
  MARK_GAP,
  MARK_ID_REUSED,
  MARK_NOT_AUDIT,
  MARK_TRUNCATED,
  type Shaper,
} from '../core/entry.ts'
import { release } from '../core/memory.ts'
import type { Slices } from '../core/slices.ts'
import type { Continuity, LogFile } from './continuity/continuity.ts'
import { AuditFilter, type FilterEnd, type FilterOptions, LARGE_LINE_BYTES } from './filter.ts'
import { FIRST_HASH, LINE, LINE_END, NANOS, SECOND_HASH, SECONDS, type Workbench } from './found.ts'
import { AuditIds } from './ids.ts'
import { PADDING_BYTES } from './json/strings.ts'
import { isMissingLine } from './webhook/shed.ts'

/** The longest line that is kept whole; of a longer one the metadata is told. */
export const AUDIT_LINE_BYTES_MAX = 4 * 1024 * 1024

export interface AuditLinesOptions extends FilterOptions {
  /** What is missing in the log is found there. */
  continuity?: Continuity
  /** Lets the event loop go on; resolves in a later turn. */
  pause: () => Promise<void>
  /** It is the spool of a webhook, where lines that API servers cannot write tell of holes, and no event is marked for another one. */
  isSpool?: boolean
  /** What the sink's encoder wants made ready of a large event that is kept. */
  shape?: Shaper | undefined
  /** Called when a large line is done. */
  ready: () => void
}

/** What is left of a line: buffer[start, end). */
export interface Left {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}

/** A large line, by where it begins. */
interface Work {
  file: object
  offset: number
  line: Buffer
  end: FilterEnd
  shape: object | null
  /** What was thrown meanwhile, for whoever reads on. */
  failure: { error: unknown } | null
}

export class AuditLines {
  readonly #options: AuditLinesOptions
  readonly #filter: AuditFilter
  /** What large lines are worked on with, one after the other: a new one for each would be looked through by the collector. */
  #large: AuditFilter | null = null
  readonly #ids = new AuditIds()
  #work: Work | null = null
  /** A large line that was applied: what is left of it is valid until the next one. */
  #spent: Buffer | null = null

  constructor(options: AuditLinesOptions) {
    this.#options = options
    this.#filter = new AuditFilter(options)
  }

  /** A large line is being worked on: it is not read before that is done. */
  get isWorking(): boolean {
    return this.#work?.end === 'working' && this.#work.failure === null
  }

  /**
   * Decides about an event that was found with others, a row of `found` that begins at `at`; its line begins at `offset` of
   * the file. `kept`: what is left of it is `left`, on the workbench or elsewhere. `other`: it is to be applied as any line; nothing was changed.
   */
  decide(file: object, offset: number, bench: Workbench, found: Int32Array, at: number): 'kept' | 'dropped' | 'other' {
    const filter = this.#filter
    const start = found[at + LINE]!
    const end = found[at + LINE_END]!
    if (filter.isPlain) {
      if (end - start > this.#options.lineBytesMax) return 'other'
    } else {
      const judged = filter.judgeTaken(bench, found, at)
      if (judged === 'dropped') {
        this.follow(file, bench.memory, found, at, false)
        return 'dropped'
      }
      if (judged === 'working' || filter.isCut || filter.isTruncated) return 'other'
    }
    const first = found[at + FIRST_HASH]!
    const second = found[at + SECOND_HASH]!
    const bytes = end + 1 - start
    const isReused = this.#ids.isReusedHash(
      first,
      second,
      found[at + SECONDS]!,
      found[at + NANOS]!,
      file,
      offset,
      bytes,
    )
    if (isReused) return 'other'
    this.follow(file, bench.memory, found, at, true)
    return 'kept'
  }

  /** No event is left out or changed: what goes for one of those found with others is whether it fits, its id and the log's course. */
  get isPlain(): boolean {
    return this.#filter.isPlain
  }

  get lineBytesMax(): number {
    return this.#options.lineBytesMax
  }

  get ids(): AuditIds {
    return this.#ids
  }

  get continuity(): Continuity | null {
    return this.#options.continuity ?? null
  }

  /** Lets the course of the log be known by an event of `found`. Should it be applied after all, it is told once more, which says nothing. */
  follow(file: object, b: Buffer, found: Int32Array, at: number, isKept: boolean): void {
    if (this.#options.continuity?.isSilentAbout(file, b, found, at) === false) this.tell(file, b, found, at, isKept)
  }

  /** The same for an event that may say something of the course. */
  tell(file: object, b: Buffer, found: Int32Array, at: number, isKept: boolean): void {
    const { facts } = this.#filter
    facts.takePlaces(b, found, at)
    this.#options.continuity?.note(facts, file as LogFile, isKept)
  }

  /** What the last event that was kept is to be; null: its line as it stands. */
  get left(): Left | null {
    return this.#filter.isPlain ? null : this.#filter
  }

  /**
   * Whether the line that begins at `offset` can become an entry now: kept[0, keptBytes), then b[start, end). False: it is
   * large and the work on it has begun, or is going on.
   */
  ahead(file: object, offset: number, kept: Buffer, keptBytes: number, b: Buffer, start: number, end: number): boolean {
    const bytes = keptBytes + end - start
    if (bytes < LARGE_LINE_BYTES || bytes > AUDIT_LINE_BYTES_MAX || this.#isDoneAtOnce(bytes)) return true
    const known = this.#work
    if (known !== null && known.file === file && known.offset === offset) {
      if (known.failure !== null) throw known.failure.error
      return known.end !== 'working'
    }
    // One at a time: what another place began is given up when the reader was sent elsewhere.
    if (known !== null) release(known.line)
    this.release()
    const line = Buffer.allocUnsafeSlow(bytes + PADDING_BYTES)
    kept.copy(line, 0, 0, keptBytes)
    b.copy(line, keptBytes, start, end)
    this.#large ??= new AuditFilter(this.#options)
    const work: Work = { file, offset, line, end: 'working', shape: null, failure: null }
    const slices = this.#slices(work, this.#large, bytes)
    const isDone = slices.next().done === true
    this.#work = work
    if (!isDone) void this.#go(work, slices)
    return isDone
  }

  #isDoneAtOnce(bytes: number): boolean {
    const { shape, lineBytesMax } = this.#options
    return this.#filter.isPlain && shape === undefined && bytes <= lineBytesMax
  }

  /** The work on a large line. */
  *#slices(work: Work, filter: AuditFilter, bytes: number): Slices<void> {
    let end = filter.judge(work.line, 0, bytes)
    for (; end === 'working'; end = filter.step()) yield
    const { shape } = this.#options
    if (end === 'kept' && filter.isEvent && shape !== undefined) {
      yield
      work.shape = yield* shape(filter.buffer.subarray(filter.start, filter.end))
    }
    work.end = end
  }

  async #go(work: Work, slices: Slices<void>): Promise<void> {
    try {
      do {
        await this.#options.pause()
        if (this.#work !== work) return
      } while (!slices.next().done)
    } catch (error) {
      work.failure = { error }
    }
    this.#options.ready()
  }

  /** Gives back what the last large line needed: nobody has an entry of it any more. */
  release(): void {
    if (this.#spent === null) return
    this.#large?.release()
    release(this.#spent)
    this.#spent = null
  }

  /**
   * Makes the entry what is left of its line: message, marks, `audit`. False: the policy drops it. `isWhole` false: the
   * message is only the beginning of the line.
   */
  apply(entry: Entry, isWhole: boolean): boolean {
    const work = this.#work
    const isDone = work !== null && work.file === entry.file && work.offset === entry.offset && work.end !== 'working'
    if (!isDone) this.release()
    const filter = isDone ? (this.#large as AuditFilter) : this.#filter
    let end = isDone ? work.end : filter.judge(entry.buffer, entry.messageStart, entry.messageEnd, isWhole)
    while (end === 'working') end = filter.step()
    entry.shape = isDone ? work.shape : null
    if (isDone) {
      this.#work = null
      this.#spent = work.line
    }
    if (filter.isEvent) this.#options.continuity?.note(filter.facts, entry.file, end !== 'dropped')
    if (end === 'dropped') return false
    entry.audit = filter.isEvent ? filter.facts : null
    if (this.#options.isSpool) {
      if (!filter.isEvent) {
        entry.marks |= isMissingLine(filter.buffer, filter.start, filter.end) ? MARK_GAP : MARK_NOT_AUDIT
      }
    } else if (filter.isEvent) {
      const { file, offset, sourceBytes } = entry
      if (this.#ids.isReused(filter.facts, file, offset, sourceBytes)) entry.marks |= MARK_ID_REUSED
    } else entry.marks |= MARK_NOT_AUDIT
    if (filter.isCut) {
      // What it was is not to be told, nor a hash of it.
      entry.marks = (entry.marks & ~MARK_CUT) | MARK_CUT_TO_METADATA
      entry.originalBytes = isWhole ? entry.messageEnd - entry.messageStart : entry.originalBytes
    } else if (filter.isTruncated) {
      entry.marks |= MARK_TRUNCATED
      entry.originalBytes = filter.originalBytes
      entry.originalSha256 = filter.originalSha256
    }
    entry.buffer = filter.buffer
    entry.messageStart = filter.start
    entry.messageEnd = filter.end
    return true
  }
}
