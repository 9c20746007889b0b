// Which encoder a lineage's records go through at an elasticsearch sink: documents of lines, or of audit events, with all that
// is the same for the lineage encoded once.
import type { EntryEncoder } from '../../batch/target.ts'
import type { ElasticsearchSinkConfig } from '../../config/config.ts'
import type { LineageInfo } from '../../core/lineage-info.ts'
import type { Metadata } from '../../core/metadata.ts'
import { directivesOf } from '../../enrich/directives.ts'
import { AuditDocumentEncoder, EitherEncoder } from './audit-document.ts'
import { DocumentEncoder } from './document.ts'
import { JSON_ANNOTATION, lineageFields } from './fields.ts'

export interface EncoderOptions {
  config: Pick<ElasticsearchSinkConfig, 'labels' | 'documentIds' | 'expandJson'>
  clusterName: string
  /** The last part of the names of indices. */
  namespace: string
}

/** The encoder for a lineage while its lines go out with `metadata`. */
export function encoderFor(info: LineageInfo, metadata: Metadata, options: EncoderOptions): EntryEncoder {
  const { config, clusterName, namespace } = options
  const { labels, documentIds: hasIds, expandJson } = config
  const { key, podUid, container, path, apiServer, sourceType } = info
  const { node } = metadata
  const fields = (stream: 'stdout' | 'stderr') =>
    lineageFields(info, metadata, labels, sourceType === 'containers' ? stream : null)
  const lines = new DocumentEncoder({
    hasIds,
    owner: podUid !== '' ? [podUid, container] : [clusterName, node, key],
    fields: [fields('stdout'), fields('stderr')],
    expandsJson:
      directivesOf(metadata.directives ?? {}, container).isJson ??
      isSwitchedOn(metadata.annotations[JSON_ANNOTATION]) ??
      expandJson.includes(info.source),
  })
  if (sourceType !== 'audit') return lines
  const audit = new AuditDocumentEncoder({ namespace, node, path, apiServer, hasIds, labels })
  // In a container's log, lines that are no events are the container's.
  return podUid === '' ? audit : new EitherEncoder(audit, lines)
}

/** What an annotation says; undefined: nothing. */
function isSwitchedOn(annotation: string | undefined): boolean | undefined {
  return annotation === 'true' ? true : annotation === 'false' ? false : undefined
}
