// An agent with an elasticsearch sink, on files and a clock of the test's: whatever the cluster does, every line is stored
// once or is a dead letter, and the account balances.
import t from 'tap'
import { encodeLetters, readLetters } from '../../src/deliver/letter-file.ts'
import type { ItemError, SeenBulk } from '../support/memory-elastic.ts'
import { changed, error, exact, MINUTE_MS, status, worldOf } from './elastic-world.ts'
import { MIB, texts } from './world.ts'

/** How often a record is sent alone before it is condemned: once to be found, and eight times beside one that is taken. */
const ALONE = 9
const messagesOf = (bulk: SeenBulk) => bulk.documents.map(({ source }) => String(source.message))

t.test('lines of many pods share bulks', async (t) => {
  const world = worldOf(t)
  const pods = Array.from({ length: 60 }, (_, index) => `pod-${index}`)
  for (const pod of pods) world.write(pod, texts(pod, 20))
  world.start()
  await world.drain()
  exact(t, world)
  world.accounted('es')
  t.ok(world.elastic.seen.length <= 4, `${world.elastic.seen.length} bulks`)
  const [bulk] = world.elastic.seen
  t.match(
    bulk?.path,
    /^\/logs-kubernetes\.container_logs-test\/_bulk\?timeout=30000ms&filter_path=errors,items\.\*\._id,/,
  )
  t.match(bulk?.headers, { 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' })
})

t.test('a key as other agents take it', async (t) => {
  const world = worldOf(t, { auth: { apiKey: { key: 'id:api_key' } } })
  world.write('web', texts('line', 5))
  world.start()
  await world.drain()
  t.equal(world.elastic.seen[0]?.headers.authorization, 'ApiKey aWQ6YXBpX2tleQ==')
})

t.test('without compression, with a key', async (t) => {
  const world = worldOf(t, { gzipLevel: 0, auth: { apiKey: { key: 'a2V5' } } })
  world.write('web', texts('line', 5))
  world.start()
  await world.drain()
  exact(t, world)
  t.equal(world.elastic.seen[0]?.headers.authorization, 'ApiKey a2V5')
  t.equal(world.elastic.seen[0]?.headers['content-encoding'], undefined)
})

const reject = (
  reason = "failed to parse field [x] of type [long] in document with id 'y'. Preview of field's value: 'secret'",
): ItemError => ({ status: 400, type: 'mapper_parsing_exception', reason })

t.test('a document that is refused is a dead letter, alone, and once', async (t) => {
  const world = worldOf(t)
  world.elastic.refuse = ({ source }) => (String(source.message).includes('poison') ? reject() : null)
  world.write('a', ['a 1', 'poison 1', 'a 2'])
  world.write('b', ['b 1', 'poison 2', 'b 2'])
  // The first time the answer is lost.
  world.elastic.fault = (bulk) => (bulk.n === 1 ? { kind: 'reset', store: true } : null)
  world.start()
  await world.drain()
  exact(t, world, ['poison 1', 'poison 2'])
  world.accounted('es')
  t.strictSame(world.ledger('es').deadLettered.get('mapper_parsing_exception')?.lines, 2)
  t.equal(world.letters.letters.length, 2)
  const [letter] = world.letters.letters
  t.match(letter, { sink: 'es', reason: 'mapper_parsing_exception', status: 400, labels: {}, metadata: {} })
  t.match(letter?.message, /secret/)
  t.match(letter?.create, { index: 'logs-kubernetes.container_logs-test', id: /^[\w-]{36}$/ })
  t.match(JSON.parse(letter?.create?.document ?? ''), { message: 'poison 1', stream: 'stdout' })
  t.equal(letter?.timestamp, `${Date.UTC(2026, 10, 21, 8)}000001`)
  const logged = JSON.stringify(world.events.all)
  t.notMatch(logged, /secret/, 'no value of a document is logged')
  t.match(logged, /field \[x\] of type \[long\]/)
})

t.test('letters that cannot be written hold their lane, and no other, and are written once', async (t) => {
  const world = worldOf(t)
  world.elastic.refuse = ({ source }) => (source.message === 'poison' ? reject() : null)
  world.letters.failure = new Error('the disk is full')
  world.write('a', ['a 1', 'poison', 'a 2'])
  world.start()
  await world.clock.advance(5 * MINUTE_MS)
  world.write('b', texts('b', 5))
  await world.clock.advance(MINUTE_MS)
  t.equal(world.ledger('es').acked.lines, 6, 'b is through, and what comes before the letter')
  world.letters.failure = null
  await world.clock.advance(3 * MINUTE_MS)
  await world.drain()
  exact(t, world, ['poison'])
  world.accounted('es')
  t.equal(world.letters.letters.length, 1)
})

t.test('a letter is not written again when the rest of its shipment has to be repeated', async (t) => {
  const world = worldOf(t)
  world.elastic.refuse = ({ source }) => {
    if (source.message === 'poison') return reject()
    return source.message === 'blocked' && world.clock.monotonic() < 5 * MINUTE_MS
      ? {
          status: 403,
          type: 'cluster_block_exception',
          reason: 'index [x] blocked by: [FORBIDDEN/8/index write (api)];',
        }
      : null
  }
  world.write('a', ['a 1', 'poison', 'blocked', 'a 2'])
  world.start()
  await world.clock.advance(4 * MINUTE_MS)
  t.ok(world.elastic.seen.length > 3, 'it was repeated')
  t.equal(world.ledger('es').acked.lines, 1, 'what comes before them')
  t.equal(world.agent.status().sinks[0]?.state, 'halted')
  await world.clock.advance(5 * MINUTE_MS)
  await world.drain()
  exact(t, world, ['poison'])
  world.accounted('es')
  t.equal(world.letters.letters.length, 1)
})

const full: ItemError = { status: 429, type: 'rejected_execution_exception', reason: 'rejected execution of x on y[z]' }

t.test('documents for which there is no room now are sent again, alone', async (t) => {
  const world = worldOf(t)
  let refused = 0
  world.elastic.refuse = ({ source }) => (/[37]$/.test(String(source.message)) && refused++ < 25 ? full : null)
  world.write('a', texts('line', 100))
  world.start()
  await world.drain()
  exact(t, world)
  world.accounted('es')
  t.strictSame(
    world.elastic.seen.map(({ documents }) => documents.length),
    [100, 20, 5],
  )
  t.strictSame(world.letters.letters, [])
})

t.test('what is refused for long is given back to the files, and does not hold up other lanes', async (t) => {
  const world = worldOf(t)
  world.elastic.refuse = ({ source }) =>
    source.message === 'stuck' ? { ...full, reason: 'index [x] blocked by: [flood-stage]' } : null
  world.write('a', ['a 1', 'stuck', 'a 2'])
  world.write('b', texts('b', 5))
  world.start()
  await world.clock.advance(MINUTE_MS)
  t.equal(world.ledger('es').acked.lines, 6)
  for (let i = 0; i < 10; i++) {
    world.write('b', [`b later ${i}`])
    await world.clock.advance(2000)
    t.equal(world.ledger('es').acked.lines, 7 + i, 'a lane that is well does not wait')
  }
  world.elastic.refuse = null
  await world.clock.advance(3 * MINUTE_MS)
  await world.drain()
  exact(t, world)
  world.accounted('es')
})

t.test('too large: the limit is learned, and a record that is over it alone is a dead letter', async (t) => {
  const world = worldOf(t)
  world.elastic.contentBytesMax = 200 * 1024
  const long = 'x'.repeat(250 * 1024)
  world.write('a', [...texts('line', 2000), long, ...texts('after', 2000)])
  world.start()
  await world.drain()
  exact(t, world, [long])
  world.accounted('es')
  t.strictSame([...world.ledger('es').deadLettered.keys()], ['too_large'])
  const refused = world.elastic.seen.filter(({ outcome }) => outcome === 413).length
  t.ok(refused < 16, `${refused} answers of 413`)
  const before = world.elastic.seen.length
  world.write('a', texts('more', 4000))
  await world.drain()
  t.strictSame(
    world.elastic.seen.slice(before).filter(({ outcome }) => outcome === 413),
    [],
    'never again',
  )
})

t.test('a bulk that indexing pressure will never let through is divided', async (t) => {
  const world = worldOf(t)
  world.elastic.fault = ({ bytes }) =>
    bytes <= 100_000
      ? null
      : error(
          429,
          'rejected_execution_exception',
          `rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0, all_bytes=0, coordinating_operation_bytes=${bytes}, max_coordinating_and_primary_bytes=100000]`,
        )
  world.write('a', texts('a line of some length', 3000))
  world.start()
  await world.drain()
  exact(t, world)
  world.accounted('es')
})

t.test('one record because of which the whole bulk is refused is found', async (t) => {
  const world = worldOf(t)
  const malformed = error(
    400,
    'illegal_argument_exception',
    'Malformed action/metadata line [3], expected one of [create]',
  )
  world.elastic.fault = (bulk) => (messagesOf(bulk).includes('poison') ? malformed : null)
  world.write('a', [...texts('a', 50), 'poison', ...texts('b', 50)])
  world.start()
  await world.drain()
  exact(t, world, ['poison'])
  world.accounted('es')
  t.equal(world.letters.letters.length, 1)
})

for (const failing of ['its first', 'its last']) {
  t.test(
    `a refused record that meets a failing server at ${failing} trial: its letter says why it was refused`,
    async (t) => {
      const world = worldOf(t)
      const malformed = error(400, 'illegal_argument_exception', 'Malformed action/metadata line [3]')
      const gone = error(500, 'node_closed_exception', 'gone')
      let alone = 0
      world.elastic.fault = (bulk) => {
        const messages = messagesOf(bulk)
        if (!messages.includes('poison')) return null
        if (messages.length > 1) return malformed
        return ++alone === (failing === 'its first' ? 1 : ALONE) ? gone : malformed
      }
      world.write('a', [...texts('a', 50), 'poison', ...texts('b', 50)])
      world.start()
      await world.drain()
      exact(t, world, ['poison'])
      t.ok(alone >= ALONE, 'once when it was found, and at each trial')
      t.strictSame([...world.ledger('es').deadLettered.keys()], ['illegal_argument_exception'])
    },
  )
}

t.test('an answer that is too long to be read is asked for again, about fewer records', async (t) => {
  const world = worldOf(t)
  const lines = texts('x'.repeat(4000), 200)
  // Each reason quotes its document twice.
  world.elastic.refuse = ({ source }) => reject(`failed to parse [${source.message}]; caused by ${source.message}`)
  world.write('a', lines)
  world.start()
  await world.clock.advance(10 * MINUTE_MS)
  world.accounted('es')
  t.equal(world.letters.letters.length, lines.length)
  t.ok(world.elastic.seen.length < 100, `${world.elastic.seen.length} bulks`)
})

t.test('a record that makes the server fail is condemned beside another one only', async (t) => {
  const world = worldOf(t)
  world.elastic.refuse = ({ source }) =>
    source.message === 'poison' ? { status: 500, type: 'null_pointer_exception', reason: '' } : null
  world.write('a', ['poison'])
  world.start()
  await world.clock.advance(MINUTE_MS)
  t.strictSame(world.letters.letters, [], 'alone it is not: it may be the server')
  world.write('a', ['good'])
  await world.clock.advance(3 * MINUTE_MS)
  await world.drain()
  exact(t, world, ['poison'])
  world.accounted('es')
})

for (const documentIds of [true, false]) {
  t.test(`alone for good it is condemned beside a probe, once in its index; ids: ${documentIds}`, async (t) => {
    const world = worldOf(t, { documentIds })
    const failure = error(500, 'null_pointer_exception', '')
    world.elastic.fault = (bulk) => (messagesOf(bulk).includes('poison') ? failure : null)
    world.write('a', ['poison'])
    world.start()
    await world.drain()
    world.accounted('es')
    const [letter] = world.letters.letters
    t.equal(world.letters.letters.length, 1)
    const { '@timestamp': time } = JSON.parse(letter?.create?.document ?? '') as Record<string, unknown>
    const message = `taffrail: sent to see whether this log is served, beside a record of ${letter?.bytes} bytes that gets server errors`
    t.strictSame(
      world.elastic.documents.map(({ index, source }) => ({ index, source })),
      [{ index: letter?.create?.index, source: { '@timestamp': time, message, taffrail: { mark: ['probe'] } } }],
    )
  })
}

t.test('an index that takes nothing: a record that is alone there waits', async (t) => {
  const world = worldOf(t)
  world.elastic.refuse = () => ({ status: 500, type: 'translog_exception', reason: '' })
  world.write('a', ['alone'])
  world.start()
  await world.clock.advance(60 * MINUTE_MS)
  t.strictSame(world.letters.letters, [])
  world.elastic.refuse = null
  await world.drain()
  exact(t, world)
})

t.test('a record that fails its whole bulk is found while other lanes are well', async (t) => {
  // Its bulk is full, and never shared.
  const world = worldOf(t, { batchBytesMax: 16 * 1024 })
  const failure = error(500, 'null_pointer_exception', '')
  world.elastic.fault = (bulk) => (messagesOf(bulk).includes('poison') ? failure : null)
  world.write('a', ['poison', ...texts('a', 100)])
  world.start()
  for (let i = 0; i < 600; i++) {
    world.write('b', [`b ${i}`])
    await world.clock.advance(200)
  }
  t.strictSame([...world.ledger('es').deadLettered.keys()], ['server_error'])
  await world.drain()
  exact(t, world, ['poison'])
})

t.test('a record is not judged beside one of another index', async (t) => {
  const world = worldOf(t)
  world.options.sources = [world.auditSource()]
  const event = (day: string, n: number) =>
    JSON.stringify({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      auditID: `${day} ${n}`,
      stage: 'ResponseComplete',
      verb: 'get',
      requestReceivedTimestamp: `${day}:00.000000Z`,
      stageTimestamp: `${day}:00.00000${n}Z`,
    })
  // The index of the second day cannot be written to, in words that nobody knows.
  world.elastic.refuse = ({ index }) =>
    index.endsWith('11.21') ? { status: 500, type: 'translog_exception', reason: '' } : null
  const days = ['2026-11-20T23:59', '2026-11-21T00:00']
  world.raw(
    `${world.directory}/files/audit.log`,
    days.flatMap((day) => [1, 2, 3].map((n) => `${event(day, n)}\n`)).join(''),
  )
  world.start()
  await world.clock.advance(30 * MINUTE_MS)
  t.strictSame(world.letters.letters, [], 'what the index takes says nothing of another index')
  world.elastic.refuse = null
  await world.drain()
  t.equal(world.elastic.documents.length, 6)
})

t.test('a server that fails for single records now and then condemns none', async (t) => {
  const world = worldOf(t)
  let n = 0
  world.elastic.refuse = () => (n++ % 5 === 2 ? { status: 500, type: 'x_exception', reason: '' } : null)
  world.write('a', texts('line', 100))
  world.start()
  await world.clock.advance(30 * MINUTE_MS)
  world.elastic.refuse = null
  await world.drain()
  exact(t, world)
  t.strictSame(world.letters.letters, [])
})

t.test('an answer in another order is put in order', async (t) => {
  const world = worldOf(t)
  world.elastic.refuse = ({ source }) => (source.message === 'poison' ? reject() : null)
  world.elastic.fault = () => ({
    kind: 'change',
    body: (body) => changed(body, (items) => items.reverse()),
  })
  world.write('a', ['poison', ...texts('a', 10)])
  world.start()
  await world.drain()
  exact(t, world, ['poison'])
  t.match(JSON.parse(world.letters.letters[0]?.create?.document ?? '{}'), { message: 'poison' })
})

t.test('Retry-After is waited for, whoever the answer was to', async (t) => {
  const world = worldOf(t)
  const slowDown = status(429, '', { 'retry-after': '120' })
  world.elastic.fault = ({ n }) => (n === 1 || n === 4 ? slowDown : null)
  // The third has a record that there is no room for: it is repeated alone, and that is answered so.
  world.elastic.refuse = ({ text }) =>
    world.elastic.seen.length === 3 && text.includes('late')
      ? { status: 429, type: 'es_rejected_execution_exception', reason: 'queue' }
      : null
  world.write('a', texts('line', 3))
  world.start()
  await world.drain()
  world.write('a', texts('late', 3))
  await world.drain()
  exact(t, world)
  const at = world.elastic.seen.map(({ atMs }) => atMs)
  t.equal(at.length, 5)
  for (const n of [1, 4]) {
    const waitedMs = (at[n] as number) - (at[n - 1] as number)
    t.ok(waitedMs >= 120_000 && waitedMs < 140_000, `${waitedMs} ms`)
  }
})

t.test('several hosts: in turn, without those that do not answer', async (t) => {
  const world = worldOf(t, {
    urls: ['http://es1.test:9200', 'http://es2.test:9200', 'http://es3.test:9200/prefix'],
    batchBytesMax: 8192,
    concurrency: 1,
  })
  world.write('a', texts('line', 200))
  world.start()
  await world.drain()
  const byHost = Map.groupBy(world.elastic.seen, ({ origin }) => origin)
  t.equal(byHost.size, 3)
  t.ok([...byHost.values()].every((bulks) => bulks.length > 2))
  t.match(byHost.get('http://es3.test:9200')?.[0]?.path, /^\/prefix\/logs-/)
  const before = world.elastic.seen.length
  world.elastic.fault = ({ origin }) =>
    origin.includes('es2') ? { kind: 'reset', store: false } : origin.includes('es1') ? status(503) : null
  world.write('a', texts('more', 500))
  await world.drain()
  exact(t, world)
  const since = world.elastic.seen.slice(before)
  t.ok(since.length > 20)
  t.ok(since.filter(({ outcome }) => outcome !== 200).length <= 4, 'the others are asked once, and left alone')
  t.strictSame(world.events.of('sink.retry'), [], 'the request went on to a host that is well')
})

t.test('killed at any moment of any bulk: nothing is missing, nothing is there twice', async (t) => {
  const world = worldOf(t, { batchBytesMax: 16 * 1024 }, { eagerCheckpoints: false })
  let line = 0
  for (let life = 0; life < 12; life++) {
    for (let pod = 0; pod < 3; pod++) world.write(`pod-${pod}`, texts(`${line++} line`, 60))
    let moments = 0
    const at = 1 + (life % 6)
    world.elastic.onMoment = () => {
      if (++moments === at) world.kill()
    }
    world.start()
    await world.clock.advance(3000)
    world.elastic.onMoment = null
    world.kill()
  }
  world.start()
  await world.drain()
  exact(t, world)
})

t.test('without ids a repeat is there twice, as documented', async (t) => {
  const world = worldOf(t, { documentIds: false })
  world.elastic.fault = (bulk) => (bulk.n === 1 ? { kind: 'reset', store: true } : null)
  world.write('a', texts('line', 3))
  world.start()
  await world.drain()
  t.equal(world.elastic.documents.length, 6)
})

t.test('a bulk of more than a piece of compression, and lines of a megabyte', async (t) => {
  const world = worldOf(t, { batchBytesMax: 4 * MIB }, { memoryBytes: 400 * MIB })
  world.write('a', [...texts('b'.repeat(1000), 3000), 'x'.repeat(MIB), '"'.repeat(MIB), 'ö'.repeat(MIB / 2)])
  world.start()
  await world.drain()
  exact(t, world)
  world.accounted('es')
  t.ok(world.elastic.seen.some(({ bytes }) => bytes > 2 * MIB))
})

t.test('letters are sent again as they were refused', async (t) => {
  const world = worldOf(t)
  world.elastic.refuse = ({ source }) => (String(source.message).includes('poison') ? reject() : null)
  world.write('a', ['poison 1', 'a', 'poison 2', 'poison "3"'])
  world.start()
  await world.drain()
  const { letters } = world.letters
  const { sink } = world.consumer('es')
  world.elastic.refuse = ({ source }) => (source.message === 'poison 2' ? reject() : null)
  const first = await world.clock.until(sink.resend?.(letters) as Promise<unknown>, MINUTE_MS)
  t.match(first, { kind: 'done' })
  t.strictSame(
    [...(first as { refused: Map<number, { reason: string }> }).refused].map(([index, { reason }]) => [index, reason]),
    [[1, 'mapper_parsing_exception']],
  )
  exact(t, world, ['poison 2'])
  world.elastic.fault = () => status(503)
  t.match(await world.clock.until(sink.resend?.(letters) as Promise<unknown>, MINUTE_MS), {
    kind: 'again',
    halted: false,
  })
  world.elastic.fault = () => status(401)
  t.match(await world.clock.until(sink.resend?.(letters) as Promise<unknown>, MINUTE_MS), {
    kind: 'again',
    halted: true,
  })
  world.elastic.fault = null
  world.elastic.refuse = null
  await world.clock.until(sink.resend?.(letters) as Promise<unknown>, MINUTE_MS)
  exact(t, world)
  t.strictSame(readLetters(encodeLetters(letters)).letters, letters, 'what is on disk is read as what it was')
})

t.test('set up at the start: nothing is sent before templates are there', async (t) => {
  const world = worldOf(t, { setupAtStart: true, batchBytesMax: 8192 })
  const order: string[] = []
  world.elastic.setUp = (method, path) => {
    order.push(`${method} ${path.split('/')[1]}`)
    if (path === '/') return { status: order.length === 1 ? 503 : 200, body: '{"version":{"number":"9.0.0"}}' }
    return method === 'PUT' ? { status: 200, body: '{}' } : { status: 404, body: '{}' }
  }
  for (const pod of ['a', 'b', 'c']) world.write(pod, texts('line', 30))
  world.start()
  await world.drain()
  exact(t, world)
  t.strictSame([order[0], order[1]], ['GET ', 'GET '], 'tried again')
  t.strictSame(world.events.of('sink.halted'), [], 'a server that cannot now is no reason to call anybody')
  t.equal(order.filter((each) => each.startsWith('PUT')).length, 2)
  t.equal(order.filter((each) => each === 'GET ').length, 2, 'once for all that wait')
})
