// A rule's pattern, compared with a line in bounded time. Patterns are compared by backtracking, and an ordinary one
// (`[\w.]+@`) takes a quarter of an hour for a line of a MiB in which it has no match: whoever writes lines could stop the
// agent. So with longer lines that is given up after some milliseconds, and done by V8's linear engine, with the same
// result at 50 to 90 ns a character. What that one does not know (look-around, back references, `(?i)`) has a second.
import { setFlagsFromString } from 'node:v8'
import { Script } from 'node:vm'
import { errorCode } from '../core/errors.ts'

/** Up to here a pattern whose time grows with the square of the line's length takes a millisecond. */
const CHARS_FREE = 1024
const TRIAL_MS = 10
/** Of wall time, which for a process that is throttled may be a twentieth of it: then the line counts as too much. */
const ALONE_MS_MAX = 1000
const WORK = 'taffrail.matcher'
const TOO_LONG = Symbol('tooLong')

/** Only a script can be stopped in the middle of a comparison. */
const script = new Script(`globalThis[Symbol.for('${WORK}')]()`)

export class Matcher {
  readonly #pattern: RegExp
  /** null: it does not know the pattern. */
  readonly #linear: RegExp | null

  /** Throws as `regExpOf` does. */
  constructor(pattern: string, flags = '') {
    this.#pattern = regExpOf(pattern, flags)
    this.#linear = linearOf(this.#pattern)
  }

  /** Whether the line has a match. */
  test(line: string): boolean {
    const found = this.#within(line, (pattern) => pattern.test(line))
    return found === TOO_LONG ? this.#pattern.test(line) : found
  }

  /** The line with all matches replaced; null: that takes too long. */
  replace(line: string, replacement: string): string | null {
    const replaced = this.#within(line, (pattern) => line.replace(pattern, replacement))
    return replaced === TOO_LONG ? null : replaced
  }

  #within<T>(line: string, work: (pattern: RegExp) => T): T | typeof TOO_LONG {
    if (line.length <= CHARS_FREE) return work(this.#pattern)
    const linear = this.#linear
    const done = limited(linear === null ? ALONE_MS_MAX : TRIAL_MS, () => work(this.#pattern))
    return done === TOO_LONG && linear !== null ? work(linear) : done
  }
}

function limited<T>(timeout: number, work: () => T): T | typeof TOO_LONG {
  const shared = globalThis as Record<symbol, unknown>
  const key = Symbol.for(WORK)
  shared[key] = work
  try {
    return script.runInThisContext({ timeout }) as T
  } catch (error) {
    if (errorCode(error) !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error
    return TOO_LONG
  } finally {
    shared[key] = undefined
  }
}

/** The pattern of a rule; `(?i)` in front makes it blind to case. Throws the SyntaxError of a bad one. */
export function regExpOf(pattern: string, flags = ''): RegExp {
  return pattern.startsWith('(?i)') ? new RegExp(pattern.slice(4), `${flags}i`) : new RegExp(pattern, flags)
}

/** Not for what matches nothing at all, where the two differ now and then in a match at the line's end (seen in 9 of 320,000). */
function linearOf({ source, flags }: RegExp): RegExp | null {
  if (new RegExp(source, flags).test('')) return null
  setFlagsFromString('--enable-experimental-regexp-engine')
  try {
    return new RegExp(source, `${flags}l`)
  } catch {
    return null // not for this pattern, or not in this version of V8
  }
}
