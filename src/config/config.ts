// The resolved configuration: what `load` makes of a file and what the agent is built from. Key names are those of the
// YAML file; quantities are bytes, durations are milliseconds, and every default is filled in.
import type { FieldReference } from '../core/fields.ts'
import type { MultilineConfig } from '../parse/multiline.ts'

export interface Config {
  clusterName: string
  nodeName: string
  /** Absolute path of the directory for checkpoints and dead letters. */
  stateDir: string
  kubernetes: KubernetesConfig
  sources: SourceConfig[]
  sinks: SinkConfig[]
  limits: {
    /** Bytes of anonymous memory that the process may use; buffers and V8's own limits follow from it. */
    memory: number
    /** Thousandths of a core that the process keeps to over all of its threads; null: whatever it gets. */
    cpu: number | null
  }
  /** null: no server. */
  server: { listen: string } | null
}

export interface KubernetesConfig {
  /** `auto`: with the pod's own service account, and off where there is none. */
  metadata: 'off' | 'auto' | { kubeconfig: string }
  /** How long a new container's lines wait for what the API server knows of their pod. Milliseconds. */
  metadataWait: number
  /** Names, with `*` for anything, of what sinks that store documents get. */
  annotations: {
    /** Whether pods may leave their lines out or limit them. */
    honour: boolean
    /** Opt-outs of other agents count, too. */
    foreign: boolean
    /** Namespaces (globs) whose pods cannot make lines disappear. */
    exemptNamespaces: string[]
    /** Loki tenants that pods may name, and the namespaces (globs) whose pods may. */
    tenants: { tenant: string; namespaces: string[] }[]
  }
  podLabels: string[]
  podAnnotations: string[]
  namespaceLabels: string[]
}

/** Of what is given, all must hold. Globs know `*` only. */
export interface SelectRule {
  /** Under which lines are counted as skipped. */
  name: string
  namespaces?: string[]
  containers?: string[]
  /** Label -> glob of its value. */
  podLabels?: Record<string, string>
  streams?: ('stdout' | 'stderr')[]
  /** A regular expression somewhere in the line. */
  line?: string
}

export interface SelectConfig {
  /** Given: only lines that one of these wants. */
  include?: SelectRule[]
  /** Lines that none of these wants. */
  exclude?: SelectRule[]
}

export interface RedactRule {
  name: string
  pattern: string
  /** With `$1` for groups. */
  replacement: string
}

interface FilesCommon {
  name: string
  /** Absolute paths; `*`, `?`, `[…]`, `{a,b}` and `**` as globs. */
  paths: string[]
  /** Globs over whole paths that are left out. */
  exclude: string[]
  /** Directories under which a path must resolve; null: the default of DESIGN (the `pods` directory beside the pattern's own and /var/lib/docker/containers, or the pattern's fixed part). */
  roots: string[] | null
  /** Where a file that has no checkpoint is begun. */
  startAt: 'beginning' | 'end'
  /** Lines older than this when a file is first met are skipped; null: off. Milliseconds. */
  startAgeMax: number | null
  /** Which lines go out, to whatever sink. */
  select?: SelectConfig
  redact?: RedactRule[]
}

export interface ContainersSourceConfig extends FilesCommon {
  type: 'containers'
}

export interface FilesSourceConfig extends FilesCommon {
  type: 'files'
  /** Which lines are one record. Left out: each is one. */
  multiline?: MultilineConfig
}

export interface AuditSourceConfig extends FilesCommon {
  type: 'audit'
  /** `json`: one event a line. `cri`: events among the lines of a container's log. */
  format: 'json' | 'cri'
  /** An audit.k8s.io/v1 Policy; null: everything that is in the log. */
  policyFile: string | null
  /** null: off. `keyFile`: holds the key by which secrets become tokens. */
  redaction: { keyFile: string | null } | null
  /** It is the spool of a webhook: a directory for each API server. No configuration says so. */
  isSpool?: true
}

/** Audit events that API servers send; see audit/webhook. */
export interface AuditWebhookSourceConfig {
  type: 'auditWebhook'
  name: string
  /** `host:port`. */
  listen: string
  /** null: plain HTTP, on a loopback address only. With `clientCaFile` a client certificate is asked for. */
  tls: { certFile: string; keyFile: string; clientCaFile?: string } | null
  /** Holds the bearer token that counts, in place of a client certificate; null: none does. */
  tokenFile: string | null
  /** Of one batch. */
  bodyBytesMax: number
  /** Of all that waits on disk. */
  spoolBytesMax: number
  policyFile: string | null
  redaction: { keyFile: string | null } | null
}

/** A source of files that are there for everybody. */
export type FileSourceConfig = ContainersSourceConfig | FilesSourceConfig | AuditSourceConfig

export type SourceConfig = FileSourceConfig | AuditWebhookSourceConfig

interface SinkCommon {
  name: string
  /** Names of the sources it takes from; null: all. */
  sources: string[] | null
  /** Constant labels for every entry. */
  labels: Record<string, string>
  /** A line over this is cut and marked. Bytes. */
  lineBytesMax: number
  /** Which lines go out to this sink. */
  select?: SelectConfig
}

export interface LokiSinkConfig extends SinkCommon {
  type: 'loki'
  /** With the push path. */
  url: string
  tenant: string | null
  auth: AuthConfig | null
  tls: TlsConfig | null
  /** Which structured metadata an entry gets. */
  structuredMetadata: FieldReference[]
  /** `lowCardinality`: the pod's name is structured metadata and no label. */
  profile: 'default' | 'lowCardinality'
  /** Further labels, by name, from what is known of the pod. */
  labelsFrom: Record<string, FieldReference>
  /** Bytes of a push before compression at which it is sent; at most 3.5 MiB. */
  batchBytesMax: number
  /** Age of the oldest unsent line at which a push is sent. Milliseconds. */
  batchAgeMax: number
  /** Requests in flight at once over all lanes. */
  concurrency: number
  requestTimeout: number
  retryDelayMin: number
  retryDelayMax: number
}

export interface StdoutSinkConfig extends SinkCommon {
  type: 'stdout'
  format: 'raw' | 'json'
  /** With `raw`: stands before each line; `{file}` is the name of its file, `{path}` its path. */
  prefix?: string
}

/** Elasticsearch and OpenSearch. */
export interface ElasticsearchSinkConfig extends SinkCommon {
  type: 'elasticsearch'
  /** The hosts of one cluster, without a path of ours. */
  urls: string[]
  auth: ElasticsearchAuthConfig | null
  tls: TlsConfig | null
  /** The last part of the names of data stream and indices; null: made of the cluster's name. */
  namespace: string | null
  /** Whether each document has an `_id` that is a function of the record; without it repeats double. */
  documentIds: boolean
  /** Names of sources whose lines are put into the field `json`, too, where they are JSON objects. */
  expandJson: string[]
  /** 0: requests are not compressed. */
  gzipLevel: number
  /** Whether `taffrail run` puts templates and policies that are missing. */
  setupAtStart: boolean
  /** How long the server keeps what it got. Milliseconds; null: for ever. */
  retention: { logs: number | null; audit: number | null }
  /** Bytes of a bulk before compression at which it is sent. */
  batchBytesMax: number
  batchAgeMax: number
  concurrency: number
  requestTimeout: number
  retryDelayMin: number
  retryDelayMax: number
}

export type SinkConfig = LokiSinkConfig | ElasticsearchSinkConfig | StdoutSinkConfig

/** Secrets are given as a value or as a file, which is read again when it changes; never both. */
export type AuthConfig =
  | { basic: { username: string; password: string } | { username: string; passwordFile: string } }
  | { bearer: { token: string } | { tokenFile: string } }

export type ElasticsearchAuthConfig = AuthConfig | { apiKey: { key: string } | { keyFile: string } }

export interface TlsConfig {
  caFile?: string
  certFile?: string
  keyFile?: string
  serverName?: string
  insecureSkipVerify?: boolean
}
