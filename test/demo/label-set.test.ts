// Label sets as Loki reads, writes and refuses them.

import t from 'tap'
import { formatLabelSet, parseLabelSet } from '../../src/demo/label-set.ts'
import fc from '../support/properties.ts'

const READ: [text: string, written: string][] = [
  ['{}', '{}'],
  ['', '{}'],
  ['{a="b"}', '{a="b"}'],
  ['{b="2",a="1"}', '{a="1", b="2"}'],
  [' { a = "1" , b="2", } ', '{a="1", b="2"}'],
  ['{a=""}', '{}'],
  ['{a="1",a="2"}', '{a="1", a="2"}'],
  [String.raw`{a="q\"b\\c\nd\te"}`, String.raw`{a="q\"b\\c\nd\te"}`],
  [String.raw`{a='it\'s "x"'}`, String.raw`{a="it's \"x\""}`],
  ['{a=`raw\\n`}', String.raw`{a="raw\\n"}`],
  [String.raw`{a="\x41\u00e4\U0001F600\101\x00"}`, '{a="Aä😀A\\x00"}'],
  ['{"dotted.name"="1"}', '{dotted.name="1"}'],
  ['metric{a="1"}', '{__name__="metric", a="1"}'],
  ['{sum="1", by="2"}', '{by="2", sum="1"}'],
  ['{a="ä}{,="}', '{a="ä}{,="}'],
]

for (const [text, written] of READ) t.equal(formatLabelSet(parseLabelSet(text)), written, `reads ${text}`)

const REFUSED: [text: string, message: string][] = [
  ['{app=a}', '1:6: parse error: unexpected identifier "a" in label set, expected string'],
  ['{app}', '1:5: parse error: unexpected "}" in label set, expected "="'],
  ['{app="a" b="c"}', '1:10: parse error: unexpected identifier "b" in label set, expected "," or "}"'],
  ['{,}', '1:2: parse error: unexpected "," in label set, expected identifier or "}"'],
  ['{a=~"b"}', '1:3: parse error: unexpected <op:=~> in label set, expected "="'],
  ['{a="b"', '1:7: parse error: unexpected end of input inside braces'],
  ['{a="}"', '1:7: parse error: unexpected end of input inside braces'],
  ['{a="b', '1:4: parse error: unterminated quoted string'],
  ['{1a="b"}', "1:2: parse error: unexpected character inside braces: '1'"],
  ['{ä="b"}', "1:2: parse error: unexpected character inside braces: 'ä'"],
  ['{a="ä",\nb=c}', '2:3: parse error: unexpected identifier "c" in label set, expected string'],
  ['{a="ä", b=c}', '1:12: parse error: unexpected identifier "c" in label set, expected string'],
  ['{a="b"}}', '1:8: parse error: unexpected "}"'],
  ['{a={b="c"}}', "1:4: parse error: unexpected left brace '{'"],
  ['app="a"', '1:4: parse error: unexpected "="'],
  [String.raw`{a="\q"}`, "1:4: parse error: unknown escape sequence U+0071 'q'"],
]

for (const [text, message] of REFUSED) t.throws(() => parseLabelSet(text), { message }, `refuses ${text}`)

t.test('whatever the values are, a set that was written is read as it was', (t) => {
  const name = fc.stringMatching(/^[a-z_][a-z0-9_]{0,8}$/)
  const value = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(fc.dictionary(name, value, { noNullPrototype: true }), (labels) => {
      const pairs = Object.keys(labels)
        .sort()
        .map((key) => ({ name: key, value: labels[key]! }))
      t.strictSame(parseLabelSet(formatLabelSet(pairs)), pairs)
    }),
  )
  t.end()
})
