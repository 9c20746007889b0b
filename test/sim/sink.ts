// The far end of a simulated world: what every kind of sink must offer, so that another kind is one more file.
import type { Draw } from './draw.ts'
import type { Faults } from './faults.ts'
import type { SimClock } from './sim-clock.ts'
import type { SimNetwork } from './sim-network.ts'
import type { Trace } from './trace.ts'
import type { TruthLine } from './truth.ts'

export interface SinkDeps {
  clock: SimClock
  draw: Draw
  faults: Faults
  trace: Trace
  receiver: Receiver
}

/** Is told of every record that is stored, repeats included, at the moment when it is; of a repeat what lies stored. */
export interface Receiver {
  stored(record: StoredRecord): void
  /** Was sent, and taken for a repeat of what lies stored, which is another line. */
  hidden(record: StoredRecord, behind: StoredRecord): void
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
  readonly name: string
  /** Requests to these go to it. */
  readonly origins: readonly string[]
  /** As it stands under `sinks` in a configuration file. */
  readonly settings: Record<string, unknown>
  readonly network: SimNetwork
  /** Whether what was written first has to be stored first. */
  readonly keepsOrder: boolean
  /** Whether it may refuse the line for its own sake, for that reason. */
  mayRefuse(line: TruthLine, reason: string): boolean
}
