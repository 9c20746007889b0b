// Audit events at once: the events that nearly all are go from the block to Loki's entries in a few calls of WebAssembly
// functions (events.wat): one finds the facts of as many lines as it can, the last makes entries of those that are kept.
// Between the two, what has a memory of its own is asked: under a policy or redaction event by event; without either by another
// call, of which only sums come back, and the few events that the log's course is told of. What is taken so is taken exactly
// as audit/lines.ts, audit.ts and wire.ts do; any other line is left to them.
// Invariant: between two calls nothing lives in the functions' memory but the block, the last day's text and one table of ids.

import { BACK_SECONDS } from '../../audit/continuity/beat.ts'
import { OPEN_SLOTS } from '../../audit/continuity/requests.ts'
import {
  ENTRY_BYTES,
  LINE,
  LINE_END,
  NANOS,
  ROW,
  SECONDS,
  STAGE_INDEX,
  VERB_INDEX,
  type Workbench,
} from '../../audit/found.ts'
import { IDS_TABLE } from '../../audit/ids.ts'
import type { AuditLines } from '../../audit/lines.ts'
import { STAGES } from '../../audit/policy/policy.ts'
import type { Part } from '../../batch/part.ts'
import type { Room } from '../../batch/target.ts'
import { instantiate } from '../../core/wasm.ts'
import type { EventRows } from '../../tail/writer.ts'
import type { AuditStreams, Run } from './audit-streams.ts'
import { dayOf } from './events-day.ts'
import {
  ASKED,
  BACK_MIN,
  BYTES,
  BYTES_MAX,
  CHANGED,
  CHANGED_BYTES,
  COUNT,
  COURSE,
  COURSE_NEWEST,
  clamp,
  DAY_BYTES,
  DAY_SECONDS,
  DAY_TEXT,
  type Exports,
  FOLLOWED,
  IDS,
  INT_MAX,
  IS_ASKED,
  LAST_LINE,
  LINE_BYTES_MAX,
  OPEN,
  ORDER,
  OTHER_TIME,
  PLACE,
  ROW_BYTES,
  ROWS,
  ROWS_END,
  ROWS_MAX,
  SECONDS_MAX,
  SECONDS_MIN,
  type SharedMemory,
  SUM,
  SUM_BYTES,
  SUM_NEWEST,
  SUM_OLDEST,
  SUMS,
  TOLD,
  TOLD_END,
  UNFOLLOWED,
  writeTexts,
} from './events-layout.ts'
import { EVENTS_WASM } from './events-wasm.ts'
import type { Snappy } from './snappy.ts'
import type { LokiStream } from './stream.ts'

const LINES_UNIT = 2 ** 32
/** From this length on an entry is made in another way. */
const ENTRY_BYTES_MAX = 0x4000
/** From this length on a run of entries lies compressed in its part: less would be much larger than with others. */
const PACKED_BYTES_MIN = 32 * 1024
/** Instead of a stream's number. */
const DROPPED = 255

export class EventsAtOnce {
  /** Events that were found, whether they were taken then or not. */
  found = 0
  #rowsMax = ROWS_MAX
  readonly #memory: Buffer
  readonly #view: DataView
  readonly #rows: Int32Array
  readonly #base: number
  readonly #out: number
  readonly #outBytes: number
  readonly #notes: Float64Array
  readonly #functions: Exports
  readonly #bench: Workbench
  /** In the memory: addresses of rows. */
  readonly #order: Int32Array
  readonly #told: Int32Array
  readonly #sums: Int32Array
  readonly #open: Uint8Array
  readonly #ids: Float64Array
  readonly #shared: SharedMemory
  readonly #snappy: Snappy
  readonly #verbs: number
  // Of each event that was decided about.
  readonly #lineEnds = new Int32Array(ROWS_MAX)
  readonly #numbers = new Uint8Array(ROWS_MAX)
  readonly #places = new Float64Array(ROWS_MAX)
  readonly #sourceBytes = new Int32Array(ROWS_MAX)
  // By number of stream.
  readonly #next = new Int32Array(DROPPED)
  readonly #sizes = new Int32Array(DROPPED)
  readonly #lasts = new Float64Array(DROPPED)

  /** In the memory of the rows, which it takes turns with. */
  constructor(shared: SharedMemory, verbs: readonly string[], snappy: Snappy) {
    this.#snappy = snappy
    const { memory, base, stage, stageBytes, notes, notesMax } = shared
    this.#shared = shared
    this.#verbs = verbs.length + 1
    this.#functions = instantiate(EVENTS_WASM, { rows: { memory }, place: { base } }) as Exports
    this.#memory = Buffer.from(memory.buffer)
    this.#view = new DataView(memory.buffer)
    this.#bench = { memory: this.#memory, at: 0, end: base + CHANGED + CHANGED_BYTES, copy: this.#functions.copy }
    this.#base = base
    this.#rows = new Int32Array(memory.buffer, base + ROWS, (ROWS_MAX * ROW_BYTES) / 4)
    this.#order = new Int32Array(memory.buffer, base + ORDER, ROWS_MAX)
    this.#told = new Int32Array(memory.buffer, base + TOLD, ROWS_MAX)
    this.#sums = new Int32Array(memory.buffer, base + SUMS, STAGES.length * this.#verbs * SUM)
    this.#open = new Uint8Array(memory.buffer, base + OPEN, OPEN_SLOTS)
    this.#ids = new Float64Array(memory.buffer, base + IDS, IDS_TABLE)
    this.#out = stage
    this.#outBytes = stageBytes
    this.#notes = new Float64Array(memory.buffer, notes, 2 * notesMax)
    writeTexts(this.#memory, base, verbs)
  }

  /**
   * Takes events as EntryWriter.writeEvents says, of which an entry may have `overheadBytes` more than its message. False:
   * they cannot be taken at once.
   */
  take(events: EventRows, room: Room, streams: AuditStreams, lane: LokiStream, overheadBytes: number): boolean {
    const { block } = events
    if (block.buffer !== this.#memory.buffer) return false
    const offset = block.byteOffset
    const found = this.#find(offset + events.from, offset + events.end, room)
    if (found === 0) return true
    // One stream may have all of it, and a run of it goes in one push.
    const bytesMax = Math.min(room.bytesLeft[0], this.#outBytes, streams.bytesMax) - overheadBytes
    if (events.audit.isPlain && !streams.hasStored) {
      this.#takeAsTheyAre(events, found, room.parts[0], streams, lane, bytesMax)
    } else {
      const decided = this.#decide(events, found, streams, lane, bytesMax)
      if (events.lines > 0) this.#write(events, room.parts[0], decided, streams)
      if (decided > 0) events.from = this.#lineEnds[decided - 1]! + 1 - offset
    }
    // Where each is one that cannot be taken, all behind it would be found again each time.
    const taken = events.lines + events.droppedLines
    this.#rowsMax = taken < found ? Math.max(1, 2 * taken) : Math.min(ROWS_MAX, 2 * this.#rowsMax)
    return true
  }

  /** Finds the facts of as many events as it can; returns how many they are. */
  #find(from: number, end: number, room: Room): number {
    // An entry is longer than its line, so what lies behind this does not fit.
    const until = Math.min(end, from + room.bytesLeft[0])
    const first = this.#base + ROWS
    const rowsEnd = first + ROW_BYTES * Math.max(0, Math.min(this.#rowsMax, room.recordsLeft))
    if (from >= until) return 0
    const { scan } = this.#functions
    scan(from, until, end, first, rowsEnd)
    if (this.#get(ROWS_END) === first) {
      const time = this.#get(OTHER_TIME)
      const day = time === 0 ? null : dayOf(this.#memory, time)
      if (day === null) return 0
      this.#memory.copy(this.#memory, this.#base + DAY_TEXT, time, time + DAY_BYTES)
      this.#set(DAY_SECONDS, day)
      scan(from, until, end, first, rowsEnd)
    }
    const found = (this.#get(ROWS_END) - first) / ROW_BYTES
    this.found += found
    return found
  }

  /** Takes events as far as it can where none is left out or changed: nothing is asked event by event. */
  #takeAsTheyAre(
    events: EventRows,
    found: number,
    part: Part,
    streams: AuditStreams,
    lane: LokiStream,
    bytesMax: number,
  ): void {
    const first = this.#base + ROWS
    const place = events.base - events.block.byteOffset
    this.#prepare(events, bytesMax, place)
    const end = this.#decideAlike(events, first, first + found * ROW_BYTES)
    const lines = (end - first) / ROW_BYTES
    if (lines === 0) return
    const { sort, write } = this.#functions
    const used = (sort(first, end, this.#shared.notes) - this.#told.byteOffset) / 4
    const order = this.#base + ORDER
    write(order, order + 4 * lines, this.#out)
    const sums = this.#sums
    let record = part.count
    let start = this.#out
    for (let i = 0; i < used; i++) {
      const index = this.#told[i]!
      const at = index * SUM
      const stage = Math.floor(index / this.#verbs)
      const verb = index % this.#verbs
      const offset = place + sums[at + LAST_LINE]!
      const oldest = sums[at + SUM_OLDEST]!
      const newest = sums[at + SUM_NEWEST]!
      lane.note(oldest)
      lane.note(newest)
      const number = streams.noteMany(stage, verb, oldest, newest)
      const bytes = sums[at + SUM_BYTES]!
      this.#move(start, bytes, part, streams, { number, record, file: events.file, offset })
      record += sums[at + COUNT]!
      start += bytes
    }
    const rows = this.#rows
    const last = (lines - 1) * ROW
    const bytes = rows[last + LINE_END]! + 1 - events.block.byteOffset - events.from
    part.noteMany(this.#notes.subarray(0, 2 * lines), bytes)
    events.lines = lines
    events.seconds = rows[last + SECONDS]!
    events.nanos = rows[last + NANOS]!
    events.from += bytes
  }

  /** Moves a run of entries to the part, compressed where it is long. */
  #move(
    from: number,
    bytes: number,
    part: Part,
    streams: AuditStreams,
    run: Pick<Run, 'number' | 'record' | 'file' | 'offset'>,
  ): void {
    const isPacked = bytes >= PACKED_BYTES_MIN
    streams.noteRun(0, { ...run, start: part.end, packedBytes: isPacked ? bytes : 0 })
    if (isPacked) this.#snappy.pack(from, from + bytes, part)
    else part.put(this.#memory.subarray(from, from + bytes))
  }

  #prepare({ audit, file, secondsMin, secondsMax }: EventRows, bytesMax: number, place: number): void {
    const { ids } = audit
    if (this.#shared.ids !== ids) {
      this.#shared.ids?.moveTo(null)
      ids.moveTo(this.#ids)
      this.#shared.ids = ids
    }
    ids.enter(file)
    this.#view.setFloat64(this.#base + PLACE, place, true)
    this.#set(BYTES_MAX, clamp(bytesMax))
    this.#set(LINE_BYTES_MAX, clamp(audit.lineBytesMax))
    this.#set(SECONDS_MIN, clamp(Math.ceil(secondsMin)))
    this.#set(SECONDS_MAX, Math.min(clamp(Math.floor(secondsMax)), INT_MAX - 1))
    this.#set(BYTES, 0)
    this.#set(BACK_MIN, BACK_SECONDS)
    this.#sums.fill(0)
  }

  /** Decides about rows; the course of the log is told of those that say something of it. Returns the row that it stopped before. */
  #decideAlike({ audit, file }: EventRows, first: number, rowsEnd: number): number {
    let row = first
    do {
      this.#setCourse(audit, file)
      row = this.#functions.decide(row, rowsEnd)
      const told = (this.#get(TOLD_END) - this.#told.byteOffset) / 4
      for (let i = 0; i < told; i++) audit.tell(file, this.#memory, this.#rows, (this.#told[i]! - first) / 4, true)
    } while (this.#get(IS_ASKED) !== 0)
    return row
  }

  #setCourse({ continuity }: AuditLines, file: object): void {
    const newest = continuity?.newestIn(file) ?? null
    this.#set(COURSE, continuity === null ? UNFOLLOWED : newest === null ? ASKED : FOLLOWED)
    this.#set(COURSE_NEWEST, newest ?? 0)
    if (continuity !== null) this.#open.set(continuity.openTags)
  }

  /** Decides about events one after the other, and notes what becomes of each; returns about how many. */
  #decide(events: EventRows, found: number, streams: AuditStreams, lane: LokiStream, bytesMax: number): number {
    const { audit, file, secondsMin } = events
    const secondsMax = Math.min(events.secondsMax, INT_MAX - 1)
    const base = events.base - events.block.byteOffset
    const rows = this.#rows
    const bench = this.#bench
    bench.at = this.#base + CHANGED
    let bytes = 0
    let decided = 0
    for (let at = 0; decided < found; decided++, at += ROW) {
      const line = rows[at + LINE]!
      const lineBytes = rows[at + LINE_END]! - line
      const seconds = rows[at + SECONDS]!
      this.#lineEnds[decided] = line + lineBytes
      if (bytes + lineBytes > bytesMax) break
      const place = base + line
      const end = audit.decide(file, place, bench, rows, at)
      if (end === 'other') break
      if (end === 'dropped') {
        events.droppedLines++
        events.droppedBytes += lineBytes + 1
        this.#numbers[decided] = DROPPED
        continue
      }
      if (seconds < secondsMin || seconds > secondsMax || !lane.isNear(seconds)) break
      const left = audit.left
      if (left !== null && (left.start !== line || left.buffer !== this.#memory)) {
        // What did not fit on the workbench is for the next call.
        if (left.buffer !== this.#memory) break
        const length = left.end - left.start
        const entryBytes = rows[at + ENTRY_BYTES]! + length - lineBytes
        if (bytes + length > bytesMax || entryBytes >= ENTRY_BYTES_MAX) break
        rows[at + LINE] = left.start
        rows[at + LINE_END] = left.end
        rows[at + ENTRY_BYTES] = entryBytes
      }
      this.#places[decided] = place
      this.#sourceBytes[decided] = lineBytes + 1
      this.#numbers[decided] = streams.noteTaken(rows[at + STAGE_INDEX]!, rows[at + VERB_INDEX]!, file, place, seconds)
      lane.note(seconds)
      bytes += rows[at + ENTRY_BYTES]!
      events.lines++
      events.seconds = seconds
      events.nanos = rows[at + NANOS]!
    }
    return decided
  }

  /** Writes the entries of those that are kept, each stream's one after the other, and their notes. */
  #write({ lines, file }: EventRows, part: Part, decided: number, streams: AuditStreams): void {
    const numbers = this.#numbers
    const rows = this.#rows
    const order = this.#order
    const notes = this.#notes
    const first = this.#base + ROWS
    // Where the next record of each stream comes.
    const next = this.#next
    next.fill(0)
    const sizes = this.#sizes
    sizes.fill(0)
    const lasts = this.#lasts
    for (let i = 0; i < decided; i++) {
      const number = numbers[i]!
      if (number === DROPPED) continue
      next[number]!++
      sizes[number]! += rows[i * ROW + ENTRY_BYTES]!
      lasts[number] = this.#places[i]!
    }
    let record = 0
    for (let number = 0; number < DROPPED; number++) {
      const count = next[number]!
      next[number] = record
      record += count
    }
    let sourceBytes = 0
    for (let i = 0; i < decided; i++) {
      const number = numbers[i]!
      if (number === DROPPED) continue
      const to = next[number]!++
      order[to] = first + i * ROW_BYTES
      notes[2 * to] = this.#places[i]!
      notes[2 * to + 1] = LINES_UNIT + this.#sourceBytes[i]!
      sourceBytes += this.#sourceBytes[i]!
    }
    this.#functions.write(this.#base + ORDER, this.#base + ORDER + 4 * lines, this.#out)
    record = 0
    let start = this.#out
    for (let number = 0; number < DROPPED; number++) {
      if (next[number] === record) continue
      this.#move(start, sizes[number]!, part, streams, {
        number,
        record: part.count + record,
        file,
        offset: lasts[number]!,
      })
      record = next[number]!
      start += sizes[number]!
    }
    part.noteMany(notes.subarray(0, 2 * lines), sourceBytes)
  }

  #set(place: number, value: number): void {
    this.#view.setInt32(this.#base + place, value, true)
  }

  #get(place: number): number {
    return this.#view.getInt32(this.#base + place, true)
  }
}
