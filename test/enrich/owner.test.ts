// Owners and applications of the pods of a real list, and of odd ones.
import t from 'tap'
import { appOf, ownerOf } from '../../src/enrich/owner.ts'
import { readBody, readRecorded } from '../support/recorded-watch.ts'

t.test('of a real list', async (t) => {
  const { items } = JSON.parse(readBody('list-node-1.json'))
  const events = readRecorded('watch-bookmarks-churn').lines.map((line) => JSON.parse(line))
  const added = events.filter(({ type }) => type === 'ADDED').map(({ object }) => object)
  const said: Record<string, string> = {}
  for (const { metadata } of [...items, ...added]) {
    const owner = ownerOf(metadata.ownerReferences ?? [], metadata.labels ?? {})
    said[metadata.name] = `${owner.kind}/${owner.name} ${appOf(metadata.name, metadata.labels ?? {}, owner, 'node-1')}`
  }
  const expected: Record<string, string> = {
    bare: '/ bare',
    'kube-apiserver-node-1': 'Node/node-1 kube-apiserver',
    'pg-0': 'StatefulSet/pg pg',
    'cart-5cbf94d795-4r4nc': 'Deployment/cart cart',
    'web-6d4fbd6fbd-bjgrt': 'Deployment/web web',
    'node-exporter-9vpgb': 'DaemonSet/node-exporter node-exporter',
  }
  t.match(said, expected)
  t.ok(
    Object.values(said).some((each) => each.startsWith('CronJob/report ')),
    'a CronJob',
  )
})

t.test('what only looks like it', async (t) => {
  const of = (kind: string, name: string, labels = {}) => {
    const owner = ownerOf(
      [
        { kind: 'Other', name: 'x' },
        { kind, name, controller: true },
      ],
      labels,
    )
    return `${owner.kind}/${owner.name}`
  }
  t.equal(of('ReplicaSet', 'web-abc', {}), 'ReplicaSet/web-abc', 'no hash')
  t.equal(of('ReplicaSet', 'web-abc', { 'pod-template-hash': '' }), 'ReplicaSet/web-abc')
  t.equal(of('ReplicaSet', 'web-abc', { 'pod-template-hash': 'xyz' }), 'ReplicaSet/web-abc', 'another hash')
  t.equal(of('Job', 'import-20261121'), 'Job/import-20261121', 'a date is no minute')
  t.equal(of('Job', 'import-29920808'), 'CronJob/import')
  t.equal(of('Rollout', 'web'), 'Rollout/web')
  t.strictSame(ownerOf([{ kind: 'ReplicaSet', name: 'x' }], {}), { kind: '', name: '' }, 'no controller')
})

t.test('precedence of what names an application', async (t) => {
  const owner = { kind: 'Deployment', name: 'by-owner' }
  const labels = { 'app.kubernetes.io/name': 'by-name', app: 'by-app', 'k8s-app': 'by-k8s' }
  t.equal(appOf('p', labels, owner, ''), 'by-name')
  t.equal(appOf('p', { ...labels, 'app.kubernetes.io/name': '' }, owner, ''), 'by-app')
  t.equal(appOf('p', { 'k8s-app': 'by-k8s' }, owner, ''), 'by-k8s')
  t.equal(appOf('p', {}, owner, ''), 'by-owner')
  t.equal(appOf('etcd-node-1', {}, { kind: 'Node', name: 'node-1' }, 'node-1'), 'etcd')
})
