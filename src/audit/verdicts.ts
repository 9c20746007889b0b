// What the policy and the type of a request say of an event, for when the same client asks the same kind of thing again:
// most of a log is a few clients that do a few things to ever other names. A verdict is found again by the sender's bytes,
// the verb's and the URI's path without the name in it, so long as no rule of the policy asks for that name. Where any of
// this is unusual the verdict is made anew. Bound: SHAPES shapes of requests, and as many verdicts for each sender known.

import type { Replacement } from './edits.ts'
import { type EventFacts, REQUEST_URI, USER, VERB } from './event.ts'
import { KnownBytes } from './known.ts'
import { type Decision, decide, type Policy } from './policy/policy.ts'
import { NAME_AT, nameInPath, type RequestTarget, requestTarget } from './policy/request.ts'

export interface Verdict {
  /** Of what the request is about; null for a URI that is none. */
  target: Pick<RequestTarget, 'apiGroup' | 'resource'> | null
  /** null: no policy was asked. */
  decision: Decision | null
  isPatch: boolean
}

/** What is known of a sender. */
export interface SenderNotes {
  /** What had to be hidden of what it says of itself; null: it was not looked through yet. */
  replacements: readonly Replacement[] | null
  byShape: Map<object, Verdict>
}

interface User {
  name: string
  groups: readonly string[]
}

const USERS_MAX = 512
const SHAPES_BITS = 10
const SHAPES = 2 ** SHAPES_BITS
const SHAPE_BYTES_MAX = 256

export class Verdicts {
  readonly #policy: Policy | null
  /** Names that rules ask for. */
  readonly #names: readonly Buffer[]
  readonly #users = new Map<string, User | null>()
  readonly #senders = new WeakMap<object, SenderNotes>()
  readonly #shapes = new KnownBytes<object>(SHAPES_BITS)
  readonly #shape = Buffer.alloc(SHAPE_BYTES_MAX + 8)

  constructor(policy: Policy | null) {
    this.#policy = policy
    const names = policy?.rules.flatMap((rule) => rule.resources.flatMap(({ resourceNames }) => resourceNames)) ?? []
    this.#names = names.map((name) => Buffer.from(name))
  }

  notesOf(sender: object): SenderNotes {
    let notes = this.#senders.get(sender)
    if (notes === undefined) {
      notes = { replacements: null, byShape: new Map() }
      this.#senders.set(sender, notes)
    }
    return notes
  }

  /** What is to be done with the event; null: its user cannot be read. */
  of(facts: EventFacts): Verdict | null {
    const shape = facts.isUsual ? this.#shapeOf(facts) : null
    if (shape === null) return this.#made(facts)
    const { byShape } = this.notesOf(facts.sender!)
    let verdict = byShape.get(shape)
    if (verdict === undefined) {
      const made = this.#made(facts)
      if (made === null) return null
      verdict = made
      if (byShape.size >= SHAPES) byShape.clear()
      byShape.set(shape, verdict)
    }
    return verdict
  }

  #made(facts: EventFacts): Verdict | null {
    const verb = facts.text(VERB)
    const target = requestTarget(facts.text(REQUEST_URI), verb)
    const isPatch = verb === 'patch'
    // An event whose URI is none was never judged by a policy either.
    if (this.#policy === null || target === null) return { target, decision: null, isPatch }
    const user = this.#user(facts)
    if (user === undefined) return null
    return { target, decision: decide(this.#policy, { user, verb, ...target }), isPatch }
  }

  /** The verb and the path but for the name, as one that stands for all that are equal; null where the name counts. */
  #shapeOf(facts: EventFacts): object | null {
    const { buffer: b } = facts
    const start = facts.startOf(REQUEST_URI)
    if (!nameInPath(b, start, facts.endOf(REQUEST_URI))) return null
    if (this.#names.length > 0 && this.#countsName(b)) return null
    const { nameStart, nameEnd, pathEnd } = NAME_AT
    const verb = facts.startOf(VERB)
    const verbEnd = facts.endOf(VERB)
    if (pathEnd - start + verbEnd - verb > SHAPE_BYTES_MAX - 2) return null
    const shape = this.#shape
    let to = 0
    for (let at = verb; at < verbEnd; at++) shape[to++] = b[at]!
    shape[to++] = 0
    for (let at = start; at < nameStart; at++) shape[to++] = b[at]!
    shape[to++] = 0
    for (let at = nameEnd; at < pathEnd; at++) shape[to++] = b[at]!
    let known = this.#shapes.find(shape, 0, to)
    if (known === undefined) {
      known = {}
      this.#shapes.add(shape, 0, to, known)
    }
    return known
  }

  /** Whether a rule may ask for the name: it asks for this one, or the name may come from the query. */
  #countsName(b: Buffer): boolean {
    const { nameStart, nameEnd } = NAME_AT
    if (nameEnd === nameStart) return true
    return this.#names.some((name) => name.length === nameEnd - nameStart && name.compare(b, nameStart, nameEnd) === 0)
  }

  /** Who sent the request; null: nobody was authenticated; undefined: it cannot be read. */
  #user(facts: EventFacts): User | null | undefined {
    if (!facts.has(USER)) return null
    const text = facts.buffer.toString('utf8', facts.startOf(USER), facts.endOf(USER))
    let user = this.#users.get(text)
    if (user === undefined) {
      user = parseUser(text)
      if (user === undefined) return undefined
      if (this.#users.size >= USERS_MAX) this.#users.clear()
      if (text.length <= 2048) this.#users.set(text, user)
    }
    return user
  }
}

/** The user in a JSON text; undefined where it is none. */
function parseUser(text: string): User | null | undefined {
  let parsed: { username?: unknown; groups?: unknown }
  try {
    parsed = JSON.parse(text)
  } catch {
    return undefined
  }
  const { username = '', groups = [] } = parsed
  if (typeof username !== 'string' || !Array.isArray(groups)) return undefined
  if (!groups.every((group) => typeof group === 'string')) return undefined
  return username === '' && groups.length === 0 ? null : { name: username, groups }
}
