// The keys of `sources`, as data (schema.ts): containers, files, audit and auditWebhook. What a key is called and does by
// itself is here; what several must be together is in rules.ts.
import type { AuditSourceConfig, AuditWebhookSourceConfig, SourceConfig } from './config.ts'
import * as format from './formats.ts'
import { checkWebhook } from './rules.ts'
import { choice, duration, orOff, quantity } from './scalars.ts'
import { redact, select } from './schema-lines.ts'
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

function ofFiles(pathsDefault: Default, startAgeMaxDefault: Default) {
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

/** One of `sources`. */
export const source = variants<SourceConfig>(
  key(
    choice(['containers', 'files', 'audit', 'auditWebhook']),
    REQUIRED,
    "`containers`: log files of containers as the kubelet lays them out. `files`: plain files, one record per line. `audit`: the API server's audit log; what it reads no other source reads. `auditWebhook`: takes the same events from API servers over HTTPS.",
  ),
  { name: sourceKeys.name },
  {
    containers: ofFiles(yaml('[/var/log/containers/*.log]'), yaml('168h')),
    files: ofFiles(REQUIRED, yaml('off')),
    audit,
    auditWebhook,
  },
)
