// A probe: a record of our own that stands beside one which is suspected alone. A server error says nothing of a record as long
// as it may be the server's; what tells is another record of the same stream or index that is taken each time. Where there
// is none for long, a probe is sent instead: a quiet log may never get another line, and nothing goes past what is not settled.
// Invariant: a probe is a function of the record that it stands beside, so however often it is sent it is stored once.

/** After so many failures of a lane in turn, some minutes, no neighbour is waited for any more. */
export const PROBE_ATTEMPTS = 10
/** What a probe is marked with, as other marks are (core/entry.ts). */
export const PROBE_MARK = 'probe'

/** The line of a probe beside a record that is so many bytes of a file. */
export function probeText(bytes: number): string {
  return `taffrail: sent to see whether this log is served, beside a record of ${bytes} bytes that gets server errors`
}
