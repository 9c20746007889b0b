// A row is one line of a container's log file taken apart: whose it is, when it was written, whether it goes on in the
// next row. One mutable object per reader; it owns no bytes.

export interface Row {
  /** Where the message lies: the block that was parsed, or a buffer of the parser's own (docker-json). */
  buffer: Buffer
  messageStart: number
  messageEnd: number
  /** Whole seconds since the epoch and nanoseconds. */
  seconds: number
  nanos: number
  /** STDOUT or STDERR. */
  stream: number
  /** The message goes on in the next row of the same source stream. */
  partial: boolean
}

export function newRow(): Row {
  return {
    buffer: Buffer.alloc(0),
    messageStart: 0,
    messageEnd: 0,
    seconds: 0,
    nanos: 0,
    stream: 0,
    partial: false,
  }
}

/** Takes a row apart that lies in `buffer[start, end)`, newline excluded; false when it is not of the parser's format. */
export type RowParser = (buffer: Buffer, start: number, end: number, row: Row) => boolean
