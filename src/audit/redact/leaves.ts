// Texts and numbers of a value that is redacted: each is hidden for what it is, for its name, or for its look. What was found
// harmless once is known again by its bytes. Invariant: values are judged in the order of the line, and a long one is done
// before the next. Bound: a window of a long text at once, and a few thousand known values of at most 256 bytes.
import { release } from '../../core/memory.ts'
import { textOf, unescaped, unescapeInto } from '../json/strings.ts'
import { OTHER, type Tape } from '../json/tape.ts'
import { KnownBytes } from '../known.ts'
import type { Changes } from './changes.ts'
import { bytesIn, HAS_BRACE, holdsPrivateKey, isSwitch, looksSecret, mayBeCredential } from './looks.ts'
import type { Mask } from './mask.ts'
import { firstQuotation, MESSAGE_LENGTH_MAX, redactMessage } from './message.ts'
import { NAME_CREDENTIAL, NAME_PUBLIC } from './names.ts'
import { INHERITED, IS_ABOUT_SECRETS, IS_BINARY, IS_SECRET, IS_TEXT } from './roles.ts'
import { redactedUri, redactUri } from './uri.ts'

/** Longer texts are looked through in windows; a credential that is longer than the overlap shows by its form or its randomness. */
const WINDOW_BYTES = 16 * 1024
const WINDOW_OVERLAP_BYTES = 1024

/** No public value but a bundle of certificates is so long. */
const BUNDLE_BYTES_MIN = 256
/** To hide a value takes as long as to look through so many bytes more: its token is an HMAC. */
const HIDDEN_BYTES = 512

/** Values that were judged and need not be hidden, whatever they are called; and such that need not in texts of people. */
const knownHarmless = new KnownBytes<true>(12)
const knownHarmlessTexts = new KnownBytes<true>(10)
const knownHarmlessUris = new KnownBytes<true>(10)

export class Leaves {
  /** Bytes of values that were looked through in this slice. */
  looked = 0
  #tape: Tape
  #mask: Mask
  readonly #changes: Changes
  readonly #redactText: (value: number, role: number) => boolean
  /** A long text that is being looked through, and from where on; -1 for none. */
  #longValue = -1
  #longAt = 0
  #longRole = 0
  /** It is a URI: what is left to do. */
  #longUri: Generator<void, string> | null = null
  /** The last value was a text with JSON in it. */
  #isJson = false

  /** `redactText`: redacts the JSON in a text; false when it is none. */
  constructor(tape: Tape, mask: Mask, changes: Changes, redactText: (value: number, role: number) => boolean) {
    this.#tape = tape
    this.#mask = mask
    this.#changes = changes
    this.#redactText = redactText
  }

  begin(tape: Tape, mask: Mask): void {
    this.#tape = tape
    this.#mask = mask
    this.#longValue = -1
    this.#longUri = null
  }

  /** Whether a long text is being looked through. */
  get hasLong(): boolean {
    return this.#longValue >= 0
  }

  /** One window of a long text: to look through a megabyte at once would hold the event loop for a tenth of a second. */
  lookAtLong(): void {
    if (this.#longUri !== null) {
      const { done, value } = this.#longUri.next()
      if (done) this.#replaceUri(value)
      return
    }
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

  /**
   * Hides a text or number that has to be hidden: for what `role` says it is, for the class of its name, or for its look. A long
   * text is looked through later (`lookAtLong`), before any other value is judged.
   */
  judge(value: number, kind: number, role: number, nameClass: number): void {
    const tape = this.#tape
    const { buffer: b } = tape
    const start = tape.startOf(value)
    const end = tape.endOf(value)
    this.looked += end - start
    if (kind === OTHER) {
      // A number may be a PIN; true, false and null tell nothing.
      const isNumber = b[start]! <= 0x39
      if (isNumber && ((role & IS_SECRET) !== 0 || nameClass === NAME_CREDENTIAL)) {
        this.looked += HIDDEN_BYTES
        this.#changes.hideRaw(start, end, `"${this.#mask(b.toString('latin1', start, end))}"`)
      }
      return
    }
    if (end === start) return
    if ((role & IS_SECRET) !== 0 || (nameClass === NAME_CREDENTIAL && !isSwitch(b, start, end))) {
      this.#hide(value, role)
      return
    }
    if (nameClass === NAME_PUBLIC && b[start] !== 0x7b) {
      // Bundles of certificates are taken with the key that somebody left in them.
      if (end - start >= BUNDLE_BYTES_MIN && holdsPrivateKey(b, start, end)) this.#hide(value, role)
      return
    }
    const harmless = (role & IS_TEXT) !== 0 ? knownHarmlessTexts : knownHarmless
    const isKnown = (role & IS_BINARY) === 0 && end - start <= 256
    if (isKnown && harmless.find(b, start, end)) return
    if (this.#isHiddenForItsLook(value, role)) return
    if (isKnown && !this.#isJson) {
      harmless.find(b, start, end)
      harmless.add(b, start, end, true)
    }
  }

  #hide(value: number, role: number): void {
    this.looked += HIDDEN_BYTES
    this.#changes.hide(value, role)
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

  /** The event's requestURI, which is a string. A long one is looked through later (`lookAtLong`). */
  uri(value: number): void {
    const tape = this.#tape
    const start = tape.startOf(value)
    const end = tape.endOf(value)
    if (end - start > WINDOW_BYTES) {
      this.#longValue = value
      this.#longUri = redactedUri(textOf(tape.buffer, start, end), this.#mask)
      return
    }
    if (knownHarmlessUris.find(tape.buffer, start, end)) return
    const uri = textOf(tape.buffer, start, end)
    const clean = redactUri(uri, this.#mask)
    if (clean !== uri) this.#changes.replace(value, clean)
    else knownHarmlessUris.add(tape.buffer, start, end, true)
  }

  #replaceUri(clean: string): void {
    const tape = this.#tape
    const value = this.#longValue
    this.#longValue = -1
    this.#longUri = null
    if (clean !== textOf(tape.buffer, tape.startOf(value), tape.endOf(value))) this.#changes.replace(value, clean)
  }

  /** A message of the API server, which is a string. `field`: what it is about, where that is told beside it. */
  message(value: number, role: number, field: string): void {
    const tape = this.#tape
    const start = tape.startOf(value)
    const end = tape.endOf(value)
    const isAboutSecrets = (role & IS_ABOUT_SECRETS) !== 0
    if (end - start > MESSAGE_LENGTH_MAX) {
      const bytes = Buffer.allocUnsafeSlow(end - start)
      const message = bytes.subarray(0, unescapeInto(tape.buffer, start, end, bytes))
      const quotation = firstQuotation(message.toString('latin1', 0, MESSAGE_LENGTH_MAX))
      const beginning = redactMessage(message.toString('utf8', 0, quotation), isAboutSecrets, this.#mask, field)
      this.#changes.replace(value, beginning + this.#mask(message.subarray(quotation)))
      release(bytes)
      return
    }
    const text = textOf(tape.buffer, start, end)
    const clean = redactMessage(text, isAboutSecrets, this.#mask, field)
    if (clean !== text) this.#changes.replace(value, clean)
  }
}
