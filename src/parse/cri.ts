// The CRI logging format (kubernetes/design-proposals-archive, node/kubelet-cri-logging.md):
//   TIMESTAMP STREAM TAGS MESSAGE
// with STREAM stdout or stderr and TAGS a list joined by ":" whose first is P (partial) or F (full). Timestamps of
// containerd end in Z with trailing zeros trimmed; conmon writes local offsets.
import { STDERR, STDOUT } from '../core/entry.ts'
import type { Row } from './row.ts'
import { parseTimestamp, timestamp } from './timestamp.ts'

/** A RowParser. */
export function parseCri(b: Buffer, start: number, end: number, row: Row): boolean {
  if (!parseTimestamp(b, start, end)) return false
  // " stdout F": s t d, then o u t or e r r
  const s = timestamp.end
  if (end - s < 9 || b[s] !== 0x20 || b[s + 1] !== 0x73 || b[s + 2] !== 0x74 || b[s + 3] !== 0x64 || b[s + 7] !== 0x20)
    return false
  if (b[s + 4] === 0x6f && b[s + 5] === 0x75 && b[s + 6] === 0x74) row.stream = STDOUT
  else if (b[s + 4] === 0x65 && b[s + 5] === 0x72 && b[s + 6] === 0x72) row.stream = STDERR
  else return false
  const tag = b[s + 8]
  if (tag === 0x46) row.partial = false
  else if (tag === 0x50) row.partial = true
  else return false
  let message = s + 9
  if (message < end && b[message] === 0x3a) while (message < end && b[message] !== 0x20) message++
  if (message < end) {
    if (b[message] !== 0x20) return false
    message++
  }
  row.buffer = b
  row.messageStart = message
  row.messageEnd = end
  row.seconds = timestamp.seconds
  row.nanos = timestamp.nanos
  return true
}
