// An audit log of a given size, of the shape of an API server's under a usual policy: events of about 1.4 kB, most of them
// metadata, writes with a body, from a few clients. All of it is drawn from one seed but for the times. The values that
// differ from event to event (ids, names, times, versions) are drawn anew for each.
import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { Random } from './random.ts'

export interface AuditCorpus {
  /** With nothing in it but the log. */
  directory: string
  path: string
  policyPath: string
  bytes: number
  events: number
}

const BLOCK_BYTES = 2 ** 20
const NAMESPACES = ['shop', 'payments', 'kube-system', 'platform', 'batch']
const CLIENTS = [
  ['system:node:node-1', ['system:nodes', 'system:authenticated'], 'kubelet/v1.36.3 (linux/amd64) kubernetes/66674f5'],
  [
    'system:kube-controller-manager',
    ['system:authenticated'],
    'kube-controller-manager/v1.36.3 (linux/amd64) kubernetes/66674f5/system:serviceaccount:kube-system:replicaset-controller',
  ],
  [
    'system:kube-scheduler',
    ['system:authenticated'],
    'kube-scheduler/v1.36.3 (linux/amd64) kubernetes/66674f5/scheduler',
  ],
  [
    'system:serviceaccount:shop:deployer',
    ['system:serviceaccounts', 'system:serviceaccounts:shop', 'system:authenticated'],
    'argocd-application-controller/v3.1.0 (linux/amd64) kubernetes/$Format',
  ],
  ['alice', ['devs', 'system:authenticated'], 'kubectl/v1.36.3 (linux/amd64) kubernetes/66674f5'],
] as const
/** Verb, resource, group, whether it has a body, how often. */
const REQUESTS = [
  ['get', 'pods', '', false, 5],
  ['list', 'pods', '', false, 3],
  ['watch', 'configmaps', '', false, 2],
  ['get', 'leases', 'coordination.k8s.io', false, 4],
  ['update', 'leases', 'coordination.k8s.io', false, 4],
  ['create', 'events', '', false, 2],
  ['get', 'secrets', '', false, 1],
  ['patch', 'pods', '', true, 2],
  ['create', 'pods', '', true, 1],
  ['update', 'deployments', 'apps', true, 1],
  ['delete', 'pods', '', false, 1],
] as const

/** Under this all is kept, bodies only of what is written. */
const POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, users: ["system:kube-proxy"], verbs: [watch]}
- {level: None, nonResourceURLs: ["/healthz*", "/version"]}
- {level: Metadata, resources: [{group: "", resources: [secrets, configmaps]}]}
- {level: Request, verbs: [create, update, patch, delete]}
- {level: Metadata}
`

/** Writes log/audit.log and policy.yaml below `root`. */
export function fillAudit(root: string, bytes: number, seed: number): AuditCorpus {
  const directory = join(root, 'log')
  mkdirSync(directory, { recursive: true })
  const random = new Random(seed)
  const path = join(directory, 'audit.log')
  const policyPath = join(root, 'policy.yaml')
  const fd = openSync(path, 'w')
  const corpus: AuditCorpus = { directory, path, policyPath, bytes: 0, events: 0 }
  let micros = (Date.now() - 20 * 60_000) * 1000
  while (corpus.bytes < bytes) {
    let block = ''
    while (block.length < BLOCK_BYTES) {
      micros += 500 + random.below(4000)
      block += `${JSON.stringify(drawEvent(random, micros))}\n`
      corpus.events++
    }
    corpus.bytes += writeSync(fd, block)
  }
  fsyncSync(fd)
  closeSync(fd)
  const policy = openSync(policyPath, 'w')
  writeSync(policy, POLICY)
  closeSync(policy)
  return corpus
}

function drawEvent(random: Random, micros: number): Record<string, unknown> {
  const [verb, resource, apiGroup, hasBody] = drawRequest(random)
  const [username, groups, userAgent] = random.pick(CLIENTS)
  const namespace = random.pick(NAMESPACES)
  const name = `${random.pick(['web', 'api', 'worker', 'checkout', 'ingest'])}-${random.hex(9)}-${random.hex(5)}`
  const base = apiGroup === '' ? '/api/v1' : `/apis/${apiGroup}/v1`
  const isCollection = verb === 'list' || verb === 'watch' || verb === 'create'
  const query =
    verb === 'watch'
      ? `?allowWatchBookmarks=true&resourceVersion=${random.below(1e8)}&timeoutSeconds=${random.below(600)}&watch=true`
      : ''
  const id = [8, 4, 4, 4, 12].map((digits) => random.hex(digits)).join('-')
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: hasBody ? 'Request' : 'Metadata',
    auditID: id,
    stage: verb === 'watch' && random.below(2) === 0 ? 'ResponseStarted' : 'ResponseComplete',
    requestURI: `${base}/namespaces/${namespace}/${resource}${isCollection ? query : `/${name}`}`,
    verb,
    user: {
      username,
      uid: `u-${username.length}`,
      groups,
      extra: {
        'authentication.kubernetes.io/credential-id': [`JTI=${username.length}2b8f9e0-d9b3-4ddb-a9d3-b28adc6a40ee`],
      },
    },
    sourceIPs: ['10.0.0.12'],
    userAgent,
    objectRef: {
      resource,
      namespace,
      ...(!isCollection && { name }),
      ...(apiGroup !== '' && { apiGroup }),
      apiVersion: 'v1',
      resourceVersion: String(random.below(1e8)),
    },
    responseStatus: { metadata: {}, code: verb === 'create' ? 201 : 200 },
    ...(hasBody && { requestObject: drawBody(random, name, namespace) }),
    requestReceivedTimestamp: timeText(micros - random.below(20_000)),
    stageTimestamp: timeText(micros),
    annotations: {
      'authorization.k8s.io/decision': 'allow',
      'authorization.k8s.io/reason': `RBAC: allowed by ClusterRoleBinding "${username}" of ClusterRole "${username}" to User "${username}"`,
    },
  }
}

function drawRequest(random: Random): (typeof REQUESTS)[number] {
  let at = random.below(REQUESTS.reduce((sum, request) => sum + request[4], 0))
  for (const request of REQUESTS) {
    at -= request[4]
    if (at < 0) return request
  }
  return REQUESTS[0]
}

function drawBody(random: Random, name: string, namespace: string): Record<string, unknown> {
  const labels = { app: name.split('-')[0], 'pod-template-hash': random.hex(9), team: 'payments' }
  const env = [
    { name: 'LOG_LEVEL', value: 'info' },
    { name: 'DB_HOST', value: `db.${namespace}.svc` },
    { name: 'DB_PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } },
  ]
  const container = {
    name: 'app',
    image: `registry.example.com/shop/app:1.${random.below(400)}.0`,
    ports: [{ containerPort: 8080 }],
    env,
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
    imagePullPolicy: 'IfNotPresent',
  }
  const conditions = ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => ({
    type,
    status: 'True',
    lastTransitionTime: '2026-11-21T07:51:17Z',
  }))
  return {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: {
      name,
      namespace,
      uid: random.hex(32),
      resourceVersion: String(random.below(1e8)),
      labels,
      annotations: { 'kubernetes.io/psp': 'restricted' },
    },
    spec: {
      containers: [container],
      restartPolicy: 'Always',
      serviceAccountName: 'default',
      nodeName: 'node-1',
      tolerations: [
        { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
      ],
    },
    status: { phase: 'Running', conditions, hostIP: '10.0.0.12', podIP: `10.244.1.${random.below(250)}` },
  }
}

function timeText(micros: number): string {
  const ms = Math.floor(micros / 1000)
  return `${new Date(ms).toISOString().slice(0, 23)}${String(micros % 1000).padStart(3, '0')}Z`
}
