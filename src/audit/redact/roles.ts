// What a value of a request's or an answer's body is, as bits: from the type of the request, from what an object calls itself,
// from its place. A Secret of the API server's own has few members that are harmless, and those are listed; all else in it
// is secret, whatever it is called. Pure.

// What a value is known to be, as bits; those of INHERITED hold for all that is in it.
/** All in it is secret. */
export const IS_SECRET = 1
/** `data` and `stringData` in it are. */
export const HAS_SECRET_DATA = 2
/** What a CertificateSigningRequest asks with and gets. */
export const IS_SIGNING = 4
/** Somebody's `extra`, as authentication gave it. */
export const IS_EXTRA = 8
/** Bytes in base64 that may be anything. */
export const IS_BINARY = 16
/** An object whose metadata lose their managedFields; its metadata; a list of such objects; rows that hold some. */
export const LOSES_MANAGED_FIELDS = 32
export const IS_METADATA_THAT_LOSES = 64
export const LISTS_THAT_LOSE = 128
export const IS_ROW_THAT_LOSES = 256
/** The event itself. */
export const IS_EVENT = 512
/** Operations of a JSON patch may stand here. */
export const IS_PATCH = 1024
/** Only what has the form of a credential counts; it is text of people or programs, not a value. */
export const IS_TEXT = 2048
/** Messages of the API server, which may quote what was sent. */
export const IS_STATUS = 4096
export const IS_ABOUT_SECRETS = 8192
/** A Secret of the API server's own, a list or table of them, or a patch of one: what it has beside its known members is secret. */
export const IS_SECRET_OBJECT = 16384
/** It is in base64 where it is well made: the same secret as text has the same token. */
export const IS_BASE64 = 32768
/** The event's own annotations. */
export const IS_ANNOTATIONS = 65536
/** What a mutating webhook did to the request's body, as the API server tells it in an annotation. */
export const IS_WEBHOOK_PATCH = 131072
export const INHERITED = IS_SECRET | HAS_SECRET_DATA | IS_SIGNING | IS_TEXT | IS_STATUS | IS_ABOUT_SECRETS | IS_BASE64
/** Of a body whose type is not known, for what it is in is no event. */
export const IS_ANY_BODY = HAS_SECRET_DATA | IS_SIGNING | IS_ABOUT_SECRETS | IS_PATCH

/** Members of a Secret, of lists and tables of them, of their patches, of answers and of options of a delete. */
const SECRET_MEMBERS = new Set(
  (
    'kind apiVersion metadata type immutable items rows columnDefinitions cells conditions object op path from value ' +
    'status message reason details code $patch $retainKeys gracePeriodSeconds preconditions orphanDependents ' +
    'propagationPolicy dryRun'
  ).split(' '),
)
/** First parts of paths that do not lead to what is secret in a Secret. */
const HARMLESS_PATHS = new Set(['kind', 'apiVersion', 'metadata', 'type', 'immutable'])
const ENV_VALUE_PATH = /\/env\/(?:\d+|-)\/value$/

/** What a member of a Secret is. */
export function ofSecret(name: string): number {
  if (!SECRET_MEMBERS.has(name)) return IS_SECRET
  return name === 'items' || name === 'rows' || name === 'object' ? IS_SECRET_OBJECT : 0
}

export function roleOfKind(kind: string): number {
  let role = 0
  if (kind.includes('Secret')) role |= HAS_SECRET_DATA | IS_ABOUT_SECRETS
  if (kind.startsWith('CertificateSigningRequest') || kind.startsWith('PodCertificateRequest')) role |= IS_SIGNING
  if (kind.startsWith('Token')) role |= IS_ABOUT_SECRETS
  if (kind === 'Status') role |= IS_STATUS
  return role
}

/** What a path of a JSON patch leads to, in an object that is what `role` says. */
export function roleOfPath(path: string, parts: readonly string[], role: number): number {
  let below = 0
  const isData = parts.includes('data')
  if ((role & HAS_SECRET_DATA) !== 0 && (isData || parts.includes('stringData'))) below |= IS_SECRET
  if ((role & IS_SECRET_OBJECT) !== 0) {
    if (parts.length === 0) below |= IS_SECRET_OBJECT
    else if (!HARMLESS_PATHS.has(parts[0]!)) below |= IS_SECRET
  }
  if ((role & IS_SIGNING) !== 0 && /^(?:request|certificate)$/.test(parts.at(-1) ?? '')) below |= IS_SECRET | IS_BASE64
  if (parts.includes('extra') && parts.some((part) => /^authentication\.kubernetes\.io\//i.test(part)))
    below |= IS_SECRET
  if (ENV_VALUE_PATH.test(path)) below |= IS_SECRET
  if ((below & IS_SECRET) !== 0 && isData) below |= IS_BASE64
  if (parts.at(-1) === 'extra') below |= IS_EXTRA
  if (parts.includes('binaryData')) below |= IS_BINARY
  return below
}
