import { test } from 'tap'
import { clipped, visible, visibleJson, word } from '../../../src/audit/view/text.ts'

test('what moves, colours, turns or hides is written out', (t) => {
  const cases: [string, string][] = [
    ['plain ünïcode 漢字 €', 'plain ünïcode 漢字 €'],
    ['\x1b[31mred\x1b[0m', '\\x1b[31mred\\x1b[0m'],
    ['\x9b2J', '\\x9b2J'],
    ['a\rb\nc\td\x00\x7f', 'a\\x0db\\x0ac\\x09d\\x00\\x7f'],
    ['\u202eadmin\u202c', '\\u202eadmin\\u202c'],
    ['adm\u200bin\u2060\ufeff\u00ad', 'adm\\u200bin\\u2060\\ufeff\\xad'],
    ['\u2028\u2029\u2066x\u2069', '\\u2028\\u2029\\u2066x\\u2069'],
    ['\ud800 \u{1f600} \udc00', '\\ud800 \u{1f600} \\udc00'],
    ['\ufff9\u0600', '\\ufff9\\u0600'],
    ['\u{e0041}tag', '\\u{e0041}tag'],
  ]
  for (const [text, shown] of cases) t.equal(visible(text), shown)
  t.equal(visible('a\n\x1bb', true), 'a\n\\x1bb')
  t.end()
})

test('JSON stays the same JSON', (t) => {
  const value = { '\u202ek': '\x7f\x9b\u{e0041}\u2028ü' }
  const shown = visibleJson(JSON.stringify(value))
  t.same(JSON.parse(shown), value)
  t.equal(visible(shown), shown)
  t.end()
})

test('a word cannot look like two cells', (t) => {
  t.equal(word(''), '-')
  t.equal(word('eve  delete'), '"eve  delete"')
  t.equal(word('a\u00a0b'), '"a\u00a0b"')
  t.equal(clipped('abcdef', 4), 'abc…')
  t.equal(clipped('\u{1f600}\u{1f600}', 2), '\u{1f600}\u{1f600}')
  t.end()
})
