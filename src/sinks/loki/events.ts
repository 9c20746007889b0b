// Audit events at once: the events that nearly all are go from the block to Loki's entries in two calls of WebAssembly
// functions (events.wat): one finds the facts of as many lines as it can, the other makes entries of those that are kept.
// Between the two, what has a memory of its own is asked event by event: policy and redaction, the ids, the streams. What is
// taken so is taken exactly as audit/event.ts, audit.ts and wire.ts do; any other line is left to them.
// Invariant: between two calls nothing lives in the functions' memory but the block and the last day's text.

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
import type { Part } from '../../batch/part.ts'
import type { Room } from '../../batch/target.ts'
import { parseTimestamp, timestamp } from '../../parse/timestamp.ts'
import type { EventRows } from '../../tail/writer.ts'
import type { AuditStreams } from './audit-streams.ts'
import { EVENTS_WASM } from './events-wasm.ts'
import type { LokiStream } from './stream.ts'
import { instantiate } from './wasm.ts'

/** Rows of facts of one call. */
const ROWS_MAX = 1024
const ROW_BYTES = 4 * ROW
const CONSTANT_BYTES = 32
/** From the base on: numbers and texts of the functions, then the rows and their order, then what is left of changed lines. */
const DAY_TEXT = 2048
const DAY_BYTES = 11
const DAY_SECONDS = 2060
const OTHER_TIME = 2064
const ROWS_END = 2068
const VERBS = 2080
const ROWS = 4096
const ORDER = ROWS + ROWS_MAX * ROW_BYTES
const CHANGED = ORDER + ROWS_MAX * 4
const CHANGED_BYTES = 640 * 1024
/** What may be touched behind an entry. */
const SLACK = 64
/** From the base on, all that it needs. */
export const EVENTS_BYTES = CHANGED + CHANGED_BYTES + SLACK
const TIME_BYTES = 27
const DAY = 86_400
const INT_MAX = 0x7fff_ffff
const LINES_UNIT = 2 ** 32
/** Instead of a stream's number. */
const DROPPED = 255
/** From this length on an entry is made in another way. */
const ENTRY_BYTES_MAX = 0x4000

/** The texts that the functions know by number; pairs of metadata begin with the last six. */
const TEXTS = [
  '{"kind":"Event",',
  '"apiVersion":"au',
  'dit.k8s.io/v1","',
  'level":"',
  '","auditID":"',
  '","stage":"',
  'RequestReceived"',
  'ResponseStarted"',
  'ResponseComplete',
  'Panic"',
  '","requestURI":"',
  '","verb":"',
  '","user":{',
  ',"sourceIPs":[',
  ',"userAgent":"',
  ',"objectRef":{',
  ',"responseStatus',
  'esponseStatus":{',
  ',"requestObject"',
  ',"responseObject',
  ',"requestReceive',
  'dTimestamp":"',
  ',"stageTimestamp',
  'tageTimestamp":"',
  ',"annotations":{',
  '\n\x07auditID\x12',
  '\n\x04user\x12',
  '\n\x08resource\x12',
  '\n\x09namespace\x12',
  '\n\x04name\x12',
  '\n\x04code\x12',
]

/** The memory of the rows: where others may have theirs (`base`), and where entries and notes are made. Addresses and bytes. */
export interface SharedMemory {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly base: number
  readonly stage: number
  readonly stageBytes: number
  readonly notes: number
  readonly notesMax: number
}

interface Exports {
  scan(from: number, end: number, limit: number, row: number, rowsEnd: number): number
  copy(to: number, from: number, bytes: number): void
  write(order: number, orderEnd: number, to: number): number
}

export class EventsAtOnce {
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
  // Of each event that was decided about.
  readonly #lineEnds = new Int32Array(ROWS_MAX)
  readonly #numbers = new Uint8Array(ROWS_MAX)
  readonly #places = new Float64Array(ROWS_MAX)
  readonly #sourceBytes = new Int32Array(ROWS_MAX)
  // By number of stream.
  readonly #next = new Int32Array(DROPPED)
  readonly #sizes = new Int32Array(DROPPED)

  /** In the memory of the rows, which it takes turns with. */
  constructor({ memory, base, stage, stageBytes, notes, notesMax }: SharedMemory, verbs: readonly string[]) {
    this.#functions = instantiate(EVENTS_WASM, { rows: { memory }, place: { base } }) as Exports
    this.#memory = Buffer.from(memory.buffer)
    this.#view = new DataView(memory.buffer)
    const { copy } = this.#functions
    this.#bench = { memory: this.#memory, at: 0, end: base + CHANGED + CHANGED_BYTES, copy }
    this.#base = base
    this.#rows = new Int32Array(memory.buffer, base + ROWS, (ROWS_MAX * ROW_BYTES) / 4)
    this.#order = new Int32Array(memory.buffer, base + ORDER, ROWS_MAX)
    this.#out = stage
    this.#outBytes = stageBytes
    this.#notes = new Float64Array(memory.buffer, notes, 2 * notesMax)
    for (const [index, text] of TEXTS.entries()) {
      const at = base + index * CONSTANT_BYTES
      this.#memory.write(text, at, 'latin1')
      this.#memory.fill(0xff, at + 16, at + 16 + text.length)
    }
    for (const [index, verb] of verbs.entries())
      this.#memory.write(verb.slice(0, 8), base + VERBS + 8 * index, 'latin1')
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
    const bytesMax = Math.min(room.bytesLeft[0] - overheadBytes, this.#outBytes - overheadBytes)
    const decided = this.#decide(events, found, streams, lane, bytesMax)
    if (decided === 0) return true
    this.#write(events, room.parts[0], decided, streams)
    events.from = this.#lineEnds[decided - 1]! + 1 - offset
    return true
  }

  /** Finds the facts of as many events as it can; returns how many they are. */
  #find(from: number, end: number, room: Room): number {
    // An entry is longer than its line, so what lies behind this does not fit.
    const until = Math.min(end, from + room.bytesLeft[0])
    const first = this.#base + ROWS
    const rowsEnd = first + ROW_BYTES * Math.max(0, Math.min(ROWS_MAX, room.recordsLeft))
    if (from >= until) return 0
    const { scan } = this.#functions
    scan(from, until, end, first, rowsEnd)
    if (this.#get(ROWS_END) === first) {
      const time = this.#get(OTHER_TIME)
      if (time === 0 || !this.#noteDay(time)) return 0
      scan(from, until, end, first, rowsEnd)
    }
    return (this.#get(ROWS_END) - first) / ROW_BYTES
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
  #write({ lines }: EventRows, part: Part, decided: number, streams: AuditStreams): void {
    if (lines === 0) return
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
    for (let i = 0; i < decided; i++) {
      const number = numbers[i]!
      if (number === DROPPED) continue
      next[number]!++
      sizes[number]! += rows[i * ROW + ENTRY_BYTES]!
    }
    let record = 0
    let start = part.end
    for (let number = 0; number < DROPPED; number++) {
      const count = next[number]!
      if (count === 0) continue
      streams.noteRun(0, number, part.count + record, start)
      next[number] = record
      record += count
      start += sizes[number]!
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
    const end = this.#functions.write(this.#base + ORDER, this.#base + ORDER + 4 * lines, this.#out)
    part.append(this.#memory.subarray(this.#out, end), notes.subarray(0, 2 * lines), sourceBytes)
  }

  /** Notes the day of the time at `at`; false when it is none of the usual form. */
  #noteDay(at: number): boolean {
    const memory = this.#memory
    if (memory[at + TIME_BYTES] !== 0x22 || memory[at + TIME_BYTES - 1] !== 0x5a) return false
    if (!parseTimestamp(memory, at, at + TIME_BYTES + 1) || timestamp.end !== at + TIME_BYTES) return false
    const day = Math.floor(timestamp.seconds / DAY) * DAY
    if (day + DAY >= INT_MAX) return false
    memory.copy(memory, this.#base + DAY_TEXT, at, at + DAY_BYTES)
    this.#view.setInt32(this.#base + DAY_SECONDS, day, true)
    return true
  }

  #get(place: number): number {
    return this.#view.getInt32(this.#base + place, true)
  }
}
