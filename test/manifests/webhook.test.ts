// The manifests of the audit webhook, as they are applied: held against the API server's schemas, and against what the agent is;
// and the API server's own two files, read as an API server reads them.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { loadPolicyFile } from '../../src/audit/policy/files.ts'
import { deadRules } from '../../src/audit/policy/reach.ts'
import { nameInPath } from '../../src/audit/webhook/api-server-name.ts'
import { STOP_MS_MAX } from '../../src/commands/run.ts'
import { formatConfigError } from '../../src/config/config-error.ts'
import { parseListen } from '../../src/config/formats.ts'
import { loadConfig } from '../../src/config/load.ts'
import { VERSION } from '../../src/version.ts'
import { build, type KubeObject, ROOT } from './kustomize.ts'
import { problemsOf } from './openapi.ts'

const OBJECTS = build(`${ROOT}/webhook`)
const API_SERVER = `${ROOT}/webhook/api-server`
const NAME = 'taffrail-webhook'

function only(kind: string): KubeObject {
  const found = OBJECTS.filter((object) => object.kind === kind)
  if (found.length !== 1) throw new Error(`${found.length} of ${kind}`)
  return found[0] as KubeObject
}

const pod = only('Deployment').spec.template.spec
const [container] = pod.containers

t.test('each object is what the API server takes, in one namespace', async (t) => {
  for (const object of OBJECTS) {
    t.strictSame(problemsOf(object), [], `${object.kind} ${object.metadata.name}`)
    t.equal(object.metadata.namespace, 'taffrail')
  }
  t.notOk(OBJECTS.some(({ kind }) => kind === 'Secret'))
})

t.test('the agent runs on what it is given', async (t) => {
  const text = OBJECTS.find(({ metadata }) => metadata.name === `${NAME}-config`)?.data['config.yaml']
  const env = OBJECTS.find(({ metadata }) => metadata.name === `${NAME}-environment`)?.data
  const mounts: { name: string; mountPath: string; readOnly?: boolean }[] = container.volumeMounts
  const mountOf = (path: string) =>
    mounts.find(({ mountPath }) => path.startsWith(`${mountPath}/`) || path === mountPath)
  const loaded = loadConfig(text, {
    path: 'config.yaml',
    env: { ...env, NODE_NAME: 'node-1' },
    hostname: 'pod-1',
    cgroup: { memory: { value: 192 * 2 ** 20, file: 'memory.max' }, cpu: null },
    checkFile: (file) => (mountOf(file)?.readOnly === true ? null : 'it is not mounted'),
  })
  if ('errors' in loaded) throw new Error(loaded.errors.map(formatConfigError).join('\n'))
  const { config } = loaded
  const [source] = config.sources
  if (source?.type !== 'auditWebhook') throw new Error('no webhook')
  t.equal(config.kubernetes.metadata, 'off')
  t.equal(pod.automountServiceAccountToken, false, 'it asks the API server nothing')
  const { port } = parseListen(source.listen)!
  t.strictSame(container.ports, [
    { name: 'http', containerPort: parseListen(config.server!.listen)!.port },
    { name: 'audit', containerPort: port },
  ])
  t.equal(container.readinessProbe.tcpSocket.port, 'audit')
  const state = mountOf(config.stateDir)
  t.not(state?.readOnly, true)
  const volume = pod.volumes.find(({ name }: { name: string }) => name === state?.name)
  t.strictSame(
    volume.persistentVolumeClaim,
    { claimName: only('PersistentVolumeClaim').metadata.name },
    'it outlives the pod',
  )
  t.match(only('Deployment').spec, { replicas: 1, strategy: { type: 'Recreate' } }, 'never two on one claim')
  const storage = Number(only('PersistentVolumeClaim').spec.resources.requests.storage.replace('Gi', '')) * 2 ** 30
  t.ok(source.spoolBytesMax <= storage / 2, 'half of the file system is all that it uses')
  t.ok(pod.terminationGracePeriodSeconds * 1000 > STOP_MS_MAX)
  t.equal(container.image, `taffrail:${VERSION}`)
  t.match(pod.securityContext, { runAsNonRoot: true, fsGroup: 65_532 })
  t.match(container.securityContext, { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true })
})

t.test('the Service and the policy lead to it', async (t) => {
  const { labels } = only('Deployment').spec.template.metadata
  const { selector, ports } = only('Service').spec
  t.match(labels, selector)
  t.match(only('Deployment').spec.selector.matchLabels, selector)
  t.equal(ports[0].targetPort, 'audit')
  const { podSelector, ingress } = only('NetworkPolicy').spec
  t.match(labels, podSelector.matchLabels)
  t.strictSame(ingress, [{ ports: [{ protocol: 'TCP', port: 9443 }] }])
})

t.test("the API server's files", async (t) => {
  const loaded = loadPolicyFile(`${API_SERVER}/audit-policy.yaml`)
  if ('errors' in loaded) throw new Error(loaded.errors.map(formatConfigError).join('\n'))
  t.strictSame(loaded.warnings, [])
  t.strictSame(deadRules(loaded.policy), [])
  const {
    clusters,
    users,
    contexts,
    'current-context': current,
  } = parse(readFileSync(`${API_SERVER}/webhook.kubeconfig`, 'utf8'))
  const { cluster, user } = contexts.find(({ name }: { name: string }) => name === current).context
  const { server, 'tls-server-name': serverName } = clusters.find(
    ({ name }: { name: string }) => name === cluster,
  ).cluster
  const url = new URL(server)
  t.equal(url.protocol, 'https:')
  t.equal(nameInPath(url.pathname), '')
  t.equal(serverName, `${NAME}.taffrail.svc`)
  t.match(users.find(({ name }: { name: string }) => name === user).user, {
    'client-certificate': /./,
    'client-key': /./,
  })
})
