// The redaction of one JSON value by what its types say: one pass over the tape, in slices if need be, that notes what is
// to be replaced or left out. What a value is follows from its place (the body of a request for secrets, the data of
// anything that calls itself a Secret, an env variable), from its name, and from its look.
//
// It has no list of types that are harmless: everything in a body is looked at.
import { Edits } from '../edits.ts'
import { PADDING_BYTES, textOf, unescaped, unescapeInto } from '../json/strings.ts'
import { OBJECT, OTHER, SEVERAL_KINDS, STRING, Tape } from '../json/tape.ts'
import { KnownBytes } from '../known.ts'
import { argumentHidden } from './arguments.ts'
import { bytesIn, HAS_BRACE, holdsCredential, looksRandom, mayBeCredential } from './looks.ts'
import { decoded, decodedBytes, type Mask } from './mask.ts'
import { redactMessage } from './message.ts'
import { classOfName, NAME_CREDENTIAL, NAME_PLAIN, NAME_PUBLIC } from './names.ts'
import {
  HAS_SECRET_DATA,
  INHERITED,
  IS_ABOUT_SECRETS,
  IS_ANY_BODY,
  IS_BASE64,
  IS_BINARY,
  IS_EVENT,
  IS_EXTRA,
  IS_METADATA_THAT_LOSES,
  IS_PATCH,
  IS_ROW_THAT_LOSES,
  IS_SECRET,
  IS_SECRET_OBJECT,
  IS_SIGNING,
  IS_STATUS,
  IS_TEXT,
  LISTS_THAT_LOSE,
  LOSES_MANAGED_FIELDS,
  ofSecret,
  roleOfKind,
  roleOfPath,
} from './roles.ts'
import { redactUri } from './uri.ts'

/** A text within a text is taken apart so deeply; what is deeper is hidden. */
const NESTED_MAX = 3
/** Longer texts are looked through in windows; a credential that is longer than the overlap shows by its form or its randomness. */
const WINDOW_BYTES = 16 * 1024
/** Of all values that a slice looks through: a few milliseconds. */
const SLICE_BYTES = 32 * 1024
/** An argument takes as long as so many bytes more. */
const ARGUMENT_BYTES = 128
const WINDOW_OVERLAP_BYTES = 1024
/** A longer text that may be JSON is hidden as a whole. */
const NESTED_BYTES_MAX = 256 * 1024
const INNER_KEPT_BYTES_MAX = 256 * 1024
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'

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

/** Members that hold the value of what their object is called, or what `name` or `key` beside them says. */
const VALUE_NAMES = new Set([
  'value',
  'val',
  'default',
  'defaultValue',
  'plain',
  'plaintext',
  'plainText',
  'inline',
  'literal',
  'raw',
])
/** Text for people. */
const PROSE_NAMES = new Set(['description', 'message', 'note'])

/** What a CertificateSigningRequest and its like ask with and get. */
const SIGNING_NAMES = new Set(['request', 'certificate', 'certificateChain', 'proofOfPossession', 'stubPKCS10Request'])
/** All others whose value is more than its class says. */
const MEANING_NAMES = new Set([
  ...SIGNING_NAMES,
  LAST_APPLIED,
  'data',
  'stringData',
  'binaryData',
  'extra',
  'requestObject',
  'responseObject',
  'managedFields',
  'metadata',
  'items',
  'rows',
  'object',
  'args',
  'command',
])
/** In these any name may be one. */
const WHERE_NAMES_COUNT = IS_EVENT | IS_EXTRA | IS_BINARY | IS_SECRET_OBJECT

/** A member's name, or a kind. */
interface Name {
  text: string
  nameClass: number
  /** It says nothing of its value but by its class. */
  isPlain: boolean
  isValue: boolean
  isProse: boolean
}

const knownNames = new KnownBytes<Name>(12)
/** Values that were judged and need not be hidden, whatever they are called; and such that need not in texts of people. */
const knownHarmless = new KnownBytes<true>(12)
const knownHarmlessTexts = new KnownBytes<true>(10)
const knownHarmlessUris = new KnownBytes<true>(10)

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
}

export class Walk {
  #tape: Tape
  #edits: Edits
  #options: WalkOptions
  readonly #nesting: number
  /** Those that are open; deeper ones are left for the next to be used again. */
  readonly #open: Open[] = []
  #depth = -1
  #at = 0
  #first = 0
  #firstKey = -1
  #inner: Inner | null = null
  /** A long text that is being looked through, and from where on; -1 for none. */
  #longValue = -1
  /** Bytes of values that were looked through in this slice. */
  #looked = 0
  #longAt = 0
  #longRole = 0
  /** The last value was a text with JSON in it. */
  #isJson = false

  constructor(nesting = 0) {
    this.#tape = NO_TAPE
    this.#edits = NO_EDITS
    this.#options = NO_OPTIONS
    this.#nesting = nesting
  }

  /** Begins at the tape's first value, which is what `role` says; `isMember`: of an object. */
  begin(tape: Tape, edits: Edits, role: number, options: WalkOptions, isMember = false): void {
    this.#firstKey = isMember ? 0 : -1
    this.#tape = tape
    this.#edits = edits
    this.#options = options
    this.#first = role
    this.#depth = -1
    this.#at = 0
    this.#longValue = -1
  }

  /** Goes on for about so many values. True when all is done. */
  run(valuesMax = Number.POSITIVE_INFINITY): boolean {
    const tape = this.#tape
    const until = this.#at + valuesMax
    if (this.#at === 0 && tape.count > 0) this.#at = this.#value(0, this.#firstKey, this.#first, NAME_PLAIN)
    this.#looked = 0
    while (this.#at < tape.count) {
      if (this.#looked > SLICE_BYTES && valuesMax !== Number.POSITIVE_INFINITY) return false
      if (this.#longValue >= 0) {
        this.#lookAtLong()
        if (valuesMax !== Number.POSITIVE_INFINITY) return false
        continue
      }
      if (this.#at >= until) return false
      const top = this.#open[this.#depth]!
      if (this.#at >= top.end) this.#depth--
      else this.#at = top.isObject ? this.#member(this.#at, top) : this.#element(this.#at, top)
    }
    while (this.#longValue >= 0) {
      this.#lookAtLong()
      if (valuesMax !== Number.POSITIVE_INFINITY) return false
    }
    return true
  }

  /** One window of a long text: to look through a megabyte at once would hold the event loop for a tenth of a second. */
  #lookAtLong(): void {
    const { buffer: b } = this.#tape
    const end = this.#tape.endOf(this.#longValue)
    const from = Math.max(this.#tape.startOf(this.#longValue), this.#longAt - WINDOW_OVERLAP_BYTES)
    const to = Math.min(end, this.#longAt + WINDOW_BYTES)
    const text = unescaped(b.toString('utf8', from, to))
    if (looksSecret(text, (this.#longRole & IS_TEXT) === 0, false)) {
      this.#hide(this.#longValue, this.#longRole)
      this.#longValue = -1
    } else if (to === end) this.#longValue = -1
    else this.#longAt = to
  }

  /** The name at a string of the tape. */
  #nameAt(value: number): Name {
    const tape = this.#tape
    const { buffer: b } = tape
    const start = tape.startOf(value)
    const end = tape.endOf(value)
    let name = knownNames.find(b, start, end)
    if (name === undefined) {
      const text = textOf(b, start, end)
      const nameClass = classOfName(text)
      const isValue = VALUE_NAMES.has(text)
      const isProse = PROSE_NAMES.has(text)
      name = { text, nameClass, isPlain: !isValue && !isProse && !MEANING_NAMES.has(text), isValue, isProse }
      knownNames.add(b, start, end, name)
    }
    return name
  }

  /** The member with the key at `key` of the object on top. Returns the index that comes next. */
  #member(key: number, top: Open): number {
    const tape = this.#tape
    const { role } = top
    const value = key + 1
    const named = this.#nameAt(key)
    const name = named.text
    if (!named.isPlain && this.#isDropped(name, role)) {
      this.#leaveOut(key, value, top)
      return tape.next(value)
    }
    top.kept = tape.kindOf(value) === STRING ? tape.endOf(value) + 1 : tape.endOf(value)
    if (named.isPlain && (role & WHERE_NAMES_COUNT) === 0) {
      return this.#value(value, key, role & INHERITED, (role & IS_TEXT) !== 0 ? NAME_PLAIN : named.nameClass)
    }
    if ((role & IS_EVENT) !== 0) return this.#eventMember(name, key, value)
    let below = role & INHERITED
    if ((role & IS_SECRET_OBJECT) !== 0) below |= ofSecret(name)
    if ((role & HAS_SECRET_DATA) !== 0 && (name === 'data' || name === 'stringData')) {
      below |= name === 'data' ? IS_SECRET | IS_BASE64 : IS_SECRET
    } else if ((role & IS_SIGNING) !== 0 && SIGNING_NAMES.has(name)) {
      below |= IS_SECRET | IS_BASE64
    } else if ((role & IS_EXTRA) !== 0 && /^authentication\.kubernetes\.io\//i.test(name)) below |= IS_SECRET
    else if (name === 'extra') below |= IS_EXTRA
    else if (name === 'binaryData') below |= IS_BINARY
    else if (name === 'requestObject' || name === 'responseObject') below |= IS_ANY_BODY
    else if (named.isProse && tape.kindOf(value) === STRING) below |= IS_TEXT
    if ((role & IS_BINARY) !== 0) below |= IS_BINARY
    if ((role & LOSES_MANAGED_FIELDS) !== 0 && name === 'metadata') below |= IS_METADATA_THAT_LOSES
    if ((role & LISTS_THAT_LOSE) !== 0 && (name === 'items' || name === 'rows')) {
      below |= name === 'items' ? LOSES_MANAGED_FIELDS : IS_ROW_THAT_LOSES
    }
    if ((role & IS_ROW_THAT_LOSES) !== 0 && name === 'object') below |= LOSES_MANAGED_FIELDS
    // Names in the event's annotations are the server's own; what was added to a user has anybody's.
    let nameClass = (role & IS_TEXT) !== 0 && (role & IS_EXTRA) === 0 ? NAME_PLAIN : named.nameClass
    if (named.isValue && nameClass === NAME_PLAIN) {
      nameClass = top.nameClass === NAME_CREDENTIAL ? NAME_CREDENTIAL : this.#classOfPair(top.value)
      // Whatever its structure.
      if (nameClass === NAME_CREDENTIAL && tape.kindOf(value) === OBJECT) below |= IS_SECRET
    }
    if ((role & IS_PATCH) !== 0 && name === 'value') {
      const patched = this.#patched(top.value, role)
      below |= patched.role
      if (patched.nameClass !== NAME_PLAIN) nameClass = patched.nameClass
    }
    if (name === LAST_APPLIED) return this.#lastApplied(value, below)
    if (name === 'message' && (role & IS_STATUS) !== 0) return this.#message(value, role)
    if (name === 'args' || name === 'command') below &= ~IS_BINARY
    return this.#value(value, key, below, nameClass)
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
        if (level !== null && tape.kindOf(value) === STRING) this.#replace(value, level)
        return tape.next(value)
    }
    if (!redacts) return tape.next(value)
    switch (name) {
      case 'requestURI':
        return this.#uri(value)
      case 'user':
      case 'impersonatedUser':
        return this.#sender(value, key)
      case 'annotations':
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
    for (let member = value + 1; member < end; member = tape.next(member + 1)) {
      if (this.#nameAt(member).text === 'extra') return this.#value(value, key, IS_TEXT, NAME_PLAIN)
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
      this.#looked += ARGUMENT_BYTES + text.length
      if (judge(text)) {
        this.#hide(value, role)
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
      if (this.#options.redacts) this.#leaf(value, kind, given, nameClass)
      return tape.next(value)
    }
    let role = given
    if (kind === OBJECT) role |= this.#ofItsKind(value)
    else if ((given & IS_PATCH) !== 0 && key < 0) role &= ~IS_PATCH
    this.#depth++
    let open = this.#open[this.#depth]
    if (open === undefined) {
      open = { end: 0, role: 0, isObject: false, nameClass: 0, judge: null, kept: -1, value: 0 }
      this.#open.push(open)
    }
    open.end = tape.next(value)
    open.role = role
    open.isObject = kind === OBJECT
    open.nameClass = nameClass
    open.judge = null
    open.kept = -1
    open.value = value
    return value + 1
  }

  /** What an object says of itself by its `kind`. */
  #ofItsKind(value: number): number {
    const tape = this.#tape
    const kind = tape.kindValueOf(value)
    if (kind >= 0) return roleOfKind(this.#nameAt(kind).text)
    if (kind !== SEVERAL_KINDS) return 0
    // Given twice, or written with escapes: each of them may be what counts.
    let role = 0
    const end = tape.next(value)
    for (let key = value + 1; key < end; key = tape.next(key + 1)) {
      if (tape.kindOf(key + 1) === STRING && this.#nameAt(key).text === 'kind')
        role |= roleOfKind(this.#nameAt(key + 1).text)
    }
    return role
  }

  #leaf(value: number, kind: number, role: number, nameClass: number): void {
    const tape = this.#tape
    const { buffer: b } = tape
    const start = tape.startOf(value)
    const end = tape.endOf(value)
    this.#looked += end - start
    if (kind === OTHER) {
      // A number may be a PIN; true, false and null tell nothing.
      const isNumber = b[start]! <= 0x39
      if (isNumber && ((role & IS_SECRET) !== 0 || nameClass === NAME_CREDENTIAL))
        this.#hideRaw(start, end, `"${this.#options.mask(b.toString('latin1', start, end))}"`)
      return
    }
    if (end === start) return
    if ((role & IS_SECRET) !== 0 || (nameClass === NAME_CREDENTIAL && !isSwitch(b, start, end))) {
      this.#hide(value, role)
      return
    }
    if (nameClass === NAME_PUBLIC && b[start] !== 0x7b) return
    const harmless = (role & IS_TEXT) !== 0 ? knownHarmlessTexts : knownHarmless
    const isKnown = (role & IS_BINARY) === 0 && end - start <= 256
    if (isKnown && harmless.find(b, start, end)) return
    if (this.#isHiddenForItsLook(value, role)) return
    if (isKnown && !this.#isJson) {
      harmless.find(b, start, end)
      harmless.add(b, start, end, true)
    }
  }

  /** Hides a value that looks as if it had to be; true when it did. */
  #isHiddenForItsLook(value: number, role: number): boolean {
    const tape = this.#tape
    const { buffer: b } = tape
    const start = tape.startOf(value)
    const end = tape.endOf(value)
    const kinds = bytesIn(b, start, end)
    this.#isJson = false
    if ((kinds & HAS_BRACE) !== 0 && this.#nested(value, role)) {
      this.#isJson = true
      return false
    }
    if (!mayBeCredential(kinds, end - start)) return false
    if (end - start > WINDOW_BYTES) {
      this.#longValue = value
      this.#longAt = start
      this.#longRole = role
      return true
    }
    const text = textOf(b, start, end)
    if (!looksSecret(text, (role & IS_TEXT) === 0, (role & IS_BINARY) !== 0)) return false
    this.#hide(value, role)
    return true
  }

  /** A text that is JSON itself. True when it was dealt with. */
  #nested(value: number, role: number): boolean {
    const tape = this.#tape
    const { buffer: b } = tape
    let at = tape.startOf(value)
    while (b[at] === 0x20 || b[at] === 0x09) at++
    if (b[at] !== 0x7b && b[at] !== 0x5b) return false
    return this.#redactText(value, role & INHERITED)
  }

  /** The annotation in which kubectl keeps a whole object. What is in it and cannot be read is hidden. */
  #lastApplied(value: number, role: number): number {
    const tape = this.#tape
    if (tape.kindOf(value) !== STRING || !this.#options.redacts) return this.#value(value, -1, role, NAME_PLAIN)
    if ((role & IS_SECRET) !== 0 || !this.#redactText(value, role & INHERITED)) this.#hide(value, role)
    return tape.next(value)
  }

  /** Redacts the JSON in a text; false when it is none. */
  #redactText(value: number, role: number): boolean {
    if (this.#nesting >= NESTED_MAX) {
      this.#hide(value, role)
      return true
    }
    const { buffer: b } = this.#tape
    const start = this.#tape.startOf(value)
    const end = this.#tape.endOf(value)
    if (end - start > NESTED_BYTES_MAX) {
      this.#hide(value, role)
      return true
    }
    // Every value of it is looked at as any other.
    this.#looked += end - start
    this.#inner ??= new Inner(this.#nesting + 1)
    const { tape, edits, walk } = this.#inner
    const bytes = this.#inner.reserve(end - start + PADDING_BYTES)
    const length = unescapeInto(b, start, end, bytes)
    tape.begin(bytes, 0, length)
    if (tape.run() !== 'done') return false
    edits.clear()
    walk.begin(tape, edits, role, { ...NESTED, mask: this.#options.mask, redacts: true })
    walk.run()
    if (edits.count > 0) {
      const out = Buffer.allocUnsafe(edits.bytesMax(length))
      this.#replace(value, out.toString('utf8', 0, edits.apply(bytes, 0, length, out, 0)))
    }
    return true
  }

  /** For `value` beside `name` or `key`: what that says. */
  #classOfPair(object: number): number {
    const tape = this.#tape
    const end = tape.next(object)
    for (let key = object + 1; key < end; key = tape.next(key + 1)) {
      if (tape.kindOf(key + 1) !== STRING) continue
      const name = this.#nameAt(key).text
      if (name !== 'name' && name !== 'key') continue
      if (this.#nameAt(key + 1).nameClass === NAME_CREDENTIAL) return NAME_CREDENTIAL
    }
    return NAME_PLAIN
  }

  /** What the path of a JSON patch's operation says of its value. Of several paths each may be what counts. */
  #patched(operation: number, role: number): { role: number; nameClass: number } {
    const tape = this.#tape
    const end = tape.next(operation)
    let below = 0
    let nameClass = NAME_PLAIN
    let isOperation = false
    for (let key = operation + 1; key < end; key = tape.next(key + 1)) {
      if (tape.kindOf(key + 1) !== STRING || this.#nameAt(key).text !== 'path') continue
      const path = textOf(tape.buffer, tape.startOf(key + 1), tape.endOf(key + 1))
      const parts = path
        .split('/')
        .slice(1)
        .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
      below |= roleOfPath(path, parts, role)
      isOperation = true
      const last = parts.at(-1) ?? ''
      const named = classOfName(/^(?:\d+|-)$/.test(last) ? (parts.at(-2) ?? '') : last)
      if (nameClass !== NAME_CREDENTIAL && named !== NAME_PLAIN) nameClass = named
    }
    if (!isOperation && (role & IS_SECRET_OBJECT) !== 0) below |= IS_SECRET
    return { role: below, nameClass }
  }

  #uri(value: number): number {
    const tape = this.#tape
    if (tape.kindOf(value) !== STRING) return this.#value(value, -1, 0, NAME_PLAIN)
    const start = tape.startOf(value)
    const end = tape.endOf(value)
    if (knownHarmlessUris.find(tape.buffer, start, end)) return tape.next(value)
    const uri = textOf(tape.buffer, start, end)
    const clean = redactUri(uri, this.#options.mask)
    if (clean !== uri) this.#replace(value, clean)
    else knownHarmlessUris.add(tape.buffer, start, end, true)
    return tape.next(value)
  }

  #message(value: number, role: number): number {
    const tape = this.#tape
    if (tape.kindOf(value) !== STRING || !this.#options.redacts) return this.#value(value, -1, role, NAME_PLAIN)
    const text = textOf(tape.buffer, tape.startOf(value), tape.endOf(value))
    const clean = redactMessage(text, (role & IS_ABOUT_SECRETS) !== 0, this.#options.mask)
    if (clean !== text) this.#replace(value, clean)
    return tape.next(value)
  }

  #isDropped(name: string, role: number): boolean {
    if ((role & IS_EVENT) !== 0) {
      if (name === 'requestObject') return this.#options.dropsRequest
      return name === 'responseObject' && this.#options.dropsResponse
    }
    return (role & IS_METADATA_THAT_LOSES) !== 0 && name === 'managedFields'
  }

  /** Leaves a member out, with the comma before it or, where none is left before it, the one behind it. */
  #leaveOut(key: number, value: number, top: Open): void {
    const tape = this.#tape
    const b = tape.buffer
    const { kept } = top
    const end = tape.kindOf(value) === STRING ? tape.endOf(value) + 1 : tape.endOf(value)
    if (kept >= 0) {
      this.#edits.add(this.#lastEnd(kept, tape.startOf(key) - 1), end, '')
      return
    }
    let after = end
    while (b[after] === 0x20 || b[after] === 0x09 || b[after] === 0x0a || b[after] === 0x0d) after++
    this.#edits.add(tape.startOf(key) - 1, b[after] === 0x2c ? after + 1 : after, '')
  }

  /** Behind the last member that stays, or behind one after it that was left out. */
  #lastEnd(kept: number, before: number): number {
    return Math.min(Math.max(kept, this.#edits.lastEnd), before)
  }

  /** Replaces a string by the mask of what it says. */
  #hide(value: number, role: number): void {
    const tape = this.#tape
    const start = tape.startOf(value)
    const end = tape.endOf(value)
    if (end - start > WINDOW_BYTES) {
      // As bytes: strings of megabytes with escapes in them would hold the event loop for a tenth of a second.
      const bytes = Buffer.allocUnsafeSlow(end - start)
      const secret = bytes.subarray(0, unescapeInto(tape.buffer, start, end, bytes))
      this.#replace(value, this.#options.mask((role & (IS_BASE64 | IS_BINARY)) !== 0 ? decodedBytes(secret) : secret))
      return
    }
    const text = textOf(tape.buffer, start, end)
    this.#replace(value, this.#options.mask((role & (IS_BASE64 | IS_BINARY)) !== 0 ? decoded(text) : text))
  }

  /** Replaces the content of a string. */
  #replace(value: number, text: string): void {
    const tape = this.#tape
    this.#edits.add(tape.startOf(value), tape.endOf(value), JSON.stringify(text).slice(1, -1))
  }

  #hideRaw(start: number, end: number, text: string): void {
    this.#edits.add(start, end, text)
  }
}

const EVENT_MEMBERS = new Set([
  'kind',
  'apiVersion',
  'auditID',
  'stage',
  'verb',
  'sourceIPs',
  'objectRef',
  'requestReceivedTimestamp',
  'stageTimestamp',
])

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

/** Whether a text looks like a credential. `isValue`: randomness counts; `isBinary`: what it may be in base64 does too. */
function looksSecret(text: string, isValue: boolean, isBinary: boolean): boolean {
  if (holdsCredential(text, !isValue) || (isValue && looksRandom(text))) return true
  if (isBinary) {
    const bytes = decoded(text)
    if (typeof bytes !== 'string' && holdsCredential(bytes.toString('latin1'))) return true
  }
  return (
    isValue &&
    text.includes('\n') &&
    !text.startsWith('-----BEGIN CERTIFICATE') &&
    text.split(/[\s"'=:,;]+/).some(looksRandom)
  )
}

const NO_TAPE = new Tape()
const NO_EDITS = new Edits()
const NO_OPTIONS: WalkOptions = { ...NESTED, mask: String, redacts: true }

/** true or false as a text: what turns something on is no credential. */
function isSwitch(b: Buffer, start: number, end: number): boolean {
  const text = end - start > 5 ? '' : b.toString('latin1', start, end)
  return text === 'true' || text === 'false'
}
