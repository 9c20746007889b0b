// Dead letters on disk: NDJSON files in `dead-letters` (letter-file.ts), of 8 MiB each at most unless one write alone is
// larger. Invariant: a letter whose write resolved is durable, on a line of its own, in a file that was not taken away
// before. Bound: `bytesMax` for each sink and quota, counted over their files. When they are full the oldest file of logs
// is thrown away, and said to be; of what was audited nothing is: writes are refused, and the lane stands until somebody
// has taken files away or sent them again.
import { errorMessage, TaffrailError } from '../core/errors.ts'
import type { Events } from '../core/events.ts'
import type { Clock } from '../ports/clock.ts'
import type { FileSystem, WriteHandle } from '../ports/fs.ts'
import { type DeadLetter, type DeadLetters, type Evicted, type LetterQuota, UNWRITABLE } from './dead-letter.ts'
import { encodeLetters, letterFileName, parseLetterFile, readLetters } from './letter-file.ts'

const NEWLINE = Buffer.from('\n')
const BYTES_MAX = 128 * 1024 * 1024
const FILE_BYTES_MAX = 8 * 1024 * 1024
/** A file that was taken away while it was written to is left for another one so often. */
const MOVES_MAX = 8
/** Records of logs are given up when their letters could not be written for so long. */
const UNWRITABLE_MS = 60_000
/** A disk that does not answer does not hold up the end of the process for longer. */
const CLOSE_MS_MAX = 5_000

export interface DeadLettersOptions {
  /** The state directory; the files are in `dead-letters` below it. */
  directory: string
  /** For each sink and quota; 128 MiB unless given. */
  bytesMax?: number
  fs: FileSystem
  clock: Clock
  events: Events
}

/**
 * The dead letters of dead-letter.ts. `write` rejects with `DEAD_LETTERS_FAILED` (the system's error as its cause) when the
 * disk does not take them, and with `DEAD_LETTERS_FULL` when a sink's files of audited records have reached their bound. In
 * both cases the caller holds the lane and writes the same letters again later; room that was made meanwhile is noticed.
 * When the disk has taken no letters of logs for a minute, their write rejects with `DEAD_LETTERS_UNWRITABLE`.
 * After a failure that leaves it open, a letter may be in the files twice. Lines may be empty, or torn by a crash: a
 * reader passes over what is no JSON. A file that is the latest of its sink may be growing; others never change.
 */
export function createDeadLetters(options: DeadLettersOptions): DeadLetters {
  const all = new Map<string, SinkLetters>()
  let closed = false
  const lettersOf = (sink: string, quota: LetterQuota) => {
    const key = `${quota} ${sink}`
    let letters = all.get(key)
    if (letters === undefined) {
      all.set(key, (letters = new SinkLetters(sink, quota, options, (evicted) => deadLetters.onEvicted?.(evicted))))
    }
    return letters
  }
  const deadLetters: DeadLetters = {
    onEvicted: null,
    async write(letters) {
      if (closed) throw new Error('dead letters: write() after close()')
      const groups = Map.groupBy(letters, ({ sink, quota }) => lettersOf(sink, quota ?? 'logs'))
      await Promise.all(Array.from(groups, ([group, own]) => group.write(own)))
    },
    async close() {
      closed = true
      const ends = Array.from(all.values(), (letters) => letters.close())
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
  return deadLetters
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

/** The files of one sink and quota. Writes that come while another one is being made durable are made durable together. */
class SinkLetters {
  readonly #sink: string
  readonly #quota: LetterQuota
  readonly #onEvicted: (evicted: Evicted) => void
  readonly #clock: Clock
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
  /** Monotonic ms of the first failure since the last success; null when there is none. */
  #failingSince: number | null = null
  #isTold = false
  /** Until the first file is open: the latest one may be used on. After a failure it may not: its place on the disk may be bad. */
  #mayInherit = true

  constructor(
    sink: string,
    quota: LetterQuota,
    { directory, bytesMax = BYTES_MAX, fs, clock, events }: DeadLettersOptions,
    onEvicted: (evicted: Evicted) => void,
  ) {
    this.#sink = sink
    this.#quota = quota
    this.#onEvicted = onEvicted
    this.#clock = clock
    this.#directory = `${directory}/dead-letters`
    this.#bytesMax = bytesMax
    this.#fs = fs
    this.#events = events
  }

  write(letters: readonly DeadLetter[]): Promise<void> {
    const data = encodeLetters(letters)
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
        this.#failingSince = null
        this.#isTold = false
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
    for (let moves = 0; moves < MOVES_MAX; moves++) {
      const file = await this.#fileFor(data.length + 1)
      // An empty line is harmless; a letter glued to a torn line, or to a hole that a power cut tore later, is lost.
      const bytes = file.isInherited ? Buffer.concat([NEWLINE, data]) : data
      await file.handle.append(bytes)
      await file.handle.sync()
      file.isInherited = false
      file.bytes += bytes.length
      this.#totalBytes! += bytes.length
      // Whoever takes a file reads it then: what was written after that, nobody has seen.
      if (this.#isInPlace(file)) return
    }
    throw new Error(`the files are taken away all the time`)
  }

  async #makeRoom(bytes: number): Promise<void> {
    const isFull = () => this.#totalBytes! + bytes > this.#bytesMax
    if (this.#totalBytes === null || isFull()) await this.#count()
    if (this.#quota === 'logs') {
      while (isFull() && (await this.#evictOldest())) await this.#count()
      return
    }
    if (!isFull()) return
    const advice = 'take files away, or send them again with `taffrail replay`'
    const message = `the dead letters of sink ${this.#sink} in ${this.#directory} fill their ${this.#bytesMax} bytes: ${advice}`
    throw new TaffrailError('DEAD_LETTERS_FULL', message)
  }

  async #count(): Promise<void> {
    this.#totalBytes = 0
    for (const [number, path] of await this.#files()) {
      this.#lastNumber = Math.max(this.#lastNumber, number)
      this.#totalBytes += this.#fs.reads.stat(path)?.size ?? 0
    }
  }

  /** Numbers and paths, oldest first. What a replay has taken counts for nothing but its number. */
  async #files(): Promise<[number: number, path: string][]> {
    const files: [number, string][] = []
    for (const name of await this.#fs.writes.list(this.#directory)) {
      const parsed = parseLetterFile(name)
      if (parsed === null || parsed.sink !== this.#sink || parsed.quota !== this.#quota) continue
      this.#lastNumber = Math.max(this.#lastNumber, parsed.number)
      if (!parsed.taken) files.push([parsed.number, `${this.#directory}/${name}`])
    }
    return files.sort(([a], [b]) => a - b)
  }

  /** Throws the oldest file away and says what was in it; false when there is none. */
  async #evictOldest(): Promise<boolean> {
    const [oldest] = await this.#files()
    if (oldest === undefined) return false
    const [, path] = oldest
    if (this.#file?.path === path) await this.#leaveFile()
    const { letters, unreadable } = readLetters(await this.#fs.writes.readFile(path))
    await this.#fs.writes.unlink(path)
    await this.#fs.writes.syncDirectory(this.#directory)
    let bytes = 0
    for (const [reason, group] of Map.groupBy(letters, (letter) => letter.reason)) {
      const evicted = { sink: this.#sink, reason, records: group.length, bytes: 0, rows: 0 }
      for (const letter of group) {
        evicted.bytes += letter.bytes
        evicted.rows += letter.rows ?? 1
      }
      bytes += evicted.bytes
      this.#onEvicted(evicted)
    }
    const records = letters.length + unreadable.length
    this.#events.emit('deadLetters.evicted', { sink: this.#sink, path, records, bytes })
    return true
  }

  /** The file to append to: the open one, or the next. */
  async #fileFor(bytes: number): Promise<OpenFile> {
    const file = this.#file
    if (file !== null) {
      if (this.#isInPlace(file) && (file.bytes === 0 || file.bytes + bytes <= FILE_BYTES_MAX)) return file
      await this.#leaveFile()
    }
    return this.#openFile(bytes)
  }

  #isInPlace({ path, ino }: OpenFile): boolean {
    return this.#fs.reads.stat(path)?.ino === ino
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
    const name = { sink: this.#sink, number, quota: this.#quota, returned: false, taken: false }
    return `${this.#directory}/${letterFileName(name)}`
  }

  async #leaveFile(): Promise<void> {
    const file = this.#file
    this.#file = null
    await file?.handle.close()
  }

  async #refused(error: unknown): Promise<TaffrailError> {
    const path = this.#file?.path ?? this.#directory
    if (!this.#isTold) this.#events.emit('deadLetters.failed', { path, error })
    this.#isTold = true
    if (error instanceof TaffrailError) return error
    await this.#abandonFile()
    const now = this.#clock.monotonic()
    this.#failingSince ??= now
    const isHopeless = this.#quota === 'logs' && now - this.#failingSince >= UNWRITABLE_MS
    const code = isHopeless ? UNWRITABLE : 'DEAD_LETTERS_FAILED'
    return new TaffrailError(code, `${path} could not be written: ${errorMessage(error)}`, error)
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
