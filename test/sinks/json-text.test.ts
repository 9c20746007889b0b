// Text as a JSON string over bytes: held against JSON itself.

import t from 'tap'
import { Part } from '../../src/batch/part.ts'
import { jsonTextBytesMax, writeJsonText } from '../../src/sinks/json-text.ts'
import fc from '../support/properties.ts'

/** What is written for the text, when it lies at some place of a larger buffer. */
function written(text: string, before: number): string {
  const bytes = Buffer.from(text)
  const source = Buffer.concat([Buffer.alloc(before, '"'), bytes, Buffer.from('"\\"\u0001""')])
  const part = new Part(1)
  part.reserve(jsonTextBytesMax(source, before, before + bytes.length) + 8)
  const size = part.buffer.length
  writeJsonText(part, source, before, before + bytes.length)
  if (part.buffer.length !== size) throw new Error('the part had not enough room')
  return part.buffer.toString('utf8', 0, part.end)
}

t.test('property: any text comes back, at any place, in as much room as was asked for', async () => {
  const special = fc.constantFrom(
    '"',
    '\\',
    '\n',
    '\t',
    '\u0000',
    '\u001f',
    '\u007f',
    '\u0080',
    'é',
    '\u2028',
    '🐢',
    'a',
  )
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), fc.string({ unit: special, maxLength: 60 }))
  const check = fc.property(text, fc.nat(9), (text, before) => JSON.parse(`"${written(text, before)}"`) === text)
  fc.assert(check, { numRuns: 1000 })
})

t.test('every byte of ASCII is written as JSON.stringify does it, or as \\u00XX', async (t) => {
  for (let code = 0; code < 128; code++) {
    const text = `ab${String.fromCharCode(code)}cdefg`
    t.equal(written(text, code % 4), JSON.stringify(text).slice(1, -1))
  }
})

t.test('long texts: plain, and full of what has to be escaped', async (t) => {
  for (const unit of ['plain text ', '"', '\u0001', 'ö']) {
    const text = unit.repeat(20_000)
    t.ok(JSON.parse(`"${written(text, 3)}"`) === text, JSON.stringify(unit))
  }
})
