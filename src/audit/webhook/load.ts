// The memory that bodies and what is made of them may take, all requests together, counted before a byte of a body is read.
// Invariant: what is taken is given back. Bound: `bytesMax`; who asks for more is shed, but the first one always has room.

/** A body and its lines are there at once for a while. */
const COPIES = 2

export class Load {
  readonly bytesMax: number
  bytes = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Whether there is room for a body of so many bytes; then it is taken. */
  take(bodyBytes: number): boolean {
    const bytes = COPIES * bodyBytes
    if (this.bytes > 0 && this.bytes + bytes > this.bytesMax) return false
    this.bytes += bytes
    return true
  }

  give(bodyBytes: number): void {
    this.bytes -= COPIES * bodyBytes
  }
}
