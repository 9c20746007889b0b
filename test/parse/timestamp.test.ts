// Timestamps against Date and against a slow, plain parser.

import t from 'tap'
import { parseTimestamp, timestamp } from '../../src/parse/timestamp.ts'
import fc from '../support/properties.ts'

function parse(text: string): [seconds: number, nanos: number, end: number] | null {
  const bytes = Buffer.from(text, 'latin1')
  if (!parseTimestamp(bytes, 0, bytes.length)) return null
  return [timestamp.seconds, timestamp.nanos, timestamp.end]
}

t.test('good ones', async (t) => {
  const cases: [string, string, number][] = [
    ['2026-11-21T07:55:24.07221244Z', '2026-11-21T07:55:24Z', 72_212_440],
    ['2026-11-21T07:50:46.902896630+00:00', '2026-11-21T07:50:46Z', 902_896_630],
    ['2026-11-21T04:21:51.144518221-03:30', '2026-11-21T07:51:51Z', 144_518_221],
    ['2026-11-21T08:51:50.597969779+01:00', '2026-11-21T07:51:50Z', 597_969_779],
    ['2026-11-21T13:21:50.5+05:30', '2026-11-21T07:51:50Z', 500_000_000],
    ['2026-11-22T13:36:50.000000001+13:45', '2026-11-21T23:51:50Z', 1],
    ['2026-11-21T07:55:24Z', '2026-11-21T07:55:24Z', 0],
    ['2026-11-21T07:55:24-00:00', '2026-11-21T07:55:24Z', 0],
    ['2026-11-21T07:55:24.000000000Z', '2026-11-21T07:55:24Z', 0],
    ['2026-11-21T07:55:24.123456789123Z', '2026-11-21T07:55:24Z', 123_456_789],
    ['2026-11-21T07:55:24.999999999999Z', '2026-11-21T07:55:24Z', 999_999_999],
    ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00Z', 0],
    ['2024-02-29T23:59:59.9Z', '2024-02-29T23:59:59Z', 900_000_000],
    ['2026-12-31T23:59:60Z', '2027-01-01T00:00:00Z', 0],
    ['2026-01-01T00:30:00+01:00', '2025-12-31T23:30:00Z', 0],
    ['9999-12-31T23:59:59Z', '9999-12-31T23:59:59Z', 0],
  ]
  for (const [text, same, nanos] of cases) {
    t.strictSame(parse(text), [Date.parse(same) / 1000, nanos, text.length], text)
    // The same second again is taken from what is remembered.
    t.strictSame(parse(text), [Date.parse(same) / 1000, nanos, text.length], `${text} again`)
  }
})

t.test('bad ones', async (t) => {
  const cases = [
    '',
    '2026',
    '2026-11-21',
    '2026-11-21T07:55:24',
    '2026-11-21T07:55:24.',
    '2026-11-21T07:55:24.Z',
    '2026-11-21T07:55:24.5',
    '2026-11-21T07:55:24.123456789',
    '2026-11-21T07:55:24,5Z',
    '2026-11-21 07:55:24.5Z',
    '2026-11-21t07:55:24.5Z',
    '2026-11-21T07:55:24.5z',
    '2026/11/21T07:55:24.5Z',
    '2026-13-21T07:55:24.5Z',
    '2026-00-21T07:55:24.5Z',
    '2026-11-31T07:55:24.5Z',
    '2026-02-29T07:55:24.5Z',
    '1900-02-29T07:55:24.5Z',
    '2026-11-00T07:55:24.5Z',
    '2026-11-32T07:55:24.5Z',
    '2026-11-21T24:55:24.5Z',
    '2026-11-21T07:60:24.5Z',
    '2026-11-21T07:55:61.5Z',
    '1969-12-31T23:59:59Z',
    '1970-01-01T00:00:00+00:01',
    '-026-11-21T07:55:24.5Z',
    '2026-11-21T07:55:24.5 Z',
    '2026-11-21T07:55:24.5+0530',
    '2026-11-21T07:55:24.5+05:3',
    '2026-11-21T07:55:24.5+5:30',
    '2026-11-21T07:55:24.5+24:00',
    '2026-11-21T07:55:24.5+05:60',
    '2026-11-21T07:55:24.5+05-30',
    '2026-11-21T07:55:24.5+a5:30',
    '2026-11-21T07:55:24.-5Z',
    '2026-11-21T07:55:24.12345678/Z',
    '2026-11-21T07:55:24.12345678:Z',
    '2026-11-21T07:55:24.1234\xb15678Z',
    '2026-11-2\xb2T07:55:24.5Z',
  ]
  for (const text of cases) {
    t.equal(parse(text), null, text)
    t.strictSame(parse('2026-11-21T07:55:24.5Z')?.[1], 500_000_000, 'a good one after it')
    t.equal(parse(text), null, `${text} after a good one`)
  }
})

t.test('only what lies before the end counts', async (t) => {
  const text = Buffer.from('xx2026-11-21T07:55:24.123456789+05:30yy')
  t.ok(parseTimestamp(text, 2, text.length - 2))
  t.equal(timestamp.end, text.length - 2)
  for (let end = 2; end < text.length - 2; end++) t.notOk(parseTimestamp(text, 2, end), `cut at ${end}`)
})

t.test('a buffer that is written anew is read anew', async (t) => {
  const block = Buffer.from('2026-11-21T07:55:24.5Z')
  t.ok(parseTimestamp(block, 0, block.length))
  const before = timestamp.seconds
  block.write('2026-11-21T07:55:25.5Z')
  t.ok(parseTimestamp(block, 0, block.length))
  t.equal(timestamp.seconds, before + 1)
})

t.test('property: any time in any zone and precision', async () => {
  const parts = fc.record({
    seconds: fc.integer({ min: 86_400, max: 253_402_214_400 }),
    fraction: fc.option(fc.stringMatching(/^[0-9]{1,12}$/), { nil: null }),
    zone: fc.option(fc.integer({ min: -1439, max: 1439 }), { nil: null }),
    before: fc.nat(40),
  })
  const check = fc.property(parts, ({ seconds, fraction, zone, before }) => {
    const local = new Date((seconds + (zone ?? 0) * 60) * 1000).toISOString().slice(0, 19)
    const pad = (n: number) => String(n).padStart(2, '0')
    const minutes = Math.abs(zone ?? 0)
    const offset = zone === null ? 'Z' : `${zone < 0 ? '-' : '+'}${pad(Math.floor(minutes / 60))}:${pad(minutes % 60)}`
    const text = `${local}${fraction === null ? '' : `.${fraction}`}${offset}`
    const bytes = Buffer.from(`${'#'.repeat(before)}${text} stdout`)
    if (!parseTimestamp(bytes, before, bytes.length)) throw new Error(`refused ${text}`)
    const nanos = Number((fraction ?? '').padEnd(9, '0').slice(0, 9))
    return timestamp.seconds === seconds && timestamp.nanos === nanos && timestamp.end === before + text.length
  })
  fc.assert(check, { numRuns: 3000 })
})

t.test('property: neighbours of a good one are refused or read as Date reads them', async () => {
  const good = '2026-11-21T07:55:24.072212440Z'
  const change = fc.record({ at: fc.nat(good.length - 1), byte: fc.integer({ min: 32, max: 126 }) })
  const check = fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
    const bytes = Buffer.from(good)
    for (const { at, byte } of changes) bytes[at] = byte
    const text = bytes.toString('latin1')
    const strict =
      /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d+))?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)/.exec(
        text,
      )
    const ok = parseTimestamp(bytes, 0, bytes.length)
    if (strict === null) return !ok || text.slice(17, 19) === '60'
    const day = new Date(Date.UTC(Number(strict[1]), Number(strict[2]) - 1, Number(strict[3])))
    const real = Number(strict[1]) >= 1970 && day.toISOString().startsWith(text.slice(0, 10))
    if (!real || !ok) return real === ok
    return timestamp.seconds === Math.floor(Date.parse(strict[0].replace(/\.\d+/, '')) / 1000)
  })
  fc.assert(check, { numRuns: 5000 })
})
