// The stdout sink of the real process: what a pipe gets, and what happens when its reader goes away.
import { openSync, readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { eventually, runToEnd, startRun, writeConfig } from '../support/process.ts'

t.jobs = 4

const CLEAN = { code: 0, signal: null }
const time = '2026-11-21T10:00:00.123456789Z'

function scene(t: Test, files: Record<string, string>, format: string, type = 'containers') {
  const directory = t.testdir({ logs: { ns_web_uid: { app: files } } })
  const config = writeConfig(directory, {
    sources: [{ name: 'x', type, paths: [`${directory}/logs/*/*/*.log`], roots: [directory], startAgeMax: 'off' }],
    sinks: [{ name: 'out', type: 'stdout', format, labels: { team: 'a' } }],
  })
  return { directory, config, log: `${directory}/logs/ns_web_uid/app/0.log` }
}

t.test('raw: the lines, byte for byte, and nothing else', async (t) => {
  const rows = [
    `${time} stdout F plain`,
    `${time} stderr F from stderr`,
    `${time} stdout F `,
    `${time} stdout P in two `,
    `${time} stdout F pieces`,
    `${time} stdout F größer → 大きい 🚚\ttab\r`,
    `${time} stdout F plain`,
  ]
  const { config } = scene(t, { '0.log': `${rows.join('\n')}\n` }, 'raw')
  const { code, stdout } = await runToEnd(t, ['run', '-c', config, '--once'])
  t.equal(code, 0)
  t.equal(stdout, 'plain\nfrom stderr\n\nin two pieces\ngrößer → 大きい 🚚\ttab\r\nplain\n')
  const again = await runToEnd(t, ['run', '-c', config, '--once'])
  t.match(again, { ...CLEAN, stdout: '' }, 'another run prints nothing')
})

t.test('json: one object a line, with its time, labels and metadata', async (t) => {
  const content = `${time} stdout F say "hi"\n${time} stderr F \u0007bell\nnot of the format\n`
  const { config } = scene(t, { '0.log': content }, 'json')
  const { code, stdout } = await runToEnd(t, ['run', '-c', config, '--once'])
  t.equal(code, 0)
  t.ok(stdout.endsWith('}\n'))
  const labels = { team: 'a', cluster: 'test', node_name: 'node', namespace: 'ns', pod: 'web', container: 'app' }
  t.match(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [
      { time, labels: { ...labels, stream: 'stdout' }, metadata: { pod_uid: 'uid' }, line: 'say "hi"' },
      { time, labels: { ...labels, stream: 'stderr' }, line: '\u0007bell' },
      { labels: { ...labels, stream: 'stdout' }, metadata: { taffrail_mark: 'not_cri' }, line: 'not of the format' },
    ],
  )
})

t.test('more than a pipe holds, to a reader that takes its time', async (t) => {
  const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i} ${'x'.repeat(i % 200)}`)
  const { config } = scene(t, { '0.log': lines.map((line) => `${time} stdout F ${line}\n`).join('') }, 'raw')
  const taffrail = startRun(t, config, ['--once'])
  const out = taffrail.child.stdout!
  out.pause()
  await taffrail.logged('agent.started')
  // It cannot end before somebody reads.
  t.notOk(taffrail.hasEnded)
  out.resume()
  t.same(await taffrail.result(), CLEAN)
  t.equal(taffrail.stdout.toString(), `${lines.join('\n')}\n`)
})

for (const args of [[], ['--once']]) {
  t.test(`| head -1 ${args.join('')}: an end with an error that says why`, async (t) => {
    const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i}`)
    const { config } = scene(t, { '0.log': lines.map((line) => `${time} stdout F ${line}\n`).join('') }, 'raw')
    const taffrail = startRun(t, config, args)
    taffrail.child.stdout!.once('data', () => taffrail.child.stdout!.destroy())
    t.same(await taffrail.result(), { code: 1, signal: null })
    t.match(taffrail.log.at(-1), {
      level: 'fatal',
      event: 'agent.failed',
      code: 'STDOUT_CLOSED',
      msg: /standard output.*closed/,
    })
    t.same(taffrail.otherLines, [], 'no stack trace')
    t.equal(taffrail.told('agent.failed').length, 1)
  })
}

t.test('a full device: it says so, loses nothing, and goes on trying', async (t) => {
  const { config } = scene(t, { '0.log': `${time} stdout F a line\n` }, 'raw')
  const full = openSync('/dev/full', 'w')
  const taffrail = startRun(t, config, [], { stdio: ['ignore', full, 'pipe'] })
  t.match(await taffrail.logged('sink.halted'), { level: 'error', msg: /ENOSPC/ })
  t.same(await taffrail.end(), { code: 1, signal: null }, 'it could not deliver all')
  t.match(taffrail.told('agent.stopped'), [{ drained: false, left: [{ sink: 'out' }] }])
  const { stdout } = await runToEnd(t, ['run', '-c', config, '--once'])
  t.equal(stdout, 'a line\n')
})

t.test('to a file that is followed', async (t) => {
  const { directory, config } = scene(t, { '0.log': `${time} stdout F first\n` }, 'raw')
  const out = openSync(`${directory}/out`, 'a')
  const taffrail = startRun(t, config, [], { stdio: ['ignore', out, 'pipe'] })
  await eventually(
    () => `the line is in the file\n${taffrail.story()}`,
    () => readFileSync(`${directory}/out`, 'utf8') === 'first\n',
  )
  t.same(await taffrail.end(), CLEAN)
})
