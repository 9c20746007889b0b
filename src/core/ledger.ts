// The account of a sink: where every byte and line that was read went. Invariant, checked by `imbalance`:
//   read = acked + skipped + dropped + deadLettered + inFlight      (bytes and lines alike)
// Lost bytes were never read and stand beside the sum. Bytes are bytes of the source file (decompressed), newlines and
// CRI prefixes included; a line is a row of the file, so a message in four parts counts as four.

const EVICTED = 'deadLetterEvicted'
/** Reasons that are kept apart: some are a sink's own names for errors, and each is a series of metrics for good. */
const REASONS_MAX = 256
const OTHER = 'other'

/** Bytes and lines of one kind. */
export interface Amount {
  bytes: number
  lines: number
}

export class Ledger {
  readonly read: Amount = { bytes: 0, lines: 0 }
  readonly acked: Amount = { bytes: 0, lines: 0 }
  readonly inFlight: Amount = { bytes: 0, lines: 0 }
  readonly skipped = new Map<string, Amount>()
  readonly dropped = new Map<string, Amount>()
  readonly deadLettered = new Map<string, Amount>()
  /** By reason: of what this process dead-lettered, what was thrown away later. It is among the dropped. */
  readonly evicted = new Map<string, Amount>()
  /** By cause. Bytes that vanished unread; `lines` is not known and stays 0. */
  readonly lost = new Map<string, Amount>()

  take(bytes: number, lines: number): void {
    this.read.bytes += bytes
    this.read.lines += lines
    this.inFlight.bytes += bytes
    this.inFlight.lines += lines
  }

  /** What was taken goes back to the file unread (a rewind): it will be taken again. */
  untake(bytes: number, lines: number): void {
    this.take(-bytes, -lines)
  }

  ack(bytes: number, lines: number): void {
    this.acked.bytes += bytes
    this.acked.lines += lines
    this.inFlight.bytes -= bytes
    this.inFlight.lines -= lines
  }

  /** Moves an amount from in flight to skipped, dropped or deadLettered under its reason. */
  settle(kind: 'skipped' | 'dropped' | 'deadLettered', reason: string, bytes: number, lines: number): void {
    add(this[kind], reason, bytes, lines)
    this.inFlight.bytes -= bytes
    this.inFlight.lines -= lines
  }

  /**
   * Dead letters were thrown away: what was dead-lettered for `reason` is dropped now. Letters of an earlier process were
   * never in this account; they come into it as read and dropped.
   */
  evict(reason: string, bytes: number, lines: number): void {
    const held = this.deadLettered.get(keyIn(this.deadLettered, reason)) ?? { bytes: 0, lines: 0 }
    const own = { bytes: Math.min(held.bytes, bytes), lines: Math.min(held.lines, lines) }
    held.bytes -= own.bytes
    held.lines -= own.lines
    add(this.evicted, reason, own.bytes, own.lines)
    this.read.bytes += bytes - own.bytes
    this.read.lines += lines - own.lines
    add(this.dropped, EVICTED, bytes, lines)
  }

  lose(cause: string, bytes: number): void {
    add(this.lost, cause, bytes, 0)
  }

  /** Bytes and lines by which the sums are off; zeros when they balance. */
  imbalance(): Amount {
    const off = (unit: 'bytes' | 'lines') =>
      this.read[unit] -
      this.acked[unit] -
      this.inFlight[unit] -
      total(this.skipped)[unit] -
      total(this.dropped)[unit] -
      total(this.deadLettered)[unit]
    return { bytes: off('bytes'), lines: off('lines') }
  }
}

/** The sum over all reasons. */
export function total(amounts: ReadonlyMap<string, Amount>): Amount {
  const sum = { bytes: 0, lines: 0 }
  for (const amount of amounts.values()) {
    sum.bytes += amount.bytes
    sum.lines += amount.lines
  }
  return sum
}

function add(amounts: Map<string, Amount>, reason: string, bytes: number, lines: number): void {
  const key = keyIn(amounts, reason)
  const amount = amounts.get(key)
  if (amount === undefined) amounts.set(key, { bytes, lines })
  else {
    amount.bytes += bytes
    amount.lines += lines
  }
}

/** What a reason is called there: nothing is ever taken out, so it is the same for good. */
function keyIn(amounts: ReadonlyMap<string, Amount>, reason: string): string {
  return amounts.size < REASONS_MAX || amounts.has(reason) ? reason : OTHER
}
