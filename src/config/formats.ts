// The particular kinds of scalar: names, paths, URLs, addresses, labels, secrets. Each says why a value will not do, so
// that it is refused here and not by a sink at night.
import { errorMessage } from '../core/errors.ts'
import { FIELD_PREFIXES, FIELDS, type FieldReference } from '../core/fields.ts'
import { regExpOf } from '../select/matcher.ts'
import { nearest } from './nearest.ts'
import { mismatch, quoted, scalar, text } from './scalars.ts'
import type { Parsed, Scalar } from './shapes.ts'

/** The labels that taffrail sets itself, and which therefore cannot be set in a configuration. */
export const OWN_LABELS: readonly string[] = [
  'cluster',
  'namespace',
  'pod',
  'container',
  'app',
  'job',
  'node_name',
  'apiserver',
  'stream',
  'filename',
  'late',
]

const ABSOLUTE_PATH = /^\/[^\0]*$/
/** Kubernetes' own rule for the keys of labels and annotations. */
const LABEL_KEY = /^(?:[a-z0-9]([a-z0-9.-]*[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/
const PUSH_PATH = '/loki/api/v1/push'

export function name(): Scalar<string> {
  return text('a name of a-z, 0-9 and - (at most 63, not - first)', /^[a-z0-9][a-z0-9-]{0,62}$/)
}

export function absolutePath(): Scalar<string> {
  return text('an absolute path', ABSOLUTE_PATH)
}

/** A pattern that is held against whole paths, so one that begins otherwise could never match. */
export function pathGlob(): Scalar<string> {
  return text('a glob that begins with / or **', /^(?:\/|\*\*)/)
}

/** The path of a file that must be readable. */
export function file(): Scalar<string> {
  return { ...text('the absolute path of a file', ABSOLUTE_PATH), file: true }
}

/** A password or token. A line break in one is nearly always the end of the file that it was taken from, and breaks the request. */
export function secret(): Scalar<string> {
  const parse = (value: string): Parsed<string> => {
    if (value === '') return { problem: 'is empty' }
    if (/\p{Cc}/u.test(value)) return { problem: 'holds a line break or another control character' }
    return { value }
  }
  return scalar({ expected: 'a string', secret: true, parse })
}

/** RFC 7617: a user name has no colon. */
export function username(): Scalar<string> {
  return text('a user name (not empty, no colon)', /^[^:\p{Cc}]+$/u)
}

/** Loki's rule: at most 150 letters, digits and !-_.*'(), neither . nor .. */
export function tenant(): Scalar<string> {
  return text("a tenant of at most 150 letters, digits and !-_.*'()", /^(?!\.{1,2}$)[A-Za-z0-9!\-_.*'()]{1,150}$/)
}

/** Any scalar: a label is text, whatever YAML takes it for, and is kept as it was written. */
export function labelValue(): Scalar<string> {
  const parse = (value: string): Parsed<string> =>
    value === '' ? { problem: 'is empty; Loki has no empty labels, so leave it out' } : { value }
  return scalar({ expected: 'a string, number or boolean', accepts: ['string', 'number', 'boolean'], parse })
}

/** A field of a pod's metadata; without those of `except`. */
export function field(except: readonly string[] = []): Scalar<FieldReference> {
  const names = FIELDS.filter((each) => !except.includes(each))
  const expected = `one of ${names.join(', ')}, ${FIELD_PREFIXES.map((prefix) => `${prefix}NAME`).join(', ')}`
  const parse = (value: string): Parsed<FieldReference> => {
    const prefix = FIELD_PREFIXES.find((each) => value.startsWith(each))
    if (prefix !== undefined) return LABEL_KEY.test(value.slice(prefix.length)) ? { value } : null
    if ((names as readonly string[]).includes(value)) return { value }
    const suggestion = nearest(value, names)
    return suggestion === null ? null : { problem: mismatch(expected, quoted(value)), suggestion }
  }
  return scalar({ expected, parse })
}

/** The name of a label or annotation, with `*` for anything. */
export function labelGlob(): Scalar<string> {
  return text('the name of a label, * standing for anything', /^[A-Za-z0-9._/*-]{1,317}$/)
}

/** A regular expression of JavaScript; `(?i)` in front makes it blind to case. */
export function regExp(): Scalar<string> {
  const expected = 'a regular expression'
  const parse = (value: string): Parsed<string> => {
    if (value === '') return { problem: 'is empty, and would match every line' }
    try {
      regExpOf(value)
      return { value }
    } catch (error) {
      return { problem: `${expected} was expected: ${errorMessage(error)}` }
    }
  }
  return scalar({ expected, parse })
}

/** A name with `*` for anything. */
export function nameGlob(): Scalar<string> {
  return text('a name, * standing for anything', /^[A-Za-z0-9._*-]+$/)
}

/** What is wrong with the key of a pod's label, or null. */
export function labelKeyProblem(label: string): string | null {
  return LABEL_KEY.test(label) ? null : 'no key that a label of Kubernetes can have'
}

/** What is wrong with the name of a label, or null. */
export function labelNameProblem(label: string): string | null {
  if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(label)) return 'not a label name (letters, digits and _, no digit first)'
  if (OWN_LABELS.includes(label)) return `taffrail sets this label itself (${OWN_LABELS.join(', ')})`
  return null
}

/** The URL of a Loki, of a gateway before it (its prefix is kept), or of the push path itself; gives the latter. */
export function pushUrl(): Scalar<string> {
  return url((given) => {
    const path = given.pathname.replace(/\/+$/, '')
    given.pathname = path.endsWith(PUSH_PATH) ? path : path + PUSH_PATH
    return { value: given.href }
  })
}

/** The URL of a host of a cluster, or of a gateway before it; its path is kept. */
export function hostUrl(): Scalar<string> {
  return url((given) => {
    if (given.search !== '') return { problem: mismatch('a URL without a ?query', quoted(given.href)) }
    return { value: given.href.replace(/\/+$/, '') }
  })
}

function url(finish: (url: URL) => Parsed<string>): Scalar<string> {
  const expected = 'an http:// or https:// URL'
  const parse = (given: string): Parsed<string> => {
    const url = /^https?:\/\//i.test(given) && URL.canParse(given) ? new URL(given) : null
    // Where there is an @ there may be a password, which must not be repeated.
    if (url === null) return given.includes('@') ? { problem: `expected ${expected}` } : null
    if (url.username !== '' || url.password !== '') return { problem: 'holds credentials; put them under auth' }
    if (url.hash !== '') return { problem: mismatch(`${expected} without a #fragment`, quoted(given)) }
    return finish(url)
  }
  return scalar({ expected, parse })
}

/** What may stand last in the name of a data stream: no dash, which separates, and none of the letters that index names forbid. */
export function indexNamespace(): Scalar<string> {
  return text('a name of a-z, 0-9, _ and . (at most 100, not _ or . first)', /^[a-z0-9][a-z0-9_.]{0,99}$/)
}

/** `host:port`; without a host it is every IPv4 address. Gives the text that parseListen understands. */
export function listen(): Scalar<string> {
  const parse = (given: string): Parsed<string> => {
    const address = given.startsWith(':') ? `0.0.0.0${given}` : given
    return parseListen(address) === null ? null : { value: address }
  }
  return scalar({ expected: 'host:port such as 0.0.0.0:9095', parse })
}

/** Host and port of `0.0.0.0:9095` or `[::]:9095` (the host then without its brackets); null when the text is neither. */
export function parseListen(address: string): { host: string; port: number } | null {
  const match = /^(?:([A-Za-z0-9.-]+)|\[([0-9A-Fa-f:.]+)\]):(\d{1,5})$/.exec(address)
  if (match === null) return null
  const port = Number(match[3])
  return port <= 65_535 ? { host: match[1] ?? match[2]!, port } : null
}
