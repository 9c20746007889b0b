// Audit events for Loki: an entry with the event's own facts as structured metadata, in the stream of its stage and verb
// (audit-streams.ts).

import { AUDIT_ID, NAME, NAMESPACE, RESOURCE, USERNAME } from '../../audit/event.ts'
import type { Part } from '../../batch/part.ts'
import type { EntryEncoder, Room } from '../../batch/target.ts'
import { type Entry, type Facts, MARK_INVALID_UTF8 } from '../../core/entry.ts'
import type { Labels } from '../../core/labels.ts'
import { withMarks } from '../../core/marks.ts'
import type { EventRows } from '../../tail/writer.ts'
import type { AuditStreams } from './audit-streams.ts'
import type { EventsAtOnce } from './events.ts'
import type { LokiLane } from './lane.ts'
import { MetadataWriter } from './metadata-writer.ts'
import { ENTRY_OVERHEAD_BYTES, encodeMetadata, type Metadata, writeEntry } from './wire.ts'

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
/** More than a message has, of which reading asks whether it fits. */
const FITS_BYTES = 1024

/** Looks no further than the value: where lines have no backslash, a search would go through the whole block. */
function hasEscape(b: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (b[at] === 0x5c) return true
  return false
}

export class LokiAuditEncoder implements EntryEncoder {
  readonly #lane: LokiLane
  readonly #streams: AuditStreams
  /** Of lines that are no events. */
  readonly #pairs: Labels
  readonly #metadata: Metadata
  readonly #eventsAtOnce: EventsAtOnce | null
  readonly #writer = new MetadataWriter(METADATA_BYTES_MAX + MARKS_BYTES_MAX)

  /** `eventsAtOnce`: what takes events together; null: they are written one by one. */
  constructor(lane: LokiLane, streams: AuditStreams, metadata: Labels, eventsAtOnce: EventsAtOnce | null = null) {
    this.#eventsAtOnce = eventsAtOnce
    this.#lane = lane
    this.#streams = streams
    this.#pairs = metadata
    this.#metadata = encodeMetadata(metadata)
  }

  sizeMax(_entry: Entry | null, messageBytes: number): number {
    return messageBytes + this.#metadata.length + ENTRY_OVERHEAD_BYTES + METADATA_BYTES_MAX + MARKS_BYTES_MAX
  }

  writeEvents(events: EventRows, room: Room): boolean {
    const overhead = this.sizeMax(null, FITS_BYTES)
    return this.#eventsAtOnce?.take(events, room, this.#streams, this.#lane.streams[0], overhead) === true
  }

  write(part: Part, entry: Entry): void {
    const marks = entry.marks & ~MARK_INVALID_UTF8
    const base = this.#lane.streams[entry.stream as 0 | 1]
    base.note(entry.seconds)
    this.#streams.note(part, entry)
    part.reserve(this.sizeMax(entry, entry.messageEnd - entry.messageStart))
    let metadata = this.#metadata
    if (entry.audit !== null) metadata = this.#metadataOf(entry.audit, marks === 0 ? null : withMarks({}, entry, marks))
    else if (marks !== 0) metadata = encodeMetadata(withMarks(this.#pairs, entry, marks))
    writeEntry(part, entry.seconds, entry.nanos, entry.buffer, entry.messageStart, entry.messageEnd, metadata)
  }

  #metadataOf(facts: Facts, marks: Labels | null): Metadata {
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
