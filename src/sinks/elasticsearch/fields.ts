// The fields of a document that are the same for all of a lineage, in the Elastic Common Schema. What is the same for a
// whole index (cluster, data stream, versions), or a second name of what is here (`orchestrator.*`), is not here but in the index
// template, once (templates.ts).

import type { LineageInfo } from '../../core/lineage-info.ts'
import type { Metadata } from '../../core/metadata.ts'

const ANNOTATION_BYTES_MAX = 8191
/** Of all of them together: each document has them, whatever a pod may think of. */
const ANNOTATIONS_BYTES_MAX = 16 * 1024
/** As kinds are. An API server takes any text, and with a dot in it it would be a field of another field: `labels.x`. */
const KIND = /^[A-Za-z][A-Za-z0-9]{0,62}$/
/** The annotation of a pod that switches the expansion of JSON lines: `true` or `false`. */
export const JSON_ANNOTATION = 'taffrail.dev/json'

/**
 * The members of a document as JSON, without braces, up to inside `log`, where the offset comes next. `stream` is null for
 * what has no streams.
 */
export function lineageFields(
  info: LineageInfo,
  metadata: Metadata,
  labels: Readonly<Record<string, string>>,
  stream: 'stdout' | 'stderr' | null,
): string {
  const fields = {
    stream: stream ?? undefined,
    ...(metadata.pod === '' ? { host: { name: metadata.node } } : podFields(metadata)),
    labels: nonEmpty(labels),
    // Last, for the offset comes behind it.
    log: { file: { path: info.path } },
  }
  return JSON.stringify(fields).slice(1, -2)
}

function podFields(metadata: Metadata): object {
  const { namespace, pod, podUid, container, node, app, ownerKind, ownerName, image, containerId } = metadata
  const { mark, labels, annotations, namespaceLabels } = metadata
  return {
    kubernetes: {
      // First: the pod says of what kind its owner is, and it may be "Pod". What is known stands over it.
      ...(KIND.test(ownerKind) && { [ownerKind.toLowerCase()]: { name: ownerName } }),
      namespace,
      namespace_labels: nonEmpty(namespaceLabels),
      pod: { name: pod, uid: podUid || undefined },
      container: { name: container },
      node: { name: node || undefined },
      labels: nonEmpty(labels),
      annotations: nonEmpty(withoutLong(annotations)),
      metadata: mark || undefined,
    },
    container: nonEmpty({
      ...(containerId !== '' && { id: containerId }),
      ...(image !== '' && { image: { name: image } }),
    }),
    service: app === '' ? undefined : { name: app },
  }
}

/** An annotation may have 256 KiB, and a term of an index 32 KiB: with a longer one every document of the pod would be refused. */
function withoutLong(annotations: Readonly<Record<string, string>>): Record<string, string> {
  let room = ANNOTATIONS_BYTES_MAX
  return Object.fromEntries(
    Object.entries(annotations).filter(([name, value]) => {
      const bytes = Buffer.byteLength(name) + Buffer.byteLength(value)
      if (bytes > ANNOTATION_BYTES_MAX || bytes > room) return false
      room -= bytes
      return true
    }),
  )
}

function nonEmpty<T extends object>(value: T): T | undefined {
  return Object.keys(value).length > 0 ? value : undefined
}
