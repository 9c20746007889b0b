// Audit events for Loki: one stream for each stage and verb, and the event's own facts as structured metadata. The lines of
// a shipment lie in the order of the file, each with the number of its stream; each stream is pushed for itself, and the
// watermark moves when all of them are settled. What a failed attempt had delivered of some of them is remembered and not
// pushed again. Bound: STAGES times VERBS streams a lane, whatever verbs clients think up.

import { AUDIT_ID, type EventFacts, NAME, NAMESPACE, RESOURCE, STAGE, USERNAME, VERB } from '../../audit/event.ts'
import { KnownBytes } from '../../audit/known.ts'
import { STAGES } from '../../audit/policy/policy.ts'
import type { Part } from '../../batch/part.ts'
import { type Entry, MARK_INVALID_UTF8 } from '../../core/entry.ts'
import { AUDIT_JOB, type Labels } from '../../core/labels.ts'
import { withMarks } from '../../core/marks.ts'
import type { EntryEncoder } from '../sink.ts'
import { MetadataWriter } from './metadata-writer.ts'
import { type LokiLane, LokiStream } from './stream.ts'
import { closeStream, ENTRY_OVERHEAD_BYTES, encodeMetadata, type Metadata, writeEntry } from './wire.ts'

const VERBS = [
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
/** Of a value in structured metadata; the whole of it is in the line. */
const VALUE_BYTES_MAX = 512
const FACTS = [
  [AUDIT_ID, 'auditID'],
  [USERNAME, 'user'],
  [RESOURCE, 'resource'],
  [NAMESPACE, 'namespace'],
  [NAME, 'name'],
] as const
const METADATA_BYTES_MAX = (FACTS.length + 1) * (VALUE_BYTES_MAX + 32)
const MARKS_BYTES_MAX = 512
/** More is given back: a shipment has that much when its last record was a long one. */
const BODY_KEPT_BYTES_MAX = 2 * 1024 * 1024
/** Number of a record that was delivered by an earlier attempt. */
const DELIVERED = 255

/** Records of one stream in a shipment, as indexes into its part. */
export interface AuditGroup {
  stream: LokiStream
  records: number[]
  /** Of its stream message, once it was made. */
  bytes: number
}

/** The streams of one lane of audit events. */
export class AuditStreams {
  /** By number; 0 and 1 are for lines that are no events. */
  readonly streams: LokiStream[]
  readonly #labels: Labels
  /** Places of stages and verbs in what the numbers are found by. */
  readonly #stages = new KnownBytes<number>(6)
  readonly #verbs = new KnownBytes<number>(6)
  /** By stage and verb; -1 for none yet. */
  readonly #byPlaces = new Int16Array((STAGES.length + 1) * (VERBS.length + 1)).fill(-1)
  /** By part: the stream's number of each record. */
  readonly #records: [Uint8Array, Uint8Array] = [new Uint8Array(1024), new Uint8Array(64)]
  /** By part: where each record begins. */
  readonly #starts: [Int32Array, Int32Array] = [new Int32Array(1024), new Int32Array(64)]
  /** What stream messages are put together in. */
  #body: Buffer = Buffer.allocUnsafeSlow(0)

  constructor(labels: Labels, others: readonly [LokiStream, LokiStream]) {
    const { cluster = '', node_name = '' } = labels
    this.#labels = { ...withoutSource(labels), cluster, node_name, job: AUDIT_JOB }
    this.streams = [...others]
  }

  begin(): void {
    for (const stream of this.streams) stream.begin()
  }

  /** Notes a record of the part, and its time in its stream; gives nothing to push for one that was delivered before. */
  note(part: Part, entry: Entry): void {
    const number = entry.audit === null ? entry.stream : this.#numberOf(entry.audit)
    const stream = this.streams[number] as LokiStream
    const records = this.#recordsOf(entry.stream as 0 | 1, part.count)
    this.#starts[entry.stream as 0 | 1][part.count] = part.end
    if (entry.file !== null && entry.offset <= (stream.storedTo.get(entry.file) ?? -1)) {
      records[part.count] = DELIVERED
      return
    }
    records[part.count] = number
    if (entry.seconds < stream.pendingOldest) stream.pendingOldest = entry.seconds
    if (entry.seconds > stream.pendingNewest) stream.pendingNewest = entry.seconds
    stream.pendingFile = entry.file
    stream.pendingOffset = entry.offset
  }

  /** The records [first, end) of a part by stream, those left out that were delivered before. */
  groups(index: 0 | 1, first: number, end: number): AuditGroup[] {
    const byNumber = new Map<number, AuditGroup>()
    for (let record = first; record < end; record++) {
      const number = this.#records[index][record] as number
      if (number === DELIVERED) continue
      let group = byNumber.get(number)
      if (group === undefined) {
        group = { stream: this.streams[number] as LokiStream, records: [], bytes: 0 }
        byNumber.set(number, group)
      }
      group.records.push(record - first)
    }
    return [...byNumber.values()]
  }

  /**
   * The stream messages of groups, one after the other, whose records lie in the part up to `end`: what is pushed. Good
   * until the next call: the memory is one and the same, because hundreds of pushes a second would each leave theirs to a
   * later collection.
   */
  body(index: 0 | 1, part: Part, first: number, last: number, end: number, groups: readonly AuditGroup[]): Buffer {
    const starts = this.#starts[index]
    const headers = groups.reduce((sum, { stream }) => sum + stream.header.length, 0)
    const bytesMax = headers + end - (first < last ? starts[first]! : end)
    if (this.#body.length < bytesMax) this.#body = moved(this.#body, bytesMax)
    const body = this.#body
    let at = 0
    for (const group of groups) {
      const from = at
      const { header } = group.stream
      at += header.copy(body, at)
      for (let i = 0; i < group.records.length; ) {
        // Neighbours are copied together.
        const record = first + group.records[i]!
        let next = record + 1
        while (++i < group.records.length && first + group.records[i]! === next) next++
        at += part.buffer.copy(body, at, starts[record]!, next < last ? starts[next]! : end)
      }
      group.bytes = at - from
      closeStream(body, from, at)
    }
    return body.subarray(0, at)
  }

  /** All of the segment is settled: a record will not come again. */
  settled(): void {
    if (this.#body.length > BODY_KEPT_BYTES_MAX) this.#body = moved(this.#body, 0)
    for (const stream of this.streams) stream.storedTo = new WeakMap()
  }

  #numberOf(facts: EventFacts): number {
    const stage = placeOf(this.#stages, STAGES, facts, STAGE)
    const verb = placeOf(this.#verbs, VERBS, facts, VERB)
    const place = stage * (VERBS.length + 1) + verb
    let number = this.#byPlaces[place]!
    if (number < 0) {
      const labels = { stage: STAGES[stage] ?? OTHER, verb: VERBS[verb] ?? OTHER }
      number = this.streams.push(new LokiStream({ ...this.#labels, ...labels })) - 1
      this.#byPlaces[place] = number
    }
    return number
  }

  #recordsOf(index: 0 | 1, count: number): Uint8Array {
    let records = this.#records[index]
    if (count >= records.length) {
      const starts = new Int32Array(2 * Math.max(count, records.length))
      starts.set(this.#starts[index])
      this.#starts[index] = starts
      const grown = new Uint8Array(2 * Math.max(count, records.length))
      grown.set(records)
      this.#records[index] = grown
      records = grown
    }
    return records
  }
}

/** Larger memory; the old one is given back at once. */
function moved(old: Buffer, bytes: number): Buffer {
  return Buffer.from((old.buffer as ArrayBuffer).transfer(bytes))
}

/** Where a fact's text is in a list; behind its end when it is not. */
function placeOf(known: KnownBytes<number>, list: readonly string[], facts: EventFacts, fact: number): number {
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

/** Looks no further than the value: where lines have no backslash, a search would go through the whole block. */
function hasEscape(b: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (b[at] === 0x5c) return true
  return false
}

/** The sink's constants: what is not the label of a container or its file. */
function withoutSource(labels: Labels): Labels {
  const { namespace, pod, container, app, job, filename, stream, ...rest } = labels
  return rest
}

export class LokiAuditEncoder implements EntryEncoder {
  readonly #lane: LokiLane
  readonly #streams: AuditStreams
  /** Of lines that are no events. */
  readonly #pairs: Labels
  readonly #metadata: Metadata
  readonly #writer = new MetadataWriter(METADATA_BYTES_MAX + MARKS_BYTES_MAX)

  constructor(lane: LokiLane, streams: AuditStreams, metadata: Labels) {
    this.#lane = lane
    this.#streams = streams
    this.#pairs = metadata
    this.#metadata = encodeMetadata(metadata)
  }

  sizeMax(_entry: Entry, messageBytes: number): number {
    return messageBytes + this.#metadata.length + ENTRY_OVERHEAD_BYTES + METADATA_BYTES_MAX + MARKS_BYTES_MAX
  }

  write(part: Part, entry: Entry): void {
    const marks = entry.marks & ~MARK_INVALID_UTF8
    const base = this.#lane.streams[entry.stream as 0 | 1]
    if (entry.seconds < base.pendingOldest) base.pendingOldest = entry.seconds
    if (entry.seconds > base.pendingNewest) base.pendingNewest = entry.seconds
    this.#streams.note(part, entry)
    part.reserve(this.sizeMax(entry, entry.messageEnd - entry.messageStart))
    let metadata = this.#metadata
    if (entry.audit !== null) metadata = this.#metadataOf(entry.audit, marks === 0 ? null : withMarks({}, entry, marks))
    else if (marks !== 0) metadata = encodeMetadata(withMarks(this.#pairs, entry, marks))
    writeEntry(part, entry.seconds, entry.nanos, entry.buffer, entry.messageStart, entry.messageEnd, metadata)
  }

  #metadataOf(facts: EventFacts, marks: Labels | null): Metadata {
    const writer = this.#writer
    writer.clear()
    for (const [fact, name] of FACTS) {
      if (!facts.has(fact)) continue
      const start = facts.startOf(fact)
      const end = facts.endOf(fact)
      if (end === start) continue
      if (end - start <= VALUE_BYTES_MAX && !hasEscape(facts.buffer, start, end)) {
        writer.add(name, facts.buffer, start, end)
      } else writer.addText(name, facts.text(fact), VALUE_BYTES_MAX)
    }
    if (facts.code !== 0) writer.addNumber('code', facts.code)
    if (marks !== null) for (const [name, value] of Object.entries(marks)) writer.addText(name, value, VALUE_BYTES_MAX)
    return writer.metadata()
  }
}
