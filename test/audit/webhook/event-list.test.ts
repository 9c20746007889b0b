// A list is sound as a whole or refused with its reason: held against JSON.parse on captured batches, on lists that are made
// up, and on those with a byte changed.

import { test } from 'tap'
import { EventListScanner, PADDING_BYTES } from '../../../src/audit/webhook/event-list.ts'
import fc from '../../support/properties.ts'
import { fixture } from '../fixtures.ts'

function scan(text: string | Buffer, bytesMax?: number): { items: string[]; kinds: string } | string {
  const bytes = Buffer.from(text)
  const body = Buffer.concat([bytes, Buffer.alloc(PADDING_BYTES, '"')])
  const scanner = new EventListScanner()
  scanner.begin(body, bytes.length)
  let state = scanner.run(bytesMax)
  while (state === 'more') state = scanner.run(bytesMax)
  if (state === 'invalid') return scanner.problem
  return {
    items: scanner.items.map(({ start, end }) => body.toString('utf8', start, end)),
    kinds: scanner.items.map(({ hasKind, hasVersion }) => `${Number(hasKind)}${Number(hasVersion)}`).join(' '),
  }
}

function list(items: string, more = ''): string {
  return `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},${more}"items":${items}}`
}

for (const name of ['webhook-0001', 'webhook-0003', 'webhook-single', 'webhook-truncated']) {
  test(`${name}: what a real API server sent is divided into its events, in slices of any size`, (t) => {
    const body = fixture(`webhook/${name}.json.gz`)
    const events = JSON.parse(body.toString()).items
    for (const bytesMax of [undefined, 1, 997, 64 * 1024]) {
      const found = scan(body, bytesMax)
      if (typeof found === 'string') throw new Error(found)
      t.strictSame(
        found.items.map((item) => JSON.parse(item)),
        events,
      )
    }
    t.end()
  })
}

const REFUSED: [string, string, RegExp][] = [
  ['nothing', '', /it ends too early/],
  ['blanks', ' \n', /it ends too early/],
  ['no object', '[]', /it is no object/],
  ['another kind', '{"kind":"Event","apiVersion":"audit.k8s.io/v1","items":[]}', /kind is not EventList/],
  ['no kind', '{"apiVersion":"audit.k8s.io/v1","items":[]}', /kind is not EventList/],
  ['a kind that is given twice', '{"kind":"EventList","kind":"x","apiVersion":"audit.k8s.io/v1"}', /kind is not/],
  ['a kind deeper down', '{"metadata":{"kind":"EventList"},"apiVersion":"audit.k8s.io/v1"}', /kind is not/],
  ['another version', '{"kind":"EventList","apiVersion":"audit.k8s.io/v1beta1","items":[]}', /apiVersion is not/],
  ['items that are no list', list('{}'), /its items are no list/],
  ['items twice', list('[]', '"items":[],'), /items twice/],
  ['an item that is no object', list('[{"a":1},7]'), /items\[1\] is no object/],
  ['an item that is a list', list('[[]]'), /items\[0\] is no object/],
  ['a second list', `${list('[]')}${list('[]')}`, /something follows/],
  ['cut in an item', list('[{"a":"b').slice(0, -1), /string that does not end/],
  ['cut between items', list('[{"a":1},').slice(0, -1), /ends too early/],
  ['a comma too much', list('[{"a":1},]'), /items\[1\] is no object|no JSON/],
  ['a comma too much in an object', list('[{"a":1,}]'), /no JSON/],
  ['no value', list('[{"a":}]'), /no JSON/],
  ['a number that is none', list('[{"a":01}]'), /no JSON/],
  ['brackets crossed', list('[{"a":[1}]'), /no JSON/],
  ['a raw line break in a string', list('[{"a":"b\nc"}]'), /control character/],
  ['a raw line break in a key', list('[{"a\n":1}]'), /control character/],
  ['a NUL in a string', list('[{"a":"\u0000"}]'), /control character/],
  ['a NUL between values', list('[\u0000{}]'), /items\[0\] is no object/],
  ['an escape that is none', list('[{"a":"b\\x"}]'), /bad escape/],
  ['half a code point', list('[{"a":"b\\u00g0"}]'), /bad escape/],
  ['too deep', list(`[{"a":${'['.repeat(600)}${']'.repeat(600)}}]`), /512 levels/],
]

for (const [what, text, problem] of REFUSED) {
  test(`refused, with the reason: ${what}`, (t) => {
    for (const bytesMax of [undefined, 1]) t.match(scan(text, bytesMax), problem)
    t.end()
  })
}

test('what is in place of items, or blank, is taken', (t) => {
  t.match(scan(list('[]')), { items: [] })
  t.match(scan(list('null')), { items: [] })
  t.match(scan('{"kind":"EventList","apiVersion":"audit.k8s.io/v1"}\n'), { items: [] })
  t.match(scan(list('[{"items":[1,{"kind":"x"}]}]')), { kinds: '00' })
  t.match(scan(list('[{"kind":"Event"},{"apiVersion":"a"},{"a":{"kind":1}}]')), { kinds: '10 01 00' })
  t.end()
})

test('line breaks between values do not get into lines', (t) => {
  const found = scan(JSON.stringify(JSON.parse(list('[{"a":[1,{}],"b":"c"},{}]')), null, '\t'))
  if (typeof found === 'string') throw new Error(found)
  t.notMatch(found.items.join(''), /[\n\r\t]/)
  t.strictSame(
    found.items.map((item) => JSON.parse(item)),
    [{ a: [1, {}], b: 'c' }, {}],
  )
  t.end()
})

test('property: every list that JSON.stringify writes is divided as JSON.parse divides it', (t) => {
  const item = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }))
  fc.assert(
    fc.property(fc.array(item), fc.integer({ min: 1, max: 200 }), fc.nat(2), (items, bytesMax, indent) => {
      const text = JSON.stringify({ kind: 'EventList', items, apiVersion: 'audit.k8s.io/v1' }, null, indent)
      const found = scan(text, bytesMax)
      return (
        typeof found !== 'string' &&
        JSON.stringify(found.items.map((each) => JSON.parse(each))) === JSON.stringify(items)
      )
    }),
  )
  t.end()
})

test('property: what is taken with a byte changed is JSON', (t) => {
  const body = fixture('webhook/webhook-single.json.gz')
  fc.assert(
    fc.property(fc.nat(body.length - 1), fc.nat(255), (at, byte) => {
      const changed = Buffer.from(body)
      changed[at] = byte
      const found = scan(changed)
      if (typeof found === 'string') return true
      const { items } = JSON.parse(changed.toString())
      return JSON.stringify(found.items.map((each) => JSON.parse(each))) === JSON.stringify(items ?? [])
    }),
    { numRuns: 3000 },
  )
  t.end()
})
