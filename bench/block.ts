// A block of CRI rows whose times and numbers are set in place: the text is made once, and a GiB of distinct lines is
// written by going over it again and again. containerd's form: `TIME stdout|stderr P|F MESSAGE\n`, the time in UTC with
// Z and without trailing zeros. A row's length never changes, so the count of its fraction's digits is fixed too.

import { makeMessage, makePacedMessage } from './messages.ts'
import type { Random } from './random.ts'
import { SEQUENCE_PLACE } from './writer-line.ts'

/** containerd cuts a line into pieces of this size. */
const PIECE_BYTES = 16_384

/** What a row is of its line. */
export const WHOLE = 0
export const FIRST_PIECE = 1
export const LAST_PIECE = 2

interface Row {
  bytes: Buffer
  stream: number
  piece: number
  digits: number
  messageAt: number
  sequenceAt: number
}

export class Block {
  readonly bytes: Buffer
  readonly rows: number
  /** Offsets of the rows in `bytes`, and behind the last one the length. */
  readonly starts: Int32Array
  readonly messages: Int32Array
  /** 0 stdout, 1 stderr. */
  readonly streams: Uint8Array
  readonly pieces: Uint8Array
  readonly digits: Uint8Array
  /** Offset of the number's ten digits; -1 in a row without. */
  readonly sequences: Int32Array

  constructor(rows: readonly Row[]) {
    this.bytes = Buffer.concat(rows.map((row) => row.bytes))
    this.rows = rows.length
    this.starts = new Int32Array(rows.length + 1)
    this.messages = new Int32Array(rows.length)
    this.streams = Uint8Array.from(rows, (row) => row.stream)
    this.pieces = Uint8Array.from(rows, (row) => row.piece)
    this.digits = Uint8Array.from(rows, (row) => row.digits)
    this.sequences = new Int32Array(rows.length)
    let at = 0
    for (const [index, row] of rows.entries()) {
      this.starts[index] = at
      this.messages[index] = at + row.messageAt
      this.sequences[index] = row.sequenceAt < 0 ? -1 : at + row.sequenceAt
      at += row.bytes.length
    }
    this.starts[rows.length] = at
  }
}

export interface BlockShape {
  writer: number
  blockBytes: number
  /** Median length of a row with its time and newline, and the spread (0: all alike). */
  rowBytes: number
  sigma: number
  stderrShare: number
  /** Whether one line is longer than a piece, with a row of stderr between its two pieces. */
  longLine: boolean
  /** Whether the messages have the paced writer's head. */
  paced: boolean
}

export function makeBlock(random: Random, shape: BlockShape): Block {
  const rows: Row[] = []
  let bytes = 0
  let longLineDue = shape.longLine
  while (bytes < shape.blockBytes) {
    const before = rows.length
    if (longLineDue && bytes > shape.blockBytes / 2) {
      rows.push(...makeLongLine(random, shape))
      longLineDue = false
    } else {
      rows.push(makeRow(random, shape, random.next() < shape.stderrShare ? 1 : 0))
    }
    for (const row of rows.slice(before)) bytes += row.bytes.length
  }
  return new Block(rows)
}

function makeRow(random: Random, shape: BlockShape, stream: number): Row {
  const digits = drawDigits(random)
  const rowBytes = shape.sigma === 0 ? shape.rowBytes : Math.round(random.logNormal(shape.rowBytes, shape.sigma))
  const make = shape.paced ? makePacedMessage : makeMessage
  const message = make(random, shape.writer, rowBytes - headBytes(digits) - 1)
  return assemble(stream, WHOLE, digits, message)
}

function makeLongLine(random: Random, shape: BlockShape): Row[] {
  const message = makeMessage(random, shape.writer, PIECE_BYTES + 4000)
  // Cut where the runtime cuts, which may be inside a character: only the joined line is text again.
  return [
    assemble(0, FIRST_PIECE, drawDigits(random), message.subarray(0, PIECE_BYTES)),
    makeRow(random, shape, 1),
    assemble(0, LAST_PIECE, drawDigits(random), message.subarray(PIECE_BYTES)),
  ]
}

function assemble(stream: number, piece: number, digits: number, message: Buffer): Row {
  const head = `${'0'.repeat(20 + digits)}Z ${stream === 0 ? 'stdout' : 'stderr'} ${piece === FIRST_PIECE ? 'P' : 'F'} `
  const bytes = Buffer.concat([Buffer.from(head), message, Buffer.from('\n')])
  return { bytes, stream, piece, digits, messageAt: head.length, sequenceAt: bytes.indexOf(SEQUENCE_PLACE) }
}

const headBytes = (digits: number) => 20 + digits + 'Z stdout F '.length

/** Nine digits in nine of ten rows, as the last digit of a clock has it. */
function drawDigits(random: Random): number {
  const value = random.next()
  if (value > 0.1) return 9
  return value > 0.01 ? 8 : value > 0.001 ? 7 : 6
}

/** A time that only ascends, and its text in a row. */
export class RowClock {
  seconds = 0
  nanos = 0
  #prefix = Buffer.alloc(20)
  #prefixSeconds = -1

  set(seconds: number, nanos: number): void {
    this.seconds = seconds
    this.nanos = nanos
  }

  /** Sets the clock to a wall time, forward only: rows that share a millisecond move on by `advance`. */
  catchUp(wallMs: number): void {
    const seconds = Math.floor(wallMs / 1000)
    const nanos = (wallMs % 1000) * 1e6
    if (seconds > this.seconds || (seconds === this.seconds && nanos > this.nanos)) this.set(seconds, nanos)
  }

  advance(nanos: number): void {
    this.nanos += Math.floor(nanos)
    while (this.nanos >= 1e9) {
      this.nanos -= 1e9
      this.seconds += 1
    }
  }

  /** Moves on to the next time of exactly `digits` digits and writes it at `at`. */
  write(target: Buffer, at: number, digits: number): void {
    const unit = 10 ** (9 - digits)
    let ticks = Math.ceil(this.nanos / unit)
    if (ticks % 10 === 0) ticks += 1
    if (ticks * unit >= 1e9) ticks = 10 ** digits - 1
    this.nanos = ticks * unit
    if (this.#prefixSeconds !== this.seconds) {
      this.#prefix.write(new Date(this.seconds * 1000).toISOString().slice(0, 20), 'latin1')
      this.#prefixSeconds = this.seconds
    }
    this.#prefix.copy(target, at)
    writeDigits(target, at + 20, digits, ticks)
  }
}

/** `value` (below 2^31) in exactly `width` digits. */
export function writeDigits(target: Buffer, at: number, width: number, value: number): void {
  let rest = value | 0
  for (let index = at + width - 1; index >= at; index--) {
    const next = (rest / 10) | 0
    target[index] = 48 + rest - next * 10
    rest = next
  }
}
