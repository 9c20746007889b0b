// The configuration file as data: every key with its kind, its default and what it does. load.ts reads files by it,
// describe.ts and docs/configuration.md are made from it. The order of the keys is that of the page.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are references to the environment, not templates.

import { FIELDS } from '../core/fields.ts'
import type {
  AuditSourceConfig,
  AuditWebhookSourceConfig,
  AuthConfig,
  Config,
  ElasticsearchAuthConfig,
  ElasticsearchSinkConfig,
  LokiSinkConfig,
  RedactRule,
  SelectConfig,
  SelectRule,
  SinkConfig,
  SourceConfig,
  TlsConfig,
} from './config.ts'
import * as format from './formats.ts'
import { formatCores, formatQuantity } from './quantity.ts'
import { checkElasticsearch, checkLoki, checkWebhook, checkWhole } from './rules.ts'
import { boolean, choice, cores, duration, integer, orOff, quantity, text } from './scalars.ts'
import {
  type Default,
  type Key,
  key,
  list,
  none,
  REQUIRED,
  record,
  type Shape,
  UNSET,
  variants,
  yaml,
} from './shapes.ts'

const MEMORY_DEFAULT = '96Mi'

const startAgeMax = orOff(duration('1s', '87600h'))

const sourceKeys = {
  name: key(format.name(), REQUIRED, 'The name by which sinks, metrics and the status page know it.'),
  exclude: key<string[]>(
    list(format.pathGlob(), 'globs', 0),
    yaml('[]'),
    'Files that are left out; each glob is held against the whole path.',
  ),
  roots: key<string[] | null>(
    list(format.absolutePath(), 'absolute paths', 1),
    none('by type'),
    'Directories in which a file must lie once all links are resolved; others are refused. By default, for `containers` the `pods` directory beside that of the pattern (`/var/log/pods`) and `/var/lib/docker/containers`; for `files` the part of each path before its first wildcard.',
  ),
  startAt: key<'beginning' | 'end'>(
    choice(['beginning', 'end']),
    yaml('beginning'),
    'Where a file without a checkpoint is begun. With `end`, what is there at the start is skipped; a file that comes later is read from its beginning.',
  ),
}

const globs = (noun: string, doc: string) => key<string[]>(list(format.nameGlob(), noun, 1), UNSET, doc)

const selectRules = list(
  record<SelectRule>({
    name: key(format.name(), REQUIRED, 'Lines are counted as skipped under this name.'),
    namespaces: globs('namespaces', 'The namespace is one of these; `*` stands for anything.'),
    containers: globs('containers', 'The container is one of these.'),
    podLabels: key<Record<string, string>>(
      {
        kind: 'map',
        noun: 'labels of a pod (key: value, * standing for anything)',
        checkKey: format.labelKeyProblem,
        of: format.labelValue(),
      },
      UNSET,
      'The pod has all of these labels. Where a pod is not known in time, its lines go out.',
    ),
    streams: key<('stdout' | 'stderr')[]>(
      list(choice(['stdout', 'stderr']), 'streams', 1),
      UNSET,
      'The source stream.',
    ),
    line: key(format.regExp(), UNSET, 'The line (the first 16 KiB of it) matches; `(?i)` in front: in whatever case.'),
  }),
  'rules',
  1,
) as Shape<SelectRule[]>

const select = key<SelectConfig>(
  record({
    include: key(
      selectRules,
      UNSET,
      'Only lines that one of these rules is about go out; others are skipped (rule `include`). Of what a rule gives, all must hold.',
    ),
    exclude: key(selectRules, UNSET, 'Lines that one of these rules is about are skipped.'),
  }) as Shape<SelectConfig>,
  UNSET,
  'Which lines go out. What is left out is read and counted as skipped, by rule.',
)

const redact = key<RedactRule[]>(
  list(
    record<RedactRule>({
      name: key(format.name(), REQUIRED, 'Changed lines are counted under this name.'),
      pattern: key(format.regExp(), REQUIRED, 'What is replaced, wherever it is in the line.'),
      replacement: key(text('a string', /^.*$/s), yaml('"***"'), 'What stands instead; `$1` is the first group.'),
    }),
    'rules',
    1,
  ) as Shape<RedactRule[]>,
  UNSET,
  'What is hidden in lines before they go anywhere.',
)

function source(pathsDefault: Default, startAgeMaxDefault: Default) {
  return record({ ...sourceKeysOf(pathsDefault, startAgeMaxDefault), select, redact })
}

function sourceKeysOf(pathsDefault: Default, startAgeMaxDefault: Default) {
  return {
    paths: key<string[]>(
      list(format.absolutePath(), 'absolute paths or globs', 1),
      pathsDefault,
      'The files. `*`, `?`, `[…]`, `{a,b}` and `**` are wildcards.',
    ),
    ...sourceKeys,
    startAgeMax: key<number | null>(
      startAgeMax,
      startAgeMaxDefault,
      'Lines that are older than this when a file is first met are skipped, and counted as skipped. A file with a checkpoint goes on from there, however old.',
    ),
  }
}

// Audit events are evidence: no rule for lines, only the policy, says which of them are kept.
const audit = record<Omit<AuditSourceConfig, 'type' | 'select' | 'redact' | 'isSpool'>>({
  ...sourceKeysOf(REQUIRED, yaml('off')),
  format: key<'json' | 'cri'>(
    choice(['json', 'cri']),
    yaml('json'),
    "`json`: one event a line, as the API server writes them to a file. `cri`: the log of a container that writes them to its standard output (`--audit-log-path=-`); its other lines pass as a container's.",
  ),
  policyFile: key<string | null>(
    format.file(),
    none('none'),
    'An `audit.k8s.io/v1` Policy, as the API server takes it. What it would not have logged is skipped, what it would have logged with less is trimmed. It never adds.',
  ),
  redaction: key<AuditSourceConfig['redaction']>(
    record(
      {
        keyFile: key<string | null>(
          format.file(),
          none('none'),
          'A file with a key of at least 16 bytes, every one of which counts (a newline at its end, too). Secrets are replaced by `[redacted:TOKEN]`, where equal secrets have equal tokens: the first 16 hex digits of their HMAC-SHA256. Without it, by `[redacted]`.',
        ),
      },
      { orOff: true },
    ) as Shape<AuditSourceConfig['redaction']>,
    yaml('{}'),
    'Secrets are taken out of events by their type, name and look; `off` ships them as they are.',
  ),
})

const auditWebhook = record<Omit<AuditWebhookSourceConfig, 'type'>>(
  {
    name: sourceKeys.name,
    listen: key(
      format.listen(),
      yaml('0.0.0.0:9443'),
      'Where API servers send their batches: `https://HOST:PORT/audit`, or `/audit/NAME` where a name is to be told by the path.',
    ),
    tls: key<AuditWebhookSourceConfig['tls']>(
      record<NonNullable<AuditWebhookSourceConfig['tls']>>({
        certFile: key(
          format.file(),
          REQUIRED,
          'The certificate (PEM) that it shows, with those between it and the CA.',
        ),
        keyFile: key(format.file(), REQUIRED, 'Its private key (PEM).'),
        clientCaFile: key(
          format.file(),
          UNSET,
          'Certificates (PEM) of who signs those of clients. A client with such a certificate is let in, and its CN is the name of the API server. Whoever has one may send events in its name, so use a CA that signs nothing else.',
        ),
      }) as Shape<AuditWebhookSourceConfig['tls']>,
      none('none'),
      'Read again when the files change. Left out: plain HTTP, on a loopback address only.',
    ),
    tokenFile: key<string | null>(
      format.file(),
      none('none'),
      'A file with a bearer token that lets a client in, read again when it changes. With `clientCaFile` as well, one of the two will do.',
    ),
    bodyBytesMax: key(
      quantity('64Ki', '64Mi'),
      yaml('16Mi'),
      'A larger batch is refused (413). What is taken at once may use a twelfth of `limits.memory`, or be one batch; what is more waits with its sender, and after five seconds is put off (429).',
    ),
    spoolBytesMax: key(
      quantity('16Mi'),
      yaml('1Gi'),
      'What waits for the sinks, on disk under `stateDir`, and never more than half of that file system. When it is full everything is put off (503).',
    ),
    policyFile: audit.keys.policyFile as Key<string | null>,
    redaction: audit.keys.redaction as Key<AuditWebhookSourceConfig['redaction']>,
  },
  { check: checkWebhook },
)

const sources = variants<SourceConfig>(
  key(
    choice(['containers', 'files', 'audit', 'auditWebhook']),
    REQUIRED,
    "`containers`: log files of containers as the kubelet lays them out. `files`: plain files, one record per line. `audit`: the API server's audit log; what it reads no other source reads. `auditWebhook`: takes the same events from API servers over HTTPS.",
  ),
  { name: sourceKeys.name },
  {
    containers: source(yaml('[/var/log/containers/*.log]'), yaml('168h')),
    files: source(REQUIRED, yaml('off')),
    audit,
    auditWebhook,
  },
)

const authKeys = {
  basic: key(
    record(
      {
        username: key(format.username(), REQUIRED, 'The user name.'),
        password: key(format.secret(), UNSET, 'The password; better `${NAME}` than the secret itself.'),
        passwordFile: key(
          format.file(),
          UNSET,
          'A file that holds the password; read again when it changes. A final line break is not part of it.',
        ),
      },
      { exactlyOne: [['password', 'passwordFile']] },
    ),
    UNSET,
    'HTTP basic authentication.',
  ),
  bearer: key(
    record(
      {
        token: key(format.secret(), UNSET, 'The token.'),
        tokenFile: key(format.file(), UNSET, 'A file that holds the token, as above.'),
      },
      { exactlyOne: [['token', 'tokenFile']] },
    ),
    UNSET,
    'A bearer token.',
  ),
}

const auth = record(authKeys, { secret: true, exactlyOne: [['basic', 'bearer']] }) as Shape<AuthConfig>

const elasticsearchAuth = record(
  {
    apiKey: key(
      record(
        {
          key: key(format.secret(), UNSET, 'The key as the server encodes it (`id:api_key` in base64).'),
          keyFile: key(format.file(), UNSET, 'A file that holds the key, as below.'),
        },
        { exactlyOne: [['key', 'keyFile']] },
      ),
      UNSET,
      'An API key.',
    ),
    ...authKeys,
  },
  { secret: true, exactlyOne: [['apiKey', 'basic', 'bearer']] },
) as Shape<ElasticsearchAuthConfig>

const tls = record<TlsConfig>(
  {
    caFile: key(format.file(), UNSET, 'Certificates (PEM) to trust instead of those that Node brings.'),
    certFile: key(format.file(), UNSET, 'Our own certificate (PEM), with `keyFile`.'),
    keyFile: key(format.file(), UNSET, 'Its private key (PEM).'),
    serverName: key(
      text('a host name', /^[A-Za-z0-9.-]+$/),
      UNSET,
      'The name to expect in the certificate, where it is not that of the URL.',
    ),
    insecureSkipVerify: key(boolean(), UNSET, 'Accepts any certificate. For tests.'),
  },
  { together: [['certFile', 'keyFile']] },
)

const sinkKeys = {
  name: key(format.name(), REQUIRED, 'The name by which checkpoints, metrics and the status page know it.'),
  sources: key<string[] | null>(
    list(format.name(), 'names of sources', 1),
    none('all'),
    'The names of the sources that it takes from.',
  ),
  labels: key<Record<string, string>>(
    { kind: 'map', noun: 'labels (name: value)', checkKey: format.labelNameProblem, of: format.labelValue() },
    yaml('{}'),
    `Constant labels for every record. Not ${format.OWN_LABELS.map((label) => `\`${label}\``).join(', ')}: these are set by taffrail.`,
  ),
  select,
}
const lineBytesMax = (fallback: string) =>
  key(
    quantity('1Ki', '4Mi'),
    yaml(fallback),
    'A longer line is cut there; its original length and SHA-256 are kept. Loki itself refuses lines over its `max_line_size`, 256Ki unless changed.',
  )

/** When a request is sent, and when it is repeated. */
const requestKeys = (concurrency: string, timeout: string) => ({
  batchAgeMax: key(duration('1ms', '1h'), yaml('1s'), 'A request is sent when its oldest line has waited this long.'),
  concurrency: key(integer(1, 64), yaml(concurrency), 'Requests in flight at once.'),
  requestTimeout: key(duration('1ms', '1h'), yaml(timeout), 'A request without an answer for this long is repeated.'),
  retryDelayMin: key(
    duration('1ms', '1h'),
    yaml('500ms'),
    'About the delay before the first repeat. It doubles with each further one, and is spread at random.',
  ),
  retryDelayMax: key(
    duration('1ms', '1h'),
    yaml('60s'),
    'The longest delay before a repeat; at least `retryDelayMin`. Repeats never end.',
  ),
})

const loki = record<Omit<LokiSinkConfig, 'type'>>(
  {
    url: key(
      format.pushUrl(),
      REQUIRED,
      'The URL of Loki or of a gateway before it. `/loki/api/v1/push` is appended unless the path ends in it; a prefix such as `/tenant-gw` is kept.',
    ),
    tenant: key<string | null>(format.tenant(), none('none'), 'Sent as `X-Scope-OrgID`.'),
    auth: key<AuthConfig | null>(auth, none('none'), 'How it authenticates itself.'),
    tls: key<TlsConfig | null>(tls, none('none'), 'Only with an `https://` URL.'),
    ...sinkKeys,
    structuredMetadata: key(
      list(format.field(), 'fields of a pod', 0),
      yaml('[pod_uid]'),
      `What each entry carries as structured metadata; it can be queried like a label and makes no streams, but is stored with every line: ${FIELDS.map((each) => `\`${each}\``).join(', ')}, \`pod.labels.NAME\`, \`pod.annotations.NAME\`, \`namespace.labels.NAME\`. Its name is the field's, with \`_\` for all but letters and digits.`,
    ),
    profile: key<'default' | 'lowCardinality'>(
      choice(['default', 'lowCardinality']),
      yaml('default'),
      '`lowCardinality`: `pod` is no label but structured metadata, so that the pods of an application on a node share a stream. They take turns in it; its limits are for all of them together.',
    ),
    labelsFrom: key<Record<string, string>>(
      {
        kind: 'map',
        noun: 'labels (name: field of the pod)',
        checkKey: format.labelNameProblem,
        of: format.field(['pod_uid', 'container_id', 'restart_count']),
      },
      yaml('{}'),
      'Further labels from what is known of the pod, such as `{team: namespace.labels.team, version: pod.labels.app.kubernetes.io/version}`. Each value makes a stream of its own, and Loki takes 15 labels at most.',
    ),
    lineBytesMax: lineBytesMax('256Ki'),
    batchBytesMax: key(quantity('4Ki', '3.5Mi'), yaml('1Mi'), 'A push is sent at this size, before compression.'),
    ...requestKeys('4', '30s'),
  },
  { check: checkLoki },
)

const retention = (fallback: string, what: string) =>
  key<number | null>(
    orOff(duration('24h', '876000h')),
    yaml(fallback),
    `How long the server keeps ${what}, in whole days.`,
  )

const elasticsearch = record<Omit<ElasticsearchSinkConfig, 'type'>>(
  {
    urls: key(
      list(format.hostUrl(), 'URLs', 1),
      REQUIRED,
      'The hosts of one cluster. Requests take turns among those that answer. A path before the API (of a gateway) is kept.',
    ),
    auth: key<ElasticsearchAuthConfig | null>(elasticsearchAuth, none('none'), 'How it authenticates itself.'),
    tls: key<TlsConfig | null>(tls, none('none'), 'Only with `https://` URLs.'),
    ...sinkKeys,
    namespace: key<string | null>(
      format.indexNamespace(),
      none('made of clusterName'),
      'The last part of the names: application logs go to the data stream `logs-kubernetes.container_logs-NAMESPACE`. One cluster has one, because its index template says once for all documents which cluster they are from.',
    ),
    documentIds: key(
      boolean(),
      yaml('true'),
      'Each document has an `_id` that is a function of the record, so that a repeat is none. `false` saves the server the look-up, and what is sent again is there twice.',
    ),
    expandJson: key<string[]>(
      list(format.name(), 'names of sources', 0),
      yaml('[]'),
      'Sources whose lines are put into the field `json`, too, where they are JSON objects. The annotation `taffrail.dev/json` of a pod (`true` or `false`) comes first, where annotations are let in.',
    ),
    gzipLevel: key(integer(0, 9), yaml('1'), 'Compression of requests; 0 for none.'),
    setupAtStart: key(
      boolean(),
      yaml('false'),
      'Puts index templates and lifecycle policies that are missing before anything is sent, as `taffrail setup` does. It needs rights for that.',
    ),
    retention: key(
      record<ElasticsearchSinkConfig['retention']>({
        logs: retention('336h', 'application logs'),
        audit: retention('8760h', 'audit events'),
      }),
      yaml('{}'),
      'What the lifecycle policies say that `taffrail setup` puts. A policy that is there is never changed.',
    ),
    lineBytesMax: lineBytesMax('1Mi'),
    batchBytesMax: key(
      quantity('4Ki', '16Mi'),
      yaml('1Mi'),
      'A bulk is sent at this size, before compression. Once the server has refused one as too large (413), less.',
    ),
    ...requestKeys('4', '60s'),
  },
  { check: checkElasticsearch },
)

const sinks = variants<SinkConfig>(
  key(
    choice(['loki', 'elasticsearch', 'stdout']),
    REQUIRED,
    '`loki`: pushes to Grafana Loki. `elasticsearch`: documents to Elasticsearch or OpenSearch. `stdout`: one line per record to standard output; at most one such sink.',
  ),
  sinkKeys,
  {
    loki,
    elasticsearch,
    stdout: record({
      ...sinkKeys,
      format: key<'raw' | 'json'>(
        choice(['raw', 'json']),
        yaml('raw'),
        '`raw`: the message as it was. `json`: one JSON object per record.',
      ),
      lineBytesMax: lineBytesMax('1Mi'),
    }),
  },
)

const allowList = (what: string, fallback: string) =>
  key<string[]>(
    list(format.labelGlob(), 'names', 0),
    yaml(fallback),
    `${what} that sinks which store documents get; \`*\` stands for anything. Loki gets what it names.`,
  )

const kubernetes = record<Config['kubernetes']>({
  metadata: key<Config['kubernetes']['metadata']>(
    {
      ...record({
        kubeconfig: key(format.file(), REQUIRED, 'Asks the API server of the current context of this kubeconfig.'),
      }),
      words: ['auto', 'off'],
    },
    yaml('auto'),
    "`auto`: pods are watched with the service account of the agent's own pod; where there is none, as on a laptop, it is `off`. `off`: what is known of a pod is what its file name says (namespace, pod, container).",
  ),
  metadataWait: key(
    duration('0ms', '5m'),
    yaml('5s'),
    "How long a new container's lines wait in their file until their pod is known. Then they go out with what the path tells, marked `metadata=path`.",
  ),
  annotations: key<Config['kubernetes']['annotations']>(
    record({
      honour: key(
        boolean(),
        yaml('true'),
        'Pods may direct their own lines: `taffrail.dev/exclude: "true"` leaves them out, `taffrail.dev/rate-limit: "100"` drops what is more than so many in a second; `taffrail.dev/multiline` makes records of several lines (`java`, `python`, `go`, `none`, or a pattern that begins with `^` and with which the first line of each record begins; ASCII, without look-around and back references); `taffrail.dev/parser: json` or `none` says whether sinks that store documents take lines for JSON objects (`cri`: as the sink is told); each also for one container (`taffrail.dev/exclude.CONTAINER`).',
      ),
      foreign: key(
        boolean(),
        yaml('false'),
        '`fluentbit.io/exclude` and `vector.dev/exclude` count like `taffrail.dev/exclude`.',
      ),
      exemptNamespaces: key<string[]>(
        list(format.nameGlob(), 'namespaces', 0),
        yaml('[]'),
        'Namespaces whose pods cannot make lines disappear; `*` stands for anything.',
      ),
      tenants: key<Config['kubernetes']['annotations']['tenants']>(
        list(
          record<Config['kubernetes']['annotations']['tenants'][number]>({
            tenant: key(
              format.tenant(),
              REQUIRED,
              'A tenant of Loki that pods may name by `taffrail.dev/tenant`. Never that of a sink that takes an audit source.',
            ),
            namespaces: key<string[]>(
              list(format.nameGlob(), 'namespaces', 1),
              REQUIRED,
              'Whose pods may; `*` stands for anything.',
            ),
          }),
          'tenants',
          0,
        ),
        yaml('[]'),
        'Where the lines of a pod may go instead of to the tenant of the sink, if its annotation `taffrail.dev/tenant` (or `taffrail.dev/tenant.CONTAINER`) says so. What is not listed here is ignored, and told.',
      ),
    }),
    yaml('{}'),
    'What pods may ask for by annotations. What is left out so is counted: skipped under the rule `annotation`, dropped for the reason `rateLimit`.',
  ),
  podLabels: allowList('Labels of the pod', '["*"]'),
  podAnnotations: allowList('Annotations of the pod', '[]'),
  namespaceLabels: allowList('Labels of the namespace', '[]'),
})

const limits = record<Config['limits']>({
  memory: key(
    quantity('48Mi'),
    {
      kind: 'machine',
      says: `the cgroup's memory limit, else ${MEMORY_DEFAULT}`,
      text: ({ cgroup: { memory } }) =>
        memory === null
          ? { text: MEMORY_DEFAULT, from: 'the default: the cgroup has no limit' }
          : { text: formatQuantity(memory.value), from: memory.file },
    },
    "Memory that the process may use. Its buffers, and V8's own limits, follow from it.",
  ),
  cpu: key(
    orOff(cores('10m', '256')),
    {
      kind: 'machine',
      says: "the cgroup's CPU limit, else off",
      text: ({ cgroup: { cpu } }) =>
        cpu === null
          ? { text: 'off', from: 'the cgroup has no limit' }
          : { text: formatCores(Math.max(10, cpu.value)), from: cpu.file },
    },
    'CPU time that the process keeps to by itself, over all of its threads. It paces its work, so that the kernel has no reason to stop it in the middle of a request; files that are closest to losing data are served first.',
  ),
})

const server = record(
  {
    listen: key(
      format.listen(),
      yaml('0.0.0.0:9095'),
      'Where `/metrics`, `/healthz`, `/ready`, `/status` and the page at `/` are served. An IPv6 address stands in brackets: `"[::]:9095"`.',
    ),
  },
  { orOff: true },
)

/** The whole file. */
export const schema = record<Config>(
  {
    clusterName: key(text('a string that is not empty'), yaml('kubernetes'), 'The value of the label `cluster`.'),
    nodeName: key(
      text('a string that is not empty'),
      {
        kind: 'machine',
        says: '`NODE_NAME` from the environment, else the host name',
        text: ({ env, hostname }) =>
          env.NODE_NAME ? { text: env.NODE_NAME, from: 'NODE_NAME' } : { text: hostname, from: 'the host name' },
      },
      'The value of the label `node_name`.',
    ),
    stateDir: key(
      format.absolutePath(),
      yaml('/var/lib/taffrail'),
      'The directory for checkpoints and dead letters. It must outlive the agent: a hostPath in Kubernetes.',
    ),
    kubernetes: key(kubernetes, yaml('{}'), 'What is asked of the API server.'),
    sources: key(list(sources, 'sources', 1), REQUIRED, 'What is read.'),
    sinks: key(
      list(sinks, 'sinks', 1),
      REQUIRED,
      'Where it goes. Each sink has its own cursor in every file and waits for no other.',
    ),
    limits: key(limits, yaml('{}'), 'What the process may use.'),
    server: key<Config['server']>(server, yaml('{}'), 'The status server; `off` for none.'),
  },
  { check: checkWhole },
)
