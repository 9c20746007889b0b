// Long-running requests (watch, exec, log, proxy …) from their ResponseStarted to their ResponseComplete or Panic. One that
// has no end an hour later, where others of its kind have theirs in this log, is told, once. Hours go by `Beat.active`.
//
// Memory is bounded: OPEN_MAX requests that are open (the next ones are not watched over, and counted), KINDS_MAX kinds,
// ENDED_MAX ids of requests that ended (a webhook may bring the start behind the end, or twice; the older half goes at once)
// and as many that are late. For most events, which begin and end in one, a bit that is not set in a table says that it is none of them.
import { AUDIT_ID, type EventFacts, REQUEST_URI, RESOURCE, STAGE, SUBRESOURCE, USERNAME, VERB } from '../event.ts'
import { CODE, PLACES } from '../found.ts'
import type { Unended } from './finding.ts'

/** The API server ends a watch that asks for nothing within the hour; the rest is for what is slow. */
const LONG_SECONDS = 3600
const SLOW_SECONDS = 300
const END_SECONDS = LONG_SECONDS + SLOW_SECONDS
/** A kind that was seen to last for longer than an hour may last so many times longer still. */
const LONGER_FACTOR = 1.5
/** Another id, of other characters, longer or shorter, is the client's own, and is not followed. */
const ID = /^[\w.:-]{5,}$/
const ID_BYTES_MAX = 64
const OPEN_MAX = 8192
const ENDED_MAX = 4096
const KINDS_MAX = 512
/** Slots of open requests. */
export const OPEN_SLOTS = 65_536
const NONE = 0
const SEVERAL = 255
/** The last five digits of an id are enough for them. */
const SLOT_BYTES = 5
/** Of so many pairs without an exception a kind is known to end. */
const PAIRS_LIKELY = 3
/** More than one end of so many without its start: this log does not hold all of them. */
const ORPHANS_ONE_OF = 10
const SAVED_MAX = 8
/** So many kinds are known by what they are made of, as it stands; of longer texts they are made each time. */
const KNOWN_MAX = 128
const KNOWN_BYTES_MAX = 250
/** From the verb to the end of the user's name. */
const NEAR_BYTES_MAX = 150

interface Kind {
  /** Verb and resource. */
  what: string
  pairs: number
  /** Ends without a start, of requests that must have begun after the log was begun to be read. */
  orphans: number
  /** Of the pairs, in seconds. */
  longest: number
}

interface Open {
  id: string
  hash: number
  /** Where in `active` it began, and where it began or was last looked at. */
  begun: number
  at: number
  seconds: number
  /** What the client asked for; 0 for nothing. */
  timeoutSeconds: number
  kind: Kind
}

/** id, begun, seconds, timeoutSeconds, and of its kind how sure it is that it ends (as pairs), and what it is. */
export type SavedOpen = [string, number, number, number, number, string]

export class OpenRequests {
  /** By slot, what is open: NONE, the tag of the only one, or SEVERAL. */
  readonly tags = new Uint8Array(OPEN_SLOTS)
  /** And how many, up to 255. */
  readonly #counts = new Uint8Array(OPEN_SLOTS)
  /** In the order in which they began. */
  readonly #open = new Map<string, Open>()
  /** Ids of requests that ended: the last ones, up to half of ENDED_MAX, and as many before them. */
  #ended = new Set<string>()
  #endedBefore = new Set<string>()
  readonly #kinds = new Map<string, Kind>()
  /** The same by what they are made of. */
  readonly #known = new Map<string, Kind>()
  /** Requests that are over their time: their end may yet come. */
  readonly #late = new Map<string, Open>()
  #began = -1
  /** Starts that were not watched over, for there were too many. */
  untracked = 0

  get size(): number {
    return this.#open.size
  }

  /** `active` and `seconds` as in Beat. `isKept` false: the policy leaves it out. */
  note(facts: EventFacts, active: number, isKept: boolean): void {
    if (this.#began < 0) this.#began = active
    const { buffer } = facts
    const stage = facts.startOf(STAGE)
    const stageBytes = facts.endOf(STAGE) - stage
    // ResponseStarted and RequestReceived are of one length, so are ResponseComplete and nothing else.
    if (stageBytes === 15) {
      const { code } = facts
      // A refused one has no other event.
      if (buffer[stage + 2] === 0x73 && isKept && code >= 100 && code < 300) this.#start(facts, active)
    } else if (stageBytes === 16 || stageBytes === 5) {
      const mayBeOpen = this.#mayBeOpen(hashOf(facts))
      if (mayBeOpen || isLong(facts)) this.#end(facts, active, mayBeOpen)
    }
  }

  /** Whether an event that was found with others (a row of `found` at `at`) is one that begins and ends its request. */
  isNone(b: Buffer, found: Int32Array, at: number): boolean {
    const place = at + PLACES
    if (found[place + 2 * STAGE + 1]! - found[place + 2 * STAGE]! !== 16 || found[at + CODE] === SWITCHED) return false
    const verb = found[place + 2 * VERB]!
    if (found[place + 2 * VERB + 1]! - verb === 5 && b[verb] === 0x77) return false
    return !this.#mayBeOpen(hashAt(b, found[place + 2 * AUDIT_ID + 1]!))
  }

  /** Those that should have ended by now; they are told and forgotten. */
  due(active: number): { likely: Unended[]; possible: Unended[] } {
    const due = { likely: [] as Unended[], possible: [] as Unended[] }
    for (const request of this.#open.values()) {
      if (active - request.at < END_SECONDS) break
      this.#remove(request)
      const { kind, begun } = request
      if (active - begun < limitOf(request)) {
        // It is looked at again when those are that begin now, so that they stay in their order.
        this.#add({ ...request, at: active })
        continue
      }
      this.#late.set(request.id, request)
      if (this.#late.size > ENDED_MAX) this.#late.delete(first(this.#late))
      if (!endsAsARule(kind)) continue
      const isLikely = kind.what.startsWith('watch ') && kind.pairs >= PAIRS_LIKELY && kind.orphans === 0
      due[isLikely ? 'likely' : 'possible'].push({ id: request.id, seconds: request.seconds, what: kind.what })
    }
    return due
  }

  /** Whether one is due at `active`. */
  hasDue(active: number): boolean {
    for (const { at } of this.#open.values()) return active - at >= END_SECONDS
    return false
  }

  /** A hole was told: their ends may lie in it. */
  clear(): void {
    this.#open.clear()
    this.tags.fill(NONE)
    this.#counts.fill(0)
  }

  /** Of those that have been open for longest, what a restart goes on with. */
  save(): SavedOpen[] {
    const saved: SavedOpen[] = []
    for (const { id, begun, seconds, timeoutSeconds, kind } of this.#open.values()) {
      const pairs = endsAsARule(kind) ? Math.min(kind.pairs, PAIRS_LIKELY) : 0
      saved.push([id, begun, seconds, timeoutSeconds, pairs, kind.what])
      if (saved.length === SAVED_MAX) break
    }
    return saved
  }

  load(saved: readonly SavedOpen[]): void {
    for (const [id, begun, seconds, timeoutSeconds, pairs, what] of saved) {
      const kind = { what, pairs, orphans: 0, longest: 0 }
      this.#add({ id, hash: hashOfId(id), begun, at: begun, seconds, timeoutSeconds, kind })
    }
  }

  #start(facts: EventFacts, active: number): void {
    const id = idOf(facts)
    if (id === null || this.#ended.has(id) || this.#endedBefore.has(id)) return
    const hash = hashOf(facts)
    if (this.#mayBeOpen(hash) && this.#open.has(id)) return
    if (this.#open.size >= OPEN_MAX) {
      this.untracked++
      return
    }
    const kind = this.#kindOf(facts)
    if (kind === null) return
    const timeoutSeconds = timeoutOf(facts)
    this.#add({ id, hash, begun: active, at: active, seconds: facts.seconds, timeoutSeconds, kind })
  }

  #end(facts: EventFacts, active: number, mayBeOpen: boolean): void {
    const id = idOf(facts)
    if (id === null) return
    const open = mayBeOpen ? this.#open.get(id) : undefined
    const request = open ?? this.#late.get(id)
    if (request === undefined && !isLong(facts)) return
    if (this.#ended.size === ENDED_MAX / 2) {
      // Not one by one: the first of a set is dear to find behind thousands that were deleted.
      this.#endedBefore = this.#ended
      this.#ended = new Set()
    }
    this.#ended.add(id)
    // What was open when the log was begun to be read has its end alone.
    if (request === undefined && active - this.#began <= END_SECONDS) return
    const kind = this.#kindOf(facts)
    if (request === undefined) {
      if (kind !== null) kind.orphans++
      return
    }
    if (!this.#late.delete(id)) this.#remove(request)
    for (const each of new Set([request.kind, kind])) {
      if (each === null) continue
      each.pairs++
      each.longest = Math.max(each.longest, facts.seconds - request.seconds)
    }
  }

  #add(request: Open): void {
    this.#open.set(request.id, request)
    const { hash } = request
    const slot = slotOf(hash)
    this.tags[slot] = this.#counts[slot] === 0 ? tagOf(hash) : SEVERAL
    if (this.#counts[slot]! < 255) this.#counts[slot]!++
  }

  #remove({ id, hash }: Open): void {
    this.#open.delete(id)
    const slot = slotOf(hash)
    // One that was counted to the end of its range is not counted any more.
    if (this.#counts[slot]! > 0 && this.#counts[slot]! < 255) this.#counts[slot]!--
    if (this.#counts[slot] === 0) this.tags[slot] = NONE
  }

  #mayBeOpen(hash: number): boolean {
    const tag = this.tags[slotOf(hash)]
    return tag === SEVERAL || tag === tagOf(hash)
  }

  /**
   * By a text for all of it, and not by a look at each byte: watches are so few that no loop would be compiled for a while, and
   * so many that compiling the loops took more than they did.
   */
  #kindOf(facts: EventFacts): Kind | null {
    const who = facts.startOf(VERB)
    const bytes = facts.endOf(USERNAME) - who
    // As API servers write them the one stands right behind the other, and two texts take half as long as four.
    const begins =
      who > 0 && bytes > 0 && bytes <= NEAR_BYTES_MAX
        ? facts.buffer.toString('latin1', who, who + bytes)
        : `${asItStands(facts, VERB)} ${asItStands(facts, USERNAME)}`
    const key = `${begins}\u0000${asItStands(facts, RESOURCE)}${facts.has(SUBRESOURCE) ? asItStands(facts, SUBRESOURCE) : ''}`
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const kind = this.#madeKind(facts)
    if (kind === null || key.length > KNOWN_BYTES_MAX) return kind
    if (this.#known.size === KNOWN_MAX) this.#known.clear()
    this.#known.set(key, kind)
    return kind
  }

  #madeKind(facts: EventFacts): Kind | null {
    const subresource = facts.has(SUBRESOURCE) ? `/${facts.text(SUBRESOURCE)}` : ''
    const said = `${facts.text(VERB)} ${facts.text(RESOURCE) || 'a path'}${subresource}`
    const what = said.slice(0, 100).replace(/[^ \w./-]/g, '?')
    // A policy may let one user's events out and not another's. Sessions are anybody's, and few.
    const user = isWatch(facts) ? facts.text(USERNAME).replace(/^(system:node:).*/s, '$1') : ''
    const key = `${what} ${user}`.slice(0, 256)
    let kind = this.#kinds.get(key)
    if (kind === undefined) {
      if (this.#kinds.size >= KINDS_MAX) return null
      kind = { what, pairs: 0, orphans: 0, longest: 0 }
      this.#kinds.set(key, kind)
    }
    return kind
  }
}

function isWatch(facts: EventFacts): boolean {
  return facts.endOf(VERB) - facts.startOf(VERB) === 5 && facts.buffer[facts.startOf(VERB)] === 0x77
}

/** Whether an event is of a request that has a start, whatever is known of it. */
function isLong(facts: EventFacts): boolean {
  return isWatch(facts) || (facts.code === SWITCHED && facts.has(SUBRESOURCE))
}

/** exec, attach and port-forward leave HTTP. */
const SWITCHED = 101

/** For how long it may be open without being remarkable. */
function limitOf({ kind, timeoutSeconds }: Open): number {
  const usual = kind.longest > LONG_SECONDS ? LONGER_FACTOR * kind.longest : 0
  return Math.max(END_SECONDS, timeoutSeconds + SLOW_SECONDS, usual)
}

/** Whether others of its kind have their ends in this log. */
function endsAsARule({ pairs, orphans }: Kind): boolean {
  return pairs > 0 && orphans * ORPHANS_ONE_OF <= pairs
}

/** A fact's bytes; what is not there is another text than what is empty, and none holds what stands between two. */
function asItStands(facts: EventFacts, fact: number): string {
  const end = facts.endOf(fact)
  return end === 0 ? '\u0001' : `${facts.buffer.toString('latin1', facts.startOf(fact), end)}\u0000`
}

/** What a client sends is its own; null for an id that the usual ones are not like. */
function idOf(facts: EventFacts): string | null {
  const end = facts.endOf(AUDIT_ID)
  const start = facts.startOf(AUDIT_ID)
  if (end - start > ID_BYTES_MAX) return null
  const id = facts.buffer.toString('latin1', start, end)
  return ID.test(id) ? id : null
}

const TIMEOUT = /[?&]timeoutSeconds=(\d{1,7})(?:&|$)/

/** What the client asked for in the request's URI; 0 for nothing. API servers write the ampersand as an escape. */
function timeoutOf(facts: EventFacts): number {
  const { buffer } = facts
  const raw = buffer.toString('latin1', facts.startOf(REQUEST_URI), facts.endOf(REQUEST_URI))
  if (!raw.includes('\\')) return Number(TIMEOUT.exec(raw)?.[1] ?? 0)
  const text = raw.replaceAll('\\u0026', '&')
  // Other escapes are for whoever knows all of them.
  return Number(TIMEOUT.exec(text.includes('\\') ? facts.text(REQUEST_URI) : text)?.[1] ?? 0)
}

/** By the last bytes of the id, as they stand. */
function hashOf(facts: EventFacts): number {
  return hashAt(facts.buffer, facts.endOf(AUDIT_ID))
}

const idBytes = Buffer.alloc(SLOT_BYTES)

function hashOfId(id: string): number {
  idBytes.write(id.slice(-SLOT_BYTES), 'latin1')
  return hashAt(idBytes, SLOT_BYTES)
}

function hashAt(b: Buffer, end: number): number {
  if (end < SLOT_BYTES) return 0
  const word = b[end - 1]! | (b[end - 2]! << 8) | (b[end - 3]! << 16) | (b[end - 4]! << 24)
  return Math.imul(word ^ (b[end - 5]! << 11), 0x9e3779b1 | 0)
}

function slotOf(hash: number): number {
  return hash >>> 16
}

/** Neither NONE nor SEVERAL. */
function tagOf(hash: number): number {
  return ((hash >>> 8) & 0x7f) + 1
}

function first<Key>(keys: ReadonlyMap<Key, unknown>): Key {
  return keys.keys().next().value as Key
}
