// What lies where in the memory that the functions of events.wat work in, from the base on: numbers and texts, then rows of
// facts (audit/found.ts) and what is made of them. The functions know these places as numbers. Bound: EVENTS_BYTES.
import { OPEN_SLOTS } from '../../audit/continuity/requests.ts'
import { ROW } from '../../audit/found.ts'
import { type AuditIds, IDS_TABLE } from '../../audit/ids.ts'

/** Rows of facts of one call. */
export const ROWS_MAX = 1024
export const ROW_BYTES = 4 * ROW
const CONSTANT_BYTES = 32
/** From the base on: numbers and texts of the functions, then the rows and their order, then what is left of changed lines. */
export const DAY_TEXT = 2048
export const DAY_BYTES = 11
export const DAY_SECONDS = 2060
export const OTHER_TIME = 2064
export const ROWS_END = 2068
const VERBS = 2080
/** What is decided by: a float of 64 bits that added to an address gives the place in the file, then numbers. */
export const PLACE = 3328
export const BYTES_MAX = 3336
export const LINE_BYTES_MAX = 3340
export const SECONDS_MIN = 3344
export const SECONDS_MAX = 3348
export const COURSE_NEWEST = 3352
export const COURSE = 3356
export const TOLD_END = 3360
export const IS_ASKED = 3364
export const BYTES = 3368
export const BACK_MIN = 3372
export const ROWS = 4096
export const ORDER = ROWS + ROWS_MAX * ROW_BYTES
/** By stage and verb, what came of them: SUM numbers. */
export const SUMS = ORDER + ROWS_MAX * 4
/** Rows that the log's course is told of; then the sums that something came of. */
export const TOLD = SUMS + 4096
/** Slots of open requests (audit/continuity/requests.ts), and the table of ids (audit/ids.ts). */
export const OPEN = TOLD + ROWS_MAX * 4
export const IDS = OPEN + OPEN_SLOTS
export const CHANGED = IDS + IDS_TABLE * 8
export const CHANGED_BYTES = 640 * 1024
/** What may be touched behind an entry. */
const SLACK = 64
/** From the base on, all that it needs. */
export const EVENTS_BYTES = CHANGED + CHANGED_BYTES + SLACK
export const SUM = 8
export const COUNT = 0
export const SUM_BYTES = 1
export const SUM_OLDEST = 2
export const SUM_NEWEST = 3
export const LAST_LINE = 4
/** COURSE: nobody follows it; only what may say something is told; the next one is, whatever it is. */
export const UNFOLLOWED = 0
export const FOLLOWED = 1
export const ASKED = 2

/** The texts that the functions know by number; pairs of metadata begin with the last six. */
const TEXTS = [
  '{"kind":"Event",',
  '"apiVersion":"au',
  'dit.k8s.io/v1","',
  'level":"',
  '","auditID":"',
  '","stage":"',
  'RequestReceived"',
  'ResponseStarted"',
  'ResponseComplete',
  'Panic"',
  '","requestURI":"',
  '","verb":"',
  '","user":{',
  ',"sourceIPs":[',
  ',"userAgent":"',
  ',"objectRef":{',
  ',"responseStatus',
  'esponseStatus":{',
  ',"requestObject"',
  ',"responseObject',
  ',"requestReceive',
  'dTimestamp":"',
  ',"stageTimestamp',
  'tageTimestamp":"',
  ',"annotations":{',
  '\n\x07auditID\x12',
  '\n\x04user\x12',
  '\n\x08resource\x12',
  '\n\x09namespace\x12',
  '\n\x04name\x12',
  '\n\x04code\x12',
]

/** Writes what the functions compare with: the texts with a mask of each, and the verbs by their place. */
export function writeTexts(memory: Buffer, base: number, verbs: readonly string[]): void {
  for (const [index, text] of TEXTS.entries()) {
    const at = base + index * CONSTANT_BYTES
    memory.write(text, at, 'latin1')
    memory.fill(0xff, at + 16, at + 16 + text.length)
  }
  for (const [index, verb] of verbs.entries()) memory.write(verb.slice(0, 8), base + VERBS + 8 * index, 'latin1')
}

/** The memory of the rows: where others may have theirs (`base`), and where entries and notes are made. Addresses and bytes. */
export interface SharedMemory {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly base: number
  readonly stage: number
  readonly stageBytes: number
  readonly notes: number
  readonly notesMax: number
  /** Where compression has its memory (snappy.ts). */
  readonly snappy: number
  /** Whose table of ids lies there. */
  ids: AuditIds | null
}

export interface Exports {
  scan(from: number, end: number, limit: number, row: number, rowsEnd: number): number
  decide(row: number, rowsEnd: number): number
  sort(row: number, rowsEnd: number, notes: number): number
  copy(to: number, from: number, bytes: number): void
  write(order: number, orderEnd: number, to: number): number
}

export const INT_MAX = 0x7fff_ffff

/** A number as one of 32 bits, the nearest there is. */
export function clamp(value: number): number {
  return Math.max(-INT_MAX, Math.min(INT_MAX, value))
}
