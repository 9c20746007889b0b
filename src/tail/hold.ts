// Files whose last name is gone take up disk until we close them. They are held until the slowest sink is past them, but
// on one file system at most HELD_BYTES_MAX or a HELD_SHARE_MAX of it, whichever is smaller, on all together at most
// HELD_BYTES_MAX, and none for more than an hour; a breach becomes a gap.
import { dirname } from 'node:path'
import type { Clock } from '../ports/clock.ts'
import type { ReadFileSystem } from '../ports/fs.ts'
import type { TailedFile } from './file.ts'
import type { Lineage } from './lineage.ts'

const HELD_BYTES_MAX = 1024 ** 3
const HELD_SHARE_MAX = 0.05
const HELD_MS_MAX = 3_600_000

const CAUSE_TIME = 'deleted, and held for an hour without being delivered'
const CAUSE_BYTES = 'deleted, and more than 1 GiB of such files is held'
const CAUSE_SHARE = 'deleted, and such files take more than 5 % of their file system'

interface Held {
  file: TailedFile
  lineage: Lineage
  /** Monotonic ms. */
  since: number
}

export class HoldLimits {
  readonly #clock: Clock
  readonly #fs: ReadFileSystem
  /** Device -> what may be held on it. */
  readonly #bytesMax = new Map<number, number>()

  constructor(clock: Clock, fs: ReadFileSystem) {
    this.#clock = clock
    this.#fs = fs
  }

  /** Gives up what is over the limits, the longest unlinked first. */
  apply(lineages: readonly Lineage[]): void {
    const held: Held[] = []
    for (const lineage of lineages) {
      for (const file of lineage.files) {
        if (file.fd >= 0 && file.unlinkedAt !== null) held.push({ file, lineage, since: file.unlinkedAt })
      }
    }
    if (held.length === 0) {
      this.#bytesMax.clear() // a file system may have grown until the next time
      return
    }
    held.sort((a, b) => b.since - a.since)
    const now = this.#clock.monotonic()
    const bytesOn = new Map<number, number>()
    let bytes = 0
    for (const { file, lineage, since } of held) {
      const { dev, sizeSeen } = file
      const onDevice = (bytesOn.get(dev) ?? 0) + sizeSeen
      if (now - since > HELD_MS_MAX) lineage.giveUp(file, CAUSE_TIME)
      else if (bytes + sizeSeen > HELD_BYTES_MAX) lineage.giveUp(file, CAUSE_BYTES)
      else if (onDevice > this.#maxOn(file)) lineage.giveUp(file, CAUSE_SHARE)
      else {
        // What is given up is free: a smaller one that was deleted before it may stay.
        bytes += sizeSeen
        bytesOn.set(dev, onDevice)
      }
    }
  }

  #maxOn({ dev, path }: TailedFile): number {
    const known = this.#bytesMax.get(dev)
    if (known !== undefined) return known
    const bytesMax = HELD_SHARE_MAX * this.#fileSystemBytes(dev, dirname(path))
    this.#bytesMax.set(dev, bytesMax)
    return bytesMax
  }

  /** The size of a device, by the nearest directory that is still there; infinite when it cannot be told. */
  #fileSystemBytes(dev: number, directory: string): number {
    for (let path = directory; ; path = dirname(path)) {
      try {
        const stat = this.#fs.stat(path)
        if (stat !== null) return stat.dev === dev ? this.#fs.fileSystemBytes(path) : Number.POSITIVE_INFINITY
      } catch {
        return Number.POSITIVE_INFINITY // then 1 GiB has to do
      }
      if (path === dirname(path)) return Number.POSITIVE_INFINITY
    }
  }
}
