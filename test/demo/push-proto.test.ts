// The push message on the wire.

import t from 'tap'
import { decodePush, encodePush } from '../../src/demo/push-proto.ts'
import fc from '../support/properties.ts'

t.test('as protobuf lays it down', (t) => {
  // Written by hand after push.proto: streams=1 {labels=1, entries=2 {timestamp=1, line=2, structuredMetadata=3}, hash=3}
  const entry = Buffer.concat([
    Buffer.from([0x0a, 8, 0x08, 0x86, 0xfa, 0x85, 0xd8, 0x06, 0x10, 7]), // 1795259654 s, 7 ns
    Buffer.from([0x12, 3, 0x61, 0xff, 0x00]), // "a", not UTF-8, NUL
    Buffer.from('\x1a\x08\x0a\x03pod\x12\x01p', 'latin1'),
  ])
  const stream = Buffer.concat([Buffer.from('\x0a\x07{a="b"}\x12', 'latin1'), Buffer.from([entry.length]), entry])
  const wire = Buffer.concat([Buffer.from([0x0a, stream.length + 2]), stream, Buffer.from([0x18, 42])])
  const metadata = [{ name: 'pod', value: 'p' }]
  const decoded = {
    streams: [
      {
        labels: '{a="b"}',
        entries: [{ timestampNs: 1_795_259_654_000_000_007n, line: Buffer.from([0x61, 0xff, 0]), metadata }],
      },
    ],
  }
  t.strictSame(decodePush(wire), decoded)
  t.ok(encodePush(decoded).equals(Buffer.concat([Buffer.from([0x0a, stream.length]), stream])), 'but for the hash')
  t.end()
})

t.test('lines are views, not copies', (t) => {
  const wire = encodePush({ streams: [{ labels: '{a="b"}', entries: [{ timestampNs: 1n, line: 'abc' }] }] })
  const { line } = decodePush(wire).streams[0]!.entries[0]!
  t.equal(line.buffer, wire.buffer)
  t.end()
})

t.test('nothing, and nonsense', (t) => {
  t.strictSame(decodePush(Buffer.alloc(0)), { streams: [] })
  const empty = [{ labels: '', entries: [{ timestampNs: 0n, line: Buffer.alloc(0), metadata: [] }] }]
  t.strictSame(decodePush(Buffer.from([0x0a, 2, 0x12, 0])), { streams: empty }, 'all fields left out')
  t.throws(() => decodePush(Buffer.from([0x0a, 0x7f, 1])))
  t.throws(() => decodePush(Buffer.from('<html>')))
  t.end()
})

t.test('a time has to be one', (t) => {
  const TEN_THOUSAND = [0x80, 0x83, 0xd1, 0xff, 0xaf, 0x07] // seconds of the year 10000
  const seconds = (varint: number[]) => [0x0a, varint.length + 1, 0x08, ...varint]
  const decoded = (entry: number[]) =>
    decodePush(Buffer.from([0x0a, entry.length + 2, 0x12, entry.length, ...entry])).streams[0]?.entries[0]?.timestampNs
  t.equal(decoded(seconds([...Array(9).fill(0xff), 1])), -1_000_000_000n, 'before 1970')
  t.equal(decoded(seconds([0xff, 0x82, ...TEN_THOUSAND.slice(2)])), 253_402_300_799_000_000_000n)
  t.throws(() => decoded(seconds(TEN_THOUSAND)), RangeError)
  t.throws(() => decoded([0x0a, 6, 0x10, 0x80, 0x94, 0xeb, 0xdc, 0x03]), RangeError, 'a whole second of nanoseconds')
  t.end()
})

t.test('what is encoded is decoded as it was', (t) => {
  const pair = fc.record({ name: fc.string(), value: fc.string() }, { noNullPrototype: true })
  const entry = fc.record(
    {
      timestampNs: fc.bigInt({ min: -62_135_596_800_000_000_000n, max: 253_402_300_799_999_999_999n }),
      line: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      metadata: fc.array(pair, { maxLength: 3 }),
    },
    { noNullPrototype: true },
  )
  const stream = fc.record(
    { labels: fc.string(), entries: fc.array(entry, { maxLength: 5 }) },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(fc.array(stream, { maxLength: 4 }), (streams) => {
      t.strictSame(decodePush(encodePush({ streams })), { streams })
    }),
  )
  t.end()
})
