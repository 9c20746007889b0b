// The keys of `sinks`, as data (schema.ts): loki, elasticsearch and stdout. What a key is called and does by itself is here;
// what several must be together is in rules.ts.
import { FIELDS } from '../core/fields.ts'
import type {
  AuthConfig,
  ElasticsearchAuthConfig,
  ElasticsearchSinkConfig,
  LokiSinkConfig,
  SinkConfig,
  TlsConfig,
} from './config.ts'
import * as format from './formats.ts'
import { checkElasticsearch, checkLoki } from './rules.ts'
import { boolean, choice, duration, integer, orOff, quantity } from './scalars.ts'
import { auth, elasticsearchAuth, tls } from './schema-access.ts'
import { select } from './schema-lines.ts'
import { key, list, none, REQUIRED, record, variants, yaml } from './shapes.ts'

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
      'The hosts of one cluster. Requests take turns among those that answer. A path before the API (of a gateway) is kept. Proxies named in the environment are not used.',
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

/** One of `sinks`. */
export const sink = variants<SinkConfig>(
  key(
    choice(['loki', 'elasticsearch', 'stdout'], { opensearch: 'OpenSearch is a sink of type elasticsearch, too' }),
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
