// The embedded receiver over real HTTP: what goes in comes out, and each fault does what it says.
import { gzipSync } from 'node:zlib'
import { compressSync } from 'snappy'
import t, { type Test } from 'tap'
import { Client } from 'undici'
import type { Fault } from '../../src/demo/faults.ts'
import { encodePush, type LabelPair } from '../../src/demo/push-proto.ts'
import { type Receiver, type ReceiverOptions, startReceiver } from '../../src/demo/receiver.ts'

const NOW_MS = 1_795_248_006_000
const NOW_NS = BigInt(NOW_MS) * 1_000_000n

interface Line {
  line: string | Buffer
  timestampNs?: bigint
  metadata?: LabelPair[]
}

function body(labels: string, ...lines: Line[]): Buffer {
  const entries = lines.map((line) => ({ timestampNs: NOW_NS, ...line }))
  return compressSync(encodePush({ streams: [{ labels, entries }] }))
}

async function start(test: Test, options: ReceiverOptions = {}): Promise<{ receiver: Receiver; client: Client }> {
  const receiver = await startReceiver({ now: () => NOW_MS, ...options })
  const client = new Client(receiver.url)
  test.teardown(async () => {
    await client.destroy()
    await receiver.close()
  })
  return { receiver, client }
}

async function push(client: Client, data: Buffer, headers: Record<string, string> = {}) {
  const answer = await client.request({
    method: 'POST',
    path: '/loki/api/v1/push',
    headers: { 'content-type': 'application/x-protobuf', ...headers },
    body: data,
  })
  return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() }
}

const stored = (receiver: Receiver) =>
  receiver.streams().flatMap((stream) => stream.entries.map((entry) => entry.line.toString()))

t.test('stores what is pushed, in order, with its labels and metadata', async (t) => {
  const { receiver, client } = await start(t)
  const invalid = Buffer.from([0x61, 0xff, 0x00, 0x62])
  const pushed = body('{app="a"}', { line: 'one', metadata: [{ name: 'pod', value: 'p-1' }] }, { line: invalid })
  const answer = await push(client, pushed)
  t.equal(answer.status, 204)
  t.equal(answer.body, '')
  t.equal((await push(client, pushed)).status, 204)
  t.strictSame(receiver.streams(), [
    {
      tenant: 'fake',
      labels: { app: 'a', service_name: 'a' },
      labelSet: '{app="a", service_name="a"}',
      entries: [
        { timestampNs: NOW_NS, line: Buffer.from('one'), metadata: { pod: 'p-1' }, pushes: 2 },
        { timestampNs: NOW_NS, line: invalid, metadata: {}, pushes: 2 },
      ],
    },
  ])
  t.equal(receiver.find({ app: 'a' }).length, 1)
  t.equal(receiver.find({ app: 'a', pod: 'p-1' }).length, 0, 'metadata is no label')
  t.strictSame(receiver.counts, {
    requests: 2,
    bodyBytes: 2 * pushed.length,
    answers: { 204: 2 },
    accepted: 4,
    repeated: 2,
    refused: 0,
    lineBytes: 14,
  })
})

t.test('JSON, plain and gzipped', async (t) => {
  const { receiver, client } = await start(t)
  const json = JSON.stringify({ streams: [{ stream: { app: 'a' }, values: [[`${NOW_NS}`, 'läuft', { pod: 'p' }]] }] })
  t.equal((await push(client, Buffer.from(json), { 'content-type': 'application/json' })).status, 204)
  const zipped = { 'content-type': 'application/json; charset=utf-8', 'content-encoding': 'gzip' }
  t.equal((await push(client, gzipSync(json), zipped)).status, 204)
  t.strictSame(receiver.find({ app: 'a' })[0]?.entries, [
    { timestampNs: NOW_NS, line: Buffer.from('läuft'), metadata: { pod: 'p' }, pushes: 2 },
  ])
})

t.test('other paths, methods and encodings', async (t) => {
  const { client } = await start(t)
  const get = async (path: string) => (await client.request({ method: 'GET', path })).statusCode
  t.equal(await get('/ready'), 200)
  t.equal(await get('/loki/api/v1/push'), 405)
  t.equal(await get('/'), 404)
  t.equal(
    (await push(client, Buffer.from('x'), { 'content-encoding': 'br' })).body,
    'Content-Encoding "br" not supported\n',
  )
  t.equal((await push(client, Buffer.from('x'), { 'content-type': '' })).body, 'mime: no media type\n')
})

t.test('a long answer comes in chunks', async (t) => {
  const { client } = await start(t)
  const answer = await push(client, body(`{app="${'v'.repeat(3000)}"}`, { line: 'x' }))
  t.equal(answer.status, 400)
  t.equal(answer.headers['transfer-encoding'], 'chunked')
  t.ok(answer.body.length > 6000)
})

t.test('tenants', async (t) => {
  const { receiver, client } = await start(t, { limits: { authEnabled: true } })
  t.equal((await push(client, body('{app="a"}', { line: 'x' }))).status, 401)
  t.equal((await push(client, body('{app="a"}', { line: 'x' }), { 'x-scope-orgid': 'one' })).status, 204)
  t.equal((await push(client, body('{app="a"}', { line: 'x' }), { 'x-scope-orgid': 'two' })).status, 204)
  t.strictSame(receiver.streams('one').length, 1)
  t.strictSame(
    receiver.streams().map(({ tenant }) => tenant),
    ['one', 'two'],
  )
})

t.test('mode null counts and keeps nothing; a fault still meets it', async (t) => {
  const { receiver, client } = await start(t, { mode: 'null' })
  t.equal((await push(client, Buffer.from('anything'))).status, 204)
  receiver.setFault(({ n, push }) =>
    n === 2 ? { kind: 'answer', status: push === null ? 418 : 500, store: 'all' } : null,
  )
  t.equal((await push(client, Buffer.from('anything'))).status, 418)
  t.equal((await push(client, body('{app="a"}', { line: 'x' }))).status, 204)
  t.strictSame(receiver.streams(), [])
  t.equal(receiver.counts.requests, 3)
  t.ok(receiver.counts.bodyBytes > 16)
})

t.test('onEntry is told every entry, and nothing is kept', async (t) => {
  const seen: string[] = []
  const labelObjects = new Set<object>()
  const { receiver, client } = await start(t, {
    onEntry(labels, timestampNs, line, metadata, tenant) {
      labelObjects.add(labels)
      seen.push(`${tenant} ${labels.app} ${timestampNs === NOW_NS} ${line} ${JSON.stringify(metadata)}`)
    },
  })
  const pushed = body('{app="a"}', { line: 'one', metadata: [{ name: 'k8s.pod', value: 'p' }] }, { line: 'two' })
  await push(client, pushed)
  await push(client, pushed)
  const both = ['fake a true one {"k8s_pod":"p"}', 'fake a true two {}']
  t.strictSame(seen, [...both, ...both])
  t.equal(labelObjects.size, 1, 'labels are one object per stream')
  t.strictSame(receiver.streams()[0]?.entries, [])
  t.equal(receiver.counts.accepted, 4)
})

t.test('faults', async (t) => {
  const one = body('{app="a"}', { line: '1' }, { line: '2' }, { line: '3' })
  const attempt = async (t: Test, fault: Fault) => {
    const { receiver, client } = await start(t, { fault: ({ n }) => (n === 1 ? fault : null) })
    const answer = await push(client, one).catch((error) => error as Error & { code: string })
    const kept = stored(receiver)
    // Whatever happened to the first, the second goes through on a new connection.
    t.equal((await push(client, one)).status, 204)
    t.strictSame(stored(receiver), ['1', '2', '3'])
    return { answer, kept, counts: receiver.counts }
  }

  t.test('answer', async (t) => {
    const headers = { 'retry-after': '7' }
    const { answer, kept } = await attempt(t, { kind: 'answer', status: 429, headers, body: 'slow down' })
    t.match(answer, { status: 429, headers: { 'retry-after': '7' }, body: 'slow down' })
    t.strictSame(kept, [])
  })
  t.test('an answer that lies', async (t) => {
    const { answer, kept } = await attempt(t, { kind: 'answer', status: 503, store: 'half' })
    t.match(answer, { status: 503 })
    t.strictSame(kept, ['1', '2'])
  })
  t.test('reset', async (t) => {
    const { answer, kept, counts } = await attempt(t, { kind: 'reset', store: 'all' })
    t.match(answer, { code: 'ECONNRESET' })
    t.strictSame(kept, ['1', '2', '3'])
    t.strictSame(counts.answers, { reset: 1, 204: 1 })
  })
  for (const afterBytes of [0, 5, 20])
    t.test(`cut after ${afterBytes}`, async (t) => {
      const { answer, kept } = await attempt(t, { kind: 'cut', afterBytes, store: 'half' })
      t.match(answer, { code: 'UND_ERR_SOCKET' })
      t.strictSame(kept, ['1', '2'])
    })
  t.test('cut after the whole answer', async (t) => {
    const { receiver, client } = await start(t, { fault: () => ({ kind: 'cut', afterBytes: 10_000, store: 'none' }) })
    t.match(await push(client, one), { status: 204 })
    t.strictSame(stored(receiver), [])
  })
  t.test('cut within the body of a refusal', async (t) => {
    const { receiver, client } = await start(t, { fault: () => ({ kind: 'cut', afterBytes: 200, store: 'all' }) })
    const late = body('{app="a"}', { line: 'old', timestampNs: 0n })
    await t.rejects(push(client, late), { code: 'UND_ERR_SOCKET' })
    t.equal(receiver.counts.refused, 1)
  })
  t.test('slow', async (t) => {
    const { answer, kept } = await attempt(t, { kind: 'slow', delayMs: 1 })
    t.match(answer, { status: 204 })
    t.strictSame(kept, ['1', '2', '3'])
  })
})

t.test('hang: stored, and never answered', async (t) => {
  const { receiver, client } = await start(t, { fault: () => ({ kind: 'hang', store: 'all' }) })
  const answer = t.rejects(push(client, body('{app="a"}', { line: 'x' })), { code: 'UND_ERR_SOCKET' })
  await receiver.until(() => receiver.counts.answers.hang === 1)
  t.strictSame(stored(receiver), ['x'])
  await receiver.close()
  await answer
})

t.test('hold: answered when it is let go', async (t) => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const { receiver, client } = await start(t, { fault: () => ({ kind: 'hold', until: promise }) })
  const answer = push(client, body('{app="a"}', { line: 'x' }))
  await receiver.until(() => receiver.counts.requests === 1)
  t.strictSame(stored(receiver), ['x'])
  t.strictSame(receiver.counts.answers, {})
  resolve()
  t.equal((await answer).status, 204)
})

t.test('poison: 500 as often as it comes, and the rest goes through', async (t) => {
  const { receiver, client } = await start(t, {
    fault: () => ({ kind: 'poison', matches: ({ line }) => line.includes('bad') }),
  })
  const poisoned = body('{app="a"}', { line: 'good' }, { line: 'a bad one' })
  t.equal((await push(client, poisoned)).status, 500)
  t.equal((await push(client, poisoned)).status, 500)
  t.strictSame(stored(receiver), [])
  t.equal((await push(client, body('{app="a"}', { line: 'good' }))).status, 204)
  t.strictSame(stored(receiver), ['good'])
})

t.test('a store outlives its receiver', async (t) => {
  const first = await start(t)
  await push(first.client, body('{app="a"}', { line: 'x' }))
  await first.receiver.close()
  const second = await start(t, { store: first.receiver.store })
  await push(second.client, body('{app="a"}', { line: 'x' }))
  t.equal(second.receiver.find({ app: 'a' })[0]?.entries[0]?.pushes, 2)
})
