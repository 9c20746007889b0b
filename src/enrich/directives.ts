// What pods ask for by annotations: `taffrail.dev/exclude`, `rate-limit`, `tenant`, `multiline` and `parser`, each also for
// one container alone (`taffrail.dev/exclude.CONTAINER`). Of other agents' annotations the opt-outs are known. Pure.
// What cannot be understood, or is not allowed, is as if it were absent, and told.
import { errorMessage } from '../core/errors.ts'
import { linePattern } from '../parse/line-pattern.ts'
import { MULTILINE_PRESETS, type MultilineConfig, type MultilinePreset } from '../parse/multiline.ts'
import { isLike } from '../select/selection.ts'

export interface Directives {
  /** None of its lines go out. */
  exclude: boolean
  /** Lines per second, by the lines' own time, of which more are dropped; null: no limit. */
  linesPerSecond: number | null
  /** The tenant that its lines go to; null: that of the sink. */
  tenant: string | null
  /** Which of its lines are one record; null: each is one. */
  multiline: MultilineConfig | null
  /** Whether its lines may be taken for JSON objects; null: as the sink is told. */
  isJson: boolean | null
  problems: { annotation: string; problem: string }[]
}

type Strings = Readonly<Record<string, string>>

const EXCLUDE = 'taffrail.dev/exclude'
const RATE_LIMIT = 'taffrail.dev/rate-limit'
const TENANT = 'taffrail.dev/tenant'
const MULTILINE = 'taffrail.dev/multiline'
const PARSER = 'taffrail.dev/parser'
/** All that a pod may ask for. */
export const DIRECTIVES = [EXCLUDE, RATE_LIMIT, TENANT, MULTILINE, PARSER]
const PARSERS = ['cri', 'json', 'none']
/** `multiline.CONTAINER: none` for a container that the pod's own is not for. */
const NO_MULTILINE = 'none'
/** Known to sinks that store documents (src/sinks/elasticsearch). */
const JSON_ANNOTATION = 'taffrail.dev/json'
const FOREIGN = ['fluentbit.io/exclude', 'vector.dev/exclude']
const RATE_MAX = 1_000_000
const PATTERN_CHARS_MAX = 256
/** Whether a name is a tenant's at all makes no difference: only what is listed may be named. */
const NOT_ALLOWED = 'the configuration (kubernetes.annotations.tenants) does not let its namespace name this tenant'

/** No value that is understood is longer; one that is, is so still when it is cut. */
const VALUE_CHARS_MAX = PATTERN_CHARS_MAX + 1
/** As many as a pod may have: of those that have no meaning only a few are told. */
const DIRECTIVES_MAX = 64
/** Of a pod, for its containers: each takes milliseconds to be made ready, again whenever the pod's metadata changes. */
const PATTERNS_MAX = 8
const TOO_MANY_PATTERNS = `one pattern more than the ${PATTERNS_MAX} that a pod may bring`

/**
 * What is kept of a pod's directives: all of it is on disk with each decision, and a pod may bring 256 KiB. Those that may
 * have a meaning come first.
 */
export function keptDirectives(all: Strings): Strings {
  const names = Object.keys(all)
  if (names.length === 0) return all
  const isKnown = (name: string) => [...DIRECTIVES, ...FOREIGN, JSON_ANNOTATION].some((each) => isFor(name, each))
  const kept = [...names.filter(isKnown), ...names.filter((name) => !isKnown(name))].slice(0, DIRECTIVES_MAX)
  return Object.fromEntries(kept.sort().map((name) => [name, (all[name] as string).slice(0, VALUE_CHARS_MAX)]))
}

/** Whether an annotation directs the agent; `foreign`: those of other agents do, too. */
export function isDirective(name: string, foreign: boolean): boolean {
  return name.startsWith('taffrail.dev/') || (foreign && FOREIGN.some((each) => isFor(name, each)))
}

/** The tenants that pods of a namespace may name. */
export function tenantsFor(
  namespace: string,
  tenants: readonly { tenant: string; namespaces: readonly string[] }[],
): string[] {
  return tenants
    .filter(({ namespaces }) => namespaces.some((glob) => isLike(glob, namespace)))
    .map(({ tenant }) => tenant)
}

/** The tenant that a container's lines go to; null: that of the sink. As `directivesOf` has it, and nothing else is looked at. */
export function tenantOf(annotations: Strings, container: string, tenants: readonly string[]): string | null {
  return valueFor(annotations, TENANT, container, (value) => tenants.includes(value)) ?? null
}

/**
 * What the annotations of a pod, as far as they are directives, say of a container. The more particular one counts. What
 * is for another container is not looked at. `tenants`: those that it may name.
 */
export function directivesOf(annotations: Strings, container: string, tenants: readonly string[] = []): Directives {
  const directives: Directives = {
    exclude: false,
    linesPerSecond: null,
    tenant: null,
    multiline: null,
    isJson: null,
    problems: [],
  }
  const excess = new Set(patternsIn(annotations).slice(PATTERNS_MAX))
  const problemOf = (base: string, value: string, annotation: string) => {
    if (base === TENANT) return tenants.includes(value) ? null : NOT_ALLOWED
    return excess.has(annotation) ? TOO_MANY_PATTERNS : problemOfValue(base, value)
  }
  for (const [annotation, value] of Object.entries(annotations)) {
    if (annotation === JSON_ANNOTATION) continue
    const base = [...DIRECTIVES, ...FOREIGN].find((each) => isFor(annotation, each))
    if (base !== undefined && !namesFor(base, container).includes(annotation)) continue
    const problem = base === undefined ? 'there is no such annotation' : problemOf(base, value, annotation)
    if (problem !== null) directives.problems.push({ annotation, problem })
  }
  const valueWith = (base: string) =>
    valueFor(annotations, base, container, (value, name) => problemOf(base, value, name) === null)
  directives.tenant = tenantOf(annotations, container, tenants)
  directives.multiline = multilineOf(valueWith(MULTILINE) ?? NO_MULTILINE)
  const parser = valueWith(PARSER)
  if (parser === 'json' || parser === 'none') directives.isJson = parser === 'json'
  directives.exclude = [EXCLUDE, ...FOREIGN].map(valueWith).find((value) => value !== undefined) === 'true'
  const rate = valueWith(RATE_LIMIT)
  if (rate !== undefined) directives.linesPerSecond = Number(rate)
  return directives
}

/** The annotations of a base that a container may be meant by, the most particular first. */
function namesFor(base: string, container: string): string[] {
  return [`${base}.${container}`, `${base}_${container}`, base]
}

function valueFor(
  annotations: Strings,
  base: string,
  container: string,
  isGood: (value: string, name: string) => boolean,
): string | undefined {
  for (const name of namesFor(base, container)) {
    const value = annotations[name]
    if (value !== undefined && isGood(value, name)) return value
  }
  return undefined
}

/** Those that bring a pattern, in the order of their names. */
function patternsIn(annotations: Strings): string[] {
  return Object.keys(annotations)
    .filter((name) => isFor(name, MULTILINE) && annotations[name]?.startsWith('^'))
    .sort()
}

/** `taffrail.dev/exclude`, or that of one container: after a dot, or as Fluent Bit has it after `_`. */
function isFor(name: string, base: string): boolean {
  return (
    name === base || name.startsWith(`${base}.`) || (base === 'fluentbit.io/exclude' && name.startsWith(`${base}_`))
  )
}

function multilineOf(value: string): MultilineConfig | null {
  if (value === NO_MULTILINE) return null
  const preset = MULTILINE_PRESETS.find((each) => each === value)
  return preset === undefined ? { start: value } : { preset }
}

/** A pattern begins with ^, so that a preset that is misspelt is not taken for one. */
function multilineProblem(value: string): string | null {
  if (value === NO_MULTILINE || MULTILINE_PRESETS.includes(value as MultilinePreset)) return null
  const known = [...MULTILINE_PRESETS, NO_MULTILINE].join(', ')
  if (!value.startsWith('^')) return `neither ${known} nor a pattern that begins with ^`
  if (value.length > PATTERN_CHARS_MAX) return `a pattern of more than ${PATTERN_CHARS_MAX} characters`
  try {
    linePattern(value)
    return null
  } catch (error) {
    return `a pattern that is not understood: ${errorMessage(error)}`
  }
}

function problemOfValue(base: string, value: string): string | null {
  if (base === MULTILINE) return multilineProblem(value)
  if (base === PARSER) return PARSERS.includes(value) ? null : `none of ${PARSERS.join(', ')}`
  if (base !== RATE_LIMIT) return value === 'true' || value === 'false' ? null : 'neither true nor false'
  const isRate = /^\d{1,7}$/.test(value) && Number(value) >= 1 && Number(value) <= RATE_MAX
  return isRate ? null : `no whole number of lines per second from 1 to ${RATE_MAX}`
}
