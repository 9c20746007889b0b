// How indices are named. Application logs go to a data stream; audit events to an index a day, which is a function of the
// event's own time, so that a repeat always meets its twin. Both names match the patterns of published rules and dashboards
// (`logs-*`, `logs-kubernetes.audit_logs-*`).

export const LOGS_DATASET = 'kubernetes.container_logs'
export const AUDIT_DATASET = 'kubernetes.audit_logs'

/** The data stream of application logs. */
export function logsDataStream(namespace: string): string {
  return `logs-${LOGS_DATASET}-${namespace}`
}

/** What the names of audit indices begin with: a dash and the day follow. */
export function auditIndexPrefix(namespace: string): string {
  return `logs-${AUDIT_DATASET}-${namespace}`
}

/** The index of an audit event: `logs-kubernetes.audit_logs-NAMESPACE-2026.11.21`. */
export function auditIndex(namespace: string, seconds: number): string {
  const day = new Date(seconds * 1000).toISOString().slice(0, 10).replaceAll('-', '.')
  return `${auditIndexPrefix(namespace)}-${day}`
}

/** What of a cluster's name may stand in the name of an index: lower case, no dash (it separates), at most 100 bytes. */
export function namespaceOf(clusterName: string): string {
  const name = clusterName
    .toLowerCase()
    .replace(/[^a-z0-9._]+/g, '_')
    .replace(/^[_.]+/, '')
    .slice(0, 100)
  return name === '' ? 'default' : name
}
