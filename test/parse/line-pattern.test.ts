// Patterns that pods bring: the same answers as JavaScript's regular expressions, in steps of the line's length.

import t from 'tap'
import { LinePattern, linePattern } from '../../src/parse/line-pattern.ts'
import fc from '../support/properties.ts'

const atom = fc.constantFrom(
  'a',
  'b',
  '1',
  ' ',
  '.',
  '\\d',
  '\\w',
  '\\s',
  '\\S',
  '\\D',
  '\\W',
  '[ab]',
  '[^a]',
  '[0-9b-]',
  '\\.',
  '\\[',
  '[\\d.]',
)
const { pattern } = fc.letrec<{ pattern: string; sequence: string; item: string }>((tie) => ({
  pattern: fc.array(tie('sequence'), { minLength: 1, maxLength: 2 }).map((all) => all.join('|')),
  sequence: fc.array(tie('item'), { maxLength: 3 }).map((all) => all.join('')),
  item: fc
    .tuple(
      fc.oneof(
        { maxDepth: 2 },
        { weight: 4, arbitrary: atom },
        tie('pattern').map((inner) => `(${inner})`),
        fc.constant('(?:$|b)'),
      ),
      fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,}', '{0,3}', '*?', '+?'),
    )
    .map(([of, repeat]) => of + repeat),
}))
const line = fc.string({ unit: fc.constantFrom('a', 'b', 'B', '1', ' ', '.', '[', '-', 'é', '\t'), maxLength: 12 })

/** The pattern, or null for one that is refused for its size. */
function affordable(source: string): LinePattern | null {
  try {
    return new LinePattern(source)
  } catch (error) {
    if (error instanceof SyntaxError && error.message.includes('too large')) return null
    throw error
  }
}

t.test('the same answers as RegExp', async (t) => {
  const oracle = (source: string, flags = '') => new RegExp(`^(?:${source})`, flags)
  let refused = 0
  fc.assert(
    fc.property(pattern, fc.array(line, { minLength: 1, maxLength: 8 }), (source, lines) => {
      const [mine, theirs] = [affordable(`(${source})`), oracle(source)]
      const [blind, theirsBlind] = [affordable(`(?i)(${source})`), oracle(source, 'i')]
      if (mine === null || blind === null) refused++
      return lines.every(
        (each) =>
          (mine === null || mine.test(each) === theirs.test(each)) &&
          (blind === null || blind.test(each) === theirsBlind.test(each)),
      )
    }),
    { numRuns: 1000 },
  )
  t.ok(refused < 50, `${refused} of 1000 are refused`)
})

t.test('what people write', async (t) => {
  const date = new LinePattern('^\\d{4}-\\d{2}-\\d{2}[T ]\\d{2}:\\d{2}')
  t.ok(date.test('2026-11-21T08:00:00 INFO x'))
  t.notOk(date.test(' 2026-11-21T08:00:00 INFO x'), 'at the beginning')
  t.notOk(date.test('\tat com.example.Main'))
  t.ok(new LinePattern('^\\[(INFO|WARN|ERROR)\\s*\\]').test('[WARN ] x'))
  t.ok(new LinePattern('^$').test(''))
  t.notOk(new LinePattern('^$').test('x'))
  t.ok(new LinePattern('^a|^b').test('b'))
})

t.test('what cannot be had in so many steps is refused', async (t) => {
  for (const [source, message] of [
    ['(a)\\1', /\\1 is not known/],
    ['(?=a)', /of groups only/],
    ['(?<!a)b', /of groups only/],
    ['\\bword', /\\b is not known/],
    ['a{1000}', /more than 100 times/],
    ['(a{100}){100}', /too large/],
    ['a{3,2}', /wrong way/],
    ['[b-a]', /range/],
    ['[a', /no \]/],
    ['(a', /no \)/],
    ['a)', /no \(/],
    ['*a', /nothing that \*/],
    ['a**', /cannot be repeated/],
    ['a^', /beginning only/],
    ['a\\', /at the end/],
    ['é', /ASCII/],
    ['('.repeat(50), /too deep/],
    ['', /ASCII/],
  ] as const) {
    t.throws(() => new LinePattern(source), { name: 'SyntaxError', message }, source)
  }
})

t.test('no line takes more steps than it has characters', async (t) => {
  // With backtracking each of these takes longer than the test may.
  const long = 'a'.repeat(1024)
  for (const source of ['(a+)+b', '(a|a)*b', '(a*)*b', 'a*a*a*a*a*a*b', '(.*a){12}b', '((a?){30})(a{30})b']) {
    t.equal(new LinePattern(source).test(long), false, source)
  }
  // One with many states, all of which are there before the first line.
  const many = new LinePattern('(?:a|b)*a(?:a|b){8}c')
  const noise = Array.from({ length: 1000 }, (_, i) => 'ab'[(i * i * 7 + (i >> 3)) % 2]).join('')
  t.equal(many.test(noise), false)
  t.equal(many.test(`${noise}abbbbbbbbc`), true)
})

t.test(
  'a pattern that would have to keep too much apart is refused when it is read, not when lines come',
  async (t) => {
    for (const source of [
      '(a|b)*a(a|b){90}',
      '(?:a|b)*a(?:[ab]){100}c',
      '.*a.{100}',
      '(?:.*a.{3}){60}',
      '.{0,100}(\\w+ ){40}x',
    ]) {
      t.throws(() => new LinePattern(source), { name: 'SyntaxError', message: /too large/ }, source)
    }
    for (const source of [
      '^.{0,30}(ERROR|WARN)',
      '^\\[?\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d:\\d\\d([.,]\\d{1,9})?(Z|[+-]\\d\\d:?\\d\\d)?\\]?',
      '^.*\\b'.slice(0, -2),
    ]) {
      t.doesNotThrow(() => new LinePattern(source), source)
    }
  },
)

t.test('a pattern is compiled once for all who ask', async (t) => {
  t.equal(linePattern('^one'), linePattern('^one'))
  t.throws(() => linePattern('^(a'), { name: 'SyntaxError', message: /no \)/ })
  t.throws(() => linePattern('^(a'), { name: 'SyntaxError', message: /no \)/ })
  const first = linePattern('^one')
  for (let i = 0; i < 64; i++) linePattern(`^other ${i}`)
  t.not(linePattern('^one'), first, 'and not kept for ever')
})
