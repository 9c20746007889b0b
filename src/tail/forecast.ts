// When a reader's sink would lose something: the moment at which the oldest file that is not acknowledged loses its name,
// going by the lineage's rotation (rotation.ts), and how far off that is at the speed at which things are acknowledged.
// It decides who is served first, and is shown to people; nothing else hangs on it.
import type { Lineage } from './lineage.ts'
import { Rate } from './rotation.ts'

export class Forecast {
  /** Monotonic ms; infinite when there is nothing to lose, or nothing known. */
  lossAt = Number.POSITIVE_INFINITY
  readonly #acked: Rate
  #ackedSeen = 0

  constructor(now: number) {
    this.#acked = new Rate(now)
  }

  /** `ackedBytes` in all, null: not known now. `file`: the first that is not acknowledged, of which `lagBytes` are not. */
  look(now: number, ackedBytes: number | null, { files, rotation }: Lineage, file = files[0], lagBytes = 0): void {
    const acked = ackedBytes ?? this.#ackedSeen
    this.#acked.add(acked - this.#ackedSeen, now)
    this.#ackedSeen = acked
    this.lossAt = Number.POSITIVE_INFINITY
    if (file === undefined || file.gone !== null || lagBytes === 0) return
    if (file.unlinkedAt !== null) this.lossAt = file.unlinkedAt
    else if (rotation.written.perMs > 0) {
      this.lossAt = now + rotation.bytesUntilLoss(files, file) / rotation.written.perMs
    }
  }

  /** Seconds, if written and acknowledged as fast as lately; 0 when the name is gone, null when there is no such danger. */
  seconds(now: number, { rotation }: Lineage): number | null {
    if (this.lossAt === Number.POSITIVE_INFINITY) return null
    if (this.lossAt <= now) return 0
    const { perMs } = rotation.written
    const gainedPerMs = perMs - this.#acked.perMs
    return gainedPerMs > 0 ? (((this.lossAt - now) / 1000) * perMs) / gainedPerMs : null
  }
}
