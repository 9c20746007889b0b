// What the demo writes must be what runtimes write; the shapes are those of test/fixtures/cri.
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { ContainerLog, newWriter } from '../../src/demo/container-log.ts'
import { EQUAL_LINE, messagesOf, type Program } from '../../src/demo/messages.ts'
import { readSampleLine } from '../../src/demo/sample-line.ts'
import type { Runtime } from '../../src/demo/workload.ts'

const NOW = Date.parse('2026-11-21T07:56:02.417Z')

interface Row {
  time: string
  stream: string
  tag: string
  message: Buffer
}

function rowsOf(bytes: Buffer): Row[] {
  const rows: Row[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(10, at)
    const [time = '', stream = '', tag = ''] = bytes.toString('latin1', at, Math.min(end, at + 64)).split(' ')
    rows.push({ time, stream, tag, message: bytes.subarray(at + `${time} ${stream} ${tag} `.length, end) })
    at = end + 1
  }
  return rows
}

/** The messages that the rows make, joined per stream. */
function messagesIn(rows: readonly Row[]): { messages: Buffer[]; open: number } {
  const open: Record<string, Buffer[]> = { stdout: [], stderr: [] }
  const messages: Buffer[] = []
  for (const { stream, tag, message } of rows) {
    open[stream]?.push(message)
    if (tag === 'P') continue
    messages.push(Buffer.concat(open[stream] as Buffer[]))
    open[stream] = []
  }
  return { messages, open: (open.stdout?.length ?? 0) + (open.stderr?.length ?? 0) }
}

function write(t: Test, runtime: Runtime, program: Program, cutShort = false) {
  const directory = t.testdir({})
  const writer = newWriter('shop/cart-0/cart')
  const log = new ContainerLog(`${directory}/0.log`, writer, runtime, messagesOf(program))
  for (let tick = 0; tick < 200; tick++) {
    log.write(7, NOW + tick * 50)
    if (tick === 100) log.reopen(`${directory}/1.log`)
  }
  log.close(NOW + 20_000, cutShort)
  const files = [0, 1].map((n) => readFileSync(`${directory}/${n}.log`))
  return { writer, files, rows: files.flatMap(rowsOf) }
}

t.test('rows of containerd', async (t) => {
  const { rows, writer } = write(t, 'containerd', 'storefront')
  for (const { time, stream, tag, message } of rows) {
    t.match(time, /^2026-11-21T07:56:\d\d\.\d{0,8}[1-9]Z$/)
    t.match(stream, /^std(out|err)$/)
    t.match(tag, /^[PF]$/)
    t.ok(tag === 'F' ? message.length <= 16_384 : message.length === 16_384)
  }
  t.equal(rows.length, writer.rows)
  const whole = rows.filter(({ tag, message }) => tag === 'F' && message.length === 16_384)
  t.ok(whole.length > 0, 'a line that fills its last chunk ends with it')
})

t.test('rows of conmon', async (t) => {
  const { rows } = write(t, 'conmon', 'ledger')
  for (const { time, tag, message } of rows) {
    t.match(time, /^2026-11-21T07:56:\d\d\.\d{9}\+00:00$/)
    t.ok(tag === 'F' ? message.length < 8192 : message.length === 8192)
  }
  t.ok(rows.some(({ tag, message }) => tag === 'F' && message.length === 0))
  const shared = rows.filter((row, i) => row.time === rows[i - 1]?.time)
  t.ok(shared.length > 0, 'lines of one read share a time')
  const twins = rows.filter((row, i) => row.time === rows[i - 1]?.time && row.message.equals(rows[i - 1]!.message))
  t.ok(twins.length > 0, 'some of them are equal lines')
})

t.test('times never go back', async (t) => {
  const { rows } = write(t, 'conmon', 'ingest')
  t.ok(rows.every((row, i) => i === 0 || row.time >= rows[i - 1]!.time))
})

t.test('joined per stream, the rows are the lines that were counted, in order', async (t) => {
  for (const [runtime, program] of [
    ['containerd', 'checkout'],
    ['conmon', 'ingest'],
    ['containerd', 'proxy'],
  ] as const) {
    const { rows, writer, files } = write(t, runtime, program)
    const { messages, open } = messagesIn(rows)
    t.equal(open, 0)
    const equal = messages.filter((message) => message.equals(EQUAL_LINE)).length
    t.equal(equal, writer.equalLines)
    const numbers = messages.flatMap((message) => readSampleLine(message)?.sequence ?? [])
    t.same(
      numbers.toSorted((a, b) => a - b),
      Array.from({ length: writer.lastSequence }, (_, i) => i + 1),
    )
    t.equal(messages.length, numbers.length + equal)
    t.equal(files[0]!.length + files[1]!.length, writer.bytes)
  }
})

t.test(
  'a long line waits for its last chunk: cut inside a character, others in between, over the end of a file',
  async (t) => {
    const { rows } = write(t, 'conmon', 'ingest')
    const inside = rows.filter(({ tag, message }) => tag === 'P' && message.toString().includes('\ufffd'))
    t.ok(inside.length > 0)
    const between = rows.filter(
      (row, i) => row.tag === 'F' && rows[i - 1]?.tag === 'P' && rows[i - 1]?.stream !== row.stream,
    )
    t.ok(between.length > 0)

    const directory = t.testdir({})
    const writer = newWriter('data/ingest/ingest')
    const log = new ContainerLog(`${directory}/0.log`, writer, 'containerd', [{ stream: 0, content: 40_000 }])
    log.write(1, NOW)
    log.reopen(`${directory}/1.log`)
    log.close(NOW + 50, false)
    const tags = (name: string) =>
      rowsOf(readFileSync(`${directory}/${name}`)).map(({ stream, tag }) => `${stream} ${tag}`)
    t.same(tags('0.log'), ['stdout P', 'stdout P', 'stderr F'])
    t.same(tags('1.log'), ['stdout F'])
  },
)

t.test('a write may end inside a row, a file does not', async (t) => {
  const directory = t.testdir({})
  const path = `${directory}/0.log`
  const log = new ContainerLog(path, newWriter('a/b/c'), 'containerd', messagesOf('dns'))
  let torn = 0
  for (let i = 0; i < 40; i++) {
    log.write(3, NOW + i * 50)
    if (readFileSync(path).at(-1) !== 10) torn++
  }
  t.equal(torn, 2)
  for (let i = 40; i < 48; i++) log.write(3, NOW + i * 50)
  t.not(readFileSync(path).at(-1), 10)
  log.reopen(`${directory}/1.log`)
  t.equal(readFileSync(path).at(-1), 10)
  log.close(NOW, false)
})

t.test('a container that is cut short leaves a P that nothing follows', async (t) => {
  const { rows, writer } = write(t, 'containerd', 'dns', true)
  const last = rows.at(-1)!
  t.match(last, { stream: 'stdout', tag: 'P' })
  t.equal(readSampleLine(last.message)?.sequence, writer.lastSequence)
})
