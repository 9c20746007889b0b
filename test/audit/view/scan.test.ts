import { test } from 'tap'
import { NAME } from '../../../src/audit/event.ts'
import { Lines, Scan } from '../../../src/audit/view/scan.ts'
import { event, lines } from './rig.ts'

/** The names of the events that are handed on, when the bytes come in pieces of so many. */
function names(log: string | Buffer, needles: string[], pieceBytes: number) {
  const found: string[] = []
  const scan = new Scan(
    needles.map((needle) => Buffer.from(needle)),
    (facts) => {
      found.push(facts.text(NAME))
      return true
    },
  )
  const input = new Lines(scan)
  const bytes = Buffer.from(log)
  for (let at = 0; at < bytes.length; at += pieceBytes) input.push(bytes.subarray(at, at + pieceBytes))
  input.finish()
  return { found, foreign: scan.foreign }
}

function named(name: string, changes: Record<string, unknown> = {}) {
  return event({ objectRef: { resource: 'pods', name }, ...changes })
}

test('lines that hold a needle are found, whatever the blocks', (t) => {
  const log = lines(named('a'), named('b'), named('c'), named('b'), named('a'), named('d'))
  for (const pieceBytes of [1, 7, 500, 1 << 20]) {
    t.same(names(log, ['"name":"b"'], pieceBytes).found, ['b', 'b'])
    t.same(names(log, ['"name":"a"', '"name":"d"'], pieceBytes).found, ['a', 'a', 'd'])
    t.same(names(log, [], pieceBytes).found, ['a', 'b', 'c', 'b', 'a', 'd'])
    t.same(names(log.trimEnd(), ['"name":"d"'], pieceBytes), { found: ['d'], foreign: 0 })
  }
  t.end()
})

test('torn and foreign lines are counted with and without a needle', (t) => {
  const whole = JSON.stringify(named('b'))
  const torn = [whole.slice(0, 200), whole.slice(50), 'hello', '{"kind":"Pod"}', '', '\r', '[]', '\u0000\u0000']
  const log = lines(named('a'), ...torn, named('b'))
  for (const needles of [[], ['"name":"b"'], ['"name":"nothing"']]) {
    t.equal(names(log, needles, 300).foreign, 6, needles.join())
  }
  t.same(names(log, ['"name":"b"'], 300).found, ['b'])
  t.end()
})

test('a line written with blanks or in another order is looked into', (t) => {
  const { kind, ...rest } = named('b')
  const spaced = JSON.stringify(named('b')).replaceAll('":', '": ')
  const log = lines(spaced, { ...rest, kind }, named('a'))
  t.same(names(log, ['"name":"b"'], 1 << 20), { found: ['b', 'b'], foreign: 0 })
  t.end()
})

test('a line of several megabytes is one line, one without an end is counted and passed over', (t) => {
  const big = named('big', { requestObject: { data: 'x'.repeat(3_000_000) } })
  t.same(names(lines(named('a'), big, named('b')), [], 1 << 16).found, ['a', 'big', 'b'])
  const endless = Buffer.concat([
    Buffer.from(lines(named('a'))),
    Buffer.alloc(65 * 1024 * 1024, 0x78),
    Buffer.from(`\n${lines(named('b'))}`),
  ])
  t.same(names(endless, [], 1 << 20), { found: ['a', 'b'], foreign: 1 })
  t.end()
})
