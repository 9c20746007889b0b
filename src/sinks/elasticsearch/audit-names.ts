// What the members of an object are called in a document: no server takes a name twice, and no mapping an empty one or one with
// dots. Bound: the names of one object, each once.
import { textOf } from '../../audit/json/strings.ts'
import type { Tape } from '../../audit/json/tape.ts'
import { KnownBytes } from '../../audit/known.ts'

/** Names of members, of which a log has few: a text is made of each once, not for each event. */
const knownNames = new KnownBytes<string>(11)

export function nameAt(tape: Tape, key: number): string {
  const { buffer } = tape
  const start = tape.startOf(key)
  const end = tape.endOf(key)
  let name = knownNames.find(buffer, start, end)
  if (name === undefined) {
    name = textOf(buffer, start, end)
    knownNames.add(buffer, start, end, name)
  }
  return name
}

/** Of so few a list is looked through faster than a set. */
const LIST_MAX = 16

/**
 * The names of an object's members, each once and without dots, for no server takes a name twice:
 * authorization.k8s.io/x is authorization_k8s_io/x.
 */
export class Names {
  readonly #tape: Tape
  readonly #object: number
  /** Those of all members, once they are asked for. */
  #all: Set<string> | null = null
  #few: string[] = []
  #many: Set<string> | null = null
  /** How often another name was made of each. */
  #others: Map<string, number> | null = null

  /** `notes`: all names are told by `note` first; else they are looked for when they are needed. */
  constructor(tape: Tape, object: number, notes: boolean) {
    this.#tape = tape
    this.#object = object
    if (notes) this.#all = new Set()
  }

  note(name: string): void {
    this.#all?.add(name)
  }

  /** What a member of that name is called. */
  written(name: string): string {
    if (name !== '' && !name.includes('.')) {
      if (this.#isGiven(name)) return this.other(name)
      this.#give(name)
      return name
    }
    const plain = name === '' ? '_' : name.split('.').join('_')
    if (this.#isTaken(plain)) return this.other(plain)
    this.#give(plain)
    return plain
  }

  /** Another name, unlike all others of the object: `name_`, `name_2`, `name_3`. */
  other(name: string): string {
    this.#others ??= new Map()
    let count = this.#others.get(name) ?? 0
    let free: string
    do free = `${name}_${++count === 1 ? '' : count}`
    while (this.#isTaken(free))
    this.#others.set(name, count)
    this.#give(free)
    return free
  }

  #isTaken(name: string): boolean {
    this.#all ??= this.#names()
    return this.#all.has(name) || this.#isGiven(name)
  }

  #names(): Set<string> {
    const tape = this.#tape
    const names = new Set<string>()
    const end = tape.next(this.#object)
    for (let key = tape.first(this.#object); key < end; key = tape.next(key + 1)) names.add(nameAt(tape, key))
    return names
  }

  #isGiven(name: string): boolean {
    return this.#many === null ? this.#few.includes(name) : this.#many.has(name)
  }

  #give(name: string): void {
    if (this.#many !== null) this.#many.add(name)
    else if (this.#few.push(name) > LIST_MAX) this.#many = new Set(this.#few)
  }
}
