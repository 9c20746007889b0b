// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are references to the environment, not templates.

import t from 'tap'
import { escapeReferences, substitute } from '../../src/config/env.ts'
import fc from '../support/properties.ts'

const ENV = { NODE: 'n1', EMPTY: '', NESTED: '${NODE}', DOLLARS: '$& $1 $$' }
const MALFORMED = 'a ${ that does not begin ${NAME} or ${NAME:-default}; for a literal ${ write $${'

t.test('replaces references', async (t) => {
  const table: [string, string][] = [
    ['plain', 'plain'],
    ['${NODE}', 'n1'],
    ['a-${NODE}-${NODE}', 'a-n1-n1'],
    ['${EMPTY}', ''],
    ['${NODE:-other}', 'n1'],
    ['${MISSING:-other}', 'other'],
    ['${EMPTY:-other}', 'other'],
    ['${MISSING:-}', ''],
    ['${MISSING:-a:-b}', 'a:-b'],
    ['$${NODE}', '${NODE}'],
    ['$$${NODE}', '$${NODE}'],
    ['$NODE', '$NODE'],
    ['cost: 5$', 'cost: 5$'],
    // What comes in is not looked at again, and has no special characters.
    ['${NESTED}', '${NODE}'],
    ['${DOLLARS}', '$& $1 $$'],
  ]
  for (const [text, expected] of table) {
    const result = substitute(text, ENV)
    t.same([result.text, result.problems], [expected, []], text)
  }
})

t.test('says whether anything came from outside', async (t) => {
  t.equal(substitute('${NODE}', ENV).substituted, true)
  t.equal(substitute('8', ENV).substituted, false)
  t.equal(substitute('$${NODE}', ENV).substituted, false)
})

t.test('names every variable that is not set, and nothing else', async (t) => {
  const table: [string, string[]][] = [
    ['${A}/${B}', ['the environment variable A is not set', 'the environment variable B is not set']],
    ['${toString}', ['the environment variable toString is not set']],
    ['${}', [MALFORMED]],
    ['${NODE', [MALFORMED]],
    ['pass${word!x}', [MALFORMED]],
    ['${A B}', [MALFORMED]],
    ['${NODE-default}', [MALFORMED]],
  ]
  for (const [text, problems] of table) t.same(substitute(text, ENV).problems, problems, text)
})

t.test('escaped text comes back unchanged', async () => {
  const text = fc.array(fc.constantFrom('$', '{', '}', '${', '$${', 'A', ':-', '\n')).map((parts) => parts.join(''))
  fc.assert(fc.property(text, (value) => substitute(escapeReferences(value), {}).text === value))
})
