// What Loki's distributor looks at before it lets a push in (grafana/loki, pkg/loghttp/push, pkg/distributor/validator.go):
// the tenant, the label sets, each entry's age and size. Pure; a failure is Loki's own sentence about it.
import { formatLabelSet, parseLabelSet } from './label-set.ts'
import { metadataBytes, nanoseconds, rfc3339 } from './loki-stream.ts'
import type { LabelPair, PushEntry } from './push-proto.ts'

/** Loki's limits, named after what they bound. */
export interface LokiLimits {
  /** Off: every push belongs to the tenant `fake` and the header is not looked at. */
  authEnabled: boolean
  ageMsMax: number
  futureMsMax: number
  /** An entry older than its stream's highest timestamp by more than this is too far behind. */
  behindMsMax: number
  lineBytesMax: number
  metadataPairsMax: number
  metadataBytesMax: number
  labelsMax: number
  labelNameBytesMax: number
  labelValueBytesMax: number
  streamsMax: number
  ingestBytesPerSecond: number
  ingestBurstBytes: number
  streamBytesPerSecond: number
  streamBurstBytes: number
  /** Of the push as the distributor hands it on, uncompressed. */
  pushBytesMax: number
  /** Entries refused by a stream that are named one by one. */
  refusalsNamedMax: number
  /** Of several failed checks of the distributor: whether the last alone is told, or all of them, counted and joined. */
  checksTold: 'one' | 'all'
}

/** Loki's defaults, but for `authEnabled`, which Loki turns on. */
export const LOKI_LIMITS: Readonly<LokiLimits> = {
  authEnabled: false,
  ageMsMax: 168 * 3_600_000,
  futureMsMax: 10 * 60_000,
  behindMsMax: 3_600_000,
  lineBytesMax: 256 * 1024,
  metadataPairsMax: 128,
  metadataBytesMax: 64 * 1024,
  labelsMax: 15,
  labelNameBytesMax: 1024,
  labelValueBytesMax: 2048,
  streamsMax: 5000,
  ingestBytesPerSecond: 4 * 1024 * 1024,
  ingestBurstBytes: 6 * 1024 * 1024,
  streamBytesPerSecond: 3 * 1024 * 1024,
  streamBurstBytes: 15 * 1024 * 1024,
  pushBytesMax: 4 * 1024 * 1024,
  refusalsNamedMax: 10,
  checksTold: 'one',
}

/** For tests and demos that are not about rates: as fast as one likes, and any number of streams. */
export const UNLIMITED_RATES: Readonly<Partial<LokiLimits>> = {
  streamsMax: Number.POSITIVE_INFINITY,
  ingestBytesPerSecond: Number.POSITIVE_INFINITY,
  ingestBurstBytes: Number.POSITIVE_INFINITY,
  streamBytesPerSecond: Number.POSITIVE_INFINITY,
  streamBurstBytes: Number.POSITIVE_INFINITY,
}

const SERVICE_NAME = 'service_name'
const SERVICE_NAME_FROM = [
  ...['service', 'app', 'application', 'app_name', 'name', 'app_kubernetes_io_name', 'container', 'container_name'],
  ...['k8s_container_name', 'component', 'workload', 'job', 'k8s_job_name'],
]

/** What is wrong with the tenant in an X-Scope-OrgID header (given, not empty), or null. */
export function tenantFailure(header: string): string | null {
  const [tenant = '', ...others] = header.split('|').map((id) => id.split(':')[0]!)
  const unsupported = /[^A-Za-z0-9!\-_.*'()]/.exec(tenant)
  if (unsupported !== null) return `tenant ID '${tenant}' contains unsupported character '${unsupported[0]}'`
  if (tenant.length > 150) return 'tenant ID is too long: max 150 characters'
  if (tenant === '.' || tenant === '..') return "tenant ID is '.' or '..'"
  return others.some((other) => other !== tenant) ? 'multiple org IDs present' : null
}

/** Parses a stream's label set and adds `service_name` where it is missing, as Loki does. Throws a LabelSetError. */
export function namedLabels(text: string): { pairs: LabelPair[]; labelSet: string } {
  const pairs = parseLabelSet(text)
  const valueNamed = (wanted: string) => pairs.find(({ name }) => name === wanted)?.value
  if (valueNamed(SERVICE_NAME) === undefined) {
    const from = SERVICE_NAME_FROM.find((name) => valueNamed(name) !== undefined)
    const value = from === undefined ? 'unknown_service' : valueNamed(from)!
    const at = pairs.findIndex(({ name }) => name > SERVICE_NAME)
    pairs.splice(at === -1 ? pairs.length : at, 0, { name: SERVICE_NAME, value })
  }
  return { pairs, labelSet: formatLabelSet(pairs) }
}

/** What is wrong with a stream's labels, or null. `service_name` is not counted. */
export function labelsFailure(pairs: readonly LabelPair[], labelSet: string, limits: LokiLimits): string | null {
  const count = pairs.length - 1
  if (count > limits.labelsMax)
    return `entry for stream '${labelSet}' has ${count} label names; limit ${limits.labelsMax}`
  let previous = ''
  for (const { name, value } of pairs) {
    if (Buffer.byteLength(name) > limits.labelNameBytesMax)
      return `stream '${labelSet}' has label name too long: '${name}'`
    if (Buffer.byteLength(value) > limits.labelValueBytesMax)
      return `stream '${labelSet}' has label value too long: '${value}'`
    if (name === previous) return `stream '${labelSet}' has duplicate label name: '${name}'`
    previous = name
  }
  return null
}

/** The oldest and the newest timestamp that Loki takes at `nowMs`. */
export function acceptedAges(limits: LokiLimits, nowMs: number): { oldestNs: bigint; newestNs: bigint } {
  return { oldestNs: nanoseconds(nowMs - limits.ageMsMax), newestNs: nanoseconds(nowMs + limits.futureMsMax) }
}

/** What is wrong with an entry, or null. */
export function entryFailure(
  { timestampNs, line, metadata }: PushEntry,
  labelSet: string,
  limits: LokiLimits,
  { oldestNs, newestNs }: { oldestNs: bigint; newestNs: bigint },
): string | null {
  if (timestampNs < oldestNs)
    return `entry for stream '${labelSet}' has timestamp too old: ${rfc3339(timestampNs)}, oldest acceptable timestamp is: ${rfc3339(oldestNs)}`
  if (timestampNs > newestNs) return `entry for stream '${labelSet}' has timestamp too new: ${rfc3339(timestampNs)}`
  if (line.length > limits.lineBytesMax)
    return `max entry size '${limits.lineBytesMax}' bytes exceeded for stream '${labelSet}' while adding an entry with length '${line.length}' bytes`
  if (metadata.length === 0) return null
  const bytes = metadataBytes(metadata)
  if (bytes > limits.metadataBytesMax)
    return `stream '${labelSet}' has structured metadata too large: '${bytes}' bytes, limit: '${limits.metadataBytesMax}' bytes. Please see \`limits_config.max_structured_metadata_size\` or contact your Loki administrator to increase it`
  if (metadata.length > limits.metadataPairsMax)
    return `stream '${labelSet}' has too many structured metadata labels: '${metadata.length}', limit: '${limits.metadataPairsMax}'. Please see \`limits_config.max_structured_metadata_entries_count\` or contact your Loki administrator to increase it`
  return null
}

/** A metadata name that Loki cannot make a name of: it answers 500 for the whole push, every time. */
export class MetadataNameError extends Error {}

/**
 * Metadata under the names that Loki stores (prometheus/otlptranslator, label_namer.go: `k8s.pod-name` becomes
 * `k8s_pod_name`). The array given when nothing changes. Throws a MetadataNameError.
 */
export function normalMetadata(metadata: LabelPair[]): LabelPair[] {
  if (metadata.every(({ name }) => /^[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*$/.test(name))) return metadata
  return metadata.map(({ name, value }) => ({ name: normalName(name), value }))
}

function normalName(name: string): string {
  if (name === '') throw new MetadataNameError('label name is empty')
  const reserved = /^__(.*)__$/.exec(name)
  const plain = (reserved?.[1] ?? name).replace(/[^A-Za-z0-9]+/g, '_')
  let normal = reserved === null ? plain : `__${plain}__`
  if (/^\d/.test(normal)) normal = `key_${normal}`
  if (/^_+$/.test(normal))
    throw new MetadataNameError(`normalization for label name "${name}" resulted in invalid name "${normal}"`)
  return normal
}
