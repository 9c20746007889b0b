// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are references to the environment, not templates.
import t, { type Test } from 'tap'
import { formatConfigError } from '../../src/config/config-error.ts'
import { type LoadOptions, loadConfig } from '../../src/config/load.ts'

const MACHINE: LoadOptions = { path: 'taffrail.yaml', env: {}, hostname: 'host-1', cgroup: { memory: null, cpu: null } }

function errorsOf(text: string, options: Partial<LoadOptions> = {}): string[] {
  const result = loadConfig(text, { ...MACHINE, ...options })
  return 'errors' in result ? result.errors.map(formatConfigError) : []
}

/** Each row: a text, and its errors without the file's name; without line and column too where ▸ marks these in the text. */
type Table = [string, ...string[]][]

function refuses(t: Test, table: Table, options: Partial<LoadOptions> = {}): void {
  for (const [marked, ...errors] of table) {
    const places = marked
      .split('▸')
      .slice(0, -1)
      .map((_, index, parts) => place(parts.slice(0, index + 1).join('')))
    const expected = errors.map(
      (error, index) => `taffrail.yaml:${places.length > 0 ? `${places[index]}: ` : ''}${error}`,
    )
    t.same(errorsOf(marked.replaceAll('▸', ''), options), expected, marked.slice(0, 200))
  }
}

/** Line and column after `before`. */
function place(before: string): string {
  const lines = before.split('\n')
  return `${lines.length}:${lines.at(-1)!.length + 1}`
}

const SOURCES = 'sources: [{name: c, type: containers}]\n'
const SINKS = 'sinks: [{name: out, type: stdout}]\n'

/** One key before a good configuration. */
const top = (line: string) => `${line}\n${SOURCES}${SINKS}`
/** One key of a source. */
const source = (entry: string) => `sources:\n  - {name: c, type: containers, ${entry}}\n${SINKS}`
/** One key of a Loki sink. */
const loki = (entry: string) => `${SOURCES}sinks:\n  - {name: l, type: loki, url: "https://l", ${entry}}\n`
/** The URL of a Loki sink. */
const url = (value: string) => `${SOURCES}sinks:\n  - {name: l, type: loki, url: ${value}}\n`

const FIELDS =
  'one of pod_uid, pod, container_id, restart_count, image, owner_kind, owner_name, pod.labels.NAME, pod.annotations.NAME, namespace.labels.NAME'

t.test('syntax', async (t) => {
  refuses(t, [
    ['', '1:1: the file is empty; it needs at least sources and sinks'],
    ['# nothing\n', '1:1: the file is empty; it needs at least sources and sinks'],
    ['---\n', '1:1: the file is empty; it needs at least sources and sinks'],
    ['just text', '1:1: expected a mapping, found "just text"'],
    ['- a\n', '1:1: expected a mapping, found a list'],
    ['a: 1\n b: 2\n', '1:4: nested mappings are not allowed in compact mappings'],
    ['a: "x\n', '2:1: missing closing "quote'],
    ['a:\n\tb: 1\n', '2:1: tabs are not allowed as indentation'],
    ['a: 1\n---\nb: 2\n', '2:1: a second document begins here; a configuration is one'],
    ['a: !tag b\n', '1:4: unresolved tag; if it is text, quote it'],
    ['a: !!binary aGk=\n', '1:4: unresolved tag; if it is text, quote it'],
    ['[a]: b\n', '1:1: a key must be text'],
    ['a: @b\n', '1:4: plain value cannot start with reserved character @; if it is text, quote it'],
    [
      'a: {nodeName: ${NODE_NAME}, b: 1}\n',
      '1:16: unexpected flow-map-start at node end; within { } and [ ], quote "${NAME}"',
    ],
    ['a: "x" y\nb: "x" y\n', '1:8: unexpected scalar at node end', '2:8: unexpected scalar at node end'],
  ])
})

t.test('nesting without end is one error', async (t) => {
  // How deep is too deep depends on the stack.
  t.match(errorsOf('['.repeat(100_000)), [/^taffrail\.yaml:1:\d+: nested too deeply$/])
  t.equal(errorsOf('['.repeat(100_000)).length, 1)
})

t.test('keys', async (t) => {
  refuses(t, [
    [top('▸clusterNam: a'), 'clusterNam: unknown key; did you mean clusterName?'],
    [top('▸cluster_name: a'), 'cluster_name: unknown key; did you mean clusterName?'],
    [top('▸pipeline: {a: b}'), 'pipeline: unknown key'],
    [top('▸toString: {a: b}'), 'toString: unknown key'],
    [top('▸__proto__: {a: b}'), '__proto__: unknown key'],
    [top('▸"my key": 1'), '["my key"]: unknown key'],
    [top('▸1: 1'), '["1"]: unknown key'],
    [top('? ▸clusterName'), 'clusterName: expected a string that is not empty, found nothing'],
    [top('clusterName: a\n▸clusterName: b'), 'clusterName: the key is given twice'],
    [top('limits: {memory: 96Mi, ▸memory: 96Mi}'), 'limits.memory: the key is given twice'],
    [top('limits: {▸memroy: 96Mi}'), 'limits.memroy: unknown key; did you mean memory?'],
    [loki('▸batchByteMax: 1Mi'), 'sinks[0].batchByteMax: unknown key; did you mean batchBytesMax?'],
    // A key that is there already cannot have been meant.
    [loki('▸urls: x'), 'sinks[0].urls: unknown key'],
    [loki('labels: {env: a, ▸env: b}'), 'sinks[0].labels.env: the key is given twice'],
    [`${SOURCES}sinks: [{name: out, type: stdout, url: "http://l"}]`, '2:35: sinks[0].url: unknown key'],
    [
      'sources: []\nsinks: []\n',
      '1:10: sources: expected at least one of sources',
      '2:8: sinks: expected at least one of sinks',
    ],
    [SOURCES, '1:1: sinks: required key is missing'],
    [`# sinks only\n${SINKS}`, '2:1: sources: required key is missing'],
  ])
})

t.test('types', async (t) => {
  refuses(t, [
    [top('clusterName: ▸[a]'), 'clusterName: expected a string that is not empty, found a list'],
    [top('clusterName: ▸{a: b}'), 'clusterName: expected a string that is not empty, found a mapping'],
    [top('clusterName:▸'), 'clusterName: expected a string that is not empty, found nothing'],
    [top('clusterName: ▸""'), 'clusterName: expected a string that is not empty, found ""'],
    [
      top('clusterName: ▸0x10'),
      'clusterName: expected a string that is not empty, found the number 0x10; write it in quotes',
    ],
    [
      top('nodeName: ▸true'),
      'nodeName: expected a string that is not empty, found the boolean true; write it in quotes',
    ],
    [top('limits: ▸96Mi'), 'limits: expected a mapping, found "96Mi"'],
    [top('limits:\n  ▸- memory'), 'limits: expected a mapping, found a list'],
    [top('server: ▸true'), 'server: expected a mapping, or off, found the boolean true'],
    [top('server: ▸"0.0.0.0:9095"'), 'server: expected a mapping, or off, found "0.0.0.0:9095"'],
    [`sources: {name: c}\n${SINKS}`, '1:10: sources: expected a list of sources, found a mapping'],
    [`sources: [c]\n${SINKS}`, '1:11: sources[0]: expected a mapping, found "c"'],
    [
      loki('concurrency: ▸"8"'),
      'sinks[0].concurrency: expected a whole number from 1 to 64, found "8"; write it without quotes',
    ],
    [loki('labels: ▸[a]'), 'sinks[0].labels: expected a mapping of labels (name: value), found a list'],
    [loki('labels: {env: ▸}'), 'sinks[0].labels.env: expected a string, number or boolean, found nothing'],
    [loki('labels: {env: ▸[a]}'), 'sinks[0].labels.env: expected a string, number or boolean, found a list'],
    [loki('sources: ▸c'), 'sinks[0].sources: expected a list of names of sources, found "c"'],
    [
      loki('tenant: ▸12'),
      "sinks[0].tenant: expected a tenant of at most 150 letters, digits and !-_.*'(), found the number 12; write it in quotes",
    ],
    [loki('tls: {insecureSkipVerify: ▸"yes"}'), 'sinks[0].tls.insecureSkipVerify: expected true or false, found "yes"'],
    [loki('tenant: ▸*t'), 'sinks[0].tenant: an alias (*) without its anchor (&); if it is text, quote it'],
    [top(`clusterName: [${'x'.repeat(200)}]`), '1:14: clusterName: expected a string that is not empty, found a list'],
    [top(`stateDir: ${'x'.repeat(200)}`), `1:11: stateDir: expected an absolute path, found "${'x'.repeat(80)}…"`],
  ])
})

t.test('values', async (t) => {
  refuses(t, [
    [top('kubernetes: {metadata: ▸on}'), 'kubernetes.metadata: expected a mapping, or auto or off, found "on"'],
    [top('kubernetes: {metadata: ▸{}}'), 'kubernetes.metadata.kubeconfig: required key is missing'],
    [
      top('kubernetes: {podLabels: [▸"a b"]}'),
      'kubernetes.podLabels[0]: expected the name of a label, * standing for anything, found "a b"',
    ],
    [top('stateDir: ▸state'), 'stateDir: expected an absolute path, found "state"'],
    [top('limits: {memory: ▸96MB}'), 'limits.memory: expected a quantity of at least 48Mi, found "96MB"'],
    [top('limits: {memory: ▸500m}'), 'limits.memory: expected a quantity of at least 48Mi, found "500m"'],
    [top('limits: {memory: ▸47Mi}'), 'limits.memory: expected a quantity of at least 48Mi, found "47Mi"'],
    [top('limits: {cpu: ▸5m}'), 'limits.cpu: expected an amount of CPU from 10m to 256 cores, or off, found "5m"'],
    [top('limits: {cpu: ▸96Mi}'), 'limits.cpu: expected an amount of CPU from 10m to 256 cores, or off, found "96Mi"'],
    [top('limits: {memory: ▸1e9}'), 'limits.memory: expected a quantity of at least 48Mi, found the number 1e9'],
    [top('server: {listen: ▸9095}'), 'server.listen: expected host:port such as 0.0.0.0:9095, found the number 9095'],
    [top('server: {listen: ▸"a:65536"}'), 'server.listen: expected host:port such as 0.0.0.0:9095, found "a:65536"'],
  ])
})

t.test('values of sources', async (t) => {
  const nameRule = 'a name of a-z, 0-9 and - (at most 63, not - first)'
  refuses(t, [
    [`sources: [{name: C_1, type: containers}]\n${SINKS}`, `1:18: sources[0].name: expected ${nameRule}, found "C_1"`],
    [
      `sources: [{name: ${'a'.repeat(64)}, type: containers}]\n${SINKS}`,
      `1:18: sources[0].name: expected ${nameRule}, found "${'a'.repeat(64)}"`,
    ],
    [`sources: [{name: c}]\n${SINKS}`, '1:11: sources[0].type: required key is missing'],
    [
      `sources: [{name: c, type: container}]\n${SINKS}`,
      '1:27: sources[0].type: expected one of containers, files, audit, auditWebhook, found "container"; did you mean containers?',
    ],
    [
      `sources: [{name: c, type: audit, paths: [/a], format: jsn}]\n${SINKS}`,
      '1:55: sources[0].format: expected one of json, cri, found "jsn"; did you mean json?',
    ],
    [`sources: [{name: c, type: files}]\n${SINKS}`, '1:11: sources[0].paths: required key is missing'],
    [source('paths: [▸logs/*.log]'), 'sources[0].paths[0]: expected an absolute path, found "logs/*.log"'],
    [source('paths: ▸[]'), 'sources[0].paths: expected at least one of absolute paths or globs'],
    [source('paths: [/a, /b, ▸/a]'), 'sources[0].paths[2]: is listed twice'],
    [source('exclude: [▸"*.gz"]'), 'sources[0].exclude[0]: expected a glob that begins with / or **, found "*.gz"'],
    [source('roots: ▸[]'), 'sources[0].roots: expected at least one of absolute paths'],
    [source('startAt: ▸start'), 'sources[0].startAt: expected one of beginning, end, found "start"'],
    [
      source('startAgeMax: ▸168'),
      'sources[0].startAgeMax: expected a duration from 1s to 87600h, or off, found the number 168',
    ],
    [
      source('select: {exclude: [{name: a, line: ▸"(a"}]}'),
      'sources[0].select.exclude[0].line: a regular expression was expected: Invalid regular expression: /(a/: Unterminated group',
    ],
    [source('select: {exclude: [▸{line: a}]}'), 'sources[0].select.exclude[0].name: required key is missing'],
    [source('select: {exclude: ▸[]}'), 'sources[0].select.exclude: expected at least one of rules'],
    [source('redact: [{name: a, pattern: ▸""}]'), 'sources[0].redact[0].pattern: is empty, and would match every line'],
    [source('startAgeMax: ▸0s'), 'sources[0].startAgeMax: expected a duration from 1s to 87600h, or off, found "0s"'],
    [
      source('startAgeMax: ▸true'),
      'sources[0].startAgeMax: expected a duration from 1s to 87600h, or off, found the boolean true',
    ],
  ])
})

t.test('values of sinks', async (t) => {
  const own = '(cluster, namespace, pod, container, app, job, node_name, apiserver, stream, filename, late)'
  refuses(t, [
    [loki('lineBytesMax: ▸1023'), 'sinks[0].lineBytesMax: expected a quantity from 1Ki to 4Mi, found the number 1023'],
    [loki('lineBytesMax: ▸5Mi'), 'sinks[0].lineBytesMax: expected a quantity from 1Ki to 4Mi, found "5Mi"'],
    [
      loki('batchBytesMax: ▸4095'),
      'sinks[0].batchBytesMax: expected a quantity from 4Ki to 3.5Mi, found the number 4095',
    ],
    [
      loki('batchBytesMax: ▸3670017'),
      'sinks[0].batchBytesMax: expected a quantity from 4Ki to 3.5Mi, found the number 3670017',
    ],
    [loki('batchAgeMax: ▸1'), 'sinks[0].batchAgeMax: expected a duration from 1ms to 1h, found the number 1'],
    [loki('concurrency: ▸0'), 'sinks[0].concurrency: expected a whole number from 1 to 64, found the number 0'],
    [loki('concurrency: ▸65'), 'sinks[0].concurrency: expected a whole number from 1 to 64, found the number 65'],
    [loki('concurrency: ▸1.5'), 'sinks[0].concurrency: expected a whole number from 1 to 64, found the number 1.5'],
    [loki('retryDelayMax: ▸499ms'), 'sinks[0].retryDelayMax: 499ms is less than retryDelayMin, 500ms'],
    [loki('retryDelayMin: 2m'), '3:5: sinks[0].retryDelayMax: 1m is less than retryDelayMin, 2m'],
    [
      loki('structuredMetadata: [▸pod_id]'),
      `sinks[0].structuredMetadata[0]: expected ${FIELDS}, found "pod_id"; did you mean pod_uid?`,
    ],
    [
      loki('labelsFrom: {uid: ▸pod_uid}'),
      `sinks[0].labelsFrom.uid: expected ${FIELDS.replace('pod_uid, ', '').replace('container_id, restart_count, ', '')}, found "pod_uid"`,
    ],
    [
      loki('labelsFrom: ▸{a: image, b: image, c: image, d: image, e: image, f: image, g: image}'),
      "sinks[0].labelsFrom: 7 labels with those of `labels`; beside taffrail's own, Loki takes 6",
    ],
    [
      loki('labels: {team: a}, labelsFrom: {team: ▸image}'),
      'sinks[0].labelsFrom.team: is a constant of `labels` already',
    ],
    [loki('structuredMetadata: [pod_uid, ▸pod_uid]'), 'sinks[0].structuredMetadata[1]: is listed twice'],
    [loki('labels: {▸9a: b}'), 'sinks[0].labels["9a"]: not a label name (letters, digits and _, no digit first)'],
    [loki('labels: {▸a-b: c}'), 'sinks[0].labels["a-b"]: not a label name (letters, digits and _, no digit first)'],
    [loki('labels: {▸pod: a}'), `sinks[0].labels.pod: taffrail sets this label itself ${own}`],
    [loki('labels: {▸late: a}'), `sinks[0].labels.late: taffrail sets this label itself ${own}`],
    [loki('labels: {env: ▸""}'), 'sinks[0].labels.env: is empty; Loki has no empty labels, so leave it out'],
    [
      loki('tenant: ▸a|b'),
      'sinks[0].tenant: expected a tenant of at most 150 letters, digits and !-_.*\'(), found "a|b"',
    ],
    [
      loki('tenant: ▸..'),
      'sinks[0].tenant: expected a tenant of at most 150 letters, digits and !-_.*\'(), found ".."',
    ],
    [
      `${SOURCES}sinks: [{name: o, type: stdout, format: jsn}]`,
      '2:41: sinks[0].format: expected one of raw, json, found "jsn"; did you mean json?',
    ],
    [`${SOURCES}sinks: [{name: l, type: loki}]`, '2:9: sinks[0].url: required key is missing'],
    [url('▸loki:3100'), 'sinks[0].url: expected an http:// or https:// URL, found "loki:3100"'],
    [url('▸ftp://loki'), 'sinks[0].url: expected an http:// or https:// URL, found "ftp://loki"'],
    [url('▸"http://"'), 'sinks[0].url: expected an http:// or https:// URL, found "http://"'],
    [
      url('▸"http://l/#a"'),
      'sinks[0].url: expected an http:// or https:// URL without a #fragment, found "http://l/#a"',
    ],
    [url('▸http://me:hunter2@loki'), 'sinks[0].url: holds credentials; put them under auth'],
    [url('▸http://me@loki'), 'sinks[0].url: holds credentials; put them under auth'],
    [url('▸htp://me:hunter2@loki'), 'sinks[0].url: expected an http:// or https:// URL'],
  ])
})

t.test('authentication and TLS', async (t) => {
  refuses(t, [
    [loki('auth: ▸{}'), 'sinks[0].auth: needs exactly one of basic, bearer'],
    [
      loki('auth: ▸{basic: {username: a, password: b}, bearer: {token: c}}'),
      'sinks[0].auth: basic and bearer exclude each other',
    ],
    [loki('auth: {basic: ▸{username: a}}'), 'sinks[0].auth.basic: needs exactly one of password, passwordFile'],
    [loki('auth: {basic: ▸{password: a}}'), 'sinks[0].auth.basic.username: required key is missing'],
    [
      loki('auth: {basic: ▸{username: a, password: b, passwordFile: /c}}'),
      'sinks[0].auth.basic: password and passwordFile exclude each other',
    ],
    [
      loki('auth: {bearer: ▸{token: a, tokenFile: /b}}'),
      'sinks[0].auth.bearer: token and tokenFile exclude each other',
    ],
    [
      loki('auth: {bearer: {tokenFile: ▸b}}'),
      'sinks[0].auth.bearer.tokenFile: expected the absolute path of a file, found a string',
    ],
    [
      loki('auth: {basic: ▸{▸user: a, password: b}}'),
      'sinks[0].auth.basic.username: required key is missing',
      'sinks[0].auth.basic: unknown key; there are username, password, passwordFile',
    ],
    [
      loki('auth: {basic: ▸{▸usrname: a, password: b}}'),
      'sinks[0].auth.basic.username: required key is missing',
      'sinks[0].auth.basic.usrname: unknown key; did you mean username?',
    ],
    [
      loki('auth: {basic: {username: ▸"a:b", password: c}}'),
      'sinks[0].auth.basic.username: expected a user name (not empty, no colon), found a string',
    ],
    [loki('auth: {bearer: {token: ▸""}}'), 'sinks[0].auth.bearer.token: is empty'],
    [
      loki('auth: {bearer: {token: ▸"a\\n"}}'),
      'sinks[0].auth.bearer.token: holds a line break or another control character',
    ],
    [loki('tls: {certFile: ▸/c}'), 'sinks[0].tls.certFile: needs keyFile as well'],
    [loki('tls: {keyFile: ▸/c}'), 'sinks[0].tls.keyFile: needs certFile as well'],
    [loki('tls: {serverName: ▸"a b"}'), 'sinks[0].tls.serverName: expected a host name, found "a b"'],
    [loki('tls: ▸{}').replace('https:', 'http:'), 'sinks[0].tls: the url is http://, for which there is no TLS'],
  ])
})

t.test('the whole', async (t) => {
  const two = 'sources:\n  - {name: a, type: containers}\n  - {name: app, type: files, paths: [/a]}\n'
  refuses(t, [
    [
      `sources:\n  - {name: a, type: containers}\n  - {name: a, type: containers}\n${SINKS}`,
      '3:12: sources[1].name: sources[0] is named a already',
    ],
    [
      `${SOURCES}sinks:\n  - {name: a, type: stdout}\n  - {name: a, type: loki, url: "http://l"}\n`,
      '4:12: sinks[1].name: sinks[0] is named a already',
    ],
    [
      `${SOURCES}sinks:\n  - {name: a, type: stdout}\n  - {name: b, type: stdout}\n`,
      '4:21: sinks[1].type: sinks[0] writes to stdout already',
    ],
    [
      `${two}sinks: [{name: o, type: stdout, sources: [a, ap]}]`,
      '4:46: sinks[0].sources[1]: there is no source named ap; did you mean app?',
    ],
    [`${two}sinks: [{name: o, type: stdout, sources: [a]}]`, '3:12: sources[1].name: no sink takes the source app'],
    [
      `${two}sinks: [{name: o, type: stdout, sources: []}]`,
      '4:42: sinks[0].sources: expected at least one of names of sources',
    ],
    // Whatever is wrong elsewhere is no reason to call a source unknown or forgotten.
    [
      `sources: [{name: a, type: nonsense}]\nsinks: [{name: o, type: stdout, sources: [a]}]`,
      '1:27: sources[0].type: expected one of containers, files, audit, auditWebhook, found "nonsense"',
    ],
    [
      `sources: [{name: A, type: containers}]\nsinks: [{name: o, type: stdout, sources: [a]}]`,
      '1:18: sources[0].name: expected a name of a-z, 0-9 and - (at most 63, not - first), found "A"',
    ],
    [
      `${two}sinks: [{name: o, type: stdot, sources: [a]}, {name: p, type: kafka}]`,
      '4:25: sinks[0].type: expected one of loki, elasticsearch, stdout, found "stdot"; did you mean stdout?',
      '4:63: sinks[1].type: expected one of loki, elasticsearch, stdout, found "kafka"',
    ],
    [
      `${two}sinks: [{name: o, type: opensearch}]`,
      '4:25: sinks[0].type: OpenSearch is a sink of type elasticsearch, too',
    ],
  ])
})

t.test('the environment', async (t) => {
  const env = { EMPTY: '', N: '0', BAD: 'x y' }
  refuses(
    t,
    [
      [top('nodeName: ▸${NODE_NAME}'), 'nodeName: the environment variable NODE_NAME is not set'],
      [
        top('nodeName: ▸▸${A}-${B}'),
        'nodeName: the environment variable A is not set',
        'nodeName: the environment variable B is not set',
      ],
      [top('nodeName: ▸${EMPTY}'), 'nodeName: expected a string that is not empty, found ""'],
      [
        top('nodeName: ▸"${NODE"'),
        'nodeName: a ${ that does not begin ${NAME} or ${NAME:-default}; for a literal ${ write $${',
      ],
      [loki('concurrency: ▸"${N}"'), 'sinks[0].concurrency: expected a whole number from 1 to 64, found "0"'],
      [top('server: ▸${NONE}'), 'server: the environment variable NONE is not set'],
      [loki('labels: {a: ▸"${NONE}"}'), 'sinks[0].labels.a: the environment variable NONE is not set'],
      [
        loki('auth: {bearer: {token: ▸"${BAD}${EMPTY}${NONE}"}}'),
        'sinks[0].auth.bearer.token: the environment variable NONE is not set',
      ],
    ],
    { env },
  )
  refuses(
    t,
    [
      [
        top('limits: {}'),
        '1:9: limits.memory: expected a quantity of at least 48Mi, found "32Mi" (the default: the cgroup\'s memory limit, else 96Mi)',
      ],
    ],
    { cgroup: { memory: { value: 2 ** 25, file: '/memory.max' }, cpu: null } },
  )
})

t.test('files that are referred to', async (t) => {
  const checkFile = (path: string) => (path === '/there' ? null : 'there is no such file')
  refuses(
    t,
    [
      [loki('auth: {bearer: {tokenFile: /there}}, tls: {caFile: /there}')],
      [
        loki('auth: {bearer: {tokenFile: ▸/a}}, tls: {caFile: ▸/b, certFile: ▸/c, keyFile: /there}'),
        'sinks[0].auth.bearer.tokenFile: cannot read /a: there is no such file',
        'sinks[0].tls.caFile: cannot read /b: there is no such file',
        'sinks[0].tls.certFile: cannot read /c: there is no such file',
      ],
    ],
    { checkFile },
  )
})

t.test('all errors come at once, in the order of the text', async (t) => {
  const text = `# several
nodName: x
stateDir: relative
sinks:
  - name: loki
    type: loki
    url: http://me:pw@loki
    concurrency: 100
    batchByteMax: 1Mi
  - {name: loki, type: stdout}
sources:
  - name: c
    type: containers
    startAt: now
`
  t.same(errorsOf(text), [
    'taffrail.yaml:2:1: nodName: unknown key; did you mean nodeName?',
    'taffrail.yaml:3:11: stateDir: expected an absolute path, found "relative"',
    'taffrail.yaml:7:10: sinks[0].url: holds credentials; put them under auth',
    'taffrail.yaml:8:18: sinks[0].concurrency: expected a whole number from 1 to 64, found the number 100',
    'taffrail.yaml:9:5: sinks[0].batchByteMax: unknown key; did you mean batchBytesMax?',
    'taffrail.yaml:10:12: sinks[1].name: sinks[0] is named loki already',
    'taffrail.yaml:14:14: sources[0].startAt: expected one of beginning, end, found "now"',
  ])
})

t.test('an error says where it is in parts, too', async (t) => {
  const result = loadConfig(top('clusterNam: a'), MACHINE)
  t.same(result, {
    errors: [
      {
        path: 'taffrail.yaml',
        line: 1,
        column: 1,
        key: 'clusterNam',
        message: 'unknown key',
        suggestion: 'clusterName',
      },
    ],
  })
})

t.test('no message repeats a secret, however wrong it is written', async (t) => {
  const env = { PW: 'hunter2\n', URL: 'http://me:hunter2@loki' }
  const texts = [
    ...['hunter2', '[hunter2]', '{hunter2}', '{hunter2: }', '!hunter2', '!hunter2 x', '*hunter2'].flatMap((bad) => [
      loki(`auth: ${bad}`),
      loki(`auth: {bearer: ${bad}}`),
      loki(`auth: {basic: ${bad}}`),
      loki(`auth: {bearer: {token: ${bad}, x: 1}}`),
      loki(`auth: {basic: {username: ${bad}, password: ${bad}, passwordFile: ${bad}}}`),
    ]),
    loki('auth: {bearer: {token: |hunter2}}'),
    loki('auth: {bearer: {token: "a" hunter2}}'),
    loki('auth: {bearer: {token hunter2}}'),
    loki('auth: {bearer: {token: "hunter2\\q"}}'),
    loki('auth: {bearer: {token: "hunter2\\n"}}'),
    loki('auth: {bearer: {token: "${PW}"}}'),
    loki('auth: {bearer: {token: "${hunter2"}}'),
    loki('auth: {bearer: {token: "a${hunter2 x}"}}'),
    loki('auth: {bearer: {token: ${hunter2}, tokenFile: a}}'),
    top('password: >hunter2'),
    top('password: |hunter2'),
    top('password: @hunter2'),
    top('password: "x" "hunter2"'),
    top('password: x\n "hunter2'),
    url('"${URL}x y"'),
    url('"http://me:hunter2@"'),
    url('"http:/me:hunter2@l#x"'),
  ]
  for (const text of texts) {
    const errors = errorsOf(text, { env })
    if (text !== loki('auth: {bearer: {token: hunter2, x: 1}}')) t.not(errors.length, 0, text)
    t.notMatch(errors.join('\n'), /hunter2/, text)
  }
})
