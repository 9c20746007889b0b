// What request an audit event is about, from its requestURI and verb. The policy was asked before the body was read, and
// the event's objectRef is completed from the body later, so objectRef is no witness of it. Pure. The rules are those by
// which the API server takes its URLs apart (apiserver/pkg/endpoints/request, RequestInfo).
import { unescapeBytes } from './percent.ts'
import { nameInFieldSelector } from './selectors.ts'

/** The part of a request's attributes that its URL tells. */
export interface RequestTarget {
  /** Decoded, without the query. */
  path: string
  isResource: boolean
  namespace: string
  apiGroup: string
  resource: string
  subresource: string
  name: string
}

/** /namespaces/NAME/x is the resource x in that namespace, but for these, which are the namespace's own. */
const NAMESPACE_SUBRESOURCES = ['status', 'finalize']

/** Takes a requestURI apart; null when it is none (its path cannot be decoded). `verb` is the event's. */
export function requestTarget(requestUri: string, verb: string): RequestTarget | null {
  const mark = requestUri.indexOf('?')
  const path = decodePath(mark < 0 ? requestUri : requestUri.slice(0, mark))
  if (path === null) return null
  const target: RequestTarget = {
    path,
    isResource: false,
    namespace: '',
    apiGroup: '',
    resource: '',
    subresource: '',
    name: '',
  }
  const trimmed = path.replace(/^\/+|\/+$/g, '')
  let parts = trimmed === '' ? [] : trimmed.split('/')
  if (parts.length < 3 || (parts[0] !== 'api' && parts[0] !== 'apis')) return target
  if (parts[0] === 'apis') {
    if (parts.length < 4) return target
    target.apiGroup = parts[1]!
    parts = parts.slice(3)
  } else parts = parts.slice(2)
  target.isResource = true
  // An old way to say the verb: /api/v1/watch/pods, /api/v1/proxy/nodes/x
  const special = parts[0] === 'watch' || parts[0] === 'proxy' ? parts[0] : ''
  if (special !== '') {
    if (parts.length < 2) return target
    parts = parts.slice(1)
  }
  if (parts[0] === 'namespaces' && parts.length > 1) {
    target.namespace = parts[1]!
    if (parts.length > 2 && !NAMESPACE_SUBRESOURCES.includes(parts[2]!)) parts = parts.slice(2)
  }
  target.resource = parts[0]!
  target.name = parts[1] ?? ''
  if (special !== 'proxy') target.subresource = parts[2] ?? ''
  if (target.name === '' && special === '' && (verb === 'list' || verb === 'watch') && mark >= 0) {
    target.name = nameInFieldSelector(requestUri.slice(mark + 1))
  }
  return target
}

/** What nameInPath found: offsets into its buffer. Where the path has no name, it is empty and stands at the path's end. */
export const NAME_AT = { nameStart: 0, nameEnd: 0, pathEnd: 0 }

const SEGMENTS_MAX = 12
const segments = new Int32Array(SEGMENTS_MAX + 1)

/**
 * Finds the name in the path of the URI b[start, end), as requestTarget does, in the forms that nearly all have:
 * /api/V/[namespaces/N/]RESOURCE[/NAME[/SUBRESOURCE]] and /apis/G/V/… . False: it is of another form, has escapes, or
 * what it means depends on more than this. Two URIs that differ in their names and queries only have the same target but
 * for the name, and that where the path has none for `list` and `watch`.
 */
export function nameInPath(b: Buffer, start: number, end: number): boolean {
  if (b[start] !== 0x2f) return false
  let count = 0
  let at = start
  for (; at < end; at++) {
    const c = b[at]!
    if (c === 0x2f) {
      if (count === SEGMENTS_MAX || b[at + 1] === 0x2f) return false
      segments[count++] = at + 1
    } else if (c === 0x25 || c === 0x5c) return false
    else if (c === 0x3f) break
  }
  if (segments[count - 1] === at) return false
  segments[count] = at + 1
  if (!isSegment(b, 0, 'api') && !isSegment(b, 0, 'apis')) return false
  let resource = isSegment(b, 0, 'api') ? 2 : 3
  if (count <= resource || isSegment(b, resource, 'watch') || isSegment(b, resource, 'proxy')) return false
  if (isSegment(b, resource, 'namespaces')) {
    // The namespaces themselves, whose name is a namespace too.
    if (count <= resource + 2) return false
    if (NAMESPACE_SUBRESOURCES.some((name) => isSegment(b, resource + 2, name))) return false
    resource += 2
  }
  const hasName = count > resource + 1
  NAME_AT.pathEnd = at
  NAME_AT.nameStart = hasName ? segments[resource + 1]! : at
  NAME_AT.nameEnd = hasName ? segments[resource + 2]! - 1 : at
  return true
}

function isSegment(b: Buffer, segment: number, text: string): boolean {
  const start = segments[segment]!
  if (segments[segment + 1]! - 1 - start !== text.length) return false
  for (let i = 0; i < text.length; i++) if (b[start + i] !== text.charCodeAt(i)) return false
  return true
}

/** The decoded path, as bytes read as UTF-8; null for an escape that is none. */
function decodePath(raw: string): string | null {
  if (!raw.includes('%')) return raw
  if (/%(?![0-9A-Fa-f]{2})/.test(raw)) return null
  return unescapeBytes(raw)
}
