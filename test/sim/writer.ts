// Who writes a log: a container's runtime (CRI rows, or Docker's), or a program of its own (plain lines). It says in
// every line which it is, and tells the truth about each as soon as its last byte is in the file. One write of a runtime
// is one row or several whole ones; now and then a row is there in half first.
import type { Draw } from './draw.ts'
import type { Faults } from './faults.ts'
import type { SimClock } from './sim-clock.ts'
import type { Inode, SimDisk } from './sim-disk.ts'
import { type Content, isDestroyed, type Row, type Truth, type TruthLog } from './truth.ts'

export interface WriterDeps {
  clock: SimClock
  disk: SimDisk
  truth: Truth
  draw: Draw
  faults: Faults
}

export type Format = 'containerd' | 'conmon' | 'docker' | 'plain'

/** A line that is being written. */
interface Open {
  seq: number
  text: Buffer
  /** Bytes written. */
  done: number
  poison: boolean
  timeNs: bigint | null
  rows: Row[]
}

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789 ABCDEFGHIJKLMNOPQRSTUVWXYZ'
/** Lines with this in them are what a store can never take. */
export const POISON = 'POISON'
const POISON_SHARE = 0.01
/** The same at the head of every file: more than the head that a file is known by. */
const EQUAL_HEAD_BYTES = 1100

export class Writer {
  readonly log: TruthLog
  readonly #deps: WriterDeps
  readonly #format: Format
  readonly #chunkBytes: number
  readonly #open: [Open | null, Open | null] = [null, null]
  #inode: Inode
  #content: Content
  #torn: (() => void) | null = null

  constructor(log: TruthLog, inode: Inode, format: Format, deps: WriterDeps) {
    this.log = log
    this.#deps = deps
    this.#format = format
    this.#chunkBytes = deps.draw.pick([100, 300, 1000, 8192])
    this.#inode = inode
    this.#content = this.#begin(inode)
  }

  /** From now on everything goes to another file. */
  reopen(inode: Inode): void {
    this.whole()
    this.#inode = inode
    this.#content = this.#begin(inode)
  }

  /** The file that it writes to was cut to nothing. */
  emptied(): void {
    this.#deps.truth.drop(this.#inode)
    this.#content = this.#begin(this.#inode)
  }

  /** Writes a few rows. */
  burst(): void {
    this.whole()
    const { clock, draw, faults } = this.#deps
    const atNs = BigInt(clock.now()) * 1_000_000n
    const isOneTime = faults.on.has('equalTimes')
    const rows = draw.int(1, faults.burstLinesMax)
    for (let i = 0; i < rows; i++) {
      const timeNs = isOneTime ? atNs : atNs + BigInt(i * 1000 + draw.int(0, 900))
      const stream = this.#format === 'plain' || draw.chance(0.7) ? 0 : 1
      this.#row(stream, timeNs, i === rows - 1 && faults.on.has('tornWrites') && draw.chance(0.3))
    }
  }

  /** Ends what is half written. */
  whole(): void {
    this.#torn?.()
    this.#torn = null
  }

  /** A line on each stream, of which nothing is wrong. */
  heartbeat(): void {
    this.#line(0, 'heartbeat')
    if (this.#format !== 'plain') this.#line(1, 'heartbeat')
  }

  /** Brings every open line to its end; where that is destroyed, and nobody can tell it but by the next line, writes that one. */
  finish(): void {
    this.whole()
    const { log } = this
    const timeNs = BigInt(this.#deps.clock.now()) * 1_000_000n
    for (const stream of [0, 1] as const) {
      while (this.#open[stream] !== null) this.#row(stream, timeNs, false)
      const last = log.byNumber.get(2 * (log.seqs[stream] - 1) + stream)?.rows.at(-1)
      if (last !== undefined && isDestroyed(last)) this.#line(stream, 'heartbeat')
    }
  }

  /** The program dies: what is open stays as it is, and is a line for all that. */
  die(): void {
    this.whole()
    for (const [stream, open] of this.#open.entries()) {
      if (open === null) continue
      open.text = open.text.subarray(0, open.done)
      this.#complete(stream as 0 | 1, open)
    }
  }

  #begin(inode: Inode): Content {
    const { truth, faults } = this.#deps
    const content = truth.newContent(this.log, inode)
    this.#content = content
    this.#inode = inode
    if (faults.on.has('equalHeads') && this.#format === 'plain') {
      // The banner that a program begins each of its files with: the same words, and the same line for its number.
      this.#line(0, `banner ${'='.repeat(EQUAL_HEAD_BYTES)}`)
    }
    return content
  }

  /** A line of its own, whole. */
  #line(stream: 0 | 1, message: string): void {
    const timeNs = BigInt(this.#deps.clock.now()) * 1_000_000n
    const seq = this.log.seqs[stream]++
    const text = Buffer.from(`${message} ${this.log.id}.${stream === 0 ? 'o' : 'e'}.${seq}`)
    const own = this.#format === 'plain' ? null : timeNs
    const open: Open = { seq, text, done: text.length, poison: false, timeNs: own, rows: [] }
    this.#append(this.#rowOf(stream, timeNs, true, text), false, () => {
      this.#noteRow(open)
      this.#complete(stream, open)
    })
  }

  /** One row: a piece of the stream's open line, or of a new one. */
  #row(stream: 0 | 1, timeNs: bigint, isTorn: boolean): void {
    const open = (this.#open[stream] ??= this.#newLine(stream, timeNs))
    const isPieces = this.#format !== 'plain' && this.#deps.faults.on.has('pieces')
    const end = isPieces ? Math.min(open.text.length, open.done + this.#chunkBytes) : open.text.length
    const isLast = end === open.text.length
    const piece = open.text.subarray(open.done, end)
    open.done = end
    this.#append(this.#rowOf(stream, timeNs, isLast, piece), isTorn, () => {
      this.#noteRow(open)
      if (isLast) this.#complete(stream, open)
    })
  }

  #append(row: Buffer, isTorn: boolean, done: () => void): void {
    const { disk, draw } = this.#deps
    const inode = this.#inode
    const half = isTorn ? draw.int(1, row.length - 1) : row.length
    disk.append(inode, row.subarray(0, half))
    if (half === row.length) done()
    else {
      this.#torn = () => {
        disk.append(inode, row.subarray(half))
        done()
      }
    }
  }

  #newLine(stream: 0 | 1, timeNs: bigint): Open {
    const { draw, faults, truth } = this.#deps
    const seq = this.log.seqs[stream]++
    const usual = draw.chance(0.1) ? draw.scale(200, 3000) : draw.scale(10, 200)
    const bytes = faults.on.has('longLines') && draw.chance(0.03) ? draw.int(1, 3) * faults.lineBytesMax : usual
    const poison = faults.on.has('poison') && truth.poisonLeft > 0 && draw.chance(POISON_SHARE)
    if (poison) truth.poisonLeft--
    const head = `${this.log.id}.${stream === 0 ? 'o' : 'e'}.${seq} ${poison ? `${POISON} ` : ''}`
    let text = head
    while (text.length < bytes) text += ALPHABET.charAt(draw.int(0, ALPHABET.length - 1))
    // Characters of several bytes, that pieces cut through.
    if (this.#format !== 'docker' && draw.chance(0.1)) text += 'é€𝄞'.repeat(draw.int(1, 30))
    return {
      seq,
      text: Buffer.from(text),
      done: 0,
      poison,
      timeNs: this.#format === 'plain' ? null : timeNs,
      rows: [],
    }
  }

  #noteRow(open: Open): void {
    open.rows.push(this.#deps.truth.row(this.#content, this.#inode.size, open.done))
  }

  #complete(stream: 0 | 1, { seq, text, poison, timeNs, rows }: Open): void {
    this.#open[stream] = null
    const { truth, clock } = this.#deps
    const content = this.#content
    const place = { content, end: this.#inode.size, rows, writtenAt: clock.monotonic() }
    truth.add({ log: this.log, stream, seq, text, poison, timeNs, ...place })
  }

  #rowOf(stream: 0 | 1, timeNs: bigint, isLast: boolean, piece: Buffer): Buffer {
    if (this.#format === 'plain') return Buffer.concat([piece, NEWLINE])
    const name = stream === 0 ? 'stdout' : 'stderr'
    const iso = new Date(Number(timeNs / 1_000_000n)).toISOString().slice(0, 19)
    const fraction = (timeNs % 1_000_000_000n).toString().padStart(9, '0')
    if (this.#format === 'docker') {
      const log = `${piece}${isLast ? '\n' : ''}`
      return Buffer.from(`${JSON.stringify({ log, stream: name, time: `${iso}.${fraction}Z` })}\n`)
    }
    const time =
      this.#format === 'conmon' ? `${iso}.${fraction}+00:00` : `${iso}.${fraction.replace(/0+$/, '') || '0'}Z`
    return Buffer.concat([Buffer.from(`${time} ${name} ${isLast ? 'F' : 'P'} `), piece, NEWLINE])
  }
}

const NEWLINE = Buffer.from('\n')
