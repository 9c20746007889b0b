// Loki's push protocol on the wire (pkg/push/push.proto), written by hand: this is the byte path.
//   PushRequest   { repeated StreamAdapter streams = 1 }
//   StreamAdapter { string labels = 1; repeated EntryAdapter entries = 2 }
//   EntryAdapter  { Timestamp timestamp = 1; string line = 2; repeated LabelPairAdapter structuredMetadata = 3 }
//   Timestamp     { int64 seconds = 1; int32 nanos = 2 }
//   LabelPairAdapter { string name = 1; string value = 2 }

import type { Part } from '../../batch/part.ts'
import type { Labels } from '../../core/labels.ts'

/** Tag and length of a stream message; the length is a varint of four bytes, padded, because it is filled in last. */
export const STREAM_PREFIX_BYTES = 5
/** All of an entry but its line and its metadata, at most. */
export const ENTRY_OVERHEAD_BYTES = 40

/** `{a="b", c="d"}` with names in order; values are quoted as Go does. */
export function labelSet(labels: Labels): string {
  const pairs = Object.keys(labels)
    .sort()
    .map((name) => `${name}=${JSON.stringify(labels[name])}`)
  return `{${pairs.join(', ')}}`
}

/** What stands before the entries of a stream: room for tag and length, then the labels. */
export function streamHeader(labels: Labels): Buffer {
  const text = Buffer.from(labelSet(labels))
  const header = Buffer.alloc(STREAM_PREFIX_BYTES + 1 + varintBytes(text.length) + text.length)
  header[0] = 0x0a
  header[STREAM_PREFIX_BYTES] = 0x0a
  const at = writeVarint(header, STREAM_PREFIX_BYTES + 1, text.length)
  text.copy(header, at)
  return header
}

/** Fills in the length of the stream message in buffer[start, end), header included. */
export function closeStream(buffer: Buffer, start: number, end: number): void {
  const length = end - start - STREAM_PREFIX_BYTES
  buffer[start + 1] = (length & 0x7f) | 0x80
  buffer[start + 2] = ((length >>> 7) & 0x7f) | 0x80
  buffer[start + 3] = ((length >>> 14) & 0x7f) | 0x80
  buffer[start + 4] = (length >>> 21) & 0x7f
}

/** Structured metadata as it stands at the end of an entry. */
export function encodeMetadata(pairs: Labels): Buffer {
  const parts: Buffer[] = []
  for (const [name, value] of Object.entries(pairs)) {
    const nameBytes = Buffer.from(name)
    const valueBytes = Buffer.from(value)
    const length =
      1 + varintBytes(nameBytes.length) + nameBytes.length + 1 + varintBytes(valueBytes.length) + valueBytes.length
    const pair = Buffer.alloc(1 + varintBytes(length) + length)
    pair[0] = 0x1a
    let at = writeVarint(pair, 1, length)
    pair[at++] = 0x0a
    at = writeVarint(pair, at, nameBytes.length)
    at += nameBytes.copy(pair, at)
    pair[at++] = 0x12
    at = writeVarint(pair, at, valueBytes.length)
    valueBytes.copy(pair, at)
    parts.push(pair)
  }
  return Buffer.concat(parts)
}

/** Appends an entry with the line source[start, end). The part must have room for it. */
export function writeEntry(
  part: Part,
  seconds: number,
  nanos: number,
  source: Buffer,
  start: number,
  end: number,
  metadata: Buffer,
): void {
  const b = part.buffer
  let at = part.end
  const lineBytes = end - start
  const timeBytes = 1 + varintBytes(seconds) + (nanos === 0 ? 0 : 1 + varintBytes(nanos))
  const length = 2 + timeBytes + 1 + varintBytes(lineBytes) + lineBytes + metadata.length
  b[at++] = 0x12
  at = writeVarint(b, at, length)
  b[at++] = 0x0a
  b[at++] = timeBytes
  b[at++] = 0x08
  at = writeVarint(b, at, seconds)
  if (nanos !== 0) {
    b[at++] = 0x10
    at = writeVarint(b, at, nanos)
  }
  b[at++] = 0x12
  at = writeVarint(b, at, lineBytes)
  source.copy(b, at, start, end)
  at += lineBytes
  if (metadata.length > 0) at += metadata.copy(b, at)
  part.end = at
}

/** One entry as `readEntry` finds it; offsets are into the buffer. */
export interface WireEntry {
  /** Of the whole field, tag included. */
  start: number
  end: number
  seconds: number
  nanos: number
  lineStart: number
  lineEnd: number
  metadataStart: number
}

/** Reads the entry at `start`, as `writeEntry` wrote it. */
export function readEntry(b: Buffer, start: number, entry: WireEntry): void {
  let at = start + 1
  const length = readVarint(b, at)
  at = varintEnd
  entry.start = start
  entry.end = at + length
  const timeEnd = at + 2 + (b[at + 1] as number)
  at += 3
  entry.seconds = readVarint(b, at)
  at = varintEnd
  entry.nanos = at < timeEnd ? readVarint(b, at + 1) : 0
  at = timeEnd + 1
  const lineBytes = readVarint(b, at)
  entry.lineStart = varintEnd
  entry.lineEnd = varintEnd + lineBytes
  entry.metadataStart = entry.lineEnd
}

export function newWireEntry(): WireEntry {
  return { start: 0, end: 0, seconds: 0, nanos: 0, lineStart: 0, lineEnd: 0, metadataStart: 0 }
}

/** The metadata pairs in b[start, end). */
export function readMetadata(b: Buffer, start: number, end: number): Labels {
  const pairs: Labels = {}
  let at = start
  while (at < end) {
    readVarint(b, at + 1)
    at = varintEnd + 1
    const nameBytes = readVarint(b, at)
    const name = b.toString('utf8', varintEnd, varintEnd + nameBytes)
    at = varintEnd + nameBytes + 1
    const valueBytes = readVarint(b, at)
    pairs[name] = b.toString('utf8', varintEnd, varintEnd + valueBytes)
    at = varintEnd + valueBytes
  }
  return pairs
}

/** Bytes of a varint; values up to 2^35 - 1. */
export function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5
}

function writeVarint(b: Buffer, start: number, value: number): number {
  let at = start
  let rest = value
  if (rest >= 0x1000_0000) {
    // Beyond 28 bits, where >>> of what is left still fits 32 bits.
    b[at++] = (rest & 0x7f) | 0x80
    rest = Math.floor(rest / 128)
  }
  while (rest >= 0x80) {
    b[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  b[at++] = rest
  return at
}

let varintEnd = 0

/** The value of the varint at `start`; `varintEnd` is where it ends. */
function readVarint(b: Buffer, start: number): number {
  let at = start
  let value = 0
  let scale = 1
  let byte: number
  do {
    byte = b[at++] as number
    value += (byte & 0x7f) * scale
    scale *= 128
  } while (byte >= 0x80)
  varintEnd = at
  return value
}
