// The labels that a path tells.
import t from 'tap'
import { type LabelContext, labelsOf } from '../../src/core/labels.ts'
import type { LineageInfo } from '../../src/core/lineage-info.ts'
import { appOfPod, pathMetadata } from '../../src/core/metadata.ts'

t.test('the owner of a pod', async (t) => {
  const owners: Record<string, string> = {
    'web-5d4f8c7b9-x2k4q': 'web',
    'coredns-6d4b75cb6d-7pq2n': 'coredns',
    'my-app-api-7c9bd6f4x2-zz2xk': 'my-app-api',
    'kube-proxy-8x2kq': 'kube-proxy',
    'postgres-0': 'postgres',
    'kafka-broker-12': 'kafka-broker',
    'backup-29384512-x2k4q': 'backup',
    'nightly-report-1795248006-x2k4q': 'nightly-report',
    'migrate-x2k4q': 'migrate',
    'kube-apiserver-node-1': 'kube-apiserver',
    'etcd-node-1': 'etcd',
    web: 'web',
    // Words are not random letters, years are no ordinals, versions stay.
    'redis-cache': 'redis-cache',
    'app-proxy': 'app-proxy',
    'release-20261121': 'release-20261121',
    'nginx-v2': 'nginx-v2',
    '-0': '-0',
    '': '',
  }
  for (const [pod, owner] of Object.entries(owners)) t.equal(appOfPod(pod, 'node-1'), owner, pod)
  t.equal(appOfPod('web-0', ''), 'web', 'no node name')
})

t.test('nothing that a pod may be called makes it slow or empty', async (t) => {
  const long = 'a-'.repeat(120)
  const before = performance.now()
  t.ok(appOfPod(`${long}bcdfg`, 'node').startsWith('a-'))
  t.ok(performance.now() - before < 50)
})

const info = { source: 's', key: 'k', path: '/logs/a.log', namespace: 'ns', pod: 'web-0', podUid: 'u', container: 'c' }
const context: LabelContext = { clusterName: 'prod', labels: { team: 'a' } }

function ofPath(info: LineageInfo, over: Partial<LabelContext> = {}, nodeName = 'n1') {
  return labelsOf(info, pathMetadata(info, nodeName), { ...context, ...over })
}

t.test('of a container and of a file', async (t) => {
  t.strictSame(ofPath({ ...info, sourceType: 'containers' }), {
    team: 'a',
    cluster: 'prod',
    node_name: 'n1',
    namespace: 'ns',
    pod: 'web-0',
    container: 'c',
    app: 'web',
    job: 'ns/c',
  })
  const file = { team: 'a', cluster: 'prod', node_name: 'n1', job: 's', filename: '/logs/a.log' }
  t.strictSame(ofPath({ ...info, sourceType: 'files' }), file)
  t.strictSame(ofPath({ ...info, sourceType: 'containers', pod: '' }), file, 'a container nobody knows')
})

t.test('the sink cannot take a label over, and what is empty is none', async (t) => {
  const labels = ofPath(
    { ...info, sourceType: 'files' },
    { labels: { job: 'mine', cluster: 'mine', empty: '', team: 'a' } },
    '',
  )
  t.strictSame(labels, { team: 'a', cluster: 'prod', job: 's', filename: '/logs/a.log' })
})
