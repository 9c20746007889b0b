// The bytes of the checkpoint log: lines of `crc json`, where crc is the CRC-32 (8 hex digits) of the JSON's bytes. The
// first line names the format; each other one says where one sink is with one lineage (position null: forgotten), or with
// which metadata its lines go out from there on; the last line of a key and kind holds. Pure. Invariant: what is read of a damaged log is a prefix of what was written.
import { crc32 } from 'node:zlib'
import type { Metadata } from '../core/metadata.ts'
import type { Position } from './position.ts'

const FORMAT = 'taffrail-checkpoints'
const VERSION = 1
const CRC_DIGITS = 8
const NEWLINE = 10
/** Characters joined into one buffer. */
const CHUNK_LENGTH = 64 * 1024

export type CheckpointRecord = { sink: string; lineage: string } & (
  | {
      /** Null: the lineage is forgotten. */
      position: Position | null
      metadata?: never
    }
  | {
      /** Null: it is forgotten. */
      metadata: Metadata | null
      position?: never
    }
)

export interface Damage {
  kind: 'torn' | 'damaged' | 'version'
  /** Where the sound part ends. */
  atByte: number
  /** What is wrong, for people. */
  detail: string
}

/** The first line of a log. */
export const LOG_HEADER = encodeLine(JSON.stringify({ format: FORMAT, version: VERSION }))

/**
 * `start` and one line for each record, in buffers of about 64 KiB; `records` is read lazily, buffer by buffer. JSON
 * escapes line ends, so that no content can make two lines of one.
 */
export function* encodeRecords(records: Iterable<CheckpointRecord>, start = ''): Generator<Buffer> {
  let chunk = start
  for (const record of records) {
    chunk += encodeLine(JSON.stringify(record))
    if (chunk.length < CHUNK_LENGTH) continue
    yield Buffer.from(chunk)
    chunk = ''
  }
  yield Buffer.from(chunk)
}

/**
 * Calls `visit` for each record, oldest first, up to the first that is not sound. Never throws. `kind` of the damage:
 * `torn` when no line ends after the sound part, as a power cut or a full disk leaves it; `version` for a sound first
 * line of another format; else `damaged`.
 */
export function decodeLog(
  data: Buffer,
  visit: (record: CheckpointRecord) => void,
): { records: number; damage: Damage | null } {
  let records = -1
  let start = 0
  while (start < data.length) {
    const end = data.indexOf(NEWLINE, start)
    if (end < 0) return { records: Math.max(0, records), damage: torn(start, data.length - start) }
    const value = decodeLine(data.subarray(start, end))
    if (records < 0) {
      const detail = headerProblem(value)
      if (detail !== null) return { records: 0, damage: { ...detail, atByte: 0 } }
    } else {
      if (!isRecord(value)) {
        const detail = `the record at byte ${start} does not match its checksum; ${data.length - start} bytes from there on are not used`
        return { records, damage: { kind: 'damaged', atByte: start, detail } }
      }
      visit(value)
    }
    records++
    start = end + 1
  }
  return records < 0 ? { records: 0, damage: torn(0, 0) } : { records, damage: null }
}

function encodeLine(json: string): string {
  return `${checksum(json)} ${json}\n`
}

/** The value in a line without its newline; undefined when the line is not sound. */
function decodeLine(line: Buffer): unknown {
  const json = line.subarray(CRC_DIGITS + 1)
  if (line.toString('latin1', 0, CRC_DIGITS + 1) !== `${checksum(json)} `) return undefined
  try {
    return JSON.parse(json.toString())
  } catch {
    // A sum that fits by chance, or a line that somebody else wrote: unsound like any other.
    return undefined
  }
}

function checksum(json: string | Buffer): string {
  return crc32(json).toString(16).padStart(CRC_DIGITS, '0')
}

function headerProblem(value: unknown): Pick<Damage, 'kind' | 'detail'> | null {
  const { format, version } = (value ?? {}) as { format?: unknown; version?: unknown }
  if (format !== FORMAT) return { kind: 'damaged', detail: 'the first line is not that of a checkpoint log' }
  if (version === VERSION) return null
  const detail = `the log has format version ${String(version)}; this taffrail reads version ${VERSION} only`
  return { kind: 'version', detail }
}

function isRecord(value: unknown): value is CheckpointRecord {
  if (typeof value !== 'object' || value === null) return false
  const { sink, lineage, position, metadata } = value as Record<string, unknown>
  const isOne = (position === undefined) !== (metadata === undefined)
  return (
    isOne &&
    typeof sink === 'string' &&
    typeof lineage === 'string' &&
    typeof (position ?? metadata ?? null) === 'object'
  )
}

function torn(atByte: number, bytes: number): Damage {
  const detail =
    bytes === 0
      ? 'the log is empty, as after a power cut'
      : `the last ${bytes} bytes are not a whole record, as after a power cut or a full disk`
  return { kind: 'torn', atByte, detail }
}
