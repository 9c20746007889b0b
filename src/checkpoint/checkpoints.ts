// The contract of the checkpoint store. Keys are (sink, lineage); values are opaque to it.
import type { Metadata } from '../core/metadata.ts'
import type { Position } from './position.ts'

export interface CheckpointStore {
  /** Reads what is on disk; must be called once, before anything else. Survives torn and damaged logs (event `checkpoint.damaged`). */
  open(): Promise<void>
  get(sink: string, lineage: string): Position | undefined
  /** Takes effect at once in memory and is durable within 250 ms, as long as the disk takes writes. */
  set(sink: string, lineage: string, position: Position): void
  /** The metadata that the lineage's lines go out with, from the saved position on; undefined before it was decided. */
  metadata(sink: string, lineage: string): Metadata | undefined
  /** As `set`, for the metadata. Of one pair's changes no later one is durable before an earlier one. */
  setMetadata(sink: string, lineage: string, metadata: Metadata): void
  /** Forgets position and metadata. */
  delete(sink: string, lineage: string): void
  /** All positions that are held, in no order. */
  entries(): IterableIterator<{ sink: string; lineage: string; position: Position }>
  /** Resolves when all that was set before the call is durable; rejects when the disk does not take it. */
  flush(): Promise<void>
  /** Flushes if it can and closes. */
  close(): Promise<void>
  status(): { ageSeconds: number; pending: number; failing: string | null }
}
