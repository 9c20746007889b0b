// A lineage's records as they stand in a bulk: an action line with the `_id`, and the document. All that is the same for
// a source stream of a file lies ready as one template that is copied; then the few places that differ are written over
// it, and behind it come offset and message. Byte path: no object and no string per record.
import type { Part } from '../../batch/part.ts'
import type { EntryEncoder } from '../../batch/target.ts'
import { type Entry, type EntryFile, MARK_GAP, MARK_INVALID_UTF8, STDERR } from '../../core/entry.ts'
import { jsonTextBytesMax, writeJsonText } from '../json-text.ts'
import { SECONDS_LETTERS, secondsText, writeDecimal, writeNanos } from '../time-text.ts'
import { isPlainJsonObject } from './json-object.ts'
import { marksOf } from './marks.ts'
import {
  fileLetters,
  ID_BYTES_AT,
  ID_FILE_AT,
  ID_LETTERS,
  ID_NANOS_AT,
  ID_OFFSET_AT,
  ID_SECONDS_AT,
  writeFive,
  writeSeven,
  writeSix,
} from './record-id.ts'

/** All of a document but its template, its message and its marks. */
const OVERHEAD_BYTES = 64
const MARKS_BYTES_MAX = 1024
const BEFORE_JSON = Buffer.from('},"json":')
const BEFORE_MARKS = Buffer.from('},"taffrail":')
const BEFORE_MESSAGE = Buffer.from('},"message":"')
const AFTER_MESSAGE = Buffer.from('"}\n')
/** `BEFORE_MESSAGE` and `AFTER_MESSAGE` as little-endian words. */
const MESSAGE_0 = BEFORE_MESSAGE.readInt32LE(0)
const MESSAGE_1 = BEFORE_MESSAGE.readInt32LE(4)
const MESSAGE_2 = BEFORE_MESSAGE.readInt32LE(8)
const QUOTE = 0x22
const BRACE = 0x7b

export interface DocumentOptions {
  /** Without one the server makes an id, and a repeat is another document. */
  hasIds: boolean
  /** What makes the lineage's files unlike everybody else's: the pod's UID and the container, or node and path. */
  owner: readonly string[]
  /** What `lineageFields` gave for stdout and stderr. */
  fields: readonly [string, string]
  /** Lines that are JSON objects go into the field `json`, too. */
  expandsJson: boolean
}

/** What is the same for all records of one source stream of one file, but for the second in which they were written. */
class Template {
  readonly bytes: Buffer
  readonly view: DataView
  /** Where the id and the time begin; the former -1 where there is none. */
  readonly idAt: number
  readonly timeAt: number
  seconds = -1

  constructor({ hasIds }: DocumentOptions, fields: string) {
    // The request names the index.
    const actionLine = JSON.stringify({ create: hasIds ? { _id: 'A'.repeat(ID_LETTERS) } : {} })
    const head = `${actionLine}\n{"@timestamp":"`
    this.bytes = Buffer.from(`${head}${secondsText(0)}.000000000Z",${fields},"offset":`)
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length)
    this.idAt = hasIds ? Buffer.byteLength(actionLine) - 3 - ID_LETTERS : -1
    this.timeAt = Buffer.byteLength(head)
  }

  setFile(letters: string): void {
    if (this.idAt >= 0) this.bytes.write(letters, this.idAt + ID_FILE_AT, 'latin1')
  }

  setSeconds(seconds: number): void {
    this.seconds = seconds
    this.bytes.write(secondsText(seconds), this.timeAt, 'latin1')
    if (this.idAt >= 0) writeSix(this.view, this.idAt + ID_SECONDS_AT, seconds)
  }
}

export class DocumentEncoder implements EntryEncoder {
  readonly #options: DocumentOptions
  /** By source stream. */
  readonly #templates: readonly [Template, Template]
  #file: EntryFile | null = null
  #head = ''

  constructor(options: DocumentOptions) {
    this.#options = options
    const [out, err] = options.fields
    this.#templates = [new Template(options, out), new Template(options, err)]
  }

  /** Two bytes for each of the message: control characters take more, and the few records that are full of them lie over it. */
  sizeMax(entry: Entry, messageBytes: number): number {
    const bytes = this.#templates[0].bytes.length + OVERHEAD_BYTES + 2 * messageBytes
    return bytes + (entry.marks === 0 ? 0 : MARKS_BYTES_MAX) + (this.#options.expandsJson ? messageBytes : 0)
  }

  write(part: Part, entry: Entry): void {
    const { buffer: source, messageStart: start, messageEnd: end } = entry
    const template = this.#templates[entry.stream === STDERR ? 1 : 0]
    if (entry.file !== this.#file || this.#file?.head.hash !== this.#head) this.#begin(entry.file)
    if (entry.seconds !== template.seconds) template.setSeconds(entry.seconds)
    const { bytes, idAt } = template
    const textBytesMax = jsonTextBytesMax(source, start, end) + OVERHEAD_BYTES
    part.reserve(bytes.length + textBytesMax)
    const base = part.end
    bytes.copy(part.buffer, base)
    const { view } = part
    writeNanos(view, base + template.timeAt + SECONDS_LETTERS + 1, entry.nanos)
    if (idAt >= 0) {
      writeFive(view, base + idAt + ID_NANOS_AT, entry.nanos)
      writeSeven(view, base + idAt + ID_OFFSET_AT, entry.offset)
      writeFive(view, base + idAt + ID_BYTES_AT, entry.sourceBytes % 0x4000_0000)
    }
    part.end = writeDecimal(part.buffer, base + bytes.length, entry.offset)
    // Replaced bytes show themselves; a mark would be stored with every line of a binary log.
    const marks = entry.marks & ~MARK_INVALID_UTF8
    if (marks !== 0) this.#writeMarks(part, entry, marks, base + idAt, textBytesMax)
    if (this.#options.expandsJson && source[start] === BRACE && isPlainJsonObject(source, start, end)) {
      writeMember(part, BEFORE_JSON, source, start, end, textBytesMax)
    }
    const at = part.end
    const target = part.view
    target.setInt32(at, MESSAGE_0, true)
    target.setInt32(at + 4, MESSAGE_1, true)
    target.setInt32(at + 8, MESSAGE_2, true)
    part.buffer[at + 12] = QUOTE
    part.end = at + BEFORE_MESSAGE.length
    writeJsonText(part, source, start, end)
    part.end += AFTER_MESSAGE.copy(part.buffer, part.end)
  }

  /** What follows begins in this file. */
  #begin(file: EntryFile | null): void {
    this.#file = file
    this.#head = file?.head.hash ?? ''
    const letters = fileLetters([...this.#options.owner, file?.order.restart ?? 0, this.#head])
    for (const template of this.#templates) template.setFile(letters)
  }

  /** Few records have them. `idAt` in the part. */
  #writeMarks(part: Part, entry: Entry, marks: number, idAt: number, roomBytes: number): void {
    const text = Buffer.from(JSON.stringify(marksOf(entry, marks)))
    writeMember(part, BEFORE_MARKS, text, 0, text.length, roomBytes)
    // A hole has no bytes; what it says is all that tells it from another one at the same place.
    if ((marks & MARK_GAP) === 0 || !this.#options.hasIds) return
    const said = entry.buffer.toString('utf8', entry.messageStart, entry.messageEnd)
    part.buffer.write(fileLetters([...this.#options.owner, said]), idAt + ID_FILE_AT, 'latin1')
  }
}

/**
 * Closes `log` and appends a member whose value is an object, source[start, end), as it is; the object stays open for what comes next.
 * Room for `roomBytes` more is kept.
 */
function writeMember(part: Part, name: Buffer, source: Buffer, start: number, end: number, roomBytes: number): void {
  part.reserve(name.length + end - start + roomBytes)
  part.end += name.copy(part.buffer, part.end)
  part.end += source.copy(part.buffer, part.end, start, end - 1)
}
