// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are references to the environment, not templates.

import t from 'tap'
import type { Config, LokiSinkConfig } from '../../src/config/config.ts'
import { formatConfigError } from '../../src/config/config-error.ts'
import { parseListen } from '../../src/config/formats.ts'
import { type LoadOptions, loadConfig } from '../../src/config/load.ts'
import fc from '../support/properties.ts'

const MACHINE: LoadOptions = { path: 'taffrail.yaml', env: {}, hostname: 'host-1', cgroup: { memory: null, cpu: null } }

function load(text: string, options: Partial<LoadOptions> = {}): Config {
  const result = loadConfig(text, { ...MACHINE, ...options })
  if ('config' in result) return result.config
  throw new Error(result.errors.map(formatConfigError).join('\n'))
}

/** A configuration with one Loki sink that has `lines` besides. */
function loki(lines: string, url = 'http://loki:3100'): string {
  return `sources: [{name: c, type: containers}]\nsinks:\n  - name: loki\n    type: loki\n    url: ${url}\n    ${lines}\n`
}

function lokiSink(lines: string, url?: string, env: NodeJS.ProcessEnv = {}): LokiSinkConfig {
  return load(loki(lines, url), { env }).sinks[0] as LokiSinkConfig
}

const STDOUT = 'sinks: [{name: out, type: stdout}]'
const MINIMAL = `sources: [{name: c, type: containers}]\n${STDOUT}\n`

t.test('fills in every default', async (t) => {
  const text = `
sources:
  - {name: containers, type: containers}
  - {name: app, type: files, paths: [/logs/*.log]}
sinks:
  - {name: loki, type: loki, url: "http://loki:3100"}
  - {name: out, type: stdout}
`
  t.strictSame(load(text), {
    clusterName: 'kubernetes',
    nodeName: 'host-1',
    stateDir: '/var/lib/taffrail',
    kubernetes: {
      metadata: 'auto',
      metadataWait: 5000,
      annotations: { honour: true, foreign: false, exemptNamespaces: [], tenants: [] },
      podLabels: ['*'],
      podAnnotations: [],
      namespaceLabels: [],
    },
    sources: [
      {
        name: 'containers',
        type: 'containers',
        paths: ['/var/log/containers/*.log'],
        exclude: [],
        roots: null,
        startAt: 'beginning',
        startAgeMax: 604_800_000,
      },
      {
        name: 'app',
        type: 'files',
        paths: ['/logs/*.log'],
        exclude: [],
        roots: null,
        startAt: 'beginning',
        startAgeMax: null,
      },
    ],
    sinks: [
      {
        name: 'loki',
        type: 'loki',
        url: 'http://loki:3100/loki/api/v1/push',
        tenant: null,
        auth: null,
        tls: null,
        sources: null,
        labels: {},
        structuredMetadata: ['pod_uid'],
        profile: 'default',
        labelsFrom: {},
        lineBytesMax: 262_144,
        batchBytesMax: 1_048_576,
        batchAgeMax: 1000,
        concurrency: 4,
        requestTimeout: 30_000,
        retryDelayMin: 500,
        retryDelayMax: 60_000,
      },
      { name: 'out', type: 'stdout', sources: null, labels: {}, format: 'raw', lineBytesMax: 1_048_576 },
    ],
    limits: { memory: 96 * 2 ** 20, cpu: null },
    server: { listen: '0.0.0.0:9095' },
  } satisfies Config)
})

t.test('takes every key as it is given', async (t) => {
  const text = `
clusterName: prod-1
nodeName: n1
stateDir: /state
kubernetes: {metadata: off}
sources:
  - name: app
    type: files
    paths: [/logs/*.log]
    exclude: [/logs/x.log, "**/*.gz"]
    roots: [/logs, /mnt]
    startAt: end
    startAgeMax: 7d
sinks:
  - name: loki
    type: loki
    sources: [app]
    url: https://loki/
    tenant: team.a
    auth: {basic: {username: me, passwordFile: /pw}}
    tls: {caFile: /ca, certFile: /crt, keyFile: /key, serverName: loki.local, insecureSkipVerify: false}
    labels: {env: prod, version: 1.10, canary: true, build: 0x1F, text: "007"}
    structuredMetadata: []
    profile: lowCardinality
    labelsFrom: {team: namespace.labels.team}
    lineBytesMax: 4Mi
    batchBytesMax: 3.5Mi
    batchAgeMax: 250ms
    concurrency: 64
    requestTimeout: 1m30s
    retryDelayMin: 60s
    retryDelayMax: 60s
limits: {memory: 48Mi, cpu: 0.5}
server: {listen: "[::1]:9095"}
`
  t.strictSame(load(text), {
    clusterName: 'prod-1',
    nodeName: 'n1',
    stateDir: '/state',
    kubernetes: {
      metadata: 'off',
      metadataWait: 5000,
      annotations: { honour: true, foreign: false, exemptNamespaces: [], tenants: [] },
      podLabels: ['*'],
      podAnnotations: [],
      namespaceLabels: [],
    },
    sources: [
      {
        name: 'app',
        type: 'files',
        paths: ['/logs/*.log'],
        exclude: ['/logs/x.log', '**/*.gz'],
        roots: ['/logs', '/mnt'],
        startAt: 'end',
        startAgeMax: 604_800_000,
      },
    ],
    sinks: [
      {
        name: 'loki',
        type: 'loki',
        sources: ['app'],
        url: 'https://loki/loki/api/v1/push',
        tenant: 'team.a',
        auth: { basic: { username: 'me', passwordFile: '/pw' } },
        tls: {
          caFile: '/ca',
          certFile: '/crt',
          keyFile: '/key',
          serverName: 'loki.local',
          insecureSkipVerify: false,
        },
        // As they are written, not as YAML counts.
        labels: { env: 'prod', version: '1.10', canary: 'true', build: '0x1F', text: '007' },
        structuredMetadata: [],
        profile: 'lowCardinality',
        labelsFrom: { team: 'namespace.labels.team' },
        lineBytesMax: 4_194_304,
        batchBytesMax: 3_670_016,
        batchAgeMax: 250,
        concurrency: 64,
        requestTimeout: 90_000,
        retryDelayMin: 60_000,
        retryDelayMax: 60_000,
      },
    ],
    limits: { memory: 48 * 2 ** 20, cpu: 500 },
    server: { listen: '[::1]:9095' },
  } satisfies Config)
})

t.test('reads JSON', async (t) => {
  const json = JSON.stringify({
    sources: [{ name: 'c', type: 'containers' }],
    sinks: [{ name: 'out', type: 'stdout', format: 'json', labels: { n: 1 } }],
    limits: { memory: 100_000_000 },
  })
  const config = load(json)
  t.equal(config.limits.memory, 100_000_000)
  t.match(config.sinks[0], { format: 'json', labels: { n: '1' } })
})

t.test('anchors stand for what they name', async (t) => {
  const { sinks } = load(`
sources: [{name: c, type: containers}]
sinks:
  - {name: a, type: &type loki, url: &url "http://loki", labels: &labels {env: prod}}
  - {name: b, type: *type, url: *url, labels: *labels}
`)
  t.strictSame(sinks[1], { ...sinks[0], name: 'b' })
})

t.test('off, as YAML 1.2 and 1.1 read it', async (t) => {
  for (const off of ['off', 'false', '"off"', '"${OFF}"', '"${MISSING:-off}"']) {
    const text = `
kubernetes: {metadata: ${off}}
sources: [{name: c, type: containers, startAgeMax: ${off}}]
server: ${off}
${STDOUT}`
    const config = load(text, { env: { OFF: 'off' } })
    t.match(config, { kubernetes: { metadata: 'off' }, server: null, sources: [{ startAgeMax: null }] }, off)
  }
})

t.test('the node is NODE_NAME, else the host', async (t) => {
  t.equal(load(MINIMAL, { env: { NODE_NAME: 'n1' } }).nodeName, 'n1')
  t.equal(load(MINIMAL, { env: { NODE_NAME: '' } }).nodeName, 'host-1')
  t.equal(load(`nodeName: n2\n${MINIMAL}`, { env: { NODE_NAME: 'n1' } }).nodeName, 'n2')
})

t.test('limits are those of the cgroup, unless they are given', async (t) => {
  const cgroup = { memory: { value: 2 ** 28, file: '/a/memory.max' }, cpu: { value: 1500, file: '/a/cpu.max' } }
  const none = { memory: null, cpu: null }
  t.same(load(MINIMAL, { cgroup: none }).limits, { memory: 96 * 2 ** 20, cpu: null })
  t.same(load(MINIMAL, { cgroup }).limits, { memory: 2 ** 28, cpu: 1500 })
  const odd = { ...cgroup, memory: { value: 123_456_789, file: '/a/memory.max' } }
  t.equal(load(MINIMAL, { cgroup: odd }).limits.memory, 123_456_789)
  t.same(load(`limits: {}\n${MINIMAL}`, { cgroup }).limits, { memory: 2 ** 28, cpu: 1500 })
  t.same(load(`limits: {memory: 64Mi, cpu: 200m}\n${MINIMAL}`, { cgroup }).limits, { memory: 2 ** 26, cpu: 200 })
  t.equal(load(`limits: {cpu: off}\n${MINIMAL}`, { cgroup }).limits.cpu, null)
  t.equal(load(`limits: {cpu: 2}\n${MINIMAL}`, { cgroup }).limits.cpu, 2000)
  const tiny = { ...none, cpu: { value: 1, file: '/a/cpu.max' } }
  t.equal(load(MINIMAL, { cgroup: tiny }).limits.cpu, 10, 'with less nothing would move')
})

t.test('where a limit comes from is told', async (t) => {
  const cgroup = { memory: { value: 2 ** 28, file: '/a/memory.max' }, cpu: { value: 1500, file: '/a/cpu.max' } }
  const origins = (text: string, machine: object) => {
    const result = loadConfig(text, { ...MACHINE, ...machine })
    return 'origins' in result ? Object.fromEntries(result.origins) : result.errors
  }
  t.same(origins(MINIMAL, { cgroup }), {
    nodeName: 'the host name',
    'limits.memory': '/a/memory.max',
    'limits.cpu': '/a/cpu.max',
  })
  t.same(origins(`limits: {memory: 64Mi}\nnodeName: n\n${MINIMAL}`, {}), { 'limits.cpu': 'the cgroup has no limit' })
})

t.test('the push path is appended where it is missing', async (t) => {
  const table: [string, string][] = [
    ['http://loki:3100', 'http://loki:3100/loki/api/v1/push'],
    ['http://loki:3100/', 'http://loki:3100/loki/api/v1/push'],
    ['http://loki:3100/loki/api/v1/push', 'http://loki:3100/loki/api/v1/push'],
    ['http://loki:3100/loki/api/v1/push/', 'http://loki:3100/loki/api/v1/push'],
    ['https://gw/tenant-gw', 'https://gw/tenant-gw/loki/api/v1/push'],
    ['https://gw/tenant-gw//', 'https://gw/tenant-gw/loki/api/v1/push'],
    ['https://gw/a/loki/api/v1/push', 'https://gw/a/loki/api/v1/push'],
    ['https://gw/a?x=1', 'https://gw/a/loki/api/v1/push?x=1'],
    ['HTTPS://GW', 'https://gw/loki/api/v1/push'],
    ['http://[::1]:3100', 'http://[::1]:3100/loki/api/v1/push'],
  ]
  for (const [given, url] of table) t.equal(lokiSink('', JSON.stringify(given)).url, url, given)
})

t.test('authentication, each of its kinds', async (t) => {
  const table: [string, LokiSinkConfig['auth']][] = [
    ['{basic: {username: me, password: pw}}', { basic: { username: 'me', password: 'pw' } }],
    ['{basic: {username: me, passwordFile: /pw}}', { basic: { username: 'me', passwordFile: '/pw' } }],
    ['{bearer: {token: abc}}', { bearer: { token: 'abc' } }],
    ['{bearer: {tokenFile: /token}}', { bearer: { tokenFile: '/token' } }],
    ['{bearer: {token: "${TOKEN}"}}', { bearer: { token: 's3cret' } }],
  ]
  for (const [auth, expected] of table) {
    t.strictSame(lokiSink(`auth: ${auth}`, undefined, { TOKEN: 's3cret' }).auth, expected, auth)
  }
})

t.test('what comes from the environment is taken for whatever is needed, and never for YAML', async (t) => {
  const env = { N: '8', YES: 'true', SIZE: '64Ki', TEXT: 'a: [b]', TYPE: 'loki', NAME: 'c' }
  const sink = lokiSink(
    'concurrency: ${N}\n    batchBytesMax: "${SIZE}"\n    labels: {a: "${TEXT}"}\n    tls: {insecureSkipVerify: "${YES}"}',
    'https://loki',
    env,
  )
  t.match(sink, { concurrency: 8, batchBytesMax: 65_536, labels: { a: 'a: [b]' }, tls: { insecureSkipVerify: true } })
  const text = `sources: [{name: c, type: containers}]
sinks:
  - name: x
    type: \${TYPE}
    url: http://loki
    sources: ["\${NAME}"]`
  t.match(load(text, { env }).sinks[0], { type: 'loki', sources: ['c'] })
})

t.test('a label may have any name that Loki allows', async (t) => {
  const { labels } = lokiSink('labels: {__proto__: a, constructor: b, _x9: c}')
  t.same(Object.entries(labels), [
    ['__proto__', 'a'],
    ['constructor', 'b'],
    ['_x9', 'c'],
  ])
})

t.test('addresses to listen at', async (t) => {
  const table: [string, string, { host: string; port: number }][] = [
    ['0.0.0.0:9095', '0.0.0.0:9095', { host: '0.0.0.0', port: 9095 }],
    [':9095', '0.0.0.0:9095', { host: '0.0.0.0', port: 9095 }],
    ['localhost:0', 'localhost:0', { host: 'localhost', port: 0 }],
    ['[::]:65535', '[::]:65535', { host: '::', port: 65_535 }],
  ]
  for (const [given, listen, parsed] of table) {
    t.same(load(`server: {listen: "${given}"}\n${MINIMAL}`).server, { listen }, given)
    t.same(parseListen(listen), parsed)
  }
  for (const bad of ['9095', '::1:9095', 'a:65536', 'a b:1', '', 'a:']) t.equal(parseListen(bad), null, bad)
})

t.test('a byte order mark and CRLF do no harm', async (t) => {
  t.equal(load(`\uFEFFclusterName: a\r\n${MINIMAL.replaceAll('\n', '\r\n')}`).clusterName, 'a')
})

t.test('no text makes it throw, and every error has a place in the text', async () => {
  const words = fc.constantFrom(
    ...[
      'sources',
      'sinks',
      'name',
      'type',
      'loki',
      'url',
      'auth',
      'basic',
      'labels',
      'server',
      'off',
      'null',
      '3',
      '1.5',
    ],
    ...[
      ': ',
      ':',
      '- ',
      '\n',
      '\n  ',
      '\n    ',
      '{',
      '}',
      '[',
      ']',
      ', ',
      '"',
      "'",
      '|',
      '>',
      '&a ',
      '*a',
      '!x ',
      '? ',
    ],
    ...['#', '---\n', '%YAML 1.1\n', '${A}', '${', '<<: ', '\t', '\r\n', '\0', '\uFEFF', '@'],
  )
  const text = fc.oneof(
    fc.array(words, { maxLength: 40 }).map((parts) => parts.join('')),
    fc.string({ unit: 'binary' }),
  )
  fc.assert(
    fc.property(text, (value) => {
      const result = loadConfig(value, MACHINE)
      if ('config' in result) return true
      const lines = value.split('\n').length
      return result.errors.every(({ line, column }) => line >= 1 && line <= lines + 1 && column >= 1)
    }),
    { numRuns: 2000 },
  )
})

t.test('an elasticsearch sink: what it may look like, and what is wrong with one', async (t) => {
  const text = (sink: string) =>
    `sources: [{name: a, type: containers}]\nsinks: [{name: es, type: elasticsearch, ${sink}}]`
  const load = (sink: string) => loadConfig(text(sink), MACHINE)
  const good = load(
    "urls: ['http://es-0:9200/', 'https://gw/es'], auth: {apiKey: {key: a2V5}}, tls: {}, expandJson: [a]",
  )
  t.match('config' in good && good.config.sinks[0], {
    urls: ['http://es-0:9200', 'https://gw/es'],
    auth: { apiKey: { key: 'a2V5' } },
    namespace: null,
    documentIds: true,
    expandJson: ['a'],
    gzipLevel: 1,
    retention: { logs: 14 * 86_400_000, audit: 365 * 86_400_000 },
    batchBytesMax: 1024 * 1024,
  })
  const wrong: [string, RegExp][] = [
    ['urls: []', /urls: expected at least one of URLs/],
    ["urls: ['http://user:pass@es']", /holds credentials; put them under auth/],
    ["urls: ['http://es?x=1']", /without a \?query/],
    ["urls: ['http://es'], tls: {}", /tls: the urls are http:/],
    ["urls: ['http://es'], namespace: a-b", /namespace: expected a name of a-z, 0-9, _ and \./],
    ["urls: ['http://es'], expandJson: [b]", /expandJson\[0\]: there is no source named b/],
    ["urls: ['http://es'], auth: {apiKey: {}}", /auth.apiKey/],
    ["urls: ['http://es'], auth: {apiKey: {key: x}, bearer: {token: y}}", /auth/],
    ["urls: ['http://es'], retryDelayMin: 10s, retryDelayMax: 1s", /retryDelayMax: 1s is less than retryDelayMin/],
  ]
  for (const [sink, message] of wrong) {
    const result = load(sink)
    t.match('errors' in result ? result.errors.map(formatConfigError).join('\n') : 'no error', message, sink)
  }
})
