// Credentials in request URIs: query parameters that are named so, the arguments of an exec, bearer tokens and passwords
// in paths of proxies. What is not one stays as it was, byte for byte. Pure.

import { argumentHidden } from './arguments.ts'
import { holdsCredential, looksRandom } from './looks.ts'
import type { Mask } from './mask.ts'
import { classOfName, NAME_CREDENTIAL } from './names.ts'

/** Parameters of Kubernetes' own that may look like anything. */
const HARMLESS = new Set([
  'continue',
  'resourceVersion',
  'fieldSelector',
  'labelSelector',
  'resourceVersionMatch',
  'fieldManager',
])

const DECODED_TIMES_MAX = 3
/** What nearly all values are, and no credential is by its look. */
const PLAIN_VALUE = /^(?:true|false|[0-9]{0,9}|[0-9]{1,4}[hms])$/

/** The URI with its credentials replaced. */
export function redactUri(uri: string, mask: Mask): string {
  const mark = uri.indexOf('?')
  const path = mark < 0 ? uri : uri.slice(0, mark)
  const proxied = path.indexOf('/proxy/')
  const isSecretPath =
    holdsCredential(decode(path)) ||
    (proxied >= 0 &&
      path
        .slice(proxied)
        .split('/')
        .some((segment) => looksRandom(decode(segment))))
  const cleanPath = isSecretPath ? cleanSegments(path, proxied, mask) : path
  if (mark < 0) return cleanPath
  const hidden = argumentHidden()
  const query = uri
    .slice(mark + 1)
    .split('&')
    .map((pair) => {
      const equals = pair.indexOf('=')
      const key = decode(equals < 0 ? pair : pair.slice(0, equals))
      const value = equals < 0 ? '' : decode(pair.slice(equals + 1))
      const isSecret =
        key === 'command'
          ? hidden(value)
          : classOfName(key) === NAME_CREDENTIAL ||
            (!PLAIN_VALUE.test(value) && (holdsCredential(value) || (!HARMLESS.has(key) && looksRandom(value)))) ||
            (equals < 0 && holdsCredential(key))
      if (!isSecret || (value === '' && equals >= 0)) return pair
      return equals < 0 ? encode(mask(key)) : `${pair.slice(0, equals)}=${encode(mask(value))}`
    })
  return `${cleanPath}?${query.join('&')}`
}

/** `proxied`: from where on the path is another server's; -1 for nowhere. */
function cleanSegments(path: string, proxied: number, mask: Mask): string {
  let at = 0
  const segments = path.split('/').map((segment) => {
    const isProxied = proxied >= 0 && at > proxied
    at += segment.length + 1
    const text = decode(segment)
    return holdsCredential(text) || (isProxied && looksRandom(text)) ? encode(mask(text)) : segment
  })
  const cleaned = segments.join('/')
  // What shows only over several segments, https://user:password@host, hides the whole of it.
  return holdsCredential(decode(cleaned)) ? `/${encode(mask(decode(path)))}` : cleaned
}

/** Decoded as often as it was encoded: what a server behind a proxy makes of it is not known. */
function decode(text: string): string {
  let decoded = text
  for (let round = 0; round < DECODED_TIMES_MAX; round++) {
    if (!decoded.includes('%') && !decoded.includes('+')) return decoded
    decoded = decoded
      .replaceAll('+', ' ')
      .replace(/(?:%[0-9A-Fa-f]{2})+/g, (escapes) => Buffer.from(escapes.replaceAll('%', ''), 'hex').toString())
  }
  return decoded
}

/** Brackets may stand in a query as they are; nothing else of a mask needs an escape. */
function encode(text: string): string {
  return text.replaceAll(' ', '%20')
}
