// Docker's json-file format: one object a line, {"log":"…\n","stream":"stdout","time":"…"}. A `log` without a final
// newline is a piece of a longer line (docker cuts at 16 KiB). Docker writes bytes that are not UTF-8 as U+FFFD itself.
import { STDERR, STDOUT } from '../core/entry.ts'
import type { Row } from './row.ts'
import { parseTimestamp, timestamp } from './timestamp.ts'

/** A RowParser. Makes an object and a buffer per row: this format is not on the fast path. */
export function parseDockerJson(b: Buffer, start: number, end: number, row: Row): boolean {
  if (b[start] !== 0x7b) return false
  let value: { log?: unknown; stream?: unknown; time?: unknown }
  try {
    value = JSON.parse(b.toString('utf8', start, end))
  } catch {
    return false // not JSON, so not this format: the caller delivers the line as it stands
  }
  const { log, stream, time } = value
  if (typeof log !== 'string' || typeof time !== 'string') return false
  if (stream !== 'stdout' && stream !== 'stderr') return false
  const timeBytes = Buffer.from(time, 'latin1')
  if (!parseTimestamp(timeBytes, 0, timeBytes.length) || timestamp.end !== timeBytes.length) return false
  row.partial = !log.endsWith('\n')
  row.buffer = Buffer.from(log)
  row.messageStart = 0
  row.messageEnd = row.buffer.length - (row.partial ? 0 : 1)
  row.stream = stream === 'stdout' ? STDOUT : STDERR
  row.seconds = timestamp.seconds
  row.nanos = timestamp.nanos
  return true
}
