// The bytes of the log: what is written is read, and of what was damaged only a prefix.
import { crc32 } from 'node:zlib'
import t from 'tap'
import { type CheckpointRecord, decodeLog, encodeRecords, LOG_HEADER } from '../../src/checkpoint/record.ts'
import fc from '../support/properties.ts'
import { position } from './rig.ts'

const encode = (records: Iterable<CheckpointRecord>) => Buffer.concat([...encodeRecords(records, LOG_HEADER)])

function decode(data: Buffer) {
  const read: CheckpointRecord[] = []
  const { records, damage } = decodeLog(data, (record) => read.push(record))
  return { read, records, damage }
}

const line = (json: string) => `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`

const HISTORY: CheckpointRecord[] = [
  { sink: 'loki', lineage: 'a', position: position(1) },
  { sink: 'es', lineage: 'b', position: { ...position(2), path: '/var/log/pods/ü\n"\\/0.log' } },
  { sink: 'loki', lineage: 'a', position: null },
  { sink: 'loki', lineage: 'a', position: position(3) },
]

t.test('the format is what it was when the first log was written', async (t) => {
  const record = { sink: 'loki', lineage: 'a', position: null }
  t.equal(
    String(encode([record])),
    '4c7f3828 {"format":"taffrail-checkpoints","version":1}\n47e65da7 {"sink":"loki","lineage":"a","position":null}\n',
  )
})

t.test('what is written is read', async () => {
  const text = fc.string({ unit: 'binary', maxLength: 20 })
  const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
  const record = fc.record({
    sink: text,
    lineage: text,
    position: fc.option(
      fc.record({
        path: text,
        dev: number,
        ino: number,
        head: text,
        headBytes: number,
        offset: number,
        witness: text,
        sizeSeen: number,
        times: fc.array(number),
        stamps: fc.array(number),
      }),
    ),
  })
  fc.assert(
    fc.property(fc.array(record), (records) => {
      const { read, damage } = decode(encode(records))
      return damage === null && JSON.stringify(read) === JSON.stringify(records)
    }),
  )
})

t.test('much is encoded in pieces', async (t) => {
  const records = Array.from({ length: 1000 }, (_, index) => ({ ...HISTORY[0]!, lineage: String(index) }))
  const pieces = [...encodeRecords(records, LOG_HEADER)]
  t.ok(pieces.length > 5)
  for (const piece of pieces) t.ok(piece.length < 80 * 1024)
  t.strictSame(decode(Buffer.concat(pieces)).read, records)
})

t.test('cut at any byte, a log yields what was whole', async (t) => {
  const data = encode(HISTORY)
  for (let length = 0; length < data.length; length++) {
    const { read, records, damage } = decode(data.subarray(0, length))
    t.equal(records, read.length)
    if (JSON.stringify(read) !== JSON.stringify(HISTORY.slice(0, records))) t.fail(`cut at ${length}: not a prefix`)
    const isLineEnd = length > 0 && data[length - 1] === 10
    if (isLineEnd) t.equal(damage, null, `cut at ${length}: between two lines nothing is damaged`)
    else t.equal(damage?.kind, 'torn', `cut at ${length}`)
  }
})

t.test('with any byte turned into any other, a log yields a prefix', async (t) => {
  const data = encode(HISTORY)
  for (let index = 0; index < data.length; index++) {
    for (let flip = 1; flip < 256; flip++) {
      const damaged = Buffer.from(data)
      damaged[index]! ^= flip
      const { read, records, damage } = decode(damaged)
      const lineOfDamage = String(data.subarray(0, index)).split('\n').length - 2
      const isPrefix = JSON.stringify(read) === JSON.stringify(HISTORY.slice(0, Math.max(0, lineOfDamage)))
      if (!isPrefix || damage === null || records !== read.length) t.fail(`byte ${index} ^ ${flip}: ${damage?.detail}`)
    }
  }
})

t.test('zeros where a power cut left a hole', async (t) => {
  const data = Buffer.concat([encode(HISTORY), Buffer.alloc(4096)])
  const { records, damage } = decode(data)
  t.equal(records, HISTORY.length)
  t.equal(damage?.kind, 'torn')
  t.equal(damage?.atByte, data.length - 4096)
})

t.test('another format is named', async (t) => {
  const later = line('{"format":"taffrail-checkpoints","version":2}')
  t.match(decode(Buffer.from(`${later}anything`)).damage, {
    kind: 'version',
    atByte: 0,
    detail: /version 2; .*version 1/,
  })
  for (const first of [line('{"format":"other","version":1}'), line('null'), line('7'), '\n', 'hello\n']) {
    t.match(decode(Buffer.from(first)).damage, { kind: 'damaged', atByte: 0, detail: /first line/ })
  }
})

t.test('a sound line that is no record is damage', async (t) => {
  for (const json of [
    'null',
    '[]',
    '{}',
    '{"sink":"a","lineage":"b"}',
    '{"sink":1,"lineage":"b","position":null}',
    '{',
  ]) {
    const { records, damage } = decode(Buffer.from(LOG_HEADER + line(json)))
    t.equal(records, 0)
    t.match(damage, { kind: 'damaged', atByte: LOG_HEADER.length })
  }
})
