// Standard output: exact bytes, in the file's order, whatever the descriptor does.
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { outputTo, takenBytes } from '../../../src/ports/output.ts'
import { criTime, lokiConfig, MIB, stdoutConfig, texts, World } from '../../agent/world.ts'

t.test('raw: the message and a newline, stdout and stderr in the order of the file', async (t) => {
  const world = new World(t, { sinks: [stdoutConfig()] })
  const at = criTime(world.clock.now())
  world.raw(
    world.podPath('web'),
    Buffer.concat([
      Buffer.from(`${at} stdout F one\n${at} stderr F two\n${at} stdout F \n${at} stdout P thr`),
      Buffer.from(`\n${at} stderr F four\n${at} stdout F ee\n${at} stderr F  two  spaces \n${at} stdout F tab\tä😀\n`),
      Buffer.from(`no format at all\n${at} stdout F `),
      Buffer.from([0xff, 0x00, 0x0a]),
    ]),
  )
  world.start()
  await world.drain()
  const out = Buffer.from(world.output.text, 'latin1').toString()
  t.equal(out, 'one\ntwo\n\nfour\nthree\n two  spaces \ntab\tä😀\nno format at all\n\ufffd\0\n')
  world.settled('out')
})

t.test('json: one object a line', async (t) => {
  const world = new World(t, { sinks: [stdoutConfig({ format: 'json', labels: { team: 'a "b"' } })] })
  const at = Date.UTC(2026, 10, 21, 8, 0, 6, 123)
  const odd = 'quote " backslash \\ tab \t nul \0 ü 😀 \u2028'
  world.write('web', [{ text: 'plain' }, { text: odd, stream: 'stderr', nanos: 456_789 }], at)
  world.raw(world.podPath('web'), `no format\n${criTime(at + 864e5)} stdout F tomorrow\n`)
  world.start()
  await world.drain()
  const lines = Buffer.from(world.output.text, 'latin1').toString().trimEnd().split('\n')
  t.equal(lines.length, 4)
  const labels = {
    team: 'a "b"',
    cluster: 'test',
    node_name: 'node',
    namespace: 'ns',
    pod: 'web',
    container: 'app',
    app: 'web',
    job: 'ns/app',
  }
  const [plain, strange, raw, future] = lines.map((line) => JSON.parse(line))
  const metadata = { pod_uid: 'uid-web' }
  t.strictSame(plain, {
    time: '2026-11-21T08:00:06.123000000Z',
    labels: { ...labels, stream: 'stdout' },
    metadata,
    line: 'plain',
  })
  t.strictSame(strange, {
    time: '2026-11-21T08:00:06.123456789Z',
    labels: { ...labels, stream: 'stderr' },
    metadata,
    line: odd,
  })
  t.match(raw, { line: 'no format', metadata: { ...metadata, taffrail_mark: 'not_cri' } })
  t.match(future, {
    line: 'tomorrow',
    metadata: { ...metadata, taffrail_mark: 'future_time', taffrail_original_time: '2026-11-22T08:00:06.123000000Z' },
  })
})

t.test('json: lines of every size, of bytes that take six when they are escaped', async (t) => {
  const world = new World(t, { sinks: [stdoutConfig({ format: 'json' })] })
  const lines = [0, 1, 5000, 100_000, 300_000, MIB].map((length) => '\x01'.repeat(length) + length)
  world.write(
    'web',
    lines.map((text) => text.slice(0, MIB)),
  )
  world.start()
  await world.drain()
  const read = world.output.text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).line)
  t.ok(read.join('\n') === lines.map((text) => text.slice(0, MIB)).join('\n'))
  world.settled('out')
})

t.test('a slow reader of the output holds up nobody else', async (t) => {
  const world = new World(t, { sinks: [lokiConfig(), stdoutConfig()] })
  const gate = Promise.withResolvers<void>()
  world.output.gate = gate.promise
  world.write('web', texts('line', 100))
  world.start()
  await world.clock.advance(60_000)
  t.equal(world.loki.lines().length, 100)
  t.equal(world.output.writes, 1)
  t.equal(world.output.text, '')
  gate.resolve()
  await world.drain()
  t.equal(
    world.output.text,
    texts('line', 100)
      .map((line) => `${line}\n`)
      .join(''),
  )
  world.settled('out')
})

t.test('a full disk in the middle of a line: what was begun is ended, and nothing is there twice', async (t) => {
  const world = new World(t, { sinks: [stdoutConfig()] })
  let out = ''
  let room = 37
  world.output.write = async (data) => {
    const taken = Math.min(room, data.length)
    out += data.toString('latin1', 0, taken)
    room -= taken
    if (taken < data.length) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', takenBytes: taken })
  }
  for (const pod of ['a', 'b']) world.write(pod, texts(`${pod} line`, 20))
  world.start()
  await world.clock.advance(10_000)
  t.equal(out.length, 37)
  t.equal(world.agent.status().sinks[0]?.state, 'halted')
  world.write('a', texts('a more', 5))
  room = 11
  await world.clock.advance(10_000)
  t.equal(out.length, 48)
  room = Number.POSITIVE_INFINITY
  await world.drain()
  const wanted = [...texts('a line', 20), ...texts('a more', 5), ...texts('b line', 20)]
  t.strictSame(out.trimEnd().split('\n').sort(), wanted.sort())
  world.accounted('out')
})

t.test('stopped while a write is begun: it ends', async (t) => {
  const world = new World(t, { sinks: [stdoutConfig()] })
  world.output.write = async () => {
    throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', takenBytes: 1 })
  }
  world.write('a', texts('line', 20))
  world.start()
  await world.clock.advance(5000)
  const giveUp = new AbortController()
  const stopped = world.agent.stop(giveUp.signal)
  await world.clock.advance(5000)
  giveUp.abort()
  await world.clock.until(stopped)
  await world.clock.settle()
  t.equal(world.agent.budget.usedBytes, 0)
  t.strictSame(world.ledger('out').imbalance(), { bytes: 0, lines: 0 })
})

t.test('the descriptor: all of it, one write after the other', async (t) => {
  const path = `${t.testdir({})}/out`
  writeFileSync(path, '')
  const fd = openSync(path, 'a')
  t.teardown(() => closeSync(fd))
  const output = outputTo(fd)
  const blocks = Array.from({ length: 20 }, (_, i) => Buffer.alloc(300_000, `${i} `))
  await Promise.all(blocks.map((block) => output.write(block)))
  t.ok(readFileSync(path).equals(Buffer.concat(blocks)))
})

t.test('the descriptor: a full disk and a closed pipe are told, and the next write is tried', async (t) => {
  const full = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(full))
  const output = outputTo(full)
  for (let i = 0; i < 2; i++) await t.rejects(output.write(Buffer.from('x')), { code: 'ENOSPC', takenBytes: 0 })
  t.equal(takenBytes(new Error('of somebody else')), 0)

  const directory = t.testdir({})
  execFileSync('mkfifo', [`${directory}/pipe`])
  const reader = openSync(`${directory}/pipe`, 'r+')
  const pipe = openSync(`${directory}/pipe`, 'w')
  t.teardown(() => closeSync(pipe))
  // More than a pipe holds: the rest waits for a reader that goes away instead.
  const stuck = outputTo(pipe).write(Buffer.alloc(200_000, 'x'))
  await new Promise((resolve) => setTimeout(resolve, 100))
  closeSync(reader)
  const error = await stuck.then(
    () => null,
    (failure) => failure,
  )
  t.match(error, { code: 'EPIPE' })
})
