// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are references to the environment, not templates.
import t from 'tap'
import { check } from '../../src/commands/check.ts'

async function run(args: string[], env: NodeJS.ProcessEnv = {}) {
  let stdout = ''
  let stderr = ''
  const code = await check(args, {
    stdout: (text) => {
      stdout += text
    },
    stderr: (text) => {
      stderr += text
    },
    env,
  })
  return { code, stdout, stderr }
}

const GOOD = `sources: [{name: c, type: containers}]
sinks:
  - name: loki
    type: loki
    url: http://loki:3100
    auth: {basic: {username: me, password: "\${PW}"}}
`

t.test('a good configuration is printed whole, without its secrets', async (t) => {
  const file = `${t.testdir({ 'taffrail.yaml': GOOD })}/taffrail.yaml`
  for (const args of [['--config', file], [`--config=${file}`], ['-c', file]]) {
    const { code, stdout, stderr } = await run(args, { PW: 'hunter2', NODE_NAME: 'n1' })
    t.same([code, stderr], [0, ''])
    t.match(stdout, /^nodeName: n1 # from NODE_NAME$/m)
    t.match(stdout, /^ {2}memory: \S+ # from /m)
    t.match(stdout, /^ {2}cpu: \S+ # from /m)
    t.match(stdout, /^ {4}batchBytesMax: 1Mi$/m)
    t.match(stdout, /^ {8}password: "\*\*\*"$/m)
    t.notMatch(stdout, /hunter2/)
  }
})

t.test('what is printed is a good configuration itself', async (t) => {
  const first = await run(['-c', `${t.testdir({ 'a.yaml': GOOD })}/a.yaml`], { PW: 'hunter2', NODE_NAME: 'n1' })
  const second = await run(['-c', `${t.testdir({ 'b.yaml': first.stdout })}/b.yaml`])
  t.notMatch(second.stdout, / # from /, 'now all of it is given')
  t.same(second.stdout, first.stdout.replace(/ # from .*$/gm, ''))
  t.same([second.code, second.stderr], [0, ''])
})

t.test('all errors go to stderr, with their number', async (t) => {
  const dir = t.testdir({
    'two.yaml': GOOD.replace('url:', 'batchByteMax: 1Mi\n    url:'),
    'one.yaml': GOOD.replace('password: "${PW}"', 'passwordFile: /none/pw'),
  })
  t.same(await run(['-c', `${dir}/two.yaml`]), {
    code: 2,
    stdout: '',
    stderr: `${dir}/two.yaml:5:5: sinks[0].batchByteMax: unknown key; did you mean batchBytesMax?
${dir}/two.yaml:7:44: sinks[0].auth.basic.password: the environment variable PW is not set
2 errors in ${dir}/two.yaml
`,
  })
  t.same(await run(['-c', `${dir}/one.yaml`]), {
    code: 2,
    stdout: '',
    stderr: `${dir}/one.yaml:6:48: sinks[0].auth.basic.passwordFile: cannot read /none/pw: there is no such file
1 error in ${dir}/one.yaml
`,
  })
})

t.test('a file that cannot be read is one line', async (t) => {
  const dir = t.testdir({})
  t.same(await run(['-c', `${dir}/none.yaml`]), {
    code: 2,
    stdout: '',
    stderr: `${dir}/none.yaml: cannot be read: there is no such file\n`,
  })
  t.same(await run(['-c', dir]), { code: 2, stdout: '', stderr: `${dir}: cannot be read: it is a directory\n` })
})

t.test('usage', async (t) => {
  const help = await run(['--help'])
  t.same([help.code, help.stderr], [0, ''])
  t.match(help.stdout, /^Usage: taffrail check --config FILE \[--connect\]\n/)
  const table: [string[], string][] = [
    [[], 'taffrail check: --config FILE is missing\n'],
    [['--config='], 'taffrail check: --config FILE is missing\n'],
    [['--config'], "taffrail check: Option '-c, --config <value>' argument missing\n"],
    [['--verbose'], "taffrail check: Unknown option '--verbose'\n"],
    [['file.yaml'], "taffrail check: Unexpected argument 'file.yaml'."],
  ]
  for (const [args, beginning] of table) {
    const { code, stdout, stderr } = await run(args)
    t.same([code, stdout], [2, ''], args.join(' '))
    t.ok(stderr.startsWith(beginning), stderr)
    t.ok(stderr.endsWith(help.stdout), 'the usage follows')
  }
})
