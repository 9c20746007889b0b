// What was accepted and is not delivered yet: a journal for each API server, under stateDir/spool/SOURCE/. Invariant: a
// segment is deleted only when every sink that takes the source is in a later one, by a checkpoint that is durable.
// Bound: `bytesMax` in all, and never more than half of the file system; API_SERVERS_MAX journals.
import { join } from 'node:path'
import type { CheckpointStore } from '../../checkpoint/checkpoints.ts'
import type { AuditSourceConfig, AuditWebhookSourceConfig } from '../../config/config.ts'
import { fileKey } from '../../discover/lineage-key.ts'
import { Journal, type JournalDeps, LIVE_NAME, type Segment } from './journal.ts'

export const API_SERVERS_MAX = 64
const SEGMENT_BYTES_MIN = 1024 * 1024
const SEGMENT_BYTES_MAX = 64 * 1024 * 1024
/** A spool of the largest size has at least so many segments, so that room comes back in parts. */
const SEGMENTS_MIN = 16
/** Of the file system that it lies in. */
const SHARE_MAX = 0.5

/** Where a webhook's spool lies. */
export function spoolDirectory(stateDir: string, source: string): string {
  return join(stateDir, 'spool', source)
}

/** The spool as what it is to everybody who reads it: an audit log, under policy and redaction already. */
export function spoolSource({ name }: AuditWebhookSourceConfig, stateDir: string): AuditSourceConfig {
  const directory = spoolDirectory(stateDir, name)
  return {
    name,
    type: 'audit',
    isSpool: true,
    paths: [join(directory, '*', LIVE_NAME)],
    exclude: [],
    roots: [directory],
    startAt: 'beginning',
    startAgeMax: null,
    format: 'json',
    policyFile: null,
    redaction: null,
  }
}

export interface SpoolOptions {
  source: string
  directory: string
  bytesMax: number
  /** The sinks that take the source. */
  sinks: readonly string[]
}

export class Spool {
  readonly journals = new Map<string, Journal>()
  readonly #options: SpoolOptions
  readonly #deps: JournalDeps & { checkpoints: CheckpointStore }
  readonly #segmentBytesMax: number
  readonly #opening = new Map<string, Promise<Journal>>()
  #bytesMax: number
  #pruning: Promise<void> | null = null

  constructor(options: SpoolOptions, deps: JournalDeps & { checkpoints: CheckpointStore }) {
    this.#options = options
    this.#deps = deps
    this.#bytesMax = options.bytesMax
    const share = Math.floor(options.bytesMax / SEGMENTS_MIN)
    this.#segmentBytesMax = Math.max(SEGMENT_BYTES_MIN, Math.min(SEGMENT_BYTES_MAX, share))
  }

  get bytesMax(): number {
    return this.#bytesMax
  }

  get bytes(): number {
    let bytes = 0
    for (const journal of this.journals.values()) bytes += journal.bytes
    return bytes
  }

  /** Takes over what is there: every journal begins a new segment. Throws the system's error. */
  async open(): Promise<void> {
    const { directory, bytesMax } = this.#options
    const { writes, reads } = this.#deps
    await writes.mkdir(directory)
    this.#bytesMax = Math.min(bytesMax, Math.floor(reads.fileSystemBytes(directory) * SHARE_MAX))
    for (const name of await writes.list(directory)) {
      if (reads.lstat(join(directory, name))?.kind === 'directory') await this.#open(name)
    }
  }

  /** The API server's journal; null: there are too many API servers. Throws the system's error. */
  async journal(apiServer: string): Promise<Journal | null> {
    const known = this.journals.get(apiServer)
    if (known !== undefined) return known
    if (!this.#opening.has(apiServer) && this.journals.size + this.#opening.size >= API_SERVERS_MAX) return null
    return this.#open(apiServer)
  }

  #open(apiServer: string): Promise<Journal> {
    let opening = this.#opening.get(apiServer)
    if (opening === undefined) {
      const journal = new Journal(join(this.#options.directory, apiServer), this.#segmentBytesMax, this.#deps)
      opening = journal
        .open()
        .then(() => {
          this.journals.set(apiServer, journal)
          return journal
        })
        .finally(() => this.#opening.delete(apiServer))
      this.#opening.set(apiServer, opening)
    }
    return opening
  }

  /** Whether there is no room for so many bytes more. */
  isFull(bytes: number): boolean {
    return this.bytes + bytes > this.#bytesMax
  }

  /** Deletes what every sink is past. Whoever asks meanwhile waits for the same end. Rejects with the system's error. */
  prune(): Promise<void> {
    this.#pruning ??= this.#prune().finally(() => {
      this.#pruning = null
    })
    return this.#pruning
  }

  async #prune(): Promise<void> {
    const found: { journal: Journal; paths: Set<string> }[] = []
    for (const journal of this.journals.values()) {
      const paths = new Set(this.#past(journal).map(({ path }) => path))
      if (paths.size > 0) found.push({ journal, paths })
    }
    if (found.length === 0) return
    await this.#deps.checkpoints.flush()
    for (const { journal, paths } of found) await journal.prune(({ path }) => paths.has(path))
  }

  /** The segments before the one in which the last sink is. */
  #past(journal: Journal): Segment[] {
    const { source, sinks } = this.#options
    const key = fileKey(source, journal.livePath)
    const { segments } = journal
    let count = segments.length
    if (count === 0) return []
    for (const sink of sinks) {
      const position = this.#deps.checkpoints.get(sink, key)
      if (position === undefined) return []
      // Its file is there as long as a position names it, so no other one has its inode.
      const at = segments.findIndex(({ ino }) => ino === position.ino)
      if (at >= 0) count = Math.min(count, at)
      else if (this.#deps.reads.lstat(journal.livePath)?.ino !== position.ino) return []
    }
    return segments.slice(0, count)
  }

  async close(): Promise<void> {
    await Promise.all(this.#opening.values())
    for (const journal of this.journals.values()) await journal.close()
  }
}
