// What happened in a world, in order, as one hash: two runs of a seed that differ anywhere differ here. Kept as lines
// only when somebody wants to read them.
import { crc32 } from 'node:zlib'

export class Trace {
  readonly #print: ((line: string) => void) | undefined
  #now: () => number = () => 0
  #hash = 0
  #count = 0

  /** `print` gets every line as it is noted. */
  constructor(print?: (line: string) => void) {
    this.#print = print
  }

  /** `now` gives virtual milliseconds. */
  startAt(now: () => number): void {
    this.#now = now
  }

  note(what: string, detail: string): void {
    const ms = this.#now().toFixed(2)
    this.#hash = crc32(`${ms} ${what} ${detail}\n`, this.#hash)
    this.#count++
    this.#print?.(`${ms.padStart(12)} ${what.padEnd(12)} ${detail}`)
  }

  /** For what happens too often to be worth a line. */
  count(number: number): void {
    this.#hash = (Math.imul(this.#hash ^ number, 0x01000193) ^ (this.#hash >>> 15)) >>> 0
    this.#count++
  }

  get hash(): string {
    return `${this.#hash.toString(16).padStart(8, '0')}-${this.#count.toString(16)}`
  }
}
