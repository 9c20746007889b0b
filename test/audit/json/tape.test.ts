import { test } from 'tap'
import { textOf, unescapeInto } from '../../../src/audit/json/strings.ts'
import { ARRAY, OBJECT, STRING, Tape } from '../../../src/audit/json/tape.ts'
import fc from '../../support/properties.ts'

/** What the tape says, as JSON.parse would give it. */
function said(tape: Tape, value = 0): unknown {
  const { buffer } = tape
  const text = () => buffer.toString('utf8', tape.startOf(value), tape.endOf(value))
  if (tape.kindOf(value) === STRING) return textOf(buffer, tape.startOf(value), tape.endOf(value))
  if (tape.kindOf(value) === ARRAY) {
    const items: unknown[] = []
    for (let item = tape.first(value); item < tape.next(value); item = tape.next(item)) items.push(said(tape, item))
    return items
  }
  if (tape.kindOf(value) !== OBJECT) return JSON.parse(text())
  const members: [string, unknown][] = []
  for (let key = tape.first(value); key < tape.next(value); key = tape.next(key + 1)) {
    members.push([said(tape, key) as string, said(tape, key + 1)])
  }
  return Object.fromEntries(members)
}

function run(text: string, slice = Number.POSITIVE_INFINITY): { end: string; tape: Tape } {
  const bytes = Buffer.from(`${text}        `)
  const tape = new Tape()
  tape.begin(bytes, 0, bytes.length - 8)
  for (;;) {
    const end = tape.run(slice)
    if (end !== 'more') return { end, tape }
  }
}

test('it says what JSON.parse says, in one go and in slices', (t) => {
  fc.assert(
    fc.property(
      fc.jsonValue(),
      fc.constantFrom('', ' ', '\t'),
      fc.integer({ min: 1, max: 5 }),
      (value, space, slice) => {
        const text = JSON.stringify(value, null, space)
        for (const { end, tape } of [run(text), run(text, slice)]) {
          if (end !== 'done' || JSON.stringify(said(tape)) !== JSON.stringify(JSON.parse(text))) return false
        }
        return true
      },
    ),
    { numRuns: 500 },
  )
  t.end()
})

test('it refuses what JSON.parse refuses', (t) => {
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"',
    '1',
    '-',
    '0.5',
    '1e9',
    'true',
    'nul',
    'null',
    ' ',
    '"\\""',
    '01',
    '1.',
  ]
  const parses = (text: string) => {
    try {
      JSON.parse(text)
      return true
    } catch {
      return false
    }
  }
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 8 }), (parts) => {
      const text = parts.join('')
      return (run(text).end === 'done') === parses(text)
    }),
    { numRuns: 5000 },
  )
  t.end()
})

test('what is nested too deeply is too large, not a crash', (t) => {
  t.equal(run('['.repeat(100_000)).end, 'tooLarge')
  t.equal(run('{"a":'.repeat(100_000)).end, 'tooLarge')
  t.end()
})

test('a million numbers are taken apart, and a few more are too large, at once as in slices', (t) => {
  const numbers = (count: number) => `[${'1,'.repeat(count - 1)}1]`
  for (const slice of [Number.POSITIVE_INFINITY, 10_000]) {
    const { end, tape } = run(numbers(1_000_000), slice)
    t.equal(end, 'done')
    t.equal(tape.next(tape.first(0) + 999_998), tape.next(0) - 1)
    t.equal(run(numbers(1_048_577), slice).end, 'tooLarge')
    t.equal(run(`[${'[],'.repeat(600_000)}1]`, slice).end, 'tooLarge')
  }
  t.end()
})

test('an object knows its kind wherever it stands', (t) => {
  const { tape } = run('{"data":{"kind":1},"kind":"Secret"}')
  const kind = tape.kindValueOf(0)
  t.equal(textOf(tape.buffer, tape.startOf(kind), tape.endOf(kind)), 'Secret')
  t.equal(tape.kindValueOf(tape.first(0) + 1), -1)
  t.end()
})

test('escapes are undone on bytes as JSON.parse does', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.boolean(), (text, ascii) => {
      const written = JSON.stringify(text)
      const json = ascii
        ? written.replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
        : written
      const bytes = Buffer.from(json.slice(1, -1))
      const out = Buffer.alloc(bytes.length + 8)
      return out.toString('utf8', 0, unescapeInto(bytes, 0, bytes.length, out)) === text.toWellFormed()
    }),
    { numRuns: 500 },
  )
  t.end()
})
