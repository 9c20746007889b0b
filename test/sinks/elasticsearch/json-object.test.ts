// Which lines are put into the field `json`: only what a server takes under `flattened` and `flat_object`.

import t from 'tap'
import { isPlainJsonObject } from '../../../src/sinks/elasticsearch/json-object.ts'
import fc from '../../support/properties.ts'

const isPlain = (text: string) => {
  const bytes = Buffer.from(`{}"${text}"}`)
  return isPlainJsonObject(bytes, 3, bytes.length - 2)
}

t.test('property: what JSON writes is one, as long as nothing in it is named twice', async () => {
  const name = fc.string({ minLength: 1, maxLength: 8 }).filter((text) => !/["\\\p{Cc}]/u.test(text))
  const { object } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.string({ unit: 'binary' }).filter((text) => !text.includes('\u0000')),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      tie('object'),
    ),
    object: fc.dictionary(name, tie('value'), { maxKeys: 6 }),
  }))
  const check = fc.property(object, fc.constantFrom(0, 1, '\t'), (value, space) => {
    return isPlain(JSON.stringify(value, null, space).replaceAll('\n', ' '))
  })
  fc.assert(check, { numRuns: 400 })
})

t.test('property: whatever it takes JSON.parse takes too, without losing a name', async () => {
  const piece = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ':',
    ',',
    '"a"',
    '"b"',
    '1',
    '-',
    '.5',
    'e9',
    'true',
    'null',
    ' ',
    '"',
    '\\',
    '\\u0041',
  )
  const check = fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
    const text = `{${pieces.join('')}}`
    if (!isPlain(text)) return true
    const names = (json: string) => (json.match(/"(?:[^"\\]|\\.)*"\s*:/g) ?? []).length
    return names(text) === names(JSON.stringify(JSON.parse(text)))
  })
  fc.assert(check, { numRuns: 20_000 })
})

const nested = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth)

const REFUSED: Record<string, string> = {
  'a name given twice': '{"a":1,"b":2,"a":3}',
  'a name given twice, deeper': '{"x":{"a":1,"a":2}}',
  'a name that may be given twice, escaped': '{"a":1,"\\u0061":2}',
  'an empty name': '{"":1}',
  'NUL in a text': '{"a":"\\u0000"}',
  'half an escape': '{"a":"\\u00"}',
  'an unknown escape': '{"a":"\\x"}',
  'a control character': '{"a":"\u0001"}',
  'a number without end': '{"a":1e999}',
  'a number of many digits': `{"a":${'1'.repeat(65)}}`,
  'a number with a zero before it': '{"a":01}',
  'a comma too many': '{"a":1,}',
  'a list': '[1]',
  'something behind it': '{"a":1} x}',
  'an open list': '{"a":[1}',
  'no value': '{"a":}',
  'no name': '{1:2}',
  'an open text': '{"a":"b}',
  'nearly a word': '{"a":tru}',
  'a text that is too long': `{"a":"${'x'.repeat(8192)}"}`,
  'a name that is too long': `{"${'x'.repeat(513)}":1}`,
  'objects too deep': `${'{"a":'.repeat(20)}{}${'}'.repeat(20)}`,
  'lists too deep': `{"a":${nested(20, '[', ']')}}`,
  'too many names': `{${Array.from({ length: 257 }, (_, i) => `"n${i}":1`).join()}}`,
}

for (const [what, text] of Object.entries(REFUSED)) {
  t.test(`not: ${what}`, async (t) => t.notOk(isPlain(text)))
}

const TAKEN: Record<string, string> = {
  empty: '{}',
  'space in all places': ' {\t"a" : [ 1 , { } , [ ] ] , "b" : null }'.trim(),
  'the same name in two objects': '{"a":{"x":1},"b":{"x":2},"x":3}',
  'escapes in a text': '{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00"}',
  'a text just short enough': `{"a":"${'x'.repeat(8191)}"}`,
  'just deep enough': `${'{"a":'.repeat(19)}{}${'}'.repeat(19)}`,
  'as many names as may be': `{${Array.from({ length: 256 }, (_, i) => `"n${i}":1`).join()}}`,
  dots: '{"app":1,"app.kubernetes.io/name":2,"a..b":3,".":4}',
}

for (const [what, text] of Object.entries(TAKEN)) t.test(`taken: ${what}`, async (t) => t.ok(isPlain(text)))

t.test('a name is not compared with each of the many before it', async (t) => {
  const members = Array.from({ length: 256 }, (_, i) => `"${i.toString(36)}":1`).join()
  const bytes = Buffer.from(`{"a":[${new Array(100).fill(`{${members}}`).join()}]}`)
  let compared = 0
  const compare = bytes.compare.bind(bytes)
  bytes.compare = (...args) => {
    compared++
    return compare(...args)
  }
  t.ok(isPlainJsonObject(bytes, 0, bytes.length))
  t.ok(compared < 100 * 256, `${compared} comparisons for ${100 * 256} names`)
})

t.test('one name twice is found wherever it stands among many', async (t) => {
  for (const count of [1, 3, 4, 5, 9, 255]) {
    const names = Array.from({ length: count }, (_, i) => `"n${i}":{"n0":1}`)
    t.ok(isPlain(`{${names.join()}}`), `${count} names`)
    for (const twice of new Set([0, 3, 4, count - 1])) {
      if (twice < count) t.notOk(isPlain(`{${names.join()},"n${twice}":1}`), `${count} names and n${twice} again`)
    }
  }
})
