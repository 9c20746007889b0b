// Objects out of a stream of bytes, however it is cut.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { JsonObjects } from '../../src/enrich/json-objects.ts'
import fc from '../support/properties.ts'
import { readBody, readRecorded } from '../support/recorded-watch.ts'

function feed(text: string, depth: 0 | 2, cut: (at: number) => number) {
  const found: unknown[] = []
  const objects = new JsonObjects(depth, (each) => found.push(JSON.parse(each)))
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; ) {
    const to = Math.min(bytes.length, at + Math.max(1, cut(at)))
    objects.push(bytes.subarray(at, to))
    at = to
  }
  return { found, objects }
}

t.test('a real list, whole and byte by byte', async (t) => {
  for (const name of ['list-node-1.json', 'list-namespaces.json']) {
    const text = readBody(name)
    const { items, ...frame } = JSON.parse(text)
    for (const step of [1, 7, 1000, 1e9]) {
      const { found, objects } = feed(text, 2, () => step)
      t.strictSame(found, items, `${name} by ${step}`)
      t.strictSame(JSON.parse(objects.frame), { ...frame, items: [] })
      t.notOk(objects.isOpen)
    }
  }
})

t.test('a real watch, cut in the middle of an event', async (t) => {
  const { lines } = readRecorded('watch-bookmarks-churn')
  const text = lines.join('')
  t.strictSame(
    feed(text, 0, () => 777).found,
    lines.map((line) => JSON.parse(line)),
  )
  const { found, objects } = feed(text.slice(0, -30), 0, () => 777)
  t.equal(found.length, lines.length - 1)
  t.ok(objects.isOpen)
})

t.test('whatever JSON there is, and however it is cut', async () => {
  const keys = fc.record({ 'a"]}\\{': fc.jsonValue(), metadata: fc.constant({}) })
  fc.assert(
    fc.property(fc.array(keys), fc.integer({ min: 1, max: 40 }), fc.boolean(), (items, step, isPretty) => {
      const text = JSON.stringify({ kind: '[{"', metadata: { x: ['y', 1] }, items }, null, isPretty ? 1 : 0)
      const { found, objects } = feed(text, 2, () => step)
      const same = JSON.stringify(found) === JSON.stringify(JSON.parse(JSON.stringify(items)))
      if (!same || JSON.parse(objects.frame).kind !== '[{"') throw new Error(text)
    }),
  )
})

t.test('an object without an end takes a bounded amount of memory', async (t) => {
  const objects = new JsonObjects(0, () => t.fail('no object'))
  const chunk = Buffer.alloc(1024 * 1024, '[')
  objects.push(Buffer.from('{"a":'))
  t.throws(
    () => {
      for (let i = 0; i < 6; i++) objects.push(chunk)
    },
    { code: 'JSON_TOO_LARGE' },
  )
})

t.test('an object of more values than the heap may hold is none', async (t) => {
  const many = (text: string) => text.repeat(300_000)
  for (const [depth, text] of [
    [0, `{"a":[${many('{},')}1]}`],
    [0, `{"a":${many('[')}${many(']')}}`],
    [0, `{"a":[${many('1,')}1]}`],
    [2, `{"items":[{"a":[${many('[],')}1]}]}`],
    [2, `{"items":[],"metadata":{"a":1${many(',"a":1')}}}`],
    [2, `{"items":[],"metadata":{"a":[${many('[],')}1]}}`],
  ] as const) {
    t.throws(() => feed(text, depth, () => 1e9).objects.frame, { code: 'JSON_TOO_LARGE' }, text.slice(0, 30))
  }
  t.equal(feed(`{"items":[${many('{"a":1},')}{}]}`, 2, () => 1e9).found.length, 300_001, 'there may be as many objects')
  t.equal(feed(`{"a":"${many(',[')}"}`, 0, () => 1e9).found.length, 1, 'what a string holds is none')
})

t.test('an object that comes byte by byte takes the memory of its bytes', async (t) => {
  for (const depth of [0, 2] as const) {
    const objects = new JsonObjects(depth, () => t.fail('no object'))
    objects.push(Buffer.from('{"a":['))
    const byte = Buffer.from('1')
    const heapBefore = heapUsed()
    for (let i = 0; i < 500_000; i++) objects.push(byte)
    const heapBytes = heapUsed() - heapBefore
    t.ok(heapBytes < 10_000_000, `${heapBytes} bytes of heap at depth ${depth}`)
    t.ok(objects.isOpen)
  }
})

function heapUsed(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed
}
