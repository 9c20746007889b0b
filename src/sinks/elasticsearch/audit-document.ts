// An audit event as a document: the event itself under kubernetes.audit, where published detection rules look for it, and
// the ECS fields beside it; what is the same for an index (cluster, dataset) is in its template. The `_id` is a function of the event as it is delivered, the index one of its time, so that a
// repeat always meets its twin.
import { textOf } from '../../audit/json/strings.ts'
import { Tape } from '../../audit/json/tape.ts'
import type { Part } from '../../batch/part.ts'
import type { EntryEncoder } from '../../batch/target.ts'
import { type Entry, MARK_INVALID_UTF8 } from '../../core/entry.ts'
import { atOnce, type Slices } from '../../core/slices.ts'
import { secondsText } from '../time-text.ts'
import { fieldsOf, rawOf, taken } from './audit-members.ts'
import { auditIndex } from './index-names.ts'
import { marksOf } from './marks.ts'
import { auditId } from './record-id.ts'

const OVERHEAD_BYTES = 4096

export interface AuditDocumentOptions {
  namespace: string
  node: string
  path: string
  /** The name of the API server that sent it, instead of what says where it was read: that is an accident then. */
  apiServer?: string | undefined
  hasIds: boolean
  labels: Readonly<Record<string, string>>
}

/** The sink's encoder for an audit log: an action line with index and id, and the document. */
export class AuditDocumentEncoder implements EntryEncoder {
  readonly #options: AuditDocumentOptions
  readonly #node: string

  constructor(options: AuditDocumentOptions) {
    this.#options = options
    this.#node = options.apiServer === undefined ? `"node":{"name":${JSON.stringify(options.node)}},` : ''
  }

  sizeMax(_entry: Entry, messageBytes: number): number {
    return 2 * messageBytes + OVERHEAD_BYTES
  }

  write(part: Part, entry: Entry): void {
    const event = entry.buffer.subarray(entry.messageStart, entry.messageEnd)
    const { namespace, hasIds } = this.#options
    // A line that is no event has no bytes of its own to be known by: two of them may be alike.
    const key =
      entry.audit === null ? Buffer.concat([event, Buffer.from(` ${entry.file?.head.hash} ${entry.offset}`)]) : event
    const _index = auditIndex(namespace, entry.seconds)
    const action = { create: { _index, ...(hasIds && { _id: auditId(key, entry.seconds) }) } }
    const marks = entry.marks & ~MARK_INVALID_UTF8
    const { head, fields: audit } =
      entry.audit === null ? NO_EVENT : ((entry.shape as Shape | null) ?? atOnce(shapeOf(event, ownTape)))
    const fields = {
      ...ecsOf(head, entry, this.#options),
      ...(marks !== 0 && { taffrail: marksOf(entry, marks) }),
    }
    const begin = `${JSON.stringify(action)}\n`
    if (audit === null) append(part, `${begin}${JSON.stringify({ ...fields, message: event.toString() })}\n`)
    else {
      append(part, `${begin}${JSON.stringify(fields).slice(0, -1)},"kubernetes":{${this.#node}"audit":`)
      part.reserve(audit.length)
      part.end += audit.copy(part.buffer, part.end)
      append(part, '}}\n')
    }
  }
}

function append(part: Part, text: string): void {
  part.reserve(Buffer.byteLength(text))
  part.end += part.buffer.write(text, part.end)
}

/** What an event alone says in its document. */
interface Shape {
  head: Head | null
  /** What stands under kubernetes.audit; null: it only looks like an event, with brackets that close and no more, and is told as a text. */
  fields: Buffer | null
}

const NO_EVENT: Shape = { head: null, fields: null }

export function* shapeOf(event: Buffer, tape = new Tape()): Slices<Shape> {
  const head = (yield* taken(event, tape)) ? headOf(tape) : null
  const shape = head === null ? NO_EVENT : { head, fields: yield* fieldsOf(tape, event.length) }
  tape.release()
  return shape
}

/** Of events that are shaped at once: the list of values is not made anew for each. */
const ownTape = new Tape()

/** Events by the one encoder, all other lines by the other. */
export class EitherEncoder implements EntryEncoder {
  readonly #events: EntryEncoder
  readonly #others: EntryEncoder

  constructor(events: EntryEncoder, others: EntryEncoder) {
    this.#events = events
    this.#others = others
  }

  sizeMax(entry: Entry, messageBytes: number): number {
    return Math.max(this.#events.sizeMax(entry, messageBytes), this.#others.sizeMax(entry, messageBytes))
  }

  write(part: Part, entry: Entry): void {
    const encoder = entry.audit === null ? this.#others : this.#events
    encoder.write(part, entry)
  }
}

/** The ECS fields of an event. */
function ecsOf(head: Head | null, entry: Entry, options: AuditDocumentOptions): Record<string, unknown> {
  const { path, apiServer, labels } = options
  const time = `${secondsText(entry.seconds)}.${String(entry.nanos).padStart(9, '0')}Z`
  const base = {
    '@timestamp': time,
    ...(apiServer === undefined
      ? { log: { file: { path }, offset: entry.offset } }
      : { observer: { name: apiServer, type: 'apiserver' } }),
    ...(Object.keys(labels).length > 0 && { labels }),
  }
  if (head === null) return base
  const { verb, auditID, username, uid, groups, impersonated, sourceIPs, userAgent, outcome } = head
  return {
    ...base,
    event: { action: verb, id: auditID, outcome },
    user: {
      id: uid,
      name: username,
      ...(groups !== undefined && { group: { name: groups } }),
      ...(impersonated !== undefined && { effective: { name: impersonated } }),
    },
    ...(sourceIPs !== undefined && { source: { ip: sourceIPs } }),
    ...(userAgent !== undefined && { user_agent: { original: userAgent } }),
  }
}

interface Head {
  verb: string | undefined
  auditID: string | undefined
  username: string | undefined
  uid: string | undefined
  groups: string[] | undefined
  impersonated: string | undefined
  sourceIPs: string[] | undefined
  userAgent: string | undefined
  outcome: string | undefined
}

/** As the dataset has it: what was decided; where nothing was, the code. */
function outcomeOf(head: Record<string, unknown>): string | undefined {
  const decision = textIn(head.annotations, 'authorization.k8s.io/decision')
  if (decision === 'allow' || decision === 'forbid') return decision === 'allow' ? 'success' : 'failure'
  const code = memberOf(head.responseStatus, 'code')
  return typeof code !== 'number' ? undefined : code >= 400 ? 'failure' : 'success'
}

const HEAD_MEMBERS = new Set([
  'verb',
  'auditID',
  'user',
  'impersonatedUser',
  'sourceIPs',
  'userAgent',
  'responseStatus',
  'annotations',
])

/** The members of an event that ECS has fields for, so far as they are of the types that these take; null: one is no JSON. */
function headOf(tape: Tape): Head | null {
  const head: Record<string, unknown> = {}
  for (let key = tape.first(0); key < tape.next(0); key = tape.next(key + 1)) {
    const name = textOf(tape.buffer, tape.startOf(key), tape.endOf(key))
    if (!HEAD_MEMBERS.has(name)) continue
    try {
      head[name] = JSON.parse(rawOf(tape, key + 1))
    } catch {
      return null // an escape that is none
    }
  }
  return {
    verb: textIn(head, 'verb'),
    auditID: textIn(head, 'auditID'),
    username: textIn(head.user, 'username'),
    uid: textIn(head.user, 'uid'),
    groups: textsIn(head.user, 'groups'),
    impersonated: textIn(head.impersonatedUser, 'username'),
    sourceIPs: textsIn(head, 'sourceIPs'),
    userAgent: textIn(head, 'userAgent'),
    outcome: outcomeOf(head),
  }
}

function memberOf(object: unknown, name: string): unknown {
  return typeof object === 'object' && object !== null ? (object as Record<string, unknown>)[name] : undefined
}

function textIn(object: unknown, name: string): string | undefined {
  const value = memberOf(object, name)
  return typeof value === 'string' ? value : undefined
}

function textsIn(object: unknown, name: string): string[] | undefined {
  const value = memberOf(object, name)
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : undefined
}
