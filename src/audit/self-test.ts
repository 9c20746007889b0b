// The proof, at every start, that redaction works on the way that events will go: a random secret for each rule goes through
// parsing, policy, redaction and every sink's own encoder, into memory and no farther. If one comes out, no audit event
// is read.
import { randomBytes } from 'node:crypto'
import { Part } from '../batch/part.ts'
import { newEntry } from '../core/entry.ts'
import type { LineageInfo } from '../core/lineage-info.ts'
import { pathMetadata } from '../core/metadata.ts'
import { fileKey } from '../discover/lineage-key.ts'
import type { Sink } from '../sinks/sink.ts'
import type { FilterOptions } from './filter.ts'
import { AuditLines } from './lines.ts'

type Carrier = (secret: string) => Record<string, unknown>

/** One event for each rule. What carries the secret is all that counts in it. */
const CARRIERS: Record<string, Carrier> = {
  'data of a Secret': (secret) => write('secrets', { kind: 'Secret', data: { x: base64(secret) } }),
  'stringData of a Secret': (secret) => write('secrets', { kind: 'Secret', stringData: { x: secret } }),
  'a list of Secrets': (secret) => write('secrets', { kind: 'SecretList', items: [{ data: { x: base64(secret) } }] }),
  'a merge patch of a Secret': (secret) => write('secrets', { stringData: { x: secret } }, 'patch'),
  'a JSON patch of a Secret': (secret) =>
    write('secrets', [{ op: 'add', path: '/data/x', value: base64(secret) }], 'patch'),
  'last-applied-configuration': (secret) => {
    const applied = JSON.stringify({ kind: 'Secret', stringData: { x: secret } })
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': applied }
    return write('secrets', { kind: 'Secret', metadata: { annotations } })
  },
  "a mutating webhook's patch": (secret) => {
    const patch = JSON.stringify({ patch: [{ op: 'add', path: '/data/x', value: base64(secret) }] })
    return { ...write('secrets', {}), annotations: { 'patch.webhook.admission.k8s.io/round_0_index_0': patch } }
  },
  'a Secret in another object': (secret) =>
    write('bundles', { kind: 'Bundle', spec: { data: { x: secret }, kind: 'Secret' } }),
  'a value of a ConfigMap': (secret) => write('configmaps', { kind: 'ConfigMap', data: { x: `password=${secret}` } }),
  'a TokenRequest': (secret) => write('serviceaccounts', { kind: 'TokenRequest', status: { token: secret } }),
  'a TokenReview': (secret) => write('tokenreviews', { kind: 'TokenReview', spec: { token: secret } }),
  'a CertificateSigningRequest': (secret) =>
    write('certificatesigningrequests', { kind: 'CertificateSigningRequest', spec: { request: base64(secret) } }),
  'an env variable': (secret) =>
    write('pods', { kind: 'Pod', spec: { containers: [{ env: [{ name: 'DB_PASSWORD', value: secret }] }] } }),
  'a query of a URI': (secret) => ({ ...event('pods', 'get'), requestURI: `/api/v1/pods?token=${secret}` }),
  'the command of an exec': (secret) => ({
    ...event('pods', 'create'),
    requestURI: `/api/v1/namespaces/a/pods/b/exec?command=x&command=--password%3D${secret}`,
  }),
  "a user's extra": (secret) => ({
    ...event('pods', 'get'),
    user: { username: 'a', extra: { 'authentication.kubernetes.io/credential-id': [secret] } },
  }),
}

function event(resource: string, verb: string): Record<string, unknown> {
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'RequestResponse',
    auditID: 'self-test',
    stage: 'ResponseComplete',
    requestURI: `/api/v1/namespaces/a/${resource}`,
    verb,
    user: { username: 'a' },
    objectRef: { resource, namespace: 'a' },
    responseStatus: { code: 200 },
  }
}

function write(resource: string, body: unknown, verb = 'create'): Record<string, unknown> {
  const stageTimestamp = '2026-01-01T00:00:00.000000Z'
  return { ...event(resource, verb), requestObject: body, responseObject: body, stageTimestamp }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

/**
 * Says which rule lets a secret out, and where; null when none does. `carriers` is for tests.
 */
export function failingRule(
  source: { name: string },
  { policy, mask }: Pick<FilterOptions, 'policy' | 'mask'>,
  sinks: readonly Sink[],
  carriers = CARRIERS,
): string | null {
  for (const [rule, carrier] of Object.entries(carriers)) {
    for (const sink of sinks) {
      const secret = randomBytes(24).toString('base64url')
      const line = Buffer.from(`${JSON.stringify(carrier(secret))}\n`)
      // Once under the policy, and once as if it kept everything.
      for (const each of policy === null ? [null] : [policy, null]) {
        const out = encoded(source, { policy: each, mask }, sink, line)
        if (isIn(out, secret)) return `the self test found a secret in what sink ${sink.name} would send: ${rule}`
      }
    }
  }
  return null
}

/** What the sink would send of a line. */
function encoded(
  source: { name: string },
  options: Pick<FilterOptions, 'policy' | 'mask'>,
  sink: Sink,
  line: Buffer,
): Buffer {
  const { lineBytesMax } = sink
  const lines = new AuditLines({ ...options, lineBytesMax, pause: () => Promise.resolve(), ready() {} })
  const entry = newEntry()
  entry.buffer = line
  entry.messageEnd = line.length - 1
  entry.sourceBytes = line.length
  if (!lines.apply(entry, true)) return Buffer.alloc(0)
  const path = '/self-test'
  const info: LineageInfo = {
    source: source.name,
    sourceType: 'audit',
    key: fileKey(source.name, path),
    path,
    namespace: '',
    pod: '',
    podUid: '',
    container: '',
  }
  const { key, encoder } = sink.target(info, pathMetadata(info, 'self-test'))
  const part = new Part(4096)
  encoder.write(part, entry)
  sink.forget(key)
  return part.buffer.subarray(0, part.end)
}

/** Whether the secret is in the bytes: as it is, as JSON writes it, or in base64 at any offset. */
function isIn(bytes: Buffer, secret: string): boolean {
  const forms = [secret, JSON.stringify(secret).slice(1, -1)]
  for (let offset = 0; offset < 3; offset++) {
    const text = Buffer.concat([Buffer.alloc(offset), Buffer.from(secret)]).toString('base64')
    forms.push(text.slice(4, -4))
  }
  return forms.some((form) => bytes.includes(form))
}
