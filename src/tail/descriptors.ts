// The descriptors that files may take, when there are fewer of them than files: how many there are. Bound: `max` open files,
// and COPIES_MAX more for a moment; the rest of the process's limit is for sinks, server and state. Whose turn it is to have
// them is in descriptor-turns.ts.

/** For the sinks' sockets there is more to come; this is for the server's, the state's files, watches and listings. */
export const RESERVED_DESCRIPTORS = 16
/** So many of them may be taken for a moment. */
export const COPIES_MAX = 8
/** Whatever the limit: with fewer nothing can be read in order. */
export const DESCRIPTORS_MIN = 4

/** How many files may be open, and how many are. */
export class Descriptors {
  readonly max: number
  open = 0

  constructor(max: number) {
    this.max = max
  }

  get isFull(): boolean {
    return this.open >= this.max
  }

  /** Nor for the copy of a truncated file, of which something is lost if it is not opened at once. */
  get isExhausted(): boolean {
    return this.open >= this.max + COPIES_MAX
  }
}
