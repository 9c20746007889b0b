// The judge of a delivery: given what writers wrote (numbered lines, sample-line.ts) and every entry that a store
// accepted, it says what is missing, there twice, damaged or out of order. What it keeps per writer is the ranges of
// sequence numbers seen and 4 bytes for each of the last million lines, which tell a harmless repeat from a duplicate.
import { crc32 } from 'node:zlib'
import { readSampleLine, type SampleLine } from './sample-line.ts'

export { sampleLine } from './sample-line.ts'

/** First and last sequence number, both included. */
export type SequenceRange = [first: number, last: number]

export interface VerifierReport {
  /** Lines that were to come, and those of them that came. */
  expected: number
  seen: number
  missing: number
  /** Per writer that misses any, at most 100 ranges each. */
  missingRanges: Record<string, SequenceRange[]>
  /** A line seen again with another timestamp, labels, metadata or content: two entries in the store. */
  duplicates: number
  /** The very same entry pushed again: one entry in the store. */
  repeats: number
  /** Seen again, but so long ago that what it was is forgotten: a repeat or a duplicate. */
  repeatsUnchecked: number
  /** Lines that are none of ours or whose checksum is wrong. */
  corrupt: number
  /** Lines, at their first sight, behind a later one of the same writer in the same stream. */
  outOfOrder: number
  /** Lines of unknown writers or beyond a writer's last. */
  unexpected: number
  /** The first few of each trouble in words. */
  examples: string[]
  /** Nothing is missing, duplicate, corrupt, out of order or unexpected. */
  exact: boolean
}

interface Writer {
  lastSequence: number
  seen: SequenceSet
  prints: Prints
  /** By stream: the highest sequence seen. */
  highest: Map<number, number>
}

const PRINTS_MAX = 1 << 20
const RANGES_TOLD_MAX = 100
const EXAMPLES_MAX = 20

export class Verifier {
  #writers = new Map<string, Writer>()
  #streamIds = new Map<string, number>()
  #streamIdOf = new WeakMap<object, number>()
  #counts = { duplicates: 0, repeats: 0, repeatsUnchecked: 0, corrupt: 0, outOfOrder: 0 }
  #examples: string[] = []

  /** Says that `writer` wrote the lines 1 to `lastSequence`. May be said again with a higher number. */
  expect(writer: string | number, lastSequence: number): void {
    const known = this.#writer(String(writer))
    known.lastSequence = Math.max(known.lastSequence, lastSequence)
  }

  /** Takes an entry that the store accepted, in the order of arrival. The arguments are those of the receiver's `onEntry`. */
  see(
    labels: Readonly<Record<string, string>>,
    timestampNs: bigint,
    line: Buffer,
    metadata: Readonly<Record<string, string>> = {},
    tenant = '',
  ): void {
    const sample = readSampleLine(line)
    if (sample === null) {
      this.#note('corrupt', `${line.length} bytes: ${line.toString('latin1', 0, 60)}`)
      return
    }
    const writer = this.#writer(sample.writer)
    const { sequence } = sample
    const streamId = this.#streamId(labels, tenant)
    const print = printOf(streamId, timestampNs, sample, line.length, metadata)
    if (writer.seen.add(sequence)) {
      writer.prints.set(sequence, print)
      const highest = writer.highest.get(streamId) ?? 0
      if (sequence > highest) writer.highest.set(streamId, sequence)
      else this.#note('outOfOrder', `w=${sample.writer} n=${sequence} after n=${highest}`)
      return
    }
    const first = writer.prints.get(sequence)
    if (first === undefined) this.#counts.repeatsUnchecked++
    else if (first === print) this.#counts.repeats++
    else this.#note('duplicates', `w=${sample.writer} n=${sequence} at ${timestampNs} in ${JSON.stringify(labels)}`)
  }

  /** How it stands. Cheap enough to be asked every second. */
  report(): VerifierReport {
    let expected = 0
    let seen = 0
    let missing = 0
    let unexpected = 0
    const missingRanges: Record<string, SequenceRange[]> = {}
    for (const [name, writer] of this.#writers) {
      const arrived = writer.seen.countUpTo(writer.lastSequence)
      expected += writer.lastSequence
      seen += arrived
      unexpected += writer.seen.count - arrived
      if (arrived === writer.lastSequence) continue
      missing += writer.lastSequence - arrived
      missingRanges[name] = writer.seen.gapsUpTo(writer.lastSequence, RANGES_TOLD_MAX)
    }
    const { duplicates, corrupt, outOfOrder } = this.#counts
    const exact = missing + unexpected + duplicates + corrupt + outOfOrder === 0
    return { expected, seen, missing, missingRanges, ...this.#counts, unexpected, examples: [...this.#examples], exact }
  }

  #writer(name: string): Writer {
    let writer = this.#writers.get(name)
    if (writer === undefined) {
      writer = { lastSequence: 0, seen: new SequenceSet(), prints: new Prints(), highest: new Map() }
      this.#writers.set(name, writer)
    }
    return writer
  }

  /** The same for equal label sets of a tenant; quick for the same object. */
  #streamId(labels: object, tenant: string): number {
    let id = this.#streamIdOf.get(labels)
    if (id === undefined) {
      const key = JSON.stringify([tenant, Object.entries(labels).sort()])
      id = this.#streamIds.get(key) ?? this.#streamIds.size
      this.#streamIds.set(key, id)
      this.#streamIdOf.set(labels, id)
    }
    return id
  }

  #note(trouble: 'corrupt' | 'outOfOrder' | 'duplicates', example: string): void {
    this.#counts[trouble]++
    if (this.#examples.length < EXAMPLES_MAX) this.#examples.push(`${trouble}: ${example}`)
  }
}

/** What an entry is to the store, in 32 bits. */
function printOf(
  streamId: number,
  timestampNs: bigint,
  { checksum }: SampleLine,
  lineBytes: number,
  metadata: Readonly<Record<string, string>>,
): number {
  let text = `${streamId} ${timestampNs} ${checksum} ${lineBytes}`
  for (const name in metadata) text += `\0${name}\0${metadata[name]}`
  return crc32(text)
}

/** The prints of the latest sequence numbers: a ring that grows to PRINTS_MAX. */
class Prints {
  #ring = new Uint32Array(1024)
  #highest = 0

  set(sequence: number, print: number): void {
    this.#highest = Math.max(this.#highest, sequence)
    if (this.#highest >= this.#ring.length && this.#ring.length < PRINTS_MAX) this.#grow()
    if (sequence > this.#highest - this.#ring.length) this.#ring[sequence % this.#ring.length] = print
  }

  /** Undefined when forgotten. Only for sequences that were set. */
  get(sequence: number): number | undefined {
    return sequence > this.#highest - this.#ring.length ? this.#ring[sequence % this.#ring.length] : undefined
  }

  /** Until the ring is full-grown no index has wrapped, so that a plain copy keeps every place. */
  #grow(): void {
    let length = this.#ring.length
    while (length <= this.#highest && length < PRINTS_MAX) length *= 2
    const grown = new Uint32Array(length)
    grown.set(this.#ring)
    this.#ring = grown
  }
}

/** Whole numbers as sorted ranges that neither overlap nor touch. */
export class SequenceSet {
  #ranges: SequenceRange[] = []
  count = 0

  /** False when it was there. */
  add(sequence: number): boolean {
    const ranges = this.#ranges
    const index = this.#indexOf(sequence)
    const before = ranges[index - 1]
    if (before !== undefined && sequence <= before[1]) return false
    this.count++
    const after = ranges[index]
    const joinsBefore = before !== undefined && before[1] === sequence - 1
    const joinsAfter = after !== undefined && after[0] === sequence + 1
    if (joinsBefore && joinsAfter) {
      before[1] = after[1]
      ranges.splice(index, 1)
    } else if (joinsBefore) before[1] = sequence
    else if (joinsAfter) after[0] = sequence
    else ranges.splice(index, 0, [sequence, sequence])
    return true
  }

  /** How many of 1 to `last` are in. */
  countUpTo(last: number): number {
    let count = 0
    for (const [from, to] of this.#ranges) count += Math.max(0, Math.min(to, last) - Math.max(from, 1) + 1)
    return count
  }

  /** The ranges of 1 to `last` that are not in, at most `rangesMax`. */
  gapsUpTo(last: number, rangesMax: number): SequenceRange[] {
    const gaps: SequenceRange[] = []
    let next = 1
    for (const [from, to] of [...this.#ranges, [last + 1, last + 1] as const]) {
      if (from > next && next <= last) gaps.push([next, Math.min(from - 1, last)])
      next = Math.max(next, to + 1)
      if (gaps.length >= rangesMax) break
    }
    return gaps
  }

  /** Index of the first range that begins after `sequence`; nearly always the end. */
  #indexOf(sequence: number): number {
    let low = 0
    let high = this.#ranges.length
    if (high === 0 || this.#ranges[high - 1]![0] <= sequence) return high
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#ranges[middle]![0] <= sequence) low = middle + 1
      else high = middle
    }
    return low
  }
}
