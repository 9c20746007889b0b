// The streams of a lane of audit events, one for each stage and verb. The records of a shipment lie in one part, in runs of
// neighbours that belong to one stream; each stream is pushed for itself, in pushes of a batch at most, and the watermark moves
// when all of them are settled. What a failed attempt had delivered of some of them is remembered and not pushed again. Bound: STAGES times
// VERBS streams a lane, whatever verbs clients think up.
import { STAGE, VERB } from '../../audit/event.ts'
import { KnownBytes } from '../../audit/known.ts'
import { STAGES } from '../../audit/policy/policy.ts'
import type { Part } from '../../batch/part.ts'
import type { Entry, Facts } from '../../core/entry.ts'
import { AUDIT_JOB, type Labels } from '../../core/labels.ts'
import { compressByPackage, type Snappy, unpack } from './snappy.ts'
import { LokiStream } from './stream.ts'
import { closeStream } from './wire.ts'

export const VERBS = [
  'get',
  'list',
  'watch',
  'create',
  'update',
  'patch',
  'delete',
  'deletecollection',
  'post',
  'put',
  'head',
  'options',
  'connect',
  'proxy',
]
const OTHER = 'other'
/**
 * As many batches are read of a backlog, for pushes that are nearly full: each has its price, whatever it holds. Twice as many after
 * each time that went well, and one after a failure: what is read and refused is read again.
 */
const BATCHES_FIRST = 4
const BATCHES_MAX = 16
/** A run of records that are noted one by one is no longer than this part of a push. */
const RUN_ONE_OF = 4
/** Number of records that were delivered by an earlier attempt. */
const DELIVERED = 254

/** Neighbours in a part that belong to one stream. */
export interface Run {
  number: number
  /** The first record, and where it begins in the part. */
  record: number
  start: number
  /** The bytes that lie there compressed (snappy.ts); 0: they lie there as they are. */
  packedBytes: number
  /** Where the last one is from. */
  file: object | null
  offset: number
}

/** What one push holds of a shipment's records of one stream, in their order. */
export interface AuditGroup {
  stream: LokiStream
  number: number
  /** Of its stream message. */
  bytes: number
  /** Indexes of its runs. */
  runs: number[]
  /** What comes after it of the same stream. */
  next: AuditGroup | null
}

export class AuditStreams {
  /** By number; 0 and 1 are for lines that are no events. */
  readonly streams: LokiStream[]
  readonly #labels: Labels
  /** Places of stages and verbs in what the numbers are found by. */
  readonly #stages = new KnownBytes<number>(6)
  readonly #verbs = new KnownBytes<number>(6)
  /** By stage and verb; -1 for none yet. */
  readonly #byPlaces = new Int16Array((STAGES.length + 1) * (VERBS.length + 1)).fill(-1)
  /** By part. */
  readonly #runs: readonly [Run[], Run[]] = [[], []]
  /** Of a push. */
  readonly bytesMax: number
  /** What was noted is being shipped: what comes next is of another shipment. */
  #isShipped = true
  readonly #snappy: Snappy | null
  #batches = BATCHES_FIRST

  /** `snappy`: null where there is none; then nothing lies compressed in a part. */
  constructor(
    labels: Labels,
    others: readonly [LokiStream, LokiStream],
    bytesMax: number,
    snappy: Snappy | null = null,
  ) {
    this.#snappy = snappy
    this.#labels = { ...withoutSource(labels), job: AUDIT_JOB }
    this.bytesMax = bytesMax
    this.streams = [...others]
  }

  /** Before the first record of a part. */
  begin(): void {
    if (!this.#isShipped) return
    this.#isShipped = false
    for (const runs of this.#runs) runs.length = 0
    for (const stream of this.streams) stream.begin()
  }

  /** The shipment is filled, and sent now. */
  shipping(): void {
    this.#isShipped = true
  }

  /** Notes the record that the part gets next, and its time in its stream. */
  note(part: Part, { audit, stream, file, offset, seconds }: Entry): void {
    const number = this.#noted(audit === null ? stream : this.#numberOf(audit), file, offset, seconds)
    const run = this.#runs[stream as 0 | 1].at(-1)
    const mayGrow = run?.packedBytes === 0 && part.end - run.start < this.bytesMax / RUN_ONE_OF
    if (mayGrow && run.number === number) {
      run.file = file
      run.offset = offset
    } else {
      const { count: record, end: start } = part
      this.noteRun(stream as 0 | 1, { number, record, start, packedBytes: 0, file, offset })
    }
  }

  /**
   * The same for an event that is taken with others, by the places of its stage and its verb in their lists. Returns the
   * number of the run that it belongs to (`noteRun`).
   */
  noteTaken(stage: number, verb: number, file: object, offset: number, seconds: number): number {
    return this.#noted(this.#numberAt(stage, verb), file, offset, seconds)
  }

  /** The same for many of one stage and verb, while none was delivered before (`hasStored`). */
  noteMany(stage: number, verb: number, oldest: number, newest: number): number {
    const number = this.#numberAt(stage, verb)
    const stream = this.streams[number] as LokiStream
    stream.note(oldest)
    stream.note(newest)
    return number
  }

  /** An attempt that failed had delivered of some streams what is read again now. */
  get hasStored(): boolean {
    return this.streams.some((stream) => stream.remembersStored)
  }

  /** Notes what comes next in the part. */
  noteRun(index: 0 | 1, run: Run): void {
    this.#runs[index].push(run)
  }

  #noted(number: number, file: object | null, offset: number, seconds: number): number {
    const stream = this.streams[number] as LokiStream
    if (file !== null && stream.hasStored(file, offset)) return DELIVERED
    stream.note(seconds)
    return number
  }

  /** What a part holds up to `end`, push by push: the first one of each stream. That is left out that was delivered before. */
  groups(index: 0 | 1, end: number): AuditGroup[] {
    const firsts: AuditGroup[] = []
    const lasts = new Map<number, AuditGroup>()
    const runs = this.#runs[index]
    for (const [at, { number, start, packedBytes }] of runs.entries()) {
      if (number === DELIVERED) continue
      const bytes = packedBytes || (runs[at + 1]?.start ?? end) - start
      const last = lasts.get(number)
      if (last !== undefined && last.bytes + bytes <= this.bytesMax) {
        last.bytes += bytes
        last.runs.push(at)
        continue
      }
      const stream = this.streams[number] as LokiStream
      const group = { stream, number, bytes: stream.header.length + bytes, runs: [at], next: null }
      if (last === undefined) firsts.push(group)
      else last.next = group
      lasts.set(number, group)
    }
    return firsts
  }

  /** How much more a shipment with these parts takes. */
  bytesLeft(parts: readonly [Part, Part]): number {
    return this.#batches * this.bytesMax - parts[0].size - parts[1].size
  }

  /** The records of a group, the part's last one being the one before `end`. */
  recordsOf(index: 0 | 1, group: AuditGroup, end: number): number[] {
    const records: number[] = []
    const runs = this.#runs[index]
    for (const at of group.runs) {
      for (let record = runs[at]!.record; record < (runs[at + 1]?.record ?? end); record++) records.push(record)
    }
    return records
  }

  /** Notes that all of a group was delivered, by an attempt of which others may fail. */
  stored(index: 0 | 1, { stream, runs }: AuditGroup): void {
    const { file, offset } = this.#runs[index][runs.at(-1)!]!
    if (file !== null) stream.stored(file, offset)
  }

  /** The stream messages of groups, one after the other, whose records lie in the part up to `end`, as a block for a push. */
  block(index: 0 | 1, part: Part, end: number, groups: readonly AuditGroup[]): Buffer {
    const snappy = this.#snappy
    if (snappy === null)
      return compressByPackage(Buffer.concat(groups.map((group) => this.message(index, part, end, group))))
    snappy.begin(groups.reduce((sum, { bytes }) => sum + bytes, 0))
    for (const { stream, bytes, runs } of groups) {
      const header = Buffer.from(stream.header)
      closeStream(header, 0, bytes)
      snappy.add(header)
      for (const run of runs) {
        const records = this.#bytesOf(index, part, end, run)
        if (this.#runs[index][run]!.packedBytes > 0) snappy.addPacked(records)
        else snappy.add(records)
      }
    }
    return snappy.end()
  }

  /** The same of one group, before compression. */
  message(index: 0 | 1, part: Part, end: number, { stream, bytes, runs }: AuditGroup): Buffer {
    const message = Buffer.concat([stream.header, ...runs.map((run) => this.#entriesOf(index, part, end, run))], bytes)
    closeStream(message, 0, bytes)
    return message
  }

  /** All entries in the part up to `end`, in the order of their records, run by run. */
  *entries(index: 0 | 1, part: Part, end: number): Generator<Buffer> {
    for (const run of this.#runs[index].keys()) yield this.#entriesOf(index, part, end, run)
  }

  #entriesOf(index: 0 | 1, part: Part, end: number, run: number): Buffer {
    const bytes = this.#bytesOf(index, part, end, run)
    const { packedBytes } = this.#runs[index][run]!
    return packedBytes > 0 ? unpack(bytes, packedBytes) : bytes
  }

  /** What lies in the part of a run. */
  #bytesOf(index: 0 | 1, part: Part, end: number, run: number): Buffer {
    const runs = this.#runs[index]
    return part.buffer.subarray(runs[run]!.start, runs[run + 1]?.start ?? end)
  }

  /** An attempt has failed: the next ones read less at once. */
  failed(): void {
    this.#batches = 1
  }

  /** All of the segment is settled: its records will not come again. */
  settled(): void {
    this.#batches = Math.min(BATCHES_MAX, 2 * this.#batches)
    if (!this.hasStored) return
    const last = new Map<object, number>()
    for (const { file, offset } of this.#runs.flat()) {
      if (file !== null) last.set(file, Math.max(offset, last.get(file) ?? offset))
    }
    for (const [file, offset] of last) for (const stream of this.streams) stream.passed(file, offset)
  }

  #numberOf(facts: Facts): number {
    return this.#numberAt(placeOf(this.#stages, STAGES, facts, STAGE), placeOf(this.#verbs, VERBS, facts, VERB))
  }

  #numberAt(stage: number, verb: number): number {
    const place = stage * (VERBS.length + 1) + verb
    let number = this.#byPlaces[place]!
    if (number < 0) {
      const labels = { stage: STAGES[stage] ?? OTHER, verb: VERBS[verb] ?? OTHER }
      number = this.streams.push(new LokiStream({ ...this.#labels, ...labels })) - 1
      this.#byPlaces[place] = number
    }
    return number
  }
}

/** Where a fact's text is in a list; behind its end when it is not. */
function placeOf(known: KnownBytes<number>, list: readonly string[], facts: Facts, fact: number): number {
  const { buffer } = facts
  const start = facts.startOf(fact)
  const end = facts.endOf(fact)
  let place = known.find(buffer, start, end)
  if (place === undefined) {
    const found = list.indexOf(facts.text(fact))
    place = found < 0 ? list.length : found
    known.add(buffer, start, end, place)
  }
  return place
}

/** The sink's constants: what is not the label of a container or its file. */
function withoutSource(labels: Labels): Labels {
  const { namespace, pod, container, app, job, filename, stream, ...rest } = labels
  return rest
}
