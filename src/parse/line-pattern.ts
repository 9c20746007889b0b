// A regular expression that costs a step for each character of a line and no more, whoever wrote it: pods bring patterns of
// their own, and one that is compared by backtracking can stop a process. The usual notation without back references,
// assertions in the middle and look-around; ASCII only; compared with the beginning of a line. Parsed here, made an automaton
// in line-automaton.ts. Bounds: NODES_MAX, and those of the automaton; a pattern beyond them is refused.
import { type Automaton, accepts, automatonOf, type Step, SYMBOLS } from './line-automaton.ts'

const NODES_MAX = 500
const REPEAT_MAX = 100
/** Compiled patterns that are kept for whoever asks next, 35 KiB each at the most. */
const KNOWN_MAX = 64

type Node =
  | { kind: 'set'; set: Uint8Array }
  | { kind: 'end' }
  | { kind: 'all'; of: Node[] }
  | { kind: 'one'; of: Node[] }
  | { kind: 'repeat'; of: Node; min: number; max: number }

export class LinePattern {
  readonly #automaton: Automaton

  /** Throws a SyntaxError that says what of the pattern is not understood. `(?i)` in front makes it blind to case. */
  constructor(source: string) {
    const steps: Step[] = []
    emit(new Parser(source).parse(), steps)
    steps.push({ kind: 'match' })
    this.#automaton = automatonOf(steps)
  }

  /** Whether the line begins with a match. */
  test(line: string): boolean {
    return accepts(this.#automaton, line)
  }
}

/** Pods of a workload bring the same pattern, and each is asked for several times: for what is wrong with it, and by each sink. */
const known = new Map<string, LinePattern | SyntaxError>()

/** The pattern, compiled once as long as it is one of the KNOWN_MAX that were asked for last. Throws as `new LinePattern` does. */
export function linePattern(source: string): LinePattern {
  let pattern = known.get(source)
  known.delete(source)
  pattern ??= compiled(source)
  known.set(source, pattern)
  for (const oldest of known.keys()) {
    if (known.size <= KNOWN_MAX) break
    known.delete(oldest)
  }
  if (pattern instanceof SyntaxError) throw pattern
  return pattern
}

function compiled(source: string): LinePattern | SyntaxError {
  try {
    return new LinePattern(source)
  } catch (error) {
    if (error instanceof SyntaxError) return error
    throw error
  }
}

/** Appends the steps of a node; what follows them comes next. */
function emit(node: Node, steps: Step[]): void {
  if (steps.length > NODES_MAX) throw new SyntaxError('the pattern is too large')
  if (node.kind === 'set' || node.kind === 'end') steps.push(node)
  else if (node.kind === 'all') for (const each of node.of) emit(each, steps)
  else if (node.kind === 'one') emitOne(node.of, steps)
  else emitRepeat(node, steps)
}

function emitOne([first, ...rest]: readonly Node[], steps: Step[]): void {
  if (first === undefined) return
  if (rest.length === 0) {
    emit(first, steps)
    return
  }
  const split: Step = { kind: 'split', a: steps.length + 1, b: 0 }
  steps.push(split)
  emit(first, steps)
  const over: Step = { kind: 'split', a: 0, b: 0 }
  steps.push(over)
  split.b = steps.length
  emitOne(rest, steps)
  over.a = over.b = steps.length
}

function emitRepeat({ of, min, max }: Extract<Node, { kind: 'repeat' }>, steps: Step[]): void {
  for (let i = 0; i < min; i++) emit(of, steps)
  if (max === Number.POSITIVE_INFINITY) {
    const again: Step = { kind: 'split', a: steps.length + 1, b: 0 }
    const at = steps.push(again) - 1
    emit(of, steps)
    steps.push({ kind: 'split', a: at, b: at })
    again.b = steps.length
    return
  }
  const splits: Extract<Step, { kind: 'split' }>[] = []
  for (let i = min; i < max; i++) {
    const split: Step = { kind: 'split', a: steps.length + 1, b: 0 }
    splits.push(split)
    steps.push(split)
    emit(of, steps)
  }
  for (const split of splits) split.b = steps.length
}

const DIGIT = setOf((c) => c >= 48 && c <= 57)
const WORD = setOf((c) => (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || c === 95 || (c >= 97 && c <= 122))
const SPACE = setOf((c) => c === 32 || (c >= 9 && c <= 13))
const ANY = setOf((c) => c !== 10 && c !== 13)
const ESCAPES: Readonly<Record<string, Uint8Array>> = {
  d: DIGIT,
  D: inverse(DIGIT),
  w: WORD,
  W: inverse(WORD),
  s: SPACE,
  S: inverse(SPACE),
  t: setOf((c) => c === 9),
}

class Parser {
  readonly #source: string
  readonly #ignoreCase: boolean
  #at = 0
  #depth = 0

  constructor(source: string) {
    this.#ignoreCase = source.startsWith('(?i)')
    this.#source = this.#ignoreCase ? source.slice(4) : source
    if (!/^[\x20-\x7e\t]+$/.test(source)) throw new SyntaxError('only ASCII characters can be in a pattern')
  }

  parse(): Node {
    const node = this.#alternatives()
    if (this.#at < this.#source.length) throw new SyntaxError('a ) has no (')
    return node
  }

  #alternatives(): Node {
    if (++this.#depth > 20) throw new SyntaxError('the pattern is too deep')
    const of = [this.#sequence()]
    while (this.#take('|')) of.push(this.#sequence())
    this.#depth--
    return { kind: 'one', of }
  }

  #sequence(): Node {
    const of: Node[] = []
    // The whole is compared with the beginning of the line.
    if (this.#depth === 1) this.#take('^')
    while (this.#at < this.#source.length && !'|)'.includes(this.#source[this.#at] as string)) {
      const node = this.#atom()
      of.push(this.#repeated(node))
    }
    return { kind: 'all', of }
  }

  #atom(): Node {
    const char = this.#source[this.#at++] as string
    if (char === '(') return this.#group()
    if (char === '[') return { kind: 'set', set: this.#class() }
    if (char === '.') return { kind: 'set', set: ANY }
    if (char === '$') return { kind: 'end' }
    if (char === '^') throw new SyntaxError('^ is known at the beginning only')
    if ('*+?{'.includes(char)) throw new SyntaxError(`there is nothing that ${char} could repeat`)
    return { kind: 'set', set: char === '\\' ? this.#escape() : this.#only(char) }
  }

  #group(): Node {
    if (this.#take('?') && !this.#take(':')) throw new SyntaxError('of groups only ( ) and (?: ) are known')
    const node = this.#alternatives()
    if (!this.#take(')')) throw new SyntaxError('a ( has no )')
    return node
  }

  #repeated(of: Node): Node {
    const match = /^(?:[*+?]|\{(\d{1,4})(,(\d{0,4}))?\})/.exec(this.#source.slice(this.#at))
    if (match === null) return of
    const [text, least, comma, most] = match
    this.#at += text.length
    this.#take('?') // whether it takes much or little does not matter
    if (/^[*+?]/.test(this.#source.slice(this.#at)))
      throw new SyntaxError('a repetition cannot be repeated without ( )')
    const min = least === undefined ? Number(text === '+') : Number(least)
    const endless = text === '*' || text === '+' || (comma !== undefined && most === '')
    const max = endless ? Number.POSITIVE_INFINITY : text === '?' ? 1 : comma === undefined ? min : Number(most)
    if (min > REPEAT_MAX || (!endless && max > REPEAT_MAX)) {
      throw new SyntaxError(`${text} repeats more than ${REPEAT_MAX} times`)
    }
    if (max < min) throw new SyntaxError(`${text} has its numbers the wrong way round`)
    return { kind: 'repeat', of, min, max }
  }

  #class(): Uint8Array {
    const isInverse = this.#take('^')
    const set = new Uint8Array(SYMBOLS)
    while (!this.#take(']')) {
      const first = this.#inClass()
      let last = first
      if (this.#source[this.#at] === '-' && this.#source[this.#at + 1] !== ']') {
        this.#at++
        last = this.#inClass()
        if (first.char === null || last.char === null || first.char > last.char) {
          throw new SyntaxError('a range in [ ] does not go from one character to a later one')
        }
      }
      const [from, to] = [first.char, last.char]
      for (let c = 0; c < SYMBOLS; c++) {
        if (first.set[c] === 1 || (from !== null && to !== null && c >= from && c <= to)) set[c] = 1
      }
    }
    const cased = this.#cased(set)
    return isInverse ? inverse(cased) : cased
  }

  #inClass(): { set: Uint8Array; char: number | null } {
    const char = this.#source[this.#at++]
    if (char === undefined) throw new SyntaxError('a [ has no ]')
    const set = char === '\\' ? this.#escape() : setOf((c) => c === char.charCodeAt(0))
    const only = set.indexOf(1) === set.lastIndexOf(1) ? set.indexOf(1) : null
    return { set, char: only }
  }

  #escape(): Uint8Array {
    const char = this.#source[this.#at++]
    if (char === undefined) throw new SyntaxError('a \\ stands at the end')
    const known = ESCAPES[char]
    if (known !== undefined) return known
    if (/[A-Za-z0-9]/.test(char)) throw new SyntaxError(`\\${char} is not known`)
    return this.#only(char)
  }

  #only(char: string): Uint8Array {
    return this.#cased(setOf((c) => c === char.charCodeAt(0)))
  }

  #cased(set: Uint8Array): Uint8Array {
    if (!this.#ignoreCase) return set
    return setOf((c) => {
      const char = String.fromCharCode(c)
      return (
        set[c] === 1 ||
        (c < SYMBOLS - 1 &&
          (set[char.toLowerCase().charCodeAt(0)] === 1 || set[char.toUpperCase().charCodeAt(0)] === 1))
      )
    })
  }

  #take(char: string): boolean {
    if (this.#source[this.#at] !== char) return false
    this.#at++
    return true
  }
}

function setOf(holds: (code: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: SYMBOLS }, (_, code) => Number(holds(code)))
}

function inverse(set: Uint8Array): Uint8Array {
  return setOf((code) => set[code] === 0)
}
