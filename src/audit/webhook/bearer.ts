// The bearer token that API servers must show, from a file that is read again when it changes. Compared in a time that does
// not depend on where it differs.
import { createHash, timingSafeEqual } from 'node:crypto'
import { TaffrailError } from '../../core/errors.ts'

const LOOK_MS = 1000

export class BearerToken {
  readonly #path: string
  readonly #readFile: (path: string) => Buffer
  readonly #monotonic: () => number
  #digest: Buffer | null = null
  #readAt = Number.NEGATIVE_INFINITY

  constructor(path: string, readFile: (path: string) => Buffer, monotonic: () => number) {
    this.#path = path
    this.#readFile = readFile
    this.#monotonic = monotonic
  }

  /** Reads the file, at most once a second. Throws the system's error, and WEBHOOK_TOKEN where it holds none. */
  look(): void {
    const now = this.#monotonic()
    if (this.#digest !== null && now - this.#readAt < LOOK_MS) return
    this.#readAt = now
    const token = this.#readFile(this.#path)
      .toString()
      .replace(/\r?\n$/, '')
    if (token === '') throw new TaffrailError('WEBHOOK_TOKEN', `tokenFile ${this.#path} is empty`)
    this.#digest = digest(token)
  }

  /** Whether the value of an Authorization header carries the token. */
  isShownBy(authorization: string | undefined): boolean {
    const match = /^Bearer +(\S+) *$/i.exec(authorization ?? '')
    return match !== null && this.#digest !== null && timingSafeEqual(digest(match[1]!), this.#digest)
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
