// Finds the place of a checkpoint among the files of a lineage as they are now: renamed, compressed, replaced or gone.
// A saved offset is used only where both witnesses agree, the head and the bytes before the offset. Otherwise the file is
// new: reading twice is harmless, skipping is not.
import { basename } from 'node:path'
import type { Position } from '../checkpoint/position.ts'
import { kubeletSibling } from '../discover/names.ts'
import type { ReadFileSystem } from '../ports/fs.ts'
import type { Gunzip } from '../ports/gunzip.ts'
import { gzipContentBytes, readWitness, sameHead, type TailedFile } from './file.ts'
import type { Lineage } from './lineage.ts'

export interface Resumption {
  file: TailedFile
  offset: number
  /** Whether this is the checkpoint's own place; else it is the beginning of what is left. */
  found: boolean
  /** What was not read before and cannot be found any more; null when nothing is known to be lost. */
  lost: { path: string; from: number; to: number | null; cause: string } | null
}

/** `lineage.files` must not be empty. */
export function findResumption(lineage: Lineage, saved: Position, fs: ReadFileSystem, gunzip: Gunzip): Resumption {
  const files = lineage.files
  const sameInode = (file: TailedFile) => file.dev === saved.dev && file.ino === saved.ino
  const inOrder = [...files.filter(sameInode), ...files.filter((file) => !sameInode(file))]
  for (const file of inOrder) {
    if (agrees(file, saved, fs, gunzip)) return { file, offset: saved.offset, found: true, lost: null }
  }
  const { path, offset, sizeSeen } = saved
  const lost =
    sizeSeen > offset
      ? { path, from: offset, to: sizeSeen, cause: 'gone or replaced while taffrail was not running' }
      : null
  // The oldest files are deleted first, so what is left is newer; only earlier restarts may still lie about.
  const restart = kubeletSibling(basename(path))?.order.restart ?? 0
  const file = files.find((each) => each.order.restart >= restart) ?? (files.at(-1) as TailedFile)
  return { file, offset: file.begin, found: false, lost }
}

function agrees(file: TailedFile, saved: Position, fs: ReadFileSystem, gunzip: Gunzip): boolean {
  try {
    const head = { hash: saved.head, bytes: saved.headBytes }
    if (!sameHead(fs, file.fd, file.compressed, gunzip, file.head, head)) return false
    if (file.compressed) {
      const bytes = gzipContentBytes(fs, file.fd)
      return bytes < 0 || bytes >= saved.offset % 2 ** 32
    }
    return readWitness(fs, file.fd, saved.offset) === saved.witness
  } catch {
    return false // unreadable now: an open error has been reported already, and a fresh start loses nothing
  }
}
