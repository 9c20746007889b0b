// What the sources of a configuration are to others: which are read as audit events, and which sink takes which.
import type { AuditSourceConfig, AuditWebhookSourceConfig, SinkConfig, SourceConfig } from './config.ts'

/** Whether sources of a type are read as audit events: under policy and redaction, and never with logs. */
export function isAudited(type: string | undefined): boolean {
  return type === 'audit' || type === 'auditWebhook'
}

export function isAuditSource(source: SourceConfig): source is AuditSourceConfig | AuditWebhookSourceConfig {
  return isAudited(source.type)
}

/** Whether the sink takes what comes from the source. */
export function takes(sink: Pick<SinkConfig, 'sources'>, source: string): boolean {
  return sink.sources === null || sink.sources.includes(source)
}
