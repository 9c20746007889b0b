// The open files of one lineage, in reading order, and those that were read: their numbers, sizes, heads and descriptors.
// Invariant: `list` ascends by `sequence`; a descriptor is counted from its opening to its closing; a file's size grows until
// it is cut (`onCut`). Which files there are, and where each belongs, is decided by lineage.ts and openings.ts.
import { LIVE } from '../discover/names.ts'
import type { Clock } from '../ports/clock.ts'
import type { FileStat, ReadFileSystem } from '../ports/fs.ts'
import type { Gunzip } from '../ports/gunzip.ts'
import type { Candidate } from './candidates.ts'
import type { Descriptors } from './descriptors.ts'
import { type Head, insist, keepsHead, readHeadAndSize, readWitness, sameHead, type TailedFile } from './file.ts'
import { FinishedFiles, identity } from './finished.ts'
import type { Reports } from './reports.ts'

/** Of a file without a byte. */
export const NO_HEAD: Head = { hash: '', bytes: 0, sum: 0 }

export interface FilesDeps {
  fs: ReadFileSystem
  clock: Clock
  gunzip: Gunzip
  /** How many files may be open, in all lineages together; left out: as many as there are. */
  descriptors?: Descriptors
}

export class Files {
  readonly list: TailedFile[] = []
  /** Those that all readers are past, and copies of others, as long as they are listed: not to be read again. */
  readonly known = new FinishedFiles()
  /** Monotonic ms: when any file last grew or came. */
  activeAt: number
  /** A file was cut off in place: it is this large now. */
  onCut: (file: TailedFile, sizeNow: number) => void = () => {}
  readonly #deps: FilesDeps
  readonly #reports: Reports
  #sequence = 0
  #grownBytes = 0

  constructor(deps: FilesDeps, reports: Reports) {
    this.#deps = deps
    this.#reports = reports
    this.activeAt = deps.clock.monotonic()
  }

  /** Bytes written since the last call. */
  takeGrown(): number {
    const grown = this.#grownBytes
    this.#grownBytes = 0
    return grown
  }

  grew(bytes: number): void {
    this.#grownBytes += bytes
  }

  get nextSequence(): number {
    return ++this.#sequence
  }

  renumber(from: number): void {
    for (let i = from; i < this.list.length; i++) {
      const before = this.list[i - 1]?.sequence ?? 0
      const file = this.list[i] as TailedFile
      if (file.sequence <= before) file.sequence = Math.max(before + 1, ++this.#sequence)
      this.#sequence = Math.max(this.#sequence, file.sequence)
    }
  }

  isOpen(id: string): boolean {
    return this.list.some((file) => file.fd >= 0 && identity(file.dev, file.ino) === id)
  }

  /** Looks at the files that are open. */
  measureAll(): void {
    for (const file of [...this.list]) this.measure(file)
  }

  measure(file: TailedFile): void {
    if (file.fd < 0) return
    let stat: FileStat
    try {
      stat = this.#deps.fs.fstat(file.fd)
    } catch (error) {
      this.#reports.failed(file.path, 'fstat', error)
      return
    }
    const now = this.#deps.clock.monotonic()
    if (stat.nlink === 0 && file.unlinkedAt === null) file.unlinkedAt = now
    // What has bytes and no head could not be read when it was looked at last.
    const isKnown = file.compressed || file.head.bytes > 0 || stat.size === 0
    if (isKnown && stat.size === file.sizeSeen && stat.mtimeMs === file.mtimeMs) return
    if (!file.compressed && (stat.size < file.sizeSeen || !this.headHolds(file))) {
      this.onCut(file, stat.size)
      return
    }
    this.sawBytes(file, stat.size)
    if (file.compressed) file.sizeSeen = stat.size
    file.mtimeMs = stat.mtimeMs
  }

  /** A file has at least so many bytes: should they vanish, they are lost. */
  sawBytes(file: TailedFile, bytes: number): void {
    if (bytes <= file.sizeSeen) return
    this.#grownBytes += bytes - file.sizeSeen
    file.sizeSeen = bytes
    file.grewAt = this.#deps.clock.monotonic()
    this.activeAt = file.grewAt
  }

  /** Takes the head again, as the first line may have been incomplete; false when it is another one. */
  headHolds(file: TailedFile): boolean {
    try {
      // Where it cannot be told the size that was seen may be that of other content.
      return insist(() => this.takeHead(file))
    } catch (error) {
      this.#reports.failed(file.path, 'read', error)
    }
    return true
  }

  /** `headHolds` that is certain. Throws the system's error. */
  takeHead(file: TailedFile): boolean {
    const { fs, gunzip } = this.#deps
    if (!file.compressed && keepsHead(fs, file)) return true
    const [head, bytes] = readHeadAndSize(fs, file.fd, file.compressed, gunzip)
    if (file.head.bytes > 0 && !sameHead(fs, file.fd, file.compressed, gunzip, head, file.head)) return false
    if (file.head.bytes === 0 && head.bytes > 0 && file.order.rank === LIVE) {
      file.filled = true
      file.placed = false
    }
    file.head = head
    this.sawBytes(file, bytes)
    return true
  }

  /** A descriptor was opened. */
  noteOpened(): void {
    const { descriptors } = this.#deps
    if (descriptors !== undefined) descriptors.open++
  }

  finish(file: TailedFile, left: readonly number[]): void {
    // Without a name, too: its compressed form may be there, and could not be opened yet.
    if (file.fd >= 0) this.#rememberFinished(file, left)
    this.close(file)
  }

  #rememberFinished(file: TailedFile, left: readonly number[]): void {
    const { fs } = this.#deps
    const id = identity(file.dev, file.ino)
    try {
      const stat = fs.fstat(file.fd)
      const size = file.compressed || left.length === 0 ? stat.size : Math.min(...left)
      const witness = file.compressed ? '' : readWitness(fs, file.fd, size)
      this.remember(id, file.head, file, { size, mtimeMs: stat.mtimeMs }, witness, null)
    } catch (error) {
      this.#reports.failed(file.path, 'read', error)
      this.remember(id, file.head, file, { size: file.sizeSeen, mtimeMs: file.mtimeMs }, '', null)
    }
  }

  remember(
    id: string,
    head: Head,
    { path, order, compressed }: Candidate,
    { size, mtimeMs }: Pick<FileStat, 'size' | 'mtimeMs'>,
    witness: string,
    copyOf: TailedFile | null,
  ): void {
    // The one that had the number before may turn up yet, compressed.
    const before = this.known.get(id)
    if (before !== undefined && (before.compressed !== compressed || before.head.hash !== head.hash))
      this.known.move(id)
    this.known.set(id, { head, order, compressed, size, mtimeMs, witness, copyOf, path })
  }

  close(file: TailedFile): void {
    if (file.fd >= 0) this.closeFd(file.fd)
    file.fd = -1
  }

  closeFd(fd: number): void {
    const { descriptors } = this.#deps
    if (descriptors !== undefined) descriptors.open--
    try {
      this.#deps.fs.close(fd)
    } catch (error) {
      this.#reports.failed(this.#reports.path, 'close', error) // the descriptor is gone all the same
    }
  }
}
