// An audit event as a document: the event itself under kubernetes.audit, where published detection rules look for it, and
// the ECS fields beside it. Keys that a mapping cannot take (empty, with dots) get another name, managedFields are left
// out, and a member of another type than the mapping knows is told as text: none of that may cost an event. The `_id` is
// a function of the event as it is delivered, the index one of its time, so that a repeat always meets its twin.
import { Edits } from '../../audit/edits.ts'
import { PADDING_BYTES, textOf } from '../../audit/json/strings.ts'
import { ARRAY, OBJECT, OTHER, STRING, Tape } from '../../audit/json/tape.ts'
import type { Part } from '../../batch/part.ts'
import { type Entry, MARK_INVALID_UTF8 } from '../../core/entry.ts'
import { withMarks } from '../../core/marks.ts'
import type { EntryEncoder } from '../sink.ts'
import { secondsText } from '../time-text.ts'
import { AUDIT_DATASET, auditIndex } from './index-names.ts'
import { auditId } from './record-id.ts'

/** Objects of an object field may lie so deep in it; what is deeper is told as text. */
const DEPTH_MAX = 18
const OVERHEAD_BYTES = 4096
/** Members of an event that the mapping knows as objects, and as lists or texts. */
const OBJECTS = new Set([
  'user',
  'impersonatedUser',
  'objectRef',
  'responseStatus',
  'requestObject',
  'responseObject',
  'annotations',
])
const BODIES = new Set(['requestObject', 'responseObject'])

export interface AuditDocumentOptions {
  namespace: string
  clusterName: string
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
    const { taffrail_mark: mark, ...others } =
      marks === 0 ? ({} as Record<string, string>) : withMarks({}, entry, marks)
    const about = Object.fromEntries(
      Object.entries(others).map(([name, value]) => [name.replace('taffrail_', ''), value]),
    )
    const fields = {
      ...ecsOf(event, entry, this.#options),
      ...(mark !== undefined && { taffrail: { mark: mark.split(','), ...about } }),
    }
    const kubernetes = entry.audit === null ? null : auditFields(event)
    const document =
      kubernetes === null
        ? JSON.stringify({ ...fields, message: event.toString() })
        : `${JSON.stringify(fields).slice(0, -1)},"kubernetes":{${this.#node}"audit":${kubernetes}}}`
    const text = `${JSON.stringify(action)}\n${document}\n`
    part.reserve(Buffer.byteLength(text))
    part.end += part.buffer.write(text, part.end)
  }
}

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
function ecsOf(event: Buffer, entry: Entry, options: AuditDocumentOptions): Record<string, unknown> {
  const { clusterName, namespace, path, apiServer, labels } = options
  const time = `${secondsText(entry.seconds)}.${String(entry.nanos).padStart(9, '0')}Z`
  const base = {
    '@timestamp': time,
    data_stream: { type: 'logs', dataset: AUDIT_DATASET, namespace },
    orchestrator: { type: 'kubernetes', cluster: { name: clusterName } },
    ...(apiServer === undefined
      ? { log: { file: { path }, offset: entry.offset } }
      : { observer: { name: apiServer, type: 'apiserver' } }),
    ...(Object.keys(labels).length > 0 && { labels }),
  }
  const common = { kind: 'event', module: 'kubernetes', dataset: AUDIT_DATASET }
  const head = entry.audit === null ? null : headOf(event)
  if (head === null) return { ...base, event: common }
  const { verb, auditID, user, impersonatedUser, sourceIPs, userAgent, responseStatus } = head
  const code = responseStatus?.code
  return {
    ...base,
    event: {
      ...common,
      action: verb,
      id: auditID,
      ...(code !== undefined && { outcome: code >= 400 ? 'failure' : 'success' }),
    },
    user: {
      name: user?.username,
      ...(user?.groups !== undefined && { group: { name: user.groups } }),
      ...(impersonatedUser?.username !== undefined && { effective: { name: impersonatedUser.username } }),
    },
    ...(sourceIPs !== undefined && { source: { ip: sourceIPs } }),
    ...(userAgent !== undefined && { user_agent: { original: userAgent } }),
  }
}

interface Head {
  verb?: string
  auditID?: string
  user?: { username?: string; groups?: string[] }
  impersonatedUser?: { username?: string }
  sourceIPs?: string[]
  userAgent?: string
  responseStatus?: { code?: number }
}

const HEAD_MEMBERS = new Set(['verb', 'auditID', 'user', 'impersonatedUser', 'sourceIPs', 'userAgent'])

/** The members of an event that ECS has fields for. */
function headOf(event: Buffer): Head {
  const { tape, bytes } = tapeOf(event)
  const head: Record<string, unknown> = {}
  for (let key = 1; key < tape.next(0); key = tape.next(key + 1)) {
    const name = textOf(bytes, tape.startOf(key), tape.endOf(key))
    if (HEAD_MEMBERS.has(name)) head[name] = JSON.parse(rawOf(tape, key + 1))
    if (name === 'responseStatus' && tape.kindOf(key + 1) === OBJECT) {
      const { code } = JSON.parse(rawOf(tape, key + 1)) as { code?: unknown }
      if (typeof code === 'number') head.responseStatus = { code }
    }
  }
  return head
}

function tapeOf(event: Buffer): { tape: Tape; bytes: Buffer } {
  const bytes = Buffer.allocUnsafe(event.length + PADDING_BYTES)
  event.copy(bytes)
  bytes.fill(0, event.length)
  const tape = new Tape()
  tape.begin(bytes, 0, event.length)
  if (tape.run() !== 'done') throw new Error('an audit event that is no JSON came to its document')
  return { tape, bytes }
}

/**
 * The event as it stands under kubernetes.audit: valid JSON whose keys every mapping takes. Pure. `event` is the event as
 * it is delivered.
 */
export function auditFields(event: Buffer): string {
  const { tape, bytes } = tapeOf(event)
  const edits = new Edits()
  members(tape, edits, 0, 0, '')
  if (edits.count === 0) return event.toString()
  const out = Buffer.allocUnsafe(edits.bytesMax(event.length))
  return out.toString('utf8', 0, edits.apply(bytes, 0, event.length, out, 0))
}

/** Looks through the members of an object `depth` levels below the event; `body` is the event's member that it is in. */
function members(tape: Tape, edits: Edits, object: number, depth: number, body: string): void {
  const end = tape.next(object)
  const taken = namesOf(tape, object)
  let kept = -1
  for (let key = object + 1; key < end; key = tape.next(key + 1)) {
    const value = key + 1
    const name = textOf(tape.buffer, tape.startOf(key), tape.endOf(key))
    const top = depth === 0 ? name : body
    if (name === 'managedFields' && BODIES.has(body)) {
      leaveOut(tape, edits, key, value, kept, object)
      continue
    }
    kept = outerEnd(tape, value)
    const renamed = depth > 0 || name === '' || name.includes('.') ? renamedKey(name, taken) : name
    if (renamed !== name) edits.add(tape.startOf(key), tape.endOf(key), JSON.stringify(renamed).slice(1, -1))
    if (depth === 0 && OBJECTS.has(name) && tape.kindOf(value) !== OBJECT) objectOf(tape, edits, value)
    else nested(tape, edits, value, depth + 1, top)
  }
}

function nested(tape: Tape, edits: Edits, value: number, depth: number, body: string): void {
  const kind = tape.kindOf(value)
  if (kind !== OBJECT && kind !== ARRAY) return
  if (depth > DEPTH_MAX) {
    edits.add(tape.startOf(value), tape.endOf(value), JSON.stringify(rawOf(tape, value)))
    return
  }
  if (kind === OBJECT) {
    members(tape, edits, value, depth, body)
    return
  }
  for (let item = value + 1; item < tape.next(value); item = tape.next(item)) nested(tape, edits, item, depth + 1, body)
}

/** A patch is a list, a body may be a text: an object field takes neither. What was null is left so. */
function objectOf(tape: Tape, edits: Edits, value: number): void {
  if (tape.kindOf(value) === OTHER && tape.buffer[tape.startOf(value)] === 0x6e) return
  const quotes = tape.kindOf(value) === STRING ? 1 : 0
  const start = tape.startOf(value) - quotes
  const end = tape.endOf(value) + quotes
  edits.add(start, end, JSON.stringify({ value: rawOf(tape, value) }))
}

/** The text of a value, as JSON. */
function rawOf(tape: Tape, value: number): string {
  const quotes = tape.kindOf(value) === STRING ? 1 : 0
  return tape.buffer.toString('utf8', tape.startOf(value) - quotes, tape.endOf(value) + quotes)
}

function namesOf(tape: Tape, object: number): Set<string> {
  const names = new Set<string>()
  for (let key = object + 1; key < tape.next(object); key = tape.next(key + 1)) {
    names.add(textOf(tape.buffer, tape.startOf(key), tape.endOf(key)))
  }
  return names
}

/** A key without dots that is not empty, unlike all others of its object: authorization.k8s.io/x is authorization_k8s_io/x. */
function renamedKey(name: string, taken: Set<string>): string {
  if (name !== '' && !name.includes('.')) return name
  let renamed = name === '' ? '_' : name.replaceAll('.', '_')
  while (taken.has(renamed)) renamed += '_'
  taken.add(renamed)
  return renamed
}

function outerEnd(tape: Tape, value: number): number {
  return tape.endOf(value) + (tape.kindOf(value) === STRING ? 1 : 0)
}

/** Leaves a member out with one comma beside it. `kept`: where the last one that stays ends; -1 for none. */
function leaveOut(tape: Tape, edits: Edits, key: number, value: number, kept: number, object: number): void {
  const end = outerEnd(tape, value)
  if (kept >= 0) edits.add(Math.max(kept, edits.lastEnd), end, '')
  else {
    const isLast = tape.next(value) === tape.next(object)
    edits.add(tape.startOf(key) - 1, isLast ? end : tape.startOf(tape.next(value)) - 1, '')
  }
}
