// Dead letters on disk: NDJSON files `dead-letters/SINK.NUMBER.ndjson`, of 8 MiB each at most unless one write alone is
// larger. Invariant: a letter whose write resolved is durable, on a line of its own. Bound: `bytesMax` for each sink,
// counted over its files. When they are full nothing is thrown away to make room, for these files are the only account
// of their records: writes are refused, and the lane stands until somebody has taken files away or sent them again.
import { errorMessage, TaffrailError } from '../core/errors.ts'
import type { Events } from '../core/events.ts'
import type { Clock } from '../ports/clock.ts'
import type { FileSystem, WriteHandle } from '../ports/fs.ts'
import type { DeadLetter, DeadLetters } from './dead-letter.ts'

const NEWLINE = Buffer.from('\n')
const BYTES_MAX = 128 * 1024 * 1024
const FILE_BYTES_MAX = 8 * 1024 * 1024
/** A disk that does not answer does not hold up the end of the process for longer. */
const CLOSE_MS_MAX = 5_000

export interface DeadLettersOptions {
  /** The state directory; the files are in `dead-letters` below it. */
  directory: string
  /** For each sink; 128 MiB unless given. */
  bytesMax?: number
  fs: FileSystem
  clock: Clock
  events: Events
}

/**
 * The dead letters of dead-letter.ts. `write` rejects with `DEAD_LETTERS_FULL` when a sink's files have reached their
 * bound, and with `DEAD_LETTERS_FAILED` (the system's error as its cause) when the disk does not take them. In both
 * cases the caller holds the lane and writes the same letters again later; room that was made meanwhile is noticed.
 * After a failure that leaves it open, a letter may be in the files twice. Lines may be empty, or torn by a crash: a
 * reader passes over what is no JSON. A file that is the latest of its sink may be growing; others never change.
 */
export function createDeadLetters(options: DeadLettersOptions): DeadLetters {
  const sinks = new Map<string, SinkLetters>()
  let closed = false
  const ofSink = (sink: string) => {
    let letters = sinks.get(sink)
    if (letters === undefined) sinks.set(sink, (letters = new SinkLetters(sink, options)))
    return letters
  }
  return {
    async write(letters) {
      if (closed) throw new Error('dead letters: write() after close()')
      const bySink = Map.groupBy(letters, (letter) => letter.sink)
      await Promise.all(Array.from(bySink, ([sink, own]) => ofSink(sink).write(own)))
    },
    async close() {
      closed = true
      const ends = Array.from(sinks.values(), (letters) => letters.close())
      await new Promise<void>((resolve) => {
        const cancel = options.clock.after(CLOSE_MS_MAX, resolve)
        const end = () => {
          cancel()
          resolve()
        }
        // What was confirmed is synced: an error of a close tells nothing.
        Promise.all(ends).then(end, end)
      })
    },
  }
}

interface Waiting {
  data: Buffer
  resolve(): void
  reject(error: unknown): void
}

interface OpenFile {
  path: string
  ino: number
  handle: WriteHandle
  /** Up to the end of the last letter that is durable. */
  bytes: number
  /** What is in it was written by an earlier process, which may have been stopped in the middle of a line. */
  isInherited: boolean
}

/** The files of one sink. Writes that come while another one is being made durable are made durable together. */
class SinkLetters {
  readonly #sink: string
  readonly #directory: string
  readonly #bytesMax: number
  readonly #fs: FileSystem
  readonly #events: Events
  #file: OpenFile | null = null
  /** Of all files; null when they must be counted (again). */
  #totalBytes: number | null = null
  #lastNumber = 0
  #waiting: Waiting[] = []
  #running: Promise<void> | null = null
  #isFailing = false
  /** Until the first file is open: the latest one may be used on. After a failure it may not: its place on the disk may be bad. */
  #mayInherit = true

  constructor(sink: string, { directory, bytesMax = BYTES_MAX, fs, events }: DeadLettersOptions) {
    this.#sink = sink
    this.#directory = `${directory}/dead-letters`
    this.#bytesMax = bytesMax
    this.#fs = fs
    this.#events = events
  }

  write(letters: readonly DeadLetter[]): Promise<void> {
    const data = Buffer.from(letters.map((letter) => `${JSON.stringify(letter)}\n`).join(''))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ data, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  async close(): Promise<void> {
    await this.#running
    await this.#leaveFile()
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup()
      try {
        await this.#append(Buffer.concat(group.map(({ data }) => data)))
        this.#isFailing = false
        for (const { resolve } of group) resolve()
      } catch (error) {
        const refusal = await this.#refused(error)
        for (const { reject } of group) reject(refusal)
      }
    }
    this.#running = null
  }

  #takeGroup(): Waiting[] {
    let count = 0
    for (let bytes = 0; count < this.#waiting.length; count++) {
      bytes += this.#waiting[count]!.data.length
      if (count > 0 && bytes > FILE_BYTES_MAX) break
    }
    return this.#waiting.splice(0, count)
  }

  async #append(data: Buffer): Promise<void> {
    await this.#makeRoom(data.length + 1)
    const file = await this.#fileFor(data.length + 1)
    // An empty line is harmless; a letter glued to a torn line, or to a hole that a power cut tore later, is lost.
    const bytes = file.isInherited ? Buffer.concat([NEWLINE, data]) : data
    await file.handle.append(bytes)
    await file.handle.sync()
    file.isInherited = false
    file.bytes += bytes.length
    this.#totalBytes! += bytes.length
  }

  async #makeRoom(bytes: number): Promise<void> {
    const isFull = () => this.#totalBytes! + bytes > this.#bytesMax
    if (this.#totalBytes === null || isFull()) await this.#count()
    if (!isFull()) return
    const advice = 'take files away, or send them again with `taffrail replay`'
    const message = `the dead letters of sink ${this.#sink} in ${this.#directory} fill their ${this.#bytesMax} bytes: ${advice}`
    throw new TaffrailError('DEAD_LETTERS_FULL', message)
  }

  async #count(): Promise<void> {
    this.#totalBytes = 0
    for (const name of await this.#fs.writes.list(this.#directory)) {
      if (!name.startsWith(`${this.#sink}.`)) continue
      const number = /^(\d+)\.ndjson$/.exec(name.slice(this.#sink.length + 1))?.[1]
      if (number === undefined) continue
      this.#lastNumber = Math.max(this.#lastNumber, Number(number))
      this.#totalBytes += this.#fs.reads.stat(`${this.#directory}/${name}`)?.size ?? 0
    }
  }

  /** The file to append to: the open one, or the next. */
  async #fileFor(bytes: number): Promise<OpenFile> {
    const file = this.#file
    if (file !== null) {
      const isStillThere = this.#fs.reads.stat(file.path)?.ino === file.ino
      if (isStillThere && (file.bytes === 0 || file.bytes + bytes <= FILE_BYTES_MAX)) return file
      await this.#leaveFile()
    }
    return this.#openFile(bytes)
  }

  async #openFile(bytesNeeded: number): Promise<OpenFile> {
    const { writes, reads } = this.#fs
    const latest = this.#mayInherit ? reads.stat(this.#pathOf(this.#lastNumber)) : null
    const isInherited = latest !== null && latest.size + bytesNeeded <= FILE_BYTES_MAX
    const number = isInherited ? this.#lastNumber : this.#lastNumber + 1
    const path = this.#pathOf(number)
    await writes.mkdir(this.#directory)
    const handle = await writes.openAppend(path, !isInherited)
    const { ino, size } = reads.stat(path) ?? { ino: -1, size: 0 }
    this.#file = { path, ino, handle, bytes: size, isInherited }
    await writes.syncDirectory(this.#directory)
    this.#lastNumber = number
    this.#mayInherit = false
    return this.#file
  }

  #pathOf(number: number): string {
    return `${this.#directory}/${this.#sink}.${number}.ndjson`
  }

  async #leaveFile(): Promise<void> {
    const file = this.#file
    this.#file = null
    await file?.handle.close()
  }

  async #refused(error: unknown): Promise<TaffrailError> {
    const path = this.#file?.path ?? this.#directory
    if (!this.#isFailing) this.#events.emit('deadLetters.failed', { path, error })
    this.#isFailing = true
    if (error instanceof TaffrailError) return error
    await this.#abandonFile()
    return new TaffrailError('DEAD_LETTERS_FAILED', `${path} could not be written: ${errorMessage(error)}`, error)
  }

  /** Leaves a file that cannot be trusted any more as it was before, if it can; the next write begins another one. */
  async #abandonFile(): Promise<void> {
    const file = this.#file
    this.#file = null
    this.#totalBytes = null
    this.#mayInherit = false
    if (file === null) return
    try {
      await file.handle.truncate(file.bytes)
      await file.handle.close()
      if (file.bytes === 0) await this.#fs.writes.unlink(file.path)
    } catch {
      // Then it ends in a torn line, or is empty, and stays so: nothing is appended to it any more.
    }
  }
}
