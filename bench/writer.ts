// The containers of the paced cases: a process of its own that appends whole rows to the files of a tree at a steady
// pace, one write per row, round robin, so that every row is an event of its own to whoever watches. Each row carries
// the time of its write. Speaks with its parent over IPC only; ends with it.

import { closeSync, openSync, writeSync } from 'node:fs'
import { type Block, makeBlock, RowClock, writeDigits } from './block.ts'
import { nowMicros } from './clock.ts'
import type { LogFile } from './corpus.ts'
import { Random } from './random.ts'
import { addMessage, crcOf, newWritten, tallyKey, type WrittenTally } from './tally.ts'
import { WRITE_TIME_AT, writeTimeDigits } from './writer-line.ts'

const TICK_MS = 10
/** Rows of text that are made once per file and then written in turn. */
const BLOCK_BYTES = 8 * 1024

export interface WriterJob {
  files: LogFile[]
  rowsPerSecond: number
  /** Length of every row with its time and newline. */
  rowBytes: number
  seed: number
}

export interface WriterReport {
  rows: number
  bytes: number
  tally: WrittenTally
  /** The longest time by which a tick came too late. */
  lateMsMax: number
}

interface Target {
  file: LogFile
  fd: number
  block: Block
  row: number
  sequence: number
  clock: RowClock
}

class PacedWriter {
  #job: WriterJob
  #targets: Target[]
  #tally: WrittenTally = {}
  #rows = 0
  #bytes = 0
  #lateMsMax = 0
  #startMicros = nowMicros()
  #lastTickMicros = this.#startMicros
  #timer: NodeJS.Timeout

  constructor(job: WriterJob) {
    this.#job = job
    this.#targets = job.files.map((file) => openTarget(file, job))
    this.#startMicros = nowMicros()
    this.#lastTickMicros = this.#startMicros
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
  }

  #tick(): void {
    const now = nowMicros()
    this.#lateMsMax = Math.max(this.#lateMsMax, (now - this.#lastTickMicros) / 1000 - TICK_MS)
    this.#lastTickMicros = now
    const due = Math.floor(((now - this.#startMicros) / 1e6) * this.#job.rowsPerSecond)
    while (this.#rows < due) this.#writeRow(this.#targets[this.#rows % this.#targets.length]!)
  }

  #writeRow(target: Target): void {
    const { block, clock, file } = target
    const row = target.row
    target.row = (row + 1) % block.rows
    const start = block.starts[row]!
    const end = block.starts[row + 1]!
    const messageAt = block.messages[row]!
    clock.catchUp(Date.now())
    clock.advance(1_237)
    clock.write(block.bytes, start, block.digits[row]!)
    writeDigits(block.bytes, block.sequences[row]!, 10, target.sequence++)
    writeTimeDigits(block.bytes, messageAt + WRITE_TIME_AT, nowMicros())
    writeSync(target.fd, block.bytes, start, end - start)
    this.#rows += 1
    this.#bytes += end - start
    const key = tallyKey(file.pod, file.container, block.streams[row] === 0 ? 'stdout' : 'stderr')
    const sums = (this.#tally[key] ??= newWritten())
    addMessage(sums, crcOf(block.bytes, messageAt, end - 1), end - 1 - messageAt)
    sums.firstSeconds += clock.seconds % 65_536
    sums.firstNanos += clock.nanos
    sums.lastSeconds = sums.firstSeconds
    sums.lastNanos = sums.firstNanos
  }

  stop(): WriterReport {
    clearInterval(this.#timer)
    for (const target of this.#targets) closeSync(target.fd)
    return { rows: this.#rows, bytes: this.#bytes, tally: this.#tally, lateMsMax: this.#lateMsMax }
  }
}

function openTarget(file: LogFile, job: WriterJob): Target {
  const shape = { writer: file.writer, blockBytes: BLOCK_BYTES, rowBytes: job.rowBytes, sigma: 0, stderrShare: 0.1 }
  const random = new Random(job.seed + 1000 + file.writer)
  const block = makeBlock(random, { ...shape, longLine: false, paced: true })
  return { file, fd: openSync(file.path, 'a'), block, row: 0, sequence: 0, clock: new RowClock() }
}

let writer: PacedWriter | null = null
process.on('message', (message: { id: number; start?: WriterJob }) => {
  if (message.start !== undefined) writer = new PacedWriter(message.start)
  process.send?.({ id: message.id, answer: message.start !== undefined ? {} : writer!.stop() })
})
process.on('disconnect', () => process.exit(0))
process.send?.({ ready: true })
