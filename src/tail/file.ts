// One file of a lineage: its identity, its open descriptor (shared by all sinks through positional reads) and what was
// last seen of it. While the descriptor is open the inode cannot be given to another file, so device+inode is exact.
import { hash } from 'node:crypto'
import type { FileOrder } from '../discover/names.ts'
import type { ReadFileSystem } from '../ports/fs.ts'
import type { Gunzip } from '../ports/gunzip.ts'

/** The head is the first line, at most this much of it. */
export const HEAD_BYTES_MAX = 1024
/** The second witness is the hash of this many bytes before an offset. */
export const WITNESS_BYTES = 1024
const GZIP_HEAD_BYTES = 4096

/** A head: the hash of the first `bytes` of the decompressed content. */
export interface Head {
  hash: string
  bytes: number
}

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
  /** Whether a name still leads to it. */
  linked: boolean
  /** Bytes as stored, when last seen. */
  sizeSeen: number
  mtimeMs: number
  head: Head
  /** Monotonic ms: when it last grew, when a newer file was first seen after it (or its last name went), null if not. */
  grewAt: number
  supersededAt: number | null
  unlinkedAt: number | null
  /** Set when its content can no longer be had; readers before its end record a gap with this cause. */
  gone: string | null
}

const scratch = Buffer.allocUnsafeSlow(GZIP_HEAD_BYTES)

/** Reads the head: the first line with its newline if it fits, else as much of it as there is. Throws the system's error. */
export function readHead(fs: ReadFileSystem, fd: number, compressed: boolean, gunzip: Gunzip): Head {
  let content: Buffer = scratch.subarray(0, fs.read(fd, scratch, 0, compressed ? GZIP_HEAD_BYTES : HEAD_BYTES_MAX, 0))
  if (compressed) content = gunzip.head(content).subarray(0, HEAD_BYTES_MAX)
  const newline = content.indexOf(10)
  const bytes = newline >= 0 ? newline + 1 : content.length
  return { hash: digest(content.subarray(0, bytes)), bytes }
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
  candidate: Head,
  known: Head,
): boolean {
  if (known.bytes === 0 || candidate.bytes < known.bytes) return false
  if (candidate.bytes === known.bytes) return candidate.hash === known.hash
  let content: Buffer = scratch.subarray(0, fs.read(fd, scratch, 0, compressed ? GZIP_HEAD_BYTES : HEAD_BYTES_MAX, 0))
  if (compressed) content = gunzip.head(content)
  return content.length >= known.bytes && digest(content.subarray(0, known.bytes)) === known.hash
}

/** The second witness at `offset` of a plain file; '' when the file is shorter than that. Throws the system's error. */
export function readWitness(fs: ReadFileSystem, fd: number, offset: number): string {
  const length = Math.min(WITNESS_BYTES, offset)
  if (fs.read(fd, scratch, 0, length, offset - length) < length) return ''
  return digest(scratch.subarray(0, length))
}

/** First 32 hex digits of the SHA-256. */
export function digest(bytes: Buffer): string {
  return hash('sha256', bytes, 'hex').slice(0, 32)
}
