// Checkpoints that end with the process: for a follower that begins anew each time. Bound: one position per lineage.
import type { Metadata } from '../core/metadata.ts'
import type { CheckpointStore } from './checkpoints.ts'
import type { Position } from './position.ts'

/** The store of checkpoints.ts without a disk: what is set is as durable as it ever gets. */
export class MemoryCheckpoints implements CheckpointStore {
  readonly #held = new Map<string, { sink: string; lineage: string; position: Position }>()
  readonly #metadata = new Map<string, Metadata>()

  async open(): Promise<void> {}

  get(sink: string, lineage: string): Position | undefined {
    return this.#held.get(keyOf(sink, lineage))?.position
  }

  set(sink: string, lineage: string, position: Position): void {
    this.#held.set(keyOf(sink, lineage), { sink, lineage, position })
  }

  metadata(sink: string, lineage: string): Metadata | undefined {
    return this.#metadata.get(keyOf(sink, lineage))
  }

  setMetadata(sink: string, lineage: string, metadata: Metadata): void {
    this.#metadata.set(keyOf(sink, lineage), metadata)
  }

  delete(sink: string, lineage: string): void {
    this.#held.delete(keyOf(sink, lineage))
    this.#metadata.delete(keyOf(sink, lineage))
  }

  entries(): IterableIterator<{ sink: string; lineage: string; position: Position }> {
    return this.#held.values()
  }

  async flush(): Promise<void> {}
  async close(): Promise<void> {}

  status(): { ageSeconds: number; pending: number; failing: string | null } {
    return { ageSeconds: 0, pending: 0, failing: null }
  }
}

/** The names of sinks have no space. */
function keyOf(sink: string, lineage: string): string {
  return `${sink} ${lineage}`
}
