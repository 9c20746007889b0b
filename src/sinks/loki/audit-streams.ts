// The streams of a lane of audit events, one for each stage and verb. The records of a shipment lie in one part, in runs of
// neighbours that belong to one stream; each stream is pushed for itself, and the watermark moves when all of them are
// settled. What a failed attempt had delivered of some of them is remembered and not pushed again. Bound: STAGES times
// VERBS streams a lane, whatever verbs clients think up.
import { STAGE, VERB } from '../../audit/event.ts'
import { KnownBytes } from '../../audit/known.ts'
import { STAGES } from '../../audit/policy/policy.ts'
import type { Part } from '../../batch/part.ts'
import type { Entry, Facts } from '../../core/entry.ts'
import { AUDIT_JOB, type Labels } from '../../core/labels.ts'
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
/** More is given back: a shipment has that much when its last record was a long one. */
const BODY_KEPT_BYTES_MAX = 2 * 1024 * 1024
/** Number of records that were delivered by an earlier attempt. */
const DELIVERED = 254
/** Numbers of a run: of its stream, its first record, and where that begins in the part. */
const RUN = 3

/** What a shipment holds of one stream. */
export interface AuditGroup {
  stream: LokiStream
  number: number
  /** Of its stream message. */
  bytes: number
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
  readonly #runs: readonly [number[], number[]] = [[], []]
  /** What was noted is being shipped: what comes next is of another shipment. */
  #isShipped = true
  /** What stream messages are put together in. */
  #body: Buffer = Buffer.allocUnsafeSlow(0)

  constructor(labels: Labels, others: readonly [LokiStream, LokiStream]) {
    this.#labels = { ...withoutSource(labels), job: AUDIT_JOB }
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
    const number = audit === null ? stream : this.#numberOf(audit)
    this.noteRun(stream as 0 | 1, this.#noted(number, file, offset, seconds), part.count, part.end)
  }

  /**
   * The same for an event that is taken with others, by the places of its stage and its verb in their lists. Returns the
   * number of the run that it belongs to (`noteRun`).
   */
  noteTaken(stage: number, verb: number, file: object, offset: number, seconds: number): number {
    return this.#noted(this.#numberAt(stage, verb), file, offset, seconds)
  }

  /** Notes that records with this number lie in the part from `record` on, which begins at `start`. */
  noteRun(index: 0 | 1, number: number, record: number, start: number): void {
    const runs = this.#runs[index]
    if (runs.length === 0 || runs[runs.length - RUN] !== number) runs.push(number, record, start)
  }

  #noted(number: number, file: object | null, offset: number, seconds: number): number {
    const stream = this.streams[number] as LokiStream
    if (file !== null && stream.hasStored(file, offset)) return DELIVERED
    stream.note(seconds)
    stream.pendingFile = file
    stream.pendingOffset = offset
    return number
  }

  /** What a part holds up to `end`, by stream; that is left out that was delivered before. */
  groups(index: 0 | 1, end: number): AuditGroup[] {
    const groups = new Map<number, AuditGroup>()
    const runs = this.#runs[index]
    for (let at = 0; at < runs.length; at += RUN) {
      const number = runs[at]!
      if (number === DELIVERED) continue
      let group = groups.get(number)
      if (group === undefined) {
        const stream = this.streams[number] as LokiStream
        group = { stream, number, bytes: stream.header.length }
        groups.set(number, group)
      }
      group.bytes += (runs[at + RUN + 2] ?? end) - runs[at + 2]!
    }
    return [...groups.values()]
  }

  /** How much more a shipment with these parts takes, of which no stream is to have more than `bytesMax`, and all twice as much. */
  bytesLeft(parts: readonly [Part, Part], bytesMax: number): number {
    let left = 2 * bytesMax - parts[0].end - parts[1].end
    for (const index of [0, 1] as const) {
      for (const { bytes } of this.groups(index, parts[index].end)) left = Math.min(left, bytesMax - bytes)
    }
    return left
  }

  /** The records of a group, the part's last one being the one before `end`. */
  recordsOf(index: 0 | 1, { number }: AuditGroup, end: number): number[] {
    const records: number[] = []
    const runs = this.#runs[index]
    for (let at = 0; at < runs.length; at += RUN) {
      if (runs[at] !== number) continue
      for (let record = runs[at + 1]!; record < (runs[at + RUN + 1] ?? end); record++) records.push(record)
    }
    return records
  }

  /**
   * The stream messages of groups, one after the other, whose records lie in the part up to `end`: what is pushed. Good
   * until the next call: the memory is one and the same, because hundreds of pushes a second would each leave theirs to a
   * later collection.
   */
  body(index: 0 | 1, part: Part, end: number, groups: readonly AuditGroup[]): Buffer {
    const runs = this.#runs[index]
    const bytesMax = groups.reduce((sum, { bytes }) => sum + bytes, 0)
    if (this.#body.length < bytesMax) this.#body = moved(this.#body, bytesMax)
    const body = this.#body
    let at = 0
    for (const { stream, number } of groups) {
      const from = at
      at += stream.header.copy(body, at)
      for (let run = 0; run < runs.length; run += RUN) {
        if (runs[run] !== number) continue
        at += part.buffer.copy(body, at, runs[run + 2]!, runs[run + RUN + 2] ?? end)
      }
      closeStream(body, from, at)
    }
    return body.subarray(0, at)
  }

  /** All of the segment is settled: a record will not come again. */
  settled(): void {
    if (this.#body.length > BODY_KEPT_BYTES_MAX) this.#body = moved(this.#body, 0)
    for (const stream of this.streams) stream.forgetStored()
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

/** Larger memory; the old one is given back at once. */
function moved(old: Buffer, bytes: number): Buffer {
  return Buffer.from((old.buffer as ArrayBuffer).transfer(bytes))
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
