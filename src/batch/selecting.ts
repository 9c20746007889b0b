// Stands between a reader and its shipment where a selection applies: lines that a rule leaves out are accounted as
// skipped, the others go on, redacted where they must be. Where none applies the reader writes to the shipment itself.
import type { Entry } from '../core/entry.ts'
import { RATE_LIMIT, REDACTED_BYTES_MORE_MAX, type Selection } from '../select/selection.ts'
import type { EntryWriter } from '../tail/writer.ts'
import type { Shipment } from './shipment.ts'

export class SelectingWriter implements EntryWriter {
  readonly #shipment: Shipment
  readonly #selection: Selection

  constructor(shipment: Shipment, selection: Selection) {
    this.#shipment = shipment
    this.#selection = selection
  }

  get roomBytes(): number {
    return this.#shipment.roomBytes
  }

  fits(entry: Entry, messageBytes: number): boolean {
    return this.#shipment.fits(entry, messageBytes + (this.#selection.redacts ? REDACTED_BYTES_MORE_MAX : 0))
  }

  write(entry: Entry): void {
    const rule = this.#selection.ruleFor(entry)
    if (rule !== null) {
      if (rule === RATE_LIMIT) this.#shipment.leaveOut(entry, 'dropped', 'rateLimit')
      else this.#shipment.leaveOut(entry, 'skipped', rule)
      return
    }
    const redacted = this.#selection.redacts ? this.#selection.redact(entry) : null
    if (redacted === null) {
      this.#shipment.write(entry)
      return
    }
    // The entry is the reader's, who goes on with it.
    const { buffer, messageStart, messageEnd } = entry
    entry.buffer = redacted
    entry.messageStart = 0
    entry.messageEnd = redacted.length
    this.#shipment.write(entry)
    entry.buffer = buffer
    entry.messageStart = messageStart
    entry.messageEnd = messageEnd
  }
}
