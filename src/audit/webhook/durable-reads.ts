// The file system as the tailer of a spool sees it: of the segment that is being written only what is durable. So nothing is
// sent that was not answered, what a failed write left behind is never seen, and cutting it off looks like nothing.
import type { FileStat, ReadFileSystem } from '../../ports/fs.ts'

export class DurableReads implements ReadFileSystem {
  readonly #fs: ReadFileSystem
  /** Durable bytes of the files that are being written, by inode. */
  readonly #limits = new Map<number, { dev: number; bytes: number }>()
  /** Those of them that are open. */
  readonly #byFd = new Map<number, number>()

  constructor(fs: ReadFileSystem) {
    this.#fs = fs
  }

  limit({ dev, ino }: Pick<FileStat, 'dev' | 'ino'>, bytes: number): void {
    this.#limits.set(ino, { dev, bytes })
  }

  /** All of the file is durable, and will be. */
  unlimit({ ino }: Pick<FileStat, 'ino'>): void {
    this.#limits.delete(ino)
  }

  stat(path: string): FileStat | null {
    return this.#limited(this.#fs.stat(path))
  }

  lstat(path: string): FileStat | null {
    return this.#limited(this.#fs.lstat(path))
  }

  fstat(fd: number): FileStat {
    return this.#limited(this.#fs.fstat(fd)) as FileStat
  }

  readlink(path: string): string {
    return this.#fs.readlink(path)
  }

  realpath(path: string): string {
    return this.#fs.realpath(path)
  }

  readdir(path: string): string[] {
    return this.#fs.readdir(path)
  }

  open(path: string): number {
    const fd = this.#fs.open(path)
    const { ino } = this.#fs.fstat(fd)
    if (this.#limits.has(ino)) this.#byFd.set(fd, ino)
    return fd
  }

  read(fd: number, target: Buffer, targetOffset: number, length: number, position: number): number {
    const ino = this.#byFd.get(fd)
    const limit = ino === undefined ? undefined : this.#limits.get(ino)
    const most = limit === undefined ? length : Math.max(0, Math.min(length, limit.bytes - position))
    return most === 0 ? 0 : this.#fs.read(fd, target, targetOffset, most, position)
  }

  close(fd: number): void {
    this.#byFd.delete(fd)
    this.#fs.close(fd)
  }

  fileSystemBytes(path: string): number {
    return this.#fs.fileSystemBytes(path)
  }

  #limited(stat: FileStat | null): FileStat | null {
    if (stat === null || stat.kind !== 'file') return stat
    const limit = this.#limits.get(stat.ino)
    return limit === undefined || limit.dev !== stat.dev || stat.size <= limit.bytes
      ? stat
      : { ...stat, size: limit.bytes }
  }
}
