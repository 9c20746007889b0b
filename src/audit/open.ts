// What is kept of each audit source: its policy and its redaction, made ready once, when the agent starts, and proven on
// every way that its events may go. A source of which that fails is not read at all; all others are.
import type { AuditSourceConfig, AuditWebhookSourceConfig, Config } from '../config/config.ts'
import { formatConfigError } from '../config/config-error.ts'
import { isAuditSource, takes } from '../config/sources.ts'
import { errorMessage } from '../core/errors.ts'
import type { Events } from '../core/events.ts'
import type { Sink } from '../sinks/sink.ts'
import type { FilterOptions } from './filter.ts'
import { loadPolicy } from './policy/load.ts'
import { maskWith } from './redact/mask.ts'
import { failingRule } from './self-test.ts'

export type AuditSource = Pick<FilterOptions, 'policy' | 'mask'>

export interface OpenDeps {
  readFile: (path: string) => Buffer
  events: Events
}

/** The audit sources that may be read, by name. Every other one was told of by an event. */
export function openAudits(config: Config, sinks: readonly Sink[], deps: OpenDeps): Map<string, AuditSource> {
  const audits = new Map<string, AuditSource>()
  for (const source of config.sources) {
    if (!isAuditSource(source)) continue
    const stopped = (reason: string) => deps.events.emit('audit.stopped', { source: source.name, reason })
    try {
      const audit = open(source, deps.readFile)
      const takers = sinks.filter(({ name }) => {
        const sink = config.sinks.find((each) => each.name === name)
        return sink === undefined || takes(sink, source.name)
      })
      const failure = audit.mask === null ? null : failingRule(source, audit, takers)
      if (failure === null) audits.set(source.name, audit)
      else stopped(failure)
    } catch (error) {
      stopped(errorMessage(error))
    }
  }
  return audits
}

/** Throws where policy or key cannot be read or used. */
function open(
  { policyFile, redaction }: AuditSourceConfig | AuditWebhookSourceConfig,
  readFile: OpenDeps['readFile'],
): AuditSource {
  const loaded = policyFile === null ? null : loadPolicy(readFile(policyFile).toString(), policyFile)
  if (loaded !== null && 'errors' in loaded) throw new Error(loaded.errors.map(formatConfigError).join('; '))
  const policy = loaded?.policy ?? null
  if (redaction === null) return { policy, mask: null }
  if (redaction.keyFile === null) return { policy, mask: maskWith(null) }
  const key = readFile(redaction.keyFile)
  if (key.length < 16) throw new Error(`${redaction.keyFile}: a key needs at least 16 bytes`)
  return { policy, mask: maskWith(key) }
}
