// A lineage with all that belongs to it: its readers, one for each sink that takes its source, and when it is looked at.
// The agent owns it, from the scan that finds the lineage to the sweep that lets it go.
import type { FileSourceConfig } from '../config/config.ts'
import type { Rationed } from '../tail/descriptor-turns.ts'
import type { Lineage } from '../tail/lineage.ts'
import type { Reader } from '../tail/reader.ts'

/** One lineage with all that belongs to it. */
export class Tailed implements Rationed {
  readonly source: FileSourceConfig
  readonly lineage: Lineage
  /** By sink. */
  readonly readers = new Map<string, Reader>()
  /** Monotonic ms. */
  lookAt = Number.NEGATIVE_INFINITY
  wokenAt: number
  /** Bytes, of all readers, when it was woken. */
  #ackedAtWake = 0
  /** Ends the watch on its live file; null while it is looked at instead. */
  unwatch: (() => void) | null = null

  constructor(source: FileSourceConfig, lineage: Lineage, now: number) {
    this.source = source
    this.lineage = lineage
    this.wokenAt = now
  }

  get hasUnread(): boolean {
    for (const reader of this.readers.values()) if (reader.current === null || reader.lagBytes > 0) return true
    return false
  }

  get hasMoved(): boolean {
    return this.#ackedBytes !== this.#ackedAtWake
  }

  /** Opens its files again at `now` (monotonic ms), to be looked at at once. */
  wake(now: number): void {
    this.lineage.wake()
    this.wokenAt = now
    this.#ackedAtWake = this.#ackedBytes
    this.lookAt = now
  }

  /** Bytes that its readers have had acknowledged, together. */
  get #ackedBytes(): number {
    let bytes = 0
    for (const reader of this.readers.values()) bytes += reader.ackedBytes
    return bytes
  }
}
