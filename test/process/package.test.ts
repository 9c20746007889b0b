// The package as it is shipped: compiled by `npm run build`, started by its `bin`.
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { lokiSink, runToEnd, SERVER, startRun, within, writeConfig } from '../support/process.ts'
import { receiverOf } from '../support/receivers.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

t.test('compiled, it starts, checks, runs, and shows its page', async (t) => {
  // Below the repository, so that its modules are found.
  const directory = t.testdir({ 'a.log': 'a 1\n' })
  const { bin, version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as {
    bin: { taffrail: string }
    version: string
  }
  // Without the test runner's own loader, which the compiler would inherit.
  const compile = ['-u', 'NODE_OPTIONS', `${ROOT}/node_modules/.bin/tsc`, '-p', 'tsconfig.build.json']
  await run('env', [...compile, '--outDir', `${directory}/dist`], { cwd: ROOT })
  const program = `${directory}/${bin.taffrail}`
  t.ok(readFileSync(program, 'utf8').startsWith('#!/usr/bin/env node\n'))
  t.notOk(existsSync(`${directory}/dist/test`))
  t.match(await runToEnd(t, ['--version'], { program }), { code: 0, stdout: `taffrail ${version}\n`, stderr: '' })

  const receiver = await receiverOf(t)
  const config = writeConfig(directory, {
    sources: [{ name: 'x', type: 'files', paths: [`${directory}/*.log`] }],
    sinks: [lokiSink(receiver.url)],
    server: SERVER,
  })
  t.match(await runToEnd(t, ['check', '-c', config], { program }), { code: 0, stdout: /stateDir: /, stderr: '' })
  const taffrail = startRun(t, config, [], { program })
  await within(
    receiver.until(() => receiver.counts.accepted === 1),
    () => `the line arrives\n${taffrail.story()}`,
  )
  const url = await taffrail.serverUrl()
  for (const path of ['/', '/metrics', '/status', '/healthz', '/ready']) {
    t.equal((await fetch(url + path)).status, 200, path)
  }
  t.same(await taffrail.end(), { code: 0, signal: null })
  t.same(taffrail.otherLines, [])
})
