// What had to be hidden in parts that events have in common: who sent them, their status, their annotations. Where the same
// bytes stand again they are not looked through again. Invariant: what is told of them is what the whole way would find, so
// they are remembered only of events that went it. Bound: a few hundred values of at most 1 KiB.
import type { Edits, Replacement } from './edits.ts'
import { ANNOTATIONS, type EventFacts, RESPONSE_STATUS, USER } from './event.ts'
import { ROW, SAME_ANNOTATIONS } from './found.ts'
import { KnownBytes } from './known.ts'
import { IS_ABOUT_SECRETS } from './redact/roles.ts'
import type { WalkOptions } from './redact/walk.ts'
import type { Verdicts } from './verdicts.ts'

/** Longer ones are looked through each time. */
const VALUE_BYTES_MAX = 1024
const NOTHING: readonly Replacement[] = []

type Known = KnownBytes<readonly Replacement[]>

export class Repeats {
  readonly #verdicts: Verdicts
  readonly #statusesOfSecrets: Known = new KnownBytes(8, VALUE_BYTES_MAX)
  readonly #statusesOfOthers: Known = new KnownBytes(8, VALUE_BYTES_MAX)
  readonly #annotations: Known = new KnownBytes(10, VALUE_BYTES_MAX)
  /** Of rows that were found together: what was known of their annotations. */
  readonly #rowAnnotations: (readonly Replacement[] | undefined)[] = []
  /** The row that is looked at; -1 for none. */
  #row = -1
  #sameAnnotations = 0

  constructor(verdicts: Verdicts) {
    this.#verdicts = verdicts
  }

  /** The event is the row of `found` that begins at `at`, until `leaveRow`. The rows before it were taken so, too. */
  takeRow(found: Int32Array, at: number): void {
    this.#row = at / ROW
    this.#sameAnnotations = found[at + SAME_ANNOTATIONS]!
    this.#rowAnnotations[this.#row] = undefined
  }

  leaveRow(): void {
    this.#row = -1
  }

  /** What had to be hidden in the same sender before; null: it is not known. */
  sender(facts: EventFacts): readonly Replacement[] | null {
    return this.#verdicts.notesOf(facts.sender!).replacements
  }

  /** The same of the status; undefined: it is not known. */
  status(facts: EventFacts, options: WalkOptions): readonly Replacement[] | undefined {
    return known(facts, RESPONSE_STATUS, this.#statuses(options))
  }

  annotations(facts: EventFacts): readonly Replacement[] | undefined {
    if (this.#row < 0) return known(facts, ANNOTATIONS, this.#annotations)
    const same = this.#sameAnnotations === 0 ? undefined : this.#rowAnnotations[this.#sameAnnotations - 1]
    const annotations = same ?? known(facts, ANNOTATIONS, this.#annotations)
    this.#rowAnnotations[this.#row] = annotations
    return annotations
  }

  /** Remembers what had to be hidden, of an event that went the whole way. Annotations not where they depend on more than their bytes. */
  remember(facts: EventFacts, edits: Edits, options: WalkOptions, withAnnotations: boolean): void {
    const start = facts.startOf(USER)
    this.#verdicts.notesOf(facts.sender!).replacements = edits.within(start, start + facts.sender!.bytes.length)
    remember(facts, RESPONSE_STATUS, this.#statuses(options), edits)
    if (withAnnotations) remember(facts, ANNOTATIONS, this.#annotations, edits)
  }

  /** What is hidden in a status depends on whether the request is about secrets. */
  #statuses({ responseRole }: WalkOptions): Known {
    return (responseRole & IS_ABOUT_SECRETS) !== 0 ? this.#statusesOfSecrets : this.#statusesOfOthers
  }
}

function known(facts: EventFacts, fact: number, values: Known): readonly Replacement[] | undefined {
  return facts.has(fact) ? values.find(facts.buffer, facts.startOf(fact), facts.endOf(fact)) : NOTHING
}

function remember(facts: EventFacts, fact: number, values: Known, edits: Edits): void {
  if (known(facts, fact, values) !== undefined) return
  const start = facts.startOf(fact)
  const end = facts.endOf(fact)
  const replacements = edits.within(start, end)
  if (replacements !== null) values.add(facts.buffer, start, end, replacements)
}
