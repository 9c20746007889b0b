// Rows at once: the rows that nearly all are go from the block to Loki's entries in one call of a WebAssembly function
// (rows.wat), with 128-bit words for the newline and the copy. 30 ns a row instead of 230: the difference between 1.45 and
// less than 1.3 times the CPU of an agent that only reads, compresses and sends. What it takes it takes exactly as
// parse/cri.ts, parse/timestamp.ts, parse/timeline.ts and wire.ts do; any other row it leaves to them.
// Invariant: between two calls nothing lives in the function's memory but the block and the text of the last second.

import type { Part } from '../../batch/part.ts'
import type { Room } from '../../batch/target.ts'
import { instantiate } from '../../core/wasm.ts'
import { parseTimestamp, timestamp } from '../../parse/timestamp.ts'
import type { CriRows } from '../../tail/writer.ts'
import { clamp, EVENTS_BYTES, INT_MAX, type SharedMemory } from './events-layout.ts'
import { ROWS_WASM } from './rows-wasm.ts'
import { SNAPPY_BYTES } from './snappy.ts'
import type { Metadata } from './wire.ts'

/** Longer messages, and metadata beyond this, are left to the others. */
const MESSAGE_BYTES_MAX = 8192
const METADATA_BYTES_MAX = 1024
/** Entries and notes of one call, by source stream. */
const STAGE_BYTES = 768 * 1024
const NOTES_MAX = 8192
/** What the function may touch behind the last row, and behind the last entry. */
const BLOCK_SLACK = 64
const ENTRY_BYTES_MAX = MESSAGE_BYTES_MAX + METADATA_BYTES_MAX + 64

// Where things lie in the function's memory. Numbers are of 32 bits.
const SECOND_TEXT = 0
const SECOND_BYTES = 19
const SECONDS = 20
const ZONE_TEXT = 24
const ZONE_BYTES = 6
const ZONE_SECONDS = 32
const SECONDS_MIN = 36
const SECONDS_MAX = 40
const LINE_BYTES_MAX = 44
const TOGETHER = 48
const RECORDS_LEFT = 52
const METADATA_LENGTH = 60
/** One for each source stream. */
const STREAM = [64, 128] as const
const END = 0
const END_MAX = 4
const BYTES_LEFT = 8
const EMITTED_SECONDS = 16
const EMITTED_NANOS = 20
const OWN_SECONDS = 24
const OWN_NANOS = 28
const OLDEST = 32
const NEWEST = 36
const NOTES_END = 40
const SOURCE_BYTES = 44
const ROW_SECONDS = 192
const ROW_NANOS = 196
/** A float of 64 bits: what added to an address in the block gives the offset in the file. */
const BASE = 200
const METADATA = 256
const BLOCK = METADATA + METADATA_BYTES_MAX + 64

const PAGE_BYTES = 65_536

/** Seconds of the oldest and the newest entry that were made of a stream's rows. */
export interface Span {
  oldest: number
  newest: number
}

interface Exports {
  memory: SharedMemory['memory'] & { grow(pages: number): number }
  rows(from: number, end: number): number
}

export class RowsAtOnce {
  /** Blocks are read into it: rows are taken from here alone. */
  readonly block: Buffer
  /** For those that take turns with it. */
  readonly shared: SharedMemory
  readonly #memory: Buffer
  readonly #view: DataView
  readonly #run: (from: number, end: number) => number
  readonly #stages: readonly [number, number]
  readonly #notes: readonly [number, number]

  constructor(blockBytes: number) {
    const { memory, rows } = instantiate(ROWS_WASM) as Exports
    const stage = Math.ceil((BLOCK + blockBytes + BLOCK_SLACK) / 8) * 8
    const notes = stage + 2 * STAGE_BYTES
    const base = notes + 2 * NOTES_MAX * 16
    const snappy = Math.ceil((base + EVENTS_BYTES) / 64) * 64
    const bytes = snappy + SNAPPY_BYTES
    memory.grow(Math.ceil(bytes / PAGE_BYTES) - 1)
    this.#memory = Buffer.from(memory.buffer)
    this.#view = new DataView(memory.buffer)
    this.#run = rows
    this.#stages = [stage, stage + STAGE_BYTES]
    this.#notes = [notes, notes + NOTES_MAX * 16]
    const events = { base, stage, stageBytes: 2 * STAGE_BYTES, notes, notesMax: 2 * NOTES_MAX }
    this.shared = { memory, ...events, snappy, ids: null }
    this.block = this.#memory.subarray(BLOCK, BLOCK + blockBytes)
  }

  /**
   * Takes rows as EntryWriter.writeRows says, encoded with `metadata`, of which an entry may have `overheadBytes` more than
   * its message. Returns the span of the entries by source stream; null when the rows cannot be taken at once.
   */
  take(rows: CriRows, room: Room, metadata: Metadata, overheadBytes: number): [Span, Span] | null {
    const { timeline } = rows
    const isUsual =
      rows.block.buffer === this.#memory.buffer &&
      metadata.length <= METADATA_BYTES_MAX &&
      timeline.last.every((last) => last.emittedSeconds < INT_MAX && last.ownSeconds < INT_MAX)
    if (!isUsual) return null
    const notesLeft = Math.max(0, Math.min(room.recordsLeft, NOTES_MAX))
    this.#prepare(rows, room, metadata, overheadBytes, notesLeft)
    const offset = rows.block.byteOffset
    const end = offset + rows.end
    let at = offset + rows.from
    // It stops where another second begins; that is noted, and it goes on.
    while (at < end && this.#noteSecond(at, end)) {
      const from = at
      at = this.#run(at, end)
      if (at === from || this.#isSameSecond(at)) break
    }
    rows.lines = notesLeft - this.#get(RECORDS_LEFT)
    if (rows.lines > 0) this.#settle(rows, room)
    rows.from = at - offset
    return [this.#span(0), this.#span(1)]
  }

  #prepare(rows: CriRows, room: Room, metadata: Metadata, overheadBytes: number, notesLeft: number): void {
    this.#set(SECONDS_MIN, clamp(Math.ceil(rows.secondsMin)))
    this.#set(SECONDS_MAX, Math.min(clamp(Math.floor(rows.secondsMax)), INT_MAX - 1))
    this.#set(LINE_BYTES_MAX, Math.min(rows.lineBytesMax, MESSAGE_BYTES_MAX))
    this.#set(TOGETHER, room.together ? 1 : 0)
    this.#set(RECORDS_LEFT, notesLeft)
    this.#set(METADATA_LENGTH, metadata.length)
    this.#memory.set(new Uint8Array(metadata.words.buffer), METADATA)
    this.#view.setFloat64(BASE, rows.base - rows.block.byteOffset, true)
    for (const stream of [0, 1] as const) {
      const at = STREAM[stream]
      const last = rows.timeline.last[stream]
      this.#set(at + END, this.#stages[stream])
      this.#set(at + END_MAX, room.begun[stream] ? this.#stages[stream] + STAGE_BYTES - ENTRY_BYTES_MAX : 0)
      this.#set(at + BYTES_LEFT, clamp(room.bytesLeft[stream] - overheadBytes))
      this.#set(at + EMITTED_SECONDS, last.emittedSeconds)
      this.#set(at + EMITTED_NANOS, last.emittedNanos)
      this.#set(at + OWN_SECONDS, last.ownSeconds)
      this.#set(at + OWN_NANOS, last.ownNanos)
      this.#set(at + OLDEST, INT_MAX)
      this.#set(at + NEWEST, -1)
      this.#set(at + NOTES_END, this.#notes[stream])
      this.#set(at + SOURCE_BYTES, 0)
    }
  }

  /** Moves what was made to the parts, and the time rule on. */
  #settle(rows: CriRows, { parts }: Room): void {
    const { timeline } = rows
    timeline.row(this.#get(ROW_SECONDS), this.#get(ROW_NANOS))
    for (const stream of [0, 1] as const) {
      const at = STREAM[stream]
      const last = timeline.last[stream]
      last.emittedSeconds = this.#get(at + EMITTED_SECONDS)
      last.emittedNanos = this.#get(at + EMITTED_NANOS)
      last.ownSeconds = this.#get(at + OWN_SECONDS)
      last.ownNanos = this.#get(at + OWN_NANOS)
      const end = this.#get(at + END)
      if (end > this.#stages[stream]) this.#move(parts[stream], stream, end)
    }
  }

  #move(part: Part, stream: 0 | 1, end: number): void {
    const notesBytes = this.#get(STREAM[stream] + NOTES_END) - this.#notes[stream]
    const notes = new Float64Array(this.#memory.buffer, this.#notes[stream], notesBytes / 8)
    part.append(this.#memory.subarray(this.#stages[stream], end), notes, this.#get(STREAM[stream] + SOURCE_BYTES))
  }

  #isSameSecond(at: number): boolean {
    return this.#memory.compare(this.#memory, SECOND_TEXT, SECOND_TEXT + SECOND_BYTES, at, at + SECOND_BYTES) === 0
  }

  /** Notes the second, and the zone, of the row at `at`; false when they cannot be. */
  #noteSecond(at: number, end: number): boolean {
    if (this.#isSameSecond(at) && this.#get(SECONDS) > 0) return true
    const memory = this.#memory
    if (!parseTimestamp(memory, at, end)) return false
    const zone = timestamp.end - ZONE_BYTES
    const isOffset = memory[timestamp.end - 1] !== 0x5a
    let zoneSeconds = 0
    memory.fill(0, ZONE_TEXT, ZONE_TEXT + ZONE_BYTES)
    if (isOffset) {
      memory.copy(memory, ZONE_TEXT, zone, timestamp.end)
      const minutes =
        60 * Number(memory.toString('latin1', zone + 1, zone + 3)) +
        Number(memory.toString('latin1', zone + 4, zone + 6))
      zoneSeconds = (memory[zone] === 0x2b ? 60 : -60) * minutes
    }
    const seconds = timestamp.seconds + zoneSeconds
    if (seconds >= INT_MAX) return false
    memory.copy(memory, SECOND_TEXT, at, at + SECOND_BYTES)
    this.#set(SECONDS, seconds)
    this.#set(ZONE_SECONDS, zoneSeconds)
    return true
  }

  #span(stream: 0 | 1): Span {
    return { oldest: this.#get(STREAM[stream] + OLDEST), newest: this.#get(STREAM[stream] + NEWEST) }
  }

  #get(address: number): number {
    return this.#view.getInt32(address, true)
  }

  #set(address: number, value: number): void {
    this.#view.setInt32(address, value, true)
  }
}

/** Null where there is no WebAssembly, or no address space for its memory: then rows are taken one by one. */
export function createRowsAtOnce(blockBytes: number): RowsAtOnce | null {
  try {
    return new RowsAtOnce(blockBytes)
  } catch (error) {
    if (error instanceof RangeError || error instanceof ReferenceError) return null
    throw error
  }
}
