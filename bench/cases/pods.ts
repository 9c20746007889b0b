// Case `pods`: 500 containers of 500 pods, once without asking the API server and once with watches of pods and
// namespaces, while the pods' statuses change all the time as on a busy node. What metadata costs is the difference.

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
  const { name } = contender
  const memory = Math.max(on.rssAnonPeak - off.rssAnonPeak, on.rssAnon - off.rssAnon) / 2 ** 20
  const row = (what: string, { rssAnonPeak, rssAnon, coreShare, exact, stopped }: Run) => [
    what,
    mib(rssAnonPeak),
    mib(rssAnon),
    percent(coreShare, 3),
    exact,
    stopped ? 'yes' : 'NO',
  ]
  return {
    findings: [
      judged(
        `${name}: ${PODS} pods: memory more than without metadata`,
        `<= ${TARGET_MEMORY_MIB} MiB`,
        `${memory.toFixed(1)} MiB`,
        memory <= TARGET_MEMORY_MIB,
      ),
    ],
    raw: [
      {
        title: `pods, ${name}`,
        notes: [
          `${CHANGES_PER_SECOND} changes of a pod's status per second; ${api.seen.length} requests, ${mib(api.bytes)} MiB from the API server.`,
        ],
        head: ['Metadata', 'RssAnon peak MiB', 'at the end', 'Share of a core', 'Entries', 'Went by itself'],
        rows: [row('off', off), row('watched', on)],
      },
    ],
  }
}

async function run(settings: Settings, contender: Contender, api: FakeApiServer | null): Promise<Run> {
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
    ...(kubeconfig !== null && { labelsFrom: LABELS_FROM }),
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
  const stopped = await agent.stop(STOP_GRACE_MS)
  await receiver.stop()
  served?.close()
  removeDirectory(directory)
  const found = differences(corpus.tally, received.tally)
  const exact = found.length === 0 ? `${received.entries} exact` : `${received.entries}, ${found[0]}`
  return { rssAnonPeak: agent.rssAnonPeak, rssAnon, coreShare, exact, stopped }
}

/** An API server with the pods of the tree, of the usual size; `change` changes the status of one after the other. */
async function serve(api: FakeApiServer, tree: Tree) {
  const things = tree.files.map(({ path, pod, container }): KubeThing => {
    const [namespace = '', , uid = ''] = basename(dirname(dirname(path))).split('_')
    const owner = pod.slice(0, pod.lastIndexOf('-'))
    return {
      kind: 'Pod',
      apiVersion: 'v1',
      metadata: {
        name: pod,
        namespace,
        uid,
        resourceVersion: '',
        labels: { app: container, 'app.kubernetes.io/name': container, tier: 'backend', version: 'v1' },
        annotations: { 'kubectl.kubernetes.io/last-applied-configuration': 'x'.repeat(1500) },
        ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, controller: true }],
      },
      spec: { nodeName: 'node-1', containers: [{ name: container, image: 'registry/app:1', env: 'x'.repeat(4000) }] },
      status: { conditions: 'x'.repeat(1500) },
    }
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
