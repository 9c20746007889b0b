// The command line: what is wrong is said once, on stderr, and the exit code tells usage (2) from failure (1).
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import t from 'tap'
import { VERSION } from '../../src/version.ts'
import { lokiSink, runToEnd, writeConfig } from '../support/process.ts'
import { receiverOf } from '../support/receivers.ts'

t.jobs = 4

const usages: Record<string, { args: string[]; code: number; stdout?: RegExp | string; stderr?: RegExp | string }> = {
  'no command': { args: [], code: 2, stderr: /^Usage: taffrail COMMAND/ },
  'an unknown command': { args: ['rnu'], code: 2, stderr: /^taffrail: there is no command rnu\n\nUsage: / },
  '--version': { args: ['--version'], code: 0, stdout: `taffrail ${VERSION}\n` },
  '--help': { args: ['--help'], code: 0, stdout: /run --config FILE/ },
  'run --help': { args: ['run', '--help'], code: 0, stdout: /^Usage: taffrail run/ },
  'stream --help': { args: ['stream', '--help'], code: 0, stdout: /^Usage: taffrail stream/ },
  'stream without files': { args: ['stream'], code: 2, stderr: /^taffrail stream: FILE is missing.*\n\nUsage: / },
  'check --help': { args: ['check', '--help'], code: 0, stdout: /^Usage: taffrail check/ },
  'run without a configuration': {
    args: ['run'],
    code: 2,
    stderr: /^taffrail run: --config FILE is missing\n\nUsage: /,
  },
  'an unknown option': { args: ['run', '-c', 'x', '--onec'], code: 2, stderr: /^taffrail run: .*'--onec'/ },
  'an argument too many': { args: ['run', '-c', 'x', 'y'], code: 2, stderr: /^taffrail run: .*'y'/ },
  'an unknown log level': { args: ['run', '-c', 'x', '--log-level', 'loud'], code: 2, stderr: /loud.*debug, info/ },
  'an option without its value': { args: ['run', '--config'], code: 2, stderr: /^taffrail run: .*--config/ },
  'a missing configuration': {
    args: ['run', '--config', '/none/taffrail.yaml'],
    code: 2,
    stderr: /^\/none\/taffrail\.yaml: .*(no such file|not exist|there is no).*\n$/i,
  },
  'a directory for a configuration': { args: ['run', '-c', '/tmp'], code: 2, stderr: /^\/tmp: .*directory.*\n$/ },
}

for (const [what, { args, code, stdout = '', stderr = '' }] of Object.entries(usages)) {
  t.test(what, async (t) => {
    const result = await runToEnd(t, args)
    t.equal(result.code, code)
    for (const [text, wanted] of [
      [result.stdout, stdout],
      [result.stderr, stderr],
    ] as const) {
      if (typeof wanted === 'string') t.equal(text, wanted)
      else t.match(text, wanted)
    }
    t.notMatch(result.stderr, /\n {4}at /, 'no stack')
    t.same(result.process.log, [])
  })
}

t.test('a configuration with errors: each with FILE:LINE:COL, by run and by check alike', async (t) => {
  const directory = t.testdir()
  const path = `${directory}/bad.yaml`
  writeFileSync(
    path,
    `sources:
  - {name: a, type: files, paths: [logs/*.log]}
sinks:
  - name: loki
    type: loki
    url: ftp://loki
    batchByteMax: 1Mi
    tls: {caFile: /none/ca.pem}
`,
  )
  const errors = [
    /^.*bad\.yaml:2:36: sources\[0\]\.paths\[0\]: .*absolute/,
    /^.*bad\.yaml:6:10: sinks\[0\]\.url: /,
    /^.*bad\.yaml:7:5: sinks\[0\]\.batchByteMax: unknown key; did you mean batchBytesMax\?/,
    /^.*bad\.yaml:8:19: sinks\[0\]\.tls\.caFile: .*\/none\/ca\.pem/,
  ]
  for (const command of ['run', 'check']) {
    const { code, stderr, stdout } = await runToEnd(t, [command, '-c', path])
    t.same([code, stdout], [2, ''])
    const lines = stderr.trimEnd().split('\n')
    t.match(lines.slice(0, errors.length), errors)
    t.equal(lines.length, command === 'run' ? errors.length : errors.length + 1)
    t.ok(lines.every((line) => line.includes(path)))
  }
})

t.test('check prints what run would do', async (t) => {
  const directory = t.testdir()
  const config = writeConfig(directory, {
    sources: [{ name: 'c', type: 'containers' }],
    sinks: [lokiSink('http://loki:3100', { auth: { bearer: { token: 'secret-of-ours' } } })],
  })
  const { code, stdout, stderr } = await runToEnd(t, ['check', '--config', config])
  t.same([code, stderr], [0, ''])
  t.match(stdout, /batchBytesMax: 1Mi/)
  t.notMatch(stdout, /secret-of-ours/)
})

t.test('the port of the server is taken: an end with 1, before anything is read or sent', async (t) => {
  const directory = t.testdir({ 'a.log': 'a 1\n' })
  const receiver = await receiverOf(t)
  const taken = createServer().listen(0, '127.0.0.1')
  t.teardown(() => taken.close())
  await once(taken, 'listening')
  const listen = `127.0.0.1:${(taken.address() as { port: number }).port}`
  mkdirSync(`${directory}/state`)
  const config = writeConfig(directory, {
    sources: [{ name: 'x', type: 'files', paths: [`${directory}/*.log`] }],
    sinks: [lokiSink(receiver.url)],
    server: { listen },
  })
  const { code, process: taffrail } = await runToEnd(t, ['run', '-c', config])
  t.equal(code, 1)
  t.match(taffrail.log, [
    { level: 'fatal', event: 'agent.failed', code: 'SERVER_LISTEN', msg: `cannot listen on "${listen}"` },
  ])
  t.equal(receiver.counts.requests, 0)
  t.notMatch(readFileSync(`${directory}/state/checkpoints.log`, 'utf8'), /a\.log/)
})
