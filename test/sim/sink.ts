// The far end of a simulated world: what every kind of sink must offer, so that another kind is one more file.
import type { HttpClientFactory } from '../../src/ports/http.ts'
import type { Draw } from './draw.ts'
import type { Faults } from './faults.ts'
import type { SimClock } from './sim-clock.ts'
import type { Trace } from './trace.ts'

export interface SinkDeps {
  clock: SimClock
  draw: Draw
  faults: Faults
  trace: Trace
  receiver: Receiver
}

/** Is told of every record that is stored, repeats included, at the moment when it is. */
export interface Receiver {
  stored(record: StoredRecord): void
}

export interface StoredRecord {
  /** Number of the process that sent it. */
  sender: number
  /** What the record is known by apart from its line: the stream that it is in. Equal for equal streams. */
  stream: string
  late: boolean
  timestampNs: bigint
  line: Buffer
  metadata: Readonly<Record<string, string>>
}

export interface SimSink {
  /** As it stands under `sinks` in a configuration file. */
  readonly settings: Record<string, unknown>
  /** Makes clients for one process. */
  clientsOf(sender: number): HttpClientFactory
  /** Whether faults happen now, and which weather there is. */
  storm(isStorming: boolean): void
  /** No faults any more, for good; what is a record's own fault stays so. */
  heal(): void
}
