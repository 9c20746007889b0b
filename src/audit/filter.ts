// What becomes of a line of an audit log: the policy says whether and how much of it is kept, redaction hides what is
// secret, and what is too long for the sink loses its bodies. A line that is no event is delivered as it stands, as far
// as it cannot hold a secret. What cannot be taken apart within its limits is cut to what is known to be harmless.
//
// Everything but large lines is done at once; a large line is done in slices (`step`), so that the event loop goes on.
// The bytes of the result are valid until the next line.

import { createHash } from 'node:crypto'
import { release } from '../core/memory.ts'
import { cutToMetadata } from './cut.ts'
import { Edits, type Replacement } from './edits.ts'
import {
  ANNOTATIONS,
  API_GROUP,
  EventFacts,
  LEVEL,
  REQUEST_OBJECT,
  REQUEST_URI,
  RESOURCE,
  RESPONSE_OBJECT,
  RESPONSE_STATUS,
  STAGE,
  USER,
} from './event.ts'
import { safePart } from './foreign.ts'
import { LINE, LINE_END, ROW, SAME_ANNOTATIONS, SAME_SENDER, type Workbench } from './found.ts'
import { PADDING_BYTES } from './json/strings.ts'
import { Tape } from './json/tape.ts'
import { KnownBytes } from './known.ts'
import { LEVEL_METADATA, LEVEL_REQUEST, LEVELS, type Policy, stageBit } from './policy/policy.ts'
import type { RequestTarget } from './policy/request.ts'
import type { Mask } from './redact/mask.ts'
import {
  HAS_SECRET_DATA,
  IS_ABOUT_SECRETS,
  IS_EVENT,
  IS_PATCH,
  IS_SECRET_OBJECT,
  IS_SIGNING,
  LISTS_THAT_LOSE,
  LOSES_MANAGED_FIELDS,
} from './redact/roles.ts'
import { redactUri } from './redact/uri.ts'
import { Walk, type WalkOptions } from './redact/walk.ts'
import type { Sender } from './senders.ts'
import { memberPlace, truncated } from './truncation.ts'
import { type Verdict, Verdicts } from './verdicts.ts'

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
/** Values per slice: about a millisecond. */
const SLICE_VALUES = 4000
const OUTPUT_KEPT_BYTES_MAX = 256 * 1024
/** Longer ones are looked through each time. */
const VALUE_BYTES_MAX = 1024
const NOTHING: readonly Replacement[] = []

export class AuditFilter {
  readonly facts = new EventFacts()
  /** The result: whether it is an event, its bytes, and what was done to it. */
  isEvent = false
  buffer: Buffer = Buffer.alloc(0)
  start = 0
  end = 0
  /** The rule of the policy that decided; -1 for none. */
  rule = -1
  /** Bodies or fields were left out by the policy. */
  isTrimmed = false
  /** It could not be taken apart, and was cut to what is harmless. */
  isCut = false
  /** It lost bodies for its length: length and hash of what it would have been. */
  isTruncated = false
  originalBytes = 0
  originalSha256 = ''
  readonly #options: FilterOptions
  readonly #tape = new Tape()
  readonly #edits = new Edits()
  readonly #truncation = new EventFacts()
  readonly #verdicts: Verdicts
  readonly #stages = new KnownBytes<number>(4)
  readonly #levels = new KnownBytes<number>(4)
  /** Values that were looked through, and what had to be hidden there. */
  readonly #statusesOfSecrets = new KnownBytes<readonly Replacement[]>(8, VALUE_BYTES_MAX)
  readonly #statusesOfOthers = new KnownBytes<readonly Replacement[]>(8, VALUE_BYTES_MAX)
  readonly #annotations = new KnownBytes<readonly Replacement[]>(10, VALUE_BYTES_MAX)
  /** Of the line that takes the whole way. */
  #walkOptions: WalkOptions | null = null
  #output = Buffer.alloc(8192)
  /** Where the result may be written; null: to #output. */
  #bench: Workbench | null = null
  // Of the rows that were judged: who sent them, and what was known of their annotations.
  readonly #senders: (Sender | null)[] = []
  readonly #rowAnnotations: (readonly Replacement[] | undefined)[] = []
  #row = 0
  #sameAnnotations = 0
  readonly #walk = new Walk()
  #hasTape = false
  #isWalked = false
  #lineStart = 0
  #lineEnd = 0

  constructor(options: FilterOptions) {
    this.#options = options
    this.#verdicts = new Verdicts(options.policy)
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
    const row = at / ROW
    const sameSender = found[at + SAME_SENDER]!
    facts.take(bench.memory, found, at, sameSender === 0 ? null : this.#senders[sameSender - 1]!)
    this.#senders[row] = facts.sender
    this.#begin(bench.memory, found[at + LINE]!, found[at + LINE_END]!)
    this.isEvent = true
    this.#bench = bench
    this.#row = row
    this.#sameAnnotations = found[at + SAME_ANNOTATIONS]!
    this.#rowAnnotations[row] = undefined
    const judged = this.#judge(bench.memory, this.start, this.end)
    this.#bench = null
    return judged
  }

  #begin(line: Buffer, start: number, end: number): void {
    this.buffer = line
    this.start = start
    this.end = end
    this.rule = -1
    this.isTrimmed = false
    this.isCut = false
    this.isTruncated = false
  }

  #judge(line: Buffer, start: number, end: number): FilterEnd {
    const { facts } = this
    if (this.isPlain) return this.#fit()
    const verdict = this.#verdicts.of(this.facts)
    if (verdict === null) return this.#cut()
    const options = this.#decide(verdict)
    if (options === null) return 'dropped'
    if (!options.redacts && !options.dropsRequest && !options.dropsResponse && options.level === null) {
      if (((options.requestRole | options.responseRole) & LOSES_MANAGED_FIELDS) === 0) return this.#fit()
    }
    // Facts and tape are about the same bytes, which may be a padded copy.
    const offset = facts.buffer === line ? 0 : -start
    this.#lineStart = start + offset
    this.#lineEnd = end + offset
    if (end - start < LARGE_LINE_BYTES && facts.isUsual && this.#quick(options)) return this.#fit()
    this.#edits.clear()
    this.#tape.begin(facts.buffer, this.#lineStart, this.#lineEnd, this.#passed(options))
    this.#walk.begin(this.#tape, this.#edits, IS_EVENT, options)
    this.#walkOptions = options
    this.#hasTape = false
    this.#isWalked = false
    if (end - start >= LARGE_LINE_BYTES) return 'working'
    return this.step(Number.POSITIVE_INFINITY)
  }

  /** One slice of the work on a large line. */
  step(valuesMax = SLICE_VALUES): FilterEnd {
    if (!this.#hasTape) {
      const state = this.#tape.run(valuesMax)
      if (state === 'more') return 'working'
      if (state !== 'done') {
        this.#tape.release()
        return this.#cut()
      }
      this.#hasTape = true
      if (valuesMax !== Number.POSITIVE_INFINITY) return 'working'
    }
    if (!this.#isWalked) {
      if (!this.#walk.run(valuesMax)) return 'working'
      if (this.facts.isUsual) this.#remember()
      if (this.#edits.count > 0) this.#write()
      this.#tape.release()
      this.#isWalked = true
      if (valuesMax !== Number.POSITIVE_INFINITY) return 'working'
    }
    return this.#fit()
  }

  /** Gives back what a large line needed. */
  release(): void {
    if (this.#output.length > OUTPUT_KEPT_BYTES_MAX) {
      release(this.#output)
      this.#output = Buffer.alloc(8192)
    }
    this.buffer = this.#output
    this.#tape.release()
  }

  /** What the policy and the request's type say; null: dropped. */
  #decide({ target, decision, isPatch }: Verdict): WalkOptions | null {
    const { mask } = this.#options
    // A list of operations is one wherever it stands, whatever the verb says.
    const role = roleOf(this.#aboutOf(target)) | IS_PATCH
    const options: WalkOptions = {
      mask: mask ?? String,
      redacts: mask !== null,
      requestRole: role,
      responseRole: role,
      dropsRequest: false,
      dropsResponse: false,
      level: null,
    }
    // An event whose URI is none was never judged by a policy either; it is kept as it is.
    if (decision === null) return options
    this.rule = decision.rule
    if (decision.level === 0 || (decision.omitStages & this.#stageBit()) !== 0) return null
    const logged = this.#levelLogged()
    if (decision.level < logged) {
      options.level = LEVELS[decision.level]!
      this.isTrimmed = true
    }
    options.dropsRequest = decision.level <= LEVEL_METADATA
    options.dropsResponse = decision.level <= LEVEL_REQUEST
    if (decision.omitManagedFields) {
      options.responseRole |= LOSES_MANAGED_FIELDS | LISTS_THAT_LOSE
      if (!isPatch) options.requestRole |= LOSES_MANAGED_FIELDS | LISTS_THAT_LOSE
    }
    return options
  }

  /** What the request is about: what its URI says or, where that says nothing (another server's prefix), its objectRef. */
  #aboutOf(target: Verdict['target']): Pick<RequestTarget, 'apiGroup' | 'resource'> {
    const { facts } = this
    if (target !== null && (target.resource !== '' || !facts.has(RESOURCE))) return target
    return { apiGroup: facts.text(API_GROUP), resource: facts.text(RESOURCE) }
  }

  #stageBit(): number {
    const { facts } = this
    const { buffer } = facts
    const start = facts.startOf(STAGE)
    const end = facts.endOf(STAGE)
    let bit = this.#stages.find(buffer, start, end)
    if (bit === undefined) this.#stages.add(buffer, start, end, (bit = stageBit(facts.text(STAGE))))
    return bit
  }

  /** Index into LEVELS; -1 for none. */
  #levelLogged(): number {
    const { facts } = this
    const { buffer } = facts
    const start = facts.startOf(LEVEL)
    const end = facts.endOf(LEVEL)
    let level = this.#levels.find(buffer, start, end)
    if (level === undefined) {
      level = (LEVELS as readonly string[]).indexOf(facts.text(LEVEL))
      this.#levels.add(buffer, start, end, level)
    }
    return level
  }

  /**
   * The way of most events: all but the bodies was looked through before, in other events, and what had to be hidden there
   * is hidden here; so only the bodies are taken apart. False: it takes the whole way, nothing is done yet.
   */
  #quick(options: WalkOptions): boolean {
    const { facts } = this
    const sender = this.#verdicts.notesOf(facts.sender!).replacements
    const status = this.#known(RESPONSE_STATUS, this.#statuses(options))
    const annotations = this.#knownAnnotations()
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

  /** What had to be hidden in the same value before; undefined: it is not known. */
  #known(fact: number, known: KnownBytes<readonly Replacement[]>): readonly Replacement[] | undefined {
    const { facts } = this
    return facts.has(fact) ? known.find(facts.buffer, facts.startOf(fact), facts.endOf(fact)) : NOTHING
  }

  #knownAnnotations(): readonly Replacement[] | undefined {
    if (this.#bench === null) return this.#known(ANNOTATIONS, this.#annotations)
    const same = this.#sameAnnotations === 0 ? undefined : this.#rowAnnotations[this.#sameAnnotations - 1]
    const annotations = same ?? this.#known(ANNOTATIONS, this.#annotations)
    this.#rowAnnotations[this.#row] = annotations
    return annotations
  }

  #isHarmlessUri(mask: Mask): boolean {
    const uri = this.facts.text(REQUEST_URI)
    return redactUri(uri, mask) === uri
  }

  /** What is hidden in a status depends on whether the request is about secrets. */
  #statuses({ responseRole }: WalkOptions): KnownBytes<readonly Replacement[]> {
    return (responseRole & IS_ABOUT_SECRETS) !== 0 ? this.#statusesOfSecrets : this.#statusesOfOthers
  }

  /** Remembers what had to be hidden in what other events have too. */
  #remember(): void {
    const { facts } = this
    const edits = this.#edits
    const start = facts.startOf(USER)
    this.#verdicts.notesOf(facts.sender!).replacements = edits.within(start, start + facts.sender!.bytes.length)
    this.#rememberValue(RESPONSE_STATUS, this.#statuses(this.#walkOptions!))
    if (!this.#walk.sawWebhookPatch) this.#rememberValue(ANNOTATIONS, this.#annotations)
  }

  #rememberValue(fact: number, known: KnownBytes<readonly Replacement[]>): void {
    const { facts } = this
    if (this.#known(fact, known) !== undefined) return
    const start = facts.startOf(fact)
    const end = facts.endOf(fact)
    const replacements = this.#edits.within(start, end)
    if (replacements !== null) known.add(facts.buffer, start, end, replacements)
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
    this.#reserve(this.#edits.bytesMax(this.#lineEnd - this.#lineStart) + PADDING_BYTES)
    this.end = this.#edits.apply(facts.buffer, this.#lineStart, this.#lineEnd, this.#output, 0)
    this.buffer = this.#output
    this.start = 0
  }

  #reserve(bytes: number): void {
    if (bytes > this.#output.length) this.#output = Buffer.allocUnsafeSlow(Math.max(bytes, 2 * this.#output.length))
  }

  /** Makes the result fit the sink: over its limit it loses the response's body, then the request's. */
  #fit(): FilterEnd {
    const bytes = this.end - this.start
    if (bytes <= this.#options.lineBytesMax) return 'kept'
    this.originalBytes = bytes
    this.originalSha256 = createHash('sha256').update(this.buffer.subarray(this.start, this.end)).digest('hex')
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
  #cut(): FilterEnd {
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

/** What the type of a request says of its bodies. */
function roleOf({ apiGroup, resource }: Pick<RequestTarget, 'apiGroup' | 'resource'>): number {
  if (apiGroup === '' && resource === 'secrets') return HAS_SECRET_DATA | IS_ABOUT_SECRETS | IS_SECRET_OBJECT
  if (resource.includes('secret')) return HAS_SECRET_DATA
  if (resource === 'certificatesigningrequests' || resource === 'podcertificaterequests') return IS_SIGNING
  if (resource === 'tokenreviews' || resource === 'configmaps') return IS_ABOUT_SECRETS
  return 0
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09
}
