// --once: all that is there is read to its end and delivered, then it exits with 0; a second run has nothing to send.
import { appendFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { startReceiver } from '../../src/demo/receiver.ts'
import { lokiSink, runToEnd, startRun, within, writeConfig } from '../support/process.ts'
import { linesOf, receiverOf } from '../support/receivers.ts'

t.jobs = 4

const CLEAN = { code: 0, signal: null }

const begun = Date.now() - 3_600_000
let clock = 0
/** A row of a container's log, a millisecond after the one before. */
const row = (message: string, tag = 'F', stream = 'stdout') =>
  `${new Date(begun + ++clock).toISOString()} ${stream} ${tag} ${message}\n`
const rows = (name: string, count: number) => Array.from({ length: count }, (_, i) => row(`${name} ${i}`)).join('')
const texts = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name} ${i}`)
type Files = { [name: string]: string | Buffer | Files }

async function scene(t: Test, files: Files, paths: string, type = 'containers') {
  const directory = t.testdir({ logs: files })
  const receiver = await receiverOf(t)
  const config = writeConfig(directory, {
    sources: [{ name: 'x', type, paths: [`${directory}/logs/${paths}`], roots: [`${directory}/logs`] }],
    sinks: [lokiSink(receiver.url)],
  })
  return { directory, receiver, config }
}

t.test('a container: restarts, rotated, compressed, a last line without its end', async (t) => {
  const files = {
    '0.log.20261121-100000.gz': gzipSync(rows('compressed', 50)),
    '0.log.20261121-110000': rows('rotated', 50) + row('begun in one file, ', 'P'),
    '0.log': row('ended in the next') + row('the end of a container', 'P').trimEnd(),
    '1.log': rows('restarted', 50) + row('heard', 'F', 'stderr') + row('no newline').trimEnd(),
  }
  const { directory, receiver, config } = await scene(t, { ns_web_uid: { app: files } }, '*/*/*.log')
  t.match(await runToEnd(t, ['run', '--config', config, '--once']), CLEAN)
  t.strictSame(linesOf(receiver, { stream: 'stdout' }), [
    ...texts('compressed', 50),
    ...texts('rotated', 50),
    'begun in one file, ended in the next',
    'the end of a container',
    ...texts('restarted', 50),
    'no newline',
  ])
  t.strictSame(linesOf(receiver, { stream: 'stderr' }), ['heard'])

  const { requests } = receiver.counts
  const again = await runToEnd(t, ['run', '-c', config, '--once'])
  t.match(again, CLEAN)
  t.equal(receiver.counts.requests, requests, 'nothing to send')
  t.match(again.process.told('agent.stopped'), [{ drained: true }])

  appendFileSync(`${directory}/logs/ns_web_uid/app/1.log`, `\n${row('later')}`)
  t.match(await runToEnd(t, ['run', '-c', config, '--once']), CLEAN)
  t.equal(linesOf(receiver, { stream: 'stdout' }).at(-1), 'later')
  t.equal(receiver.counts.repeated, 0)
})

t.test('plain files: rotated by logrotate and lumberjack, compressed, empty, without a newline', async (t) => {
  const files = {
    'app.log.2.gz': gzipSync('app 1\napp 2\n'),
    'app.log.1': 'app 3\napp 4',
    'app.log': 'app 5\napp 6',
    'audit-2026-11-20T10-00-00.000.log.gz': gzipSync('audit 1\n'),
    'audit-2026-11-21T10-00-00.000.log': 'audit 2\n',
    'audit.log': '',
    'empty.log': '',
  }
  const { directory, receiver, config } = await scene(t, files, '*.log', 'files')
  for (const _ of ['first', 'second']) {
    t.match(await runToEnd(t, ['run', '-c', config, '--once']), CLEAN)
    const of = (name: string) => linesOf(receiver, { filename: `${directory}/logs/${name}` })
    t.strictSame(of('app.log'), texts('app', 7).slice(1))
    t.strictSame(of('audit.log'), ['audit 1', 'audit 2'])
    t.strictSame(of('empty.log'), [])
    t.equal(receiver.counts.repeated, 0)
  }
})

t.test('nothing there at all', async (t) => {
  const { receiver, config } = await scene(t, {}, 'none/*.log', 'files')
  t.match(await runToEnd(t, ['run', '-c', config, '--once']), CLEAN)
  t.equal(receiver.counts.requests, 0)
})

t.test('a sink that fails for a while is waited for', async (t) => {
  const { receiver, config } = await scene(t, { 'a.log': 'a 1\na 2\n' }, '*.log', 'files')
  receiver.setFault(({ n }) => (n <= 4 ? { kind: 'answer', status: 503 } : null))
  t.match(await runToEnd(t, ['run', '-c', config, '--once']), CLEAN)
  t.strictSame(linesOf(receiver, {}), ['a 1', 'a 2'])
})

t.test('a dead sink: it does not end by itself, and a signal ends it with 1', async (t) => {
  const { receiver, config } = await scene(t, { 'a.log': 'a 1\na 2\n' }, '*.log', 'files')
  receiver.setFault(() => ({ kind: 'answer', status: 503 }))
  const taffrail = startRun(t, config, ['--once'])
  await within(
    receiver.until(() => receiver.counts.requests >= 6),
    () => `it tries again and again\n${taffrail.story()}`,
  )
  t.notOk(taffrail.hasEnded)
  t.same(await taffrail.end(), { code: 1, signal: null })
  t.match(taffrail.told('agent.stopped'), [{ drained: false }])
  receiver.setFault(null)
  t.match(await runToEnd(t, ['run', '-c', config, '--once']), CLEAN)
  t.strictSame(linesOf(receiver, {}), ['a 1', 'a 2'])
})

t.test('one of two sinks is dead: the other one gets everything', async (t) => {
  const { directory, receiver } = await scene(t, { 'a.log': 'a 1\na 2\n' }, '*.log', 'files')
  const dead = await startReceiver({ fault: () => ({ kind: 'hang', store: 'none' }) })
  t.teardown(() => dead.close())
  const config = writeConfig(directory, {
    sources: [{ name: 'x', type: 'files', paths: [`${directory}/logs/*.log`] }],
    sinks: [lokiSink(dead.url, { name: 'dead', requestTimeout: '300ms' }), lokiSink(receiver.url, { name: 'alive' })],
  })
  const taffrail = startRun(t, config, ['--once'])
  await within(
    receiver.until(() => receiver.counts.accepted === 2),
    () => `the living one gets all\n${taffrail.story()}`,
  )
  t.notOk(taffrail.hasEnded)
  t.same(await taffrail.end(), { code: 1, signal: null })
})

t.test('a file that grows meanwhile does not hold it for ever', async (t) => {
  const { directory, receiver, config } = await scene(t, { 'a.log': 'a 1\n' }, '*.log', 'files')
  const timer = setInterval(() => appendFileSync(`${directory}/logs/a.log`, 'more\n'), 5)
  try {
    t.match(await runToEnd(t, ['run', '-c', config, '--once']), CLEAN)
  } finally {
    clearInterval(timer)
  }
  t.ok(receiver.counts.accepted >= 1)
})
