// Labels of a lineage: a small default set of what the path tells. Metadata from the API server refines it later.
import type { LineageInfo } from '../discover/lineage-info.ts'

export type Labels = Record<string, string>

export interface LabelContext {
  clusterName: string
  nodeName: string
  /** The sink's constants. */
  labels: Labels
}

/**
 * The labels of a lineage without `stream`, which depends on the line. For containers: cluster, namespace, pod,
 * container, app, job (`NAMESPACE/CONTAINER`) and node_name; for files: cluster, job (the source's name), filename and
 * node_name. Empty values are left out.
 */
export function labelsOf(info: LineageInfo, context: LabelContext): Labels {
  const labels: Labels = { ...context.labels, cluster: context.clusterName, node_name: context.nodeName }
  if (info.sourceType === 'containers' && info.pod !== '') {
    labels.namespace = info.namespace
    labels.pod = info.pod
    labels.container = info.container
    labels.app = appOfPod(info.pod, context.nodeName)
    labels.job = `${info.namespace}/${info.container}`
  } else {
    labels.job = info.source
    labels.filename = info.path
  }
  for (const [name, value] of Object.entries(labels)) if (value === '') delete labels[name]
  return labels
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
