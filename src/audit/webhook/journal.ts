// The spool of one API server: a directory of segments, laid out as an API server's own audit log (`audit.log`, which is
// appended to, and `audit-2026-11-21T07-48-32.645.log`, which are done), so that it is tailed like one. What is waiting
// while a sync is under way is made durable by the next one, together (group commit). Invariants: `append` resolves when
// the bytes are on disk; the names of segments rise, whatever the clock does; what was not synced is never seen.
import { join } from 'node:path'
import type { Clock } from '../../ports/clock.ts'
import type { FileStat, ReadFileSystem, WriteFileSystem, WriteHandle } from '../../ports/fs.ts'
import type { DurableReads } from './durable-reads.ts'

export const LIVE_NAME = 'audit.log'
const SEGMENT = /^audit-(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d\.\d{3})\.log$/
/** Read back from the end of a segment at a time, to find its last line break. */
const TAIL_BYTES = 64 * 1024

export interface JournalDeps {
  reads: ReadFileSystem
  writes: WriteFileSystem
  clock: Clock
  /** Is told what of the live segment is durable. */
  durable: DurableReads
}

interface Waiting {
  lines: Buffer
  resolve: () => void
  reject: (error: unknown) => void
}

export interface Segment {
  path: string
  ino: number
  bytes: number
  /** When it was written last, ms since the epoch. */
  mtimeMs: number
}

export class Journal {
  readonly directory: string
  /** Done, oldest first. */
  segments: Segment[] = []
  /** Seconds that syncs took, and how many there were. */
  readonly syncs = { count: 0, seconds: 0 }
  readonly #deps: JournalDeps
  readonly #segmentBytesMax: number
  #handle: WriteHandle | null = null
  #live: Pick<FileStat, 'dev' | 'ino'> = { dev: -1, ino: -1 }
  /** Durable bytes of the live segment. */
  #liveBytes = 0
  #liveSince = 0
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #isFailed = false
  #running: Promise<void> | null = null
  #lastMs = 0

  constructor(directory: string, segmentBytesMax: number, deps: JournalDeps) {
    this.directory = directory
    this.#segmentBytesMax = segmentBytesMax
    this.#deps = deps
  }

  get livePath(): string {
    return join(this.directory, LIVE_NAME)
  }

  /** On disk, and on the way there. */
  get bytes(): number {
    return this.segments.reduce((sum, { bytes }) => sum + bytes, this.#liveBytes + this.#waitingBytes)
  }

  /** When the oldest bytes that are kept were written, ms since the epoch; null when there are none. */
  get oldestAt(): number | null {
    return this.segments[0]?.mtimeMs ?? (this.#liveBytes > 0 ? this.#liveSince : null)
  }

  /** Takes the directory over, which is made if it is missing: what was being written is done, and a new segment begins. */
  async open(): Promise<void> {
    const { reads, writes } = this.#deps
    await writes.mkdir(this.directory)
    this.segments = []
    for (const name of (await writes.list(this.directory)).sort()) {
      const ms = timeOf(name)
      const stat = ms === null ? null : reads.lstat(join(this.directory, name))
      if (ms === null || stat?.kind !== 'file') continue
      this.#lastMs = Math.max(this.#lastMs, ms)
      this.segments.push({ path: join(this.directory, name), ino: stat.ino, bytes: stat.size, mtimeMs: stat.mtimeMs })
    }
    const live = reads.lstat(this.livePath)
    if (live?.kind === 'file') {
      const bytes = wholeLines(reads, this.livePath, live.size)
      if (bytes < live.size) await this.#cut(bytes)
      if (bytes > 0) await this.#retire({ ...live, size: bytes })
    }
    await this.#begin()
  }

  /** Resolves when `lines`, whole lines, are durable; rejects with the system's error, and then they are nowhere. */
  append(lines: Buffer): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ lines, resolve, reject })
    this.#waitingBytes += lines.length
    this.#running ??= this.#run()
    return promise
  }

  /** Deletes the segments that `isPast` says nobody needs, the oldest first. */
  async prune(isPast: (segment: Segment) => boolean): Promise<void> {
    while (this.segments.length > 0 && isPast(this.segments[0]!)) {
      await this.#deps.writes.unlink(this.segments[0]!.path)
      this.segments.shift()
    }
  }

  async close(): Promise<void> {
    while (this.#running !== null) await this.#running
    await this.#handle?.close()
    this.#handle = null
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting
      this.#waiting = []
      const bytes = group.reduce((sum, { lines }) => sum + lines.length, 0)
      try {
        await this.#commit(group, bytes)
        for (const { resolve } of group) resolve()
      } catch (error) {
        this.#isFailed = true
        for (const { reject } of group) reject(error)
      }
      this.#waitingBytes -= bytes
    }
    this.#running = null
  }

  async #commit(group: readonly Waiting[], bytes: number): Promise<void> {
    const { clock, durable } = this.#deps
    if (this.#handle === null) await this.#begin()
    const handle = this.#handle as WriteHandle
    // What a failed attempt left is cut off before anything follows it.
    if (this.#isFailed) await handle.truncate(this.#liveBytes)
    this.#isFailed = false
    for (const { lines } of group) await handle.append(lines)
    const begunAt = clock.monotonic()
    await handle.sync()
    this.syncs.count++
    this.syncs.seconds += (clock.monotonic() - begunAt) / 1000
    if (this.#liveBytes === 0) this.#liveSince = clock.now()
    this.#liveBytes += bytes
    durable.limit(this.#live, this.#liveBytes)
    if (this.#liveBytes >= this.#segmentBytesMax) await this.#rotate()
  }

  /** The bytes are safe whatever becomes of this: where it fails, the segment grows on, or is begun with the next bytes. */
  async #rotate(): Promise<void> {
    const { reads } = this.#deps
    try {
      const live = reads.lstat(this.livePath)
      if (live === null) return
      await this.#handle?.close()
      this.#handle = null
      await this.#retire({ ...live, size: this.#liveBytes })
      await this.#begin()
    } catch {
      // The next commit meets the same error where it can be answered.
    }
  }

  /** Gives what was the live segment its own name. */
  async #retire({ ino, size, mtimeMs }: FileStat): Promise<void> {
    const { writes, clock, durable } = this.#deps
    this.#lastMs = Math.max(this.#lastMs + 1, Math.floor(clock.now()))
    const path = join(this.directory, nameAt(this.#lastMs))
    await writes.rename(this.livePath, path)
    durable.unlimit({ ino })
    this.segments.push({ path, ino, bytes: size, mtimeMs })
    this.#liveBytes = 0
  }

  /** Begins a segment, or goes on with the one that is there, after its durable bytes. */
  async #begin(): Promise<void> {
    const { reads, writes, durable } = this.#deps
    const handle = await writes.openAppend(this.livePath, false)
    const stat = reads.lstat(this.livePath)
    if (stat === null) throw new Error(`${this.livePath} is gone as soon as it was made`)
    if (stat.ino !== this.#live.ino) this.#liveBytes = 0
    this.#live = stat
    this.#handle = handle
    durable.limit(stat, this.#liveBytes)
    await writes.syncDirectory(this.directory)
  }

  async #cut(bytes: number): Promise<void> {
    const handle = await this.#deps.writes.openAppend(this.livePath, false)
    try {
      await handle.truncate(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
  }
}

/** How many of the file's first `size` bytes are whole lines. */
function wholeLines(reads: ReadFileSystem, path: string, size: number): number {
  const fd = reads.open(path)
  try {
    const tail = Buffer.alloc(TAIL_BYTES)
    for (let end = size; end > 0; ) {
      const from = Math.max(0, end - TAIL_BYTES)
      const bytes = reads.read(fd, tail, 0, end - from, from)
      const at = tail.subarray(0, bytes).lastIndexOf(0x0a)
      if (at >= 0) return from + at + 1
      end = from
    }
    return 0
  } finally {
    reads.close(fd)
  }
}

function nameAt(ms: number): string {
  return `audit-${new Date(ms).toISOString().slice(0, -1).replaceAll(':', '-')}.log`
}

/** The time in a segment's name, ms since the epoch; null for another file. */
function timeOf(name: string): number | null {
  const match = SEGMENT.exec(name)
  return match === null ? null : Date.parse(`${match[1]}T${match[2]}:${match[3]}:${match[4]}Z`)
}
