// Reads a compressed sibling as if it were plain: positional reads in decompressed bytes, mostly ascending. Holds of the
// decompressed data KEPT_BYTES_MAX before the place that is read, and WINDOW_BYTES plus what 16 KiB become after it.
// Decompression runs on the thread pool, so a read may have to wait: it then returns WAIT and `onReady` is called later.
// A step back to what is not held any more begins again from the start of the file.
import type { ReadFileSystem } from '../ports/fs.ts'
import type { Gunzip, GunzipStream } from '../ports/gunzip.ts'

export const WAIT = -1

const WINDOW_BYTES = 256 * 1024
const KEPT_BYTES_MAX = 512 * 1024
// Small, because it may decompress to a thousand times its size.
const INPUT_BYTES = 16 * 1024

export class GzipReader {
  /** Why the data ends before its time (cut off, damaged), once the read position has come to that place; else null. */
  failure: string | null = null
  readonly #fs: ReadFileSystem
  readonly #fd: number
  readonly #gunzip: Gunzip
  readonly #onReady: () => void
  #stream: GunzipStream | null = null
  #input: Buffer | null = null
  #inputPosition = 0
  #feeding = false
  #ended = false
  #chunks: Buffer[] = []
  /** Decompressed offset of the first byte of the first chunk. */
  #windowStart = 0
  #windowBytes = 0
  #wanted = 0
  #keepFrom = 0

  constructor(fs: ReadFileSystem, fd: number, gunzip: Gunzip, onReady: () => void) {
    this.#fs = fs
    this.#fd = fd
    this.#gunzip = gunzip
    this.#onReady = onReady
  }

  /**
   * Like ReadFileSystem.read, in decompressed bytes; WAIT when there is nothing yet. What comes after `keepFrom` may be
   * asked for again. Throws what reading the file throws.
   */
  read(target: Buffer, targetOffset: number, length: number, position: number, keepFrom = position): number {
    if (this.#stream === null || position < this.#windowStart) this.#restart()
    this.#wanted = position
    this.#keepFrom = Math.max(Math.min(keepFrom, position), position - KEPT_BYTES_MAX)
    this.#discard()
    let copied = 0
    if (this.#windowStart <= position) {
      let skip = position - this.#windowStart
      for (const chunk of this.#chunks) {
        if (copied === length) break
        if (skip >= chunk.length) {
          skip -= chunk.length
          continue
        }
        const part = Math.min(chunk.length - skip, length - copied)
        chunk.copy(target, targetOffset + copied, skip, skip + part)
        copied += part
        skip = 0
      }
    }
    this.#feed()
    if (copied > 0) return copied
    return this.#ended ? 0 : WAIT
  }

  /** Whether the end of the data (sound or not) is known. */
  get ended(): boolean {
    return this.#ended
  }

  close(): void {
    this.#stream?.destroy()
    this.#stream = null
    this.#input = null
    this.#chunks = []
    this.#windowBytes = 0
  }

  #restart(): void {
    this.close()
    this.failure = null
    this.#ended = false
    this.#feeding = false
    this.#inputPosition = 0
    this.#windowStart = 0
    const stream: GunzipStream = this.#gunzip.stream(
      (data) => {
        if (this.#stream !== stream) return
        this.#chunks.push(data)
        this.#windowBytes += data.length
        this.#discard()
      },
      (failure) => {
        if (this.#stream !== stream) return
        this.failure = failure
        this.#ended = true
        this.#onReady()
      },
    )
    this.#stream = stream
  }

  /** Drops whole chunks that nobody will ask for again. */
  #discard(): void {
    while (this.#chunks.length > 0) {
      const first = this.#chunks[0] as Buffer
      if (this.#windowStart + first.length > this.#keepFrom) break
      this.#windowStart += first.length
      this.#windowBytes -= first.length
      this.#chunks.shift()
    }
  }

  #feed(): void {
    const stream = this.#stream
    if (stream === null || this.#feeding || this.#ended || this.#aheadBytes >= WINDOW_BYTES) return
    this.#input ??= Buffer.allocUnsafeSlow(INPUT_BYTES)
    const length = this.#fs.read(this.#fd, this.#input, 0, INPUT_BYTES, this.#inputPosition)
    this.#inputPosition += length
    this.#feeding = true
    if (length === 0) {
      stream.end()
      return
    }
    stream.write(this.#input.subarray(0, length), () => {
      if (this.#stream !== stream) return
      this.#feeding = false
      // Nothing to read yet (still skipping to the wanted position): go on without asking the reader.
      if (this.#aheadBytes <= 0) this.#feedOrFail()
      else this.#onReady()
    })
  }

  /** Held bytes from the wanted position on; negative before it is reached. */
  get #aheadBytes(): number {
    return this.#windowStart + this.#windowBytes - this.#wanted
  }

  #feedOrFail(): void {
    try {
      this.#feed()
    } catch {
      this.#onReady() // the next read meets the same error and reports it
    }
  }
}
