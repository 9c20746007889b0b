// Checkpoints on disk: all of them in memory, and an append-only log of the changes. Changes are gathered for 100 ms and
// made durable together, so that the cost is one fdatasync for however many lineages moved; the log is written anew when
// it is over 1 MiB and four times what is live. Invariant: a change is in the log, in a commit under way, or in
// `#changed`; nothing that fails takes it out of there. Bound: one record in memory per key, and one per changed key.
import { errorMessage, TaffrailError } from '../core/errors.ts'
import type { Events } from '../core/events.ts'
import type { Metadata } from '../core/metadata.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { WriteFileSystem } from '../ports/fs.ts'
import type { CheckpointStore } from './checkpoints.ts'
import { LogFile } from './log-file.ts'
import type { Position } from './position.ts'
import { type CheckpointRecord, decodeLog, encodeRecords, LOG_HEADER } from './record.ts'

const COMMIT_DELAY_MS = 100
const RETRY_DELAY_MS_MIN = 250
const RETRY_DELAY_MS_MAX = 10_000
const COMPACT_BYTES_MIN = 1024 * 1024
const COMPACT_FACTOR = 4
/** A disk that does not answer does not hold up the end of the process for longer. */
const CLOSE_MS_MAX = 5_000

type Changes = Map<string, CheckpointRecord>

export interface CheckpointStoreOptions {
  /** Holds `checkpoints.log`; made if it is missing. The caller holds its lock (lock.ts). */
  directory: string
  fs: WriteFileSystem
  clock: Clock
  events: Events
}

interface Waiter {
  /** Settled by the end of the commit that has this many changes behind it. */
  changeCount: number
  resolve(): void
  reject(error: unknown): void
}

/**
 * The store of checkpoints.ts. `open` rejects with the system's error when the directory cannot be made or a log that
 * is there cannot be read: to start from nothing would overwrite it. All other trouble with the disk is told by events
 * and `status`; what could not be written is kept in memory and tried again after 250 ms to 10 s, and by each `flush`.
 * A `Position` given to `set` belongs to the store from then on: do not change it. After `close`, which takes 5 s at
 * most, changes are kept in memory only and `flush` rejects.
 */
export function createCheckpointStore(options: CheckpointStoreOptions): CheckpointStore {
  return new DiskCheckpoints(options)
}

class DiskCheckpoints implements CheckpointStore {
  readonly #clock: Clock
  readonly #events: Events
  readonly #fs: WriteFileSystem
  readonly #directory: string
  readonly #log: LogFile
  readonly #live: Changes = new Map()
  /** Of each kind, by sink and lineage: the keys of `#live`. */
  readonly #keys = {
    position: new Map<string, Map<string, string>>(),
    metadata: new Map<string, Map<string, string>>(),
  }
  /** What the next commit will write, the latest of each key. */
  #changed: Changes = new Map()
  /** What a commit under way writes. */
  #committing: Changes | null = null
  #changeCount = 0
  #durableCount = 0
  /** Monotonic ms of the oldest change in `#changed`, and of the oldest in `#committing`. */
  #changedSince: number | null = null
  #committingSince: number | null = null
  #cancelTimer: Cancel | null = null
  #waiters: Waiter[] = []
  #failing: string | null = null
  #failureCount = 0
  #state: 'new' | 'open' | 'closed' = 'new'

  constructor({ directory, fs, clock, events }: CheckpointStoreOptions) {
    this.#clock = clock
    this.#events = events
    this.#fs = fs
    this.#directory = directory
    this.#log = new LogFile(directory, fs)
  }

  async open(): Promise<void> {
    if (this.#state !== 'new') throw new Error(`checkpoint store: open() when ${this.#state}`)
    await this.#fs.mkdir(this.#directory)
    const data = await this.#log.read()
    if (data !== null) await this.#load(data)
    this.#state = 'open'
    // Always written anew: what an earlier process appended may be in the page cache only, and not even marked dirty.
    await this.#commit()
  }

  get(sink: string, lineage: string): Position | undefined {
    return this.#live.get(this.#keyOf({ sink, lineage, position: null }))?.position ?? undefined
  }

  set(sink: string, lineage: string, position: Position): void {
    this.#put({ sink, lineage, position })
  }

  metadata(sink: string, lineage: string): Metadata | undefined {
    return this.#live.get(this.#keyOf({ sink, lineage, metadata: null }))?.metadata ?? undefined
  }

  setMetadata(sink: string, lineage: string, metadata: Metadata): void {
    this.#put({ sink, lineage, metadata })
  }

  delete(sink: string, lineage: string): void {
    for (const record of [
      { sink, lineage, position: null },
      { sink, lineage, metadata: null },
    ]) {
      const key = this.#keyOf(record)
      if (this.#live.delete(key)) this.#change(key, record)
    }
    for (const keys of Object.values(this.#keys)) keys.get(sink)?.delete(lineage)
  }

  *entries(): IterableIterator<{ sink: string; lineage: string; position: Position }> {
    for (const { sink, lineage, position } of this.#live.values()) {
      if (position) yield { sink, lineage, position }
    }
  }

  flush(): Promise<void> {
    if (this.#state !== 'open') return Promise.reject(new Error(`checkpoint store: flush() when ${this.#state}`))
    if (this.#durableCount === this.#changeCount) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#waiters.push({ changeCount: this.#changeCount, resolve, reject })
      if (this.#committing === null) void this.#commit()
    })
  }

  async close(): Promise<void> {
    if (this.#state !== 'open') return
    const flushed = this.flush()
    this.#state = 'closed'
    this.#setTimer(null)
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(CLOSE_MS_MAX, resolve)
      // A refusal was told by an event.
      const end = () => this.#log.close().then(cancel).then(resolve)
      flushed.then(end, end)
    })
  }

  /** `pending` counts records that are not durable: a key that changed again during a commit counts twice. */
  status(): { ageSeconds: number; pending: number; failing: string | null } {
    const since = this.#committingSince ?? this.#changedSince
    return {
      ageSeconds: since === null ? 0 : (this.#clock.monotonic() - since) / 1000,
      pending: this.#changed.size + (this.#committing?.size ?? 0),
      failing: this.#failing,
    }
  }

  async #load(data: Buffer): Promise<void> {
    const { records, damage } = decodeLog(data, (record) => {
      const key = this.#keyOf(record)
      if (!(record.position ?? record.metadata)) this.#live.delete(key)
      else this.#live.set(key, record)
    })
    if (damage === null) return
    const { path } = this.#log
    let { detail, atByte } = damage
    let movedTo: string | null = null
    if (damage.kind !== 'torn') {
      try {
        movedTo = await this.#log.keepDamaged(data, this.#clock.now())
      } catch (error) {
        detail += `; it could not be kept: ${errorMessage(error)}`
      }
    }
    this.#events.emit('checkpoint.damaged', { path, recordsKept: records, atByte, detail, movedTo })
  }

  #put(record: CheckpointRecord): void {
    const key = this.#keyOf(record)
    this.#live.set(key, record)
    this.#change(key, record)
  }

  #change(key: string, record: CheckpointRecord): void {
    if (this.#state === 'new') throw new Error('checkpoint store: changed before open()')
    // To the end: what is left of a torn log must hold no metadata without the position from which on it was decided.
    this.#changed.delete(key)
    this.#changed.set(key, record)
    this.#changeCount++
    this.#changedSince ??= this.#clock.monotonic()
    if (this.#committing === null && this.#cancelTimer === null) this.#setTimer(COMMIT_DELAY_MS)
  }

  #setTimer(delayMs: number | null): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
    if (delayMs === null || this.#state === 'closed') return
    this.#cancelTimer = this.#clock.after(delayMs, () => void this.#commit())
  }

  /** One at a time. Never rejects: the outcome goes to the waiters, the events and the next timer. */
  async #commit(): Promise<void> {
    this.#setTimer(null)
    const changes = this.#changed
    const changeCount = this.#changeCount
    this.#committing = changes
    this.#committingSince = this.#changedSince
    this.#changed = new Map()
    this.#changedSince = null
    let failure: { error: unknown } | null = null
    try {
      if (this.#log.mustRewrite || this.#isLogLarge()) {
        await this.#log.rewrite(encodeRecords(this.#live.values(), LOG_HEADER))
      } else await this.#log.append(encodeRecords(changes.values()))
    } catch (error) {
      failure = { error }
    }
    if (failure === null) this.#committed(changeCount)
    else this.#refused(changes, failure.error)
    this.#committing = null
    this.#committingSince = null
    this.#next()
  }

  #isLogLarge(): boolean {
    return this.#log.bytes > Math.max(COMPACT_BYTES_MIN, COMPACT_FACTOR * this.#log.bytesRewritten)
  }

  #committed(changeCount: number): void {
    this.#durableCount = changeCount
    const waiters = this.#waiters
    this.#waiters = waiters.filter((waiter) => waiter.changeCount > changeCount)
    for (const waiter of waiters) if (waiter.changeCount <= changeCount) waiter.resolve()
    if (this.#failing === null) return
    this.#failing = null
    this.#failureCount = 0
    this.#events.emit('checkpoint.recovered', { path: this.#log.path })
  }

  #refused(changes: Changes, error: unknown): void {
    for (const [key, record] of changes) if (!this.#changed.has(key)) this.#changed.set(key, record)
    this.#changedSince = this.#committingSince ?? this.#changedSince
    const { path } = this.#log
    if (this.#failing === null) this.#events.emit('checkpoint.failed', { path, error })
    this.#failing = errorMessage(error)
    this.#failureCount++
    const refusal = new TaffrailError('CHECKPOINT_FAILED', `${path} could not be written: ${this.#failing}`, error)
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter.reject(refusal)
  }

  #next(): void {
    if (this.#waiters.length > 0) void this.#commit()
    else if (this.#failing !== null) {
      this.#setTimer(Math.min(RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_MIN * 2 ** (this.#failureCount - 1)))
    } else if (this.#changedSince !== null) {
      this.#setTimer(Math.max(0, this.#changedSince + COMMIT_DELAY_MS - this.#clock.monotonic()))
    }
  }

  /** The record's key, the same string each time: one that is made anew is hashed anew, with each acknowledgement. */
  #keyOf({ sink, lineage, metadata }: CheckpointRecord): string {
    const kind = metadata === undefined ? 'position' : 'metadata'
    let keys = this.#keys[kind].get(sink)
    if (keys === undefined) this.#keys[kind].set(sink, (keys = new Map()))
    let key = keys.get(lineage)
    if (key === undefined) keys.set(lineage, (key = `${kind}\0${sink}\0${lineage}`))
    return key
  }
}
