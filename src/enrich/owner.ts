// Who owns a pod, as people know it, and what its workload is called. Everything follows from the pod's own metadata, so
// that neither ReplicaSets nor Jobs have to be watched. Pure.
import { appOfPod } from '../core/metadata.ts'

export interface OwnerReference {
  kind?: string
  name?: string
  controller?: boolean
}

export interface Owner {
  /** Empty for a pod that nobody owns. */
  kind: string
  name: string
}

type Labels = Readonly<Record<string, string>>

/** A CronJob names its Jobs after the minute that they are for, counted since 1970: 8 digits from 1989 to 2160. */
const CRON_JOB = /^(.+)-(\d{8})$/
const MINUTES_MIN = 23_000_000
const MINUTES_MAX = 80_000_000
/** No kind and no object has a longer name, but a reference may: the API server does not look it up. */
const KIND_CHARS_MAX = 63
const NAME_CHARS_MAX = 253

/**
 * The controller of a pod: a ReplicaSet whose name ends in the pod's `pod-template-hash` is its Deployment's, a Job
 * named after a minute its CronJob's.
 */
export function ownerOf(references: readonly OwnerReference[], labels: Labels): Owner {
  const { kind = '', name = '' } = references.find((each) => each.controller === true) ?? {}
  if (typeof kind !== 'string' || typeof name !== 'string') return { kind: '', name: '' }
  if (kind.length > KIND_CHARS_MAX || name.length > NAME_CHARS_MAX) return { kind: '', name: '' }
  if (kind === 'ReplicaSet') {
    const suffix = `-${labels['pod-template-hash'] ?? ''}`
    if (suffix !== '-' && name.endsWith(suffix)) return { kind: 'Deployment', name: name.slice(0, -suffix.length) }
  }
  if (kind === 'Job') {
    const [, cronJob, minutes] = CRON_JOB.exec(name) ?? []
    if (cronJob !== undefined && Number(minutes) > MINUTES_MIN && Number(minutes) < MINUTES_MAX) {
      return { kind: 'CronJob', name: cronJob }
    }
  }
  return { kind, name }
}

/** The labels that name an application, the first of them first. */
export const APP_LABELS = ['app.kubernetes.io/name', 'app', 'k8s-app'] as const

/** What the pod's workload is called: by its labels, else after its owner, else as its name suggests. */
export function appOf(pod: string, labels: Labels, owner: Owner, nodeName: string): string {
  for (const name of APP_LABELS) {
    const label: unknown = labels[name]
    if (typeof label === 'string' && label !== '') return label
  }
  // A static pod is owned by its node.
  if (owner.name !== '' && owner.kind !== 'Node') return owner.name
  return appOfPod(pod, nodeName)
}
