// One file of a lineage: its identity, its open descriptor (shared by all sinks through positional reads) and what was
// last seen of it. While the descriptor is open the inode cannot be given to another file, so device+inode is exact.
import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { FileOrder } from '../discover/names.ts'
import { parseCri } from '../parse/cri.ts'
import { parseDockerJson } from '../parse/docker-json.ts'
import { newRow } from '../parse/row.ts'
import type { ReadFileSystem } from '../ports/fs.ts'
import type { Gunzip } from '../ports/gunzip.ts'
import type { Time } from './gap.ts'

/** The head is the first line, at most this much of it. */
export const HEAD_BYTES_MAX = 1024
/** The second witness is the hash of this many bytes before an offset. */
export const WITNESS_BYTES = 1024
const TRIES = 3
const GZIP_HEAD_BYTES = 4096
/** How much of two files is compared to tell whether one is a copy of the other. */
const COMPARED_BYTES = 4096
/** A time and what follows it. */
const BEGINNING_BYTES_MIN = 64
/** Enough for a row's time, and for all of most rows. */
const FIRST_ROW_BYTES = 4096
const LINE_SEARCH_BYTES_MAX = 1024 * 1024

/** A head: the hash of the first `bytes` of the decompressed content, and their CRC-32. */
export interface Head {
  hash: string
  bytes: number
  sum: number
}

/** What a checkpoint knows of a head. */
export type SavedHead = Omit<Head, 'sum'>

export interface TailedFile {
  /** Ascends in reading order within the lineage. */
  sequence: number
  path: string
  dev: number
  ino: number
  /** -1 once closed. */
  fd: number
  compressed: boolean
  order: FileOrder
  /** The highest rank among the names of its life when it was last met as the live file: all of them come before it. */
  rankBefore?: string
  /** What names before its own led to that could not be opened then (`contentOf`): it comes before this one. */
  unopenedBefore?: Set<string>
  /** Whether a name still leads to it, as far as the last look could tell. */
  linked: boolean
  /** Whether the last look met it under its name: `order` is that of now. */
  met: boolean
  /** Whether all files that come before it are known. */
  placed: boolean
  /**
   * It was found empty, and has bytes now. What it had before them may be in a copy (copytruncate) that is not known: it is not
   * begun, and nothing is told of it, until it is `placed` again.
   */
  filled?: true
  /** Bytes as stored, when last seen. */
  sizeSeen: number
  /** Where reading begins: 0, or where an earlier reading of the same file ended. */
  begin: number
  mtimeMs: number
  head: Head
  /** What was read at its marks (copies.ts), as sums; -1 where it was not. null: nothing was, or nobody copies it. */
  marks: number[] | null
  /** Monotonic ms: when it last grew, when a newer file was first seen after it (or its last name went), null if not. */
  grewAt: number
  supersededAt: number | null
  unlinkedAt: number | null
  /** Set when its content can no longer be had; readers before its end record a gap with this cause. */
  gone: string | null
}

const scratch = Buffer.allocUnsafeSlow(GZIP_HEAD_BYTES)

/** Like ReadFileSystem.read, and not short before the file's end. Throws the system's error. */
export function readAll(
  fs: ReadFileSystem,
  fd: number,
  target: Buffer,
  targetOffset: number,
  length: number,
  position: number,
): number {
  let got = 0
  while (got < length) {
    const more = fs.read(fd, target, targetOffset + got, length - got, position + got)
    if (more === 0) break
    got += more
  }
  return got
}

/** Reads the head: the first line with its newline if it fits, else as much of it as there is. Throws the system's error. */
export function readHead(fs: ReadFileSystem, fd: number, compressed: boolean, gunzip: Gunzip): Head {
  return headOf(readBeginning(fs, fd, compressed, gunzip))
}

/** `readHead`, and how many bytes of a plain file were seen by it; 0 of a compressed one. */
export function readHeadAndSize(fs: ReadFileSystem, fd: number, compressed: boolean, gunzip: Gunzip): [Head, number] {
  const beginning = readBeginning(fs, fd, compressed, gunzip)
  return [headOf(beginning), compressed ? 0 : beginning.length]
}

/** The bytes that a head is taken from, decompressed: at least HEAD_BYTES_MAX of them if there are so many. Good until the next read. */
function readBeginning(fs: ReadFileSystem, fd: number, compressed: boolean, gunzip: Gunzip): Buffer {
  const bytes = readAll(fs, fd, scratch, 0, compressed ? GZIP_HEAD_BYTES : HEAD_BYTES_MAX, 0)
  const stored = scratch.subarray(0, bytes)
  return compressed ? gunzip.head(stored) : stored
}

function headOf(content: Buffer): Head {
  const most = content.subarray(0, HEAD_BYTES_MAX)
  const bytes = most.indexOf(10) + 1 || most.length
  const first = most.subarray(0, bytes)
  return { hash: digest(first), bytes, sum: crc32(first) }
}

/**
 * Whether a plain file that is open still begins with the whole head that was read of it, by its sum: files that grow are asked
 * at every look, and a hash for each took an allowance's tenth and most of the old generation. A head that may still grow is
 * not whole. Throws the system's error.
 */
export function keepsHead(fs: ReadFileSystem, { fd, head: { bytes, sum } }: TailedFile): boolean {
  if (bytes === 0 || readAll(fs, fd, scratch, 0, bytes, 0) < bytes) return false
  const isWhole = bytes === HEAD_BYTES_MAX || scratch[bytes - 1] === 10
  return isWhole && crc32(scratch.subarray(0, bytes)) === sum
}

/**
 * Whether a file with `candidate` as its head may be the one that had `known`: compared over the shorter length that was
 * known, so a head taken while the first line was still growing goes on matching. A head of no bytes matches nothing.
 */
export function sameHead(
  fs: ReadFileSystem,
  fd: number,
  compressed: boolean,
  gunzip: Gunzip,
  candidate: SavedHead,
  known: SavedHead,
): boolean {
  return isSameHead(candidate, known, () => readBeginning(fs, fd, compressed, gunzip))
}

/** `sameHead` for one file and many heads: what has to be read of it is read once. */
export function headMatcher(
  fs: ReadFileSystem,
  fd: number,
  compressed: boolean,
  gunzip: Gunzip,
  candidate: SavedHead,
): (known: SavedHead) => boolean {
  let content: Buffer | null = null
  const read = () => (content ??= Buffer.from(readBeginning(fs, fd, compressed, gunzip)))
  return (known) => isSameHead(candidate, known, read)
}

function isSameHead(candidate: SavedHead, known: SavedHead, read: () => Buffer): boolean {
  if (known.bytes === 0 || candidate.bytes < known.bytes) return false
  if (candidate.bytes === known.bytes) return candidate.hash === known.hash
  const content = read()
  return content.length >= known.bytes && digest(content.subarray(0, known.bytes)) === known.hash
}

/** Whether this may be the beginning of a plain file, going by the head that it had; if so, its head is taken from it. */
export function takeHead(file: TailedFile, content: Buffer): boolean {
  const { bytes, hash } = file.head
  if (content.length < bytes || content.length === 0) return true
  if (bytes > 0 && digest(content.subarray(0, bytes)) !== hash) return false
  file.head = headOf(content)
  return true
}

/**
 * The second witness at `offset` of a plain file; '' when the file is shorter than that, or when the bytes before
 * `offset` are not `tail` (latin1). Throws the system's error.
 */
export function readWitness(fs: ReadFileSystem, fd: number, offset: number, tail = ''): string {
  const length = Math.min(WITNESS_BYTES, offset)
  if (readAll(fs, fd, scratch, 0, length, offset - length) < length) return ''
  if (scratch.toString('latin1', length - tail.length, length) !== tail) return ''
  return digest(scratch.subarray(0, length))
}

/**
 * `readWitness` for a checkpoint: a read that fails may do at once what it did not, and without a witness what was decided
 * of lines is not on disk before they are sent. Throws the system's error.
 */
export function insistOnWitness(fs: ReadFileSystem, fd: number, offset: number, tail = ''): string {
  return insist(() => readWitness(fs, fd, offset, tail))
}

/** Reads, and reads again at once if that fails, for it may do then. Throws the last error. */
export function insist<T>(read: () => T): T {
  for (let tries = 1; ; tries++) {
    try {
      return read()
    } catch (error) {
      if (tries === TRIES) throw error
    }
  }
}

/**
 * Whether the plain file `fd` has the same bytes at its end as `otherFd`, of `otherBytes`, has there: whether it is a copy
 * of it, given that they have the same head. Throws the system's error.
 */
export function isCopyOf(fs: ReadFileSystem, fd: number, otherFd: number, otherBytes: number): boolean {
  const length = fs.fstat(fd).size
  if (length > otherBytes) return false
  const compared = Math.min(COMPARED_BYTES, length)
  const ours = Buffer.alloc(compared)
  const theirs = Buffer.alloc(compared)
  const got = readAll(fs, fd, ours, 0, compared, length - compared)
  return got === compared && readAll(fs, otherFd, theirs, 0, compared, length - compared) === got && ours.equals(theirs)
}

/**
 * Whether the gzip file `fd` is the compressed form of the plain file `otherFd`: as much as its first bytes hold is
 * compared, and of a small one that is whole the length too. The plain file may be longer: a writer that was late, or a
 * compressed file that is cut off. Throws the system's error.
 */
export function isCompressionOf(fs: ReadFileSystem, fd: number, gunzip: Gunzip, otherFd: number): boolean {
  const storedBytes = readAll(fs, fd, scratch, 0, GZIP_HEAD_BYTES, 0)
  const content = gunzip.head(scratch.subarray(0, storedBytes))
  if (content.length === 0) return false
  const other = Buffer.allocUnsafeSlow(content.length)
  if (readAll(fs, otherFd, other, 0, other.length, 0) < other.length || !other.equals(content)) return false
  if (storedBytes === GZIP_HEAD_BYTES || fs.fstat(otherFd).size === content.length) return true
  return gzipContentBytes(fs, fd) !== content.length
}

/**
 * Whether the gzip file `fd` is cut off within the first bytes of what the plain file `otherFd` holds, too early to be
 * known by its head. Too little is no evidence. Throws the system's error.
 */
export function isBeginningOf(fs: ReadFileSystem, fd: number, gunzip: Gunzip, otherFd: number): boolean {
  const content = gunzip.head(scratch.subarray(0, readAll(fs, fd, scratch, 0, GZIP_HEAD_BYTES, 0)))
  if (content.length < BEGINNING_BYTES_MIN || gzipContentBytes(fs, fd) === content.length) return false
  const other = Buffer.allocUnsafeSlow(content.length)
  return readAll(fs, otherFd, other, 0, other.length, 0) === other.length && other.equals(content)
}

/** Length of the content of a gzip file of one member, modulo 2^32, as its last bytes tell. Throws the system's error. */
export function gzipContentBytes(fs: ReadFileSystem, fd: number): number {
  const { size } = fs.fstat(fd)
  return size >= 18 && readAll(fs, fd, scratch, 0, 4, size - 4) === 4 ? scratch.readUInt32LE(0) : -1
}

/**
 * Start of the last line that begins before `size`, or `size` when a line ends there; `size` too when that line is
 * longer than 1 MiB. Throws the system's error.
 */
export function lastLineStart(fs: ReadFileSystem, fd: number, size: number): number {
  for (let end = size; end > 0 && size - end < LINE_SEARCH_BYTES_MAX; end -= GZIP_HEAD_BYTES) {
    const start = Math.max(0, end - GZIP_HEAD_BYTES)
    const got = readAll(fs, fd, scratch, 0, end - start, start)
    const newline = scratch.subarray(0, got).lastIndexOf(10)
    if (newline >= 0) return start + newline + 1
    if (start === 0) return 0
  }
  return size
}

/** The time of a file's first row; null when there is none that says so. Throws the system's error. */
export function readFirstTime(fs: ReadFileSystem, file: TailedFile, gunzip: Gunzip): Time | null {
  if (file.fd < 0) return null
  const { compressed, begin } = file
  const bytes = compressed ? GZIP_HEAD_BYTES : FIRST_ROW_BYTES
  let content: Buffer = scratch.subarray(0, readAll(fs, file.fd, scratch, 0, bytes, compressed ? 0 : begin))
  if (compressed) content = gunzip.head(content)
  const newline = content.indexOf(10)
  const end = newline < 0 ? content.length : newline
  const row = newRow()
  if (!parseCri(content, 0, end, row) && !parseDockerJson(content, 0, end, row)) return null
  return { seconds: row.seconds, nanos: row.nanos }
}

/** First 32 hex digits of the SHA-256. No part of a longer string, which would be kept with it: there is one for each checkpoint. */
export function digest(bytes: Buffer): string {
  return hash('sha256', bytes, 'buffer').toString('hex', 0, 16)
}
