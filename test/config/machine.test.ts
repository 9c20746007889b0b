// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are references to the environment, not templates.
import { chmodSync } from 'node:fs'
import { hostname } from 'node:os'
import t from 'tap'
import { cgroupLimits } from '../../src/config/cgroup.ts'
import { formatConfigError } from '../../src/config/config-error.ts'
import { loadConfigFile } from '../../src/config/load.ts'
import { fileProblem, thisMachine } from '../../src/config/machine.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'

t.test('this machine', async (t) => {
  const machine = thisMachine({ A: 'b' })
  t.same(machine.env, { A: 'b' })
  t.equal(machine.hostname, hostname())
  t.same(machine.cgroup, cgroupLimits(realFileSystem.reads))
})

t.test('files that can and cannot be read', async (t) => {
  const dir = t.testdir({ file: '', link: t.fixture('symlink', 'file'), dangling: t.fixture('symlink', 'none') })
  t.equal(fileProblem(`${dir}/file`), null)
  t.equal(fileProblem(`${dir}/link`), null)
  t.equal(fileProblem(`${dir}/none`), 'there is no such file')
  t.equal(fileProblem(`${dir}/dangling`), 'there is no such file')
  t.equal(fileProblem(`${dir}/file/below`), 'there is no such file')
  t.equal(fileProblem(dir), 'it is a directory')
})

t.test('a configuration file', async (t) => {
  const good = 'nodeName: ${NODE}\nsources: [{name: c, type: containers}]\nsinks: [{name: out, type: stdout}]\n'
  const dir = t.testdir({
    'good.yaml': good,
    'large.yaml': `${good}#${' '.repeat(1024 * 1024)}`,
    'latin1.yaml': Buffer.from('clusterName: M\xfcnchen\n', 'latin1'),
    'bad.yaml': `sources: [{name: c, type: containers}]
sinks:
  - name: l
    type: loki
    url: https://l
    tls:
      caFile: /none/ca
`,
  })
  const load = (path: string, env: NodeJS.ProcessEnv = { NODE: 'n1' }) => loadConfigFile(path, env)
  const errors = (path: string) => {
    const result = load(path)
    return 'errors' in result ? result.errors.map(formatConfigError) : []
  }
  t.match(load(`${dir}/good.yaml`), { config: { nodeName: 'n1' } })
  t.match(load(`${dir}/good.yaml`, {}), { errors: [{ message: 'the environment variable NODE is not set' }] })
  t.same(errors(`${dir}/none.yaml`), [`${dir}/none.yaml: cannot be read: there is no such file`])
  t.same(errors(dir), [`${dir}: cannot be read: it is a directory`])
  t.same(errors(`${dir}/large.yaml`), [`${dir}/large.yaml: is larger than 1Mi, and so no configuration`])
  t.same(errors('/dev/zero'), ['/dev/zero: is larger than 1Mi, and so no configuration'])
  t.same(errors(`${dir}/latin1.yaml`), [`${dir}/latin1.yaml: is not UTF-8`])
  t.same(errors(`${dir}/bad.yaml`), [
    `${dir}/bad.yaml:7:15: sinks[0].tls.caFile: cannot read /none/ca: there is no such file`,
  ])
})

t.test('permission', async (t) => {
  const dir = t.testdir({ file: '' })
  chmodSync(`${dir}/file`, 0)
  // Root may read everything: for this one call the process is nobody.
  const root = process.getuid?.() === 0
  if (root) process.seteuid?.(65_534)
  const problem = fileProblem(`${dir}/file`)
  if (root) process.seteuid?.(0)
  t.equal(problem, 'permission denied')
})
