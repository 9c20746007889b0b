import { test } from 'tap'
import { loadPolicy } from '../../../src/audit/policy/load.ts'
import { formatConfigError } from '../../../src/config/config-error.ts'
import { fixture } from '../fixtures.ts'

function answer(text: string): { errors: string[]; warnings: string[] } {
  const loaded = loadPolicy(text, 'p.yaml')
  const errors = 'errors' in loaded ? loaded.errors : []
  return { errors: errors.map(formatConfigError), warnings: loaded.warnings.map(formatConfigError) }
}

const HEAD = 'apiVersion: audit.k8s.io/v1\nkind: Policy\n'

test('several errors are all named, each with its place', (t) => {
  t.same(answer(fixture('invalid/several-errors.yaml').toString()), {
    errors: [
      'p.yaml:4:13: omitStages[0]: expected one of RequestReceived, ResponseStarted, ResponseComplete, Panic, found "Nope"',
      'p.yaml:5:17: rules[0].level: expected one of None, Metadata, Request, RequestResponse, found "metadata"; did you mean Metadata?',
      'p.yaml:5:66: rules[1].resources[0].group: expected a group, found "Apps"',
    ],
    warnings: [],
  })
  t.end()
})

test('an unknown field is a warning that names the nearest one', (t) => {
  t.same(answer(`${HEAD}rules: [{level: Metadata, verb: [get]}]`), {
    errors: [],
    warnings: ['p.yaml:3:27: rules[0].verb: unknown field, which is ignored; did you mean verbs?'],
  })
  t.end()
})

test('what is no string, list, mapping or boolean where one is needed is refused', (t) => {
  const cases: [string, string][] = [
    [
      'rules: [{level: Metadata, users: [on]}]',
      'rules[0].users[0]: expected a string, found the boolean on; write it in quotes',
    ],
    [
      'rules: [{level: Metadata, users: [5]}]',
      'rules[0].users[0]: expected a string, found the number 5; write it in quotes',
    ],
    ['rules: [{level: Metadata, users: alice}]', 'rules[0].users: expected a list, found "alice"'],
    ['rules: {level: Metadata}', 'rules: expected a list, found a mapping'],
    [
      'rules: [{level: Metadata, omitManagedFields: "true"}]',
      'rules[0].omitManagedFields: expected true or false, found "true"',
    ],
    ['rules: [Metadata]', 'rules[0]: expected a mapping, found "Metadata"'],
  ]
  for (const [text, message] of cases) t.match(answer(HEAD + text).errors[0], message, text)
  t.match(answer('just text').errors[0], 'p.yaml:1:1: expected a policy')
  t.match(answer('').errors[0], 'p.yaml:1:1: expected a policy')
  t.match(answer('a: [').errors.length > 0, true)
  t.end()
})

test('JSON is read too, null is nothing, and a second document is ignored', (t) => {
  t.same(answer('{"apiVersion":"audit.k8s.io/v1","rules":[{"level":"None","users":null}]}').errors, [])
  t.match(answer(`${HEAD}rules: [{level: None}]\n---\nx: 1\n`), { errors: [], warnings: [/ignored/] })
  t.end()
})
