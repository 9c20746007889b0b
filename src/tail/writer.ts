// Where a reader's entries go: the contract between reading and batching.
import type { Entry } from '../core/entry.ts'

/** Where entries go. The reader asks before it changes any state, so that a line that does not fit is read again. */
export interface EntryWriter {
  /** Whether an entry with a message of so many bytes can be written. */
  fits(entry: Entry, messageBytes: number): boolean
  write(entry: Entry): void
  /** Bytes that may still be written, about. */
  readonly roomBytes: number
}
