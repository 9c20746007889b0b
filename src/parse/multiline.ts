// Which lines are one record: a stack trace with the line that it is about. Pure: a rule sees one line after the other. A
// record ends where a line begins another one, and nobody knows that before that line is there. Bounds: MULTILINE_LINES_MAX
// lines, MULTILINE_BYTES_MAX bytes; for how long an end is waited for is the reader's.
import { type LinePattern, linePattern } from './line-pattern.ts'

export type MultilinePreset = 'java' | 'python' | 'go'
export const MULTILINE_PRESETS: readonly MultilinePreset[] = ['java', 'python', 'go']

/** A preset, or a pattern (line-pattern.ts) that the first line of each record begins with. */
export type MultilineConfig = { preset: MultilinePreset } | { start: string }

export const MULTILINE_LINES_MAX = 1000
export const MULTILINE_BYTES_MAX = 64 * 1024
/** Bytes of a line that a rule looks at. */
const LOOK_BYTES_MAX = 1024

/** In a rule's answer: the line belongs to the record before it. The rest is the state with which the next line is asked for. */
export const JOINS = 1
/** What the line before was, and what this one is then. A record begins with PLAIN. */
export type MultilineRule = (state: number, line: string) => number
export const PLAIN = 0

/** Throws a SyntaxError for a pattern that is none. */
export function multilineRule(config: MultilineConfig): MultilineRule {
  return 'preset' in config ? RULES[config.preset] : startingWith(linePattern(config.start))
}

/** What of a line in block[start, end), without its line end, a rule looks at. */
export function multilineText(block: Buffer, start: number, end: number): string {
  const last = end > start && block[end - 1] === 13 ? end - 1 : end
  return block.toString('utf8', start, Math.min(last, start + LOOK_BYTES_MAX))
}

function startingWith(pattern: LinePattern): MultilineRule {
  return (_state, line) => (pattern.test(line) ? PLAIN : PLAIN | JOINS)
}

const INDENTED = /^[ \t]/
const BLANK = /^[ \t]*$/

// Throwable.printStackTrace, and what logging libraries make of it: frames, causes and suppressed ones; the exception itself
// stands at the beginning of a line, behind the message of whoever logged it.
const JAVA_FRAMES = 2
const JAVA_CAUSE = /^(?:Caused|Wrapped) by: /
const JAVA_THROWABLE = /^(?:[A-Za-z_$][\w$]*\.)+[\w$]*(?:Exception|Error|Throwable)(?::|$)/

function java(state: number, line: string): number {
  if (BLANK.test(line)) return PLAIN
  if (INDENTED.test(line) || JAVA_CAUSE.test(line)) return JAVA_FRAMES | JOINS
  // Behind frames it is the next one's.
  return JAVA_THROWABLE.test(line) && state === PLAIN ? JAVA_FRAMES | JOINS : PLAIN
}

// traceback.print_exc: indented frames, the exception in a line of its own, and perhaps a sentence that leads to the next one.
const TRACE = 2
const RAISED = 4
const BEHIND = 6
const CHAINED = 8
const GROUP = 10
const TRACEBACK = /^[ \t]*Traceback \(most recent call last\):/
const GROUP_TRACEBACK = /^[ \t]*\+ Exception Group Traceback/
const CHAIN =
  /^(?:During handling of the above exception, another exception occurred:|The above exception was the direct cause of the following exception:)/

function python(state: number, line: string): number {
  if (state === TRACE && (INDENTED.test(line) || BLANK.test(line))) return TRACE | JOINS
  if (state === GROUP && INDENTED.test(line)) return GROUP | JOINS
  if (TRACEBACK.test(line)) return state === PLAIN || state === CHAINED ? TRACE | JOINS : TRACE
  if (GROUP_TRACEBACK.test(line)) return state === PLAIN || state === CHAINED ? GROUP | JOINS : GROUP
  if (state === TRACE) return RAISED | JOINS
  if (state !== PLAIN && BLANK.test(line)) return (state === CHAINED ? CHAINED : BEHIND) | JOINS
  if (state === BEHIND && CHAIN.test(line)) return CHAINED | JOINS
  return PLAIN
}

// A panic, a fatal error or a signal, then goroutines: calls, each with an indented place, and blank lines between.
const PANIC = 2
const ROUTINE = 4
const BETWEEN = 6
const GO_HEAD = /^(?:panic: |fatal error: |runtime: |unexpected fault address |SIG[A-Z]+: )/
const GO_MORE = /^(?:PC=|\[|panic: |fatal error: |runtime: )/
const GO_ROUTINE = /^(?:goroutine \d+ .*\]:|runtime stack:)$/
// The first bracket is the one that counts: looked for from each of them, a line of brackets takes a millisecond.
const GO_CALL = /^(?:\S[^\s(]*\(.*\)|created by .*|\.\.\..*)$/
const GO_END = /^(?:exit status \d+|[a-z]\w* +0x[0-9a-f]+)$/

function go(state: number, line: string): number {
  // debug.Stack, too, behind the message of whoever logged it.
  if (GO_ROUTINE.test(line)) return ROUTINE | JOINS
  if (state !== PLAIN && BLANK.test(line)) return (state === PANIC ? PANIC : BETWEEN) | JOINS
  if (state === PANIC && (INDENTED.test(line) || GO_MORE.test(line))) return PANIC | JOINS
  if (state === ROUTINE && (INDENTED.test(line) || GO_CALL.test(line))) return ROUTINE | JOINS
  if ((state === ROUTINE || state === BETWEEN) && GO_END.test(line)) return BETWEEN | JOINS
  return GO_HEAD.test(line) ? PANIC : PLAIN
}

const RULES: Record<MultilinePreset, MultilineRule> = { java, python, go }
