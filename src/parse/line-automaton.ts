// What a pattern is compared by: a table that leads from state to state, one look-up for each character of a line. Made whole
// before the first line is seen (subset construction; R. Cox, "Regular Expression Matching Can Be Simple And Fast"), so
// that whether a pattern is affordable is known when it is read: states that were made while lines are compared would cost
// as much for each character of a hostile one as hundreds here. Bounds: ENTRIES_MAX, VISITS_MAX. Pure.

/** ASCII, and one for all other characters. */
export const SYMBOLS = 129
const OTHER = SYMBOLS - 1
/** Entries of a table, two bytes each. */
const ENTRIES_MAX = 16 * 1024
/** Steps that are looked at while it is made, some 50 ns each. */
const VISITS_MAX = 100_000
/** States that no line leads out of: there is no match any more; there is one, whatever follows. */
const DEAD = 0
const MATCH = 1
const FIRST = 2

/** A step goes on to the one behind it when it has what it waits for; a split goes on to two at once. */
export type Step =
  | { kind: 'set'; set: Uint8Array }
  | { kind: 'split'; a: number; b: number }
  | { kind: 'end' }
  | { kind: 'match' }

export interface Automaton {
  start: number
  /** The class of each symbol: symbols that no step tells apart are one. */
  classOf: Uint8Array
  classes: number
  /** By state, and in it by class. */
  next: Uint16Array
  /** By state: 1 where the line may end. */
  endsWell: Uint8Array
}

/** Whether the line begins with a match. */
export function accepts({ start, classOf, classes, next, endsWell }: Automaton, line: string): boolean {
  let state = start
  for (let i = 0; i < line.length && state > MATCH; i++) {
    const code = line.charCodeAt(i)
    state = next[state * classes + (classOf[code < OTHER ? code : OTHER] as number)] as number
  }
  return state === MATCH || endsWell[state] === 1
}

/** Throws a SyntaxError for steps that would make too large a table. */
export function automatonOf(steps: readonly Step[]): Automaton {
  const { classOf, symbols } = classesOf(steps)
  const classes = symbols.length
  const walk = new Walk(steps)
  /** The states by the steps they are; DEAD and MATCH have none that are looked at. */
  const sets: (readonly number[])[] = [[], []]
  const numbers = new Map<string, number>()
  const numberOf = (set: readonly number[]) => {
    if (set.length === 0) return DEAD
    if (set.some((at) => steps[at]?.kind === 'match')) return MATCH
    const key = set.join()
    let number = numbers.get(key)
    if (number === undefined) {
      number = sets.push(set) - 1
      numbers.set(key, number)
    }
    return number
  }
  const start = numberOf(walk.closure([0]))
  const next: number[] = Array.from({ length: FIRST * classes }, () => DEAD)
  for (let state = FIRST; state < sets.length; state++) {
    if (sets.length * classes > ENTRIES_MAX) throw tooLarge()
    for (const symbol of symbols) next.push(numberOf(walk.step(sets[state] as number[], symbol)))
  }
  const endsWell = Uint8Array.from(sets, (set) =>
    Number(walk.closure(set, true).some((at) => steps[at]?.kind === 'match')),
  )
  return { start, classOf, classes, next: Uint16Array.from(next), endsWell }
}

/** The classes of symbols, and one symbol of each. */
function classesOf(steps: readonly Step[]): { classOf: Uint8Array; symbols: number[] } {
  const sets = [...new Set(steps.flatMap((each) => (each.kind === 'set' ? [each.set] : [])))]
  const classOf = new Uint8Array(SYMBOLS)
  const symbols: number[] = []
  const known = new Map<string, number>()
  for (let symbol = 0; symbol < SYMBOLS; symbol++) {
    const key = sets.map((set) => set[symbol]).join('')
    let number = known.get(key)
    if (number === undefined) {
      number = symbols.push(symbol) - 1
      known.set(key, number)
    }
    classOf[symbol] = number
  }
  return { classOf, symbols }
}

/** Follows steps from state to state, and counts what it looks at. */
class Walk {
  readonly #steps: readonly Step[]
  readonly #seen: Uint32Array
  #round = 0
  #visits = 0

  constructor(steps: readonly Step[]) {
    this.#steps = steps
    this.#seen = new Uint32Array(steps.length)
  }

  /** The state behind a state, for a symbol. */
  step(from: readonly number[], symbol: number): number[] {
    this.#spend(from.length)
    const reached: number[] = []
    for (const at of from) {
      const each = this.#steps[at] as Step
      if (each.kind === 'set' && each.set[symbol] === 1) reached.push(at + 1)
    }
    return this.closure(reached)
  }

  /** The steps that wait for a character (or for the end, unless that is here), and the match, reached from these. */
  closure(from: readonly number[], isEnd = false): number[] {
    const round = ++this.#round
    const found: number[] = []
    const left = [...from]
    for (let at = left.pop(); at !== undefined; at = left.pop()) {
      if (this.#seen[at] === round) continue
      this.#seen[at] = round
      this.#spend(1)
      const each = this.#steps[at] as Step
      if (each.kind === 'split') left.push(each.a, each.b)
      else if (each.kind === 'end' && isEnd) left.push(at + 1)
      else found.push(at)
    }
    return found.sort((a, b) => a - b)
  }

  #spend(count: number): void {
    this.#visits += count
    if (this.#visits > VISITS_MAX) throw tooLarge()
  }
}

function tooLarge(): SyntaxError {
  return new SyntaxError('the pattern is too large: too many beginnings of a match would have to be kept apart')
}
