// An event of which only little can be trusted, made anew from what was read of it: what its level Metadata would tell, as
// far as that is known. It is valid JSON, and holds nothing that redaction did not see.
import {
  API_GROUP,
  AUDIT_ID,
  type EventFacts,
  NAME,
  NAMESPACE,
  REQUEST_URI,
  RESOURCE,
  STAGE,
  SUBRESOURCE,
  USERNAME,
  VERB,
} from './event.ts'
import type { Mask } from './redact/mask.ts'
import { redactUri } from './redact/uri.ts'

/** The event's metadata as JSON; `originalBytes` is how long it was. */
export function cutToMetadata(facts: EventFacts, originalBytes: number, mask: Mask | null): string {
  const uri = facts.text(REQUEST_URI)
  const time = new Date(facts.seconds * 1000).toISOString().slice(0, 19)
  const known = (fact: number) => (facts.has(fact) ? facts.text(fact) : undefined)
  return JSON.stringify({
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    auditID: facts.text(AUDIT_ID),
    stage: facts.text(STAGE),
    requestURI: mask === null ? uri : redactUri(uri, mask),
    verb: facts.text(VERB),
    user: { username: known(USERNAME) },
    objectRef: facts.has(RESOURCE)
      ? {
          resource: facts.text(RESOURCE),
          namespace: known(NAMESPACE),
          name: known(NAME),
          apiGroup: known(API_GROUP),
          subresource: known(SUBRESOURCE),
        }
      : undefined,
    responseStatus: facts.code === 0 ? undefined : { code: facts.code },
    stageTimestamp: facts.hasTime ? `${time}.${String(Math.floor(facts.nanos / 1000)).padStart(6, '0')}Z` : undefined,
    annotations: { 'audit.k8s.io/truncated': 'true', 'taffrail/original-bytes': String(originalBytes) },
  })
}
