// Snappy's block format, compressed by a WebAssembly function (snappy.wat) in the memory of the rows. The package `snappy` does
// the same, but for each call it clears memory for the largest result there could be, and copies the result out of that. And it looks for
// four equal bytes, within 64 KiB that begin anew each time: with eight, and a window that moves along, pushes take a fifth less CPU (1,660 MB/s
// of audit events instead of 1,260, 815 of container lines instead of 695) and are of about the same size (12 % smaller, 2 % larger).
// Tests hold it against the package's decoder.
// Invariant: between two calls nothing lives in the memory. Bound: SNAPPY_BYTES of it, and the result.

import { createRequire } from 'node:module'
import type { Part } from '../../batch/part.ts'
import { instantiate } from '../../core/wasm.ts'
import type { SharedMemory } from './events-layout.ts'
import { SNAPPY_WASM } from './snappy-wasm.ts'

/** Loaded when it is first needed, at a refusal or where there is no WebAssembly: it is 20 ms and 3.5 MiB. */
const loadPackage: () => typeof import('snappy') = () => createRequire(import.meta.url)('snappy')

const TABLE_BYTES = 2 * 16_384
/** Of what lies elsewhere, so much is copied in at a time. */
const PIECE_BYTES = 256 * 1024
/** What a piece may come to beyond its length, and what is touched behind that. */
const PIECE_SLACK = Math.ceil(PIECE_BYTES / 60) + 32
const OUT_BYTES = 2 * (PIECE_BYTES + PIECE_SLACK)
/** In the memory of the rows, all that it needs. */
export const SNAPPY_BYTES = TABLE_BYTES + OUT_BYTES

/** Makes a block of a body, in memory of its own. */
export type Compress = (body: Buffer) => Buffer

/** Where there is no memory of rows: the package. */
export const compressByPackage: Compress = (body) =>
  loadPackage().compressSync(body, { copyOutputData: true }) as Buffer

interface Exports {
  clear(): void
  compress(start: number, from: number, end: number, to: number): number
}

export class Snappy {
  readonly #memory: Buffer
  readonly #functions: Exports
  readonly #out: number
  readonly #scratch: number
  /** Of the block that is being made: where the next elements come, where those begin that are in no piece yet, what is gathered. */
  #to = 0
  #from = 0
  #gathered = 0
  #pieces: Buffer[] = []

  constructor({ memory, snappy, stage }: SharedMemory) {
    this.#functions = instantiate(SNAPPY_WASM, { rows: { memory }, place: { table: snappy } }) as Exports
    this.#memory = Buffer.from(memory.buffer)
    this.#out = snappy + TABLE_BYTES
    this.#scratch = stage
  }

  readonly compress: Compress = (body) => {
    this.begin(body.length)
    this.add(body)
    return this.end()
  }

  /** Begins a block of so many bytes. Until its end no other is made, and nothing else uses the memory. */
  begin(bytes: number): void {
    this.#from = this.#out
    this.#to = this.#out
    this.#gathered = 0
    this.#pieces = []
    for (const byte of lengthOf(bytes)) this.#memory[this.#to++] = byte
  }

  /** What comes next in the block. */
  add(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const more = Math.min(PIECE_BYTES - this.#gathered, bytes.length - at)
      at += bytes.copy(this.#memory, this.#scratch + this.#gathered, at, at + more)
      this.#gathered += more
      if (this.#gathered === PIECE_BYTES) this.#flush()
    }
  }

  /** The same, compressed by `pack`. */
  addPacked(elements: Buffer): void {
    this.#flush()
    this.#closePiece()
    this.#pieces.push(elements)
  }

  /** The block, in memory of its own. */
  end(): Buffer {
    this.#flush()
    this.#closePiece()
    const block = Buffer.allocUnsafeSlow(this.#pieces.reduce((sum, { length }) => sum + length, 0))
    let end = 0
    for (const piece of this.#pieces) end += piece.copy(block, end)
    this.#pieces = []
    return block
  }

  /** Compresses what lies in the memory at [from, end), and appends it to a part: elements for a block (`addPacked`). */
  pack(from: number, end: number, part: Part): void {
    this.#functions.clear()
    for (let at = from; at < end; at += PIECE_BYTES) {
      const to = this.#functions.compress(from, at, Math.min(end, at + PIECE_BYTES), this.#out)
      part.put(this.#memory.subarray(this.#out, to))
      part.savedBytes += Math.min(end - at, PIECE_BYTES) - (to - this.#out)
    }
  }

  /** Compresses what is gathered. */
  #flush(): void {
    if (this.#gathered === 0) return
    if (this.#to + this.#gathered + PIECE_SLACK > this.#out + OUT_BYTES) {
      // What lies there is written over.
      this.#closePiece()
      this.#pieces = [Buffer.concat(this.#pieces)]
      this.#from = this.#out
      this.#to = this.#out
    }
    this.#functions.clear()
    const { compress } = this.#functions
    this.#to = compress(this.#scratch, this.#scratch, this.#scratch + this.#gathered, this.#to)
    this.#gathered = 0
  }

  /** Elements that were just written are a piece of the block, where they lie. */
  #closePiece(): void {
    if (this.#from === this.#to) return
    this.#pieces.push(this.#memory.subarray(this.#from, this.#to))
    this.#from = this.#to
  }
}

/** What elements of `pack` stand for, which are so many bytes. */
export function unpack(elements: Buffer, bytes: number): Buffer {
  return loadPackage().uncompressSync(Buffer.concat([lengthOf(bytes), elements]), { asBuffer: true }) as Buffer
}

/** What stands in front of a block of so many bytes. */
function lengthOf(bytes: number): Buffer {
  const length: number[] = []
  let rest = bytes
  for (; rest > 127; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128)
  return Buffer.from([...length, rest])
}
