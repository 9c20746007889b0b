// Loki's push message (logproto of grafana/loki, pkg/push/push.proto) and its plain form. Built by reflection, so that
// no .proto file has to lie beside the program. `line` is read as bytes, not as a string: invalid UTF-8 must stay
// visible to a test. A decoded push owns no bytes: its lines are views of the buffer that was decoded.
import protobuf from 'protobufjs/light.js'

export interface LabelPair {
  name: string
  value: string
}

export interface PushEntry {
  timestampNs: bigint
  line: Buffer
  /** In the order of the message, empty and repeated names included. */
  metadata: LabelPair[]
}

export interface PushStream {
  /** The label set as text, e.g. `{app="a"}`. */
  labels: string
  entries: PushEntry[]
}

export interface Push {
  streams: PushStream[]
}

const { Field, Type, Root } = protobuf

function message(name: string, ...fields: protobuf.Field[]): protobuf.Type {
  const type = new Type(name)
  for (const field of fields) type.add(field)
  return type
}

const root = new Root()
root.add(message('Timestamp', new Field('seconds', 1, 'int64'), new Field('nanos', 2, 'int32')))
root.add(message('LabelPairAdapter', new Field('name', 1, 'string'), new Field('value', 2, 'string')))
root.add(
  message(
    'EntryAdapter',
    new Field('timestamp', 1, 'Timestamp'),
    new Field('line', 2, 'bytes'),
    new Field('structuredMetadata', 3, 'LabelPairAdapter', 'repeated'),
  ),
)
root.add(
  message(
    'StreamAdapter',
    new Field('labels', 1, 'string'),
    new Field('entries', 2, 'EntryAdapter', 'repeated'),
    new Field('hash', 3, 'uint64'),
  ),
)
root.add(message('PushRequest', new Field('streams', 1, 'StreamAdapter', 'repeated')))
const PushRequest = root.lookupType('PushRequest')

interface RawEntry {
  timestamp?: { seconds: { low: number; high: number } | number; nanos: number } | null
  line: Uint8Array
  structuredMetadata: LabelPair[]
}

interface RawPush {
  streams: { labels: string; entries: RawEntry[] }[]
}

const NO_METADATA: LabelPair[] = []
/** Years 1 to 9999, as protobuf's Timestamp allows. */
const SECONDS_MIN = -62_135_596_800
const SECONDS_END = 253_402_300_800
const EMPTY = Buffer.alloc(0)

/** Decodes an uncompressed PushRequest. The lines are views of `buffer`. Throws when it is not protobuf or a time is none. */
export function decodePush(buffer: Buffer): Push {
  const raw = PushRequest.decode(buffer) as unknown as RawPush
  return { streams: raw.streams.map(({ labels, entries }) => ({ labels, entries: entries.map(plainEntry) })) }
}

function plainEntry(raw: RawEntry): PushEntry {
  const { line, structuredMetadata } = raw
  return {
    timestampNs: nanoseconds(raw.timestamp),
    line: line.length === 0 ? EMPTY : Buffer.from(line.buffer, line.byteOffset, line.length),
    metadata:
      structuredMetadata.length === 0
        ? NO_METADATA
        : structuredMetadata.map((pair) => ({ name: pair.name, value: pair.value })),
  }
}

function nanoseconds(timestamp: RawEntry['timestamp']): bigint {
  if (timestamp == null) return 0n
  const { seconds, nanos } = timestamp
  if (nanos < 0 || nanos >= 1e9) throw new RangeError(`nanos not in range [0, 1e9): ${nanos}`)
  const whole = typeof seconds === 'number' ? seconds : seconds.high * 0x1_0000_0000 + (seconds.low >>> 0)
  if (whole < SECONDS_MIN || whole >= SECONDS_END) throw new RangeError(`seconds out of range: ${whole}`)
  return BigInt(whole) * 1_000_000_000n + BigInt(nanos)
}

/** Encodes a push, uncompressed. `line` may be given as text; `metadata` may be left out. */
export function encodePush(push: {
  streams: { labels: string; entries: { timestampNs: bigint; line: Buffer | string; metadata?: LabelPair[] }[] }[]
}): Buffer {
  const streams = push.streams.map(({ labels, entries }) => ({
    labels,
    entries: entries.map(({ timestampNs, line, metadata }) => ({
      timestamp: wireTimestamp(timestampNs),
      line: typeof line === 'string' ? Buffer.from(line) : line,
      structuredMetadata: metadata ?? NO_METADATA,
    })),
  }))
  return Buffer.from(PushRequest.encode({ streams } as never).finish())
}

function wireTimestamp(timestampNs: bigint): { seconds: number; nanos: number } {
  const nanos = timestampNs % 1_000_000_000n
  const positive = nanos < 0n ? nanos + 1_000_000_000n : nanos
  return { seconds: Number((timestampNs - positive) / 1_000_000_000n), nanos: Number(positive) }
}

/** Bytes of a push as Loki's distributor sends it on, uncompressed: every stream with a hash. */
export function wireBytes(streams: readonly PushStream[]): number {
  const field = (bytes: number) => 1 + varintBytes(bytes) + bytes
  let size = 0
  for (const { labels, entries } of streams) {
    let stream = field(Buffer.byteLength(labels)) + 11
    for (const { timestampNs, line, metadata } of entries) {
      const nanos = Number(timestampNs % 1_000_000_000n)
      let entry = field(6 + (nanos === 0 ? 0 : 1 + varintBytes(nanos))) + (line.length === 0 ? 0 : field(line.length))
      for (const { name, value } of metadata)
        entry += field(field(Buffer.byteLength(name)) + field(Buffer.byteLength(value)))
      stream += field(entry)
    }
    size += field(stream)
  }
  return size
}

function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++
  return bytes
}
