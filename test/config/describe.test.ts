// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are references to the environment, not templates.
import { deepStrictEqual } from 'node:assert/strict'
import t from 'tap'
import type { AuthConfig, Config, SinkConfig, SourceConfig, TlsConfig } from '../../src/config/config.ts'
import { formatConfigError } from '../../src/config/config-error.ts'
import { describeConfig } from '../../src/config/describe.ts'
import { loadConfig } from '../../src/config/load.ts'
import fc from '../support/properties.ts'

function load(text: string): Config {
  const result = loadConfig(text, { path: 'c.yaml', env: {}, hostname: 'host-1', cgroup: { memory: null, cpu: null } })
  if ('config' in result) return result.config
  throw new Error(`${result.errors.map(formatConfigError).join('\n')}\n${text}`)
}

t.test('every default is written out, in the units of people', async (t) => {
  const text = `
sources:
  - {name: c, type: containers}
  - {name: app, type: files, paths: [/logs/*.log], roots: [/logs]}
sinks:
  - {name: loki, type: loki, url: "http://loki:3100", labels: {version: 1.10}}
  - {name: out, type: stdout, sources: [app]}
server: off
`
  t.equal(
    describeConfig(load(text)),
    `clusterName: kubernetes
nodeName: host-1
stateDir: /var/lib/taffrail
kubernetes:
  metadata: auto
  metadataWait: 5s
  annotations:
    honour: true
    foreign: false
    exemptNamespaces: []
    tenants: []
  podLabels:
    - "*"
  podAnnotations: []
  namespaceLabels: []
sources:
  - name: c
    type: containers
    paths:
      - /var/log/containers/*.log
    exclude: []
    startAt: beginning
    startAgeMax: 168h
  - name: app
    type: files
    paths:
      - /logs/*.log
    exclude: []
    roots:
      - /logs
    startAt: beginning
    startAgeMax: off
sinks:
  - name: loki
    type: loki
    url: http://loki:3100/loki/api/v1/push
    sources:
      - c
      - app
    labels:
      version: "1.10"
    structuredMetadata:
      - pod_uid
    profile: default
    labelsFrom: {}
    lineBytesMax: 256Ki
    batchBytesMax: 1Mi
    batchAgeMax: 1s
    concurrency: 4
    requestTimeout: 30s
    retryDelayMin: 500ms
    retryDelayMax: 1m
  - name: out
    type: stdout
    sources:
      - app
    labels: {}
    format: raw
    lineBytesMax: 1Mi
limits:
  memory: 96Mi
  cpu: off
server: off
`,
  )
})

t.test('a long value stays on its line', async (t) => {
  const clusterName = 'a long name '.repeat(20).trim()
  const config = load(`sources: [{name: c, type: containers}]\nsinks: [{name: out, type: stdout}]`)
  t.match(describeConfig({ ...config, clusterName }), `clusterName: ${clusterName}\n`)
})

t.test('passwords and tokens are hidden, and nothing else', async (t) => {
  const described = (auth: string) => {
    const text = `sources: [{name: c, type: containers}]\nsinks: [{name: l, type: loki, url: "http://l", auth: ${auth}}]`
    return describeConfig(load(text)).match(/ {4}auth:\n((?: {6}.*\n)+)/)?.[1]
  }
  t.equal(
    described('{basic: {username: me, password: hunter2}}'),
    '      basic:\n        username: me\n        password: "***"\n',
  )
  t.equal(
    described('{basic: {username: me, passwordFile: /pw}}'),
    '      basic:\n        username: me\n        passwordFile: /pw\n',
  )
  t.equal(described('{bearer: {token: hunter2}}'), '      bearer:\n        token: "***"\n')
  t.equal(described('{bearer: {tokenFile: /token}}'), '      bearer:\n        tokenFile: /token\n')
})

const nullable = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null })
const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,62}$/)
const text = fc.oneof(
  fc.string({ minLength: 1, unit: 'grapheme' }),
  fc.constantFrom(
    'off',
    'true',
    '1.10',
    '${A}',
    '$${A}',
    '***',
    '*a',
    ' x ',
    '#',
    'a: b',
    'l1\nl2\n',
    '\t',
    'null',
    '~',
  ),
)
const path = text.filter((value) => !value.includes('\0')).map((value) => `/${value}`)
const paths = (minLength: number) => fc.uniqueArray(path, { minLength, maxLength: 3 })
const bytes = (min: number, max: number) => fc.integer({ min, max })
const delay = fc.integer({ min: 1, max: 3_600_000 })
const labels = fc.dictionary(
  fc.stringMatching(/^[a-z_][a-z0-9_]{0,9}$/).map((label) => `x_${label}`),
  text,
  { noNullPrototype: true },
)

const source: fc.Arbitrary<SourceConfig> = fc.record({
  name,
  type: fc.constantFrom('containers' as const, 'files' as const),
  paths: paths(1),
  exclude: paths(0),
  roots: nullable(paths(1)),
  startAt: fc.constantFrom('beginning' as const, 'end' as const),
  startAgeMax: nullable(fc.integer({ min: 1000, max: 87_600 * 3_600_000 })),
})

const auth: fc.Arbitrary<AuthConfig> = fc.oneof(
  fc.record({ basic: fc.record({ username: name, password: fc.constant('***') }) }),
  fc.record({ basic: fc.record({ username: name, passwordFile: path }) }),
  fc.record({ bearer: fc.record({ token: fc.constant('***') }) }),
  fc.record({ bearer: fc.record({ tokenFile: path }) }),
)
const tls: fc.Arbitrary<TlsConfig> = fc
  .tuple(
    fc.record({ caFile: path, serverName: name, insecureSkipVerify: fc.boolean() }, { requiredKeys: [] }),
    nullable(path),
  )
  .map(([rest, file]) => (file === null ? rest : { ...rest, certFile: file, keyFile: file }))

const lokiSink: fc.Arbitrary<SinkConfig> = fc
  .record({
    name,
    type: fc.constant('loki' as const),
    url: fc.constant('https://gw/tenant/loki/api/v1/push'),
    tenant: nullable(name),
    auth: nullable(auth),
    tls: nullable(tls),
    sources: fc.constant(null),
    labels,
    structuredMetadata: fc.subarray(['pod_uid', 'image', 'pod.labels.a/b']),
    profile: fc.constantFrom('default' as const, 'lowCardinality' as const),
    labelsFrom: fc.constantFrom<Record<string, string>>({}, { t_e_a_m: 'namespace.labels.team' }),
    lineBytesMax: bytes(1024, 2 ** 22),
    batchBytesMax: bytes(4096, 3_670_016),
    batchAgeMax: delay,
    concurrency: fc.integer({ min: 1, max: 64 }),
    requestTimeout: delay,
    retryDelayMin: delay,
    retryDelayMax: delay,
  })
  .map((sink) => ({
    ...sink,
    retryDelayMax: Math.max(sink.retryDelayMin, sink.retryDelayMax),
    labelsFrom: Object.keys(sink.labels).length > 5 ? {} : sink.labelsFrom,
  }))
const stdoutSink: fc.Arbitrary<SinkConfig> = fc.record({
  name,
  type: fc.constant('stdout' as const),
  sources: fc.constant(null),
  labels,
  format: fc.constantFrom('raw' as const, 'json' as const),
  lineBytesMax: bytes(1024, 2 ** 22),
})

const config: fc.Arbitrary<Config> = fc.record({
  clusterName: text,
  nodeName: text,
  stateDir: path,
  kubernetes: fc.record({
    metadata: fc.constantFrom('off' as const, 'auto' as const, { kubeconfig: '/etc/kubeconfig' }),
    metadataWait: fc.integer({ min: 0, max: 300_000 }),
    annotations: fc.record({
      honour: fc.boolean(),
      foreign: fc.boolean(),
      exemptNamespaces: fc.subarray(['kube-system', 'team-*']),
      tenants: fc.subarray([
        { tenant: 'team-a', namespaces: ['a-*', 'b'] },
        { tenant: 'team-b', namespaces: ['b'] },
      ]),
    }),
    podLabels: fc.subarray(['*', 'app.kubernetes.io/*', 'team']),
    podAnnotations: fc.subarray(['*', 'note']),
    namespaceLabels: fc.subarray(['env', 'team']),
  }),
  sources: fc.uniqueArray(source, { minLength: 1, maxLength: 3, selector: (item) => item.name }),
  sinks: fc
    .tuple(lokiSink, stdoutSink)
    .map((sinks) => sinks.map((sink, index) => ({ ...sink, name: `${sink.name.slice(0, 60)}-${index}` }))),
  limits: fc.record({
    memory: bytes(48 * 2 ** 20, 2 ** 31),
    cpu: fc.option(fc.integer({ min: 10, max: 256_000 })),
  }),
  server: fc.constantFrom(null, { listen: '[::]:9095' }),
})

t.test('a description can be read again and gives the same configuration', async () => {
  fc.assert(
    fc.property(config, (generated) => {
      const value = structuredClone(generated) // with ordinary prototypes
      const sources = value.sources.map((item) => item.name)
      const expected = { ...value, sinks: value.sinks.map((sink) => ({ ...sink, sources })) }
      deepStrictEqual(load(describeConfig(value)), expected)
    }),
    { numRuns: 300 },
  )
})
