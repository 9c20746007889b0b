// The contract of the dead letters: records that a sink refused for their own sake, kept with its reason.
import { isUtf8 } from 'node:buffer'
import { errorCode } from '../core/errors.ts'

/**
 * Each has room of its own, so that no flood of logs pushes out what was audited. `logs` may lose its oldest letters when
 * it is full, and a letter that cannot be written at all; `audit` loses none, its lane waits.
 */
export type LetterQuota = 'logs' | 'audit'

/** The quota of what a source of this type reads. */
export function quotaOf(sourceType: string): LetterQuota {
  return sourceType.startsWith('audit') ? 'audit' : 'logs'
}

/** One refused record, one line of NDJSON. What it holds is what would have been sent. */
export interface DeadLetter {
  /** When it was refused, ISO 8601. */
  at: string
  sink: string
  /** Absent: `logs`. */
  quota?: 'audit'
  /** To whom it was to go, where that is not the sink's own tenant. */
  tenant?: string
  lane: string
  /** A fixed word, such as `too_old`, `line_too_long`, `too_far_behind`. */
  reason: string
  /** The sink's own words, at most 1,024 characters. */
  message: string
  status: number
  path: string
  /** Offset of the record's first byte in the (decompressed) file. */
  offset: number
  /** Bytes and rows of the file that the record stands for. Rows absent: one. */
  bytes: number
  rows?: number
  /** Nanoseconds since the epoch, in decimal. */
  timestamp: string
  labels: Record<string, string>
  metadata: Record<string, string>
  /** The line; when its bytes are not UTF-8, `lineBase64` instead. */
  line?: string
  lineBase64?: string
  /** Of a sink that stores documents, instead of labels, metadata and line: what was sent, and where to. */
  create?: { index: string; id?: string; document: string }
}

/** Letters that were thrown away to make room for newer ones. */
export interface Evicted {
  sink: string
  /** For which they had been refused. */
  reason: string
  records: number
  bytes: number
  rows: number
}

export interface DeadLetters {
  /** Resolves when the letters are durable: only then may a watermark pass their records. Rejects when the disk does not take them. */
  write(letters: readonly DeadLetter[]): Promise<void>
  close(): Promise<void>
  /** Called when letters were thrown away. Set by whoever keeps the account. */
  onEvicted?: ((evicted: Evicted) => void) | null
}

/** The code of a rejection that lets the records be dropped: their letters could not be written for a long time. */
export const UNWRITABLE = 'DEAD_LETTERS_UNWRITABLE'
/** Why a record was dropped whose dead letter could not be written. */
export const UNWRITABLE_REASON = 'deadLetterUnwritable'

/**
 * Writes letters of one quota. `buried`: they are durable. `held`: the disk does not take them now, so the lane waits and
 * sends its records again. `dropped`: it has not for long enough; the records are given up, under the name
 * `deadLetterUnwritable` and with a gap in their place.
 */
export async function bury(
  deadLetters: Pick<DeadLetters, 'write'>,
  letters: readonly DeadLetter[],
): Promise<'buried' | 'held' | 'dropped'> {
  try {
    if (letters.length > 0) await deadLetters.write(letters)
    return 'buried'
  } catch (error) {
    return errorCode(error) === UNWRITABLE ? 'dropped' : 'held' // the dead letters have told of it
  }
}

/**
 * What tells a letter from the others of its lane. The records of holes stand where the line after them begins, and as many
 * as there are have one time.
 */
export function letterKey({ path, offset, bytes, timestamp, line, create }: DeadLetter): string {
  const place = `${path} ${offset} ${bytes} ${timestamp}`
  return bytes > 0 ? place : `${place} ${create?.document ?? line}`
}

/** The line of a letter, as text where it is UTF-8. */
export function letterLine(bytes: Buffer): Pick<DeadLetter, 'line' | 'lineBase64'> {
  return isUtf8(bytes) ? { line: bytes.toString() } : { lineBase64: bytes.toString('base64') }
}

/** The bytes of a letter's line. */
export function lineOf({ line, lineBase64 }: DeadLetter): Buffer {
  return lineBase64 === undefined ? Buffer.from(line ?? '') : Buffer.from(lineBase64, 'base64')
}
