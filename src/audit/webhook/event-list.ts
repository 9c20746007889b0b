// An EventList as the API server's webhook backend sends it (audit.k8s.io/v1), found to be sound as a whole and divided into
// its items, on its bytes: no value of it becomes an object. The work can stop and go on, so that a large body never holds
// the event loop. Strict JSON (RFC 8259): what it takes can be cut into lines, one for each item.
// Bound: DEPTH_MAX levels, ITEMS_MAX items.
import { PADDING_BYTES, stringEnd, viewOf } from '../json/strings.ts'
import { scalarEnd } from '../json/tape.ts'

export { PADDING_BYTES }

const DEPTH_MAX = 512
const ITEMS_MAX = 100_000
/** The object itself, its `items`, one of them. */
const IN_LIST = 1
const IN_ITEMS = 2
const IN_ITEM = 3

const VALUE = 0
const VALUE_OR_END = 1
const KEY = 2
const KEY_OR_END = 3
const AFTER_VALUE = 4

const OTHER_KEY = 0
const KIND_KEY = 1
const VERSION_KEY = 2
const ITEMS_KEY = 3

export interface Item {
  /** Of its braces, in the body. */
  start: number
  end: number
  /** It says itself what it is; API servers leave that to the list. */
  hasKind: boolean
  hasVersion: boolean
}

export class EventListScanner {
  readonly items: Item[] = []
  /** What is wrong, after `invalid`. */
  problem = ''
  #body: Buffer = Buffer.alloc(0)
  #end = 0
  #at = 0
  #state = VALUE
  #depth = 0
  #key = OTHER_KEY
  #isList = false
  #isVersion = false
  #hasItems = false
  #hasControls = false
  /** The first backslash that was not looked at yet. */
  #slash = 0
  /** By depth: 1 for an object, 0 for an array. */
  readonly #stack = new Uint8Array(DEPTH_MAX + 1)

  /** Begins with body[0, bytes), which has PADDING_BYTES more, and in which line breaks between values become blanks. */
  begin(body: Buffer, bytes: number): void {
    let end = bytes
    while (end > 0 && isSpace(body[end - 1]!)) end--
    this.#body = body
    this.#end = end
    this.#at = 0
    this.#state = VALUE
    this.#depth = 0
    this.#key = OTHER_KEY
    this.#isList = false
    this.#isVersion = false
    this.#hasItems = false
    this.#hasControls = hasControls(body, end)
    this.#slash = slashFrom(body, 0, end)
    this.items.length = 0
    this.problem = ''
  }

  /** Goes on for about `bytesMax` bytes. */
  run(bytesMax = Number.POSITIVE_INFINITY): 'done' | 'more' | 'invalid' {
    const b = this.#body
    const view = viewOf(b)
    const end = this.#end
    const until = this.#at + bytesMax
    const stack = this.#stack
    let at = this.#at
    while (at < end) {
      const c = b[at]!
      if (isSpace(c)) {
        b[at++] = 0x20
        continue
      }
      if (at >= until) {
        this.#at = at
        return 'more'
      }
      if (this.#state === AFTER_VALUE) {
        if (this.#depth === 0) return this.#fail(at, 'something follows the list')
        const isObject = stack[this.#depth] === 1
        at++
        if (c === 0x2c) this.#state = isObject ? KEY : VALUE
        else if (c === (isObject ? 0x7d : 0x5d)) this.#close(at)
        else return this.#fail(at - 1, 'no JSON')
        continue
      }
      if (this.#state >= KEY) {
        if (c === 0x7d && this.#state === KEY_OR_END) {
          this.#close(++at)
          continue
        }
        if (c !== 0x22) return this.#fail(at, 'no JSON')
        const close = this.#string(b, view, at, end)
        if (close < 0) return this.#fail(at, 'a string that does not end, or holds a control character or a bad escape')
        this.#noteKey(b, at + 1, close)
        at = close + 1
        while (at < end && isSpace(b[at]!)) b[at++] = 0x20
        if (at >= end || b[at] !== 0x3a) return this.#fail(at, 'no JSON')
        at++
        this.#state = VALUE
        continue
      }
      if (c === 0x5d && this.#state === VALUE_OR_END) {
        this.#close(++at)
        continue
      }
      const problem = this.#mayBegin(c)
      if (problem !== null) return this.#fail(at, problem)
      if (c === 0x7b || c === 0x5b) {
        if (this.#depth === DEPTH_MAX) return this.#fail(at, `more than ${DEPTH_MAX} levels`)
        stack[++this.#depth] = c === 0x7b ? 1 : 0
        if (this.#depth === IN_ITEM && this.#isInItems) {
          if (this.items.length === ITEMS_MAX) return this.#fail(at, `more than ${ITEMS_MAX} items`)
          this.items.push({ start: at, end: 0, hasKind: false, hasVersion: false })
        }
        at++
        this.#state = c === 0x7b ? KEY_OR_END : VALUE_OR_END
        continue
      }
      const close = c === 0x22 ? this.#string(b, view, at, end) : scalarEnd(b, at, end)
      if (close < 0)
        return this.#fail(
          at,
          c === 0x22 ? 'a string that does not end, or holds a control character or a bad escape' : 'no JSON',
        )
      if (this.#depth === IN_LIST && c === 0x22) this.#noteValue(b, at + 1, close)
      at = c === 0x22 ? close + 1 : close
      this.#state = AFTER_VALUE
    }
    if (this.#state !== AFTER_VALUE || this.#depth > 0) return this.#fail(end, 'it ends too early')
    if (!this.#isList) return this.#fail(0, 'its kind is not EventList')
    if (!this.#isVersion) return this.#fail(0, 'its apiVersion is not audit.k8s.io/v1')
    return 'done'
  }

  /** Depth 2 is `items` itself, unless some other member is looked into. */
  get #isInItems(): boolean {
    return this.#key === ITEMS_KEY
  }

  /** What a value may not be where it stands; null: it may. */
  #mayBegin(c: number): string | null {
    if (this.#depth === 0) return c === 0x7b ? null : 'it is no object'
    if (!this.#isInItems) return null
    if (this.#depth === IN_LIST) {
      if (this.#hasItems) return 'it has items twice'
      this.#hasItems = true
      return c === 0x5b || c === 0x6e ? null : 'its items are no list'
    }
    if (this.#depth === IN_ITEMS && c !== 0x7b) return `items[${this.items.length}] is no object`
    return null
  }

  #close(at: number): void {
    if (this.#depth === IN_ITEM && this.#isInItems) this.items[this.items.length - 1]!.end = at
    this.#depth--
    this.#state = AFTER_VALUE
  }

  #noteKey(b: Buffer, start: number, end: number): void {
    if (this.#depth === IN_LIST) this.#key = keyOf(b, start, end)
    else if (this.#depth === IN_ITEM && this.#isInItems) {
      const item = this.items[this.items.length - 1]!
      const key = keyOf(b, start, end)
      if (key === KIND_KEY) item.hasKind = true
      else if (key === VERSION_KEY) item.hasVersion = true
    }
  }

  #noteValue(b: Buffer, start: number, end: number): void {
    if (this.#key === KIND_KEY) this.#isList = isText(b, start, end, EVENT_LIST)
    else if (this.#key === VERSION_KEY) this.#isVersion = isText(b, start, end, VERSION)
  }

  /** Where the string whose quote is at `at` ends: at its last quote; -1: it does not, or it is none. */
  #string(b: Buffer, view: DataView, at: number, end: number): number {
    const close = stringEnd(b, view, at + 1, end)
    if (close < 0) return -1
    if (this.#hasControls) for (let i = at + 1; i < close; i++) if (b[i]! < 0x20) return -1
    while (this.#slash < close) {
      const after = afterEscape(b, this.#slash, close)
      if (after < 0) return -1
      this.#slash = slashFrom(b, after, end)
    }
    return close
  }

  #fail(at: number, problem: string): 'invalid' {
    this.problem = `not an EventList of audit.k8s.io/v1: ${problem} (byte ${at})`
    return 'invalid'
  }
}

const EVENT_LIST = Buffer.from('EventList')
const VERSION = Buffer.from('audit.k8s.io/v1')
const KEYS = [
  [KIND_KEY, Buffer.from('kind')],
  [VERSION_KEY, Buffer.from('apiVersion')],
  [ITEMS_KEY, Buffer.from('items')],
] as const

function keyOf(b: Buffer, start: number, end: number): number {
  for (const [key, text] of KEYS) if (isText(b, start, end, text)) return key
  return OTHER_KEY
}

function isText(b: Buffer, start: number, end: number, text: Buffer): boolean {
  if (end - start !== text.length) return false
  for (let i = 0; i < text.length; i++) if (b[start + i] !== text[i]) return false
  return true
}

function slashFrom(b: Buffer, start: number, end: number): number {
  const at = b.indexOf(0x5c, start)
  return at < 0 || at >= end ? Number.POSITIVE_INFINITY : at
}

/** Where the escape at `at` ends; -1: it is none. */
function afterEscape(b: Buffer, at: number, end: number): number {
  const c = b[at + 1]!
  if (c !== 0x75) return ESCAPES.includes(c) ? at + 2 : -1
  for (let i = at + 2; i < at + 6; i++) if (i >= end || !isHex(b[i]!)) return -1
  return at + 6
}

const ESCAPES = Buffer.from('"\\/bfnrt')

function isHex(c: number): boolean {
  return (c >= 0x30 && c <= 0x39) || ((c | 0x20) >= 0x61 && (c | 0x20) <= 0x66)
}

function isSpace(c: number): boolean {
  return c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09
}

/** Whether some byte of b[0, end) is below a blank. Four at a time; nearly no body has one. */
function hasControls(b: Buffer, end: number): boolean {
  const view = viewOf(b)
  let at = 0
  for (; at + 4 <= end; at += 4) {
    const word = view.getInt32(at, true)
    if (((word - 0x20202020) & ~word & 0x80808080) !== 0) return true
  }
  for (; at < end; at++) if (b[at]! < 0x20) return true
  return false
}
