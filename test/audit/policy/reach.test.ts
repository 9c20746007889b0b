import { test } from 'tap'
import { loadPolicy } from '../../../src/audit/policy/load.ts'
import { decide, type Policy, type RequestAttributes } from '../../../src/audit/policy/policy.ts'
import { deadRules } from '../../../src/audit/policy/reach.ts'
import fc from '../../support/properties.ts'

function policyOf(rules: object[]): Policy {
  const loaded = loadPolicy(JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules }), 'p')
  if (!('policy' in loaded)) throw new Error(JSON.stringify(loaded.errors))
  return loaded.policy
}

const found = (rules: object[]) => deadRules(policyOf(rules.map((rule) => ({ level: 'Metadata', ...rule }))))

function dead(...rules: object[]): number[] {
  return found(rules)
    .filter(({ isCertain }) => isCertain)
    .map(({ rule }) => rule)
}

function odd(...rules: object[]): number[] {
  return found(rules)
    .filter(({ isCertain }) => !isCertain)
    .map(({ rule }) => rule)
}

test('rules behind one that takes everything, or their part', (t) => {
  t.same(dead({}, { users: ['a'] }), [1])
  t.same(dead({ users: ['a', 'b'] }, { users: ['b'], verbs: ['get'] }, { users: ['b', 'c'] }), [1])
  t.same(dead({ users: ['a'] }, { users: ['b'] }, { users: ['a', 'b'] }), [2])
  t.same(dead({ resources: [{ group: '' }] }, { resources: [{ group: '', resources: ['pods'] }] }), [1])
  t.same(dead({ resources: [{ group: '', resources: ['pods'] }] }, { resources: [{ group: '' }] }), [])
  t.same(
    dead(
      { resources: [{ group: '', resources: ['*/status'] }] },
      { resources: [{ group: '', resources: ['pods/status'] }] },
    ),
    [1],
  )
  t.same(dead({ nonResourceURLs: ['/healthz*'] }, { nonResourceURLs: ['/healthz/ping', '/healthz/*'] }), [1])
  t.same(dead({ nonResourceURLs: ['*'] }, { resources: [{ group: '*' }] }, { verbs: ['get'] }), [2])
  t.same(dead({ namespaces: ['a'] }, { resources: [{ group: '' }] }), [])
  t.end()
})

test('rules that no request is like', (t) => {
  t.same(dead({ verbs: ['*'] }), [0])
  t.same(dead({ resources: [{ group: '' }], verbs: ['post'] }), [0])
  t.same(dead({ resources: [{ group: '', resources: ['pod*'] }] }), [0])
  t.end()
})

// The API server answers LIST /healthz with 200, and writes the event of POST /api/v1/namespaces/n/pods/a, which it refuses.
test('rules that only odd requests are like', (t) => {
  const named = { group: '', resources: ['pods'], resourceNames: ['a'] }
  for (const rule of [
    { nonResourceURLs: ['/x'], verbs: ['list', 'create'] },
    { resources: [named], verbs: ['create'] },
  ]) {
    t.same(odd(rule), [0])
    t.same(dead(rule), [])
  }
  t.same(odd({ nonResourceURLs: ['/x'], verbs: ['list', 'get'] }), [])
  t.same(odd({ resources: [named], verbs: ['create', 'get'] }), [])
  t.same(dead({ nonResourceURLs: ['*'] }, { nonResourceURLs: ['/x'], verbs: ['list'] }), [1])
  t.end()
})

test('a rule that is called dead decides nothing', (t) => {
  const some = (values: string[]) => fc.uniqueArray(fc.constantFrom(...values), { maxLength: 2 })
  const resources = fc.array(
    fc
      .record({
        group: fc.constantFrom('', 'apps', '*'),
        resources: some(['pods', 'pods/log', 'pods/*', '*/log', '*']),
        resourceNames: some(['x', 'y']),
      })
      // Names without a resource are refused.
      .map((each) => (each.resources.length === 0 ? { ...each, resourceNames: [] } : each)),
    { maxLength: 2 },
  )
  const common = {
    level: fc.constant('Metadata'),
    users: some(['a', 'b']),
    userGroups: some(['g', 'h']),
    verbs: some(['get', 'list', 'create']),
  }
  const rule = fc.oneof(
    fc.record({ ...common, resources, namespaces: some(['n', '']) }),
    fc.record({ ...common, nonResourceURLs: some(['/a', '/a*', '*', '/b/*']) }),
  )
  const request = fc.record({
    user: fc.option(fc.record({ name: fc.constantFrom('a', 'b', 'c'), groups: some(['g', 'h', 'i']) })),
    verb: fc.constantFrom('get', 'list', 'create'),
    path: fc.constantFrom('/a', '/ab', '/b/c', '/c'),
    isResource: fc.boolean(),
    namespace: fc.constantFrom('n', '', 'm'),
    apiGroup: fc.constantFrom('', 'apps', 'batch'),
    resource: fc.constantFrom('pods', 'nodes'),
    subresource: fc.constantFrom('', 'log', 'status'),
    name: fc.constantFrom('', 'x'),
  })
  fc.assert(
    fc.property(
      fc.array(rule, { minLength: 1, maxLength: 6 }),
      fc.array(request, { minLength: 40, maxLength: 40 }),
      (rules, requests) => {
        const policy = policyOf(rules)
        const gone = new Set(deadRules(policy).flatMap(({ rule, isCertain }) => (isCertain ? [rule] : [])))
        return requests.every((each: RequestAttributes) => !gone.has(decide(policy, each).rule))
      },
    ),
    { numRuns: 300 },
  )
  t.end()
})
