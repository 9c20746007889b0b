// The records of a bulk that lies encoded in a part: where each begins and ends, its id, its document. Made only when not
// all of them were taken, by the line ends: every record is two lines, and neither has one within it.
import { hash } from 'node:crypto'
import type { Part } from '../../batch/part.ts'
import { PROBE_MARK, probeText } from '../probe.ts'

const NEWLINE = 10

export class BulkRecords {
  readonly part: Part
  readonly count: number
  readonly #starts: Float64Array

  constructor(part: Part) {
    this.part = part
    this.count = part.count
    this.#starts = new Float64Array(part.count + 1)
    let at = 0
    for (let record = 0; record < part.count; record++) {
      this.#starts[record] = at
      at = part.buffer.indexOf(NEWLINE, part.buffer.indexOf(NEWLINE, at) + 1) + 1
    }
    this.#starts[part.count] = at
    if (at !== part.end) throw new Error(`a bulk of ${part.count} records ends at ${at}, not at ${part.end}`)
  }

  bytesOf(record: number): number {
    return (this.#starts[record + 1] as number) - (this.#starts[record] as number)
  }

  /** The bulk of these records, in order: of neighbours the bytes themselves, else a copy. */
  body(records: readonly number[]): Buffer {
    const { buffer } = this.part
    const pieces: Buffer[] = []
    for (let i = 0; i < records.length; ) {
      const first = i
      while (i + 1 < records.length && records[i + 1] === (records[i] as number) + 1) i++
      pieces.push(buffer.subarray(this.#starts[records[first] as number], this.#starts[(records[i] as number) + 1]))
      i++
    }
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
  }

  /** The action line's parameters. */
  action(record: number): { _index?: string; _id?: string } {
    const start = this.#starts[record] as number
    const line = this.part.buffer.toString('utf8', start, this.part.buffer.indexOf(NEWLINE, start))
    return (JSON.parse(line) as { create: { _index?: string; _id?: string } }).create
  }

  /** The bulk of a probe beside that record: for its index, of its time, and with nothing else of it. */
  probe(record: number): { body: Buffer; id: string } {
    const { _index } = this.action(record)
    const document = this.document(record)
    // Of the whole document, so that a record without an id of its own has one probe, too.
    const id = hash('sha256', document, 'base64url')
    const message = probeText(this.part.bytesOf(record))
    const { '@timestamp': time } = JSON.parse(document) as { '@timestamp': string }
    const lines = [{ create: { _index, _id: id } }, { '@timestamp': time, message, taffrail: { mark: [PROBE_MARK] } }]
    return { body: Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join('')), id }
  }

  /** The document, as it is sent. */
  document(record: number): string {
    const start = this.part.buffer.indexOf(NEWLINE, this.#starts[record]) + 1
    return this.part.buffer.toString('utf8', start, (this.#starts[record + 1] as number) - 1)
  }
}
