// The suite on the fake API server, over real sockets, and on a real one: TAFFRAIL_TEST_KUBECONFIG names the kubeconfig
// of an administrator; the agent's own account is made there with exactly the rights that the manifests give it.
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { kubeconfigAccess } from '../../src/enrich/access.ts'
import type { ApiAccess } from '../../src/enrich/api-server.ts'
import { createHttpClient } from '../../src/ports/real-http.ts'
import { build } from '../manifests/kustomize.ts'
import { FakeApiServer, type KubeThing } from '../support/fake-api-server.ts'
import { type ClusterRig, clusterConformance } from './cluster.conformance.ts'

async function fakeRig(): Promise<ClusterRig> {
  const server = new FakeApiServer()
  const { origin, close } = await server.listen()
  server.refuse = ({ headers, path }) =>
    headers.authorization === 'Bearer agent' ? null : { status: 403, message: `${path} is forbidden` }
  const access = (token: string): ApiAccess => {
    return { origin, prefix: '', tls: {}, authorization: () => `Bearer ${token}`, from: 'test' }
  }
  const namespace = 'ns'
  const uids = new Map<string, string>()
  const label = async (labels: Record<string, string>) => {
    server.put({ kind: 'Namespace', metadata: { name: namespace, uid: 'n', resourceVersion: '', labels } })
  }
  await label({})
  return {
    access: access('agent'),
    stranger: access('stranger'),
    namespace,
    nodeName: 'node-1',
    put: async (name, labels, annotations = {}) => {
      const uid = uids.get(name) ?? randomBytes(8).toString('hex')
      uids.set(name, uid)
      const metadata = { name, namespace, uid, resourceVersion: '', labels, annotations }
      const spec = { nodeName: 'node-1', containers: [{ name: 'main', image: 'busybox:1.36' }] }
      server.put({ kind: 'Pod', metadata, spec } as Omit<KubeThing, 'apiVersion'>)
      return uid
    },
    delete: async (name) => {
      uids.delete(name)
      server.delete('Pod', { name, namespace })
    },
    label,
    close,
  }
}

t.test('the fake one', async (t) => clusterConformance(t, fakeRig))

const kubeconfig = process.env.TAFFRAIL_TEST_KUBECONFIG
if (kubeconfig !== undefined) t.test('a real one', async (t) => clusterConformance(t, (t) => realRig(t, kubeconfig)))

/** The object of that kind which every installation has. */
function manifest(kind: string): object {
  const objects = build(fileURLToPath(new URL('../../manifests/base', import.meta.url)))
  return objects.find((each) => each.kind === kind) as object
}

async function realRig(t: Test, path: string): Promise<ClusterRig> {
  const admin = kubeconfigAccess(path)
  const http = createHttpClient(admin.origin, { connections: 2, tls: admin.tls })
  const call = async (method: string, url: string, body?: object, type = 'application/json') => {
    const authorization = admin.authorization()
    const headers = { 'content-type': type, ...(authorization !== null && { authorization }) }
    const request = { method: method as 'POST', path: admin.prefix + url, headers, timeoutMs: 30_000 }
    const sent = body === undefined ? request : { ...request, body: Buffer.from(JSON.stringify(body)) }
    const answer = await http.send({ ...sent, answerBytesMax: 1_000_000 })
    return { status: answer.status, body: JSON.parse(answer.body.toString() || '{}') }
  }
  const namespace = `taffrail-test-${randomBytes(4).toString('hex')}`
  const nodeName = `${namespace}-node`
  const must = async (method: string, url: string, body?: object, type?: string) => {
    const answer = await call(method, url, body, type)
    if (answer.status > 299) throw new Error(`${method} ${url}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  const patch = 'application/merge-patch+json'
  await must('POST', '/api/v1/namespaces', { metadata: { name: namespace } })
  const names = ['taffrail', 'stranger']
  for (const name of names) {
    await must('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name } })
  }
  const role = { ...manifest('ClusterRole'), metadata: { name: namespace } }
  const rbac = '/apis/rbac.authorization.k8s.io/v1'
  await must('POST', `${rbac}/clusterroles`, role)
  await must('POST', `${rbac}/clusterrolebindings`, {
    metadata: { name: namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: namespace },
    subjects: [{ kind: 'ServiceAccount', name: 'taffrail', namespace }],
  })
  const { cert: _, key: __, certFile: ___, keyFile: ____, ...tls } = admin.tls
  const [access, stranger] = (await Promise.all(
    names.map(async (name): Promise<ApiAccess> => {
      const { status } = await must('POST', `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`, {})
      return { ...admin, tls, authorization: () => `Bearer ${status.token}` }
    }),
  )) as [ApiAccess, ApiAccess]
  const pods = `/api/v1/namespaces/${namespace}/pods`
  t.teardown(async () => {
    await call('DELETE', `/api/v1/namespaces/${namespace}`)
    await call('DELETE', `${rbac}/clusterrolebindings/${namespace}`)
    await call('DELETE', `${rbac}/clusterroles/${namespace}`)
    await http.close()
  })
  return {
    access,
    stranger,
    namespace,
    nodeName,
    put: async (name, labels, annotations = {}) => {
      const changed = await call('PATCH', `${pods}/${name}`, { metadata: { labels, annotations } }, patch)
      if (changed.status === 200) return changed.body.metadata.uid
      const spec = {
        nodeName,
        containers: [{ name: 'main', image: 'busybox:1.36' }],
        automountServiceAccountToken: false,
      }
      return (await must('POST', pods, { metadata: { name, labels, annotations }, spec })).metadata.uid
    },
    delete: async (name) => void (await must('DELETE', `${pods}/${name}?gracePeriodSeconds=0`)),
    label: async (labels) =>
      void (await must('PATCH', `/api/v1/namespaces/${namespace}`, { metadata: { labels } }, patch)),
    close: () => {},
  }
}
