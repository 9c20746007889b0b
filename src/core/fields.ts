// References to one field of a Metadata, as configurations name them: `pod_uid`, `owner_name`, `pod.labels.NAME`. Pure.
import type { Metadata } from './metadata.ts'

/** The fields that have a name of their own. */
export const FIELDS = ['pod_uid', 'pod', 'container_id', 'restart_count', 'image', 'owner_kind', 'owner_name'] as const
/** What stands before the name of a label or annotation. */
export const FIELD_PREFIXES = ['pod.labels.', 'pod.annotations.', 'namespace.labels.'] as const

/** One of FIELDS, or one of FIELD_PREFIXES and a name. */
export type FieldReference = string

/** The field's value; empty where there is none. */
function fieldOf(metadata: Metadata, reference: FieldReference): string {
  const { labels, annotations, namespaceLabels, restartCount } = metadata
  switch (reference) {
    case 'pod_uid':
      return metadata.podUid
    case 'pod':
      return metadata.pod
    case 'container_id':
      return metadata.containerId
    case 'restart_count':
      return restartCount < 0 ? '' : String(restartCount)
    case 'image':
      return metadata.image
    case 'owner_kind':
      return metadata.ownerKind
    case 'owner_name':
      return metadata.ownerName
  }
  const from = [labels, annotations, namespaceLabels]
  for (const [index, prefix] of FIELD_PREFIXES.entries()) {
    if (reference.startsWith(prefix)) return from[index]?.[reference.slice(prefix.length)] ?? ''
  }
  return ''
}

/** Loki takes 2,048 bytes for a label, and 64 KiB of structured metadata for a line; only an annotation can be longer. */
const TEXT_CHARS_MAX = 512

/** The field's value as it goes with every line: cut where it is long, and never in the middle of a character. */
export function fieldText(metadata: Metadata, reference: FieldReference): string {
  return fieldOf(metadata, reference).slice(0, TEXT_CHARS_MAX).replace(HALF_CHARACTER, '')
}

const HALF_CHARACTER = /[\ud800-\udbff]$/

/** The reference as a name of letters, digits and `_`. */
export function fieldName(reference: FieldReference): string {
  return reference.replace(/[^A-Za-z0-9_]/g, '_')
}
