// What Loki's distributor looks at before it lets a push in (grafana/loki, pkg/loghttp/push, pkg/distributor/validator.go):
// the tenant, the label sets, each entry's age and size. Pure; a failure is Loki's own sentence about it.
import { formatLabelSet, parseLabelSet } from './label-set.ts'
import type { LokiLimits } from './loki-limits.ts'
import { metadataBytes, nanoseconds, rfc3339 } from './loki-stream.ts'
import type { LabelPair, PushEntry } from './push-proto.ts'

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
