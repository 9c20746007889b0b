// Who wrote a lineage's lines: what the file's path tells, refined by what the API server knows. A Metadata never changes; what
// becomes known later makes another one, which takes effect for later lines. Sinks encode it once.
import type { LineageInfo } from './lineage-info.ts'

export interface Metadata {
  /** `path`: the API server was asked and did not know the pod in time; else empty. Sinks mark such records `metadata="path"`. */
  readonly mark: '' | 'path'
  /** All strings are empty where nothing is known: for files that are not a container's, all but `node` and `container` of them. */
  readonly namespace: string
  readonly pod: string
  readonly podUid: string
  readonly container: string
  readonly node: string
  /** What the workload is called, by the usual precedence of labels, else after its owner. */
  readonly app: string
  /** The controller that people know: Deployment, not ReplicaSet; CronJob, not Job. */
  readonly ownerKind: string
  readonly ownerName: string
  readonly image: string
  /** Without the runtime's prefix (`containerd://`). */
  readonly containerId: string
  /** -1 where it is not known. */
  readonly restartCount: number
  /** Of the pod, as far as the configuration lets them in. */
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  /** Of its namespace, as far as the configuration lets them in. */
  readonly namespaceLabels: Readonly<Record<string, string>>
  /** The pod's annotations that direct the agent itself; sinks do not send them. */
  readonly directives?: Readonly<Record<string, string>>
  /** The tenant that the pod names and may name; absent: the sink's own. Part of the decision, so a repeat goes there too. */
  readonly tenant?: string
}

const NONE: Readonly<Record<string, string>> = Object.freeze({})

/** What the path alone tells. `mark` as in Metadata. */
export function pathMetadata(info: LineageInfo, nodeName: string, mark: Metadata['mark'] = ''): Metadata {
  const { namespace, pod, podUid, container } = info
  return {
    mark,
    namespace,
    pod,
    podUid,
    container,
    node: nodeName,
    app: pod === '' ? '' : appOfPod(pod, nodeName),
    ownerKind: '',
    ownerName: '',
    image: '',
    containerId: '',
    restartCount: -1,
    labels: NONE,
    annotations: NONE,
    namespaceLabels: NONE,
  }
}

/** Whether records go out alike with both. Objects are compared by their content, however they were made. */
export function isSameMetadata(a: Metadata, b: Metadata): boolean {
  if (a === b) return true
  const names = Object.keys({ ...a, ...b }) as (keyof Metadata)[]
  return names.every((name) => a[name] === b[name] || isSameMap(a[name], b[name]))
}

function isSameMap(a: Metadata[keyof Metadata], b: Metadata[keyof Metadata]): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return false
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name])
}

// Kubernetes makes random names of letters and digits that spell no words (apimachinery/pkg/util/rand).
const SAFE = 'bcdfghjklmnpqrstvwxz2456789'
const OF_DEPLOYMENT = new RegExp(`^(.+)-[${SAFE}]{6,10}-[${SAFE}]{5}$`)
/** A CronJob names its Jobs after the minute. */
const OF_CRON_JOB = new RegExp(`^(.+)-\\d{8,10}-[${SAFE}]{5}$`)
const GENERATED = new RegExp(`^(.+)-[${SAFE}]{5}$`)
const ORDINAL = /^(.+)-\d{1,5}$/

/**
 * The likely owner of a pod, from its name: without the suffixes that Deployments, DaemonSets, (Cron)Jobs and StatefulSets add,
 * and without the node's name that static pods end in.
 */
export function appOfPod(pod: string, nodeName: string): string {
  if (nodeName !== '' && pod.endsWith(`-${nodeName}`)) return pod.slice(0, -nodeName.length - 1)
  return (OF_CRON_JOB.exec(pod) ?? OF_DEPLOYMENT.exec(pod) ?? GENERATED.exec(pod) ?? ORDINAL.exec(pod))?.[1] ?? pod
}
