// The manifests as they are applied: what kustomize makes of them is held against the API server's schemas, and against what
// the agent is: its configuration loader, its image, its state, its end. TAFFRAIL_TEST_KUBECONFIG, the kubeconfig of an
// administrator, has kubectl and a real API server asked, too.
import t from 'tap'
import { STOP_MS_MAX } from '../../src/commands/run.ts'
import type { Config, FileSourceConfig } from '../../src/config/config.ts'
import { formatConfigError } from '../../src/config/config-error.ts'
import { parseListen } from '../../src/config/formats.ts'
import { loadConfig } from '../../src/config/load.ts'
import { pathMetadata } from '../../src/core/metadata.ts'
import { Selection } from '../../src/select/selection.ts'
import { VERSION } from '../../src/version.ts'
import { clusterConformance } from './cluster.conformance.ts'
import { build, type KubeObject, OVERLAYS, ownOverlay, ROOT } from './kustomize.ts'
import { problemsOf } from './openapi.ts'

const NAMES = ['base', 'node', 'control-plane', 'control-plane/audit', 'sidecar', ...OVERLAYS]

const MEBIBYTE = 1024 * 1024

/** The one container of a DaemonSet that runs the agent, with what is around it. */
function agents(objects: KubeObject[]): { name: string; pod: KubeObject['spec']; agent: KubeObject['spec'] }[] {
  return objects
    .filter(({ kind }) => kind === 'DaemonSet')
    .map(({ metadata, spec }) => {
      const pod = spec.template.spec
      return { name: metadata.name, pod, agent: pod.containers[0] }
    })
}

function named(objects: KubeObject[], kind: string, name: string): KubeObject | undefined {
  return objects.find((object) => object.kind === kind && object.metadata.name === name)
}

interface Mount {
  path: string
  isReadOnly: boolean
  volume: KubeObject['spec']
}

function mountsOf({ pod, agent }: { pod: KubeObject['spec']; agent: KubeObject['spec'] }): Mount[] {
  return agent.volumeMounts.map(
    ({ name, mountPath, readOnly }: { name: string; mountPath: string; readOnly?: true }) => {
      const volume = pod.volumes.find((each: { name: string }) => each.name === name)
      return { path: mountPath, isReadOnly: readOnly === true, volume }
    },
  )
}

/** The mount in which a path lies. */
function mountOf(mounts: Mount[], path: string): Mount | undefined {
  return mounts.find((mount) => path === mount.path || path.startsWith(`${mount.path}/`))
}

/** The environment that a container gets, of what the overlay holds and the node gives. */
function environmentOf(objects: KubeObject[], agent: KubeObject['spec']): NodeJS.ProcessEnv {
  const fromMaps = agent.envFrom.map(
    ({ configMapRef: { name } }: { configMapRef: { name: string } }) => named(objects, 'ConfigMap', name)?.data,
  )
  const fromNode = agent.env.map(
    ({ name, valueFrom }: { name: string; valueFrom: { fieldRef: { fieldPath: string } } }) => {
      const values: Record<string, string> = { 'spec.nodeName': 'node-1', 'metadata.namespace': 'taffrail' }
      return [name, values[valueFrom.fieldRef.fieldPath]]
    },
  )
  return Object.assign({}, ...fromMaps, Object.fromEntries(fromNode))
}

/** The configuration of an agent, loaded as in its container: with that environment, and only files that are mounted. */
function configOf(objects: KubeObject[], each: ReturnType<typeof agents>[number]): Config {
  const [command, flag, path] = each.agent.args as string[]
  if (command !== 'run' || flag !== '--config' || path === undefined)
    throw new Error(`other arguments: ${each.agent.args}`)
  const mounts = mountsOf(each)
  const map = mountOf(mounts, path)?.volume.configMap.name as string
  const text = named(objects, 'ConfigMap', map)?.data[path.slice(path.lastIndexOf('/') + 1)]
  const result = loadConfig(text, {
    path: `${each.name}:${path}`,
    env: environmentOf(objects, each.agent),
    hostname: 'pod-1',
    cgroup: { memory: null, cpu: null },
    checkFile: (file) => (mountOf(mounts, file)?.isReadOnly === true ? null : 'it is not mounted'),
  })
  if ('errors' in result) throw new Error(result.errors.map(formatConfigError).join('\n'))
  return result.config
}

t.test('each object is what the API server takes', async (t) => {
  for (const name of NAMES) {
    const objects = build(`${ROOT}/${name}`)
    t.ok(objects.length > 0, name)
    for (const object of objects)
      t.strictSame(problemsOf(object), [], `${name}: ${object.kind} ${object.metadata.name}`)
  }
  const objects = build(ownOverlay(t, 'overlays/loki', 'non-root', 'pod-monitor'))
  t.ok(named(objects, 'PodMonitor', 'taffrail'))
  for (const object of objects)
    t.strictSame(problemsOf(object), [], `components: ${object.kind} ${object.metadata.name}`)
})

t.test('a schema that is not kept to is told', async (t) => {
  const [daemonSet] = build(`${ROOT}/node`) as [KubeObject]
  const broken = (change: (spec: KubeObject['spec']) => void) => {
    const object = structuredClone(daemonSet)
    change(object.spec)
    return problemsOf(object)
  }
  const container = 'DaemonSet/taffrail.spec.template.spec.containers[0]'
  t.strictSame(
    broken((spec) => (spec.template.spec.containers[0].readonly = true)),
    [`${container}.readonly: unknown field`],
  )
  t.strictSame(
    broken((spec) => delete spec.template.spec.containers[0].name),
    [`${container}.name: missing`],
  )
  t.strictSame(
    broken((spec) => (spec.template.spec.containers[0].args = 'run')),
    [`${container}.args: array wanted, got "run"`],
  )
  const memory = (spec: KubeObject['spec']) => (spec.template.spec.containers[0].resources.limits.memory = '96MB')
  t.strictSame(broken(memory), [`${container}.resources.limits.memory: no quantity: 96MB`])
  t.strictSame(problemsOf({ ...daemonSet, kind: 'Daemon' }), ['there is no schema of apps/v1 Daemon'])
})

for (const overlay of OVERLAYS) {
  t.test(`${overlay}: the agents run on what they are given`, async (t) => {
    const objects = build(`${ROOT}/${overlay}`)
    t.strictSame(
      agents(objects).map(({ name }) => name),
      ['taffrail', 'taffrail-control-plane'],
    )
    for (const each of agents(objects)) {
      const config = configOf(objects, each)
      const mounts = mountsOf(each)
      t.equal(config.nodeName, 'node-1')
      const state = mountOf(mounts, config.stateDir)
      t.match(
        state,
        { isReadOnly: false, volume: { hostPath: { path: /^\/var\/lib\/taffrail$/ } } },
        'state outlives the pod',
      )
      t.strictSame(
        mounts.filter((mount) => !mount.isReadOnly),
        [state],
        'nothing else is written to',
      )
      const hasAudit = each.name === 'taffrail-control-plane'
      for (const { type, ...source } of config.sources) {
        for (const path of 'paths' in source ? source.paths : []) {
          const mount = mountOf(mounts, path)
          if (type === 'audit' && !hasAudit) t.equal(mount, undefined, 'which is as if there were no such file')
          else
            t.match(mount, { isReadOnly: true, volume: { hostPath: { path: mount?.path, type: /^Directory/ } } }, path)
        }
      }
      t.ok(mountOf(mounts, '/var/log/pods')?.isReadOnly, 'where the links of containers lead')
      t.ok(named(objects, 'ServiceAccount', each.pod.serviceAccountName))
      const { port } = parseListen(config.server?.listen ?? '') ?? {}
      t.strictSame(each.agent.ports, [{ name: 'http', containerPort: port }])
    }
    t.notOk(
      objects.some(({ kind }) => kind === 'Secret'),
      'secrets are made by whoever has them',
    )
    t.notMatch(JSON.stringify(objects), /"\/tmp/)
  })

  t.test(`${overlay}: the agent's own log goes nowhere, with or without an API server`, async (t) => {
    const objects = build(`${ROOT}/${overlay}`)
    for (const each of agents(objects)) {
      const config = configOf(objects, each)
      const [source] = config.sources.filter(({ type }) => type === 'containers') as [FileSourceConfig]
      const selected = (namespace: string, container: string) => {
        const info = {
          source: source.name,
          sourceType: source.type,
          key: '',
          path: '',
          podUid: 'u',
          namespace,
          pod: 'p',
          container,
        }
        return Selection.of([source.select], source.redact ?? [], pathMetadata(info, 'node-1', 'path'))
      }
      const own = selected('taffrail', each.agent.name)
      const entry = { marks: 0 } as Parameters<Selection['ruleFor']>[0]
      t.equal(own?.ruleFor(entry), 'own-log')
      t.equal(selected('shop', each.agent.name), null, 'a sidecar of the same name is another container')
      t.equal(selected('taffrail', 'loki'), null)
    }
  })
}

t.test('each node has one agent, and control-plane nodes the one with the audit log', async (t) => {
  const control = { 'kubernetes.io/os': 'linux', 'node-role.kubernetes.io/control-plane': '' }
  const worker = { 'kubernetes.io/os': 'linux' }
  const on = (name: string, labels: object) =>
    agents(build(`${ROOT}/${name}`))
      .filter(({ pod }) => isFor(pod, labels))
      .map((each) => each.name)
  t.strictSame(on('node', worker), ['taffrail'])
  t.strictSame(on('node', control), ['taffrail'])
  for (const name of ['control-plane', ...OVERLAYS]) {
    t.strictSame(on(name, worker), ['taffrail'], name)
    t.strictSame(on(name, control), ['taffrail-control-plane'], name)
    t.strictSame(on(name, { 'kubernetes.io/os': 'windows' }), [], name)
  }
})

/** Whether a pod may be placed on a node with these labels, as far as selector and affinity say. */
function isFor({ nodeSelector = {}, affinity }: KubeObject['spec'], labels: Record<string, string> | object): boolean {
  const isLike = ([name, value]: [string, unknown]) => (labels as Record<string, string>)[name] === value
  const required = affinity?.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms ?? []
  const expressions = required.flatMap(
    (term: { matchExpressions: { key: string; operator: string }[] }) => term.matchExpressions,
  )
  return (
    Object.entries(nodeSelector).every(isLike) &&
    expressions.every(({ key, operator }: { key: string; operator: string }) => {
      if (operator !== 'DoesNotExist') throw new Error(`the test knows no ${operator}`)
      return !Object.hasOwn(labels, key)
    })
  )
}

t.test('rights: nothing but what reading needs', async (t) => {
  const kinds = { root: [], 'non-root': ['non-root'], 'another-user': ['audit-of-another-user'] }
  for (const [user, components] of Object.entries(kinds)) {
    for (const { name, pod, agent } of agents(build(ownOverlay(t, 'overlays/loki', ...components)))) {
      const hasMore = user === 'another-user' && name === 'taffrail-control-plane'
      t.match(agent.securityContext, {
        runAsUser: user === 'non-root' ? 65532 : 0,
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
      })
      const capabilities = hasMore ? { drop: ['ALL'], add: ['DAC_READ_SEARCH'] } : { drop: ['ALL'] }
      t.strictSame(agent.securityContext.capabilities, capabilities, `${user}: ${name}`)
      t.strictSame(pod.securityContext.seccompProfile, { type: 'RuntimeDefault' })
      for (const key of ['hostNetwork', 'hostPID', 'hostIPC']) t.notOk(pod[key], key)
      t.equal(pod.initContainers?.length ?? 0, user === 'non-root' ? 1 : 0)
      for (const each of pod.initContainers ?? []) {
        t.match(each.securityContext, { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true })
        t.equal(each.image, agent.image)
      }
    }
  }
  const [role, ...others] = build(`${ROOT}/base`).filter(({ kind }) => /Role$/.test(kind))
  t.strictSame(role?.rules, [{ apiGroups: [''], resources: ['pods', 'namespaces'], verbs: ['list', 'watch'] }])
  t.strictSame(others, [])
})

t.test('a node in need keeps its agent, and an agent that is told to end its time', async (t) => {
  for (const { name, pod, agent } of agents(build(`${ROOT}/control-plane`))) {
    t.equal(pod.priorityClassName, 'system-node-critical')
    t.strictSame(pod.tolerations, [{ operator: 'Exists' }])
    t.ok(1000 * pod.terminationGracePeriodSeconds > STOP_MS_MAX)
    t.equal(agent.livenessProbe.httpGet.path, '/', 'not /healthz: a restart brings no store back')
    t.equal(agent.readinessProbe.httpGet.path, '/ready')
    const mebibytes = Number.parseInt(agent.resources.limits.memory, 10)
    t.equal(agent.resources.limits.memory, `${mebibytes}Mi`)
    if (name === 'taffrail-control-plane') t.equal(mebibytes, 128)
    t.ok(mebibytes * MEBIBYTE >= 96 * MEBIBYTE)
    t.equal(agent.image, `taffrail:${VERSION}`)
  }
  for (const { spec } of build(`${ROOT}/control-plane`)) {
    t.match(spec.updateStrategy.rollingUpdate, { maxSurge: 0 }, 'two agents would want one state')
    t.match(spec.template.metadata.labels, spec.selector.matchLabels)
  }
})

t.test('sidecar: one stream a container, of one file of the shared directory', async (t) => {
  const [pod] = build(`${ROOT}/sidecar`) as [KubeObject]
  const streams = pod.spec.initContainers
  t.strictSame(
    streams.map(({ args }: { args: string[] }) => args),
    [
      ['stream', '--state-dir', '/state', '/logs/access.log'],
      ['stream', '--state-dir', '/state', '/logs/error.log'],
    ],
  )
  t.match(pod.spec.volumes, [
    { name: 'logs', emptyDir: {} },
    { name: 'state', emptyDir: {} },
  ])
  t.equal(pod.spec.automountServiceAccountToken, false)
  t.equal(pod.spec.securityContext.runAsNonRoot, true)
  for (const each of [...streams, ...pod.spec.containers]) {
    t.match(each.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    t.match(each.volumeMounts[0], { name: 'logs', mountPath: '/logs' })
  }
  for (const each of streams) {
    t.equal(each.restartPolicy, 'Always')
    t.equal(each.image, `taffrail:${VERSION}`)
    t.strictSame(each.volumeMounts, [
      { name: 'logs', mountPath: '/logs', readOnly: true },
      { name: 'state', mountPath: '/state', subPath: each.name }, // two streams cannot share one state
    ])
  }
})

const kubeconfig = process.env.TAFFRAIL_TEST_KUBECONFIG
if (kubeconfig !== undefined) clusterConformance(t, kubeconfig)
