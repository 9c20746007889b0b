// The fields of a document that are the same for all of a lineage, in the Elastic Common Schema. What is the same for a
// whole index (cluster, data stream, versions), or a second name of what is here (`orchestrator.*`), is not here but in the index
// template, once (templates.ts).
import type { Metadata } from '../../core/metadata.ts'
import type { LineageInfo } from '../../discover/lineage-info.ts'

/** `annotations` of the pod that switch the expansion of JSON lines: `"true"` or `"false"`. */
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
      namespace,
      namespace_labels: nonEmpty(namespaceLabels),
      pod: { name: pod, uid: podUid || undefined },
      container: { name: container },
      node: { name: node || undefined },
      ...(ownerKind !== '' && { [ownerKind.toLowerCase()]: { name: ownerName } }),
      labels: nonEmpty(labels),
      annotations: nonEmpty(annotations),
      metadata: mark || undefined,
    },
    container: nonEmpty({
      ...(containerId !== '' && { id: containerId }),
      ...(image !== '' && { image: { name: image } }),
    }),
    service: app === '' ? undefined : { name: app },
  }
}

function nonEmpty<T extends object>(value: T): T | undefined {
  return Object.keys(value).length > 0 ? value : undefined
}
