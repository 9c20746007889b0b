// Which events are asked for. Judged twice: roughly by the facts that are read off the bytes, which rejects nearly all that
// is not asked for, and finally by the row. Pure.
import { API_GROUP, type EventFacts, NAME, NAMESPACE, RESOURCE, STAGE, SUBRESOURCE, USERNAME, VERB } from '../event.ts'
import { needleOf, Patterns } from './patterns.ts'
import type { Row } from './row.ts'

/** As they were given: patterns, times in milliseconds since the epoch, codes as `403` and `4xx`. */
export interface FilterTexts {
  id: string | null
  user: readonly string[]
  verb: readonly string[]
  resource: readonly string[]
  namespace: readonly string[]
  name: readonly string[]
  code: readonly string[]
  stage: readonly string[]
  sinceMs: number
  untilMs: number
}

export const NO_FILTERS: FilterTexts = {
  id: null,
  user: [],
  verb: [],
  resource: [],
  namespace: [],
  name: [],
  code: [],
  stage: [],
  sinceMs: Number.NEGATIVE_INFINITY,
  untilMs: Number.POSITIVE_INFINITY,
}

const NEEDLES_MAX = 6
const IMPERSONATED = Buffer.from('"impersonatedUser"')

export class Filters {
  readonly #texts: FilterTexts
  readonly #user: Patterns
  readonly #verb: Patterns
  readonly #resource: Patterns
  readonly #namespace: Patterns
  readonly #name: Patterns
  readonly #code: Patterns
  /** One of these stands in every line that is asked for and is written as API servers do; empty: any line may be. */
  readonly needles: readonly Buffer[]

  constructor(texts: FilterTexts) {
    this.#texts = { ...texts, resource: texts.resource.map(fullResource) }
    this.#user = new Patterns(texts.user)
    this.#verb = new Patterns(texts.verb)
    this.#resource = new Patterns(this.#texts.resource)
    this.#namespace = new Patterns(texts.namespace)
    this.#name = new Patterns(texts.name)
    this.#code = new Patterns(texts.code.map((code) => code.replace(/xx$/, '??')))
    this.needles = this.#needles().map((needle) => Buffer.from(needle))
  }

  /** Stages are asked for by name: then nothing is made one row of several. */
  get hasStages(): boolean {
    return this.#texts.stage.length > 0 || this.#texts.id !== null
  }

  /** Whether the event in line[start, end) is certainly not asked for, nor tells that a request has ended. */
  rejects(facts: EventFacts, line: Buffer, start: number, end: number): boolean {
    if (!this.#acceptsTime(facts.hasTime ? facts.seconds * 1000 + facts.nanos / 1e6 : Number.NaN)) return true
    const stage = facts.text(STAGE)
    if (!this.#acceptsStage(stage)) return true
    if (stage !== 'ResponseComplete' && !this.#acceptsCode(facts.code)) return true
    if (!this.#verb.isEmpty && !this.#verb.accepts([facts.text(VERB)])) return true
    if (!this.#namespace.isEmpty && !this.#namespace.accepts([facts.text(NAMESPACE)])) return true
    if (!this.#name.isEmpty && facts.has(NAME) && !this.#name.accepts([facts.text(NAME)])) return true
    if (!this.#resource.isEmpty && facts.has(RESOURCE)) {
      const names = resourceNames(facts.text(RESOURCE), facts.text(SUBRESOURCE), facts.text(API_GROUP))
      if (!this.#resource.accepts(names)) return true
    }
    if (this.#user.isEmpty || this.#user.accepts([facts.text(USERNAME)])) return false
    return !line.subarray(start, end).includes(IMPERSONATED)
  }

  /** Whether the request is asked for, leaving its result aside. */
  acceptsRequest(row: Row): boolean {
    const { id } = this.#texts
    if (id !== null && row.auditId !== id) return false
    if (!this.#acceptsStage(row.stage) || !this.#acceptsTime(row.timeMicros / 1000)) return false
    if (!this.#verb.accepts([row.verb]) || !this.#namespace.accepts([row.namespace])) return false
    if (!this.#name.accepts([row.name])) return false
    const names = row.resource === '' ? [row.path] : resourceNames(row.resource, row.subresource, row.apiGroup)
    return this.#resource.accepts(names) && this.#user.acceptsAny(row.as === '' ? [row.user] : [row.user, row.as])
  }

  acceptsResult(row: Row): boolean {
    return this.#acceptsCode(row.code)
  }

  #acceptsStage(stage: string): boolean {
    const { stage: stages } = this.#texts
    return stages.length === 0 ? this.#texts.id !== null || stage !== 'RequestReceived' : stages.includes(stage)
  }

  #acceptsTime(timeMs: number): boolean {
    const { sinceMs, untilMs } = this.#texts
    // An event without a time is asked for only where no time is.
    if (Number.isNaN(timeMs)) return sinceMs === Number.NEGATIVE_INFINITY && untilMs === Number.POSITIVE_INFINITY
    return timeMs >= sinceMs && timeMs < untilMs
  }

  #acceptsCode(code: number): boolean {
    return this.#code.isEmpty || this.#code.accepts([String(code)])
  }

  /** Of the filters whose every alternative has one, the one that is rarest in a log. */
  #needles(): string[] {
    const { id, name, user, resource, namespace, verb, code } = this.#texts
    const isOfSubresources = resource.every((each) => each.startsWith('!') || each.includes('/'))
    const byRarity: [readonly string[], (text: string) => string | null][] = [
      [id === null ? [] : [id], idNeedle],
      [name, (text) => needleOf('name', text)],
      [user, (text) => needleOf('username', text)],
      [isOfSubresources ? resource : [], resourceNeedle],
      [namespace, (text) => needleOf('namespace', text)],
      [resource, resourceNeedle],
      [code, codeNeedle],
      [verb, (text) => needleOf('verb', text)],
    ]
    for (const [texts, toNeedle] of byRarity) {
      const needles = texts.filter((text) => toNeedle === idNeedle || !text.startsWith('!')).map(toNeedle)
      if (needles.length === 0 || needles.length > NEEDLES_MAX || needles.includes(null)) continue
      return [...new Set(needles as string[])]
    }
    return []
  }
}

/** An id is no pattern: a star in it is one. */
function idNeedle(id: string): string | null {
  return needleOf('auditID', id.replaceAll(/[*?]/g, '\\'))
}

/** What begins to be answered with a success may end otherwise, and its end is to be seen. */
function codeNeedle(code: string): string | null {
  return /^[45]\d\d$/.test(code) ? `"code":${code}` : null
}

/** Of the subresource, which is rarer, else of the resource. Paths are no member of an event. */
function resourceNeedle(pattern: string): string | null {
  if (pattern.startsWith('/')) return null
  const [full = '', subresource] = pattern.split('/')
  const ofSubresource = subresource === undefined ? null : needleOf('subresource', subresource)
  const [resource = ''] = full.split('.')
  return ofSubresource ?? needleOf('resource', resource)
}

/** The names under which a pattern may ask for a resource: with and without its group. */
function resourceNames(resource: string, subresource: string, apiGroup: string): string[] {
  const end = subresource === '' ? '' : `/${subresource}`
  return apiGroup === '' ? [resource + end] : [resource + end, `${resource}.${apiGroup}${end}`]
}

const SHORT = new Map(
  (
    'cm:configmaps csr:certificatesigningrequests crd:customresourcedefinitions cj:cronjobs deploy:deployments ds:daemonsets ' +
    'ep:endpoints ev:events hpa:horizontalpodautoscalers ing:ingresses limits:limitranges netpol:networkpolicies no:nodes ' +
    'ns:namespaces pc:priorityclasses pdb:poddisruptionbudgets po:pods pv:persistentvolumes pvc:persistentvolumeclaims ' +
    'quota:resourcequotas rs:replicasets sa:serviceaccounts sc:storageclasses sts:statefulsets svc:services secret:secrets ' +
    'pod:pods node:nodes namespace:namespaces deployment:deployments service:services configmap:configmaps role:roles ' +
    'rolebinding:rolebindings clusterrole:clusterroles clusterrolebinding:clusterrolebindings serviceaccount:serviceaccounts ' +
    'job:jobs cronjob:cronjobs daemonset:daemonsets statefulset:statefulsets replicaset:replicasets ingress:ingresses'
  )
    .split(' ')
    .map((pair) => pair.split(':') as [string, string]),
)

/** A resource as events call it, for what kubectl takes too: `deploy`, `!secret`, `po/exec`. */
function fullResource(pattern: string): string {
  if (/^!?\//.test(pattern)) return pattern
  return pattern.toLowerCase().replace(/^(!?)([a-z]+)/, (_, not: string, name: string) => {
    return not + (SHORT.get(name) ?? name)
  })
}
