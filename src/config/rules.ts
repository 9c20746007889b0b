// What no single key can know: names that must differ or must exist, settings that exclude each other. Whatever was wrong
// by itself is missing here, and nothing is concluded from what is missing.
import type { AuditWebhookSourceConfig, Config, ElasticsearchSinkConfig, LokiSinkConfig } from './config.ts'
import { formatDuration } from './duration.ts'
import { nearest } from './nearest.ts'
import { formatQuantity } from './quantity.ts'
import type { Report } from './shapes.ts'
import { isAudited, takes } from './sources.ts'

/** Loki takes 15 labels; nine of them can be ours. */
const LABELS_MAX = 6

/** Checks one Loki sink. */
export function checkLoki(draft: Partial<Omit<LokiSinkConfig, 'type'>>, report: Report): void {
  const { url, tls, labels, labelsFrom } = draft
  const count = Object.keys(labels ?? {}).length + Object.keys(labelsFrom ?? {}).length
  if (labelsFrom && Object.keys(labelsFrom).length > 0 && count > LABELS_MAX) {
    report('labelsFrom', `${count} labels with those of \`labels\`; beside taffrail's own, Loki takes ${LABELS_MAX}`)
  }
  for (const name of Object.keys(labels ?? {})) {
    if (labelsFrom && Object.hasOwn(labelsFrom, name)) report(`labelsFrom.${name}`, 'is a constant of `labels` already')
  }
  if (url?.startsWith('http:') && tls) report('tls', 'the url is http://, for which there is no TLS')
  checkDelays(draft, report)
}

const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost):/

/** Checks one webhook: who may send to it. */
export function checkWebhook(draft: Partial<Omit<AuditWebhookSourceConfig, 'type'>>, report: Report): void {
  const { listen, tls, tokenFile } = draft
  if (tls === null && listen !== undefined && !LOOPBACK.test(listen)) {
    report('tls', `is missing; without it only a loopback address can be listened on, not ${listen}`)
  }
  if (tls && tls.clientCaFile === undefined && tokenFile === null) {
    report('tls', 'lets everybody in; give clientCaFile, or tokenFile beside it')
  }
}

/** Checks one elasticsearch sink. */
export function checkElasticsearch(draft: Partial<Omit<ElasticsearchSinkConfig, 'type'>>, report: Report): void {
  const urls: readonly (string | undefined)[] = draft.urls ?? []
  if (draft.tls && urls.length > 0 && urls.every((url) => url?.startsWith('http:'))) {
    report('tls', 'the urls are http://, for which there is no TLS')
  }
  checkDelays(draft, report)
}

function checkDelays(draft: { retryDelayMin?: number; retryDelayMax?: number }, report: Report): void {
  const { retryDelayMin, retryDelayMax } = draft
  if (retryDelayMin !== undefined && retryDelayMax !== undefined && retryDelayMin > retryDelayMax) {
    report(
      'retryDelayMax',
      `${formatDuration(retryDelayMax)} is less than retryDelayMin, ${formatDuration(retryDelayMin)}`,
    )
  }
}

/** Any item of a list may be wrong, and so be missing; so may any of its keys. */
type DraftList<T> = readonly (Partial<T> | undefined)[]

/** Checks the configuration as a whole. */
export function checkWhole(draft: Partial<Config>, report: Report): void {
  const sources: DraftList<Config['sources'][number]> | undefined = draft.sources
  const sinks: DraftList<Config['sinks'][number]> | undefined = draft.sinks
  if (sources) checkNamesDiffer('sources', sources, report)
  if (sources) checkBodies(sources, draft.limits, report)
  if (!sinks) return
  checkNamesDiffer('sinks', sinks, report)
  checkOneStdout(sinks, report)
  if (sources) checkRoutes(sources, sinks, report)
  if (sources) checkExpanded(sources, sinks, report)
  if (sources) checkAuditApart(sources, sinks, report)
  if (sources && draft.kubernetes?.annotations) checkTenants(draft.kubernetes.annotations, sources, sinks, report)
}

/** A body of the largest size, and what is made of it, must fit. */
function checkBodies(
  sources: DraftList<Config['sources'][number]>,
  limits: Partial<Config['limits']> | undefined,
  report: Report,
): void {
  const { memory } = limits ?? {}
  for (const [index, source] of sources.entries()) {
    if (source?.type !== 'auditWebhook' || source.bodyBytesMax === undefined || memory === undefined) continue
    if (6 * source.bodyBytesMax <= memory) continue
    const problem = `${formatQuantity(source.bodyBytesMax)} is more than a sixth of limits.memory, ${formatQuantity(memory)}`
    report(`sources[${index}].bodyBytesMax`, problem)
  }
  const byAddress = new Map<string, number>()
  for (const [index, source] of sources.entries()) {
    if (source?.type !== 'auditWebhook' || source.listen === undefined || source.listen.endsWith(':0')) continue
    const first = byAddress.get(source.listen)
    if (first === undefined) byAddress.set(source.listen, index)
    else report(`sources[${index}].listen`, `sources[${first}] listens on ${source.listen} already`)
  }
}

/** What pods may name is never where audit events go. */
function checkTenants(
  annotations: Partial<Config['kubernetes']['annotations']>,
  sources: DraftList<{ name: string; type: string }>,
  sinks: DraftList<Config['sinks'][number]>,
  report: Report,
): void {
  const tenants: DraftList<{ tenant: string }> = annotations.tenants ?? []
  for (const sink of sinks) {
    if (sink?.type !== 'loki' || sink.sources === undefined || !sink.tenant) continue
    const { sources: taken, tenant, name } = sink
    const isAudit = sources.some(
      (source) => source && isAudited(source.type) && takes({ sources: taken }, source.name ?? ''),
    )
    if (!isAudit) continue
    for (const [index, each] of tenants.entries()) {
      if (each?.tenant !== tenant) continue
      const path = `kubernetes.annotations.tenants[${index}].tenant`
      report(path, `${tenant} is the tenant of the sink ${name}, which takes an audit source; no pod may write there`)
    }
  }
}

function checkNamesDiffer(list: string, items: DraftList<{ name: string }>, report: Report): void {
  const firstByName = new Map<string, number>()
  for (const [index, item] of items.entries()) {
    if (item?.name === undefined) continue
    const first = firstByName.get(item.name)
    if (first === undefined) firstByName.set(item.name, index)
    else report(`${list}[${index}].name`, `${list}[${first}] is named ${item.name} already`)
  }
}

function checkOneStdout(sinks: DraftList<{ type: string }>, report: Report): void {
  const first = sinks.findIndex((sink) => sink?.type === 'stdout')
  for (const [index, sink] of sinks.entries()) {
    if (sink?.type === 'stdout' && index > first)
      report(`sinks[${index}].type`, `sinks[${first}] writes to stdout already`)
  }
}

/** Every source that a sink names must exist, and every source must have a sink. */
function checkRoutes(
  sources: DraftList<{ name: string }>,
  sinks: DraftList<{ sources: readonly (string | undefined)[] | null }>,
  report: Report,
): void {
  const names = sources.map((source) => source?.name)
  const known = names.filter((name) => name !== undefined)
  const forgotten = new Set(known)
  // A source is called forgotten only when nothing else is wrong: the name that is misspelt elsewhere may be its own.
  let certain = true
  for (const [index, sink] of sinks.entries()) {
    if (sink?.sources === null) forgotten.clear()
    if (sink?.sources === undefined) certain = false
    for (const [position, name] of sink?.sources?.entries() ?? []) {
      if (name !== undefined) forgotten.delete(name)
      if (name !== undefined && known.includes(name)) continue
      certain = false
      if (name === undefined || names.includes(undefined)) continue
      report(`sinks[${index}].sources[${position}]`, `there is no source named ${name}`, nearest(name, known))
    }
  }
  if (!certain) return
  for (const name of forgotten) report(`sources[${names.indexOf(name)}].name`, `no sink takes the source ${name}`)
}

/** Sources that a sink is to expand must exist. */
function checkExpanded(
  sources: DraftList<{ name: string }>,
  sinks: DraftList<Config['sinks'][number]>,
  report: Report,
): void {
  const names = sources.map((source) => source?.name)
  if (names.includes(undefined)) return
  for (const [index, sink] of sinks.entries()) {
    if (sink?.type !== 'elasticsearch') continue
    for (const [position, name] of (sink.expandJson as (string | undefined)[] | undefined)?.entries() ?? []) {
      if (name === undefined || names.includes(name)) continue
      report(
        `sinks[${index}].expandJson[${position}]`,
        `there is no source named ${name}`,
        nearest(name, names as string[]),
      )
    }
  }
}

/** Audit events are not selected by rules for lines. A Loki sink is one tenant, and audit events have one of their own: other readers, another retention. */
function checkAuditApart(
  sources: DraftList<{ name: string; type: string }>,
  sinks: DraftList<{ type: string; sources: readonly (string | undefined)[] | null; select?: unknown }>,
  report: Report,
): void {
  for (const [index, sink] of sinks.entries()) {
    if (sink === undefined || sink.sources === undefined) continue
    const taken = sources.filter((source) => sink.sources === null || sink.sources?.includes(source?.name))
    const kinds = new Set(taken.map((source) => isAudited(source?.type)))
    if (!kinds.has(true)) continue
    if (sink.select !== undefined) {
      report(`sinks[${index}].select`, 'does not go with an audit source; its policyFile says which events are kept')
    }
    if (kinds.size === 1 || sink.type !== 'loki') continue
    const message = 'takes an audit source beside others; give audit events a sink, and so a tenant, of their own'
    report(sink.sources === null ? `sinks[${index}]` : `sinks[${index}].sources`, message)
  }
}
