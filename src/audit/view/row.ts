// What a person asks of an audit event: who, as whom, from where, did what to what, with what result. Made from the text of
// an event after redaction; values of another type than an API server gives them count as missing. Pure.

export interface Row {
  /** Of the stage, microseconds since the epoch; NaN where the event has none. */
  timeMicros: number
  /** From the request's arrival to this stage; NaN where either time is missing. */
  latencyMicros: number
  user: string
  /** Whom the user impersonates; empty for nobody. */
  as: string
  /** Where the connection came from, and where X-Forwarded-For says it did: whoever sends it may say anything. */
  source: string
  forwardedFor: string
  verb: string
  /** Empty where the request is about no resource: then `path` says what it was about. */
  resource: string
  subresource: string
  apiGroup: string
  namespace: string
  name: string
  /** Of the URI, without the query. */
  path: string
  uri: string
  /** responseStatus.code; 0 where there is none. */
  code: number
  reason: string
  message: string
  decision: string
  decisionReason: string
  stage: string
  level: string
  agent: string
  auditId: string
  /** The same for all stages of a request, and not only what the client chose. */
  request: string
  /** What an exec runs; empty for none. */
  command: string
}

type Json = Record<string, unknown>

/** `line` is one event as JSON, redacted; `name` what is known of the object's name besides. Null where it is no object. */
export function rowOf(line: string, name: string): Row | null {
  let event: Json
  try {
    event = object(JSON.parse(line))
  } catch {
    return null
  }
  const user = object(event.user)
  const target = object(event.objectRef)
  const status = object(event.responseStatus)
  const annotations = object(event.annotations)
  const uri = text(event.requestURI)
  const received = text(event.requestReceivedTimestamp)
  const timeMicros = micros(text(event.stageTimestamp))
  const auditId = text(event.auditID)
  const question = uri.indexOf('?')
  const subresource = text(target.subresource)
  return {
    timeMicros,
    latencyMicros: timeMicros - micros(received),
    user: text(user.username),
    as: text(object(event.impersonatedUser).username),
    ...addresses(event.sourceIPs),
    verb: text(event.verb),
    resource: text(target.resource),
    subresource,
    apiGroup: text(target.apiGroup),
    namespace: text(target.namespace),
    name: text(target.name) || name,
    path: question < 0 ? uri : uri.slice(0, question),
    uri,
    code: typeof status.code === 'number' ? status.code : 0,
    reason: text(status.reason),
    message: text(status.message),
    decision: text(annotations['authorization.k8s.io/decision']),
    decisionReason: text(annotations['authorization.k8s.io/reason']),
    stage: text(event.stage),
    level: text(event.level),
    agent: text(event.userAgent),
    auditId,
    request: `${received} ${uri} ${auditId}`,
    command: subresource === 'exec' && question >= 0 ? commandOf(uri.slice(question + 1)) : '',
  }
}

/** `pods/exec`, `deployments.apps`, or the path of what is no resource. */
export function resourceOf({ resource, subresource, apiGroup, path }: Row): string {
  if (resource === '') return path
  const full = apiGroup === '' ? resource : `${resource}.${apiGroup}`
  return subresource === '' ? full : `${full}/${subresource}`
}

/** `namespace/name`, of which either may be missing: `shop/`, `node-1`. */
export function objectOf({ resource, namespace, name }: Row): string {
  return namespace === '' || resource === 'namespaces' ? name : `${namespace}/${name}`
}

/** `admin as alice`; a request that nobody was authenticated for has no user. */
export function userOf({ user, as }: Row): string {
  const name = user === '' ? '(nobody)' : user
  return as === '' ? name : `${name} as ${as}`
}

/** Whether the API server said no to who asked. */
export function isDenied({ code, decision }: Row): boolean {
  return code === 401 || code === 403 || decision === 'forbid'
}

const READS = new Set(['get', 'list', 'watch', 'head', 'options', ''])

/** Whether it changes something, or opens a way into a container, where it is allowed. */
export function isChange({ verb, resource, subresource }: Row): boolean {
  if (resource === 'pods' && /^(?:exec|attach|portforward)$/.test(subresource)) return true
  return !READS.has(verb)
}

/** RFC 3339 with milliseconds, or with all that is known; `-` for NaN. */
export function timeText(timeMicros: number, isExact = false): string {
  if (!Number.isFinite(timeMicros) || Math.abs(timeMicros) > 8.64e18) return '-'
  const ms = Math.floor(timeMicros / 1000)
  const time = new Date(ms).toISOString()
  return isExact ? `${time.slice(0, -1)}${String(timeMicros - 1000 * ms).padStart(3, '0')}Z` : time
}

/** Microseconds since the epoch of `2026-11-21T07:48:12.475003Z`; NaN for what is no such time. */
export function micros(time: string): number {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(time)
  if (match === null) return Number.NaN
  return Date.parse(`${match[1]}${match[3]}`) * 1000 + Number((match[2] ?? '').padEnd(6, '0').slice(0, 6))
}

/** The last of sourceIPs is the connection's own; those before it stood in its headers. */
function addresses(sourceIPs: unknown): { source: string; forwardedFor: string } {
  const ips = Array.isArray(sourceIPs) ? sourceIPs.map(text).filter((ip) => ip !== '') : []
  return { source: ips.at(-1) ?? '', forwardedFor: ips.slice(0, -1).join(',') }
}

/** The command of an exec as a shell would take it. */
function commandOf(query: string): string {
  return new URLSearchParams(query).getAll('command').map(quoted).join(' ')
}

function quoted(argument: string): string {
  return /^[\w@%+=:,./[\]-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`
}

function object(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
