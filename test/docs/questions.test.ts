// The questions that the README asks of an audit log: their answers are those of the captured log, to the letter, and say
// what the log says when it is asked in another way.
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { fixture, fixtureLines } from '../audit/fixtures.ts'
import { run } from '../audit/view/rig.ts'

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const SECTION = README.slice(README.indexOf('## Ask the audit log'))
const QUESTIONS = [...SECTION.matchAll(/^ {4}\$ taffrail audit audit\.log (.*)\n((?: {4}.*\n)*)/gm)].map((match) => ({
  args: [...match[1]!.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!),
  answer: match[2]!.replace(/^ {4}/gm, ''),
}))

// biome-ignore lint/suspicious/noExplicitAny: events as they were captured
const EVENTS: any[] = fixtureLines('recommended.log.gz')
  .map((line) => JSON.parse(line))
  .filter((each) => each.stage === 'ResponseComplete')

test('each question has the answer that is written below it', async (t) => {
  t.equal(QUESTIONS.length, 5)
  for (const { args, answer } of QUESTIONS) {
    const ran = await run(args, { stdin: [fixture('recommended.log.gz')] })
    t.match(ran, { code: 0, stderr: '' })
    t.equal(ran.stdout, answer, args.join(' '))
  }
})

test('and it is what the log says', async (t) => {
  const answers = QUESTIONS.map(({ answer }) => answer)
  const deleted = EVENTS.filter(
    (e) =>
      /^delete/.test(e.verb) &&
      /^(deployments|namespaces)$/.test(e.objectRef?.resource) &&
      e.objectRef.namespace === 'doomed-a',
  )
  t.equal(deleted.length, 2)
  for (const e of deleted) t.ok(answers[0]!.includes(` ${e.user.username} `) && answers[0]!.includes(` ${e.verb} `))
  const read = EVENTS.filter(
    (e) => e.objectRef?.resource === 'secrets' && /^(get|list|watch)$/.test(e.verb) && e.responseStatus.code < 300,
  )
  t.match(answers[1], new RegExp(`\n${read.length} requests`))
  for (const e of read) t.ok(answers[1]!.includes(` ${e.user.username} `))
  const denied = EVENTS.filter((e) => e.user.username === 'mallory' && e.responseStatus.code === 403).map((e) =>
    Date.parse(e.stageTimestamp),
  )
  const peak = Math.max(...denied.map((from) => denied.filter((at) => at >= from && at < from + 60_000).length))
  t.match(answers[2], new RegExp(`\n +${denied.length} +${peak} +mallory `))
  const shells = EVENTS.filter((e) => /^(exec|attach)$/.test(e.objectRef?.subresource) && e.responseStatus.code < 300)
  t.equal(answers[3]!.split('\n').length - 2, shells.length)
  t.match(answers[3], /\$ sh -c 'cat \/etc\/shadow'/)
  const roles = EVENTS.filter(
    (e) =>
      e.objectRef?.apiGroup === 'rbac.authorization.k8s.io' &&
      /^(create|update|patch|delete|deletecollection)$/.test(e.verb) &&
      e.responseStatus.code < 400 &&
      !e.user.username.startsWith('system:'),
  )
  t.ok(roles.length > 5)
  t.match(answers[4], new RegExp(`\n${roles.length} requests`))
})
