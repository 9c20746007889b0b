// What an audit event says of itself, read off its bytes: from members of its own top level, and of its `user`,
// `objectRef` and `responseStatus`, by their place and never by a search. A key that is given twice counts the last time,
// as for any JSON parser. A key written with escapes is not recognised (no API server writes one). Nothing is copied: the
// facts are places in the line. It checks that strings and brackets close where the line ends, and no more.

import { parseTimestamp, timestamp } from '../parse/timestamp.ts'
import {
  ANNOTATIONS_KEY,
  API_GROUP_KEY,
  API_VERSION,
  AUDIT_ID_KEY,
  CODE,
  EVENT,
  is,
  NAME_KEY,
  NAMESPACE_KEY,
  OBJECT_REF,
  RECEIVED_TIMESTAMP,
  REQUEST_OBJECT_KEY,
  REQUEST_URI_KEY,
  RESOURCE_KEY,
  RESPONSE_OBJECT_KEY,
  RESPONSE_STATUS_KEY,
  SOURCE_IPS,
  STAGE_TIMESTAMP,
  SUBRESOURCE_KEY,
  USER_AGENT,
  USERNAME_KEY,
  VERSION,
  word_anno,
  word_apiV,
  word_audi,
  word_kind,
  word_leve,
  word_obje,
  word_requ,
  word_resp,
  word_sour,
  word_stag,
  word_user,
  word_verb,
} from './event-keys.ts'
import { CODE as FOUND_CODE, NANOS, PLACES, SECONDS, SENDER_END } from './found.ts'
import { PADDING_BYTES, stringEnd, textOf, viewOf } from './json/strings.ts'
import { scalarEnd } from './json/tape.ts'
import { integer, skipSpace, skipSpaceTo, valueEnd } from './json/values.ts'
import { type Sender, Senders } from './senders.ts'

// Strings: the place of their content.
export const AUDIT_ID = 0
export const STAGE = 1
export const VERB = 2
export const USERNAME = 3
export const RESOURCE = 4
export const NAMESPACE = 5
export const NAME = 6
export const LEVEL = 7
export const REQUEST_URI = 8
export const SUBRESOURCE = 9
export const API_GROUP = 10
/** Values: the place of the whole value. */
export const USER = 11
export const REQUEST_OBJECT = 12
export const RESPONSE_OBJECT = 13
export const ANNOTATIONS = 14
export const RESPONSE_STATUS = 15
const FACTS = 16

// Members of an event as the API server writes it, for whether it has others or one of them twice.
const HAS_KIND = 1
const HAS_VERSION = 2
const HAS_LEVEL = 4
const HAS_AUDIT_ID = 8
const HAS_STAGE = 16
const HAS_URI = 32
const HAS_VERB = 64
const HAS_USER = 128
const HAS_SOURCE = 256
const HAS_AGENT = 512
const HAS_REFERENCE = 1024
const HAS_STATUS = 2048
const HAS_REQUEST = 4096
const HAS_RESPONSE = 8192
const HAS_RECEIVED = 16384
const HAS_TIME = 32768
const HAS_ANNOTATIONS = 65536
const HAS_SENDER = HAS_USER | HAS_SOURCE | HAS_AGENT
const NEEDED = HAS_SENDER | HAS_LEVEL | HAS_URI | HAS_VERB | HAS_STAGE

// What an object is whose members are read.
const IN_USER = 0
const IN_OBJECT_REF = 1
const IN_STATUS = 2
const IN_OBJECT_REF_FACTS = [RESOURCE, NAMESPACE, NAME, SUBRESOURCE, API_GROUP]

/** Of a copy that is worth giving back by hand. */
const LARGE_BYTES = 64 * 1024

export class EventFacts {
  /** What the places are in. */
  buffer: Buffer = Buffer.alloc(0)
  /** Of the event's stageTimestamp; `hasTime` false where it has none. */
  hasTime = false
  seconds = 0
  nanos = 0
  /** responseStatus.code; 0 where there is none. */
  code = 0
  /** Of who sent it, where user, sourceIPs and userAgent stand one after the other, without a blank; null where not. */
  sender: Sender | null = null
  readonly #places = new Int32Array(2 * FACTS)
  #members = 0
  #isUsual = true
  #isEvent = false
  #isVersion = false
  readonly #senders = new Senders()
  /** Where a `user` begins of which it is not known yet what follows it; 0 for none. */
  #senderStart = 0
  #senderEnd = 0
  /** The memory of a large line that had to be copied: goes back with the next line at the latest, not at some collection. */
  #ownBytes: ArrayBuffer | null = null

  /** 0 where the event has no such member. */
  startOf(fact: number): number {
    return this.#places[2 * fact]!
  }

  endOf(fact: number): number {
    return this.#places[2 * fact + 1]!
  }

  has(fact: number): boolean {
    return this.#places[2 * fact + 1]! > 0
  }

  /** Whether it called itself an audit event and gave an id, whatever came after. */
  get looksLikeEvent(): boolean {
    return this.#isEvent && this.#isVersion && this.has(AUDIT_ID)
  }

  /**
   * Whether it is made as the API server makes them: of the members that all events have, each at most once, of their
   * types; its objectRef of texts alone. `sender` is known then. What it does not tell is what is in user, responseStatus,
   * annotations and bodies.
   */
  get isUsual(): boolean {
    return this.#isUsual && this.sender !== null && (this.#members & NEEDED) === NEEDED
  }

  /** The text of a string; empty where there is none. */
  text(fact: number): string {
    return textOf(this.buffer, this.#places[2 * fact]!, this.#places[2 * fact + 1]!)
  }

  /**
   * Reads the line b[start, end). True when it is an audit event; else what was found before it proved to be none is
   * there all the same.
   */
  read(line: Buffer, lineStart: number, lineEnd: number): boolean {
    let b = line
    let start = lineStart
    let end = lineEnd
    if (end + PADDING_BYTES > b.length) {
      b = Buffer.alloc(end - start + PADDING_BYTES)
      line.copy(b, 0, start, end)
      end -= start
      start = 0
    }
    if (this.#ownBytes !== null && line.buffer !== this.#ownBytes) this.release()
    if (b !== line && b.length >= LARGE_BYTES) this.#ownBytes = b.buffer as ArrayBuffer
    this.buffer = b
    this.#places.fill(0)
    this.hasTime = false
    this.code = 0
    this.#isEvent = false
    this.#isVersion = false
    this.#senderStart = 0
    this.sender = null
    this.#members = 0
    this.#isUsual = true
    return this.#topLevel(b, viewOf(b), start, end) === end && this.#isEvent && this.#isVersion
  }

  /** Gives the copy of a large line back: its places are no longer to be asked for. */
  release(): void {
    this.#ownBytes?.transfer(0)
    this.#ownBytes = null
  }

  /** Takes the places of an event that was found with others: a row of `found` that begins at `at`, places in `b`. Its sender is not looked for. */
  takePlaces(b: Buffer, found: Int32Array, at: number): void {
    if (this.#ownBytes !== null) this.release()
    this.buffer = b
    const places = this.#places
    for (let i = 0; i < 2 * FACTS; i++) places[i] = found[at + PLACES + i]!
    this.hasTime = true
    this.seconds = found[at + SECONDS]!
    this.nanos = found[at + NANOS]!
    this.code = found[at + FOUND_CODE]!
    this.#isEvent = true
    this.#isVersion = true
    this.#isUsual = true
    this.#members = NEEDED
    this.sender = null
  }

  /** The same with its sender; `sender`: who it is, where that is known. */
  take(b: Buffer, found: Int32Array, at: number, sender: Sender | null): void {
    this.takePlaces(b, found, at)
    this.sender = sender
    const end = found[at + SENDER_END]!
    if (sender !== null || end === 0) return
    const start = this.startOf(USER)
    const known = this.#senders.find(b, viewOf(b), start, end)
    // What is known may be the beginning of this one alone.
    if (known?.bytes.length === end - start) this.sender = known
    else {
      const nameStart = this.startOf(USERNAME) - start
      this.sender = this.#senders.add(b, start, end, this.endOf(USER) - start, nameStart, this.endOf(USERNAME) - start)
    }
  }

  /** Reads the top level. Returns where it ended; -1 for none. */
  #topLevel(b: Buffer, view: DataView, start: number, end: number): number {
    let at = start
    if (b[at] !== 0x7b) return -1
    at++
    for (;;) {
      at = skipSpace(b, at)
      if (b[at] !== 0x22) return -1
      const key = at + 1
      const keyEnd = stringEnd(b, view, key, end)
      if (keyEnd < 0) return -1
      at = keyEnd + 1
      if (b[at] !== 0x3a) {
        at = skipSpace(b, at)
        if (b[at] !== 0x3a) return -1
      }
      at++
      if (b[at]! <= 0x20) at = skipSpace(b, at)
      at = this.#member(b, view, key, keyEnd, at, end)
      if (at < 0) return -1
      if (b[at]! <= 0x20) at = skipSpace(b, at)
      const c = b[at++]
      if (c === 0x2c) continue
      return c === 0x7d ? skipSpaceTo(b, at, end) : -1
    }
  }

  /** Reads the value at `at` of the key b[key, keyEnd); returns where it ends, -1 when it does not. */
  #member(b: Buffer, view: DataView, key: number, keyEnd: number, at: number, end: number): number {
    const c = b[at]
    if (c === 0x22) {
      const close = stringEnd(b, view, at + 1, end)
      if (close < 0) return -1
      this.#string(b, view, key, keyEnd, at + 1, close)
      if (this.#senderStart > 0) this.#noteSender(b, view, key, keyEnd, close + 1)
      return close + 1
    }
    if (c !== 0x7b && c !== 0x5b) {
      this.#isUsual = false
      return scalarEnd(b, at, end)
    }
    const word = view.getInt32(key, true)
    const length = keyEnd - key
    if (word === word_resp && length === 14) {
      if (is(view, key, RESPONSE_STATUS_KEY)) {
        this.#note(HAS_STATUS)
        const close = this.#object(b, view, at, end, IN_STATUS)
        this.#set(RESPONSE_STATUS, at, close)
        return close
      }
      if (is(view, key, RESPONSE_OBJECT_KEY)) {
        this.#note(HAS_RESPONSE)
        return this.#value(b, view, at, end, RESPONSE_OBJECT)
      }
      this.#isUsual = false
    } else if (word === word_user && length === 4) {
      this.#forget(USERNAME)
      const known = this.#senders.find(b, view, at, end)
      if (known !== null) {
        this.#set(USER, at, at + known.userBytes)
        this.#set(USERNAME, at + known.nameStart, at + known.nameEnd)
        this.#note(HAS_SENDER)
        this.sender = known
        return at + known.bytes.length
      }
      this.#note(HAS_USER)
      const close = this.#object(b, view, at, end, IN_USER)
      this.#set(USER, at, close)
      this.#senderStart = at
      this.#senderEnd = close
      return close
    } else if (word === word_obje && length === 9 && is(view, key, OBJECT_REF)) {
      for (const fact of IN_OBJECT_REF_FACTS) this.#forget(fact)
      this.#note(HAS_REFERENCE)
      return this.#object(b, view, at, end, IN_OBJECT_REF)
    } else if (word === word_requ && length === 13 && is(view, key, REQUEST_OBJECT_KEY)) {
      this.#note(HAS_REQUEST)
      return this.#value(b, view, at, end, REQUEST_OBJECT)
    } else if (word === word_anno && length === 11 && is(view, key, ANNOTATIONS_KEY)) {
      this.#note(HAS_ANNOTATIONS)
      return this.#value(b, view, at, end, ANNOTATIONS)
    }
    // sourceIPs goes on with what user began.
    if (!(word === word_sour && length === 9 && is(view, key, SOURCE_IPS) && key === this.#senderEnd + 2)) {
      this.#senderStart = 0
      this.#isUsual = false
      return valueEnd(b, view, at, end)
    }
    this.#note(HAS_SOURCE)
    this.#senderEnd = valueEnd(b, view, at, end)
    return this.#senderEnd
  }

  /** Remembers user, sourceIPs and userAgent when they stand one after the other. */
  #noteSender(b: Buffer, view: DataView, key: number, keyEnd: number, end: number): void {
    const start = this.#senderStart
    this.#senderStart = 0
    if (keyEnd - key !== 9 || key !== this.#senderEnd + 2 || !is(view, key, USER_AGENT)) return
    const userBytes = this.endOf(USER) - start
    this.sender = this.#senders.add(
      b,
      start,
      end,
      userBytes,
      this.startOf(USERNAME) - start,
      this.endOf(USERNAME) - start,
    )
  }

  /** A string of the top level. */
  #string(b: Buffer, view: DataView, key: number, keyEnd: number, start: number, end: number): void {
    const word = view.getInt32(key, true)
    let member = 0
    switch (keyEnd - key) {
      case 4:
        if (word === word_verb) {
          this.#set(VERB, start, end)
          member = HAS_VERB
        } else if (word === word_kind) {
          this.#isEvent = end - start === 5 && is(view, start, EVENT)
          member = HAS_KIND
        }
        break
      case 5:
        if (word === word_stag && b[key + 4] === 0x65) {
          this.#set(STAGE, start, end)
          member = HAS_STAGE
        } else if (word === word_leve && b[key + 4] === 0x6c) {
          this.#set(LEVEL, start, end)
          member = HAS_LEVEL
        }
        break
      case 7:
        if (word === word_audi && is(view, key, AUDIT_ID_KEY)) {
          this.#set(AUDIT_ID, start, end)
          member = HAS_AUDIT_ID
        }
        break
      case 9:
        if (word === word_user && is(view, key, USER_AGENT)) member = HAS_AGENT
        break
      case 10:
        if (word === word_requ && is(view, key, REQUEST_URI_KEY)) {
          this.#set(REQUEST_URI, start, end)
          member = HAS_URI
        } else if (word === word_apiV && is(view, key, API_VERSION)) {
          this.#isVersion = end - start === VERSION.length && is(view, start, VERSION)
          member = HAS_VERSION
        }
        break
      case 14:
        if (word === word_stag && is(view, key, STAGE_TIMESTAMP)) {
          this.hasTime = parseTimestamp(b, start, end + 1) && timestamp.end === end
          this.seconds = timestamp.seconds
          this.nanos = timestamp.nanos
          member = HAS_TIME
        }
        break
      case 24:
        if (word === word_requ && is(view, key, RECEIVED_TIMESTAMP)) member = HAS_RECEIVED
    }
    this.#note(member)
  }

  /** Notes that it has these members; 0: one that is not usual. */
  #note(members: number): void {
    if (members === 0 || (this.#members & members) !== 0) this.#isUsual = false
    this.#members |= members
  }

  /** Reads the members of a nested object that is of interest. */
  #object(b: Buffer, view: DataView, start: number, end: number, where: number): number {
    if (b[start] !== 0x7b) {
      this.#isUsual = false
      return valueEnd(b, view, start, end)
    }
    if (where === IN_STATUS) this.code = 0
    let at = skipSpace(b, start + 1)
    if (b[at] === 0x7d) return at + 1
    for (;;) {
      at = skipSpace(b, at)
      if (b[at] !== 0x22) return -1
      const key = at + 1
      const keyEnd = stringEnd(b, view, key, end)
      if (keyEnd < 0) return -1
      at = skipSpace(b, keyEnd + 1)
      if (b[at] !== 0x3a) return -1
      at = skipSpace(b, at + 1)
      const from = at
      if (b[at] === 0x22) {
        const close = stringEnd(b, view, at + 1, end)
        if (close < 0) return -1
        this.#nestedString(view, key, keyEnd, at + 1, close, where)
        at = close + 1
      } else {
        if (where === IN_OBJECT_REF) this.#isUsual = false
        at = valueEnd(b, view, at, end)
      }
      if (at < 0) return -1
      if (where === IN_STATUS && keyEnd - key === 4 && is(view, key, CODE)) this.code = integer(b, from, at)
      at = skipSpace(b, at)
      const c = b[at++]
      if (c === 0x7d) return at
      if (c !== 0x2c) return -1
    }
  }

  #nestedString(view: DataView, key: number, keyEnd: number, start: number, end: number, where: number): void {
    const length = keyEnd - key
    if (where === IN_USER) {
      if (length === 8 && is(view, key, USERNAME_KEY)) this.#set(USERNAME, start, end)
    } else if (where === IN_OBJECT_REF) {
      if (length === 8 && is(view, key, RESOURCE_KEY)) this.#set(RESOURCE, start, end)
      else if (length === 9 && is(view, key, NAMESPACE_KEY)) this.#set(NAMESPACE, start, end)
      else if (length === 4 && is(view, key, NAME_KEY)) this.#set(NAME, start, end)
      else if (length === 8 && is(view, key, API_GROUP_KEY)) this.#set(API_GROUP, start, end)
      else if (length === 11 && is(view, key, SUBRESOURCE_KEY)) this.#set(SUBRESOURCE, start, end)
    }
  }

  #value(b: Buffer, view: DataView, at: number, end: number, fact: number): number {
    const close = valueEnd(b, view, at, end)
    this.#set(fact, at, close)
    return close
  }

  #set(fact: number, start: number, end: number): void {
    this.#places[2 * fact] = start
    this.#places[2 * fact + 1] = Math.max(end, 0)
  }

  #forget(fact: number): void {
    this.#places[2 * fact] = 0
    this.#places[2 * fact + 1] = 0
  }
}
