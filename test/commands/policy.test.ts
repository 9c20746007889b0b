import { test } from 'tap'
import { policy } from '../../src/commands/policy.ts'
import { fixtureLines } from '../audit/fixtures.ts'

const FIXTURES = new URL('../fixtures/audit/', import.meta.url).pathname

async function run(...args: string[]) {
  let stdout = ''
  let stderr = ''
  const code = await policy(args, { stdout: (text) => void (stdout += text), stderr: (text) => void (stderr += text) })
  return { code, stdout, stderr }
}

test('events and bytes by rule are those of the evaluator', async (t) => {
  const name = '02-first-match-no-catch-all'
  const log = `${FIXTURES}everything.log.gz`
  const { code, stdout } = await run('simulate', '--policy', `${FIXTURES}policies/${name}.yaml`, log, log)
  t.equal(code, 0)
  const rows = new Map(
    stdout
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => [line.split(/ +/)[0], line.split(/ +/).slice(2, 5).map(Number)]),
  )
  const decisions = fixtureLines(`policies/${name}.decisions.ndjson.gz`).map((line) => JSON.parse(line))
  const bytes = fixtureLines('everything.log.gz').reduce((sum, line) => sum + Buffer.byteLength(line), 0)
  for (let rule = -1; rule < 8; rule++) {
    const mine = decisions.filter((decision) => decision.rule === rule)
    const [kept = 0, trimmed = 0, dropped = 0] = rows.get(rule < 0 ? 'none' : String(rule)) ?? []
    const written = mine.filter((decision) => decision.written).length
    t.equal(kept + trimmed, 2 * written, `rule ${rule}: written`)
    t.equal(dropped, 2 * (mine.length - written), `rule ${rule}: dropped`)
  }
  t.match(stdout, new RegExp(`\nall +.* ${2 * bytes} +\\d+\n$`))
  t.match(stdout, /\n7 .*can never match\n/)
})

test('bad usage, policies and logs are told apart', async (t) => {
  t.match(await run(), { code: 2, stderr: /which one/ })
  t.match(await run('simulate', 'x.log'), { code: 2, stderr: /--policy FILE is missing/ })
  t.match(await run('simulate', '--policy', '/nothing', 'x.log'), {
    code: 2,
    stderr: /\/nothing: cannot be read: there is no such file/,
  })
  const good = `${FIXTURES}policies/05-paths.yaml`
  t.match(await run('simulate', '--policy', `${FIXTURES}invalid/no-level.yaml`, 'x.log'), {
    code: 2,
    stderr: /needs a level/,
  })
  t.match(await run('simulate', '--policy', good, '/nothing.log'), {
    code: 1,
    stderr: /\/nothing.log: there is no such file\n$/,
  })
  t.match(await run('simulate', '--policy', good, `${FIXTURES}policies/05-paths.yaml`), {
    code: 0,
    stdout: /lines are no audit events/,
  })
  t.match(await run('--help'), { code: 0, stdout: /Usage/ })
})
