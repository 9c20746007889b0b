// Files whose last name is gone take up disk until we close them. They are held until the slowest sink is past them, but
// all together at most 1 GiB, and none for more than an hour; a breach becomes a gap.
import type { Clock } from '../ports/clock.ts'
import type { TailedFile } from './file.ts'
import type { Lineage } from './lineage.ts'

const HELD_BYTES_MAX = 1024 ** 3
const HELD_MS_MAX = 3_600_000

export class HoldLimits {
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Gives up what is over the limits, the longest unlinked first. */
  apply(lineages: readonly Lineage[]): void {
    const held: { file: TailedFile; lineage: Lineage; since: number }[] = []
    for (const lineage of lineages) {
      for (const file of lineage.files) {
        if (file.fd >= 0 && file.unlinkedAt !== null) held.push({ file, lineage, since: file.unlinkedAt })
      }
    }
    if (held.length === 0) return
    held.sort((a, b) => b.since - a.since)
    const now = this.#clock.monotonic()
    let bytes = 0
    for (const { file, lineage, since } of held) {
      bytes += file.sizeSeen
      if (now - since > HELD_MS_MAX) lineage.giveUp(file, 'deleted, and held for an hour without being delivered')
      else if (bytes > HELD_BYTES_MAX) lineage.giveUp(file, 'deleted, and more than 1 GiB of such files is held')
    }
  }
}
