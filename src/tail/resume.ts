// Finds the place of a checkpoint among the files of a lineage as they are now: renamed, compressed, replaced or gone,
// and which of the files that were seen after it are not there any more. A file is the one that was seen only where both
// witnesses agree, the head and the bytes before the offset. Otherwise it is new: reading twice is harmless, skipping is
// not.
import { basename } from 'node:path'
import type { Position, SeenFile } from '../checkpoint/position.ts'
import {
  compareOrder,
  type FileOrder,
  genericSibling,
  hasPlaceForEver,
  kubeletSibling,
  LIVE,
} from '../discover/names.ts'
import type { ReadFileSystem } from '../ports/fs.ts'
import type { Gunzip } from '../ports/gunzip.ts'
import { mayBeCopy } from './copies.ts'
import { gzipContentBytes, insist, readWitness, sameHead, type TailedFile } from './file.ts'
import type { Hole } from './gap.ts'
import type { Lineage } from './lineage.ts'
import type { Unreadable } from './unreadable.ts'

const CAUSE = 'gone or replaced while taffrail was not running'

/** A file that was seen and is not there: all of it is lost. `before` is the file to be read next; null: the next new one. */
export interface Missing {
  before: TailedFile | null
  seen: SeenFile
}

/** Whether it is known to come before `file`, which is there. */
export function comesBefore({ before }: Missing, file: TailedFile): boolean {
  return before !== null && before.sequence <= file.sequence
}

export interface Resumption {
  file: TailedFile
  offset: number
  /** Whether this is the checkpoint's own place; else it is the beginning of what is left. */
  found: boolean
  /** What of the checkpoint's own file was not read before and cannot be found; null when nothing is known to be lost. */
  lost: Hole | null
  /** In reading order. */
  missing: Missing[]
  /** Which files those of the checkpoint are: its own, and those that it names after that one. null: it is not there. */
  named: (TailedFile | null)[]
}

/**
 * `lineage.files` must not be empty. A file that cannot be read now may be the one that is searched for: throws the system's
 * error, unless it is given up (`unreadable`), where it counts as another one. `goneFor`: why a file is gone of which the
 * checkpoint does not say it.
 */
export function findResumption(
  lineage: Lineage,
  saved: Position,
  fs: ReadFileSystem,
  gunzip: Gunzip,
  unreadable: Unreadable,
  goneFor = CAUSE,
): Resumption {
  const { files } = lineage
  unreadable.begin()
  const taken = new Set<TailedFile>()
  const tell = (file: TailedFile, check: () => boolean): boolean => {
    try {
      return insist(check)
    } catch (error) {
      unreadable.failed(file, error)
      return false
    }
  }
  const find = (seen: Witnessed, isToo = (_file: TailedFile) => true): TailedFile | null => {
    const isSame = (file: TailedFile) => file.dev === seen.dev && file.ino === seen.ino
    // Where a file was cut there is other content now; its own is in a copy, if anywhere.
    const inPlace = seen.gone === 'truncated' ? [] : files.filter(isSame)
    const inOrder = [...inPlace, ...files.filter((file) => !isSame(file))]
    const isSeen = (file: TailedFile) => tell(file, () => agrees(file, seen, fs, gunzip) && isToo(file))
    const file = inOrder.find((each) => !taken.has(each) && isSeen(each)) ?? null
    // What was cut off may be found in its copy, and the copy is a file of its own.
    if (file !== null && seen.gone === undefined) taken.add(file)
    return file
  }
  const own = find(saved, (file) => endsAlike(file, saved, files, fs))
  // From the last to the first, so that each knows what is there after it.
  const later = Array.isArray(saved.later) ? saved.later : []
  const found = later.map((each) => find(each))
  const isCopied = (seen: SeenFile) => {
    const head = { hash: seen.head, bytes: seen.headBytes }
    const beginsAlike = (file: TailedFile) => sameHead(fs, file.fd, false, gunzip, file.head, head)
    return files.some((file) => mayBeItsCopy(file, seen) && tell(file, () => beginsAlike(file)))
  }
  const copied = later.map((seen, i) => found[i] === null && isCopied(seen))
  unreadable.end()
  // The copy of what was cut may be named twice: its own place is the later one.
  const behind = found.filter((file, i) => file !== null && file !== own && found.lastIndexOf(file) === i)
  const present = [own, ...behind].filter((file) => file !== null)
  const isInOrder = lineage.arrange(present)
  const missing: Missing[] = []
  let before: TailedFile | null = null
  for (let i = later.length - 1; i >= 0; i--) {
    if (found[i] !== null) before = found[i] as TailedFile
    else if (!isEmpty(later[i] as SeenFile) && !copied[i])
      missing.unshift({ before, seen: { ...(goneFor !== CAUSE && { gone: goneFor }), ...(later[i] as SeenFile) } })
  }
  // It was cut off since it was opened, before anybody had come to its place. What was cut before is not cut again.
  const cut = saved.gone === undefined ? (files.find((file) => isCutOff(file, saved)) ?? null) : null
  const named = [own ?? cut, ...found]
  const { path, head, offset, sizeSeen, mtimeMs = null, gone: cause = goneFor } = saved
  const restart = restartOf(path)
  const unread = { path, head, restart, from: offset, to: sizeSeen, cause, writtenMs: mtimeMs }
  const lost = sizeSeen > offset ? unread : null
  if (!isInOrder) {
    const file = present.reduce((first, each) => (each.sequence < first.sequence ? each : first))
    return { file, offset: file.begin, found: false, lost: own === null ? lost : null, missing, named }
  }
  if (own !== null) {
    return { file: own, offset, found: true, lost: notInCopy(own, saved, cut, fs), missing, named }
  }
  if (cut !== null) return { file: cut, offset, found: true, lost: null, missing, named }
  // Before the first one that was seen lies what was read, but for files that could not be looked at when they came: of a later
  // life, or rotated later by their names, or written later. Where none is left: the oldest files are deleted first, so what is
  // left is newer; only earlier restarts may still lie about.
  const isBehind = (seen: { path: string; mtimeMs?: number }, { order, compressed, mtimeMs }: TailedFile) =>
    restartOf(seen.path) < order.restart ||
    isRotatedBefore(orderOf(seen.path, lineage), order) ||
    // What was compressed has another time; of numbers only the time tells.
    (!compressed && seen.mtimeMs !== undefined && mtimeMs > seen.mtimeMs)
  const isNext = (each: TailedFile) => (before === null ? each.order.restart >= restart : isBehind(saved, each))
  const file = files.find((each) => found.includes(each) || isNext(each)) ?? (files.at(-1) as TailedFile)
  for (const each of missing) {
    if (before === null || (each.before === before && isBehind(each.seen, file))) each.before = file
  }
  return { file, offset: file.begin, found: false, lost, missing, named }
}

/** What the name tells that a file had. */
function orderOf(path: string, { info }: Lineage): FileOrder | null {
  const name = basename(path)
  return info.podUid === '' ? genericSibling(name).order : (kubeletSibling(name)?.order ?? null)
}

/** Whether it is known, from the name that the first had at some time, that it comes before the other. */
function isRotatedBefore(order: FileOrder | null, other: FileOrder): boolean {
  return order !== null && hasPlaceForEver(order) && compareOrder(order, other) < 0
}

/** Whether a file that was cut just when its second witness was to be taken is likely to be there as a copy. */
function mayBeItsCopy(file: TailedFile, seen: SeenFile): boolean {
  // Without a witness it had been cut, though nobody may have noticed it by then.
  if (seen.compressed || seen.witness !== '' || file.compressed || file.sizeSeen < seen.offset) return false
  return mayBeCopy(file, { gone: 'truncated', ...seen })
}

/** Nothing is lost with a file that had nothing. */
function isEmpty({ compressed, offset }: SeenFile): boolean {
  return !compressed && offset === 0
}

/** The hole that a missing file leaves. */
export function holeOf({ path, head, offset, compressed, mtimeMs, gone }: SeenFile): Hole {
  return {
    path,
    head,
    restart: restartOf(path),
    from: 0,
    to: compressed ? null : offset,
    cause: gone ?? CAUSE,
    writtenMs: compressed ? null : mtimeMs,
  }
}

function restartOf(path: string): number {
  return kubeletSibling(basename(path))?.order.restart ?? 0
}

/** Whether this is the file of the position, and its content was seen by us and is gone. */
function isCutOff({ gone, dev, ino, head, sizeSeen }: TailedFile, saved: Position): boolean {
  if (gone === null || dev !== saved.dev || ino !== saved.ino || sizeSeen < saved.offset) return false
  return head.bytes === saved.headBytes && head.hash === saved.head
}

/** What was seen of a file that was cut off and is not in its copy, in which its place was found; null for nothing. */
function notInCopy(copy: TailedFile, saved: Position, cut: TailedFile | null, fs: ReadFileSystem): Hole | null {
  const cause = cut?.gone ?? saved.gone
  if (cause !== 'truncated' || saved.ended) return null
  const { path, head, mtimeMs = null } = saved
  const from = copy.compressed ? gzipContentBytes(fs, copy.fd) : copy.sizeSeen
  const to = Math.max(saved.sizeSeen, cut?.sizeSeen ?? 0)
  return from < 0 || to <= from ? null : { path, head, restart: restartOf(path), from, to, cause, writtenMs: mtimeMs }
}

type Witnessed = Pick<SeenFile, 'dev' | 'ino' | 'head' | 'headBytes' | 'offset' | 'witness' | 'gone'>

function agrees(file: TailedFile, seen: Witnessed, fs: ReadFileSystem, gunzip: Gunzip): boolean {
  if (file.gone !== null) return false
  const head = { hash: seen.head, bytes: seen.headBytes }
  if (!sameHead(fs, file.fd, file.compressed, gunzip, file.head, head)) return false
  if (file.compressed) {
    const bytes = gzipContentBytes(fs, file.fd)
    return bytes < 0 || bytes >= seen.offset % 2 ** 32
  }
  return seen.witness !== '' && readWitness(fs, file.fd, seen.offset) === seen.witness
}

/** Whether what was seen of it behind the place is there, too, as far as that can be told. */
function endsAlike(file: TailedFile, saved: Position, files: readonly TailedFile[], fs: ReadFileSystem): boolean {
  const { end } = saved
  if (end === undefined || file.compressed) return true
  if (fs.fstat(file.fd).size >= end.offset) return readWitness(fs, file.fd, end.offset) === end.witness
  // What was seen last is not in the copy of a file that was cut in place, if it was written when that was made.
  const isCut = ({ dev, ino, order }: TailedFile) => dev === saved.dev && ino === saved.ino && order.rank === LIVE
  return saved.gone !== undefined || files.some((each) => each !== file && isCut(each))
}
