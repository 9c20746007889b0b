// Rows of facts: what was found of many events at once (sinks/loki/events.wat does), one row of numbers of 32 bits for each.
// Places are in one buffer that holds the lines, too. Only events that are made as the API server makes them have a row.

/** Numbers of a row. */
export const ROW = 48
/** The line, without its newline. */
export const LINE = 0
export const LINE_END = 1
/** Of its stageTimestamp. */
export const SECONDS = 2
export const NANOS = 3
/** responseStatus.code; 0: none. */
export const CODE = 4
/** Indexes into the lists of stages and of verbs. */
export const STAGE_INDEX = 5
export const VERB_INDEX = 6
/** Two hashes of id and stage, as AuditIds makes them. */
export const FIRST_HASH = 7
export const SECOND_HASH = 8
/** Bytes of its entry. */
export const ENTRY_BYTES = 9
/** The number, from 1, of an earlier row of these whose user, sourceIPs and userAgent are the same bytes; 0: none. */
export const SAME_SENDER = 11
/** From here on the places of the facts as EventFacts has them: start and end. */
export const PLACES = 12
/** Where user, sourceIPs and userAgent end, which begin with the user; 0: they do not stand one after the other. */
export const SENDER_END = 46
/** As SAME_SENDER, for the annotations. */
export const SAME_ANNOTATIONS = 47

/** Where what is left of changed lines is written, in the same memory as the lines. */
export interface Workbench {
  readonly memory: Buffer
  /** Free from here to `end`; moved on by whoever writes there. */
  at: number
  end: number
  copy(to: number, from: number, bytes: number): void
}
