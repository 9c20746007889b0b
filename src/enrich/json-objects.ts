// Finds whole JSON objects in a stream of bytes without parsing what is around them: the events of a watch, one after the
// other, or the items of a list. So a list of any length takes the memory of one object. Bound: `OBJECT_BYTES_MAX`.
// It follows quotes and brackets only (RFC 8259); whether an object is good JSON shows when it is parsed.
import { TaffrailError } from '../core/errors.ts'
import { Gathered } from '../core/gathered.ts'

/** Larger than any object that etcd takes (1.5 MiB), and than what the API server adds. */
const OBJECT_BYTES_MAX = 4 * 1024 * 1024

/**
 * Values in one object, or in the frame: far more than any pod has, and no more than the heap takes. An object of 4 MiB that is nothing
 * but empty ones would take 80 MiB.
 */
const VALUES_MAX = 250_000

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const COMMA = 0x2c

export class JsonObjects {
  readonly #depth: number
  readonly #onObject: (text: string) => void
  #level = 0
  #inString = false
  #escaped = false
  #inObject = false
  /** Values of the object under way. */
  #values = 0
  /** Of the object under way, what came in earlier chunks. */
  readonly #begun = new Gathered()
  /** What is outside of all objects: the frame of a list. */
  readonly #frame = new Gathered()

  /**
   * `depth` 0: the objects are the values of the stream themselves. 2: they are the elements of an array in the one object
   * that the stream is (of a list, `items` is the only such).
   */
  constructor(depth: 0 | 2, onObject: (text: string) => void) {
    this.#depth = depth
    this.#onObject = onObject
  }

  /** Whether an object or the frame is open: a stream that ends now was cut. */
  get isOpen(): boolean {
    return this.#level > 0
  }

  /** What stood around the objects, as JSON with empty arrays. Throws JSON_TOO_LARGE. */
  get frame(): string {
    const text = this.#frame.view.toString().replace(/\[[\s,]*\]/, '[]')
    let values = 0
    for (const _ of text.matchAll(/[,{[]/g)) if (++values > VALUES_MAX) throw tooManyValues()
    return text
  }

  /** Takes the next bytes; the chunk is not kept. Throws JSON_TOO_LARGE, KUBERNETES_ANSWER for brackets in disorder, and whatever `onObject` throws. */
  push(chunk: Buffer): void {
    let from = 0
    let at = 0
    while (at < chunk.length) {
      if (this.#inString) {
        at = this.#skipString(chunk, at)
        continue
      }
      const byte = chunk[at++]
      if (byte === QUOTE) this.#inString = true
      else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        if (byte === OPEN_BRACE && this.#level === this.#depth && !this.#inObject) {
          this.#keepFrame(chunk, from, at - 1)
          from = at - 1
          this.#inObject = true
          this.#values = 0
        }
        this.#level++
        this.#countValue()
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        if (--this.#level < 0) throw new TaffrailError('KUBERNETES_ANSWER', 'a bracket is closed that was not opened')
        if (this.#inObject && this.#level === this.#depth) {
          this.#end(chunk, from, at)
          from = at
        }
      } else if (byte === COMMA) this.#countValue()
    }
    if (this.#inObject) this.#keep(this.#begun, chunk, from, chunk.length)
    else this.#keepFrame(chunk, from, chunk.length)
  }

  #countValue(): void {
    if (this.#inObject && ++this.#values > VALUES_MAX) throw tooManyValues()
  }

  /** Goes on within a string; returns where it ends, or the end of the chunk. */
  #skipString(chunk: Buffer, start: number): number {
    let at = start
    while (at < chunk.length) {
      const byte = chunk[at++]
      if (this.#escaped) this.#escaped = false
      else if (byte === BACKSLASH) this.#escaped = true
      else if (byte === QUOTE) {
        this.#inString = false
        return at
      }
    }
    return at
  }

  #end(chunk: Buffer, from: number, to: number): void {
    let text: string
    if (this.#begun.bytes === 0) text = chunk.toString('utf8', from, to)
    else {
      this.#begun.add(chunk.subarray(from, to))
      text = this.#begun.view.toString()
      this.#begun.clear()
    }
    this.#inObject = false
    this.#onObject(text)
  }

  #keepFrame(chunk: Buffer, from: number, to: number): void {
    if (this.#depth > 0 && from < to) this.#keep(this.#frame, chunk, from, to)
  }

  #keep(kept: Gathered, chunk: Buffer, from: number, to: number): void {
    if (kept.bytes + to - from > OBJECT_BYTES_MAX) {
      throw new TaffrailError(
        'JSON_TOO_LARGE',
        `an object of the API server's answer is over ${OBJECT_BYTES_MAX} bytes`,
      )
    }
    kept.add(chunk.subarray(from, to))
  }
}

function tooManyValues(): TaffrailError {
  return new TaffrailError('JSON_TOO_LARGE', `an object of the API server's answer has over ${VALUES_MAX} values`)
}
