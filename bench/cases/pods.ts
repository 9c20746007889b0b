// Case `pods`: 500 containers of 500 pods, without asking the API server, with watches of pods and namespaces, and with watches
// of whole pods (container IDs and images), while the pods' statuses change all the time as on a busy node. What metadata costs
// is the difference. Pods are of the usual size, 12 KB, and made as they come: managed fields, environment and conditions
// are objects in objects, which cost more to parse than their bytes.

import { writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { FakeApiServer, type KubeThing } from '../../test/support/fake-api-server.ts'
import { agentCommand, type Contender } from '../agent.ts'
import { makeDirectory, removeDirectory } from '../cleanup.ts'
import { nowMicros } from '../clock.ts'
import { fillTree, makeTree, type Tree } from '../corpus.ts'
import { Measured } from '../measure.ts'
import { Receiver } from '../receiver.ts'
import { type CaseResult, judged, mib, percent } from '../report.ts'
import type { Settings } from '../settings.ts'
import { differences, totalEntries } from '../tally.ts'

const PODS = 500
/** So that namespaces are watched, too. */
const LABELS_FROM = { team: 'namespace.labels.team', version: 'pod.labels.version' }
const FILE_BYTES = 4096
const ROW_BYTES = 230
const CHANGES_PER_SECOND = 20
const READ_TIMEOUT_MS = 120_000
const STOP_GRACE_MS = 20_000
const TARGET_MEMORY_MIB = 10

interface Run {
  rssAnonPeak: number
  /** At the end of the window. */
  rssAnon: number
  coreShare: number
  exact: string
  stopped: boolean
}

export async function pods(settings: Settings, contender: Contender): Promise<CaseResult> {
  const off = await run(settings, contender, null)
  const api = new FakeApiServer()
  const on = await run(settings, contender, api)
  const wholeApi = new FakeApiServer()
  const whole = await run(settings, contender, wholeApi, ['pod_uid', 'container_id', 'image'])
  const { name } = contender
  const more = ({ rssAnonPeak, rssAnon }: Run) =>
    Math.max(rssAnonPeak - off.rssAnonPeak, rssAnon - off.rssAnon) / 2 ** 20
  const finding = (what: string, measured: Run) =>
    judged(
      `${name}: ${PODS} pods${what}: memory more than without metadata`,
      `<= ${TARGET_MEMORY_MIB} MiB`,
      `${more(measured).toFixed(1)} MiB`,
      more(measured) <= TARGET_MEMORY_MIB,
    )
  const row = (what: string, { rssAnonPeak, rssAnon, coreShare, exact, stopped }: Run) => [
    what,
    mib(rssAnonPeak),
    mib(rssAnon),
    percent(coreShare, 3),
    exact,
    stopped ? 'yes' : 'NO',
  ]
  return {
    findings: [finding('', on), finding(' as a whole', whole)],
    raw: [
      {
        title: `pods, ${name}`,
        notes: [
          `${CHANGES_PER_SECOND} changes of a pod's status per second; ${api.seen.length} requests, ${mib(api.bytes)} MiB from the API server; of whole pods ${mib(wholeApi.bytes)} MiB.`,
        ],
        head: ['Metadata', 'RssAnon peak MiB', 'at the end', 'Share of a core', 'Entries', 'Went by itself'],
        rows: [row('off', off), row('watched', on), row('watched as a whole', whole)],
      },
    ],
  }
}

async function run(
  settings: Settings,
  contender: Contender,
  api: FakeApiServer | null,
  structuredMetadata = ['pod_uid'],
): Promise<Run> {
  const directory = makeDirectory(settings.parentDirectory)
  const tree = makeTree(join(directory, 'node'), PODS, settings.seed)
  const corpus = fillTree(tree, PODS * FILE_BYTES, ROW_BYTES, settings.seed)
  const receiver = await Receiver.start(settings.cores.others, true)
  const served = api === null ? null : await serve(api, tree)
  const kubeconfig = served === null ? null : writeKubeconfig(directory, served.origin)
  const sink = {
    name: 'loki',
    type: 'loki',
    url: receiver.url,
    ...(kubeconfig !== null && { labelsFrom: LABELS_FROM, structuredMetadata }),
  }
  const options = { directory, links: tree.links, url: receiver.url, once: false, sink, kubeconfig }
  const agent = new Measured(agentCommand(contender, options), settings.cores.measured, join(directory, 'output'))
  const arrived = await receiver.arrived(totalEntries(corpus.tally), READ_TIMEOUT_MS)
  if (!arrived && agent.exitCode !== null) throw new Error(`${agent.describe()} ended\n${agent.outputTail()}`)
  await new Promise((resolve) => setTimeout(resolve, settings.idleWarmUpSeconds * 1000))
  const cpuBefore = agent.cpuSeconds()
  const before = nowMicros()
  for (let second = 0; second < settings.idleSeconds; second++) {
    if (api !== null) for (let i = 0; i < CHANGES_PER_SECOND; i++) served?.change()
    await new Promise((resolve) => setTimeout(resolve, 1000))
  }
  const coreShare = ((agent.cpuSeconds() - cpuBefore) * 1e6) / (nowMicros() - before)
  const { rssAnon } = agent
  const received = await receiver.report()
  if (agent.outputTail().includes('metadata.missing')) throw new Error(`pods were not known:\n${agent.outputTail()}`)
  const stopped = await agent.stop(STOP_GRACE_MS)
  await receiver.stop()
  served?.close()
  removeDirectory(directory)
  const found = differences(corpus.tally, received.tally)
  const exact = found.length === 0 ? `${received.entries} exact` : `${received.entries}, ${found[0]}`
  return { rssAnonPeak: agent.rssAnonPeak, rssAnon, coreShare, exact, stopped }
}

/** What server-side apply notes for a manager of a pod with so many fields. */
function managedFields(manager: string, container: string, count: number): object {
  const fields = Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`f:field${i}`, { '.': {}, 'f:value': {} }]),
  )
  const fieldsV1 = {
    'f:metadata': { 'f:labels': { '.': {}, ...fields }, 'f:ownerReferences': { [`k:{"uid":"${container}"}`]: {} } },
    'f:spec': { 'f:containers': { [`k:{"name":"${container}"}`]: fields } },
  }
  return {
    manager,
    operation: 'Update',
    apiVersion: 'v1',
    time: '2026-11-21T08:00:00Z',
    fieldsType: 'FieldsV1',
    fieldsV1,
  }
}

function podOf(pod: string, container: string, namespace: string, uid: string): KubeThing {
  const owner = pod.slice(0, pod.lastIndexOf('-'))
  const entries = (count: number, prefix: string) =>
    Array.from({ length: count }, (_, i) => ({ name: `${prefix}_${i}`, value: 'some value of the usual length' }))
  const own = Object.fromEntries(entries(6, 'example.com/label').map(({ name }) => [name, 'value']))
  const status = { name: container, image: 'registry/app:1', containerID: `containerd://${'0'.repeat(52)}${pod}` }
  const conditions = entries(5, 'Condition').map(({ name }) => ({ type: name, status: 'True', lastProbeTime: null }))
  return {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: {
      name: pod,
      namespace,
      uid,
      resourceVersion: '',
      labels: { app: container, 'app.kubernetes.io/name': container, tier: 'backend', version: 'v1', ...own },
      annotations: {
        'kubectl.kubernetes.io/last-applied-configuration': 'x'.repeat(1500),
        'checksum/config': 'x'.repeat(64),
      },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, controller: true }],
      managedFields: [managedFields('kube-controller-manager', container, 25), managedFields('kubelet', container, 10)],
    } as KubeThing['metadata'],
    spec: {
      nodeName: 'node-1',
      containers: [{ name: container, image: 'registry/app:1', env: entries(40, 'VARIABLE') }],
    },
    status: {
      phase: 'Running',
      conditions,
      containerStatuses: [{ ...status, restartCount: 0, state: { running: {} } }],
    },
  }
}

/** An API server with the pods of the tree, of the usual size; `change` changes the status of one after the other. */
async function serve(api: FakeApiServer, tree: Tree) {
  const things = tree.files.map(({ path, pod, container }) => {
    const [namespace = '', , uid = ''] = basename(dirname(dirname(path))).split('_')
    return podOf(pod, container, namespace, uid)
  })
  for (const thing of things) api.put(thing)
  for (const name of ['shop', 'platform', 'kube-system', 'payments']) {
    api.put({ kind: 'Namespace', metadata: { name, uid: name, resourceVersion: '', labels: { team: name } } })
  }
  const { origin, close } = await api.listen()
  let next = 0
  const change = () => {
    const thing = things[next++ % things.length] as KubeThing
    api.put({ ...thing, status: { ...thing.status, changed: next } })
  }
  return { origin, close, change }
}

function writeKubeconfig(directory: string, origin: string): string {
  const path = join(directory, 'kubeconfig')
  writeFileSync(
    path,
    `current-context: bench
contexts: [{name: bench, context: {cluster: bench, user: bench}}]
clusters: [{name: bench, cluster: {server: "${origin}"}}]
users: [{name: bench, user: {token: none}}]
`,
  )
  return path
}
