// A JSON text as a flat list of its values, in their order, made without an object or string for any of them. It can be
// made in slices, so that a large text never holds the event loop. Strict about structure: what it takes is JSON, but for
// control characters in strings. Bound: DEPTH_MAX levels, CELLS_MAX cells; the list is as long as the largest text needs
// and given back after a large one.
import { stringEnd, viewOf } from './strings.ts'

export const STRING = 1
/** A number, true, false or null. */
export const OTHER = 2
/** What values lie in has this bit. */
const CONTAINER = 4
export const OBJECT = CONTAINER
export const ARRAY = CONTAINER + 1
/** In place of an object's `kind` where it is given twice or written with escapes. */
export const SEVERAL_KINDS = -2

const KIND_BITS = 3
const KIND = 2 ** KIND_BITS - 1
const DEPTH_MAX = 512
/** A text of 4 MiB has a cell in each four bytes then, which no object of Kubernetes has; the list is 8 MiB. */
const CELLS_MAX = 1024 * 1024
/**
 * Numbers per cell. Of a value: its start with its kind in the lowest bits, and its end. An object or list has another cell: the
 * cell of what follows it and all that is in it, and the cell of an object's `kind`.
 */
const FIELDS = 2
const LENGTH_MIN = FIELDS * 2048
const LENGTH_KEPT_MAX = FIELDS * 64 * 1024
/** Bytes of a text for which a cell is made ready: most have longer values, and the list needs not grow, which is a copy of all of it. */
const CELL_BYTES = 8

/** Of a text that is worked on in slices: a millisecond or two. */
export const SLICE_VALUES = 4000

export type TapeEnd = 'done' | 'more' | 'invalid' | 'tooLarge'

const NOTHING = [-1, -1, -1, -1] as const
const NO_TEXT = Buffer.alloc(0)

const IN_VALUE = 0
const IN_KEY = 1
const AFTER_VALUE = 2

/**
 * Values are numbered by their cells, from 0, the whole text's. In an object a key, a STRING, stands before each value, which has
 * the number after it. Offsets are into the buffer; those of a string are of its content, without the quotes, all others include
 * the brackets.
 */
export class Tape {
  /** Of cells. */
  count = 0
  buffer: Buffer = NO_TEXT
  #list = new Int32Array(LENGTH_MIN)
  #end = 0
  #at = 0
  #state = IN_VALUE
  #depth = 0
  readonly #stack = new Int32Array(DEPTH_MAX + 1)
  /** Values that are passed over: start and end, start and end. */
  #passed: readonly [number, number, number, number] = NOTHING

  kindOf(value: number): number {
    return this.#list[FIELDS * value]! & KIND
  }

  /** Of a string: of its content. */
  startOf(value: number): number {
    return this.#list[FIELDS * value]! >> KIND_BITS
  }

  endOf(value: number): number {
    return this.#list[FIELDS * value + 1]!
  }

  /** The first value, or key, in an object or list; `next` of that where it is empty. */
  first(container: number): number {
    return container + 2
  }

  /** The value after this one and all that is in it. */
  next(value: number): number {
    const list = this.#list
    return (list[FIELDS * value]! & CONTAINER) === 0 ? value + 1 : list[FIELDS * value + 2]!
  }

  /** The string that is the value of an object's key `kind`; -1 when it has none, SEVERAL_KINDS when it is not that simple. */
  kindValueOf(object: number): number {
    return this.#list[FIELDS * object + 3]!
  }

  /**
   * Begins with the text buffer[start, end), which must have PADDING_BYTES behind it and stay as it is until the
   * end. Of up to two values their places are known already and nobody asks what is in them: they are passed over. */
  begin(buffer: Buffer, start: number, end: number, passed: readonly [number, number, number, number] = NOTHING): void {
    this.#passed = passed
    this.#shrink()
    const length = FIELDS * Math.ceil((end - start) / CELL_BYTES)
    if (length > this.#list.length) this.#list = new Int32Array(length)
    this.buffer = buffer
    this.count = 0
    this.#at = start
    this.#end = end
    this.#state = IN_VALUE
    this.#depth = 0
  }

  /** Gives what a large text needed back. */
  release(): void {
    this.buffer = NO_TEXT
    this.#shrink()
  }

  /** At once: the collector does not see how much it is, and comes when there are many. */
  #shrink(): void {
    if (this.#list.length <= LENGTH_KEPT_MAX) return
    this.#list.buffer.transfer(0)
    this.#list = new Int32Array(LENGTH_MIN)
  }

  /** Goes on for about so many cells. */
  run(cellsMax = CELLS_MAX): TapeEnd {
    const b = this.buffer
    const view = viewOf(b)
    const end = this.#end
    const stack = this.#stack
    const until = Math.min(this.count + cellsMax, CELLS_MAX)
    let at = this.#at
    let state = this.#state
    let depth = this.#depth
    while (at < end) {
      const c = b[at]!
      if (c === 0x20 || (c <= 0x0d && (c === 0x09 || c === 0x0a || c === 0x0d))) {
        at++
        continue
      }
      if (state === AFTER_VALUE) {
        if (depth === 0) return 'invalid' // something follows the text
        const open = stack[depth]!
        const isObject = this.kindOf(open) === OBJECT
        at++
        if (c === 0x2c) {
          state = isObject ? IN_KEY : IN_VALUE
          if (b[at] === 0x5d && !isObject) return 'invalid'
        } else if (c === (isObject ? 0x7d : 0x5d)) {
          this.#close(open, at)
          depth--
        } else return 'invalid'
        continue
      }
      if (this.count >= until) {
        if (this.count >= CELLS_MAX) return 'tooLarge'
        this.#at = at
        this.#state = state
        this.#depth = depth
        return 'more'
      }
      if (c === 0x22) {
        const close = stringEnd(b, view, at + 1, end)
        if (close < 0) return 'invalid'
        const value = this.#add(STRING, at + 1, close)
        at = close + 1
        if (state === IN_KEY) {
          while (b[at] === 0x20 || b[at] === 0x09 || b[at] === 0x0a || b[at] === 0x0d) at++
          if (at >= end || b[at] !== 0x3a) return 'invalid'
          at++
          state = IN_VALUE
        } else {
          state = AFTER_VALUE
          if (depth > 0) this.#noteKind(stack[depth]!, value)
        }
        continue
      }
      if (state === IN_KEY) {
        // An object without members is closed here; a comma before the bracket is not.
        const open = stack[depth]!
        if (c !== 0x7d || this.count !== this.first(open)) return 'invalid'
        at++
        this.#close(open, at)
        depth--
        state = AFTER_VALUE
        continue
      }
      if (c === 0x7b || c === 0x5b) {
        if (at === this.#passed[0] || at === this.#passed[2]) {
          const after = at === this.#passed[0] ? this.#passed[1] : this.#passed[3]
          this.#add(OTHER, at, after)
          at = after
          state = AFTER_VALUE
          continue
        }
        if (depth === DEPTH_MAX) return 'tooLarge'
        stack[++depth] = this.#open(c === 0x7b ? OBJECT : ARRAY, at)
        at++
        state = c === 0x7b ? IN_KEY : IN_VALUE
        continue
      }
      if (c === 0x5d && depth > 0 && this.count === this.first(stack[depth]!) && this.kindOf(stack[depth]!) === ARRAY) {
        at++
        this.#close(stack[depth]!, at)
        depth--
        state = AFTER_VALUE
        continue
      }
      const close = scalarEnd(b, at, end)
      if (close < 0) return 'invalid'
      this.#add(OTHER, at, close)
      at = close
      state = AFTER_VALUE
    }
    return state === AFTER_VALUE && depth === 0 ? 'done' : 'invalid'
  }

  #add(kind: number, start: number, end: number): number {
    const value = this.count++
    const at = FIELDS * value
    if (at >= this.#list.length) this.#grow()
    const list = this.#list
    list[at] = (start << KIND_BITS) | kind
    list[at + 1] = end
    return value
  }

  #open(kind: number, start: number): number {
    const value = this.#add(kind, start, 0)
    const at = FIELDS * this.count++
    if (at >= this.#list.length) this.#grow()
    this.#list[at + 1] = -1
    return value
  }

  #grow(): void {
    // Not by transfer to a larger one, which would touch all of it.
    const shorter = this.#list
    this.#list = new Int32Array(Math.min(2 * shorter.length, FIELDS * (CELLS_MAX + 1)))
    this.#list.set(shorter)
    shorter.buffer.transfer(0)
  }

  #close(open: number, end: number): void {
    this.#list[FIELDS * open + 1] = end
    this.#list[FIELDS * open + 2] = this.count
  }

  /** Notes a string that is an object's `kind`. */
  #noteKind(open: number, value: number): void {
    if (this.kindOf(open) !== OBJECT) return
    const list = this.#list
    const start = this.startOf(value - 1)
    const length = this.endOf(value - 1) - start
    const b = this.buffer
    if (length !== 4) {
      // Each of its letters may be written as six.
      if (length > 24 || length % 5 !== 4 || (b[start] !== 0x6b && b[start] !== 0x5c)) return
      if (!KIND_WITH_ESCAPES.test(b.toString('latin1', start, start + length))) return
      list[FIELDS * open + 3] = SEVERAL_KINDS
    } else if (b[start] === 0x6b && b[start + 1] === 0x69 && b[start + 2] === 0x6e && b[start + 3] === 0x64) {
      list[FIELDS * open + 3] = list[FIELDS * open + 3] === -1 ? value : SEVERAL_KINDS
    }
  }
}

const KIND_WITH_ESCAPES = /^(?:k|\\u006[bB])(?:i|\\u0069)(?:n|\\u006[eE])(?:d|\\u0064)$/

/** Where the number or word at `start` ends; -1 when it is none. */
export function scalarEnd(b: Buffer, start: number, end: number): number {
  const c = b[start]!
  if (c === 0x74) return isWord(b, start, end, TRUE)
  if (c === 0x66) return isWord(b, start, end, FALSE)
  if (c === 0x6e) return isWord(b, start, end, NULL)
  let at = c === 0x2d ? start + 1 : start
  if (!isDigit(b[at]!)) return -1
  if (b[at] === 0x30 && isDigit(b[at + 1]!)) return -1
  while (at < end && isDigit(b[at]!)) at++
  if (at < end && b[at] === 0x2e) {
    if (!isDigit(b[++at]!)) return -1
    while (at < end && isDigit(b[at]!)) at++
  }
  if (at < end && (b[at]! | 0x20) === 0x65) {
    at++
    if (b[at] === 0x2b || b[at] === 0x2d) at++
    if (at >= end || !isDigit(b[at]!)) return -1
    while (at < end && isDigit(b[at]!)) at++
  }
  return at > end ? -1 : at
}

const TRUE = Buffer.from('true')
const FALSE = Buffer.from('false')
const NULL = Buffer.from('null')

function isWord(b: Buffer, start: number, end: number, word: Buffer): number {
  if (start + word.length > end) return -1
  for (let i = 0; i < word.length; i++) if (b[start + i] !== word[i]) return -1
  return start + word.length
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}
