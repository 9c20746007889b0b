// Strings of JSON found and read on bytes. Four bytes at a time: half of an audit log is inside of strings.

let viewed: Buffer | null = null
let view: DataView = new DataView(new ArrayBuffer(0))
/** The one before: a line and what is made of it take turns. */
let viewedBefore: Buffer | null = null
let viewBefore = view

/** Bytes that must follow the end of what is scanned in its buffer (they are read, and mean nothing). */
export const PADDING_BYTES = 8

/** A DataView over the buffer's bytes; the same one until two other buffers were asked for. */
export function viewOf(b: Buffer): DataView {
  if (b === viewed) return view
  const found = b === viewedBefore ? viewBefore : new DataView(b.buffer, b.byteOffset, b.length)
  viewedBefore = viewed
  viewBefore = view
  viewed = b
  view = found
  return found
}

/**
 * Offset of the quote that ends the string whose first byte is at `start`, or -1 when it does not end before `end`. The
 * buffer must have PADDING_BYTES more; `bytes` is its view.
 */
export function stringEnd(b: Buffer, bytes: DataView, start: number, end: number): number {
  let at = start
  while (at < end) {
    const word = bytes.getInt32(at, true)
    // A byte becomes zero where it is a quote, or a backslash; the zero byte's highest bit is then set.
    const quote = word ^ 0x22222222
    const slash = word ^ 0x5c5c5c5c
    const found = (((quote - 0x01010101) & ~quote) | ((slash - 0x01010101) & ~slash)) & 0x80808080
    if (found === 0) {
      at += 4
      continue
    }
    at += (31 - Math.clz32(found & -found)) >> 3
    if (at >= end) return -1
    if (b[at] === 0x22) return at
    at += 2 // an escape, whatever it is
  }
  return -1
}

/** The text of the string's content b[start, end); escapes that are none stay as they are. */
export function textOf(b: Buffer, start: number, end: number): string {
  const raw = b.toString('utf8', start, end)
  return raw.includes('\\') ? unescaped(raw) : raw
}

/**
 * Writes the bytes that the string's content b[start, end) stands for to `out`, which has room for as many and as they are at
 * most; returns how many they are.
 */
export function unescapeInto(b: Buffer, start: number, end: number, out: Buffer): number {
  let to = 0
  let at = start
  let far = start + FAR_BYTES
  while (at < end) {
    const byte = b[at++]!
    if (byte !== 0x5c) {
      out[to++] = byte
      if (at < far || end - at < FAR_BYTES) continue
      const slash = b.subarray(at, end).indexOf(0x5c)
      const stop = slash < 0 ? end : at + slash
      to += b.copy(out, to, at, stop)
      at = stop
      far = at + FAR_BYTES
      continue
    }
    far = at + FAR_BYTES
    const escaped = b[at]!
    if (escaped === 0x75) {
      const code = fourDigits(b, at + 1)
      if (code >= 0 && at + 5 <= end && (code & 0xf800) !== 0xd800) {
        to = writeCharacter(out, to, code)
        at += 5
        continue
      }
      // Two halves of one character come one after the other.
      let stop = at + 5
      while (b[stop] === 0x5c && b[stop + 1] === 0x75 && stop + 6 <= end) stop += 6
      to += out.write(unescaped(b.toString('latin1', at - 1, Math.min(stop, end))), to)
      at = Math.min(stop, end)
      continue
    }
    out[to++] = SHORT_ESCAPES[escaped]!
    at++
  }
  return to
}

/** So far behind an escape the next one is searched for, where as much is left. */
const FAR_BYTES = 1024

/** The value of four hexadecimal digits; -1 when one of them is none. */
function fourDigits(b: Buffer, at: number): number {
  let value = 0
  for (let i = at; i < at + 4; i++) {
    const digit = HEX_DIGITS[b[i] ?? 0]!
    if (digit < 0) return -1
    value = 16 * value + digit
  }
  return value
}

/** A character that is no half of one, in UTF-8. */
function writeCharacter(out: Buffer, start: number, code: number): number {
  let to = start
  if (code < 0x80) out[to++] = code
  else if (code < 0x800) {
    out[to++] = 0xc0 | (code >> 6)
    out[to++] = 0x80 | (code & 0x3f)
  } else {
    out[to++] = 0xe0 | (code >> 12)
    out[to++] = 0x80 | ((code >> 6) & 0x3f)
    out[to++] = 0x80 | (code & 0x3f)
  }
  return to
}

const HEX_DIGITS = new Int8Array(256).fill(-1)
for (const [value, digit] of [...'0123456789abcdef'].entries()) {
  HEX_DIGITS[digit.charCodeAt(0)] = value
  HEX_DIGITS[digit.toUpperCase().charCodeAt(0)] = value
}

const SHORT_ESCAPES = new Uint8Array(256).map((_, byte) => byte)
for (const [letter, byte] of [
  ['b', 8],
  ['f', 12],
  ['n', 10],
  ['r', 13],
  ['t', 9],
] as const) {
  SHORT_ESCAPES[letter.charCodeAt(0)] = byte
}

/** The text that `raw` stands for in a JSON string. */
export function unescaped(raw: string): string {
  return raw.replace(/\\(u[0-9A-Fa-f]{4}|["\\/bfnrt])/g, (_, sequence: string) => {
    if (sequence.length > 1) return String.fromCharCode(Number.parseInt(sequence.slice(1), 16))
    return ESCAPES[sequence] ?? sequence
  })
}

const ESCAPES: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }
