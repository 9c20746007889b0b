// What is put on a server before the first document: index templates, which say once for a whole index what would otherwise
// stand in each document or make fields conflict, and lifecycle policies. Pure. Fields are ECS; `dynamic` is off, so
// that nothing that a container writes ever makes a field. Labels, annotations and JSON lines are one field each, of type
// `flattened` (Elasticsearch) or `flat_object` (OpenSearch): `app` beside `app.kubernetes.io/name` is no conflict.
import { AUDIT_FIELDS, type FieldTree, type LeafField } from './audit-fields.ts'
import { AUDIT_DATASET, auditIndexPrefix, LOGS_DATASET, logsDataStream } from './index-names.ts'

/** Serverless: Elastic's service without nodes, which has no ILM and keeps data streams by their own lifecycle. */
export type Product = 'elasticsearch' | 'serverless' | 'opensearch'

/** What the names and contents depend on. Retention in milliseconds; null: for ever. */
export interface SetupOptions {
  product: Product
  clusterName: string
  namespace: string
  retention: { logs: number | null; audit: number | null }
}

/** One thing to put: where, and what. */
export interface SetupObject {
  kind: 'index template' | 'lifecycle policy'
  name: string
  path: string
  body: object
}

const ECS_VERSION = '8.17.0'
/** Above `logs-*-*` (100 and 200), which both products bring. */
const PRIORITY_LOGS = 500
const PRIORITY_AUDIT = 510
const DAY_MS = 86_400_000

const keyword = { type: 'keyword', ignore_above: 1024 }
const path = { type: 'keyword', ignore_above: 4096 }
const long = { type: 'long' }
const ip = { type: 'ip', ignore_malformed: true }
const date = { type: 'date_nanos' }
const text = { type: 'match_only_text' }
const kept = { type: 'object', enabled: false }
const LEAVES = { keyword, path, text, flag: keyword, integer: { type: 'integer' }, date, ip, kept }
const alias = (path: string) => ({ type: 'alias', path })
const constant = (value: string) => ({ type: 'constant_keyword', value })
const fields = (properties: object) => ({ properties })
const named = fields({ name: keyword })
/** What core/marks.ts says of a marked record. */
const MARKS = fields({
  mark: keyword,
  original_bytes: long,
  original_sha256: keyword,
  original_time: keyword,
  offset: long,
  confidence: keyword,
})

/** Policies first: templates name them. */
export function setupObjects(options: SetupOptions): SetupObject[] {
  return [...policies(options), logsTemplate(options), auditTemplate(options)]
}

function flat({ product }: SetupOptions): object {
  return product === 'opensearch' ? { type: 'flat_object' } : { type: 'flattened', ignore_above: 8191, depth_limit: 20 }
}

/** The mapping of a field of an audit event. */
function mappingOf(field: LeafField | FieldTree, options: SetupOptions): object {
  if (typeof field === 'object') {
    return fields(Object.fromEntries(Object.entries(field).map(([name, each]) => [name, mappingOf(each, options)])))
  }
  if (field === 'flat') return flat(options)
  return LEAVES[field]
}

/** What holds for every document of an index. */
function constants(dataset: string, { namespace }: SetupOptions): Record<string, object> {
  return {
    data_stream: fields({ type: constant('logs'), dataset: constant(dataset), namespace: constant(namespace) }),
    ecs: fields({ version: constant(ECS_VERSION) }),
  }
}

function orchestrator({ clusterName }: SetupOptions, more: object): object {
  return fields({
    type: constant('kubernetes'),
    cluster: fields({ name: constant(clusterName) }),
    ...more,
  })
}

function logsTemplate(options: SetupOptions): SetupObject {
  const owners = ['deployment', 'statefulset', 'daemonset', 'replicaset', 'job', 'cronjob', 'node', 'container']
  const properties = {
    '@timestamp': date,
    message: text,
    stream: keyword,
    json: flat(options),
    labels: flat(options),
    kubernetes: fields({
      namespace: keyword,
      namespace_labels: flat(options),
      pod: fields({ name: keyword, uid: keyword }),
      ...Object.fromEntries(owners.map((owner) => [owner, named])),
      labels: flat(options),
      annotations: flat(options),
      metadata: keyword,
    }),
    container: fields({ id: keyword, image: named }),
    service: named,
    host: named,
    log: fields({ file: fields({ path }), offset: long }),
    taffrail: MARKS,
    orchestrator: orchestrator(options, {
      namespace: alias('kubernetes.namespace'),
      resource: fields({ name: alias('kubernetes.pod.name') }),
    }),
    event: fields({ dataset: constant(LOGS_DATASET), module: constant('kubernetes'), kind: constant('event') }),
    ...constants(LOGS_DATASET, options),
  }
  return template(`taffrail-logs-${options.namespace}`, options, options.retention.logs, {
    index_patterns: [logsDataStream(options.namespace)],
    data_stream: {},
    priority: PRIORITY_LOGS,
    properties,
  })
}

function auditTemplate(options: SetupOptions): SetupObject {
  const audit = mappingOf(AUDIT_FIELDS, options)
  const properties = {
    '@timestamp': date,
    message: text,
    labels: flat(options),
    kubernetes: fields({ audit, node: named }),
    user: fields({ id: keyword, name: keyword, group: named, effective: named }),
    source: fields({ ip }),
    user_agent: fields({ original: path }),
    log: fields({ file: fields({ path }), offset: long }),
    observer: fields({ name: keyword, type: keyword }),
    taffrail: MARKS,
    orchestrator: orchestrator(options, {
      namespace: alias('kubernetes.audit.objectRef.namespace'),
      resource: fields({
        name: alias('kubernetes.audit.objectRef.name'),
        type: alias('kubernetes.audit.objectRef.resource'),
      }),
    }),
    event: fields({
      action: keyword,
      outcome: keyword,
      id: keyword,
      dataset: constant(AUDIT_DATASET),
      module: constant('kubernetes'),
      kind: constant('event'),
    }),
    ...constants(AUDIT_DATASET, options),
  }
  return template(`taffrail-audit-${options.namespace}`, options, options.retention.audit, {
    index_patterns: [`${auditIndexPrefix(options.namespace)}-*`],
    priority: PRIORITY_AUDIT,
    properties,
  })
}

interface TemplateParts {
  index_patterns: string[]
  data_stream?: object
  priority: number
  properties: object
}

function template(
  name: string,
  { product }: SetupOptions,
  retentionMs: number | null,
  parts: TemplateParts,
): SetupObject {
  const { properties, ...rest } = parts
  const ilm = product === 'elasticsearch' && retentionMs !== null ? { lifecycle: { name } } : {}
  const isKeptByStream = product === 'serverless' && parts.data_stream !== undefined && retentionMs !== null
  const body = {
    ...rest,
    template: {
      ...(isKeptByStream && { lifecycle: { data_retention: daysOf(retentionMs) } }),
      ...(product !== 'serverless' && { settings: { index: { codec: 'best_compression', ...ilm } } }),
      mappings: { dynamic: false, date_detection: false, properties },
    },
  }
  return { kind: 'index template', name, path: `/_index_template/${name}`, body }
}

function policies(options: SetupOptions): SetupObject[] {
  const { namespace, retention, product } = options
  if (product === 'serverless') return []
  const logs = `taffrail-logs-${namespace}`
  const audit = `taffrail-audit-${namespace}`
  return [
    ...(retention.logs === null ? [] : [policy(options, logs, retention.logs, logsDataStream(namespace), true)]),
    ...(retention.audit === null
      ? []
      : [policy(options, audit, retention.audit, `${auditIndexPrefix(namespace)}-*`, false)]),
  ]
}

function daysOf(retentionMs: number): string {
  return `${Math.ceil(retentionMs / DAY_MS)}d`
}

function policy(
  { product }: SetupOptions,
  name: string,
  retentionMs: number,
  pattern: string,
  rollsOver: boolean,
): SetupObject {
  const age = daysOf(retentionMs)
  if (product === 'elasticsearch') {
    const rollover = { rollover: { max_age: '1d', max_primary_shard_size: '50gb' } }
    const phases = {
      hot: { min_age: '0ms', actions: rollsOver ? rollover : {} },
      delete: { min_age: age, actions: { delete: {} } },
    }
    return { kind: 'lifecycle policy', name, path: `/_ilm/policy/${name}`, body: { policy: { phases } } }
  }
  const rollover = [{ rollover: { min_index_age: '1d', min_primary_shard_size: '50gb' } }]
  const states = [
    {
      name: 'hot',
      actions: rollsOver ? rollover : [],
      transitions: [{ state_name: 'delete', conditions: { min_index_age: age } }],
    },
    { name: 'delete', actions: [{ delete: {} }], transitions: [] },
  ]
  const ism_template = [{ index_patterns: [pattern], priority: PRIORITY_LOGS }]
  const body = { policy: { description: `${name}: kept for ${age}`, default_state: 'hot', states, ism_template } }
  return { kind: 'lifecycle policy', name, path: `/_plugins/_ism/policies/${name}`, body }
}
