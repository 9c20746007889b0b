// The entry cursor: one mutable object that is handed from the parser to the encoder, line by line. It owns no bytes:
// the message is `buffer[messageStart, messageEnd)`, valid until the next line is parsed.

import type { Slices } from './slices.ts'

export const STDOUT = 0
export const STDERR = 1

/** Marks are bits; more than one may be set. */
export const MARK_NOT_CRI = 1
export const MARK_FUTURE_TIME = 2
export const MARK_INVALID_UTF8 = 4
export const MARK_CUT = 8
export const MARK_PARTIAL_OPEN = 16
export const MARK_GAP = 32
/** In an audit source: the line is no audit event, or a torn one. */
export const MARK_NOT_AUDIT = 64
/** An audit event that lost bodies for its length. */
export const MARK_TRUNCATED = 128
/** An audit line that could not be taken apart: only what is known to be harmless is told. */
export const MARK_CUT_TO_METADATA = 256
/** An audit event whose id and stage another event had before. */
export const MARK_ID_REUSED = 512

export const MARK_NAMES: readonly (readonly [number, string])[] = [
  [MARK_NOT_CRI, 'not_cri'],
  [MARK_FUTURE_TIME, 'future_time'],
  [MARK_INVALID_UTF8, 'invalid_utf8'],
  [MARK_CUT, 'cut'],
  [MARK_PARTIAL_OPEN, 'partial_open'],
  [MARK_GAP, 'gap'],
  [MARK_NOT_AUDIT, 'not_audit'],
  [MARK_TRUNCATED, 'truncated'],
  [MARK_CUT_TO_METADATA, 'cut_to_metadata'],
  [MARK_ID_REUSED, 'audit_id_reused'],
]

/** The file in which a record begins: what of it is the same after a rename, a compression and a restart of the agent. */
export interface EntryFile {
  /** `hash` of its first line; whole by the time the first record is written. */
  readonly head: { readonly hash: string }
  /** How often its container had been restarted (0 where that is not known), and its place among its siblings. */
  readonly order: { readonly restart: number; readonly rank?: string }
}

/** What an audit event says of itself, as places in `buffer`; audit/event.ts finds them, and says which number is which fact. */
export interface Facts {
  readonly buffer: Buffer
  /** The event's own time; `hasTime` false where it has none. */
  readonly hasTime: boolean
  readonly seconds: number
  readonly nanos: number
  /** The code of its answer; 0 where there is none. */
  readonly code: number
  has(fact: number): boolean
  /** 0 where the event has no such member. */
  startOf(fact: number): number
  endOf(fact: number): number
  /** The text of a string; empty where there is none. */
  text(fact: number): string
}

export interface Entry {
  /** null in an entry that was not filled yet. */
  file: EntryFile | null
  buffer: Buffer
  messageStart: number
  messageEnd: number
  /** STDOUT or STDERR. */
  stream: number
  /** Time as emitted: whole seconds since the epoch and nanoseconds. */
  seconds: number
  nanos: number
  /** MARK_* bits, 0 for nearly all. */
  marks: number
  /** What an audit event says of itself; null for every other line. Valid as long as the message. */
  audit: Facts | null
  /** Of a large audit event: what its encoder asked to be made ready before; null where it did not. Valid as long as the message. */
  shape: object | null
  /** Set with MARK_CUT and MARK_TRUNCATED: length of the whole line and its SHA-256 in hex. */
  originalBytes: number
  originalSha256: string
  /** The time that a MARK_FUTURE_TIME line carried, as written. */
  originalTime: string
  /** Of a MARK_GAP line: how sure it is that something is missing (`certain`, `likely`, `possible`). */
  confidence: string
  /** Offset of the record's first byte in the file, and the bytes and rows of the file that it stands for. */
  offset: number
  sourceBytes: number
  sourceLines: number
}

/** Makes ready what an encoder needs of a large audit event. */
export type Shaper = (event: Buffer) => Slices<object>

export function newEntry(): Entry {
  return {
    file: null,
    buffer: Buffer.alloc(0),
    messageStart: 0,
    messageEnd: 0,
    stream: STDOUT,
    seconds: 0,
    nanos: 0,
    marks: 0,
    audit: null,
    shape: null,
    originalBytes: 0,
    originalSha256: '',
    originalTime: '',
    confidence: '',
    offset: 0,
    sourceBytes: 0,
    sourceLines: 0,
  }
}
