// The members of an audit event as they stand under kubernetes.audit: valid JSON whose keys and values every mapping takes,
// whatever a client wrote into the body of its request. Keys that a mapping cannot take (empty, with dots) get another name;
// so does a name that is given twice, and a member of another type than the mapping knows, which is kept and not searched
// then. managedFields are left out. None of that may cost an event. Pure.
import { isUtf8 } from 'node:buffer'
import { Edits } from '../../audit/edits.ts'
import { PADDING_BYTES, viewOf } from '../../audit/json/strings.ts'
import { ARRAY, OBJECT, OTHER, SLICE_VALUES, STRING, type Tape } from '../../audit/json/tape.ts'
import type { Slices } from '../../core/slices.ts'
import { AUDIT_FIELDS, type FieldTree, type LeafField } from './audit-fields.ts'
import { Names, nameAt } from './audit-names.ts'

/** Objects of an object field may lie so deep in it; what is deeper is told as text. */
const DEPTH_MAX = 18
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
/** Of null. */
const LETTER_N = 0x6e
/** Each key with its value is one term of an index, of at most 32,766 bytes; keywords that are too long are left out by themselves. */
const FLAT_BYTES_MAX = 8191
const INTEGER = /^-?\d{1,9}$/
/** As the API server writes times, within quotes; of years that a mapping takes with nanoseconds. */
const DATE = /^"((?:19[7-9]|20\d|21\d|22[0-5])\d-\d\d-\d\d)T\d\d:\d\d:\d\d(?:\.\d{1,9})?Z"$/

/** Makes the list of an event's values; false when it is no JSON. Control characters that JSON does not allow become blanks. */
export function* taken(event: Buffer, tape: Tape): Slices<boolean> {
  const bytes = Buffer.allocUnsafe(event.length + PADDING_BYTES)
  event.copy(bytes)
  bytes.fill(0, event.length)
  withoutControls(bytes, event.length)
  tape.begin(bytes, 0, event.length)
  for (;;) {
    const state = tape.run(SLICE_VALUES)
    if (state !== 'more') return state === 'done'
    yield
  }
}

/** Makes blanks of the control characters among the first `length` bytes, of which there must be three more. */
function withoutControls(bytes: Buffer, length: number): void {
  const view = viewOf(bytes)
  for (let at = 0; at < length; at += 4) {
    const word = view.getInt32(at, true)
    // A byte below 0x20 borrows; one with the highest bit set is none.
    if (((word - 0x20202020) & ~word & 0x80808080) === 0) continue
    for (let i = at; i < at + 4 && i < length; i++) if (bytes[i]! < 0x20) bytes[i] = 0x20
  }
}

/** What stands under kubernetes.audit, as UTF-8, of an event of `eventBytes` whose values are listed. */
export function* fieldsOf(tape: Tape, eventBytes: number): Slices<Buffer> {
  const edits = new Edits()
  const open: Open[] = []
  enter(open, tape, edits, 0, 0, '', AUDIT_FIELDS)
  for (let left = SLICE_VALUES; ; left--) {
    const top = open.at(-1)
    if (top === undefined) break
    if (left === 0) {
      yield
      left = SLICE_VALUES
    }
    if (top.named < top.end) {
      top.names?.note(nameAt(tape, top.named))
      top.named = tape.next(top.named + 1)
    } else if (top.at >= top.end) open.pop()
    else if (top.names === null) {
      const item = top.at
      top.at = tape.next(item)
      enter(open, tape, edits, item, top.depth + 1, top.body, top.tree)
    } else member(open, tape, edits, top, top.names)
  }
  const event = tape.buffer
  if (edits.count === 0) return inUtf8(event.subarray(0, eventBytes))
  const out = Buffer.allocUnsafe(edits.bytesMax(eventBytes))
  return inUtf8(out.subarray(0, yield* edits.applyInSlices(event, 0, eventBytes, out)))
}

function inUtf8(text: Buffer): Buffer {
  return isUtf8(text) ? text : Buffer.from(text.toString())
}

/** An object or a list that is being looked through, `depth` levels below the event. */
interface Open {
  /** The member, or item, that is next. */
  at: number
  end: number
  depth: number
  /** The event's member that it is in. */
  body: string
  /** What the mapping knows of it. */
  tree: FieldTree | null
  /** null: it is a list. */
  names: Names | null
  /** Of very many members, the one whose name is to be noted next, before any is looked at. */
  named: number
  container: number
  /** Where the last member ends that is not left out; -1 for none. */
  kept: number
}

/** Begins with a value; one that is neither object nor list stays as it is. */
function enter(
  open: Open[],
  tape: Tape,
  edits: Edits,
  value: number,
  depth: number,
  body: string,
  tree: FieldTree | null,
): void {
  const kind = tape.kindOf(value)
  if (kind !== OBJECT && kind !== ARRAY) return
  if (depth > DEPTH_MAX) {
    edits.add(tape.startOf(value), tape.endOf(value), JSON.stringify(rawOf(tape, value)))
    return
  }
  const at = tape.first(value)
  const end = tape.next(value)
  const hasMany = kind === OBJECT && end - at > SLICE_VALUES
  const names = kind === OBJECT ? new Names(tape, value, hasMany) : null
  open.push({ at, end, depth, body, tree, names, named: hasMany ? at : end, container: value, kept: -1 })
}

/** Looks at the next member of an object. */
function member(open: Open[], tape: Tape, edits: Edits, object: Open, names: Names): void {
  const { depth, body, tree } = object
  const key = object.at
  const value = key + 1
  object.at = tape.next(value)
  const name = nameAt(tape, key)
  if (name === 'managedFields' && BODIES.has(body)) {
    leaveOut(tape, edits, key, value, object.kept, object.container)
    return
  }
  object.kept = outerEnd(tape, value)
  const isWrapped = depth === 0 && OBJECTS.has(name) && tape.kindOf(value) !== OBJECT
  const written = names.written(name)
  const field = tree !== null && Object.hasOwn(tree, written) ? tree[written]! : null
  const fits = field === null || isWrapped || isOf(tape, value, field)
  const renamed = fits ? written : names.other(written)
  if (renamed !== name) edits.add(tape.startOf(key), tape.endOf(key), JSON.stringify(renamed).slice(1, -1))
  if (isWrapped) objectOf(tape, edits, value)
  else {
    const top = depth === 0 ? name : body
    enter(open, tape, edits, value, depth + 1, top, fits && typeof field === 'object' ? field : null)
  }
}

/** Whether a field of the mapping takes a value; null is no value. */
function isOf(tape: Tape, value: number, field: LeafField | FieldTree): boolean {
  const kind = tape.kindOf(value)
  if (isNull(tape, value)) return true
  if (kind === ARRAY && field !== 'kept' && field !== 'flat') {
    for (let item = tape.first(value); item < tape.next(value); item = tape.next(item))
      if (!isOf(tape, item, field)) return false
    return true
  }
  if (field === 'flat') return kind === OBJECT && tape.endOf(value) - tape.startOf(value) <= FLAT_BYTES_MAX
  if (typeof field === 'object' || field === 'kept') return kind === OBJECT
  if (field === 'integer') return kind === OTHER && INTEGER.test(rawOf(tape, value))
  if (field === 'date') return kind === STRING && isDate(rawOf(tape, value))
  if (field === 'ip') return kind === STRING
  return kind === STRING || kind === OTHER
}

/** Whether there is such a day, and such a time of it. */
function isDate(raw: string): boolean {
  const day = DATE.exec(raw)?.[1]
  const ms = day === undefined ? Number.NaN : Date.parse(raw.slice(1, -1))
  return !Number.isNaN(ms) && new Date(ms).toISOString().slice(0, 10) === day
}

function isNull(tape: Tape, value: number): boolean {
  return tape.kindOf(value) === OTHER && tape.buffer[tape.startOf(value)] === LETTER_N
}

/** A patch is a list, a body may be a text: an object field takes neither. What was null is left so. */
function objectOf(tape: Tape, edits: Edits, value: number): void {
  if (isNull(tape, value)) return
  const quotes = tape.kindOf(value) === STRING ? 1 : 0
  const start = tape.startOf(value) - quotes
  const end = tape.endOf(value) + quotes
  edits.add(start, end, JSON.stringify({ value: rawOf(tape, value) }))
}

/** The text of a value, as JSON. */
export function rawOf(tape: Tape, value: number): string {
  const quotes = tape.kindOf(value) === STRING ? 1 : 0
  return tape.buffer.toString('utf8', tape.startOf(value) - quotes, tape.endOf(value) + quotes)
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
