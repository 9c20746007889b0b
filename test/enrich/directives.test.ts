// What pods may ask for, and what they ask for in vain.
import t from 'tap'
import { directivesOf, isDirective, keptDirectives, tenantsFor } from '../../src/enrich/directives.ts'

const nothing = { exclude: false, linesPerSecond: null, tenant: null, multiline: null, isJson: null }
const none = { ...nothing, problems: [] }

t.test('opt-outs', async (t) => {
  t.strictSame(directivesOf({}, 'app'), none)
  t.equal(directivesOf({ 'taffrail.dev/exclude': 'true' }, 'app').exclude, true)
  t.equal(directivesOf({ 'taffrail.dev/exclude.app': 'true' }, 'app').exclude, true)
  t.equal(directivesOf({ 'taffrail.dev/exclude.other': 'true' }, 'app').exclude, false)
  const both = { 'taffrail.dev/exclude': 'true', 'taffrail.dev/exclude.app': 'false' }
  t.equal(directivesOf(both, 'app').exclude, false, 'the more particular one counts')
  t.equal(directivesOf(both, 'other').exclude, true)
  t.equal(directivesOf({ 'fluentbit.io/exclude': 'true' }, 'app').exclude, true)
  t.equal(directivesOf({ 'fluentbit.io/exclude_app': 'true' }, 'app').exclude, true)
  t.equal(directivesOf({ 'vector.dev/exclude': 'true' }, 'app').exclude, true)
  const ours = { 'vector.dev/exclude': 'true', 'taffrail.dev/exclude': 'false' }
  t.equal(directivesOf(ours, 'app').exclude, false, 'ours comes first')
})

t.test('limits', async (t) => {
  t.equal(directivesOf({ 'taffrail.dev/rate-limit': '100' }, 'app').linesPerSecond, 100)
  const both = { 'taffrail.dev/rate-limit': '100', 'taffrail.dev/rate-limit.app': '5' }
  t.equal(directivesOf(both, 'app').linesPerSecond, 5)
  t.equal(directivesOf(both, 'other').linesPerSecond, 100)
})

t.test('tenants, as far as they are allowed', async (t) => {
  const allowed = tenantsFor('team-a', [
    { tenant: 'a', namespaces: ['team-*'] },
    { tenant: 'b', namespaces: ['b', 'team-a'] },
    { tenant: 'c', namespaces: ['team-ab'] },
  ])
  t.strictSame(allowed, ['a', 'b'])
  const both = { 'taffrail.dev/tenant': 'a', 'taffrail.dev/tenant.app': 'b' }
  t.equal(directivesOf(both, 'app', allowed).tenant, 'b')
  t.equal(directivesOf(both, 'other', allowed).tenant, 'a')
  t.match(directivesOf(both, 'app'), { tenant: null, problems: { length: 2 } }, 'none is allowed')
  for (const value of ['c', '', 'a|b', 'A', 'team-*']) {
    const { tenant, problems } = directivesOf({ 'taffrail.dev/tenant': value }, 'app', allowed)
    t.equal(tenant, null, value)
    t.match(problems, [{ annotation: 'taffrail.dev/tenant', problem: /does not let/ }])
  }
})

t.test('which lines are one record, and what they are', async (t) => {
  const of = (value: string) => directivesOf({ 'taffrail.dev/multiline': value }, 'app').multiline
  t.strictSame(of('java'), { preset: 'java' })
  t.strictSame(of('^\\d+'), { start: '^\\d+' })
  t.equal(of('none'), null)
  const both = { 'taffrail.dev/multiline': 'go', 'taffrail.dev/multiline.app': 'none' }
  t.equal(directivesOf(both, 'app').multiline, null)
  t.strictSame(directivesOf(both, 'other').multiline, { preset: 'go' })
  const parser = (value: string) => directivesOf({ 'taffrail.dev/parser.app': value }, 'app').isJson
  t.strictSame(['json', 'none', 'cri'].map(parser), [true, false, null])
})

t.test("what is a sink's matter is no mistake", async (t) => {
  t.strictSame(directivesOf({ 'taffrail.dev/json': 'true' }, 'app'), none)
})

t.test('what cannot be understood is as if it were absent, and told', async (t) => {
  for (const [annotation, value] of [
    ['taffrail.dev/exclude', 'yes'],
    ['taffrail.dev/exclude', ''],
    ['taffrail.dev/rate-limit', '0'],
    ['taffrail.dev/rate-limit', '1.5'],
    ['taffrail.dev/rate-limit', '99999999'],
    ['taffrail.dev/rate-limit.app', '10/s'],
    ['taffrail.dev/exlude', 'true'],
    ['taffrail.dev/multiline', 'perl'],
    ['taffrail.dev/multiline', ''],
    ['taffrail.dev/multiline.app', '^('],
    ['taffrail.dev/parser', 'logfmt'],
  ] as const) {
    const { problems, ...rest } = directivesOf({ [annotation]: value }, 'app')
    t.strictSame(rest, nothing, annotation)
    t.match(problems, [{ annotation }])
  }
  const half = directivesOf({ 'taffrail.dev/exclude.app': 'yes', 'taffrail.dev/exclude': 'true' }, 'app')
  t.equal(half.exclude, true, 'the one that can be understood counts')
})

t.test('which annotations are looked at', async (t) => {
  t.ok(isDirective('taffrail.dev/exclude.app', false))
  t.notOk(isDirective('fluentbit.io/exclude', false))
  t.ok(isDirective('fluentbit.io/exclude', true))
  t.notOk(isDirective('fluentbit.io/parser', true))
  t.notOk(isDirective('example.com/taffrail.dev', true))
})

t.test('of a pod that brings thousands only so much is kept, what may have a meaning first', async (t) => {
  const many: Record<string, string> = { 'taffrail.dev/multiline': `^${'x'.repeat(200_000)}` }
  for (let i = 0; i < 5000; i++) many[`taffrail.dev/a-${i}`] = 'x'.repeat(30)
  many['taffrail.dev/exclude.app'] = 'true'
  const kept = keptDirectives(many)
  t.ok(JSON.stringify(kept).length < 64 * 300)
  const { exclude, multiline, problems } = directivesOf(kept, 'app')
  t.equal(exclude, true)
  t.equal(multiline, null)
  t.match(
    problems.find(({ annotation }) => annotation === 'taffrail.dev/multiline'),
    { problem: /more than 256/ },
  )
  t.equal(problems.length, 63)
  t.strictSame(keptDirectives({ 'taffrail.dev/exclude': 'true' }), { 'taffrail.dev/exclude': 'true' })
})

t.test('a container looks at what is for it, not at what is for the 63 others', async (t) => {
  const many: Record<string, string> = {}
  for (let i = 0; i < 64; i++) many[`taffrail.dev/multiline.c${i}`] = `^(${i}`
  t.strictSame(directivesOf(many, 'app'), none)
  t.match(directivesOf(many, 'c7').problems, [{ annotation: 'taffrail.dev/multiline.c7' }])
})

t.test('of the patterns of a pod eight count', async (t) => {
  const many: Record<string, string> = { 'taffrail.dev/exclude': 'true', 'taffrail.dev/multiline.z': 'java' }
  for (let i = 10; i < 50; i++) many[`taffrail.dev/multiline.c${i}`] = `^${i}`
  t.strictSame(directivesOf(many, 'z').multiline, { preset: 'java' })
  t.strictSame(directivesOf(many, 'c17').multiline, { start: '^17' })
  const ninth = directivesOf(many, 'c18')
  t.equal(ninth.multiline, null)
  t.match(ninth.problems, [{ annotation: 'taffrail.dev/multiline.c18', problem: /more than the 8/ }])
})
