// The demo's account: what the containers wrote against what the receiver accepted, line by line. Numbered lines are the
// Verifier's; equal lines can only be counted, and a store keeps two of them apart by their times alone.
import type { Writer } from './container-log.ts'
import type { OnEntry } from './loki-store.ts'
import { EQUAL_LINE } from './messages.ts'
import { type SequenceRange, Verifier } from './verifier.ts'

export interface AccountReport {
  /** Lines that must have come by now. */
  expected: number
  /** Lines that came. */
  verified: number
  missing: number
  /** In the store twice. */
  duplicate: number
  corrupt: number
  outOfOrder: number
  /** Pushed twice, but one entry in the store. */
  repeats: number
  /** The first few of each trouble in words. */
  examples: string[]
  /** All is there, whole, once and in order. */
  exact: boolean
}

type Written = Pick<Writer, 'lastSequence' | 'equalLines'>

interface Equal {
  written: number
  arrived: number
  /** Arrived with a time at which the stream had one already: a store makes one entry of them. */
  merged: number
}

export class Account {
  readonly #verifier = new Verifier()
  readonly #equal = new Map<string, Equal>()
  /** Per stream, by the receiver's labels object: the time of the last equal line. */
  readonly #equalAt = new WeakMap<object, bigint>()

  /** Takes an accepted entry; the receiver's `onEntry`. */
  readonly see: OnEntry = (labels, timestampNs, line, metadata, tenant) => {
    if (!line.equals(EQUAL_LINE)) return this.#verifier.see(labels, timestampNs, line, metadata, tenant)
    const equal = this.#equalOf(`${labels.namespace}/${labels.pod}/${labels.container}`)
    const last = this.#equalAt.get(labels)
    if (last !== undefined && timestampNs <= last) equal.merged++
    else {
      equal.arrived++
      this.#equalAt.set(labels, timestampNs)
    }
  }

  /** Says what must have arrived by now, by writer. */
  expect(written: ReadonlyMap<string, Written>): void {
    for (const [name, { lastSequence, equalLines }] of written) {
      this.#verifier.expect(name, lastSequence)
      const equal = this.#equalOf(name)
      equal.written = Math.max(equal.written, equalLines)
    }
  }

  /** How it stands. `final`: nothing more is to come, so that what is there beyond `expect` is too much. */
  report(final: boolean): AccountReport {
    const lines = this.#verifier.report()
    const report = {
      expected: lines.expected,
      verified: lines.seen + (final ? 0 : lines.unexpected),
      missing: lines.missing,
      duplicate: lines.duplicates + (final ? lines.unexpected : 0),
      corrupt: lines.corrupt,
      outOfOrder: lines.outOfOrder,
      repeats: lines.repeats + lines.repeatsUnchecked,
      examples: [...Object.entries(lines.missingRanges).map(missingText), ...lines.examples],
    }
    for (const [name, { written, arrived, merged }] of this.#equal) {
      report.expected += written
      report.verified += final ? Math.min(arrived, written) : arrived
      report.missing += Math.max(0, written - arrived)
      report.repeats += merged
      if (final) report.duplicate += Math.max(0, arrived - written)
      if (final && written !== arrived) report.examples.push(`equal lines: ${name} wrote ${written}, ${arrived} came`)
    }
    const exact = report.missing + report.duplicate + report.corrupt + report.outOfOrder === 0
    return { ...report, exact }
  }

  #equalOf(name: string): Equal {
    let equal = this.#equal.get(name)
    if (equal === undefined) {
      equal = { written: 0, arrived: 0, merged: 0 }
      this.#equal.set(name, equal)
    }
    return equal
  }
}

function missingText([writer, ranges]: [string, SequenceRange[]]): string {
  const first = ranges.slice(0, 3).map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`))
  return `missing: w=${writer} n=${first.join(', ')}${ranges.length > 3 ? ', …' : ''}`
}

/** What was written, looked at a while ago: by now it should have arrived. */
export class Overdue {
  readonly #delayMs: number
  #snapshots: { at: number; written: Map<string, Written> }[] = []

  constructor(delayMs: number) {
    this.#delayMs = delayMs
  }

  /** Takes a snapshot and gives the latest one that is old enough, or null. */
  next(writers: ReadonlyMap<string, Writer>, now: number): ReadonlyMap<string, Written> | null {
    this.#snapshots.push({ at: now, written: new Map([...writers].map(([name, writer]) => [name, { ...writer }])) })
    const old = this.#snapshots.filter(({ at }) => at <= now - this.#delayMs)
    this.#snapshots = this.#snapshots.slice(old.length)
    return old.at(-1)?.written ?? null
  }
}
