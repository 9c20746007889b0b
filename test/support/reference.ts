// What a reader should make of a lineage's files, computed the slow way: whole files in memory, rows by a regular
// expression, no blocks. Shares nothing with the reader but the time rule, which is tested for itself.
import { createHash } from 'node:crypto'
import { wholeCharacters } from '../../src/parse/repair.ts'
import { Timeline } from '../../src/parse/timeline.ts'
import type { Delivered } from './tail-rig.ts'

const SPAN_BYTES_MAX = 16 * 1024 * 1024
const ROW =
  /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d) (stdout|stderr) ([PF])(?::[^ ]*)?(?: ([\s\S]*))?$/

interface Open {
  pieces: Buffer[]
  seconds: number
  nanos: number
  offset: number
  start: number
  sourceBytes: number
  sourceLines: number
}

type Stream = 'stdout' | 'stderr'

export interface ReferenceOptions {
  lineBytesMax: number
  /** A row without a newline at the end of this many of the files, and what it would end there, is given out too. */
  finished: boolean
}

/** Entries of container files, oldest first; `restart` of each says which belong to one life of the container. */
export function reference(
  files: readonly { content: Buffer; restart: number }[],
  { lineBytesMax, finished }: ReferenceOptions,
): Delivered[] {
  const entries: Delivered[] = []
  const timeline = new Timeline()
  const open: { [each in Stream]: Open | null } = { stdout: null, stderr: null }
  let read = 0

  const emit = (stream: Stream, from: Open, marks: string[]) => {
    const whole = Buffer.concat(from.pieces)
    timeline.emit(stream === 'stdout' ? 0 : 1, from.seconds, from.nanos)
    const time = BigInt(timeline.seconds) * 1_000_000_000n + BigInt(timeline.nanos)
    const { bytes, cut, invalid } = fitted(whole, lineBytesMax)
    const all = ['not_cri', 'future_time', 'invalid_utf8', 'cut', 'partial_open']
    const mine = [...marks, ...(cut ? ['cut'] : []), ...(invalid ? ['invalid_utf8'] : [])]
    entries.push({
      text: bytes.toString(),
      bytes,
      stream,
      time,
      marks: all.filter((mark) => mine.includes(mark)),
      offset: from.offset,
      sourceBytes: from.sourceBytes,
      sourceLines: from.sourceLines,
      originalBytes: cut ? whole.length : 0,
      originalSha256: cut ? createHash('sha256').update(whole).digest('hex') : '',
      originalTime: '',
    })
  }
  const end = (stream: Stream, marks: string[] = []) => {
    const ended = open[stream]
    open[stream] = null
    if (ended !== null) emit(stream, ended, marks)
  }

  for (const [index, { content, restart }] of files.entries()) {
    let offset = 0
    while (offset < content.length) {
      const newline = content.indexOf(10, offset)
      const isLast = newline < 0
      if (isLast && !finished && index === files.length - 1) return entries
      const line = content.subarray(offset, isLast ? content.length : newline)
      const next = isLast ? content.length : newline + 1
      for (const stream of ['stdout', 'stderr'] as const) {
        const each = open[stream]
        if (each !== null && read + offset - each.start > SPAN_BYTES_MAX) end(stream, ['partial_open'])
      }
      const place = { offset, start: read + offset, sourceBytes: next - offset, sourceLines: 1 }
      const row = parsed(line)
      if (row === null) {
        const seconds = timeline.rowSeconds
        emit('stdout', { pieces: [line], seconds, nanos: timeline.rowNanos, ...place }, ['not_cri'])
      } else {
        const begun: Open = open[row.stream] ?? { ...place, ...row, pieces: [], sourceBytes: 0, sourceLines: 0 }
        begun.pieces.push(row.message)
        begun.sourceBytes += place.sourceBytes
        begun.sourceLines++
        open[row.stream] = begun
        if (!row.partial) end(row.stream)
        timeline.row(row.seconds, row.nanos)
      }
      offset = next
    }
    read += content.length
    const after = files[index + 1]
    if (after === undefined ? finished : after.restart !== restart) {
      end('stdout')
      end('stderr')
    }
  }
  return entries
}

function parsed(line: Buffer) {
  const text = line.toString('latin1')
  const row = ROW.exec(text)
  if (row === null) return parsedJson(line)
  const [, second, fraction, zone, stream, tag, message] = row
  return {
    seconds: Date.parse(`${second}${zone}`) / 1000,
    nanos: Number((fraction ?? '').padEnd(9, '0').slice(0, 9)),
    stream: stream as Stream,
    partial: tag === 'P',
    message: Buffer.from(message ?? '', 'latin1'),
  }
}

function parsedJson(line: Buffer) {
  if (!line.toString().startsWith('{"log":')) return null
  const { log, stream, time } = JSON.parse(line.toString()) as { log: string; stream: Stream; time: string }
  const partial = !log.endsWith('\n')
  const [, second, fraction] = /^(.{19})(?:\.(\d+))?Z$/.exec(time)!
  return {
    seconds: Date.parse(`${second}Z`) / 1000,
    nanos: Number((fraction ?? '').padEnd(9, '0')),
    stream,
    partial,
    message: Buffer.from(partial ? log : log.slice(0, -1)),
  }
}

/** Valid UTF-8 of at most `max` bytes. */
function fitted(whole: Buffer, max: number): { bytes: Buffer; cut: boolean; invalid: boolean } {
  let bytes = whole
  let cut = false
  const shorten = () => {
    if (bytes.length <= max) return
    bytes = bytes.subarray(0, max)
    bytes = bytes.subarray(0, wholeCharacters(bytes))
    cut = true
  }
  shorten()
  const repaired = Buffer.from(bytes.toString())
  const invalid = !repaired.equals(bytes)
  if (invalid) {
    bytes = repaired
    shorten()
  }
  return { bytes, cut, invalid }
}

/** What is the same in every repeat of an entry, as one string. */
export function identity(entry: Delivered): string {
  const { bytes, stream, time, marks, offset, sourceBytes, sourceLines, originalBytes, originalSha256 } = entry
  const original = marks.includes('cut') ? `${originalBytes} ${originalSha256}` : ''
  return `${stream} ${time} [${marks}] @${offset} ${sourceBytes}/${sourceLines} ${original} ${bytes.toString('latin1')}`
}
