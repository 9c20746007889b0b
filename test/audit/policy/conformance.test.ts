// Held against the API server's own evaluator: its decision for each event of two logs under eight policies, its verdict
// on invalid policies, and what a real server wrote under each policy.
import { test } from 'tap'
import { loadPolicy } from '../../../src/audit/policy/load.ts'
import { decide, LEVELS, type Policy, STAGES, stageBit } from '../../../src/audit/policy/policy.ts'
import { requestTarget } from '../../../src/audit/policy/request.ts'
import { fixture, fixtureLines, fixtureNames } from '../fixtures.ts'

interface Event {
  auditID: string
  stage: string
  requestURI: string
  verb: string
  user: { username?: string; groups?: string[] }
}

const POLICIES = fixtureNames('policies/', '.yaml').map((name) => name.replace('.yaml', ''))

function policyNamed(name: string): Policy {
  const loaded = loadPolicy(fixture(`policies/${name}.yaml`).toString(), name)
  if (!('policy' in loaded)) throw new Error(JSON.stringify(loaded.errors))
  return loaded.policy
}

function decisionOf(policy: Policy, event: Event) {
  const { username = '', groups = [] } = event.user
  const target = requestTarget(event.requestURI, event.verb)
  if (target === null) throw new Error(`no request: ${event.requestURI}`)
  const user = username === '' && groups.length === 0 ? null : { name: username, groups }
  const { rule, level, omitStages, omitManagedFields } = decide(policy, { user, verb: event.verb, ...target })
  const stages = STAGES.filter((stage) => (omitStages & stageBit(stage)) !== 0).sort()
  const written = level > 0 && (omitStages & stageBit(event.stage)) === 0
  const { auditID, stage } = event
  return { auditID, stage, level: LEVELS[level], omitStages: stages, omitManagedFields, rule, written }
}

for (const [log, directory] of [
  ['everything.log.gz', 'policies'],
  ['server/everything.log.gz', 'server'],
] as const) {
  const events: Event[] = fixtureLines(log).map((line) => JSON.parse(line))
  for (const name of POLICIES) {
    test(`${directory} ${name}: every decision is the evaluator's`, (t) => {
      const policy = policyNamed(name)
      const expected = fixtureLines(`${directory}/${name}.decisions.ndjson.gz`).map((line) => JSON.parse(line))
      t.equal(expected.length, events.length)
      const wrong = events.flatMap((event, index) => {
        const found = decisionOf(policy, event)
        return JSON.stringify(found) === JSON.stringify(expected[index])
          ? []
          : [{ event, found, expected: expected[index] }]
      })
      t.same(wrong.slice(0, 3), [])
      t.end()
    })
  }
}

test('invalid policies are refused, and misspelt ones warned of, as by the API server', (t) => {
  const answers = fixtureLines('invalid/answers.tsv').map((line) => line.split('\t') as [string, string, string])
  t.equal(answers.length, 15)
  for (const [name, verdict, words] of answers) {
    const loaded = loadPolicy(fixture(`invalid/${name}.yaml`).toString(), name)
    t.equal('errors' in loaded, verdict === 'refused', name)
    if (verdict === 'accepted') t.equal(loaded.warnings.length > 0, (words ?? '') !== '', `${name}: warnings`)
  }
  t.end()
})
