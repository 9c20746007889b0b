// The names of lineages: the keys that their checkpoints stand under, and what a key alone tells. Pure.
import { basename, dirname } from 'node:path'
import type { FileSourceConfig } from '../config/config.ts'
import type { LineageInfo } from '../core/lineage-info.ts'
import { parseContainerLink } from './names.ts'

/** The key of a container's lineage. */
export function containerKey(
  source: string,
  namespace: string,
  pod: string,
  container: string,
  podUid: string,
): string {
  return `${source}:${namespace}/${pod}/${container}/${podUid}`
}

/** The key of the lineage of a file; `path` is absolute. */
export function fileKey(source: string, path: string): string {
  return `${source}:${path}`
}

/** What a lineage of `source` was, from its key alone: for one whose files are gone. */
export function infoFromKey(key: string, source: FileSourceConfig): LineageInfo {
  const { name, type } = source
  const rest = key.slice(name.length + 1)
  if (!rest.startsWith('/')) {
    const [namespace = '', pod = '', container = '', podUid = ''] = rest.split('/')
    return { source: name, sourceType: type, key, path: rest, namespace, pod, podUid, container }
  }
  const link = type !== 'files' ? parseContainerLink(basename(rest)) : null
  const { namespace, pod, container } = link ?? { namespace: '', pod: '', container: '' }
  return {
    source: name,
    sourceType: type,
    key,
    path: rest,
    namespace,
    pod,
    podUid: '',
    container,
    ...apiServerOf(source, rest),
  }
}

/** Whether a source is what a webhook writes. */
export function isSpool(source: FileSourceConfig): boolean {
  return source.type === 'audit' && source.isSpool === true
}

/** Which API server's spool the file at `path` is; nothing for other files. */
export function apiServerOf(source: FileSourceConfig, path: string): Pick<LineageInfo, 'apiServer'> {
  return isSpool(source) ? { apiServer: basename(dirname(path)) } : {}
}
