// What a bulk came to, from the server's answer to it. Pure, and total: any status, any headers, any bytes. Two rules where
// the server is silent or not understood: a record is given up only for the server's own words about it, and an answer
// that does not fit what was sent is no answer: the bulk is sent again, which its `_id`s make harmless.
import { retryAfterMs } from '../../core/backoff.ts'
import type { HttpResponse } from '../../ports/http.ts'

const MESSAGE_CHARS_MAX = 1024

/**
 * What became of one record. `type` is the server's name for the error; `message` its reason, which may quote the document
 * and is for the dead letter alone; `says` is what may be logged.
 * - delivered: 201, or 409: it was delivered before.
 * - retry: 429, 503 and the like: this one again.
 * - suspect: another server error; the record itself may be the cause.
 * - reject: the record cannot be stored.
 * - halt: not the record's fault, and nothing that mends itself: a block, a closed or missing index, no rights.
 */
export type Fate =
  | { kind: 'delivered' }
  | { kind: 'retry' | 'suspect' | 'reject' | 'halt'; status: number; type: string; message: string; says: string }

/**
 * - delivered: every record, or every one was there before.
 * - items: one fate per record, in the order in which they were sent.
 * - retry, split, halt: the bulk as a whole; nothing of it was taken, or nobody can tell.
 * - refused: as a whole, because of something in it.
 */
export type BulkOutcome =
  | { kind: 'delivered' }
  | { kind: 'items'; fates: Fate[] }
  | { kind: 'retry'; reason: string; message: string; afterMs?: number }
  | { kind: 'split'; reason: 'too_large' | 'answer_too_long'; message: string }
  | { kind: 'refused'; type: string; message: string; says: string }
  | { kind: 'halt'; reason: string; message: string }

/** What was sent: how many records, and the `_id` of each (null: the server makes them). */
export interface Sent {
  count: number
  idOf: ((index: number) => string) | null
}

const DELIVERED: BulkOutcome = { kind: 'delivered' }
const ITEM_DELIVERED: Fate = { kind: 'delivered' }

/** Errors of a document, by the server's name for them. */
const DOCUMENT_ERRORS = new Set([
  'mapper_parsing_exception',
  'document_parsing_exception',
  'mapper_exception',
  'strict_dynamic_mapping_exception',
  'illegal_argument_exception',
  'parse_exception',
  'parsing_exception',
  'x_content_parse_exception',
  'json_parse_exception',
  'date_time_parse_exception',
  'number_format_exception',
  'max_bytes_length_exceeded_exception',
  'fail_processor_exception',
])
/** Words with which these names are used for what is no document's fault: configuration, or the state of the cluster. */
const NOT_THE_DOCUMENT =
  /pipeline with id|\balias\b|write index|op_type|maximum (?:normal |frozen )?shards|index template|unknown setting|\bquota\b/i
/** Whole bulks that are refused because of one line of them. */
const MALFORMED_LINE = /malformed action|validation failed|unexpected (?:character|token|end-of)|\bid \[|json/i
/** What a body that was damaged on its way looks like. */
const DAMAGED_BODY = /must be terminated by a newline|request body is required|no requests added|not in gzip format/i
const INVALID = /invalid/i
/** What, behind that word, says that it was no gzip. */
const DEFLATE_WORDS = /block|distance|stored/i

/** Classifies the answer to a bulk. `nowMs` (wall time) is for a Retry-After that is a date. Never throws. */
export function classify(answer: HttpResponse, sent: Sent, nowMs: number): BulkOutcome {
  const { status, headers, body } = answer
  if (status >= 200 && status < 300) return readItems(body, sent, headers['content-type'] ?? '')
  const error = readError(body)
  const message = clean(`${status} ${error.type}: ${error.reason}`)
  if (status === 413) return { kind: 'split', reason: 'too_large', message: 'the request is too large (413)' }
  if (status === 429) return overloaded(error.type, error.reason, message, retryAfterMs(headers, nowMs))
  if (status === 400) return refusedWhole(error.type, error.reason, message)
  if (status === 408 || status === 425 || status >= 500) {
    const reason = status >= 502 && status <= 504 ? 'unavailable' : status >= 500 ? 'server_error' : 'timeout'
    return retry(reason, message, retryAfterMs(headers, nowMs))
  }
  if (status >= 300 && status < 400) {
    return halt('redirect', clean(`status ${status}, redirects to ${headers.location ?? 'nowhere'}`))
  }
  return halt(haltReason(status, error.type), message)
}

function retry(reason: string, message: string, afterMs: number | undefined): BulkOutcome {
  return afterMs === undefined ? { kind: 'retry', reason, message } : { kind: 'retry', reason, message, afterMs }
}

function halt(reason: string, message: string): BulkOutcome {
  return { kind: 'halt', reason, message }
}

/** Too much at once for now, or too much in this one request for ever: only the numbers tell. */
function overloaded(type: string, reason: string, message: string, afterMs: number | undefined): BulkOutcome {
  const operation = /coordinating_operation_bytes=(\d+), max_coordinating(?:_and_primary)?_bytes=(\d+)/.exec(reason)
  const isTooLarge = operation !== null && Number(operation[1]) > Number(operation[2])
  if (isTooLarge) return { kind: 'split', reason: 'too_large', message }
  return retry(type === 'circuit_breaking_exception' ? 'circuit_breaker' : 'overloaded', message, afterMs)
}

function refusedWhole(type: string, reason: string, message: string): BulkOutcome {
  // Somebody on the way, or a connection that was cut at an unlucky place: the same bytes again may arrive.
  if (isDamaged(reason)) return { kind: 'retry', reason: 'damaged', message }
  if (MALFORMED_LINE.test(reason)) return { kind: 'refused', type, message: clean(reason), says: `400 ${type}` }
  return halt('bad_request', message)
}

/** In two steps: one pattern for both words would look for the second from each of the first. */
function isDamaged(reason: string): boolean {
  if (DAMAGED_BODY.test(reason)) return true
  const at = reason.search(INVALID)
  return at >= 0 && DEFLATE_WORDS.test(reason.slice(at))
}

function haltReason(status: number, type: string): string {
  if (type === 'cluster_block_exception') return 'blocked'
  if (status === 401 || status === 403 || status === 407) return 'unauthorized'
  return status === 404 ? 'not_found' : 'unrecognised'
}

/** Beside this many for each record: what one says in full, with eight causes, is a third of it. */
const VALUES_MIN = 10_000
const VALUES_PER_RECORD_MAX = 64

const SUCCESS = Buffer.from('"status":201')
const NO_ERRORS = Buffer.from('"errors":false')

function readItems(body: Buffer, sent: Sent, contentType: string): BulkOutcome {
  // Nearly every answer: nothing went wrong, and as many items as there were records. That needs no object per record.
  const end = body.length - 1
  if (body[end] === 0x7d && body[end - 1] === 0x5d && body.includes(NO_ERRORS)) {
    if (countOf(body, SUCCESS) === sent.count) return DELIVERED
  }
  const answer = parsed(body, VALUES_MIN + VALUES_PER_RECORD_MAX * sent.count)
  if (answer === null || !Array.isArray(answer.items)) {
    if (/\bhtml\b/i.test(contentType)) return halt('not_elasticsearch', 'a page, not an answer to a bulk')
    return { kind: 'retry', reason: 'bad_answer', message: `an answer that cannot be read, ${body.length} bytes` }
  }
  const items = answer.items as unknown[]
  if (items.length !== sent.count) {
    const message = `an answer about ${items.length} records to a bulk of ${sent.count}`
    return { kind: 'retry', reason: 'bad_answer', message }
  }
  const ordered = inOrder(items.map(actionOf), sent)
  if (ordered === null) {
    return { kind: 'retry', reason: 'bad_answer', message: 'an answer about other records than those that were sent' }
  }
  return { kind: 'items', fates: ordered.map(fateOf) }
}

function countOf(body: Buffer, what: Buffer): number {
  let count = 0
  for (let at = body.indexOf(what); at >= 0; at = body.indexOf(what, at + what.length)) count++
  return count
}

type Item = { _id?: unknown; status?: unknown; error?: unknown } | null

function actionOf(item: unknown): Item {
  const action = (item as { create?: unknown } | null)?.create
  return typeof action === 'object' && action !== null ? (action as Item) : null
}

/** The items in the order in which their records were sent; null when that cannot be told. */
function inOrder(items: Item[], { idOf }: Sent): Item[] | null {
  if (idOf === null || items.every((item, index) => item?._id === idOf(index))) return items
  const byId = new Map(items.map((item) => [item?._id, item]))
  const ordered = items.map((_, index) => byId.get(idOf(index)))
  return byId.size === items.length && ordered.every((item) => item !== undefined) ? (ordered as Item[]) : null
}

function fateOf(item: Item): Fate {
  const said = item?.status
  const status = typeof said === 'number' && said >= 100 && said <= 999 && Number.isInteger(said) ? said : 0
  if (status === 201 || status === 200 || status === 409) return ITEM_DELIVERED
  const { type, reason } = errorOf(item?.error)
  return {
    kind: fateKind(status, type, reason),
    status,
    type,
    message: clean(reason),
    says: publicWords(status, type, reason),
  }
}

function fateKind(status: number, type: string, reason: string): 'retry' | 'suspect' | 'reject' | 'halt' {
  if (type === 'fail_processor_exception') return 'reject'
  if (status === 429 || status === 408 || (status >= 502 && status <= 504)) return 'retry'
  if (status >= 500) return 'suspect'
  if (status === 400 && DOCUMENT_ERRORS.has(type) && !NOT_THE_DOCUMENT.test(reason)) return 'reject'
  return 'halt'
}

/** What servers say of indices, blocks and shards; only so much of it is told as stands here. */
const PUBLIC_WORDS = [
  /^index \[[^\]]{1,255}\] blocked by: [^'"]{1,200}/,
  /^closed$/,
  /^no such index \[[^\]]{1,255}\](?: and \[action\.auto_create_index\])?/,
  /^Invalid index name \[[^\]]{1,255}\], [\w ]{1,100}/,
  /^pipeline with id \[[^\]]{1,255}\] does not exist/,
  /Limit of total fields \[\d+\]/,
  /data stream timestamp field \[@timestamp\] is missing/,
  /^\[[^\]]{1,255}\]\[\d+\] primary shard is not active/,
  /^rejected execution of \w+/,
]

/** What of the server's words holds nothing of the document: names of errors, fields, types, indices and blocks. */
function publicWords(status: number, type: string, reason: string): string {
  const field = /field \[([\w.@-]{1,128})\] of type \[(\w+)\]/.exec(reason)
  if (field !== null) return `${status} ${type}: field [${field[1]}] of type [${field[2]}]`
  const known = PUBLIC_WORDS.map((words) => words.exec(reason)).find((match) => match !== null)
  return clean(known === undefined ? `${status} ${type}` : `${status} ${type}: ${known[0]}`)
}

function readError(body: Buffer): { type: string; reason: string } {
  const { error } = (parsed(body, VALUES_MIN) ?? {}) as { error?: unknown }
  return error === undefined ? { type: 'no_words', reason: body.toString('utf8', 0, 512).trim() } : errorOf(error)
}

/** A name as servers give it, which becomes a label of metrics. */
const TYPE = /^[\w.-]{1,128}$/

/** The error's type, and its reason with the innermost cause's. */
function errorOf(error: unknown): { type: string; reason: string } {
  if (typeof error === 'string') return { type: 'error', reason: error }
  let cause = error as { type?: unknown; reason?: unknown; caused_by?: unknown } | null | undefined
  const type = typeof cause?.type === 'string' && TYPE.test(cause.type) ? cause.type : 'error'
  const reasons: string[] = []
  for (let depth = 0; depth < 8 && typeof cause === 'object' && cause !== null; depth++) {
    if (typeof cause.reason === 'string') reasons.push(cause.reason)
    cause = cause.caused_by as typeof cause
  }
  return { type, reason: reasons.join('; ') }
}

/** The object that a body is; null: it is none, or has more values in it than any answer: they would take 30 times its bytes. */
function parsed(body: Buffer, valuesMax: number): { items?: unknown; error?: unknown } | null {
  if (hasMoreValues(body, valuesMax)) return null
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return typeof value === 'object' ? (value as { items?: unknown }) : null
  } catch {
    return null
  }
}

const [QUOTE, BACKSLASH, COMMA, OPEN_BRACE, OPEN_BRACKET] = Buffer.from('"\\,{[')

/** Counts what begins a value and stands in no string. */
function hasMoreValues(body: Buffer, valuesMax: number): boolean {
  const end = body.length
  let values = 0
  for (let at = 0; at < end && end - at > valuesMax - values; at++) {
    const byte = body[at]
    if (byte === QUOTE) {
      at++
      while (at < end && body[at] !== QUOTE) at += body[at] === BACKSLASH ? 2 : 1
    } else if ((byte === COMMA || byte === OPEN_BRACE || byte === OPEN_BRACKET) && ++values > valuesMax) return true
  }
  return false
}

/** One line of at most 1,024 characters, without control and direction characters. */
function clean(text: string): string {
  const line = text
    .slice(0, 2 * MESSAGE_CHARS_MAX)
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .slice(0, MESSAGE_CHARS_MAX)
  return line.isWellFormed() ? line : line.slice(0, -1)
}
