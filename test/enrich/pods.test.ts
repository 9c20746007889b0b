// What is remembered of pods: by UID, no longer than it is used, and no more of it.
import t from 'tap'
import type { Needs } from '../../src/enrich/needs.ts'
import { Pods } from '../../src/enrich/pods.ts'
import { FakeClock } from '../support/fake-clock.ts'

const needs: Needs = {
  podLabel: (name) => name === 'team',
  podAnnotation: () => false,
  namespaceLabel: () => false,
  directive: () => false,
  tenants: [],
  namespaces: false,
  containers: false,
}

function start(over: Partial<Needs> = {}) {
  const clock = new FakeClock()
  const pods = new Pods({ ...needs, ...over }, 'node', clock)
  const changes: (string | null)[] = []
  pods.onChange = (uid) => void changes.push(uid)
  const put = (uid: string, labels: Record<string, string> = {}, more: object = {}) =>
    pods.podReceiver.put({ metadata: { name: `pod-${uid}`, namespace: 'ns', uid, labels }, ...more })
  const of = (uid: string, restart = 0, isLast = false) =>
    pods.metadata({ namespace: 'ns', pod: `pod-${uid}`, podUid: uid, container: 'app' }, restart, isLast)
  return { clock, pods, changes, put, of }
}

t.test('what a list does not name is a tombstone, and what comes again lives', async (t) => {
  const { pods, put, of } = start()
  pods.podReceiver.listing()
  put('a')
  put('b')
  pods.podReceiver.listed()
  t.match(pods.counts, { pods: 2, tombstones: 0 })
  pods.podReceiver.listing()
  put('b')
  pods.podReceiver.listed()
  t.match(pods.counts, { pods: 1, tombstones: 1 })
  t.ok(of('a'), 'still known')
  put('a')
  t.match(pods.counts, { pods: 2, tombstones: 0 })
})

t.test('tombstones go when nobody uses them, and the oldest when there are too many', async (t) => {
  const { clock, pods, put, of } = start()
  for (const uid of ['used', 'unused']) {
    put(uid)
    pods.podReceiver.deleted({ metadata: { uid } })
  }
  const isUsed = (uid: string) => uid === 'used'
  await clock.advance(9 * 60_000)
  pods.sweep(isUsed)
  t.ok(of('unused'), 'its files may not be found yet')
  await clock.advance(2 * 60_000)
  pods.sweep(isUsed)
  t.equal(of('unused'), null)
  t.ok(of('used'))
  for (let i = 0; i < 1200; i++) {
    await clock.advance(1)
    put(`x${i}`)
    pods.podReceiver.deleted({ metadata: { uid: `x${i}` } })
  }
  t.equal(pods.counts.tombstones, 1000)
  t.equal(of('used'), null)
  t.ok(of('x1199') && of('x200'))
  t.equal(of('x199'), null)
})

t.test('what is not used is not kept and changes nothing', async (t) => {
  const { put, of, changes } = start()
  put('a', { team: 'web', other: 'x' })
  const before = of('a')
  t.strictSame(before?.labels, { team: 'web' })
  put('a', { team: 'web', other: 'y' }, { status: { phase: 'Running' } })
  t.equal(of('a'), before, 'the same object')
  t.strictSame(changes, ['a'])
  put('a', { team: 'data' })
  t.strictSame(changes, ['a', 'a'])
  t.equal(of('a')?.labels.team, 'data')
})

t.test('a container ID is waited for, where it may come', async (t) => {
  const { put, of } = start({ containers: true })
  const status = (restartCount: number, id: string) => ({
    status: { containerStatuses: [{ name: 'app', restartCount, containerID: id }] },
  })
  put('a')
  t.equal(of('a'), null)
  t.equal(of('a', 0, true)?.containerId, '', 'if need be without')
  put('a', {}, status(3, 'cri-o://three'))
  t.equal(of('a', 3)?.containerId, 'three')
  t.equal(of('a', 4), null, 'the next instance is not told of yet')
  t.match(of('a', 1), { containerId: '', restartCount: 1 }, 'of those long ago nothing comes')
})

t.test('a pod that calls itself the mirror of another one is not taken for it', async (t) => {
  const { pods, put, of } = start()
  put('victim', { team: 'a' })
  const annotations = { 'kubernetes.io/config.mirror': 'victim' }
  const evil = { name: 'evil', namespace: 'elsewhere', uid: 'evil', labels: { team: 'b' }, annotations }
  pods.podReceiver.put({ metadata: evil })
  t.match(of('victim'), { podUid: 'victim', labels: { team: 'a' } })
  pods.podReceiver.deleted({ metadata: evil })
  t.match(of('victim'), { podUid: 'victim', labels: { team: 'a' } })
  // Nor a static pod, whose mirror has the same hash.
  const mirror = (name: string, team: string) => ({
    metadata: {
      ...{ name, namespace: 'ns', uid: `uid-${name}`, labels: { team } },
      annotations: { 'kubernetes.io/config.mirror': 'hash' },
    },
  })
  pods.podReceiver.put(mirror('etcd-node', 'a'))
  pods.podReceiver.put(mirror('evil', 'b'))
  const place = { namespace: 'ns', pod: 'etcd-node', podUid: 'hash', container: 'etcd' }
  t.match(pods.metadata(place, 0), { pod: 'etcd-node', podUid: 'uid-etcd-node', labels: { team: 'a' } })
})

t.test('a mirror pod that was made anew is the same static pod, whose changes are told by its hash', async (t) => {
  const { pods, changes, clock } = start()
  const mirror = (uid: string, team: string) => ({
    metadata: {
      ...{ name: 'etcd-node', namespace: 'ns', uid, labels: { team } },
      annotations: { 'kubernetes.io/config.mirror': 'hash' },
    },
  })
  pods.podReceiver.put(mirror('one', 'a'))
  pods.podReceiver.deleted(mirror('one', 'a'))
  pods.podReceiver.put(mirror('two', 'b'))
  const place = { namespace: 'ns', pod: 'etcd-node', podUid: 'hash', container: 'etcd' }
  t.match(pods.metadata(place, 0), { podUid: 'two', labels: { team: 'b' } })
  t.strictSame(changes, ['hash', 'hash'])
  pods.podReceiver.deleted(mirror('two', 'b'))
  await clock.advance(3_600_000)
  pods.sweep((uid) => uid === 'hash')
  t.ok(pods.metadata(place, 0), 'its files are there')
})

t.test("a new namespace's labels are waited for, also when others are known", async (t) => {
  const { pods, put, of, changes } = start({ namespaces: true, namespaceLabel: (name) => name === 'team' })
  const namespace = (labels: Record<string, string>) => ({ metadata: { name: 'ns', labels } })
  pods.namespaceReceiver.listing()
  pods.namespaceReceiver.listed()
  put('a')
  t.equal(of('a'), null, 'its namespace is told of by another watch')
  t.strictSame(of('a', 0, true)?.namespaceLabels, {}, 'if need be without')
  changes.length = 0
  pods.namespaceReceiver.put(namespace({ team: 'x' }))
  t.strictSame(changes, [null])
  t.strictSame(of('a')?.namespaceLabels, { team: 'x' })
  pods.namespaceReceiver.put({ metadata: { name: 'elsewhere', labels: { team: 'y' } } })
  t.strictSame(changes, [null], 'a namespace without pods of this node concerns nobody')
})

t.test('a namespace that comes again under its name is another one', async (t) => {
  const { pods, put, of } = start({ namespaces: true, namespaceLabel: (name) => name === 'team', containers: true })
  const namespace = (team: string) => ({ metadata: { name: 'ns', labels: { team } } })
  pods.namespaceReceiver.put(namespace('old'))
  put('a')
  put('b')
  pods.podReceiver.deleted({ metadata: { uid: 'a' } })
  // The two watches may tell it in either order.
  pods.namespaceReceiver.deleted(namespace('old'))
  pods.podReceiver.deleted({ metadata: { uid: 'b' } })
  for (const uid of ['a', 'b']) t.strictSame(of(uid)?.namespaceLabels, { team: 'old' }, 'although nobody had asked')
  pods.namespaceReceiver.put(namespace('new'))
  put('c', {}, { status: { containerStatuses: [{ name: 'app', restartCount: 0, containerID: 'x://c' }] } })
  t.strictSame(of('c')?.namespaceLabels, { team: 'new' })
  for (const uid of ['a', 'b']) {
    for (const restart of [0, 1]) t.strictSame(of(uid, restart)?.namespaceLabels, { team: 'old' })
  }
})

t.test('directives are kept within their bound', async (t) => {
  const { pods, of } = start({ directive: (name) => name.startsWith('taffrail.dev/') })
  const annotations = { 'taffrail.dev/exclude': 'true', 'taffrail.dev/note': 'x'.repeat(200_000) }
  pods.podReceiver.put({ metadata: { name: 'pod-a', namespace: 'ns', uid: 'a', annotations } })
  t.ok(JSON.stringify(of('a')).length < 2000)
  t.equal(of('a')?.directives?.['taffrail.dev/exclude'], 'true')
})

t.test('nonsense', async (t) => {
  const { pods, of } = start({ containers: true })
  for (const object of [{}, { metadata: {} }, { metadata: { uid: '' } }]) pods.podReceiver.put(object)
  pods.podReceiver.deleted({})
  t.match(pods.counts, { pods: 0, tombstones: 0 })
  t.equal(of('a'), null)
})

t.test('20,000 pods that are gone at once are buried one by one, not each past all others', async (t) => {
  const { pods, put } = start()
  for (let i = 0; i < 20_000; i++) put(`uid-${i}`)
  const before = process.cpuUsage()
  pods.podReceiver.listing()
  pods.podReceiver.listed()
  const { user } = process.cpuUsage(before)
  t.ok(user < 2_000_000, `${user} µs`)
  t.match(pods.counts, { pods: 0, tombstones: 1000 })
})

t.test('of an answer that is not what the API server sends nothing is kept but strings', async (t) => {
  for (const odd of [1, true, null, [], { a: 1 }]) {
    const { pods, of } = start({ podLabel: () => true, podAnnotation: () => true, directive: () => true })
    const strange = { app: odd, 'taffrail.dev/exclude': odd, fine: 'yes' } as unknown as Record<string, string>
    const ownerReferences = [{ controller: true, kind: odd, name: odd }]
    const metadata = {
      name: 'pod-a',
      namespace: 'ns',
      uid: 'a',
      labels: strange,
      annotations: strange,
      ownerReferences,
    }
    pods.podReceiver.put({ metadata })
    const kept = { labels: { fine: 'yes' }, annotations: { fine: 'yes' }, ownerKind: '', ownerName: '', app: 'pod-a' }
    t.match(of('a'), kept, JSON.stringify(odd))
    t.strictSame(of('a')?.labels, kept.labels)
    t.strictSame(of('a')?.directives, { fine: 'yes' })
  }
})
