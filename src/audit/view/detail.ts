// One request in full: what is known of it, its stages, the bodies, and what it changed. What the object was before is in no
// event of the request itself; where an earlier one of the same object told it, it is compared with that.
import { type Change, changes, isObject, patched } from './change.ts'
import { objectOf, type Row, resourceOf, timeText, userOf } from './row.ts'
import { latencyText } from './table.ts'
import { clipped, visible } from './text.ts'

/** Stages that are kept of an id, which clients may choose and repeat. */
export const STAGES_MAX = 64
const VALUE_LENGTH_MAX = 400
const BODY_LENGTH_MAX = 64 * 1024

export interface Stage {
  row: Row
  /** The event, redacted, as JSON. */
  event: string
}

/** An earlier state of the object, and which event told it. */
export interface Earlier {
  row: Row
  body: unknown
}

/** The object as it was after the event, if the event tells: of reads too, where their bodies are logged. */
export function stateAfter({ row, event }: Stage): unknown {
  if (row.subresource !== '' || row.code < 200 || row.code > 299 || !/^(?:create|update|patch|get)$/.test(row.verb)) {
    return undefined
  }
  const { requestObject, responseObject } = JSON.parse(event) as Record<string, unknown>
  if (isObject(responseObject) && responseObject.kind !== 'Status') return responseObject
  // What was asked for is not quite what came of it: defaults are missing.
  return row.verb === 'update' || row.verb === 'create' ? requestObject : undefined
}

/** The stages of one request as text. */
export function requestText(stages: readonly Stage[], earlier: Earlier | null): string {
  const last = stages.at(-1)!
  const { row } = last
  const event = JSON.parse(last.event) as Record<string, unknown>
  const lines = [
    ['request', `${row.verb === '' ? '-' : row.verb} ${resourceOf(row)} ${objectOf(row)}`.trimEnd()],
    ['uri', row.uri],
    ['command', row.command],
    ['user', userOf(row)],
    ['identity', identity(event.user)],
    ['impersonated', identity(event.impersonatedUser)],
    ['source', row.forwardedFor === '' ? row.source : `${row.source}, which says for ${row.forwardedFor}`],
    ['agent', row.agent],
    ['result', `${row.code === 0 ? '-' : row.code} ${row.reason}`.trimEnd()],
    ['message', row.message],
    ['decision', `${row.decision}${row.decisionReason === '' ? '' : `: ${row.decisionReason}`}`],
    ['level', row.level],
    ...annotations(event.annotations).map(([key, value]) => ['annotation', `${key}: ${value}`]),
    ...stages.map((stage) => [
      'stage',
      `${timeText(stage.row.timeMicros, true)} ${stage.row.stage}${after(stage.row)}`,
    ]),
  ]
  let text = `audit id ${visible(row.auditId)}\n`
  for (const [title, value] of lines) {
    if (value !== '') text += `  ${title!.padEnd(13)}${visible(value!)}\n`
  }
  return (
    text +
    changeText(last, event, earlier) +
    bodyText('request body', event.requestObject) +
    bodyText('response body', event.responseObject)
  )
}

function after({ latencyMicros, code }: Row): string {
  const latency = latencyText(latencyMicros)
  return `${code === 0 ? '' : ` ${code}`}${latency === '-' || latencyMicros === 0 ? '' : ` after ${latency}`}`
}

/** Groups, UID and what authentication added. */
function identity(user: unknown): string {
  if (!isObject(user)) return ''
  const { username: _, ...rest } = user
  return Object.keys(rest).length === 0 ? '' : JSON.stringify(rest)
}

function annotations(value: unknown): [string, string][] {
  if (!isObject(value)) return []
  return Object.entries(value)
    .filter(([key]) => !/^authorization\.k8s\.io\/(?:decision|reason)$/.test(key))
    .map(([key, text]) => [key, typeof text === 'string' ? text : JSON.stringify(text)])
}

function changeText(last: Stage, event: Record<string, unknown>, earlier: Earlier | null): string {
  const { row } = last
  const { requestObject, responseObject } = event
  const now = stateAfter(last)
  if (earlier !== null && now !== undefined) {
    const { changes: found, isWhole } = changes(earlier.body, now)
    const title = `changed since ${timeText(earlier.row.timeMicros)} (${earlier.row.verb} by ${userOf(earlier.row)})`
    return section(title, found.map(changeLine), isWhole)
  }
  if (row.verb === 'patch' && requestObject !== undefined) {
    const result = isObject(responseObject) && responseObject.kind !== 'Status' ? responseObject : undefined
    return section(
      'what the patch sets',
      patched(requestObject, result).map((each) => patchLine(each, result)),
      true,
    )
  }
  if (
    row.verb === 'update' &&
    isObject(requestObject) &&
    isObject(responseObject) &&
    responseObject.kind !== 'Status'
  ) {
    const { changes: found, isWhole } = changes(requestObject, responseObject)
    return section(
      'what the server made of the update (its state before is in no event read)',
      found.map(changeLine),
      isWhole,
    )
  }
  if (earlier !== null && /^delete/.test(row.verb)) {
    return section(`deleted, as of ${timeText(earlier.row.timeMicros)}`, [valueText(earlier.body)], true)
  }
  return ''
}

function section(title: string, lines: readonly string[], isWhole: boolean): string {
  const shown = lines.length === 0 ? ['nothing'] : lines
  const end = isWhole ? '' : '    … and more\n'
  return `  ${visible(title)}\n${shown.map((line) => `    ${visible(line)}\n`).join('')}${end}`
}

function changeLine({ path, before, after }: Change): string {
  const place = path === '' ? 'all of it' : path
  if (before === undefined) return `+ ${place}: ${valueText(after)}`
  if (after === undefined) return `- ${place}: ${valueText(before)}`
  return `~ ${place}: ${valueText(before)} -> ${valueText(after)}`
}

/** `before` of a patch's change is what came of it. */
function patchLine({ path, before, after }: Change, result: unknown): string {
  const came = result !== undefined && !Array.isArray(after) && JSON.stringify(before) !== JSON.stringify(after)
  const outcome = came && after !== null ? `  (now ${before === undefined ? 'absent' : valueText(before)})` : ''
  return after === null ? `- ${path}` : `= ${path}${after === undefined ? '' : `: ${valueText(after)}`}${outcome}`
}

function valueText(value: unknown): string {
  return clipped(JSON.stringify(value) ?? '-', VALUE_LENGTH_MAX)
}

function bodyText(title: string, body: unknown): string {
  if (body === undefined || body === null) return ''
  const text = JSON.stringify(body, null, 2)
  const shown = clipped(text, BODY_LENGTH_MAX)
  const more = shown === text ? '' : `\n    (${text.length} characters; -o json has all of it)`
  return `  ${title}\n    ${visible(shown, true).replaceAll('\n', '\n    ')}${more}\n`
}
