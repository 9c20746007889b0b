// A beginning of JSON and what it lacks make JSON, wherever it is torn.

import { test } from 'tap'
import { missingEnd } from '../../../src/audit/json/torn.ts'
import fc from '../../support/properties.ts'

test('what is torn anywhere is made whole', (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.object(), fc.array(fc.jsonValue())), fc.nat(), fc.boolean(), (value, cut, isSpaced) => {
      // Every letter of the text as an escape, too, so that those are torn as well.
      const text = JSON.stringify(value, null, isSpaced ? 1 : 0).replace(/[a-y]/g, (letter, at: number, all: string) =>
        /"[^"]*$/.test(all.slice(Math.max(0, at - 3), at)) ? `\\u00${letter.charCodeAt(0).toString(16)}` : letter,
      )
      if (!isJson(text)) return
      const torn = text.slice(0, 1 + (cut % text.length))
      const end = missingEnd(torn)
      if (end === null || !isJson(torn + end)) throw new Error(`${torn} | ${end}`)
    }),
    { numRuns: 500 },
  )
  t.end()
})

test('the shortest end', (t) => {
  const ends = [
    ['{', '}'],
    ['[{"a":[1,', 'null]}]'],
    ['{"a', '":null}'],
    ['{"a"', ':null}'],
    ['{"a":', 'null}'],
    ['{"a":1,', '"":null}'],
    ['{"a":tr', 'ue}'],
    ['{"a":-', '0}'],
    ['{"a":1.', '0}'],
    ['{"a":"\\', '\\"}'],
    ['{"a":"\\\\', '"}'],
    ['{"a":"\\u0', '000"}'],
    ['{"a":"b"}', ''],
  ]
  for (const [text = '', end] of ends) t.equal(missingEnd(text), end, text)
  t.end()
})

test('what is the beginning of no JSON has no end', (t) => {
  for (const text of ['{]', '[1}', '}', "{'a'", '{"a":<']) t.equal(missingEnd(text), null, text)
  t.end()
})

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
