// Labels of a lineage: a small default set.

import { type FieldReference, fieldText } from './fields.ts'
import type { LineageInfo } from './lineage-info.ts'
import type { Metadata } from './metadata.ts'

/** The `job` of audit events. */
export const AUDIT_JOB = 'kube-audit'

export type Labels = Record<string, string>

export interface LabelContext {
  clusterName: string
  /** The sink's constants. */
  labels: Labels
  /** Further ones, by name, from fields of the metadata. */
  labelsFrom?: Readonly<Record<string, FieldReference>>
  /** Labels that are left out. */
  without?: readonly string[]
}

/**
 * The labels of a lineage without `stream`, which depends on the line. For containers: cluster, namespace, pod,
 * container, app, job (`NAMESPACE/CONTAINER`) and node_name; for files: cluster, job (the source's name), filename and
 * node_name; for audit logs cluster, job (`kube-audit`) and node_name, or apiserver where it came by a webhook: whose node
 * takes it is an accident. Empty values are left out.
 */
export function labelsOf(info: LineageInfo, metadata: Metadata, context: LabelContext): Labels {
  const labels: Labels = { ...context.labels, cluster: context.clusterName, ...origin(info, metadata) }
  if (info.sourceType !== 'files' && metadata.pod !== '') {
    const { namespace, pod, container, app } = metadata
    Object.assign(labels, { namespace, pod, container, app, job: `${namespace}/${container}` })
    for (const [name, field] of Object.entries(context.labelsFrom ?? {})) {
      labels[name] = fieldText(metadata, field)
    }
    for (const name of context.without ?? []) delete labels[name]
  } else if (info.sourceType === 'audit') labels.job = AUDIT_JOB
  else {
    labels.job = info.source
    labels.filename = info.path
  }
  for (const [name, value] of Object.entries(labels)) if (value === '') delete labels[name]
  return labels
}

function origin({ apiServer }: LineageInfo, { node }: Metadata): Labels {
  return apiServer === undefined ? { node_name: node } : { apiserver: apiServer }
}
