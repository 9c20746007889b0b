// Which Audit-IDs were used for more than one event. The client may choose its id, so equal ids are no equal events: the
// next event with an id and stage that another one had shortly before is marked. A repeat of the same bytes is no reuse.
// Bound: SLOTS ids per lineage and sink, and WINDOW_BYTES back in the same file; what lies farther apart is not noticed.
import { AUDIT_ID, type EventFacts, STAGE } from './event.ts'
import { viewOf } from './json/strings.ts'

const HASHED = [AUDIT_ID, STAGE]
const SLOTS_BITS = 12
const SLOTS = 2 ** SLOTS_BITS
const WINDOW_BYTES = 4 * 1024 * 1024
/** Per slot: two hashes of id and stage, and of the last and the last but one event its offset, bytes and time. */
const FIELDS = 8
/** Numbers of the table. */
export const IDS_TABLE = SLOTS * FIELDS

export class AuditIds {
  #table: Float64Array | null = null
  #file: object | null = null
  #first = 0
  #second = 0

  /** Notes the event that begins at `offset` of the file; true when another one had its id and stage. */
  isReused(facts: EventFacts, file: object | null, offset: number, bytes: number): boolean {
    this.#hash(facts)
    // One without a time of its own has that of the event that was read before it: another one when it is read again.
    const seconds = facts.hasTime ? facts.seconds : 0
    const nanos = facts.hasTime ? facts.nanos : 0
    return this.isReusedHash(this.#first, this.#second, seconds, nanos, file, offset, bytes)
  }

  /** Where the table lies from now on: in `memory`, where others may note events as `isReusedHash` does; null: in its own. */
  moveTo(memory: Float64Array | null): void {
    const table = memory ?? new Float64Array(IDS_TABLE)
    if (this.#table === null) table.fill(0)
    else table.set(this.#table)
    this.#table = table
  }

  /** What follows is of this file: offsets of others say nothing. */
  enter(file: object | null): void {
    if (file === this.#file) return
    this.#file = file
    this.#table?.fill(0)
  }

  /** The same by the hashes of id and stage and the event's time. */
  isReusedHash(
    first: number,
    second: number,
    seconds: number,
    nanos: number,
    file: object | null,
    offset: number,
    bytes: number,
  ): boolean {
    this.enter(file)
    this.#table ??= new Float64Array(IDS_TABLE)
    const table = this.#table
    const slot = (Math.imul(first ^ (first >>> 15), 0x2c1b3c6d) >>> (32 - SLOTS_BITS)) * FIELDS
    const time = seconds * 1e6 + nanos / 1000
    const isSameId = table[slot] === first && table[slot + 1] === second && table[slot + 3]! > 0
    if (!isSameId) {
      table[slot] = first
      table[slot + 1] = second
      for (let field = slot + 2; field < slot + FIELDS; field++) table[field] = 0
    }
    // After a rewind the last one may lie ahead, or be this one.
    let before = slot + 2
    while (before <= slot + 5 && table[before + 1]! > 0 && table[before]! >= offset) before += 3
    const isKnown = before <= slot + 5 && table[before + 1]! > 0
    const isReused =
      isSameId &&
      isKnown &&
      offset - table[before]! <= WINDOW_BYTES &&
      (table[before + 1] !== bytes || table[before + 2] !== time)
    if (table[slot + 2]! < offset || table[slot + 3] === 0) {
      for (let field = slot + 2; field < slot + 5; field++) table[field + 3] = table[field]!
      table[slot + 2] = offset
      table[slot + 3] = bytes
      table[slot + 4] = time
    }
    return isReused
  }

  /** Two hashes of id and stage. */
  #hash(facts: EventFacts): void {
    const { buffer } = facts
    const view = viewOf(buffer)
    let first = 0x811c9dc5
    let second = 0x2f0b4a1d
    for (const fact of HASHED) {
      const end = facts.endOf(fact)
      let at = facts.startOf(fact)
      for (; at + 4 <= end; at += 4) {
        const word = view.getInt32(at, true)
        first = Math.imul(first ^ word, 0x01000193) ^ (first >>> 13)
        second = Math.imul(second + word, 0x85ebca6b) ^ (second >>> 16)
      }
      for (; at < end; at++) {
        first = Math.imul(first ^ buffer[at]!, 0x01000193)
        second = Math.imul(second + buffer[at]!, 0x85ebca6b)
      }
      first = Math.imul(first ^ 0xff, 0x01000193)
      second = Math.imul(second ^ 0xff, 0x85ebca6b)
    }
    this.#first = first | 0
    this.#second = second | 0
  }
}
