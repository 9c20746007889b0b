// Audit sources in a configuration: what holds by default, and that their events go apart from all others.
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { check } from '../../src/commands/check.ts'
import { loadConfig } from '../../src/config/load.ts'

const MACHINE = { env: {}, hostname: 'host', cgroup: { memory: null, cpu: null } }
const LOKI = '{name: loki, type: loki, url: "http://l:3100"'

function load(text: string) {
  return loadConfig(text, { path: 'c.yaml', ...MACHINE })
}

t.test('redaction is on unless it is turned off', async (t) => {
  const source = (more: string) => {
    const loaded = load(`sources: [{name: a, type: audit, paths: [/a.log]${more}}]\nsinks: [${LOKI}}]`)
    return 'config' in loaded ? loaded.config.sources[0] : loaded.errors
  }
  t.match(source(''), {
    type: 'audit',
    format: 'json',
    policyFile: null,
    redaction: { keyFile: null },
    startAgeMax: null,
  })
  t.match(source(', redaction: off'), { redaction: null })
})

t.test('a Loki sink that takes audit events takes nothing else', async (t) => {
  const sources = 'sources: [{name: a, type: audit, paths: [/a.log]}, {name: c, type: containers}]\n'
  const errors = (sinks: string) => {
    const loaded = load(`${sources}sinks: [${sinks}]`)
    return 'errors' in loaded ? loaded.errors.map(({ key }) => key) : []
  }
  t.strictSame(errors(`${LOKI}}`), ['sinks[0]'])
  t.strictSame(errors(`${LOKI}, sources: [a, c]}`), ['sinks[0].sources'])
  const own = '{name: audit, type: loki, url: "http://l:3100", tenant: audit, sources: [a]}'
  t.strictSame(errors(`${LOKI}, sources: [c]}, ${own}`), [])
  t.strictSame(errors('{name: out, type: stdout}'), [])
})

t.test('no pod may name the tenant of audit events', async (t) => {
  const sources = 'sources: [{name: a, type: audit, paths: [/a.log]}, {name: c, type: containers}]\n'
  const own = '{name: audit, type: loki, url: "http://l:3100", tenant: audit, sources: [a]}'
  const errors = (tenants: string) => {
    const loaded = load(
      `${sources}sinks: [${LOKI}, sources: [c]}, ${own}]\nkubernetes: {annotations: {tenants: [${tenants}]}}`,
    )
    return 'errors' in loaded ? loaded.errors.map(({ key, message }) => `${key}: ${message}`) : []
  }
  t.strictSame(errors('{tenant: team, namespaces: [a, "b-*"]}'), [])
  t.match(errors('{tenant: team, namespaces: [a]}, {tenant: audit, namespaces: [a]}'), [
    /^kubernetes\.annotations\.tenants\[1\]\.tenant: audit is the tenant of the sink audit, which takes an audit source/,
  ])
  t.match(errors('{tenant: "a|b", namespaces: [a]}, {tenant: b, namespaces: []}'), [
    /a tenant of at most/,
    /namespaces/,
  ])
})

t.test('check reads the policies: errors refuse the configuration, all else is a warning', async (t) => {
  const directory = t.testdir({})
  const run = async (policy: string) => {
    writeFileSync(`${directory}/policy.yaml`, policy)
    const config = `sources: [{name: a, type: audit, paths: [/a.log], policyFile: ${directory}/policy.yaml}]\nsinks: [{name: out, type: stdout}]\n`
    writeFileSync(`${directory}/config.yaml`, config)
    let stderr = ''
    const io = { stdout() {}, stderr: (text: string) => void (stderr += text), env: {} }
    const code = await check(['--config', `${directory}/config.yaml`], io)
    return { code, stderr: stderr.replaceAll(directory, '') }
  }
  const head = 'apiVersion: audit.k8s.io/v1\nkind: Policy\n'
  t.match(await run(`${head}rules: [{level: All}]\n`), {
    code: 2,
    stderr: /^\/policy.yaml:3:17: rules\[0\].level: expected one of None/,
  })
  t.strictSame(await run(`${head}rules: [{level: Metadata}]\n`), { code: 0, stderr: '' })
  t.match(await run(`${head}rules:\n- {level: Metadata, verb: [get]}\n- {level: None, users: [a]}\n`), {
    code: 0,
    stderr:
      /^warning: \/policy.yaml:4:21: rules\[0\].verb: unknown field, which is ignored; did you mean verbs\?\nwarning: \/policy.yaml:5:3: rules\[1\]: this rule can never match: rules\[0\] before it/,
  })
})
