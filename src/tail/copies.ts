// The copy of a truncated file (copytruncate): whether a file is that, and how much of the original it has. More than the
// head must agree, because files may begin alike: the bytes before a place at which the original was read or acknowledged, or, where
// each of these lies beyond the end of the copy, the bytes before a mark. Bound: a number for each doubling of a file's size.
import { crc32 } from 'node:zlib'
import { LIVE } from '../discover/names.ts'
import type { ReadFileSystem } from '../ports/fs.ts'
import type { Gunzip } from '../ports/gunzip.ts'
import { gzipContentBytes, readAll, sameHead, type TailedFile } from './file.ts'
import { OVERLAP_BYTES, type Snapshot } from './place.ts'

/** Where the first mark is; each of the next is twice as far. Of copies that are shorter there is little to read again. */
const FIRST_MARK_BYTES = OVERLAP_BYTES

/** An earlier place. */
export type Witness = Pick<Snapshot, 'file' | 'offset' | 'tail'>

/**
 * Whether `next` may be the copy that was made of `cut` before that was truncated, going by all but what they hold: it is another
 * file, under another name than that which is written to.
 */
export function mayBeCopy(
  next: Pick<TailedFile, 'dev' | 'ino' | 'order' | 'gone'>,
  cut: Pick<TailedFile, 'dev' | 'ino'> & { gone?: string | null },
): boolean {
  if (cut.gone !== 'truncated' || next.gone !== null || next.order.rank === LIVE) return false
  return next.dev !== cut.dev || next.ino !== cut.ino
}

/** `mayBeCopy`, and it begins alike: enough for where it belongs and what is told of it, not for where it is read from. */
export function isLikeCopy(next: TailedFile, cut: TailedFile): boolean {
  return mayBeCopy(next, cut) && next.head.hash === cut.head.hash
}

/**
 * How much of a truncated file is in its copy; -1 when `next` is not a copy of it. `here` is where it is read, `before`
 * are earlier places in it: what was written after the copy was made may have been read, and they are witnesses, too.
 * Throws the system's error.
 */
export function bytesInCopy(
  fs: ReadFileSystem,
  gunzip: Gunzip,
  next: TailedFile,
  here: Witness,
  before: readonly Witness[],
): number {
  const { file } = here
  if (!mayBeCopy(next, file)) return -1
  // Compressed already: known by its head alone. One that was met late may stand there, too.
  if (next.compressed) {
    return sameHead(fs, next.fd, true, gunzip, next.head, file.head) ? gzipContentBytes(fs, next.fd) : -1
  }
  const { size } = fs.fstat(next.fd)
  const isWitness = (at: Witness) => at.file === file && (at.offset > 0 || here.offset === 0)
  const witnesses = [here, ...before].filter(isWitness)
  const isCopy = witnesses.every(({ offset }) => offset > size)
    ? sameHead(fs, next.fd, false, gunzip, next.head, file.head) && hasMarkOf(fs, next, size, file)
    : witnesses.some(({ offset, tail }) => holds(fs, next, size, offset, tail))
  return isCopy ? size : -1
}

/**
 * Notes what is read of a plain file at its marks: block[from, from + bytes) lies at `offset` of it, and what is before that in
 * the block is before it in the file.
 */
export function noteMarks(file: TailedFile, block: Buffer, from: number, bytes: number, offset: number): void {
  const marks = (file.marks ??= [])
  for (let mark = markOf(marks.length); mark <= offset + bytes; mark = markOf(marks.length)) {
    const at = from + mark - offset
    const isThere = mark > offset && at >= OVERLAP_BYTES
    marks.push(isThere ? crc32(block.subarray(at - OVERLAP_BYTES, at)) : -1)
  }
}

function markOf(index: number): number {
  return FIRST_MARK_BYTES * 2 ** index
}

/** Whether `next` of `size` bytes has at the last mark that it has room for what was read of `file` there. */
function hasMarkOf(fs: ReadFileSystem, next: TailedFile, size: number, { head, marks }: TailedFile): boolean {
  const index = Math.floor(Math.log2(size / FIRST_MARK_BYTES))
  const sum = marks?.[index] ?? -1
  const mark = markOf(index)
  // Files may begin alike.
  if (sum < 0 || mark <= head.bytes) return false
  const bytes = Buffer.alloc(OVERLAP_BYTES)
  return readAll(fs, next.fd, bytes, 0, bytes.length, mark - bytes.length) === bytes.length && crc32(bytes) === sum
}

/** The bytes before `offset` (latin1) that every read there compares; '' for a compressed file, or where they are not there. */
export function readTail(fs: ReadFileSystem, { fd, compressed, gone }: TailedFile, offset: number): string {
  const bytes = Buffer.alloc(Math.min(OVERLAP_BYTES, offset))
  if (compressed || gone !== null) return ''
  if (readAll(fs, fd, bytes, 0, bytes.length, offset - bytes.length) < bytes.length) return ''
  return bytes.toString('latin1')
}

/** Whether `file` of `size` bytes has the bytes `tail` (latin1) just before `offset`. */
function holds(fs: ReadFileSystem, file: TailedFile, size: number, offset: number, tail: string): boolean {
  if (size < offset || (tail === '' && offset > 0)) return false
  const bytes = Buffer.alloc(tail.length)
  const got = readAll(fs, file.fd, bytes, 0, bytes.length, offset - bytes.length)
  return got === bytes.length && bytes.toString('latin1') === tail
}
