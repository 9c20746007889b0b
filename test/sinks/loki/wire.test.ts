// The protobuf written by hand, against protobufjs (src/demo/push-proto.ts): whatever is written is read back by it, byte
// for byte, and by our own reader of entries.

import t from 'tap'
import { Part } from '../../../src/batch/part.ts'
import { formatLabelSet, parseLabelSet } from '../../../src/demo/label-set.ts'
import { decodePush } from '../../../src/demo/push-proto.ts'
import {
  closeStream,
  ENTRY_OVERHEAD_BYTES,
  encodeMetadata,
  labelSet,
  newWireEntry,
  readEntry,
  readMetadata,
  streamHeader,
  varintBytes,
  writeEntry,
} from '../../../src/sinks/loki/wire.ts'
import fc from '../../support/properties.ts'

const MIB = 1024 * 1024

interface Given {
  seconds: number
  nanos: number
  line: Buffer
  metadata: Record<string, string>
}

/** Writes a stream as the sink does and returns its bytes and where its entries begin. */
function written(labels: Record<string, string>, entries: readonly Given[], part = new Part(MIB)) {
  const start = part.end
  const header = streamHeader(labels)
  part.reserve(header.length)
  part.end += header.copy(part.buffer, part.end)
  const starts: number[] = []
  for (const { seconds, nanos, line, metadata } of entries) {
    const encoded = encodeMetadata(metadata)
    part.reserve(line.length + encoded.length + ENTRY_OVERHEAD_BYTES)
    starts.push(part.end)
    // From the middle of another buffer, as lines lie in blocks.
    const source = Buffer.concat([Buffer.from('before'), line, Buffer.from('after')])
    writeEntry(part, seconds, nanos, source, 6, 6 + line.length, encoded)
  }
  closeStream(part.buffer, start, part.end)
  return { part, start, starts, bytes: part.buffer.subarray(start, part.end) }
}

function plain(entries: readonly Given[]) {
  return entries.map(({ seconds, nanos, line, metadata }) => ({
    timestampNs: BigInt(seconds) * 1_000_000_000n + BigInt(nanos),
    line: line.toString('hex'),
    metadata: Object.entries(metadata).map(([name, value]) => ({ name, value })),
  }))
}

function decoded(bytes: Buffer) {
  return decodePush(bytes).streams.map(({ labels, entries }) => ({
    labels,
    entries: entries.map(({ timestampNs, line, metadata }) => ({ timestampNs, line: line.toString('hex'), metadata })),
  }))
}

const name = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,20}$/).filter((text) => text !== '__proto__')
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('"', '\\', '\n', '\r\n\t', '\u0000\u0001\u007f', '{a="b"}', 'ü€😀', '\\u00e9', '\u2028'),
)
const record = (maxKeys: number) => fc.dictionary(name, text, { maxKeys, noNullPrototype: true })
// The borders of what a varint takes more bytes for, and Loki's whole range of times.
const borders = fc.constantFrom(0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455, 268_435_456)
const seconds = fc.oneof(fc.nat(253_402_300_799), borders, fc.constantFrom(2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 34))
const nanos = fc.oneof(fc.nat(999_999_999), borders, fc.constantFrom(999_999_999)).filter((n) => n < 1e9)
const line = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom(0, 1, 126, 127, 128, 129, 16_383, 16_384, 16_385).map((length) => Buffer.alloc(length, 'x')),
)
const entry: fc.Arbitrary<Given> = fc.record({
  seconds: seconds.filter((s) => s < 2 ** 35),
  nanos,
  line,
  metadata: record(4),
})

t.test('any stream is read back by protobufjs as it was written', async () => {
  fc.assert(
    fc.property(record(6), fc.array(entry, { maxLength: 20 }), (labels, entries) => {
      const { bytes } = written(labels, entries)
      const [stream, ...others] = decoded(bytes)
      if (others.length > 0 || stream?.labels !== labelSet(labels)) return false
      return JSON.stringify(stream.entries, bigint) === JSON.stringify(plain(entries), bigint)
    }),
    { numRuns: 500 },
  )
})

t.test('streams one after the other are one push', async () => {
  const streams = fc.array(fc.tuple(record(3), fc.array(entry, { minLength: 1, maxLength: 5 })), { maxLength: 5 })
  fc.assert(
    fc.property(streams, (given) => {
      const part = new Part(MIB)
      for (const [labels, entries] of given) written(labels, entries, part)
      const read = decoded(part.buffer.subarray(0, part.end))
      const wanted = given.map(([labels, entries]) => ({ labels: labelSet(labels), entries: plain(entries) }))
      return JSON.stringify(read, bigint) === JSON.stringify(wanted, bigint)
    }),
  )
})

t.test('entries and metadata are read back where they lie', async () => {
  fc.assert(
    fc.property(record(3), fc.array(entry, { minLength: 1, maxLength: 10 }), (labels, entries) => {
      const { part, starts } = written(labels, entries)
      const read = newWireEntry()
      return entries.every((given, index) => {
        readEntry(part.buffer, starts[index]!, read)
        const { start, end, lineStart, lineEnd, metadataStart, metadataEnd } = read
        return (
          start === starts[index] &&
          end === (starts[index + 1] ?? part.end) &&
          read.seconds === given.seconds &&
          read.nanos === given.nanos &&
          part.buffer.subarray(lineStart, lineEnd).equals(given.line) &&
          JSON.stringify(readMetadata(part.buffer, metadataStart, metadataEnd)) === JSON.stringify(given.metadata)
        )
      })
    }),
    { numRuns: 500 },
  )
})

t.test('an entry never takes more than it was given room for', async () => {
  fc.assert(
    fc.property(entry, (given) => {
      const { part, starts } = written({}, [given])
      const room = given.line.length + encodeMetadata(given.metadata).length + ENTRY_OVERHEAD_BYTES
      return part.end - starts[0]! <= room
    }),
  )
})

t.test('label sets are read as Prometheus reads them', async () => {
  fc.assert(
    // A label without a value is none, to Prometheus and to us (core/labels.ts).
    fc.property(fc.dictionary(name, text.filter(Boolean), { maxKeys: 8 }), (labels) => {
      const pairs = parseLabelSet(labelSet(labels))
      const names = pairs.map((pair) => pair.name)
      return (
        names.join() === [...names].sort().join() &&
        pairs.length === Object.keys(labels).length &&
        pairs.every((pair) => labels[pair.name] === pair.value) &&
        parseLabelSet(formatLabelSet(pairs)).length === pairs.length
      )
    }),
    { numRuns: 500 },
  )
})

t.test('lines up to 4 MiB', async (t) => {
  for (const length of [2 ** 14, 2 ** 21 - 1, 2 ** 21, 2 ** 21 + 1, 4 * 1024 * 1024]) {
    const given = [
      { seconds: 1_795_248_006, nanos: 1, line: Buffer.alloc(length, `${length} `), metadata: { pod_uid: 'u' } },
      { seconds: 1_795_248_007, nanos: 0, line: Buffer.from('after'), metadata: {} },
    ]
    const { bytes, part, starts } = written({ app: 'a' }, given)
    const [stream] = decodePush(bytes).streams
    t.ok(stream?.entries[0]?.line.equals(given[0]!.line), `${length}`)
    t.equal(stream?.entries[1]?.line.toString(), 'after')
    const read = newWireEntry()
    readEntry(part.buffer, starts[0]!, read)
    t.equal(read.end, starts[1])
    t.equal(read.lineEnd - read.lineStart, length)
  }
})

t.test('what was in a part stays as it was when the part grows', async () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 200_000 }), { minLength: 1, maxLength: 8 }), (lengths) => {
      const given = lengths.map((length, index) => ({
        seconds: index,
        nanos: index,
        line: Buffer.alloc(length, `${index} of ${length} `),
        metadata: {},
      }))
      const { bytes } = written({ app: 'a' }, given)
      const read = decodePush(bytes).streams[0]!.entries
      return read.every(({ line }, index) => line.equals(given[index]!.line))
    }),
    { numRuns: 50 },
  )
})

t.test('the size of a varint', async (t) => {
  const sizes = [0, 127, 128, 2 ** 14 - 1, 2 ** 14, 2 ** 21 - 1, 2 ** 21, 2 ** 28 - 1, 2 ** 28, 2 ** 35 - 1]
  t.strictSame(sizes.map(varintBytes), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
})

function bigint(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}` : value
}
