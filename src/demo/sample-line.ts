// Lines that can be checked one by one wherever they arrive: `w=WRITER n=SEQUENCE c=CHECKSUM filler`. The checksum is
// the CRC-32 of everything else in the line, so that neither the numbers nor the filler can change unnoticed.
import { crc32 } from 'node:zlib'

const FILLER_BYTES = 256 * 1024
/** Words of a log in ASCII: a line may be cut anywhere and is whole text. 101 bytes, so that no two pieces of a power of two are alike. */
const FILLER = Buffer.alloc(
  2 * FILLER_BYTES,
  'GET /api/v1/orders/4711 200 13ms user=alice request=7f3ab9 retry=0 {"cache":"miss","shard":17} queue ',
)
const HEADER = /^w=([!-~]+) n=(\d+) c=([0-9a-f]{8})(?: |$)/
const HEADER_BYTES_MAX = 256

export interface SampleLine {
  writer: string
  sequence: number
  checksum: number
}

/**
 * Makes line `sequence` of a writer, without a newline, exactly `bytes` long or as long as its numbers need. `writer`
 * must hold no space. The same arguments give the same line.
 */
export function sampleLine(writer: string | number, sequence: number, bytes: number): Buffer {
  const numbers = `w=${writer} n=${sequence} `
  const fillerStart = Buffer.byteLength(numbers) + 'c=00000000 '.length
  const line = Buffer.allocUnsafe(Math.max(bytes, fillerStart - 1))
  line.write(numbers, 'latin1')
  for (let at = fillerStart; at < line.length; at += FILLER_BYTES)
    FILLER.copy(line, at, sequence % 101, (sequence % 101) + FILLER_BYTES)
  const filler = line.subarray(Math.min(fillerStart, line.length))
  const checksum = crc32(filler, crc32(numbers)).toString(16).padStart(8, '0')
  line.write(`c=${checksum}${fillerStart > line.length ? '' : ' '}`, numbers.length, 'latin1')
  return line
}

/** Makes line `sequence` of a writer around a text: valid UTF-8 without a newline. `writer` must hold no space. */
export function sampleTextLine(writer: string, sequence: number, text: Buffer): Buffer {
  const numbers = `w=${writer} n=${sequence} `
  const checksum = crc32(text, crc32(numbers)).toString(16).padStart(8, '0')
  const header = `${numbers}c=${checksum} `
  const line = Buffer.allocUnsafe(header.length + text.length)
  text.copy(line, line.write(header, 'latin1'))
  return line
}

/** Reads a line back; null when it is none or its checksum does not match. */
export function readSampleLine(line: Buffer): SampleLine | null {
  const match = HEADER.exec(line.toString('latin1', 0, HEADER_BYTES_MAX))
  if (match === null) return null
  const [header, writer = '', digits = '', hex = ''] = match
  const checksum = Number.parseInt(hex, 16)
  const numbers = `w=${writer} n=${digits} `
  if (crc32(line.subarray(header.length), crc32(numbers)) !== checksum) return null
  return { writer, sequence: Number(digits), checksum }
}
