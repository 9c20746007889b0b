// Over real sockets: the embedded Loki behind HTTP, the undici client, the machine's clock. Answers that are cut off at any
// byte, connections that are reset, silence: every line is there once.
import { appendFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { Agent } from '../../src/agent.ts'
import type { LokiSinkConfig } from '../../src/config/config.ts'
import type { FaultHook } from '../../src/demo/faults.ts'
import { UNLIMITED_RATES } from '../../src/demo/loki-limits.ts'
import { startReceiver } from '../../src/demo/receiver.ts'
import { realClock } from '../../src/ports/clock.ts'
import { realGunzip } from '../../src/ports/gunzip.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'
import { createHttpClient } from '../../src/ports/real-http.ts'
import { criTime, EventLog, lokiConfig, MemoryCheckpoints, MemoryDeadLetters, MIB, texts } from './world.ts'

async function rig(t: Test, over: Partial<LokiSinkConfig> = {}, fault: FaultHook | null = null) {
  const directory = t.testdir({ pods: {} })
  const receiver = await startReceiver({ limits: UNLIMITED_RATES, ...(fault && { fault }) })
  const letters = new MemoryDeadLetters()
  const events = new EventLog()
  const sink = lokiConfig({
    url: `${receiver.url}/loki/api/v1/push`,
    batchAgeMax: 5,
    retryDelayMin: 1,
    retryDelayMax: 10,
    requestTimeout: 5000,
    ...over,
  })
  const agent = new Agent(
    {
      clusterName: 'test',
      nodeName: 'node',
      stateDir: '/nowhere',
      kubernetes: {
        metadata: 'off',
        metadataWait: 5000,
        annotations: { honour: true, foreign: false, exemptNamespaces: [], tenants: [] },
        podLabels: [],
        podAnnotations: [],
        namespaceLabels: [],
      },
      sources: [
        {
          type: 'containers',
          name: 'pods',
          paths: [join(directory, 'pods/*/*/*.log')],
          exclude: [],
          roots: [directory],
          startAt: 'beginning',
          startAgeMax: null,
        },
      ],
      sinks: [sink],
      limits: { memory: 96 * MIB, cpu: null },
      server: null,
    },
    {
      fs: realFileSystem,
      clock: realClock,
      random: Math.random,
      gunzip: realGunzip,
      createHttpClient,
      watchDirectories: () => ({ close: async () => {} }),
      output: { write: async () => {} },
      events,
      checkpoints: new MemoryCheckpoints(),
      deadLetters: letters,
    },
    { version: 'test', once: false },
  )
  agent.broken.catch((error) => t.fail('the agent broke', { error }))
  t.teardown(async () => {
    await agent.stop(AbortSignal.timeout(100))
    await receiver.close()
  })
  const write = (pod: string, lines: readonly string[]) => {
    const path = join(directory, 'pods', `ns_${pod}_uid`, 'app', '0.log')
    mkdirSync(dirname(path), { recursive: true })
    appendFileSync(path, lines.map((line) => `${criTime(Date.now())} stdout F ${line}\n`).join(''))
  }
  const stored = (pod: string) =>
    receiver.find({ pod }).flatMap(({ entries }) => entries.map(({ line }) => line.toString()))
  return { agent, receiver, letters, events, write, stored }
}

t.test('answers cut off at any byte, whether the push was stored or not', async (t) => {
  const answered = 'HTTP/1.1 204 No Content\r\ndate: Sat, 21 Nov 2026 08:00:00 GMT\r\n\r\n'.length
  let at = 0
  const fault: FaultHook = ({ n }) => {
    if (n % 2 === 0) return null
    const afterBytes = at++ % answered
    return { kind: 'cut', afterBytes, store: (['all', 'none', 'half'] as const)[n % 3]! }
  }
  const { agent, write, stored, receiver } = await rig(t, {}, fault)
  const all: string[] = []
  write('web', ['start'])
  all.push('start')
  agent.start()
  for (let round = 0; at < answered + 2; round++) {
    const lines = texts(`round ${round}`, 5)
    write('web', lines)
    all.push(...lines)
    t.ok(await agent.drain())
  }
  t.strictSame(stored('web'), all)
  t.ok(receiver.counts.repeated > 0)
  t.strictSame(agent.consumers[0]?.ledger.imbalance(), { bytes: 0, lines: 0 })
})

t.test('a refusal cut off at any byte is no refusal', async (t) => {
  const fault: FaultHook = ({ n }) => (n % 2 === 1 ? { kind: 'cut', afterBytes: 5 * n, store: 'all' } : null)
  const { agent, write, stored, letters } = await rig(t, { lineBytesMax: 512 * 1024 }, fault)
  const long = 'l'.repeat(300 * 1024)
  write('web', [...texts('before', 5), long, ...texts('after', 5)])
  agent.start()
  for (let round = 0; round < 60; round++) {
    write('web', [`round ${round}`, ...(round % 10 === 0 ? [`${round}${long}`] : [])])
    t.ok(await agent.drain())
  }
  const short = [...texts('before', 5), ...texts('after', 5), ...texts('round', 60)]
  t.strictSame(stored('web'), short)
  t.strictSame(
    letters.letters.map(({ line, reason }) => [line?.length, reason]).sort(),
    [
      [long.length, 'line_too_long'],
      ...[0, 10, 20, 30, 40, 50].map((n) => [long.length + `${n}`.length, 'line_too_long']),
    ].sort(),
  )
})

t.test('reset before and after it was stored', async (t) => {
  const fault: FaultHook = ({ n }) =>
    n % 3 === 0 ? null : { kind: 'reset', store: (['all', 'none', 'half'] as const)[n % 3]! }
  const { agent, write, stored } = await rig(t, {}, fault)
  for (const pod of ['a', 'b', 'c']) write(pod, texts(`${pod} line`, 500))
  agent.start()
  for (let round = 0; round < 10; round++) {
    for (const pod of ['a', 'b', 'c']) write(pod, texts(`${pod} round ${round}`, 5))
    t.ok(await agent.drain())
  }
  for (const pod of ['a', 'b', 'c']) t.equal(stored(pod).length, 550, pod)
})

t.test('silence after everything was stored: the timeout ends it, and the repeat is no second entry', async (t) => {
  const fault: FaultHook = ({ n }) => (n <= 3 ? { kind: 'hang', store: 'all' } : null)
  const { agent, write, stored, events, receiver } = await rig(t, { requestTimeout: 100 }, fault)
  write('web', texts('line', 100))
  agent.start()
  t.ok(await agent.drain())
  t.strictSame(stored('web'), texts('line', 100))
  t.equal(receiver.counts.repeated, 300)
  t.strictSame(
    events.of('sink.retry').map(({ code, message }) => [code, /HTTP|answer|ms/i.test(message)]),
    Array(3).fill(['error', true]),
  )
})

t.test('nonsense for an answer', async (t) => {
  const nonsense: FaultHook[] = [
    () => ({ kind: 'answer', status: 200, headers: { 'content-type': 'text/html' }, body: '<html>hotel wifi</html>' }),
    () => ({ kind: 'answer', status: 400, body: '\0\u2028\u202e'.repeat(1000) }),
    () => ({ kind: 'answer', status: 400, body: "entry with timestamp never ignored, reason: 'because'" }),
    () => ({ kind: 'answer', status: 599, body: 'x'.repeat(200_000) }),
    () => ({ kind: 'answer', status: 301, headers: { location: 'http://elsewhere.example/' } }),
    () => ({ kind: 'answer', status: 429, headers: { 'retry-after': 'whenever' } }),
  ]
  const fault: FaultHook = (request) => nonsense[request.n % 7]?.(request) ?? null
  const { agent, write, stored, letters } = await rig(t, {}, fault)
  write('web', texts('line', 50))
  agent.start()
  for (let round = 0; round < 10; round++) {
    write('web', [`round ${round}`])
    t.ok(await agent.drain())
  }
  t.strictSame(stored('web'), [...texts('line', 50), ...texts('round', 10)])
  t.strictSame(letters.letters, [])
})

t.test('megabytes over few connections', async (t) => {
  const { agent, write, receiver } = await rig(t, { concurrency: 3 })
  for (let pod = 0; pod < 12; pod++) write(`pod-${pod}`, texts('line '.repeat(40), 5000))
  agent.start()
  t.ok(await agent.drain())
  t.equal(receiver.counts.accepted, 60_000)
  t.equal(receiver.counts.repeated, 0)
  t.equal(agent.budget.usedBytes, 0)
})
