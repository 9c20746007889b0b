// Who sends requests: a few clients, whose user, sourceIPs and userAgent are a third of most events and always the same bytes.
// Where they stand again, what was found in them is known. Bound: SENDERS of SENDER_BYTES_MAX each.

/** One client's user, sourceIPs and userAgent as they stand in its events, which are many, and what was found there. */
export interface Sender {
  bytes: Buffer
  view: DataView
  userBytes: number
  nameStart: number
  nameEnd: number
}

const SENDERS = 64
const SENDER_BYTES_MAX = 1024

export class Senders {
  readonly #known: (Sender | null)[] = new Array(SENDERS).fill(null)

  find(b: Buffer, view: DataView, start: number, end: number): Sender | null {
    if (start + 48 > end) return null
    const known = this.#known[slotOf(view, start)]!
    if (known === null) return null
    const { length } = known.bytes
    if (start + length > end) return null
    const other = known.view
    let at = 0
    for (; at + 4 <= length; at += 4) if (view.getInt32(start + at, true) !== other.getInt32(at, true)) return null
    for (; at < length; at++) if (b[start + at] !== known.bytes[at]) return null
    return known
  }

  add(b: Buffer, start: number, end: number, userBytes: number, nameStart: number, nameEnd: number): Sender | null {
    if (end - start > SENDER_BYTES_MAX || end - start < 48 || nameEnd <= 0) return null
    const bytes = Buffer.alloc(end - start)
    b.copy(bytes, 0, start, end)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const sender = { bytes, view, userBytes, nameStart, nameEnd }
    this.#known[slotOf(view, 0)] = sender
    return sender
  }
}

/** By a part of the user's name and what follows it: {"username":"system:… */
function slotOf(view: DataView, start: number): number {
  let hash = view.getInt32(start + 20, true)
  for (let at = 24; at < 48; at += 4) hash = Math.imul(hash, 0x01000193) ^ view.getInt32(start + at, true)
  return (Math.imul(hash, 0x9e3779b1 | 0) >>> 26) % SENDERS
}
