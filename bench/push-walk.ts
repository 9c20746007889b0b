// Walks an uncompressed Loki push (logproto.PushRequest) by hand and tells of every entry. It makes no object per
// entry; whatever it does not know it steps over, and bytes that end too early throw.

export interface EntryVisitor {
  /** A stream begins: its label set as sent. */
  stream(labels: string): void
  /** The line is `buffer[lineStart, lineEnd)`; `metadata` counts the entry's structured metadata pairs. */
  entry(buffer: Buffer, lineStart: number, lineEnd: number, seconds: number, nanos: number, metadata: number): void
}

const VARINT = 0
const LENGTH_DELIMITED = 2

class Cursor {
  readonly buffer: Buffer
  at = 0
  constructor(buffer: Buffer) {
    this.buffer = buffer
  }

  varint(): number {
    let value = 0
    let factor = 1
    for (;;) {
      if (this.at >= this.buffer.length) throw new Error('push ends inside a number')
      const byte = this.buffer[this.at++]!
      value += (byte & 127) * factor
      if (byte < 128) return value
      factor *= 128
    }
  }

  /** Reads a length and returns where the field ends. */
  end(limit: number): number {
    const length = this.varint()
    if (this.at + length > limit) throw new Error(`field of ${length} bytes at ${this.at} runs over ${limit}`)
    return this.at + length
  }

  skip(tag: number, limit: number): void {
    const wire = tag & 7
    if (wire === VARINT) this.varint()
    else if (wire === LENGTH_DELIMITED) this.at = this.end(limit)
    else if (wire === 1) this.at += 8
    else if (wire === 5) this.at += 4
    else throw new Error(`wire type ${wire} at ${this.at}`)
  }
}

const field = (tag: number) => tag >>> 3

export function walkPush(push: Buffer, visitor: EntryVisitor): void {
  const cursor = new Cursor(push)
  while (cursor.at < push.length) {
    const tag = cursor.varint()
    if (field(tag) === 1) walkStream(cursor, cursor.end(push.length), visitor)
    else cursor.skip(tag, push.length)
  }
}

function walkStream(cursor: Cursor, end: number, visitor: EntryVisitor): void {
  while (cursor.at < end) {
    const tag = cursor.varint()
    if (field(tag) === 1) {
      const labelsEnd = cursor.end(end)
      visitor.stream(cursor.buffer.toString('utf8', cursor.at, labelsEnd))
      cursor.at = labelsEnd
    } else if (field(tag) === 2) {
      walkEntry(cursor, cursor.end(end), visitor)
    } else {
      cursor.skip(tag, end)
    }
  }
}

function walkEntry(cursor: Cursor, end: number, visitor: EntryVisitor): void {
  let seconds = 0
  let nanos = 0
  let lineStart = 0
  let lineEnd = 0
  let metadata = 0
  while (cursor.at < end) {
    const tag = cursor.varint()
    const number = field(tag)
    if (number === 1) {
      const timeEnd = cursor.end(end)
      while (cursor.at < timeEnd) {
        const timeTag = cursor.varint()
        if (field(timeTag) === 1) seconds = cursor.varint()
        else if (field(timeTag) === 2) nanos = cursor.varint()
        else cursor.skip(timeTag, timeEnd)
      }
    } else if (number === 2) {
      lineEnd = cursor.end(end)
      lineStart = cursor.at
      cursor.at = lineEnd
    } else {
      if (number === 3) metadata += 1
      cursor.skip(tag, end)
    }
  }
  visitor.entry(cursor.buffer, lineStart, lineEnd, seconds, nanos, metadata)
}
