// The redaction of one JSON value by what its types say: one pass over the tape, in slices if need be, that notes what is
// to be replaced or left out. What a value is follows from its place (the body of a request for secrets, the data of
// anything that calls itself a Secret, an env variable), from its name (members.ts, siblings.ts), and from its look (leaves.ts).
//
// Invariant: it has no list of types that are harmless; everything in a body is looked at. Bound: a slice ends after so many
// values, and so many bytes of them; texts within texts are taken apart NESTED_MAX deep.
import { Edits } from '../edits.ts'
import { PADDING_BYTES, textOf, unescapeInto } from '../json/strings.ts'
import { OBJECT, OTHER, STRING, Tape } from '../json/tape.ts'
import { argumentHidden } from './arguments.ts'
import { Changes } from './changes.ts'
import { Leaves } from './leaves.ts'
import type { Mask } from './mask.ts'
import {
  EVENT_MEMBERS,
  isOfTheServer,
  LAST_APPLIED,
  type Name,
  nameAt,
  roleOfMember,
  VALIDATION_FAILURE,
  WEBHOOK_PATCH,
  WHERE_NAMES_COUNT,
} from './members.ts'
import { classOfName, NAME_CREDENTIAL, NAME_PLAIN } from './names.ts'
import {
  INHERITED,
  IS_ABOUT_SECRETS,
  IS_ANNOTATIONS,
  IS_BINARY,
  IS_EVENT,
  IS_EXTRA,
  IS_METADATA_THAT_LOSES,
  IS_PATCH,
  IS_SECRET,
  IS_SECRET_OBJECT,
  IS_STATUS,
  IS_TEXT,
  IS_WEBHOOK_PATCH,
} from './roles.ts'
import { classOfPair, fieldBeside, patched, roleOfItsKind } from './siblings.ts'

/** A text within a text is taken apart so deeply; what is deeper is hidden. */
const NESTED_MAX = 3
/** Of all values that a slice looks through: a few milliseconds. */
const SLICE_BYTES = 32 * 1024
/** An argument takes as long as so many bytes more. */
const ARGUMENT_BYTES = 128
/** A longer text that may be JSON is hidden as a whole. */
const NESTED_BYTES_MAX = 256 * 1024
const INNER_KEPT_BYTES_MAX = 256 * 1024

export interface WalkOptions {
  mask: Mask
  /** Left out: secrets stay (a policy without redaction). */
  redacts: boolean
  /** Body roles, and what of the event is dropped. */
  requestRole: number
  responseRole: number
  dropsRequest: boolean
  dropsResponse: boolean
  /** The level to say; null: as it is. */
  level: string | null
}

const NESTED: Omit<WalkOptions, 'mask' | 'redacts'> = {
  requestRole: 0,
  responseRole: 0,
  dropsRequest: false,
  dropsResponse: false,
  level: null,
}

const NO_TAPE = new Tape()
const NO_EDITS = new Edits()
const NO_OPTIONS: WalkOptions = { ...NESTED, mask: String, redacts: true }

/** A container that is open. */
interface Open {
  /** The index after it. */
  end: number
  role: number
  isObject: boolean
  /** Class of its name, for what is in an array, and for the values in an object. */
  nameClass: number
  /** Judges a list of texts as arguments; null before the first. */
  judge: ((argument: string) => boolean) | null
  /** Where the last member that stays ends; -1 before the first. */
  kept: number
  value: number
  /** What its other members say of one of them (siblings.ts), once that was asked: however many ask, they are gone through once. */
  pair: number | null
  patch: ReturnType<typeof patched> | null
  field: string | null
}

export class Walk {
  #tape: Tape
  #options: WalkOptions
  readonly #changes = new Changes(NO_TAPE, NO_EDITS, NO_OPTIONS.mask)
  readonly #leaves: Leaves
  readonly #nesting: number
  /** Those that are open; deeper ones are left for the next to be used again. */
  readonly #open: Open[] = []
  /** What becomes of an annotation of the event depends on more than its bytes: on what the request is about. */
  sawOthersAnnotation = false
  #depth = -1
  #at = 0
  #first = 0
  #firstKey = -1
  #inner: Inner | null = null

  constructor(nesting = 0) {
    this.#tape = NO_TAPE
    this.#options = NO_OPTIONS
    this.#nesting = nesting
    this.#leaves = new Leaves(NO_TAPE, NO_OPTIONS.mask, this.#changes, (value, role) => this.#redactText(value, role))
  }

  /** Begins at the tape's first value, which is what `role` says; `isMember`: of an object. */
  begin(tape: Tape, edits: Edits, role: number, options: WalkOptions, isMember = false): void {
    this.#firstKey = isMember ? 0 : -1
    this.#tape = tape
    this.#options = options
    this.#changes.begin(tape, edits, options.mask)
    this.#leaves.begin(tape, options.mask)
    this.#first = role
    this.sawOthersAnnotation = false
    this.#depth = -1
    this.#at = 0
  }

  /** Goes on for about so many values. True when all is done. */
  run(valuesMax = Number.POSITIVE_INFINITY): boolean {
    const tape = this.#tape
    const leaves = this.#leaves
    const until = this.#at + valuesMax
    if (this.#at === 0 && tape.count > 0) this.#at = this.#value(0, this.#firstKey, this.#first, NAME_PLAIN)
    leaves.looked = 0
    while (this.#at < tape.count) {
      if (leaves.looked > SLICE_BYTES && valuesMax !== Number.POSITIVE_INFINITY) return false
      if (leaves.hasLong) {
        leaves.lookAtLong()
        if (valuesMax !== Number.POSITIVE_INFINITY) return false
        continue
      }
      if (this.#at >= until) return false
      const top = this.#open[this.#depth]!
      if (this.#at >= top.end) this.#depth--
      else this.#at = top.isObject ? this.#member(this.#at, top) : this.#element(this.#at, top)
    }
    while (leaves.hasLong) {
      leaves.lookAtLong()
      if (valuesMax !== Number.POSITIVE_INFINITY) return false
    }
    return true
  }

  /** The member with the key at `key` of the object on top. Returns the index that comes next. */
  #member(key: number, top: Open): number {
    const tape = this.#tape
    const { role } = top
    const value = key + 1
    const named = nameAt(tape, key)
    const name = named.text
    const isWebhookPatch = (role & IS_ANNOTATIONS) !== 0 && name.startsWith(WEBHOOK_PATCH)
    if (isWebhookPatch) this.sawOthersAnnotation = true
    // The API server writes it only where it writes the request's body.
    if (isWebhookPatch ? this.#options.dropsRequest : !named.isPlain && this.#isDropped(name, role)) {
      this.#changes.leaveOut(key, value, top.kept)
      return tape.next(value)
    }
    top.kept = tape.kindOf(value) === STRING ? tape.endOf(value) + 1 : tape.endOf(value)
    if (named.isPlain && (role & WHERE_NAMES_COUNT) === 0) {
      return this.#value(value, key, role & INHERITED, (role & IS_TEXT) !== 0 ? NAME_PLAIN : named.nameClass)
    }
    if ((role & IS_EVENT) !== 0) return this.#eventMember(name, key, value)
    let below = roleOfMember(named, role, tape.kindOf(value) === STRING)
    // Names in the event's annotations are the server's own; what was added to a user has anybody's.
    let nameClass = (role & IS_TEXT) !== 0 && (role & IS_EXTRA) === 0 ? NAME_PLAIN : named.nameClass
    if (named.isValue && nameClass === NAME_PLAIN) {
      nameClass = top.nameClass === NAME_CREDENTIAL ? NAME_CREDENTIAL : this.#pairOf(top)
      // Whatever its structure.
      if (nameClass === NAME_CREDENTIAL && tape.kindOf(value) === OBJECT) below |= IS_SECRET
    }
    if ((role & IS_PATCH) !== 0 && name === 'value') {
      top.patch ??= patched(tape, top.value, role)
      const said = top.patch
      below |= said.role
      if (said.nameClass !== NAME_PLAIN) nameClass = said.nameClass
      if (said.isLastApplied) return this.#wholeText(value, below)
    }
    if (name === LAST_APPLIED) return this.#wholeText(value, below)
    if (isWebhookPatch) return this.#wholeText(value, IS_WEBHOOK_PATCH)
    if ((role & IS_ANNOTATIONS) !== 0 && (name.startsWith(VALIDATION_FAILURE) || !isOfTheServer(name)))
      return this.#annotationOfOthers(named, key, value)
    if ((role & IS_WEBHOOK_PATCH) !== 0 && name === 'patch') below = this.#options.requestRole
    if (name === 'message' && (role & IS_STATUS) !== 0) return this.#message(value, role, top)
    if (name === 'error' && (role & IS_ABOUT_SECRETS) !== 0) return this.#message(value, role, top)
    if (name === 'args' || name === 'command') below &= ~IS_BINARY
    return this.#value(value, key, below, nameClass)
  }

  /** An annotation of the event that a webhook or a policy wrote. */
  #annotationOfOthers({ text: name, nameClass }: Name, key: number, value: number): number {
    const { requestRole } = this.#options
    this.sawOthersAnnotation = true
    if (name.startsWith(VALIDATION_FAILURE))
      return this.#wholeText(value, IS_TEXT | IS_STATUS | (requestRole & IS_ABOUT_SECRETS))
    // About a Secret it may be one of its values.
    return this.#value(value, key, (requestRole & IS_SECRET_OBJECT) !== 0 ? IS_BINARY : IS_TEXT, nameClass)
  }

  /** A member of the event's own top level. */
  #eventMember(name: string, key: number, value: number): number {
    const tape = this.#tape
    const { requestRole, responseRole, level, redacts } = this.#options
    switch (name) {
      case 'requestObject':
        return this.#value(value, key, requestRole, NAME_PLAIN)
      case 'responseObject':
        return this.#value(value, key, responseRole, NAME_PLAIN)
      case 'level':
        if (level !== null && tape.kindOf(value) === STRING) this.#changes.replace(value, level)
        return tape.next(value)
      case 'annotations':
        // Without redaction, too: what may be remembered of them shows there.
        return this.#value(value, key, IS_TEXT | IS_ANNOTATIONS, NAME_PLAIN)
    }
    if (!redacts) return tape.next(value)
    switch (name) {
      case 'requestURI':
        if (tape.kindOf(value) !== STRING) return this.#value(value, -1, 0, NAME_PLAIN)
        this.#leaves.uri(value)
        return tape.next(value)
      case 'user':
      case 'impersonatedUser':
        return this.#sender(value, key)
      case 'userAgent':
      case 'authenticationMetadata':
        return this.#value(value, key, IS_TEXT, NAME_PLAIN)
      case 'responseStatus':
        return this.#value(value, key, IS_TEXT | IS_STATUS | (responseRole & IS_ABOUT_SECRETS), NAME_PLAIN)
    }
    // Ids, names, addresses and times; and what no API server has written yet.
    return EVENT_MEMBERS.has(name) ? tape.next(value) : this.#value(value, key, 0, classOfName(name))
  }

  /** Who sent it: names and groups are no secrets, what authentication added may be one. */
  #sender(value: number, key: number): number {
    const tape = this.#tape
    const end = tape.next(value)
    if (tape.kindOf(value) !== OBJECT) return end
    for (let member = tape.first(value); member < end; member = tape.next(member + 1)) {
      if (nameAt(tape, member).text === 'extra') return this.#value(value, key, IS_TEXT, NAME_PLAIN)
    }
    return end
  }

  #element(value: number, top: Open): number {
    const tape = this.#tape
    const { role, nameClass: name } = top
    if (tape.kindOf(value) !== STRING) {
      top.judge = null
      return this.#value(value, -1, role, name)
    }
    if (name === NAME_PLAIN && (role & (IS_SECRET | IS_TEXT)) === 0 && this.#options.redacts) {
      // A list of texts may be a command with its arguments, of which one names what the next is.
      const judge = top.judge ?? argumentHidden()
      top.judge = judge
      const text = textOf(tape.buffer, tape.startOf(value), tape.endOf(value))
      this.#leaves.looked += ARGUMENT_BYTES + text.length
      if (judge(text)) {
        this.#changes.hide(value, role)
        return tape.next(value)
      }
    }
    return this.#value(value, -1, role, name)
  }

  /** One value. Containers are entered; returns the index that comes next. */
  #value(value: number, key: number, given: number, nameClass: number): number {
    const tape = this.#tape
    const kind = tape.kindOf(value)
    if (kind === STRING || kind === OTHER) {
      // Where a Secret is to be, or several: it is none.
      const role = (given & IS_SECRET_OBJECT) === 0 ? given : given | IS_SECRET
      if (this.#options.redacts) this.#leaves.judge(value, kind, role, nameClass)
      return tape.next(value)
    }
    let role = given
    if (kind === OBJECT) role |= roleOfItsKind(tape, value)
    else if ((given & IS_PATCH) !== 0 && key < 0) role &= ~IS_PATCH
    this.#depth++
    let open = this.#open[this.#depth]
    if (open === undefined) {
      open = {
        end: 0,
        role: 0,
        isObject: false,
        nameClass: 0,
        judge: null,
        kept: -1,
        value: 0,
        pair: null,
        patch: null,
        field: null,
      }
      this.#open.push(open)
    }
    open.end = tape.next(value)
    open.role = role
    open.isObject = kind === OBJECT
    open.nameClass = nameClass
    open.judge = null
    open.kept = -1
    open.value = value
    open.pair = null
    open.patch = null
    open.field = null
    return tape.first(value)
  }

  /** An annotation that holds a whole object as JSON, kubectl's or a webhook's patch. What is in it and cannot be read is hidden. */
  #wholeText(value: number, role: number): number {
    const tape = this.#tape
    if (tape.kindOf(value) !== STRING || !this.#options.redacts) return this.#value(value, -1, role, NAME_PLAIN)
    if ((role & IS_SECRET) !== 0 || !this.#redactText(value, role & (INHERITED | IS_WEBHOOK_PATCH)))
      this.#changes.hide(value, role)
    return tape.next(value)
  }

  /** Redacts the JSON in a text; false when it is none. */
  #redactText(value: number, role: number): boolean {
    if (this.#nesting >= NESTED_MAX) {
      this.#changes.hide(value, role)
      return true
    }
    const { buffer: b } = this.#tape
    const start = this.#tape.startOf(value)
    const end = this.#tape.endOf(value)
    if (end - start > NESTED_BYTES_MAX) {
      this.#changes.hide(value, role)
      return true
    }
    // Every value of it is looked at as any other.
    this.#leaves.looked += end - start
    this.#inner ??= new Inner(this.#nesting + 1)
    const { tape, edits, walk } = this.#inner
    const bytes = this.#inner.reserve(end - start + PADDING_BYTES)
    const length = unescapeInto(b, start, end, bytes)
    tape.begin(bytes, 0, length)
    if (tape.run() !== 'done') return false
    edits.clear()
    const { mask, requestRole } = this.#options
    walk.begin(tape, edits, role, { ...NESTED, requestRole, mask, redacts: true })
    walk.run()
    if (edits.count > 0) {
      const out = Buffer.allocUnsafe(edits.bytesMax(length))
      this.#changes.replace(value, out.toString('utf8', 0, edits.apply(bytes, 0, length, out, 0)))
    }
    return true
  }

  #pairOf(top: Open): number {
    top.pair ??= classOfPair(this.#tape, top.value)
    return top.pair
  }

  /** `top`: what the message is a member of. */
  #message(value: number, role: number, top: Open): number {
    const tape = this.#tape
    if (tape.kindOf(value) !== STRING || !this.#options.redacts) return this.#value(value, -1, role, NAME_PLAIN)
    top.field ??= fieldBeside(tape, top.value)
    this.#leaves.message(value, role, top.field)
    return tape.next(value)
  }

  #isDropped(name: string, role: number): boolean {
    if ((role & IS_EVENT) !== 0) {
      if (name === 'requestObject') return this.#options.dropsRequest
      return name === 'responseObject' && this.#options.dropsResponse
    }
    return (role & IS_METADATA_THAT_LOSES) !== 0 && name === 'managedFields'
  }
}

/** What the text within a text is taken apart with. */
class Inner {
  readonly tape = new Tape()
  readonly edits = new Edits()
  readonly walk: Walk
  #bytes = Buffer.alloc(4096)

  constructor(nesting: number) {
    this.walk = new Walk(nesting)
  }

  reserve(bytes: number): Buffer {
    if (this.#bytes.length < bytes || this.#bytes.length > INNER_KEPT_BYTES_MAX) {
      this.#bytes = Buffer.alloc(Math.max(bytes, 4096))
    }
    return this.#bytes
  }
}
