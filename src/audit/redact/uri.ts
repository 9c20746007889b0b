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

/** A longer path, which is nothing of Kubernetes' own, is hidden from there on. */
const PATH_LENGTH_MAX = 16 * 1024
/** So is a longer parameter as a whole: it is a text that takes too long to be looked through. */
const PAIR_LENGTH_MAX = 64 * 1024
/** Of a slice: some milliseconds. */
const SLICE_LENGTH = 16 * 1024

/** The URI with its credentials replaced. */
export function redactUri(uri: string, mask: Mask): string {
  const slices = redactedUri(uri, mask)
  for (;;) {
    const { done, value } = slices.next()
    if (done) return value
  }
}

/** The same in slices: one of a megabyte is as long as a client may send one. */
export function* redactedUri(uri: string, mask: Mask): Generator<void, string> {
  const mark = uri.indexOf('?')
  const path = cleanPath(mark < 0 ? uri : uri.slice(0, mark), mask)
  if (mark < 0) return path
  const hidden = argumentHidden()
  let query = ''
  let looked = 0
  for (let at = mark; at >= 0 && at < uri.length; ) {
    const next = uri.indexOf('&', at + 1)
    const pair = uri.slice(at + 1, next < 0 ? uri.length : next)
    query += at === mark ? cleanPair(pair, hidden, mask) : `&${cleanPair(pair, hidden, mask)}`
    looked += pair.length
    if (looked > SLICE_LENGTH) {
      looked = 0
      yield
    }
    at = next
  }
  return `${path}?${query}`
}

function cleanPath(path: string, mask: Mask): string {
  if (path.length > PATH_LENGTH_MAX)
    return `${cleanPath(path.slice(0, PATH_LENGTH_MAX), mask)}${encode(mask(path.slice(PATH_LENGTH_MAX)))}`
  const proxied = path.indexOf('/proxy/')
  const isSecret =
    holdsCredential(decode(path)) ||
    (proxied >= 0 &&
      path
        .slice(proxied)
        .split('/')
        .some((segment) => looksRandom(decode(segment))))
  return isSecret ? cleanSegments(path, proxied, mask) : path
}

/** A parameter of the query. `hidden` judges successive arguments of a command. */
function cleanPair(pair: string, hidden: (argument: string) => boolean, mask: Mask): string {
  const equals = pair.indexOf('=')
  const isLong = pair.length > PAIR_LENGTH_MAX
  const key = isLong ? '' : decode(equals < 0 ? pair : pair.slice(0, equals))
  const value = isLong ? pair.slice(equals + 1) : equals < 0 ? '' : decode(pair.slice(equals + 1))
  const isSecret =
    isLong ||
    (key === 'command'
      ? hidden(value)
      : classOfName(key) === NAME_CREDENTIAL ||
        (!PLAIN_VALUE.test(value) && (holdsCredential(value) || (!HARMLESS.has(key) && looksRandom(value)))) ||
        (equals < 0 && holdsCredential(key)))
  if (!isSecret || (value === '' && equals >= 0)) return pair
  return equals < 0 || equals > 1024 ? encode(mask(pair)) : `${pair.slice(0, equals)}=${encode(mask(value))}`
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
