// What a store cannot take is made so that it can: bytes that are not UTF-8 become U+FFFD, a line over the limit is cut
// between two characters, with its length and hash kept. Pure, so that a repeat is repaired alike.
import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { type Entry, MARK_CUT, MARK_INVALID_UTF8 } from '../core/entry.ts'

/** Makes the entry's message valid UTF-8 and no longer than `limit` bytes, marking in the entry what it did. */
export function repair(entry: Entry, limit: number): void {
  let message = entry.buffer.subarray(entry.messageStart, entry.messageEnd)
  const cutBefore = (entry.marks & MARK_CUT) !== 0
  if (!cutBefore) entry.originalBytes = message.length
  const original = message
  let cut = false
  if (message.length > limit) {
    message = message.subarray(0, limit)
    cut = true
  }
  if (cut || cutBefore) message = message.subarray(0, wholeCharacters(message))
  if (!isUtf8(message)) {
    entry.marks |= MARK_INVALID_UTF8
    message = Buffer.from(message.toString('utf8'))
    if (message.length > limit) {
      message = message.subarray(0, limit)
      message = message.subarray(0, wholeCharacters(message))
      cut = true
    }
  }
  if (cut && !cutBefore) {
    entry.marks |= MARK_CUT
    entry.originalSha256 = createHash('sha256').update(original).digest('hex')
  }
  entry.buffer = message
  entry.messageStart = 0
  entry.messageEnd = message.length
}

/** Length of the longest prefix that does not end inside a UTF-8 character. */
export function wholeCharacters(bytes: Buffer): number {
  let start = bytes.length
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back] as number
    if ((byte & 0xc0) === 0x80) continue
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    if (needed > back) start = bytes.length - back
    break
  }
  return start
}
