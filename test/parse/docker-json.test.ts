// Docker's json-file rows.

import t from 'tap'
import { STDERR, STDOUT } from '../../src/core/entry.ts'
import { parseDockerJson } from '../../src/parse/docker-json.ts'
import { newRow } from '../../src/parse/row.ts'
import fc from '../support/properties.ts'

const row = newRow()
const seconds = Date.parse('2026-11-21T07:55:24Z') / 1000

function parse(text: string | Buffer): [string, 'P' | 'F', number, number, number] | null {
  const bytes = Buffer.from(`before\n${text}\nafter`)
  if (!parseDockerJson(bytes, 7, bytes.length - 6, row)) return null
  const message = row.buffer.toString('utf8', row.messageStart, row.messageEnd)
  return [message, row.partial ? 'P' : 'F', row.stream, row.seconds, row.nanos]
}

t.test('rows as docker writes them', async (t) => {
  const tail = '"stream":"stdout","time":"2026-11-21T07:55:24.07221244Z"}'
  const cases: [string, string, 'P' | 'F'][] = [
    [`{"log":"hello\\n",${tail}`, 'hello', 'F'],
    [`{"log":"\\n",${tail}`, '', 'F'],
    [`{"log":"hello\\r\\n",${tail}`, 'hello\r', 'F'],
    [`{"log":"a piece",${tail}`, 'a piece', 'P'],
    [`{"log":"",${tail}`, '', 'P'],
    [
      `{"log":"quote \\" slash \\\\ tab \\t bell \\u0007 \\u003ca\\u003e\\n",${tail}`,
      'quote " slash \\ tab \t bell \x07 <a>',
      'F',
    ],
    [`{"log":"żółw 日本 🐢 \\u2028\\n",${tail}`, 'żółw 日本 🐢 \u2028', 'F'],
    [`{"log":"pair \\ud83d\\udc22 alone \\ud83d\\n",${tail}`, 'pair 🐢 alone \ufffd', 'F'],
    [`{"log":"nul \\u0000 and \\\\n\\n",${tail}`, 'nul \0 and \\n', 'F'],
    [`{"log":"a\\nb\\n",${tail}`, 'a\nb', 'F'],
    [
      `{ "time":"2026-11-21T07:55:24.07221244Z", "stream":"stdout", "attrs":{"tag":"x"}, "log":"other order\\n" }`,
      'other order',
      'F',
    ],
  ]
  for (const [text, message, tag] of cases) t.strictSame(parse(text), [message, tag, STDOUT, seconds, 72_212_440], text)
})

t.test('stream and time', async (t) => {
  const of = (stream: string, time: string) => parse(`{"log":"a\\n","stream":"${stream}","time":"${time}"}`)
  t.strictSame(of('stderr', '2026-11-21T07:55:24.5Z'), ['a', 'F', STDERR, seconds, 500_000_000])
  t.strictSame(of('stdout', '2026-11-21T13:25:24.5+05:30'), ['a', 'F', STDOUT, seconds, 500_000_000])
  t.equal(of('stdin', '2026-11-21T07:55:24.5Z'), null)
  t.equal(of('', '2026-11-21T07:55:24.5Z'), null)
  t.equal(of('stdout', ''), null)
  t.equal(of('stdout', '2026-11-21T07:55:24.5'), null)
  t.equal(of('stdout', '2026-02-30T07:55:24.5Z'), null)
  t.equal(of('stdout', '2026-11-21T07:55:24.5Z '), null)
  t.equal(of('stdout', 'żółw'), null)
})

t.test('what is not such a row', async (t) => {
  const cases = [
    '',
    '{',
    '{}',
    'null',
    '[]',
    '{"log":"a\\n"}',
    '{"log":"a\\n","stream":"stdout"}',
    '{"log":1,"stream":"stdout","time":"2026-11-21T07:55:24.5Z"}',
    '{"log":null,"stream":"stdout","time":"2026-11-21T07:55:24.5Z"}',
    '{"log":"a\\n","stream":"stdout","time":5}',
    '{"log":"a\\n","stream":"stdout","time":"2026-11-21T07:55:24.5Z"',
    '{"log":"a\\n","stream":"stdout","time":"2026-11-21T07:55:24.5Z"}}',
    ' {"log":"a\\n","stream":"stdout","time":"2026-11-21T07:55:24.5Z"}',
    '{"level":"info","msg":"an application of its own"}',
  ]
  for (const text of cases) t.equal(parse(text), null, text)
})

t.test('property: what docker makes of a line is taken apart into it', async () => {
  const line = fc.string({ unit: 'binary', maxLength: 100 })
  const check = fc.property(line, fc.boolean(), (text, partial) => {
    const log = partial ? text.replace(/\n+$/, '') : `${text}\n`
    const got = parse(JSON.stringify({ log, stream: 'stdout', time: '2026-11-21T07:55:24.5Z' }))
    const expected = Buffer.from(partial ? log : text).toString()
    return got?.[0] === expected && got[1] === (partial ? 'P' : 'F')
  })
  fc.assert(check, { numRuns: 2000 })
})

t.test('property: random bytes never throw', async () => {
  const check = fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(70), (bytes, at) => {
    const text = Buffer.from('{"log":"a line\\n","stream":"stdout","time":"2026-11-21T07:55:24.07221244Z"}')
    text.set(bytes.slice(0, Math.max(0, text.length - at)), at)
    const ok = parseDockerJson(text, 0, text.length, row)
    return !ok || (row.messageStart === 0 && row.messageEnd <= row.buffer.length && row.messageEnd >= 0)
  })
  fc.assert(check, { numRuns: 3000 })
})
