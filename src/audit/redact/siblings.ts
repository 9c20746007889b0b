// What the other members of an object say of one of them: its `kind`, the `name` or `key` beside a value, the path of a JSON
// patch's operation. Invariant: of what is given twice, each may be what counts. They go through one object's members, which
// have been scanned already.
import { textOf } from '../json/strings.ts'
import { SEVERAL_KINDS, STRING, type Tape } from '../json/tape.ts'
import { LAST_APPLIED, nameAt } from './members.ts'
import { classOfName, NAME_CREDENTIAL, NAME_PLAIN } from './names.ts'
import { IS_SECRET, IS_SECRET_OBJECT, roleOfKind, roleOfPath } from './roles.ts'

/** What an object says of itself by its `kind`. */
export function roleOfItsKind(tape: Tape, value: number): number {
  const kind = tape.kindValueOf(value)
  if (kind >= 0) return roleOfKind(nameAt(tape, kind).text)
  if (kind !== SEVERAL_KINDS) return 0
  // Given twice, or written with escapes: each of them may be what counts.
  let role = 0
  const end = tape.next(value)
  for (let key = tape.first(value); key < end; key = tape.next(key + 1)) {
    if (tape.kindOf(key + 1) === STRING && nameAt(tape, key).text === 'kind')
      role |= roleOfKind(nameAt(tape, key + 1).text)
  }
  return role
}

/** Members that say what the value beside them is. */
const NAMING = new Set(['name', 'key', 'id', 'param', 'parameter', 'property', 'variable', 'option', 'setting'])

/** For `value` beside `name`, `key` or the like: what that says. */
export function classOfPair(tape: Tape, object: number): number {
  const end = tape.next(object)
  for (let key = tape.first(object); key < end; key = tape.next(key + 1)) {
    if (tape.kindOf(key + 1) !== STRING) continue
    if (!NAMING.has(nameAt(tape, key).text)) continue
    if (nameAt(tape, key + 1).nameClass === NAME_CREDENTIAL) return NAME_CREDENTIAL
  }
  return NAME_PLAIN
}

/** The field that a cause of a refusal is about; empty where it names none. Of several each may be what counts. */
export function fieldBeside(tape: Tape, cause: number): string {
  const end = tape.next(cause)
  let fields = ''
  for (let key = tape.first(cause); key < end; key = tape.next(key + 1)) {
    if (tape.kindOf(key + 1) !== STRING || nameAt(tape, key).text !== 'field') continue
    fields += `${textOf(tape.buffer, tape.startOf(key + 1), tape.endOf(key + 1))}: `
  }
  return fields
}

/** What the path of a JSON patch's operation says of its value. Of several paths each may be what counts. */
export function patched(
  tape: Tape,
  operation: number,
  role: number,
): { role: number; nameClass: number; isLastApplied: boolean } {
  const end = tape.next(operation)
  let below = 0
  let nameClass = NAME_PLAIN
  let isOperation = false
  let isLastApplied = false
  for (let key = tape.first(operation); key < end; key = tape.next(key + 1)) {
    if (tape.kindOf(key + 1) !== STRING || nameAt(tape, key).text !== 'path') continue
    const path = textOf(tape.buffer, tape.startOf(key + 1), tape.endOf(key + 1))
    const parts = path
      .split('/')
      .slice(1)
      .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    below |= roleOfPath(path, parts, role)
    isOperation = true
    const last = parts.at(-1) ?? ''
    if (last === LAST_APPLIED) isLastApplied = true
    const named = classOfName(/^(?:\d+|-)$/.test(last) ? (parts.at(-2) ?? '') : last)
    if (nameClass !== NAME_CREDENTIAL && named !== NAME_PLAIN) nameClass = named
  }
  if (!isOperation && (role & IS_SECRET_OBJECT) !== 0) below |= IS_SECRET
  return { role: below, nameClass, isLastApplied }
}
