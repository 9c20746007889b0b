// The demo as a user starts it: a process of its own, with its output, its signals and what it leaves behind.
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, rmSync, truncateSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Account } from '../../src/demo/account.ts'
import { UNLIMITED_RATES } from '../../src/demo/loki-limits.ts'
import { startReceiver } from '../../src/demo/receiver.ts'

const MAIN = resolve(import.meta.dirname, '../../src/main.ts')

interface Run {
  child: ChildProcess
  directory: string
  /** So far, both streams. */
  output: () => string
  /** Resolves when the output matches. */
  until: (pattern: RegExp) => Promise<void>
  code: Promise<number | null>
}

function start(t: Test, args: string[], env: NodeJS.ProcessEnv = {}): Run {
  const directory = t.testdir({})
  const { LOKI_URL: _url, LOKI_TENANT: _tenant, ...rest } = process.env
  const child = spawn(process.execPath, [MAIN, 'demo', ...args], { env: { ...rest, TMPDIR: directory, ...env } })
  let output = ''
  const take = (data: Buffer) => {
    output += data
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  const code = new Promise<number | null>((resolve) => child.on('close', resolve))
  t.teardown(() => child.kill('SIGKILL'))
  const until = async (pattern: RegExp) => {
    while (!pattern.test(output)) {
      if (child.exitCode !== null) throw new Error(`ended before ${pattern}: ${output}`)
      await sleep(20)
    }
  }
  return { child, directory, output: () => output, until, code }
}

/** The figure behind a title in the account. */
function figure(output: string, title: string): number {
  const match = new RegExp(`^ {2}${title} +([\\d,]+)`, 'm').exec(output)
  return Number(match?.[1]?.replaceAll(',', ''))
}

function exact(t: Test, output: string): void {
  t.ok(figure(output, 'lines written') > 1000)
  t.equal(figure(output, 'verified'), figure(output, 'lines written'))
  for (const title of ['missing', 'duplicate', 'corrupt', 'out of order']) t.equal(figure(output, title), 0, title)
  t.match(output, /Every line arrived exactly once, whole and in order\./)
}

t.test('--seconds: it ends by itself, and every line arrived', async (t) => {
  const run = start(t, ['--seconds', '4'])
  t.equal(await run.code, 0, run.output())
  exact(t, run.output())
  t.ok(figure(run.output(), 'survived') > 0, 'rotations')
  t.match(run.output(), / [1-9]\d* restarts?, /)
  t.match(run.output(), /^ {2}status page {5}http:\/\/127\.0\.0\.1:\d+$/m)
  t.match(run.output(), /LOKI_URL=http:\/\/HOST:3100 npm start/)
  t.notOk(run.output().includes('\x1b'), 'no terminal, no colours')
  t.same(readdirSync(run.directory), [], 'nothing is left behind')
})

t.test('Ctrl-C: what was written is delivered, then comes the account', async (t) => {
  const run = start(t, [])
  await run.until(/to stop/)
  await sleep(2500)
  run.child.kill('SIGINT')
  run.child.kill('SIGINT') // as npm and the terminal together do it
  t.equal(await run.code, 0, run.output())
  exact(t, run.output())
  t.same(readdirSync(run.directory), [])
})

t.test('lines that vanish before they are read are missing, and the demo fails', async (t) => {
  const run = start(t, ['--seconds', '3'])
  await run.until(/to stop/)
  await sleep(2000)
  const [name] = readdirSync(run.directory)
  const files = readdirSync(`${run.directory}/${name}/log/pods`, { recursive: true, withFileTypes: true })
  const live = files.filter((file) => /^\d\.log$/.test(file.name))
  for (const file of live) truncateSync(`${file.parentPath}/${file.name}`)
  t.equal(await run.code, 1, run.output())
  t.ok(figure(run.output(), 'missing') > 0)
  t.match(run.output(), /^ {4}missing: w=\S+ n=\d+/m, 'by name')
  t.match(run.output(), /Not every line arrived exactly once/)
})

t.test('a Loki of the user: everything is delivered to it', async (t) => {
  const account = new Account()
  const receiver = await startReceiver({ limits: { ...UNLIMITED_RATES, authEnabled: true }, onEntry: account.see })
  t.teardown(() => receiver.close())
  const run = start(t, ['--seconds', '2', '--rate', '500'], { LOKI_URL: receiver.url, LOKI_TENANT: 'me' })
  t.equal(await run.code, 0, run.output())
  t.match(run.output(), `${receiver.url}, tenant me`)
  t.match(run.output(), 'Everything that was written was acknowledged.')
  t.equal(receiver.counts.accepted, figure(run.output(), 'lines written'))
  t.equal(receiver.streams('me').length, receiver.streams().length)
  t.match(account.report(false), { duplicate: 0, corrupt: 0, outOfOrder: 0 })
})

t.test('a Loki that is down: it says so, and a second Ctrl-C ends it at once', async (t) => {
  const run = start(t, [], { LOKI_URL: 'http://127.0.0.1:9' })
  await run.until(/Loki retrying: .*ECONNREFUSED/)
  t.notMatch(run.output(), /"level":/, 'the log of the agent is elsewhere')
  run.child.kill('SIGINT')
  await sleep(600)
  const at = performance.now()
  run.child.kill('SIGINT')
  t.equal(await run.code, 130)
  t.ok(performance.now() - at < 1500)
  t.same(readdirSync(run.directory), [])
})

t.test('a disk that fails: an error, an end, and nothing left', async (t) => {
  const run = start(t, [])
  await run.until(/to stop/)
  for (const name of readdirSync(run.directory))
    rmSync(`${run.directory}/${name}/log`, { recursive: true, force: true })
  t.equal(await run.code, 1)
  t.match(run.output(), /taffrail demo: ENOENT: /)
  t.same(readdirSync(run.directory), [])
})

t.test('usage', async (t) => {
  const cases: [string[], NodeJS.ProcessEnv, RegExp][] = [
    [['--second', '4'], {}, /^taffrail demo: Unknown option '--second'/],
    [['--seconds', 'soon'], {}, /^taffrail demo: --seconds soon: must be a number of seconds, more than 0/],
    [['--seconds=0'], {}, /^taffrail demo: --seconds 0: must be/],
    [['--rate', '0'], {}, /^taffrail demo: --rate 0: must be lines per second, 1 to 50000/],
    [['now'], {}, /^taffrail demo: Unexpected argument 'now'/],
    [
      [],
      { LOKI_URL: 'loki:3100' },
      /^taffrail demo: LOKI_URL: expected an http:\/\/ or https:\/\/ URL, found "loki:3100"/,
    ],
    [[], { LOKI_URL: 'http://l', LOKI_TENANT: 'a b' }, /^taffrail demo: LOKI_TENANT: /],
  ]
  for (const [args, env, message] of cases) {
    const run = start(t, args, env)
    t.equal(await run.code, 2)
    t.match(run.output(), message)
    t.same(readdirSync(run.directory), [])
  }
  const run = start(t, ['--help'])
  t.equal(await run.code, 0)
  t.match(run.output(), /^Usage: taffrail demo /)
})

t.test('--keep leaves the tree', async (t) => {
  const run = start(t, ['--seconds', '1', '--keep'])
  t.equal(await run.code, 0, run.output())
  const [kept] = readdirSync(run.directory)
  t.match(run.output(), `Kept: ${run.directory}/${kept}`)
  t.same(readdirSync(`${run.directory}/${kept}/log`).sort(), ['containers', 'pods'])
})
