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

/** The URI with its credentials replaced. */
export function redactUri(uri: string, mask: Mask): string {
  const mark = uri.indexOf('?')
  const path = mark < 0 ? uri : uri.slice(0, mark)
  const cleanPath = holdsCredential(decode(path)) ? cleanSegments(path, mask) : path
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
            holdsCredential(value) ||
            (!HARMLESS.has(key) && looksRandom(value)) ||
            (equals < 0 && holdsCredential(key))
      if (!isSecret || (value === '' && equals >= 0)) return pair
      return equals < 0 ? encode(mask(key)) : `${pair.slice(0, equals)}=${encode(mask(value))}`
    })
  return `${cleanPath}?${query.join('&')}`
}

function cleanSegments(path: string, mask: Mask): string {
  const segments = path
    .split('/')
    .map((segment) => (holdsCredential(decode(segment)) ? encode(mask(decode(segment))) : segment))
  const cleaned = segments.join('/')
  // What shows only over several segments, https://user:password@host, hides the whole of it.
  return holdsCredential(decode(cleaned)) ? `/${encode(mask(decode(path)))}` : cleaned
}

function decode(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  return text
    .replaceAll('+', ' ')
    .replace(/(?:%[0-9A-Fa-f]{2})+/g, (escapes) => Buffer.from(escapes.replaceAll('%', ''), 'hex').toString())
}

/** Brackets may stand in a query as they are; nothing else of a mask needs an escape. */
function encode(text: string): string {
  return text.replaceAll(' ', '%20')
}
