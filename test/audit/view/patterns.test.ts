import { test } from 'tap'
import { needleOf, Patterns } from '../../../src/audit/view/patterns.ts'
import fc from '../../support/properties.ts'

test('alternatives, globs and exclusions', (t) => {
  const cases: [string[], string, boolean][] = [
    [[], 'x', true],
    [['a', 'b'], 'b', true],
    [['a', 'b'], 'c', false],
    [['sys*'], 'system:node:n', true],
    [['*:node:*'], 'system:node:n', true],
    [['a?c'], 'abc', true],
    [['a?c'], 'ac', false],
    [['a.c'], 'abc', false],
    [['!system:*'], 'alice', true],
    [['!system:*'], 'system:x', false],
    [['system:*', '!system:node:*'], 'system:node:n', false],
    [['system:*', '!system:node:*'], 'system:apiserver', true],
    [['a*'], 'a\nb', true],
    [[''], '', true],
  ]
  for (const [texts, name, expected] of cases)
    t.equal(new Patterns(texts).accepts([name]), expected, `${texts} ${name}`)
  t.end()
})

test('nobody hides behind whom they impersonate', (t) => {
  const others = new Patterns(['!system:*'])
  t.equal(others.acceptsAny(['mallory', 'system:admin']), true)
  t.equal(others.acceptsAny(['system:a', 'system:b']), false)
  t.equal(new Patterns(['alice']).acceptsAny(['mallory', 'alice']), true)
  t.equal(new Patterns(['bob']).acceptsAny(['mallory', 'alice']), false)
  t.end()
})

test('needles are of what cannot be written otherwise', (t) => {
  const cases: [string, string | null][] = [
    ['web', '"k":"web"'],
    ['w', '"k":"w"'],
    ['web*', '"k":"web'],
    ['*-web', '-web"'],
    ['*', null],
    ['*a*', null],
    ['a<b', '"k":"a'],
    ['"x', null],
    ['', '"k":""'],
    ['ü-name', '-name"'],
    ['a*longer*z', '"k":"a'],
    ['*a*longer*', 'longer'],
  ]
  for (const [pattern, needle] of cases) t.equal(needleOf('k', pattern), needle, pattern)
  t.end()
})

test('whatever a pattern accepts holds its needle', (t) => {
  const letter = fc.constantFrom('a', 'b', 'c', ':', '<', '"', '\\', 'ü', '/', '\n', '-', '&')
  const name = fc.string({ unit: letter, maxLength: 12 })
  fc.assert(
    fc.property(name, fc.nat(11), fc.nat(11), fc.nat(11), (text, from, to, one) => {
      // A pattern of the text's own pieces.
      const [a, b] = from < to ? [from, to] : [to, from]
      let pattern = `${text.slice(0, a)}*${text.slice(b)}`
      if (one < a && one < text.length) pattern = `${pattern.slice(0, one)}?${pattern.slice(one + 1)}`
      if (pattern.startsWith('!') || !new Patterns([pattern]).accepts([text])) return
      // As Go writes it.
      const line = JSON.stringify({ k: text }).replaceAll('<', '\\u003c').replaceAll('&', '\\u0026')
      const needle = needleOf('k', pattern)
      if (needle !== null) t.ok(line.includes(needle), `${line} ${pattern} ${needle}`)
    }),
    { numRuns: 2000 },
  )
  t.end()
})
