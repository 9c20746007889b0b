// What `taffrail audit` is asked for, from its arguments.
import { parseArgs } from 'node:util'
import { type FilterTexts, NO_FILTERS } from '../audit/view/filters.ts'
import { FIELDS, type Field, type SummaryOptions } from '../audit/view/summary.ts'
import { parseDuration } from '../config/duration.ts'
import { nearest } from '../config/nearest.ts'
import { optionProblem } from './bad-option.ts'
import type { NoWork } from './usage.ts'

export const USAGE = `Usage: taffrail audit [OPTIONS] [FILE…|-]

Shows what was asked of a Kubernetes API server, from its audit log: one row a request. A FILE is read with its rotated
and compressed siblings, the oldest first; - is standard input, which is also read when no file is named. Secrets are
redacted.

  -f, --follow            go on with what is written, over rotations
  -o, --output FORMAT     table, wide (with agent, URI, decision, audit ID) or json (the events, one a line)
      --color WHEN        auto, always or never; NO_COLOR counts

Filters. Each may be repeated or hold several alternatives with commas; * and ? stand for any characters, ! leaves out:
      --user USER         who sent it, or whom they impersonated
      --verb VERB         get, list, watch, create, update, patch, delete, deletecollection
      --resource RES      pods, deployments.apps, pods/exec, '*/exec', short names; /healthz for paths
      --namespace NS  --name NAME
      --code CODE         403, 4xx, '!200'
      --since TIME  --until TIME   2026-11-21, 2026-11-21T07:48:12Z (UTC unless it says otherwise), or 2h for that long ago
      --stage STAGE       RequestReceived, ResponseStarted, ResponseComplete, Panic: each event is a row of its own

Summaries instead of rows:
      --top WHAT          users, sources, agents, verbs, resources, objects, namespaces, codes, denied, failed, changes
      --count-by FIELDS   user, source, agent, verb, resource, object, namespace, name, code, reason, decision, stage, level,
                          command, minute, hour, day
      --limit N           groups shown (default 20; all of --count-by)
      --at-least N        groups of so many requests
      --within DURATION   with --at-least: so many within that time

One request:
      --id AUDIT-ID       all of it: its stages, its bodies, what it changed

  -h, --help              this text

Exit codes: 0 done, 1 a log could not be read, 2 bad usage.
`

export interface AuditOptions {
  files: string[]
  isFollowed: boolean
  output: 'table' | 'wide' | 'json'
  color: 'auto' | 'always' | 'never'
  filters: FilterTexts
  /** Only requests that were denied, that failed, that changed something. */
  only: 'denied' | 'failed' | 'changes' | null
  summary: SummaryOptions | null
}

const TOPS: Record<string, readonly Field[]> = {
  users: ['user'],
  sources: ['source'],
  agents: ['agent'],
  verbs: ['verb'],
  resources: ['resource'],
  objects: ['resource', 'object'],
  namespaces: ['namespace'],
  codes: ['code'],
  denied: ['user', 'verb', 'resource', 'namespace'],
  failed: ['user', 'verb', 'resource', 'code'],
  changes: ['user', 'verb', 'resource', 'object'],
}

const STAGES = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic']
const list = { type: 'string', multiple: true } as const
const single = { type: 'string' } as const
const OPTIONS = {
  follow: { type: 'boolean', short: 'f' },
  help: { type: 'boolean', short: 'h' },
  output: { type: 'string', short: 'o', default: 'table' },
  color: { type: 'string', default: 'auto' },
  user: list,
  verb: list,
  resource: list,
  namespace: { ...list, short: 'n' },
  name: list,
  code: list,
  stage: list,
  since: single,
  until: single,
  top: single,
  'count-by': list,
  limit: single,
  'at-least': single,
  within: single,
  id: single,
} as const

/** `nowMs`: the time that durations count back from. A wrong argument is told by `problem`. */
export function parseAuditOptions(args: string[], nowMs: number): AuditOptions | NoWork {
  try {
    const { values, positionals } = parseArgs({ args, options: OPTIONS, allowPositionals: true })
    if (values.help) return { help: true }
    const { top } = values
    const isTop = top !== undefined
    if (isTop && values['count-by'] !== undefined) throw new Error('--top and --count-by are two summaries: which one?')
    if (isTop && !Object.hasOwn(TOPS, top)) throw unknown('--top', top, Object.keys(TOPS))
    const fields = isTop ? TOPS[top]! : parts(values['count-by']).map(parseField)
    const { id = null } = values
    if (fields.length === 0 && (values.limit ?? values['at-least'] ?? values.within) !== undefined) {
      throw new Error('--limit, --at-least and --within are for --top and --count-by')
    }
    if (id !== null && (values.follow || fields.length > 0)) {
      throw new Error('--id shows one request: it goes with neither --follow nor a summary')
    }
    if (values.follow && positionals.includes('-')) throw new Error('standard input is followed to its end anyway')
    return {
      files: positionals,
      isFollowed: values.follow ?? false,
      output: oneOf('--output', values.output, ['table', 'wide', 'json']),
      color: oneOf('--color', values.color, ['auto', 'always', 'never']),
      filters: {
        id,
        user: parts(values.user),
        verb: parts(values.verb).map((verb) => verb.toLowerCase()),
        resource: parts(values.resource),
        namespace: parts(values.namespace),
        name: parts(values.name),
        code: parts(values.code).map(parseCode),
        stage: parts(values.stage).map(parseStage),
        sinceMs: values.since === undefined ? NO_FILTERS.sinceMs : parseTime('--since', values.since, nowMs),
        untilMs: values.until === undefined ? NO_FILTERS.untilMs : parseTime('--until', values.until, nowMs),
      },
      only: top === 'denied' || top === 'failed' || top === 'changes' ? top : null,
      summary:
        fields.length === 0
          ? null
          : {
              fields,
              limit:
                values.limit === undefined ? (isTop ? 20 : Number.POSITIVE_INFINITY) : count('--limit', values.limit),
              atLeast: values['at-least'] === undefined ? 1 : count('--at-least', values['at-least']),
              windowMs: values.within === undefined ? 0 : duration('--within', values.within),
            },
    }
  } catch (error) {
    return { problem: optionProblem(error, Object.keys(OPTIONS)) }
  }
}

/** Alternatives of all occurrences. */
function parts(values: readonly string[] | undefined): string[] {
  return (values ?? [])
    .flatMap((value) => value.split(','))
    .map((value) => value.trim())
    .filter((value) => value !== '')
}

function parseCode(code: string): string {
  const lower = code.toLowerCase()
  if (/^!?[1-5](?:\d\d|xx)$/.test(lower)) return lower
  throw new Error(`--code ${code}: a code is like 403, 4xx or !200`)
}

function parseStage(stage: string): string {
  const found = STAGES.find((known) => known.toLowerCase() === stage.toLowerCase())
  if (found === undefined) throw unknown('--stage', stage, STAGES)
  return found
}

function parseField(field: string): Field {
  if (!Object.hasOwn(FIELDS, field)) throw unknown('--count-by', field, Object.keys(FIELDS))
  return field as Field
}

const TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$/i

function parseTime(option: string, text: string, nowMs: number): number {
  const ago = parseDuration(text)
  if (ago !== null) return nowMs - ago
  const match = TIME.exec(text)
  const time = match === null ? Number.NaN : Date.parse(match[1] === undefined && text.length > 10 ? `${text}Z` : text)
  if (Number.isNaN(time))
    throw new Error(`${option} ${text}: a time is like 2026-11-21T07:48:12Z, or 2h for that long ago`)
  return time
}

function duration(option: string, text: string): number {
  const ms = parseDuration(text)
  if (ms === null || ms === 0) throw new Error(`${option} ${text}: a duration is like 1m or 90s`)
  return ms
}

function count(option: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`${option} ${text}: a number from 1`)
  return Number(text)
}

function oneOf<const T extends string>(option: string, text: string, known: readonly T[]): T {
  const found = known.find((each) => each === text)
  if (found === undefined) throw unknown(option, text, known)
  return found
}

function unknown(option: string, text: string, known: readonly string[]): Error {
  const near = nearest(text, known)
  return new Error(`${option} ${text}: ${near === null ? `one of ${known.join(', ')}` : `did you mean ${near}?`}`)
}
