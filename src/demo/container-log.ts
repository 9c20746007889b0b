// A container's log as its runtime writes it: rows of the CRI format, long lines in chunks (cut inside characters),
// rows of several lines with one time, writes that end in the middle of a row, a P whose F comes later, perhaps in the
// next file. What was written is counted by a Writer, which outlives files, restarts and pods.
// Formats as measured: containerd 16,384 bytes a chunk, UTC as Z, zeros trimmed; conmon 8,192 bytes, +00:00.
import { closeSync, openSync, writeSync } from 'node:fs'
import { STDERR, STDOUT } from '../core/entry.ts'
import { EQUAL_LINE, type Message } from './messages.ts'
import { sampleLine, sampleTextLine } from './sample-line.ts'
import type { Runtime } from './workload.ts'

/** What was written under one name, over all files. */
export interface Writer {
  name: string
  /** Lines with a number: 1 to this. */
  lastSequence: number
  equalLines: number
  rows: number
  bytes: number
}

export const newWriter = (name: string): Writer => ({ name, lastSequence: 0, equalLines: 0, rows: 0, bytes: 0 })

const ROW_HEAD_BYTES_MAX = 64
/** Every so many writes the last row is torn in two, the second part coming with the next write. */
const TORN_EVERY = 16
/** Rows of conmon that share a time, as lines of one read do. */
const SAME_TIME_ROWS = 4

/** Rows of the write under way. One for all containers: writes are synchronous. */
const out = Buffer.allocUnsafeSlow(256 * 1024)
let outEnd = 0

let secondsText = { seconds: 0, text: '' }

export class ContainerLog {
  /** Bytes in the current file. */
  bytes = 0
  readonly #writer: Writer
  readonly #runtime: Runtime
  readonly #messages: readonly Message[]
  #fd: number
  #next = 0
  #writes = 0
  /** Ends the row that the last write tore; nothing else may come before it, and no other file. */
  #torn: Buffer | null = null
  /** The last chunk of a long line, held back for one write. */
  #lastChunk: { stream: number; bytes: Buffer } | null = null
  #ms = 0
  #nanos = 0
  #sameTimeLeft = 0

  constructor(path: string, writer: Writer, runtime: Runtime, messages: readonly Message[]) {
    this.#writer = writer
    this.#runtime = runtime
    this.#messages = messages
    this.#fd = openSync(path, 'a', 0o640)
  }

  /** Writes about `count` lines: fewer when a long one is among them, whose last chunk is left for the next call. Gives their number. */
  write(count: number, nowMs: number): number {
    this.#begin(nowMs)
    let written = 0
    while (written < count && this.#lastChunk === null) {
      this.#say(this.#nextMessage())
      written++
    }
    if (this.#lastChunk !== null) {
      // The other stream goes on in between.
      const stream = this.#lastChunk.stream === STDOUT ? STDERR : STDOUT
      this.#say({ stream, content: 60 })
      written++
    }
    this.#end(++this.#writes % TORN_EVERY === 0)
    return written
  }

  /** Goes on in a new file, as a runtime does when it is told that the old one was renamed. */
  reopen(path: string): void {
    this.#flushTorn()
    closeSync(this.#fd)
    this.#fd = openSync(path, 'a', 0o640)
    this.bytes = 0
  }

  /** Ends the file. `cutShort`: the container says one more line and dies before its newline. */
  close(nowMs: number, cutShort: boolean): void {
    this.#begin(nowMs)
    if (cutShort) {
      const line = sampleLine(this.#writer.name, ++this.#writer.lastSequence, 90)
      this.#row(STDOUT, 'P', line, 0, line.length)
    }
    this.#end(false)
    closeSync(this.#fd)
  }

  #nextMessage(): Message {
    const message = this.#messages[this.#next] as Message
    this.#next = (this.#next + 1) % this.#messages.length
    return message
  }

  #say({ stream, content }: Message): void {
    if (content === 'equal') {
      this.#writer.equalLines++
      this.#row(stream, 'F', EQUAL_LINE, 0, EQUAL_LINE.length)
      return
    }
    const { name } = this.#writer
    const sequence = ++this.#writer.lastSequence
    const line =
      typeof content === 'number' ? sampleLine(name, sequence, content) : sampleTextLine(name, sequence, content)
    const chunkBytes = this.#runtime === 'containerd' ? 16_384 : 8192
    // conmon ends a line that fills its last chunk with an empty one, containerd does not.
    const wholeBytes = this.#runtime === 'containerd' ? line.length - 1 : line.length
    const chunks = Math.floor(wholeBytes / chunkBytes)
    for (let i = 0; i < chunks; i++) this.#row(stream, 'P', line, i * chunkBytes, (i + 1) * chunkBytes)
    if (chunks > 0) this.#lastChunk = { stream, bytes: line.subarray(chunks * chunkBytes) }
    else this.#row(stream, 'F', line, 0, line.length)
  }

  #begin(nowMs: number): void {
    if (nowMs > this.#ms) {
      this.#ms = nowMs
      this.#nanos = 0
      this.#sameTimeLeft = 0
    }
    this.#flushTorn()
    const last = this.#lastChunk
    this.#lastChunk = null
    if (last !== null) this.#row(last.stream, 'F', last.bytes, 0, last.bytes.length)
  }

  #end(torn: boolean): void {
    if (torn && outEnd > 2) {
      const keep = outEnd - Math.min(outEnd - 1, 40)
      this.#torn = Buffer.from(out.subarray(keep, outEnd))
      outEnd = keep
    }
    this.#flush()
  }

  #flushTorn(): void {
    const torn = this.#torn
    if (torn === null) return
    this.#torn = null
    writeAll(this.#fd, torn, torn.length)
    this.bytes += torn.length
    this.#writer.bytes += torn.length
  }

  #flush(): void {
    writeAll(this.#fd, out, outEnd)
    this.bytes += outEnd
    this.#writer.bytes += outEnd
    outEnd = 0
  }

  #row(stream: number, tag: 'P' | 'F', line: Buffer, start: number, end: number): void {
    if (outEnd + ROW_HEAD_BYTES_MAX + end - start > out.length) this.#flush()
    outEnd += out.write(`${this.#time()} ${stream === STDOUT ? 'stdout' : 'stderr'} ${tag} `, outEnd, 'latin1')
    outEnd += line.copy(out, outEnd, start, end)
    out[outEnd++] = 10
    this.#writer.rows++
  }

  /** The time of a row, never earlier than the one before. */
  #time(): string {
    const containerd = this.#runtime === 'containerd'
    if (containerd || this.#sameTimeLeft === 0) {
      this.#sameTimeLeft = SAME_TIME_ROWS
      this.#nanos += containerd ? 1_310 : 8_317
      if (this.#nanos >= 1_000_000) {
        this.#ms++
        this.#nanos -= 1_000_000
      }
    }
    this.#sameTimeLeft--
    const seconds = Math.floor(this.#ms / 1000)
    if (secondsText.seconds !== seconds) {
      secondsText = { seconds, text: new Date(seconds * 1000).toISOString().slice(0, 19) }
    }
    const fraction = String((this.#ms % 1000) * 1_000_000 + this.#nanos).padStart(9, '0')
    if (!containerd) return `${secondsText.text}.${fraction}+00:00`
    return `${secondsText.text}.${fraction.replace(/0+$/, '')}Z`
  }
}

function writeAll(fd: number, bytes: Buffer, length: number): void {
  for (let done = 0; done < length; ) done += writeSync(fd, bytes, done, length - done)
}
