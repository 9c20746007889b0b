// Lines of one source stream that are one record, while it is open: put together with line ends between them, in memory that
// is used again. Its time and its place are those of the first line. Bounds: those of multiline.ts.
import type { Entry } from '../core/entry.ts'
import { JOINS, MULTILINE_BYTES_MAX, MULTILINE_LINES_MAX, type MultilineRule, PLAIN } from './multiline.ts'
import { Partial } from './partial.ts'

/** A line that comes so much later than the one before it, by their own times, is another record. */
const PAUSE_SECONDS = 1
const LINE_END = Buffer.from('\n')

export class LineGroup {
  /** Its text; `start` is the file that it begins in, null while no record is open. */
  readonly text = new Partial<Entry['file']>()
  #state = PLAIN
  #lines = 0
  #lastSeconds = 0
  #lastNanos = 0
  readonly #rule: MultilineRule

  constructor(rule: MultilineRule) {
    this.#rule = rule
  }

  get isOpen(): boolean {
    return this.#lines > 0
  }

  /** Opens a record with the line of an entry. `line`: what a rule looks at. */
  open(entry: Entry, line: string, seconds: number, nanos: number): void {
    this.text.open(entry.file)
    this.text.seconds = seconds
    this.text.nanos = nanos
    this.text.offset = entry.offset
    // As if nothing had been before it: read again from here, it is the same record.
    this.#state = this.#rule(PLAIN, line) & ~JOINS
    this.#add(entry, seconds, nanos)
  }

  /** Takes the line of an entry into the open record; false when it begins another one, or has no room in this. */
  join(entry: Entry, line: string, seconds: number, nanos: number, bytesMax: number): boolean {
    const bytes = entry.messageEnd - entry.messageStart + LINE_END.length
    if (this.#lines >= MULTILINE_LINES_MAX || this.text.keptBytes + bytes > bytesMax) return false
    const answer = this.#rule(this.#state, line)
    if ((answer & JOINS) === 0) return false
    this.#state = answer & ~JOINS
    this.text.append(LINE_END, 0, LINE_END.length, MULTILINE_BYTES_MAX)
    this.#add(entry, seconds, nanos)
    return true
  }

  /** Whether nothing of this time can belong to it any more. */
  isOver(seconds: number, nanos: number): boolean {
    const later = seconds - this.#lastSeconds
    return later > PAUSE_SECONDS || (later === PAUSE_SECONDS && nanos > this.#lastNanos)
  }

  /** Forgets it, keeps its memory. */
  close(): void {
    this.text.close()
    this.#lines = 0
  }

  #add(entry: Entry, seconds: number, nanos: number): void {
    const { text } = this
    text.append(entry.buffer, entry.messageStart, entry.messageEnd, MULTILINE_BYTES_MAX)
    text.sourceBytes += entry.sourceBytes
    text.sourceLines += entry.sourceLines
    this.#lines++
    this.#lastSeconds = seconds
    this.#lastNanos = nanos
  }
}
