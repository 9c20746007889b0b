// A drain ends when all that is in the files has been delivered, whatever was renamed or cut short a moment before.
import { appendFileSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { AgentPorts } from '../src/agent/ports.ts'
import { Agent } from '../src/agent.ts'
import { loadConfig } from '../src/config/load.ts'
import { silentEvents } from '../src/core/events.ts'
import { startReceiver } from '../src/demo/receiver.ts'
import { realClock } from '../src/ports/clock.ts'
import { realGunzip } from '../src/ports/gunzip.ts'
import { realRandom } from '../src/ports/random.ts'
import { realFileSystem } from '../src/ports/real-fs.ts'
import { createHttpClient } from '../src/ports/real-http.ts'

/** An agent on a tree with one container, whose first line it has delivered. */
async function start(t: Test) {
  const root = t.testdir({ containers: {} })
  const directory = `${root}/pods/shop_cart-0_4711/cart`
  mkdirSync(directory, { recursive: true })
  const row = (message: string, tag = 'F') => `${new Date().toISOString()} stdout ${tag} ${message}\n`
  writeFileSync(`${directory}/0.log`, row('first'))
  symlinkSync(`${directory}/0.log`, `${root}/containers/cart-0_shop_cart-${'a'.repeat(64)}.log`)

  const receiver = await startReceiver()
  const text = JSON.stringify({
    stateDir: `${root}/state`,
    sources: [{ name: 'containers', type: 'containers', paths: [`${root}/containers/*.log`] }],
    sinks: [{ name: 'loki', type: 'loki', url: receiver.url, batchAgeMax: '50ms' }],
    server: 'off',
  })
  const loaded = loadConfig(text, { path: 'test', env: {}, hostname: 'n', cgroup: { memory: null, cpu: null } })
  if ('errors' in loaded) throw new Error(JSON.stringify(loaded.errors))
  const none = async () => {}
  const ports: AgentPorts = {
    fs: realFileSystem,
    clock: realClock,
    random: realRandom,
    gunzip: realGunzip,
    createHttpClient,
    watchDirectories: () => ({ close: none }),
    output: { write: none },
    events: silentEvents,
    checkpoints: {
      open: none,
      get: () => undefined,
      set() {},
      metadata: () => undefined,
      setMetadata() {},
      delete() {},
      entries: () => [].values(),
      flush: none,
      close: none,
      status: () => ({ ageSeconds: 0, pending: 0, failing: null }),
    },
    deadLetters: { write: none, close: none },
  }
  const agent = new Agent(loaded.config, ports, { version: 'test', once: false })
  agent.start()
  t.teardown(async () => {
    await agent.stop(AbortSignal.timeout(1000))
    await receiver.close()
  })
  const lines = () => receiver.streams().flatMap(({ entries }) => entries.map(({ line }) => line.toString()))
  await receiver.until(() => lines().length === 1)
  return { directory, row, agent, lines }
}

t.test('a file that was rotated just now, and the one after it', async (t) => {
  const { directory, row, agent, lines } = await start(t)
  appendFileSync(`${directory}/0.log`, row('second'))
  renameSync(`${directory}/0.log`, `${directory}/0.log.20261121-075651`)
  writeFileSync(`${directory}/0.log`, row('third'))
  t.equal(await agent.drain(AbortSignal.timeout(10_000)), true)
  t.same(lines(), ['first', 'second', 'third'])
})

t.test('a container that died in a line, and came back', async (t) => {
  const { directory, row, agent, lines } = await start(t)
  appendFileSync(`${directory}/0.log`, row('second') + row('cut sh', 'P'))
  writeFileSync(`${directory}/1.log`, '')
  t.equal(await agent.drain(AbortSignal.timeout(10_000)), true)
  t.same(lines(), ['first', 'second', 'cut sh'])
})
