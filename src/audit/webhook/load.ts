// The memory that bodies and what is made of them may take, all requests together, counted before a byte of a body is read:
// who does not fit waits, and its body stays with its sender; who waits for too long is shed. Invariant: what is taken
// is given back, and who came first is let in first. Bound: `bytesMax`, but the first one always has room.
import type { Clock } from '../../ports/clock.ts'

/** A body and its lines are there at once for a while. */
const COPIES = 2
/** An answer that comes later than after 30 s counts for none. */
const WAIT_MS_MAX = 5000

interface Waiting {
  bytes: number
  settle: (isLetIn: boolean) => void
}

export class Load {
  readonly bytesMax: number
  bytes = 0
  readonly #clock: Clock
  readonly #waiting: Waiting[] = []

  constructor(bytesMax: number, clock: Clock) {
    this.bytesMax = bytesMax
    this.#clock = clock
  }

  /** Takes room for a body of so many bytes, as soon as there is some; false: there was none for too long. */
  take(bodyBytes: number): Promise<boolean> {
    const bytes = COPIES * bodyBytes
    if (this.#waiting.length === 0 && this.#hasRoom(bytes)) {
      this.bytes += bytes
      return Promise.resolve(true)
    }
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const cancel = this.#clock.after(WAIT_MS_MAX, () => {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
      resolve(false)
      this.#letIn() // those behind it may be smaller
    })
    const waiting: Waiting = {
      bytes,
      settle(isLetIn) {
        cancel()
        resolve(isLetIn)
      },
    }
    this.#waiting.push(waiting)
    return promise
  }

  give(bodyBytes: number): void {
    this.bytes -= COPIES * bodyBytes
    this.#letIn()
  }

  #letIn(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#hasRoom(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift()
      this.bytes += next.bytes
      next.settle(true)
    }
  }

  #hasRoom(bytes: number): boolean {
    return this.bytes === 0 || this.bytes + bytes <= this.bytesMax
  }
}
