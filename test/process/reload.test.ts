// SIGHUP: a changed configuration takes effect without losing or doubling a line; one that cannot be taken is refused
// loudly, and the old one keeps running.

import { once } from 'node:events'
import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import type { ReceiverOptions } from '../../src/demo/receiver.ts'
import {
  eventually,
  lokiSink,
  SERVER,
  startRun,
  type TaffrailProcess,
  within,
  writeConfig,
} from '../support/process.ts'
import { Judge, keepWriting, NOTHING_WRONG, seeded, WritingContainer } from '../support/process-logs.ts'
import { arrives, linesOf, receiverOf } from '../support/receivers.ts'

t.jobs = 4

const CLEAN = { code: 0, signal: null }

/** Two plain files, `a.log` and `b.log`, of which the configuration reads the first. */
async function scene(t: Test, options: ReceiverOptions = {}) {
  const directory = t.testdir({ 'a.log': 'a 1\n', 'b.log': 'b 1\n' })
  const receiver = await receiverOf(t, options)
  const source = (name: string) => ({ name, type: 'files', paths: [`${directory}/${name}.log`] })
  const base = { sources: [source('a')], sinks: [lokiSink(receiver.url)], server: SERVER }
  const config = writeConfig(directory, base)
  const say = (name: string, text: string) => appendFileSync(`${directory}/${name}.log`, `${text}\n`)
  return { directory, receiver, source, base, config, say }
}

/** Swaps the configuration as a mounted ConfigMap is swapped, and tells the process. */
function reconfigure(directory: string, taffrail: TaffrailProcess, config: object | string): void {
  if (typeof config === 'string') writeFileSync(`${directory}/next.yaml`, config)
  else writeConfig(directory, config, 'next.yaml')
  renameSync(`${directory}/next.yaml`, `${directory}/taffrail.yaml`)
  taffrail.child.kill('SIGHUP')
}

t.test('other labels, again and again, while lines come', { buffered: true }, async (t) => {
  const directory = t.testdir()
  const judge = new Judge()
  const random = seeded(7)
  const writers = ['a', 'b', 'c'].map((pod) => new WritingContainer(directory, pod, judge, random, true))
  const receiver = await receiverOf(t, { onEntry: judge.see })
  receiver.setFault(({ n }) => (n % 3 === 0 ? { kind: 'slow', delayMs: 80 } : null))
  const configOf = (round: number) => ({
    sources: [{ name: 'c', type: 'containers', paths: [`${directory}/containers/*.log`] }],
    sinks: [lokiSink(receiver.url, { labels: { round: String(round) } })],
    server: SERVER,
  })
  const taffrail = startRun(t, writeConfig(directory, configOf(0)))
  const stopWriting = keepWriting(t, writers, 10)
  const pushed = (round: number) =>
    within(
      receiver.until(() => receiver.find({ round: String(round) }).length > 0),
      () => `round ${round} arrives\n${taffrail.story()}`,
    )
  await pushed(0)
  for (let round = 1; round <= 6; round++) {
    reconfigure(directory, taffrail, configOf(round))
    await pushed(round)
  }
  stopWriting()
  for (const writer of writers) writer.close()
  await within(
    receiver.until(() => judge.complete),
    () => `everything arrives: ${JSON.stringify(judge.verdict(), null, 1)}\n${taffrail.story()}`,
  )
  t.same(await taffrail.end(), CLEAN)
  const verdict = judge.verdict()
  t.strictSame(verdict, NOTHING_WRONG)
  if (verdict.examples.length > 0) t.comment(taffrail.story())
  t.equal(judge.verifier.report().repeats, 0)
  t.strictSame(
    taffrail.told('config.reloaded').map(({ path }) => path),
    Array.from({ length: 6 }, () => `${directory}/taffrail.yaml`),
  )
})

t.test('another source, another name for the node, and one source less', { buffered: true }, async (t) => {
  const { directory, receiver, source, base, config, say } = await scene(t)
  const taffrail = startRun(t, config)
  await arrives(receiver, taffrail, 'a 1')
  reconfigure(directory, taffrail, { ...base, sources: [source('a'), source('b')], nodeName: 'renamed' })
  await arrives(receiver, taffrail, 'b 1')
  say('a', 'a 2')
  await arrives(receiver, taffrail, 'a 2')
  reconfigure(directory, taffrail, { ...base, sources: [source('b')], nodeName: 'renamed' })
  await eventually(
    () => 'it is loaded',
    async () => (await taffrail.status()).lineages.every(({ source }) => source === 'b'),
  )
  say('a', 'a 3')
  say('b', 'b 2')
  await arrives(receiver, taffrail, 'b 2')
  t.same(await taffrail.end(), CLEAN)
  t.strictSame(linesOf(receiver, { node_name: 'node' }), ['a 1'])
  t.strictSame(linesOf(receiver, { node_name: 'renamed' }).sort(), ['a 2', 'b 1', 'b 2'])
  t.equal(receiver.counts.repeated, 0)
})

t.test('a sink that was misconfigured is mended', { buffered: true }, async (t) => {
  const { directory, receiver, base } = await scene(t)
  const wrong = { ...base, sinks: [lokiSink(`${receiver.url}/wrong`)] }
  const taffrail = startRun(t, writeConfig(directory, wrong))
  t.match(await taffrail.logged('sink.halted'), { status: 404, level: 'error' })
  reconfigure(directory, taffrail, base)
  await arrives(receiver, taffrail, 'a 1')
  t.same(await taffrail.end(), CLEAN)
  t.strictSame(linesOf(receiver), ['a 1'])
})

t.test('a configuration with errors is refused with every line number', { buffered: true }, async (t) => {
  const { directory, receiver, base, config, say } = await scene(t)
  const taffrail = startRun(t, config)
  await arrives(receiver, taffrail, 'a 1')
  const broken = readFileSync(config, 'utf8')
    .replace('"retryDelayMin"', '"retryDelayMinimum"')
    .replace('"files"', '"file"')
  reconfigure(directory, taffrail, broken)
  const refused = await taffrail.logged('config.rejected')
  t.match(refused, { level: 'error', path: config, errors: [String, String] })
  const place = (text: string) => {
    const before = broken.slice(0, broken.indexOf(text)).split('\n')
    return `${config}:${before.length}:${before.at(-1)!.length + 1}: `
  }
  t.match(refused.errors, [
    `${place('"file"')}sources[0].type: `,
    `${place('"retryDelayMinimum"')}sinks[0].retryDelayMinimum: unknown key; did you mean retryDelayMin?`,
  ])
  t.match(refused.msg, 'the one before stays')
  const successful = async () => {
    const metrics = await (await fetch(`${await taffrail.serverUrl()}/metrics`)).text()
    return /^taffrail_config_last_reload_successful (\d)$/m.exec(metrics)?.[1]
  }
  t.equal(await successful(), '0')
  t.match((await taffrail.status()).configErrors, refused.errors)
  say('a', 'a 2')
  await arrives(receiver, taffrail, 'a 2')

  reconfigure(directory, taffrail, '')
  await taffrail.logged('config.rejected', ({ errors }) => String(errors).includes('the file is empty'))
  reconfigure(directory, taffrail, { ...base, sinks: [lokiSink(receiver.url, { labels: { mended: 'yes' } })] })
  await taffrail.logged('config.reloaded')
  // An answer stands for others that come soon after it.
  await eventually(
    () => 'the metric says so, too',
    async () => (await successful()) === '1',
  )
  say('a', 'a 3')
  await arrives(receiver, taffrail, 'a 3')
  t.same(await taffrail.end(), CLEAN)
  t.strictSame(linesOf(receiver), ['a 1', 'a 2', 'a 3'])
  t.strictSame(linesOf(receiver, { mended: 'yes' }), ['a 3'])
})

t.test('what cannot change while it runs is refused', { buffered: true }, async (t) => {
  const { directory, receiver, base, config, say } = await scene(t)
  const taffrail = startRun(t, config)
  await arrives(receiver, taffrail, 'a 1')
  const more = { labels: { refused: 'no' } }
  for (const [key, value] of Object.entries({ stateDir: `${directory}/other`, limits: { memory: '200Mi' } })) {
    const name = key === 'limits' ? 'limits.memory' : key
    reconfigure(directory, taffrail, { ...base, sinks: [lokiSink(receiver.url, more)], [key]: value })
    const refused = await taffrail.logged('config.rejected', ({ errors }) => String(errors).includes(name))
    t.match(refused.errors, [`${config}: ${name}: cannot change while taffrail runs; restart it`])
  }
  say('a', 'a 2')
  await arrives(receiver, taffrail, 'a 2')
  t.same(await taffrail.end(), CLEAN)
  t.strictSame(linesOf(receiver, { refused: 'no' }), [])
})

t.test('another port of the server; one that is taken is refused', { buffered: true }, async (t) => {
  const { directory, receiver, base, config, say } = await scene(t)
  const taken = createServer().listen(0, '127.0.0.1')
  t.teardown(() => taken.close())
  await once(taken, 'listening')
  const address = `127.0.0.1:${(taken.address() as { port: number }).port}`
  const taffrail = startRun(t, config)
  const first = await taffrail.serverUrl()
  reconfigure(directory, taffrail, { ...base, server: { listen: address } })
  const refused = await taffrail.logged('config.rejected')
  t.match(refused.errors, [new RegExp(`server.listen: cannot listen on "${address}": .*EADDRINUSE`)])
  t.equal((await taffrail.logged('server.listening', ({ address }) => `http://${address}` === first)).level, 'info')
  const again = taffrail.told('server.listening').at(-1)!.address
  t.equal((await fetch(`http://${again}/healthz`)).status, 200, 'the old one, or one like it, still answers')

  reconfigure(directory, taffrail, { ...base, server: 'off' })
  await taffrail.logged('config.reloaded')
  await t.rejects(fetch(`http://${again}/healthz`))
  reconfigure(directory, taffrail, { ...base, server: { listen: 'localhost:0' } })
  await eventually(
    () => 'it is loaded again',
    () => taffrail.told('server.listening').at(-1)!.address !== again,
  )
  const last = taffrail.told('server.listening').at(-1)!.address
  t.equal((await fetch(`http://${last}/healthz`)).status, 200)
  say('a', 'a 2')
  await arrives(receiver, taffrail, 'a 2')
  t.same(await taffrail.end(), CLEAN)
  t.strictSame(linesOf(receiver), ['a 1', 'a 2'])
})

t.test('SIGHUP many times, then the end, and SIGHUP again', { buffered: true }, async (t) => {
  const { receiver, config } = await scene(t)
  receiver.setFault(() => ({ kind: 'hang', store: 'none' }))
  const taffrail = startRun(t, config)
  await within(
    receiver.until(() => receiver.counts.requests > 0),
    () => `it pushes\n${taffrail.story()}`,
  )
  for (let i = 0; i < 5; i++) taffrail.child.kill('SIGHUP')
  const startedAt = Date.now()
  taffrail.child.kill('SIGTERM')
  await taffrail.logged('agent.stopping')
  t.same(await taffrail.end('SIGHUP'), { code: 1, signal: null }, 'not all was delivered')
  t.ok(Date.now() - startedAt < 15_000, `${Date.now() - startedAt} ms: not ten seconds for each`)
  t.equal(taffrail.told('agent.started').length, 1)
})

t.test('with --once it is refused: what began is brought to its end', { buffered: true }, async (t) => {
  const { directory, receiver, source, base } = await scene(t)
  receiver.setFault(() => ({ kind: 'answer', status: 503 }))
  const taffrail = startRun(t, writeConfig(directory, base), ['--once'])
  await taffrail.logged('sink.retry')
  reconfigure(directory, taffrail, { ...base, sources: [source('b')] })
  await taffrail.logged('config.rejected')
  receiver.setFault(null)
  t.same(await taffrail.result(), CLEAN)
  t.strictSame(linesOf(receiver), ['a 1'])
})

t.test('a directory that comes with the configuration', { buffered: true }, async (t) => {
  const { directory, receiver, base, config } = await scene(t)
  const taffrail = startRun(t, config)
  await arrives(receiver, taffrail, 'a 1')
  const later = { name: 'later', type: 'files', paths: [`${directory}/later/*.log`] }
  reconfigure(directory, taffrail, { ...base, sources: [later] })
  await taffrail.logged('config.reloaded')
  mkdirSync(`${directory}/later`)
  writeFileSync(`${directory}/later/x.log`, 'x 1\n')
  await arrives(receiver, taffrail, 'x 1')
  t.same(await taffrail.end(), CLEAN)
})
