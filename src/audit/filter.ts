// What becomes of a line of an audit log: the policy says whether and how much of it is kept, redaction hides what is
// secret, and what is too long for the sink loses its bodies. A line that is no event is delivered as it stands, as far
// as it cannot hold a secret. What cannot be taken apart within its limits is cut to what is known to be harmless.
//
// Everything but large lines is done at once; a large line is done in slices (`step`), so that the event loop goes on.
// The bytes of the result are valid until the next line.

import { createHash } from 'node:crypto'
import { release } from '../core/memory.ts'
import { atOnce, type Slices } from '../core/slices.ts'
import { cutToMetadata } from './cut.ts'
import { Edits, SLICE_EDITS } from './edits.ts'
import {
  ANNOTATIONS,
  EventFacts,
  LEVEL,
  REQUEST_OBJECT,
  REQUEST_URI,
  RESPONSE_OBJECT,
  RESPONSE_STATUS,
  USER,
} from './event.ts'
import { safePart } from './foreign.ts'
import { LINE, LINE_END, ROW, SAME_SENDER, type Workbench } from './found.ts'
import { PADDING_BYTES } from './json/strings.ts'
import { SLICE_VALUES, Tape } from './json/tape.ts'
import type { Policy } from './policy/policy.ts'
import type { Mask } from './redact/mask.ts'
import { IS_EVENT, LOSES_MANAGED_FIELDS } from './redact/roles.ts'
import { redactUri } from './redact/uri.ts'
import { Walk, type WalkOptions } from './redact/walk.ts'
import { Repeats } from './repeats.ts'
import { Rulings } from './ruling.ts'
import type { Sender } from './senders.ts'
import { memberPlace, truncated } from './truncation.ts'

export interface FilterOptions {
  /** null: everything is kept. */
  policy: Policy | null
  /** null: nothing is redacted. */
  mask: Mask | null
  /** A line over this loses its bodies. */
  lineBytesMax: number
}

/** kept: see the result; dropped: the policy says so; working: call `step`. */
export type FilterEnd = 'kept' | 'dropped' | 'working'

/** A line from so many bytes on is done in slices. */
export const LARGE_LINE_BYTES = 128 * 1024
/** Of a slice, a millisecond or two. */
const SLICE_HASHED_BYTES = 512 * 1024
const OUTPUT_KEPT_BYTES_MAX = 256 * 1024

export class AuditFilter {
  readonly facts = new EventFacts()
  /** The result: whether it is an event, its bytes, and what was done to it. */
  isEvent = false
  buffer: Buffer = Buffer.alloc(0)
  start = 0
  end = 0
  /** It could not be taken apart, and was cut to what is harmless. */
  isCut = false
  /** It lost bodies for its length: length and hash of what it would have been. */
  isTruncated = false
  originalBytes = 0
  originalSha256 = ''
  readonly #options: FilterOptions
  readonly #tape = new Tape()
  readonly #edits = new Edits()
  readonly #walk = new Walk()
  readonly #truncation = new EventFacts()
  readonly #rulings: Rulings
  readonly #repeats: Repeats
  #output = Buffer.alloc(8192)
  /** Where the result may be written; null: to #output. */
  #bench: Workbench | null = null
  /** Of the rows that were judged: who sent them. */
  readonly #senders: (Sender | null)[] = []
  /** Of a large line; null when there is none. */
  #slices: Slices<'kept'> | null = null
  #lineStart = 0
  #lineEnd = 0

  constructor(options: FilterOptions) {
    this.#options = options
    this.#rulings = new Rulings(options.policy, options.mask)
    this.#repeats = new Repeats(this.#rulings.verdicts)
  }

  /** The rule of the policy that decided; -1 for none. */
  get rule(): number {
    return this.#rulings.rule
  }

  /** Bodies or fields were left out by the policy. */
  get isTrimmed(): boolean {
    return this.#rulings.isTrimmed
  }

  /** Nothing is to be decided or changed: only the facts are read. */
  get isPlain(): boolean {
    return this.#options.policy === null && this.#options.mask === null
  }

  /**
   * Takes a line line[start, end), without its newline. `isWhole` false: it is the beginning of one that is longer than
   * can be kept. The bytes must stay until the end of the work.
   */
  judge(line: Buffer, start: number, end: number, isWhole = true): FilterEnd {
    this.#begin(line, start, end)
    this.isEvent = this.facts.read(line, start, end)
    if (!this.isEvent) return this.#foreign(isWhole)
    return this.#judge(line, start, end)
  }

  /**
   * The same for an event that was found with others, a row of `found` that begins at `at`, on the workbench if there is room.
   * The rows before it must have been judged so, too.
   */
  judgeTaken(bench: Workbench, found: Int32Array, at: number): FilterEnd {
    const { facts } = this
    const sameSender = found[at + SAME_SENDER]!
    facts.take(bench.memory, found, at, sameSender === 0 ? null : this.#senders[sameSender - 1]!)
    this.#senders[at / ROW] = facts.sender
    this.#begin(bench.memory, found[at + LINE]!, found[at + LINE_END]!)
    this.isEvent = true
    this.#bench = bench
    this.#repeats.takeRow(found, at)
    const judged = this.#judge(bench.memory, this.start, this.end)
    this.#repeats.leaveRow()
    this.#bench = null
    return judged
  }

  #begin(line: Buffer, start: number, end: number): void {
    this.buffer = line
    this.start = start
    this.end = end
    this.#rulings.clear()
    this.isCut = false
    this.isTruncated = false
    this.#slices = null
  }

  #judge(line: Buffer, start: number, end: number): FilterEnd {
    const { facts } = this
    const isLarge = end - start >= LARGE_LINE_BYTES
    if (this.isPlain) return this.#fit(isLarge)
    const options = this.#rulings.of(facts)
    if (options === undefined) return this.#cut()
    if (options === null) return 'dropped'
    if (!options.redacts && !options.dropsRequest && !options.dropsResponse && options.level === null) {
      if (((options.requestRole | options.responseRole) & LOSES_MANAGED_FIELDS) === 0) return this.#fit(isLarge)
    }
    // Facts and tape are about the same bytes, which may be a padded copy.
    const offset = facts.buffer === line ? 0 : -start
    this.#lineStart = start + offset
    this.#lineEnd = end + offset
    if (!isLarge && facts.isUsual && this.#quick(options)) return this.#fit(false)
    return this.#do(this.#whole(options), isLarge)
  }

  #do(slices: Slices<'kept'>, isLarge: boolean): FilterEnd {
    if (!isLarge) return atOnce(slices)
    this.#slices = slices
    return 'working'
  }

  /** One slice of the work on a large line. */
  step(): FilterEnd {
    const { done, value } = this.#slices!.next()
    return done ? value : 'working'
  }

  /** The way of all lines that are not done quickly. */
  *#whole(options: WalkOptions): Slices<'kept'> {
    const tape = this.#tape
    const edits = this.#edits
    edits.clear()
    tape.begin(this.facts.buffer, this.#lineStart, this.#lineEnd, this.#passed(options))
    for (let state = tape.run(SLICE_VALUES); state !== 'done'; state = tape.run(SLICE_VALUES)) {
      if (state !== 'more') {
        tape.release()
        return this.#cut()
      }
      yield
    }
    const walk = this.#walk
    walk.begin(tape, edits, IS_EVENT, options)
    do yield
    while (!walk.run(SLICE_VALUES))
    tape.release()
    if (this.facts.isUsual) this.#repeats.remember(this.facts, edits, options, !walk.sawOthersAnnotation)
    if (edits.count > SLICE_EDITS) yield* this.#writeInSlices()
    else if (edits.count > 0) this.#write()
    return yield* this.#fitted()
  }

  /** Gives back what a large line needed. */
  release(): void {
    if (this.#output.length > OUTPUT_KEPT_BYTES_MAX) {
      release(this.#output)
      this.#output = Buffer.alloc(8192)
    }
    this.buffer = this.#output
    this.#slices = null
    this.#tape.release()
    this.#edits.clear()
  }

  /**
   * The way of most events: all but the bodies was looked through before, in other events, and what had to be hidden there
   * is hidden here; so only the bodies are taken apart. False: it takes the whole way, nothing is done yet.
   */
  #quick(options: WalkOptions): boolean {
    const { facts } = this
    const sender = this.#repeats.sender(facts)
    const status = this.#repeats.status(facts, options)
    const annotations = this.#repeats.annotations(facts)
    if (sender === null || status === undefined || annotations === undefined) return false
    if (options.redacts && !this.#isHarmlessUri(options.mask)) return false
    const edits = this.#edits
    edits.clear()
    // Changes are noted from the line's start to its end: where its members stand otherwise this is not its way.
    if (options.level !== null) edits.add(facts.startOf(LEVEL), facts.endOf(LEVEL), options.level)
    const isDone =
      edits.repeat(sender, facts.startOf(USER)) &&
      edits.repeat(status, facts.startOf(RESPONSE_STATUS)) &&
      this.#body(REQUEST_OBJECT, options.dropsRequest, options.requestRole, options) &&
      this.#body(RESPONSE_OBJECT, options.dropsResponse, options.responseRole, options) &&
      edits.repeat(annotations, facts.startOf(ANNOTATIONS))
    if (isDone && edits.count > 0) this.#write()
    return isDone
  }

  /** Notes what becomes of a body; false: it cannot. */
  #body(fact: number, isDropped: boolean, role: number, options: WalkOptions): boolean {
    const { facts } = this
    const edits = this.#edits
    if (!facts.has(fact)) return true
    const { buffer } = facts
    const start = facts.startOf(fact)
    const end = facts.endOf(fact)
    if (start < edits.lastEnd) return false
    if (isDropped) {
      const [from, to] = memberPlace(buffer, start, end)
      // With blanks around it another one would stay than on the whole way.
      if (to !== end || from < edits.lastEnd || isBlank(buffer[from - 1]) || isBlank(buffer[to])) return false
      edits.add(from, to, '')
      return true
    }
    this.#tape.begin(buffer, start, end)
    if (this.#tape.run() !== 'done') return false
    this.#walk.begin(this.#tape, edits, role, options, true)
    this.#walk.run()
    this.#tape.release()
    return true
  }

  #isHarmlessUri(mask: Mask): boolean {
    const uri = this.facts.text(REQUEST_URI)
    return redactUri(uri, mask) === uri
  }

  #passed({ dropsRequest, dropsResponse }: WalkOptions): [number, number, number, number] {
    const { facts } = this
    const passed: [number, number, number, number] = [-1, -1, -1, -1]
    if (dropsRequest && facts.has(REQUEST_OBJECT)) {
      passed[0] = facts.startOf(REQUEST_OBJECT)
      passed[1] = facts.endOf(REQUEST_OBJECT)
    }
    if (dropsResponse && facts.has(RESPONSE_OBJECT)) {
      passed[2] = facts.startOf(RESPONSE_OBJECT)
      passed[3] = facts.endOf(RESPONSE_OBJECT)
    }
    return passed
  }

  /** Writes the line with its changes. */
  #write(): void {
    const { facts } = this
    const bench = this.#bench
    if (bench !== null && this.#edits.bytesMax(this.#lineEnd - this.#lineStart) <= bench.end - bench.at) {
      this.start = bench.at
      this.end = this.#edits.applyOn(bench, this.#lineStart, this.#lineEnd, bench.at)
      this.buffer = bench.memory
      bench.at = this.end
      return
    }
    this.#reserve()
    this.end = this.#edits.apply(facts.buffer, this.#lineStart, this.#lineEnd, this.#output, 0)
  }

  *#writeInSlices(): Slices<void> {
    this.#reserve()
    this.end = yield* this.#edits.applyInSlices(this.facts.buffer, this.#lineStart, this.#lineEnd, this.#output)
  }

  /** Makes room for the changed line: it is the result. */
  #reserve(): void {
    const bytes = this.#edits.bytesMax(this.#lineEnd - this.#lineStart) + PADDING_BYTES
    if (bytes > this.#output.length) this.#output = Buffer.allocUnsafeSlow(Math.max(bytes, 2 * this.#output.length))
    this.buffer = this.#output
    this.start = 0
  }

  #fit(isLarge: boolean): FilterEnd {
    return this.end - this.start <= this.#options.lineBytesMax ? 'kept' : this.#do(this.#fitted(), isLarge)
  }

  /** Makes the result fit the sink: over its limit it loses the response's body, then the request's. */
  *#fitted(): Slices<'kept'> {
    const bytes = this.end - this.start
    if (bytes <= this.#options.lineBytesMax) return 'kept'
    this.originalBytes = bytes
    const hash = createHash('sha256')
    for (let at = this.start; at < this.end; at += SLICE_HASHED_BYTES) {
      yield
      hash.update(this.buffer.subarray(at, Math.min(at + SLICE_HASHED_BYTES, this.end)))
    }
    this.originalSha256 = hash.digest('hex')
    yield
    const left = truncated(
      this.#truncation,
      this.buffer,
      this.start,
      this.end,
      this.#options.lineBytesMax,
      this.originalSha256,
    )
    if (left === null) return 'kept'
    this.isTruncated = true
    this.buffer = left
    this.start = 0
    this.end = left.length
    return 'kept'
  }

  /** A line that is no event. */
  #foreign(isWhole: boolean): FilterEnd {
    const { facts } = this
    if (!isWhole && facts.looksLikeEvent) return this.#cut()
    if (this.#options.mask === null) return 'kept'
    const text = safePart(this.buffer, this.start, this.end, this.#options.mask)
    if (text === null) return 'kept'
    this.isCut = true
    this.#take(text)
    return 'kept'
  }

  /** An event that cannot be taken apart: what is known of it, without bodies. */
  #cut(): 'kept' {
    this.isCut = true
    this.isEvent = true
    this.originalBytes = this.end - this.start
    this.#take(cutToMetadata(this.facts, this.originalBytes, this.#options.mask))
    return 'kept'
  }

  #take(text: string): void {
    this.buffer = Buffer.from(text)
    this.start = 0
    this.end = this.buffer.length
  }
}

/** Does all that is left. */
function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09
}
