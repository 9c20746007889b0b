// CRI rows: those that runtimes wrote (test/fixtures/cri, each row against analysis.txt), and those that nobody should.
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import t from 'tap'
import { STDERR, STDOUT } from '../../src/core/entry.ts'
import { parseCri } from '../../src/parse/cri.ts'
import { newRow } from '../../src/parse/row.ts'
import fc from '../support/properties.ts'

const fixtures = `${dirname(import.meta.dirname)}/fixtures/cri`
const row = newRow()

/** `seconds nanos stream tag message`, or null. */
function parse(text: string | Buffer): [number, number, string, string, string] | null {
  const bytes = Buffer.isBuffer(text) ? text : Buffer.from(text, 'latin1')
  if (!parseCri(bytes, 0, bytes.length, row)) return null
  const message = row.buffer.toString('latin1', row.messageStart, row.messageEnd)
  return [row.seconds, row.nanos, row.stream === STDOUT ? 'stdout' : 'stderr', row.partial ? 'P' : 'F', message]
}

/** Seconds and nanoseconds by way of Date. */
function timeOf(text: string): [number, number] {
  const [, second, fraction, zone] = /^(.{19})(?:\.(\d+))?(.*)$/.exec(text)!
  return [Date.parse(second! + zone!) / 1000, Number((fraction ?? '').padEnd(9, '0'))]
}

/** The bytes of a Python literal such as b'\xc3a\n', as latin1. */
function pythonBytes(literal: string): string {
  const simple: Record<string, string> = { n: '\n', r: '\r', t: '\t', '\\': '\\', "'": "'", '"': '"' }
  return literal
    .slice(2, -1)
    .replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_, hex, char) =>
      hex ? String.fromCharCode(parseInt(hex, 16)) : simple[char]!,
    )
}

function linesOf(path: string): Buffer[] {
  const content = readFileSync(path)
  const lines: Buffer[] = []
  for (let start = 0; start < content.length; ) {
    const newline = content.indexOf(10, start)
    lines.push(content.subarray(start, newline < 0 ? content.length : newline))
    start = newline < 0 ? content.length : newline + 1
  }
  return lines
}

t.test('every row of every capture is what the analysis says', async (t) => {
  const ROW = /^ {3}(\S+) (stdout|stderr) ([FP]) (\d+) (b'.*'|b".*") (b'.*'|b".*")$/
  let rows = 0
  for (const section of readFileSync(`${fixtures}/analysis.txt`, 'utf8').split(/^## /m).slice(1)) {
    const [title, ...rest] = section.trimEnd().split('\n')
    const [name] = title!.split(' ')
    const expected = rest.filter((line) => !line.startsWith('   rows ')).map((line) => ROW.exec(line)!)
    const lines = linesOf(`${fixtures}/${name}`)
    t.equal(lines.length, expected.length, `${name}: number of rows`)
    for (const [index, line] of lines.entries()) {
      const [, time, stream, tag, length, first, last] = expected[index]!
      const [seconds, nanos, ...got] = parse(line) ?? [0, 0, 'refused', '', '']
      t.strictSame([seconds, nanos], timeOf(time!), `${name}:${index + 1} time`)
      const message = got[2]
      // A folder's name in the Go traces was shortened by nine bytes after they were analysed.
      const shortened = name!.endsWith('gopanic.log') && message.includes('/src/emitter/') ? 9 : 0
      t.strictSame([got[0], got[1], message.length + shortened], [stream, tag, Number(length)], `${name}:${index + 1}`)
      if (!message.startsWith(pythonBytes(first!))) t.fail(`${name}:${index + 1} begins otherwise`)
      if (!message.endsWith(pythonBytes(last!))) t.fail(`${name}:${index + 1} ends otherwise`)
      rows++
    }
  }
  t.equal(rows, 643)
})

t.test('every row of the rotated captures is a CRI row', async (t) => {
  const paths = [
    'conmon-reopen/0.log.20261121-080000',
    'conmon-reopen/0.log',
    'conmon-rot/0.log',
    'containerd-rot/0.log.20261121-075651',
    'containerd-rot/0.log.20261121-075652',
    'containerd-rot/0.log.20261121-075654',
    'containerd-rot/0.log',
    'containerd-rotpart/0.log.20261121-075729',
    'containerd-rotpart/0.log',
  ]
  for (const path of paths) {
    const lines = linesOf(`${fixtures}/${path}`)
    t.ok(lines.length > 1 && lines.every((line) => parse(line) !== null), path)
  }
})

t.test('rows that the captures do not hold', async (t) => {
  const time = '2026-11-21T07:50:46.5Z'
  const at: [number, number] = [Date.parse('2026-11-21T07:50:46Z') / 1000, 500_000_000]
  const good: [string, string, string, string][] = [
    [`${time} stdout F a`, 'stdout', 'F', 'a'],
    [`${time} stderr P a`, 'stderr', 'P', 'a'],
    [`${time} stdout F `, 'stdout', 'F', ''],
    [`${time} stdout F`, 'stdout', 'F', ''],
    [`${time} stdout F  a `, 'stdout', 'F', ' a '],
    [`${time} stdout P:x a`, 'stdout', 'P', 'a'],
    [`${time} stdout F:x:y a b`, 'stdout', 'F', 'a b'],
    [`${time} stdout F:x`, 'stdout', 'F', ''],
    [`${time} stdout F: a`, 'stdout', 'F', 'a'],
    [`${time} stdout F \0\xff\r`, 'stdout', 'F', '\0\xff\r'],
    [`${time} stdout F ${time} stdout F a`, 'stdout', 'F', `${time} stdout F a`],
  ]
  for (const [text, ...rest] of good) t.strictSame(parse(text), [...at, ...rest], text)
  const bad = [
    '',
    ' ',
    'a',
    time,
    `${time} `,
    `${time} stdout`,
    `${time} stdout `,
    `${time} stdout X a`,
    `${time} stdout f a`,
    `${time} stdout Full a`,
    `${time} stdout PF a`,
    `${time} stdout  F a`,
    `${time}  stdout F a`,
    `${time} stdin F a`,
    `${time} stdour F a`,
    `${time} stdeut F a`,
    `${time} Stdout F a`,
    `${time} stdouts F a`,
    `${time}stdout F a`,
    ` ${time} stdout F a`,
    `2026-11-21 stdout F a`,
    `2026-02-30T07:50:46.5Z stdout F a`,
    '{"log":"a\\n","stream":"stdout","time":"2026-11-21T07:50:46.5Z"}',
  ]
  for (const text of bad) t.equal(parse(text), null, text)
})

t.test('nothing beyond the row is looked at', async (t) => {
  const bytes = Buffer.from('2026-11-21T07:50:46.5Z stdout F abc def')
  const full = '2026-11-21T07:50:46.5Z stdout F'.length
  for (let end = 0; end < bytes.length; end++) {
    const ok = parseCri(bytes, 0, end, row)
    t.equal(ok, end >= full, `cut at ${end}`)
    if (ok) t.equal(row.messageEnd, end)
  }
})

t.test('property: a row that was made is taken apart into what made it', async () => {
  const bytes = fc.uint8Array({ maxLength: 200 }).map((b) => Buffer.from(b.filter((each) => each !== 10)))
  const parts = fc.record({
    seconds: fc.integer({ min: 86_400, max: 4_000_000_000 }),
    nanos: fc.integer({ min: 0, max: 999_999_999 }),
    minutes: fc.constantFrom(0, 330, -210, 60, 765, -720),
    zulu: fc.boolean(),
    stream: fc.constantFrom(STDOUT, STDERR),
    partial: fc.boolean(),
    tags: fc.constantFrom('', ':x', ':a:b'),
    message: bytes,
    around: bytes,
  })
  const check = fc.property(parts, (p) => {
    const local = new Date((p.seconds + (p.zulu ? 0 : p.minutes * 60)) * 1000).toISOString().slice(0, 19)
    const pad = (n: number) => String(Math.floor(n)).padStart(2, '0')
    const digits = String(p.nanos).padStart(9, '0')
    const fraction = p.zulu ? (p.nanos === 0 ? '' : `.${digits.replace(/0+$/, '')}`) : `.${digits}`
    const offset = Math.abs(p.minutes)
    const zone = p.zulu ? 'Z' : `${p.minutes < 0 ? '-' : '+'}${pad(offset / 60)}:${pad(offset % 60)}`
    const head = `${local}${fraction}${zone} ${p.stream === STDOUT ? 'stdout' : 'stderr'} ${p.partial ? 'P' : 'F'}${p.tags} `
    const line = Buffer.concat([Buffer.from(head), p.message])
    const block = Buffer.concat([p.around, line, Buffer.from('\n'), p.around])
    const start = p.around.length
    return (
      parseCri(block, start, start + line.length, row) &&
      row.seconds === p.seconds &&
      row.nanos === p.nanos &&
      row.stream === p.stream &&
      row.partial === p.partial &&
      row.buffer === block &&
      block.subarray(row.messageStart, row.messageEnd).equals(p.message)
    )
  })
  fc.assert(check, { numRuns: 2000 })
})

t.test('property: random bytes never throw, and a message never leaves its row', async () => {
  const near = fc.tuple(fc.nat(60), fc.uint8Array({ minLength: 1, maxLength: 4 })).map(([at, bytes]) => {
    const text = Buffer.from('2026-11-21T07:50:46.902896630+00:00 stdout F message and more')
    text.set(bytes.slice(0, text.length - at), at)
    return text
  })
  const random = fc.uint8Array({ maxLength: 100 }).map((b) => Buffer.from(b))
  const check = fc.property(fc.oneof(near, random), fc.nat(20), fc.nat(20), (bytes, before, after) => {
    const start = Math.min(before, bytes.length)
    const end = Math.max(start, bytes.length - after)
    if (!parseCri(bytes, start, end, row)) return true
    return (
      start < row.messageStart &&
      row.messageStart <= row.messageEnd &&
      row.messageEnd === end &&
      row.seconds >= 0 &&
      row.nanos >= 0 &&
      row.nanos < 1e9
    )
  })
  fc.assert(check, { numRuns: 5000 })
})
