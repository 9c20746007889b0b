// What a checker is: an object of its own that watches one promise to one sink, is told of what happens in a world, and
// says so when the promise is broken. It knows the truth (truth.ts) and what the agent lets everybody see, and nothing of its insides.
import type { Agent } from '../../src/agent.ts'
import type { Position } from '../../src/checkpoint/position.ts'
import type { AgentEvents, EventName } from '../../src/core/events.ts'
import type { Faults } from './faults.ts'
import type { Life } from './life.ts'
import type { SimClock } from './sim-clock.ts'
import type { SimSink, StoredRecord } from './sink.ts'
import type { End, Truth, TruthLine } from './truth.ts'

export interface SavedPosition {
  sink: string
  lineage: string
  position: Position
}

export interface CheckerDeps {
  clock: SimClock
  truth: Truth
  faults: Faults
  /** Whose records it looks at. What concerns other sinks it is not told. */
  sink: SimSink
  /** What became of the line there. */
  endOf: (line: TruthLine) => End
  /** The line of a dead letter that is on the disk now, by its text. */
  deadLetters: () => readonly DeadLetterOnDisk[]
  /** The promise is broken. */
  fail: (message: string) => void
}

export interface DeadLetterOnDisk {
  reason: string
  line: Buffer
}

export interface Checker {
  readonly name: string
  /** The sink has stored a record; `line` is what it is, null for what is no line (a gap record, a piece of one). */
  stored?(record: StoredRecord, line: TruthLine | null, isRepeat: boolean, life: Life | null): void
  /** A record was taken for a repeat of another one, and is nowhere. */
  hidden?(record: StoredRecord, behind: StoredRecord): void
  /** A process has begun with these checkpoints. */
  opened?(life: Life, positions: readonly SavedPosition[]): void
  /** The agent sets a checkpoint. */
  checkpoint?(life: Life, lineage: string, position: Position): void
  event?(life: Life, name: EventName, detail: AgentEvents[EventName]): void
  /** After everything that happened at one time. */
  tick?(life: Life, agent: Agent): void
  killed?(life: Life, isPowerCut: boolean): void
  /** Everything has come to rest, or time has run out. */
  ended?(life: Life | null): void
}

/** Tells all checkers that it concerns. */
export interface Observers {
  opened(life: Life, positions: readonly SavedPosition[]): void
  checkpoint(life: Life, sink: string, lineage: string, position: Position): void
  event<Name extends EventName>(life: Life, name: Name, detail: AgentEvents[Name]): void
  fail(checker: string, message: string): void
}
