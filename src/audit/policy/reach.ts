// Which rules of a policy can never decide anything: because no request is like that (a verb that no resource has, a
// pattern that matches nothing), or because rules before them take all that they would; and which match only requests that
// clients can make and do not (LIST /healthz; POST to a pod that has a name). Pure. It never calls a rule dead that is not; a
// rule that is dead for a deeper reason may go unnoticed.
import { matchesOneResource, matchesPath, type Policy, type PolicyRule } from './policy.ts'

export interface DeadRule {
  rule: number
  /** In words, for people. */
  reason: string
  /** False: requests may be like that, but no client in its right mind sends them. */
  isCertain: boolean
}

/** Products of lists larger than this are not looked through. */
const ATOMS_MAX = 20_000

const RESOURCE_VERBS = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection', 'proxy', '']
/** Verbs of requests whose URL has no name. */
const NAMELESS_VERBS = ['deletecollection']

/** Part of what a rule matches: one of each list, null where the rule has none. */
interface Atom {
  user: string | null
  group: string | null
  verb: string | null
  namespace: string | null
  target: Target
}

type Target =
  | { kind: 'resource'; group: string; resource: string | null; name: string | null }
  | { kind: 'path'; pattern: string }

/** The rules that can never match, and those that only odd requests do, in order. */
export function deadRules(policy: Policy): DeadRule[] {
  const dead: DeadRule[] = []
  for (const [index, rule] of policy.rules.entries()) {
    const atoms = atomsOf(rule)
    if (atoms === null) continue
    const alive = atoms.filter((atom) => whyImpossible(atom) === null)
    if (alive.length === 0) {
      const reason = atoms.map(whyImpossible).find((each) => each !== null) ?? 'it matches no request'
      dead.push({ rule: index, reason, isCertain: true })
      continue
    }
    const takers = new Set<number>()
    const isTaken = alive.every((atom) => {
      const taker = policy.rules.findIndex((earlier, at) => at < index && covers(earlier, atom))
      if (taker >= 0) takers.add(taker)
      return taker >= 0
    })
    const odd = alive.map(whyOdd)
    if (isTaken) {
      const reason = `${rulesText([...takers])} before it already match all that it would`
      dead.push({ rule: index, reason, isCertain: true })
    } else if (odd.every((each) => each !== null))
      dead.push({ rule: index, reason: odd[0] as string, isCertain: false })
  }
  return dead
}

function rulesText(rules: number[]): string {
  const names = rules.sort((a, b) => a - b).map((rule) => `rules[${rule}]`)
  return names.length > 6 ? `${names.slice(0, 6).join(', ')} and others` : names.join(', ')
}

function atomsOf(rule: PolicyRule): Atom[] | null {
  const users = orNull(rule.users)
  const groups = orNull(rule.userGroups)
  const verbs = orNull(rule.verbs)
  const namespaces = orNull(rule.namespaces)
  const targets = targetsOf(rule)
  if (users.length * groups.length * verbs.length * namespaces.length * targets.length > ATOMS_MAX) return null
  return users.flatMap((user) =>
    groups.flatMap((group) =>
      verbs.flatMap((verb) =>
        namespaces.flatMap((namespace) => targets.map((target) => ({ user, group, verb, namespace, target }))),
      ),
    ),
  )
}

function orNull(list: readonly string[]): readonly (string | null)[] {
  return list.length === 0 ? [null] : list
}

function targetsOf(rule: PolicyRule): Target[] {
  if (rule.nonResourceURLs.length > 0) return rule.nonResourceURLs.map((pattern) => ({ kind: 'path', pattern }))
  const anything: Target = { kind: 'resource', group: '*', resource: null, name: null }
  if (rule.resources.length === 0) {
    return rule.namespaces.length > 0 ? [anything] : [anything, { kind: 'path', pattern: '*' }]
  }
  return rule.resources.flatMap(({ group, resources, resourceNames }) =>
    orNull(resources).flatMap((resource) =>
      orNull(resourceNames).map((name): Target => ({ kind: 'resource', group, resource, name })),
    ),
  )
}

/** Why no request is like that; null when there may be one. */
function whyImpossible({ user, group, verb, namespace, target }: Atom): string | null {
  if (user === '*' || group === '*' || verb === '*' || namespace === '*') {
    return '"*" is a name like others in users, userGroups, verbs and namespaces; leave the list out to match all'
  }
  // Its verb is whatever method a client sends, in lower case: the API server answers LIST /healthz with 200.
  if (target.kind === 'path') return null
  if (verb !== null && !RESOURCE_VERBS.includes(verb)) return `no resource has the verb "${verb}"`
  const { resource, name } = target
  if (resource !== null && !isPossibleResource(resource)) {
    return `"${resource}" matches no resource; there are "*", "pods", "pods/log", "pods/*" and "*/status"`
  }
  if (name !== null && name !== '' && verb !== null && NAMELESS_VERBS.includes(verb)) return `${verb} has no name`
  return null
}

/** Why no usual request is like that; null when some are. */
function whyOdd({ verb, target }: Atom): string | null {
  if (target.kind === 'path') {
    const isResourceVerb = verb !== null && RESOURCE_VERBS.includes(verb) && !['get', 'patch', 'delete'].includes(verb)
    return isResourceVerb
      ? `the verb of a path is its HTTP method in lower case, and no usual client sends "${verb.toUpperCase()}"`
      : null
  }
  const { resource, name } = target
  if (name !== null && name !== '' && verb === 'create' && resource !== null && !/[/*]/.test(resource)) {
    return `a create of ${resource} has its name in the body, where no rule looks; the URL has none, but in requests that are refused`
  }
  return null
}

/** Lower-case words: `pods`, `pods/log`, `pods/*`, a final part of any kind (any `status`), `*`. Odd ones may exist and are let through. */
function isPossibleResource(pattern: string): boolean {
  if (pattern === '*') return true
  if (pattern === '*/*' || pattern === '' || pattern.startsWith('/')) return false
  const [resource = '', ...rest] = pattern.split('/')
  if (resource !== '*' && (resource.includes('*') || /[A-Z]/.test(resource))) return false
  const subresource = rest.join('/')
  return subresource === '' ? rest.length === 0 : subresource === '*' || !subresource.includes('*')
}

/** Whether a rule matches every request that is like the atom. */
function covers(rule: PolicyRule, atom: Atom): boolean {
  if (!holds(rule.users, atom.user) || !holds(rule.userGroups, atom.group) || !holds(rule.verbs, atom.verb))
    return false
  const { target } = atom
  if (rule.nonResourceURLs.length > 0) {
    return target.kind === 'path' && rule.nonResourceURLs.some((pattern) => coversPath(pattern, target.pattern))
  }
  if (rule.namespaces.length === 0 && rule.resources.length === 0) return true
  if (target.kind === 'path' || !holds(rule.namespaces, atom.namespace)) return false
  if (rule.resources.length === 0) return true
  return rule.resources.some(({ group, resources, resourceNames }) => {
    if (group !== '*' && group !== target.group) return false
    if (resources.length === 0) return true
    if (!holds(resourceNames, target.name)) return false
    return resources.some((pattern) => coversResource(pattern, target.resource))
  })
}

function holds(list: readonly string[], value: string | null): boolean {
  return list.length === 0 || (value !== null && list.includes(value))
}

function coversPath(pattern: string, other: string): boolean {
  if (other === '*') return pattern === '*'
  return other.endsWith('*')
    ? pattern === '*' || (pattern.endsWith('*') && matchesPath(pattern, other))
    : matchesPath(pattern, other)
}

function coversResource(pattern: string, other: string | null): boolean {
  if (pattern === '*' || pattern === other) return true
  if (other === null || other === '*' || other.startsWith('*/')) return false
  const [resource = '', subresource = ''] = other.split('/')
  return subresource === '*' ? pattern === `${resource}/*` : matchesOneResource(pattern, resource, subresource)
}
