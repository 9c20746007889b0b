// What an API server is answered, and what is on disk then: batches that are sound, that are none, that come when there is
// no room, and those that never come back.
import { test } from 'tap'
import { loadPolicy } from '../../../src/audit/policy/load.ts'
import { type Missing, missingLine, RefusedBatches } from '../../../src/audit/webhook/shed.ts'
import { MemoryCheckpoints } from '../../../src/checkpoint/memory-store.ts'
import type { Position } from '../../../src/checkpoint/position.ts'
import { FaultyFileSystem } from '../../support/faulty-fs.ts'
import { fixture } from '../fixtures.ts'
import { batch, event, SPOOL, WebhookRig } from './rig.ts'

const KEY = `hook:${SPOOL}/cp-1/audit.log`

/** The part of a position that says in which file it is. */
function positionIn(rig: WebhookRig, path: string): Position {
  const { ino } = rig.disk.reads.lstat(path)!
  return { path, dev: 1, ino, offset: 0 } as Position
}

for (const name of ['webhook-0001', 'webhook-0003', 'webhook-single', 'webhook-truncated']) {
  test(`${name}: each event becomes the line that an API server writes to its log`, async (t) => {
    const rig = await new WebhookRig({ deps: { audit: { policy: null, mask: null } } }).start()
    const body = fixture(`webhook/${name}.json.gz`)
    t.match(await rig.send(body), { status: 200 })
    const { items } = JSON.parse(body.toString())
    const lines = rig.lines()
    t.strictSame(
      lines.map((line) => JSON.parse(line)),
      items.map((item: object) => ({ kind: 'Event', apiVersion: 'audit.k8s.io/v1', ...item })),
    )
    t.ok(lines.every((line) => line.startsWith('{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":')))
    t.match(rig.webhook.status(), { batches: { accepted: 1 }, events: { accepted: items.length, dropped: 0 } })
  })
}

test('no secret rests on disk, in small events and large ones; what the policy leaves out is not there', async (t) => {
  const loaded = loadPolicy(
    'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, users: [noise]}, {level: RequestResponse}]',
    'p',
  )
  if (!('policy' in loaded)) throw new Error('no policy')
  const rig = await new WebhookRig({
    deps: { audit: { policy: loaded.policy, mask: () => '[redacted]' } },
  }).start()
  const objectRef = { resource: 'secrets', namespace: 'a', name: 'b' }
  const requestObject = { kind: 'Secret', data: { x: 'aHVudGVyMg==' }, stringData: { pad: 'p'.repeat(300_000) } }
  const big = event('big', { level: 'RequestResponse', verb: 'create', objectRef, requestObject })
  const small = event('small', {
    level: 'RequestResponse',
    verb: 'create',
    objectRef,
    requestObject: { kind: 'Secret', data: { x: 'aHVudGVyMg==' } },
  })
  const body = batch(event('noise', { user: { username: 'noise' } }), big, small)
  t.match(await rig.send(body), { status: 200 })
  const lines = rig.lines()
  t.strictSame(
    lines.map((line) => JSON.parse(line).auditID),
    ['big', 'small'],
  )
  t.notMatch(lines.join(''), /aHVudGVyMg|ppp/)
  t.match(rig.webhook.status().events, { accepted: 3, dropped: 1 })
})

test('an event that says itself what it is says it once', async (t) => {
  const rig = await new WebhookRig().start()
  const own = { kind: 'Event', apiVersion: 'audit.k8s.io/v1' }
  t.match(await rig.send(batch({ ...event('a'), ...own }, { ...event('b'), kind: 'Event' })), { status: 200 })
  for (const line of rig.lines()) t.equal(line.match(/"kind":|"apiVersion":/g)?.length, 2, line)
})

const INVALID: [string, string, RegExp][] = [
  ['no JSON', '{"kind":"EventList"', /it ends too early/],
  ['no list of events', '{"kind":"PodList","apiVersion":"v1","items":[]}', /kind is not EventList/],
  [
    'an item of another kind',
    batch(event('a'), { ...event('b'), kind: 'Pod' }),
    /items\[1\] is no audit event: its kind/,
  ],
  ['an empty item', batch({}), /items\[0\] is no audit event/],
  ['no auditID', batch({ ...event('a'), auditID: undefined }), /no auditID/],
  ['no stage', batch({ ...event('a'), stage: undefined }), /no stage/],
  ['a time that is none', batch({ ...event('a'), stageTimestamp: 'yesterday' }), /no stageTimestamp/],
]

for (const [what, body, problem] of INVALID) {
  test(`refused for good, and nothing of it is kept: ${what}`, async (t) => {
    const rig = await new WebhookRig().start()
    await rig.send(batch(event('before')))
    t.match(await rig.send(body), { status: 400, reason: problem })
    t.equal(rig.lines().length, 1)
    t.match(rig.webhook.status(), { batches: { accepted: 1, invalid: 1 }, load: { bytes: 0 } })
    t.match(rig.events['webhook.invalid'], [{ apiServer: 'cp-1', problem }])
  })
}

test('answered only when it is durable; a failed write is answered 503, and the repeat is taken', async (t) => {
  const rig = await new WebhookRig().start()
  await rig.send(batch(event('first')))
  rig.disk.fault = (operation) => (operation === 'sync' ? 'EIO' : null)
  t.match(await rig.send(batch(event('second'))), { status: 503, retryAfterSeconds: 5 })
  rig.disk.fault = () => null
  const { promise: isSyncing, resolve: syncing } = Promise.withResolvers<void>()
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  rig.disk.delay = (operation) => {
    if (operation !== 'sync') return Promise.resolve()
    syncing()
    return gate
  }
  let answered = false
  const answer = rig.send(batch(event('second'))).finally(() => {
    answered = true
  })
  await isSyncing
  for (let i = 0; i < 50; i++) await new Promise(setImmediate)
  t.notOk(answered, 'while the disk works')
  open()
  t.match(await answer, { status: 200 })
  t.strictSame(
    rig.lines().map((line) => JSON.parse(line).auditID),
    ['first', 'second'],
  )
  t.match(rig.webhook.status(), { batches: { shed: { disk: 1 } }, apiServers: [{ awaited: 0 }], missing: 0 })
})

test('more than memory holds waits with its sender, and is put off when it has waited for too long', async (t) => {
  const rig = await new WebhookRig({ deps: { memoryBytes: 3 * 1024 * 1024 } }).start()
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  rig.disk.delay = (operation) => (operation === 'sync' ? gate : Promise.resolve())
  const big = (id: string) => batch(event(id, { requestURI: `/${'x'.repeat(400_000)}` }))
  const first = rig.send(big('a'))
  const second = rig.send(big('b'))
  const third = rig.send(big('c'))
  for (let i = 0; i < 20; i++) await new Promise(setImmediate)
  t.equal(rig.webhook.status().batches.shed.memory, undefined, 'it waits')
  await rig.clock.advance(5000)
  t.match(await second, { status: 429, retryAfterSeconds: 1 })
  t.match(await third, { status: 429 })
  const fourth = rig.send(big('c'))
  open()
  t.match(await first, { status: 200 })
  t.match(await fourth, { status: 200 }, 'who waits is let in when there is room')
  t.equal(rig.webhook.status().load.bytes, 0)
  t.match(await rig.send(big('b')), { status: 200 })
  t.match(rig.webhook.status(), { batches: { accepted: 3, shed: { memory: 2 } }, apiServers: [{ awaited: 0 }] })
})

test('a full spool puts everything off, says so once, and takes again once sinks are past a segment', async (t) => {
  const rig = await new WebhookRig().start()
  const big = (id: string) => batch(event(id, { requestURI: `/${'x'.repeat(900_000)}` }))
  let sent = 0
  let answer = await rig.send(big(`${sent++}`))
  while (answer?.status === 200) answer = await rig.send(big(`${sent++}`))
  t.match(answer, { status: 503, retryAfterSeconds: 5 })
  const { spool } = rig.webhook.status()
  t.match(spool, { isFull: true })
  t.ok(spool.bytes <= spool.bytesMax && spool.bytes > 0.9 * spool.bytesMax, `${spool.bytes} of ${spool.bytesMax}`)
  await rig.send(big('x'))
  t.equal(rig.events['webhook.full']?.length, 1)
  const segments = rig.disk.reads.readdir(`${SPOOL}/cp-1`).sort()
  rig.checkpoints.set('loki', KEY, positionIn(rig, `${SPOOL}/cp-1/${segments[3]}`))
  await rig.clock.advance(6000)
  t.strictSame(rig.disk.reads.readdir(`${SPOOL}/cp-1`).sort(), segments.slice(3))
  t.match(await rig.send(big('y')), { status: 200 })
})

test('a segment is kept until the last sink is past it, and its checkpoint is durable', async (t) => {
  const rig = await new WebhookRig({ deps: { sinks: ['loki', 'es'] }, config: { bodyBytesMax: 2 ** 21 } }).start()
  for (const id of ['a', 'b', 'c']) await rig.send(batch(event(id, { requestObject: { text: 'x'.repeat(2 ** 20) } })))
  const names = () => rig.disk.reads.readdir(`${SPOOL}/cp-1`).sort()
  const before = names()
  t.equal(before.length, 4)
  const at = (index: number) =>
    positionIn(rig, `${SPOOL}/cp-1/${before.filter((name) => name !== 'audit.log')[index] ?? 'audit.log'}`)
  rig.checkpoints.set('loki', KEY, positionIn(rig, `${SPOOL}/cp-1/audit.log`))
  await rig.clock.advance(6000)
  t.strictSame(names(), before, 'es has not begun')
  rig.checkpoints.set('es', KEY, at(1))
  let isDurable = false
  let seen: string[] = []
  rig.checkpoints.flush = async () => {
    seen = names()
    isDurable = true
  }
  await rig.clock.advance(6000)
  t.strictSame(seen, before, 'nothing is deleted before')
  t.ok(isDurable)
  t.equal(names().length, 3)
})

test('what was refused and does not come back is told in its stream, once', async (t) => {
  const rig = await new WebhookRig({ deps: { memoryBytes: 3 * 1024 * 1024 } }).start()
  await rig.send(batch(event('known')))
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  rig.disk.delay = (operation) => (operation === 'sync' ? gate : Promise.resolve())
  const big = (id: string) => batch(event(id, { requestURI: `/${'x'.repeat(400_000)}` }))
  const first = rig.send(big('a'))
  const lost = big('lost')
  const refused = [rig.send(lost), rig.send(big('late'))]
  await rig.clock.advance(5000)
  for (const answer of await Promise.all(refused)) t.match(answer, { status: 429 })
  open()
  await first
  await rig.clock.advance(200_000)
  t.match(await rig.send(big('late')), { status: 200 })
  t.equal(rig.lines().length, 3)
  await rig.clock.advance(101_000)
  t.match(
    rig.lines()[3],
    new RegExp(
      `^taffrail: lost 1 batch of audit events \\(${lost.length} bytes\\) of API server cp-1, refused between 2026-11-21T08:\\S+ and 2026-11-21T08:\\S+ and not sent here again: too much at once$`,
    ),
  )
  await rig.clock.advance(600_000)
  t.equal(rig.lines().length, 4)
  t.match(rig.webhook.status(), { missing: 1 })
  t.match(rig.events['webhook.missing'], [{ apiServer: 'cp-1' }])
})

test('of API servers that call themselves something else each time only so many are remembered', async (t) => {
  const rig = await new WebhookRig({ deps: { memoryBytes: 3 * 1024 * 1024 } }).start()
  await rig.send(batch(event('known')))
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  rig.disk.delay = (operation) => (operation === 'sync' ? gate : Promise.resolve())
  const first = rig.send(batch(event('a', { requestURI: `/${'x'.repeat(400_000)}` })))
  const refused = Array.from({ length: 200 }, (_, i) => rig.send(batch(event('b')), `other-${i}`))
  const own = rig.send(batch(event('c')))
  await rig.clock.advance(5000)
  for (const answer of await Promise.all([...refused, own])) t.match(answer, { status: 429 })
  open()
  await first
  await rig.clock.advance(301_000)
  t.equal(rig.webhook.status().missing, 65)
  t.equal(rig.webhook.status().apiServers.length, 64)
  t.match(rig.lines()[2], /^taffrail: lost 1 batch/, 'the one that is known among them')
})

test('a hole that is made of thousands of batches is told in a sentence', async (t) => {
  const refused = new RefusedBatches()
  for (let i = 0; i < 20_000; i++) refused.refused(`hash ${i}`, i, `a body of ${i} bytes`, 0, 0)
  const missing = refused.missing(600_000)
  t.match(missing, { batches: 20_000 })
  t.ok(missingLine('cp-1', missing as Missing).length < 1000)
})

test('a stop tells at once what is still awaited, since the next process will not know it', async (t) => {
  const rig = await new WebhookRig().start()
  await rig.send('nonsense')
  await rig.webhook.stop(AbortSignal.timeout(1000))
  t.match(rig.lines()[0], /^taffrail: lost 1 batch .* before taffrail stopped: invalid$/)
})

test('one API server more than there may be', async (t) => {
  const rig = await new WebhookRig().start()
  for (let i = 0; i < 64; i++) t.match(await rig.send(batch(event('a')), `cp-${i}`), { status: 200 })
  t.match(await rig.send(batch(event('a')), 'cp-64'), { status: 403, reason: 'too many API servers' })
  t.match(await rig.send(batch(event('b')), 'cp-63'), { status: 200 })
  t.equal(rig.webhook.status().load.bytes, 0)
})

test('a start goes on with the spool that is there, in a segment of its own', async (t) => {
  const first = await new WebhookRig().start()
  await first.send(batch(event('a')))
  const disk = first.disk.kill()
  disk.scribble(`${SPOOL}/cp-1/audit.log`, '{"kind":"Event","torn')
  const next = await new WebhookRig({ disk, checkpoints: new MemoryCheckpoints() }).start()
  await next.send(batch(event('b')))
  t.strictSame(
    next.lines().map((line) => JSON.parse(line).auditID),
    ['a', 'b'],
  )
  t.equal(disk.reads.readdir(`${SPOOL}/cp-1`).length, 2)
})

test('what cannot listen or open its spool says so and tries again', async (t) => {
  const disk = new FaultyFileSystem()
  const rig = new WebhookRig({ disk })
  disk.fault = (operation) => (operation === 'mkdir' ? 'EROFS' : null)
  rig.webhook.start(true)
  await rig.clock.advance(1000)
  t.match(rig.webhook.status(), { address: null, lastError: /EROFS/ })
  disk.fault = () => null
  await rig.clock.advance(5000)
  t.match(rig.webhook.status(), { address: 'here', lastError: null })
  t.equal(rig.events['webhook.failed']?.length, 1)
})

test('a batch does not wait behind a large one', async (t) => {
  const rig = await new WebhookRig({ config: { bodyBytesMax: 2 ** 23 } }).start()
  const spec = Array.from({ length: 60_000 }, (_, i) => ({ name: `entry-${i}`, weight: i }))
  const objectRef = { resource: 'widgets', namespace: 'a', name: 'b' }
  const more = { level: 'Request', verb: 'update', objectRef, requestObject: { kind: 'Widget', spec } }
  const done: string[] = []
  const large = rig.send(batch(event('large', more))).then(() => done.push('large'))
  const small = rig.send(batch(event('small'))).then(() => done.push('small'))
  await Promise.all([large, small])
  t.strictSame(done, ['small', 'large'])
})
