// Audit events for Loki: one stream for each stage and verb, and the event's own facts as structured metadata. The lines of
// a shipment lie in the order of the file, each with the number of its stream; each stream is pushed for itself, and the
// watermark moves when all of them are settled. What a failed attempt had delivered of some of them is remembered and not
// pushed again. Bound: STAGES times VERBS streams a lane, whatever verbs clients think up.

import { AUDIT_ID, type EventFacts, NAME, NAMESPACE, RESOURCE, STAGE, USERNAME, VERB } from '../../audit/event.ts'
import { STAGES } from '../../audit/policy/policy.ts'
import type { Part } from '../../batch/part.ts'
import { type Entry, MARK_INVALID_UTF8 } from '../../core/entry.ts'
import { AUDIT_JOB, type Labels } from '../../core/labels.ts'
import { withMarks } from '../../core/marks.ts'
import type { EntryEncoder } from '../sink.ts'
import { MetadataWriter } from './metadata-writer.ts'
import { type LokiLane, LokiStream } from './stream.ts'
import { ENTRY_OVERHEAD_BYTES, encodeMetadata, type Metadata, writeEntry } from './wire.ts'

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
/** Number of a record that was delivered by an earlier attempt. */
const DELIVERED = 255

/** Records of one stream in a shipment, as indexes into its part. */
export interface AuditGroup {
  stream: LokiStream
  records: number[]
}

/** The streams of one lane of audit events. */
export class AuditStreams {
  /** By number; 0 and 1 are for lines that are no events. */
  readonly streams: LokiStream[]
  readonly #labels: Labels
  readonly #numbers = new Map<string, number>()
  /** By part: the stream's number of each record. */
  readonly #records: [Uint8Array, Uint8Array] = [new Uint8Array(1024), new Uint8Array(64)]
  #last: { stage: string; verb: string; number: number } = { stage: '', verb: '', number: -1 }

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
        group = { stream: this.streams[number] as LokiStream, records: [] }
        byNumber.set(number, group)
      }
      group.records.push(record - first)
    }
    return [...byNumber.values()]
  }

  /** All of the segment is settled: a record will not come again. */
  settled(): void {
    for (const stream of this.streams) stream.storedTo = new WeakMap()
  }

  #numberOf(facts: EventFacts): number {
    const stage = facts.text(STAGE)
    const verb = facts.text(VERB)
    if (stage === this.#last.stage && verb === this.#last.verb && this.#last.number >= 0) return this.#last.number
    const labels = {
      stage: (STAGES as readonly string[]).includes(stage) ? stage : OTHER,
      verb: VERBS.includes(verb) ? verb : OTHER,
    }
    const key = `${labels.stage} ${labels.verb}`
    let number = this.#numbers.get(key)
    if (number === undefined) {
      number = this.streams.push(new LokiStream({ ...this.#labels, ...labels })) - 1
      this.#numbers.set(key, number)
    }
    this.#last = { stage, verb, number }
    return number
  }

  #recordsOf(index: 0 | 1, count: number): Uint8Array {
    let records = this.#records[index]
    if (count >= records.length) {
      const grown = new Uint8Array(2 * Math.max(count, records.length))
      grown.set(records)
      this.#records[index] = grown
      records = grown
    }
    return records
  }
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
      if (end - start <= VALUE_BYTES_MAX && facts.buffer.indexOf(0x5c, start) >= end) {
        writer.add(name, facts.buffer, start, end)
      } else writer.addText(name, facts.text(fact), VALUE_BYTES_MAX)
    }
    if (facts.code !== 0) writer.addText('code', String(facts.code), VALUE_BYTES_MAX)
    if (marks !== null) for (const [name, value] of Object.entries(marks)) writer.addText(name, value, VALUE_BYTES_MAX)
    return writer.metadata()
  }
}
