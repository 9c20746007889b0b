// The audit webhook as it is started for real, with senders that behave as API servers do: killed with -9 again and again while
// its sinks fail, every event is in the store in the end, once, as it was sent. TAFFRAIL_LONG=1 has a sink down for five minutes.
import { readFileSync } from 'node:fs'
import { request as httpsRequest } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { Receiver } from '../../src/demo/receiver.ts'
import { kubeconfigAccess } from '../../src/enrich/access.ts'
import { fixture } from '../audit/fixtures.ts'
import { ApiServerSender } from '../support/api-server-sender.ts'
import { freePort } from '../support/free-port.ts'
import {
  eventually,
  lokiSink,
  SERVER,
  startRun,
  type TaffrailProcess,
  within,
  writeConfig,
} from '../support/process.ts'
import { between, seeded, seedOf } from '../support/process-logs.ts'
import { receiverOf } from '../support/receivers.ts'

/** In the short form: some segments of the spool. */
const BATCHES = 40
const IS_LONG = process.env.TAFFRAIL_LONG === '1'
if (IS_LONG) t.setTimeout(1_800_000)
const TLS = fileURLToPath(new URL('../fixtures/tls/', import.meta.url))
const EVENTS: { stage: string; auditID: string }[] = JSON.parse(
  fixture('webhook/webhook-0001.json.gz').toString(),
).items

/** A batch of captured events with ids of its own, of now; `expected` gets the lines that they are in a log. */
function batchOf(name: string, count: number, expected: Set<string>): string {
  const items = Array.from({ length: count }, (_, i) => {
    const stageTimestamp = new Date().toISOString().replace('Z', `${String(i).padStart(3, '0')}Z`)
    return { ...EVENTS[(i * 7 + name.length) % EVENTS.length], auditID: `${name}-${i}`, stageTimestamp }
  })
  for (const item of items) expected.add(JSON.stringify({ kind: 'Event', apiVersion: 'audit.k8s.io/v1', ...item }))
  return `${JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items })}\n`
}

/** What is in the store: entries that differ in time, line or metadata are different ones, as for Loki. */
function stored(receiver: Receiver): string[] {
  return receiver.streams().flatMap(({ entries }) => entries.map(({ line }) => line.toString()))
}

function compare(t: Test, receiver: Receiver, expected: Set<string>): void {
  const lines = stored(receiver)
  const unique = new Set(lines)
  t.equal(lines.length, unique.size, `nothing is there twice: ${lines.length - unique.size} are`)
  t.equal(unique.size, expected.size)
  t.strictSame([...expected].filter((line) => !unique.has(line)).slice(0, 3), [], 'nothing is missing, or changed')
  const labels = receiver.streams().map((stream) => stream.labels)
  t.ok(labels.every(({ apiserver, node_name }) => apiserver === 'taffrail' && node_name === undefined))
}

async function rig(t: Test, sinks: object[], timeoutMs?: number) {
  const directory = t.testdir({})
  const port = await freePort()
  const tls = { certFile: `${TLS}server.pem`, keyFile: `${TLS}server-key.pem`, clientCaFile: `${TLS}ca.pem` }
  const source = {
    name: 'hook',
    type: 'auditWebhook',
    listen: `127.0.0.1:${port}`,
    tls,
    redaction: 'off',
    spoolBytesMax: '16Mi',
  }
  const config = writeConfig(directory, { sources: [source], sinks, server: SERVER, kubernetes: { metadata: 'off' } })
  const options = {
    ca: readFileSync(`${TLS}ca.pem`),
    cert: readFileSync(`${TLS}client.pem`),
    key: readFileSync(`${TLS}client-key.pem`),
  }
  const sender = new ApiServerSender({ host: '127.0.0.1', port, path: '/audit?timeout=30s', ...options }, timeoutMs)
  t.teardown(() => sender.close())
  return { directory, config, sender }
}

/** All that was sent is stored, acknowledged and durable. */
async function settled(taffrail: TaffrailProcess, receiver: Receiver, expected: Set<string>): Promise<void> {
  const isThere = () => new Set(stored(receiver)).size >= expected.size
  await within(receiver.until(isThere), () => `all of ${expected.size} are there\n${taffrail.story()}`)
  await taffrail.statusWhen('all is acknowledged and durable', ({ checkpoints, sinks }) => {
    return checkpoints.pending === 0 && sinks.every((sink) => sink.lagBytes === 0)
  })
}

t.test('kill -9 while batches come and the sink fails: every event once, as it was sent', async (t) => {
  const seed = seedOf(4711)
  const random = seeded(seed)
  const receiver = await receiverOf(t, { keepEntries: true })
  const { config, sender } = await rig(t, [lokiSink(receiver.url, { requestTimeout: '700ms' })], 300)
  const expected = new Set<string>()
  const kills = IS_LONG ? 40 : 6
  let isOver = false
  const stop = new AbortController()
  t.teardown(() => stop.abort())
  const sendAll = async (who: string) => {
    for (let n = 0; !isOver; n++)
      await sender.send(batchOf(`${who}-${n}`, between(random, 1, 120), expected), stop.signal)
  }
  const sending = Promise.all(['a', 'b', 'c', 'd'].map(sendAll))
  for (let i = 0; i < kills; i++) {
    receiver.setFault(() => (random() < 0.3 ? { kind: 'reset', store: random() < 0.5 ? 'all' : 'half' } : null))
    const taffrail = startRun(t, config)
    await taffrail.logged('webhook.listening')
    // Somewhere in the middle of the batches after some that were taken.
    const target = sender.taken + between(random, 1, 12)
    await eventually(
      () => taffrail.story(),
      () => sender.taken >= target,
    )
    await sleep(between(random, 0, 30))
    taffrail.child.kill('SIGKILL')
    await taffrail.ended
  }
  receiver.setFault(null)
  const last = startRun(t, config)
  await last.logged('webhook.listening')
  isOver = true
  await within(sending, () => `all batches are taken\n${JSON.stringify(sender.answers)}\n${last.story()}`)
  await settled(last, receiver, expected)
  t.same(await last.end(), { code: 0, signal: null })
  t.comment(`${expected.size} events in ${sender.taken} batches, answers ${JSON.stringify(sender.answers)}`)
  t.ok((sender.answers[0] ?? 0) > 0, 'some had no answer, and were sent again')
  compare(t, receiver, expected)
  t.equal(last.told('bytes.lost').length, 0)
})

t.test(
  'one sink is down, the other one drains: neither is felt by the API server, and in the end both have all',
  async (t) => {
    const [up, down] = await Promise.all([1, 2].map(() => receiverOf(t, { keepEntries: true })))
    const names = { sources: ['hook'] }
    const { config, sender } = await rig(t, [
      lokiSink(up!.url, { ...names, name: 'up' }),
      lokiSink(down!.url, { ...names, name: 'down' }),
    ])
    const expected = new Set<string>()
    let isDown = true
    down!.setFault(() => (isDown ? { kind: 'answer', status: 503 } : null))
    const taffrail = startRun(t, config)
    await taffrail.logged('webhook.listening')
    const endsAt = performance.now() + 300_000
    for (let n = 0; IS_LONG ? performance.now() < endsAt : n < BATCHES; n++)
      await sender.send(batchOf(`x-${n}`, 200, expected))
    await within(
      up!.until(() => new Set(stored(up!)).size >= expected.size),
      () => taffrail.story(),
    )
    compare(t, up!, expected)
    t.strictSame(Object.keys(sender.answers), ['200'])
    t.equal(down!.counts.accepted, 0)
    isDown = false
    await settled(taffrail, down!, expected)
    compare(t, down!, expected)
    const { webhooks } = await taffrail.statusWhen(
      'what both have is deleted',
      (status) => (status.webhooks[0]?.apiServers[0]?.segments ?? 9) <= 2,
    )
    t.ok((webhooks[0]?.spool.bytes ?? 0) < 3 * 2 ** 20)
    t.same(await taffrail.end(), { code: 0, signal: null })
  },
)

t.test('told to stop it takes nothing more, delivers what it has taken, and ends', async (t) => {
  const receiver = await receiverOf(t, { keepEntries: true })
  const { config, sender } = await rig(t, [lokiSink(receiver.url, { batchAgeMax: '1h' })])
  const taffrail = startRun(t, config)
  await taffrail.logged('webhook.listening')
  const expected = new Set<string>()
  await sender.send(batchOf('before', 50, expected))
  t.same(await taffrail.end(), { code: 0, signal: null })
  compare(t, receiver, expected)
  const once = startRun(t, config, ['--once'])
  t.same(await once.result(), { code: 0, signal: null })
  t.equal(once.told('webhook.listening').length, 0, 'with --once nothing is taken')
  compare(t, receiver, expected)
})

t.test('a changed configuration is taken up between two batches', async (t) => {
  const receiver = await receiverOf(t, { keepEntries: true })
  const { config, sender } = await rig(t, [lokiSink(receiver.url)])
  const taffrail = startRun(t, config)
  await taffrail.logged('webhook.listening')
  const expected = new Set<string>()
  let isOver = false
  const sending = (async () => {
    for (let n = 0; !isOver; n++) await sender.send(batchOf(`r-${n}`, 20, expected))
  })()
  for (let i = 0; i < 3; i++) {
    taffrail.child.kill('SIGHUP')
    await taffrail.logged('webhook.listening', () => taffrail.told('webhook.listening').length > i + 1)
  }
  isOver = true
  await within(sending, () => taffrail.story())
  await settled(taffrail, receiver, expected)
  compare(t, receiver, expected)
  t.equal(taffrail.told('webhook.failed').length, 0)
})

// TAFFRAIL_TEST_KUBECONFIG is that of an administrator; TAFFRAIL_TEST_WEBHOOK names a source (JSON: listen, tls, tokenFile) to which
// that API server sends, and TAFFRAIL_TEST_AUDIT_LOG the log that it writes beside it.
const {
  TAFFRAIL_TEST_KUBECONFIG: kubeconfig,
  TAFFRAIL_TEST_WEBHOOK: own,
  TAFFRAIL_TEST_AUDIT_LOG: logPath,
} = process.env
if (kubeconfig && own && logPath) {
  t.test('a real API server: what it writes to its log is in the store, once, killed with -9 or not', async (t) => {
    const receiver = await receiverOf(t, { keepEntries: true })
    const source = { name: 'hook', type: 'auditWebhook', redaction: 'off', ...JSON.parse(readFileSync(own, 'utf8')) }
    const config = writeConfig(t.testdir({}), {
      sources: [source],
      sinks: [lokiSink(receiver.url)],
      server: SERVER,
      kubernetes: { metadata: 'off' },
    })
    const { origin, tls } = kubeconfigAccess(kubeconfig)
    const ask = async (path: string, auditID: string) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const options = { ca: tls.ca, cert: tls.cert, key: tls.key, headers: { 'audit-id': auditID } }
      const sent = httpsRequest(`${origin}${path}`, options, (response) => response.resume().once('end', resolve))
      sent.once('error', reject)
      sent.end()
      return promise
    }
    const prefix = `taffrail-test-${process.pid}-`
    const kills = IS_LONG ? 10 : 3
    for (let life = 0; life < kills; life++) {
      const taffrail = startRun(t, config)
      await taffrail.logged('webhook.listening')
      const before = receiver.counts.accepted
      for (let i = 0; i < 150; i++)
        await ask(`/api/v1/namespaces/default/${i % 3 === 0 ? 'secrets' : 'pods'}?limit=${i}`, `${prefix}${life}-${i}`)
      await eventually(
        () => taffrail.story(),
        () => receiver.counts.accepted > before,
      )
      taffrail.child.kill('SIGKILL')
      await taffrail.ended
    }
    const last = startRun(t, config)
    await last.logged('webhook.listening')
    const isOurs = (line: string) => line.includes(`"auditID":"${prefix}`)
    const written = () => readFileSync(logPath, 'utf8').split('\n').filter(isOurs)
    const there = () => stored(receiver).filter(isOurs)
    await eventually(
      () => `${there().length} of ${written().length}\n${last.story()}`,
      () => there().length >= written().length,
    )
    await last.end()
    t.ok(written().length >= kills * 150)
    t.strictSame(there().sort(), written().sort())
    t.comment(`${written().length} events of a real API server`)
  })
}
