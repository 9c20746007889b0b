// The audit policy of Kubernetes (audit.k8s.io/v1) and what it says of a request: the first rule that matches decides,
// and when none does the request is not audited. Pure. The semantics are the API server's own: lists are alternatives,
// an empty list is no condition, nothing globs but `*`, `*/sub` and `res/*` in resources and a final `*` in URLs.

export const LEVELS = ['None', 'Metadata', 'Request', 'RequestResponse'] as const
export type LevelName = (typeof LEVELS)[number]
export const LEVEL_NONE = 0
export const LEVEL_METADATA = 1
export const LEVEL_REQUEST = 2
export const LEVEL_REQUEST_RESPONSE = 3

/** Their positions are the bits of a stage mask. */
export const STAGES = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const
export type StageName = (typeof STAGES)[number]

export interface GroupResources {
  group: string
  resources: readonly string[]
  resourceNames: readonly string[]
}

export interface PolicyRule {
  /** Index into LEVELS. */
  level: number
  users: readonly string[]
  userGroups: readonly string[]
  verbs: readonly string[]
  resources: readonly GroupResources[]
  namespaces: readonly string[]
  nonResourceURLs: readonly string[]
  /** Stage bits: the rule's own and the policy's. */
  omitStages: number
  omitManagedFields: boolean
}

export interface Policy {
  rules: readonly PolicyRule[]
  /** Stage bits. */
  omitStages: number
  omitManagedFields: boolean
}

/** What the policy is asked about: the request as it came in. */
export interface RequestAttributes {
  /** null: nobody was authenticated. */
  user: { name: string; groups: readonly string[] } | null
  verb: string
  /** Decoded, without the query. */
  path: string
  isResource: boolean
  namespace: string
  apiGroup: string
  resource: string
  subresource: string
  name: string
}

export interface Decision {
  /** Index of the rule that decided; -1 when none matched. */
  rule: number
  level: number
  omitStages: number
  omitManagedFields: boolean
}

/** What the policy says of a request. */
export function decide(policy: Policy, request: RequestAttributes): Decision {
  for (const [index, rule] of policy.rules.entries()) {
    if (!matches(rule, request)) continue
    const { level, omitStages, omitManagedFields } = rule
    return { rule: index, level, omitStages, omitManagedFields }
  }
  const { omitStages, omitManagedFields } = policy
  return { rule: -1, level: LEVEL_NONE, omitStages, omitManagedFields }
}

/** The bit of a stage; 0 for one that does not exist, which no policy omits. */
export function stageBit(stage: string): number {
  const index = (STAGES as readonly string[]).indexOf(stage)
  return index < 0 ? 0 : 1 << index
}

function matches(rule: PolicyRule, request: RequestAttributes): boolean {
  const { user } = request
  if (rule.users.length > 0 && !(user !== null && rule.users.includes(user.name))) return false
  if (rule.userGroups.length > 0 && !user?.groups.some((group) => rule.userGroups.includes(group))) return false
  if (rule.verbs.length > 0 && !rule.verbs.includes(request.verb)) return false
  if (rule.namespaces.length > 0 || rule.resources.length > 0) return matchesResource(rule, request)
  if (rule.nonResourceURLs.length > 0) {
    return !request.isResource && rule.nonResourceURLs.some((pattern) => matchesPath(pattern, request.path))
  }
  return true
}

function matchesResource(rule: PolicyRule, request: RequestAttributes): boolean {
  if (!request.isResource) return false
  if (rule.namespaces.length > 0 && !rule.namespaces.includes(request.namespace)) return false
  if (rule.resources.length === 0) return true
  const { apiGroup, name } = request
  return rule.resources.some(({ group, resources, resourceNames }) => {
    if (group !== apiGroup && group !== '*') return false
    if (resources.length === 0) return true
    if (resourceNames.length > 0 && !resourceNames.includes(name)) return false
    return resources.some((pattern) => matchesOneResource(pattern, request.resource, request.subresource))
  })
}

/** Whether a pattern of a rule's `resources` matches. `pods` is not `pods/log`, and `pods/*` is `pods` as well as `pods/log`. */
export function matchesOneResource(pattern: string, resource: string, subresource: string): boolean {
  if (pattern === '*') return true
  if (pattern === (subresource === '' ? resource : `${resource}/${subresource}`)) return true
  if (subresource !== '' && pattern.startsWith('*/') && pattern.slice(2) === subresource) return true
  return pattern.endsWith('/*') && pattern.slice(0, -2) === resource
}

/** Whether a pattern of a rule's `nonResourceURLs` matches a path. */
export function matchesPath(pattern: string, path: string): boolean {
  if (pattern === '*' || pattern === path) return true
  return pattern.endsWith('*') && path.startsWith(pattern.replace(/\*+$/, ''))
}
