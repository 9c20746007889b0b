// A file system to read from that may be told to fail, to read short, or to let something happen in the middle of an
// operation, and that knows which descriptors are open. It stands before another one and changes nothing by itself.
import type { FileStat, ReadFileSystem } from '../../src/ports/fs.ts'

export type ReadOperation = keyof ReadFileSystem

export class WatchedReads implements ReadFileSystem {
  /** Asked before every operation with its path; a code (`EIO`) makes it fail. May do things to the files itself. */
  fault: (operation: ReadOperation, path: string) => string | null = () => null
  /** How many bytes of those asked for a read gives. */
  shorten: (length: number) => number = (length) => length
  /** Operations so far, by kind. */
  readonly counts = new Map<ReadOperation, number>()
  /** Open descriptors and the paths that they were opened by. */
  readonly openFiles = new Map<number, string>()
  /** Uses of descriptors that are not open: always a bug, whoever catches the error. */
  readonly misuses: string[] = []
  readonly #inner: ReadFileSystem

  constructor(inner: ReadFileSystem) {
    this.#inner = inner
  }

  stat(path: string): FileStat | null {
    this.#begin('stat', path)
    return this.#inner.stat(path)
  }

  lstat(path: string): FileStat | null {
    this.#begin('lstat', path)
    return this.#inner.lstat(path)
  }

  fstat(fd: number): FileStat {
    this.#begin('fstat', this.#pathOf(fd))
    return this.#inner.fstat(fd)
  }

  readlink(path: string): string {
    this.#begin('readlink', path)
    return this.#inner.readlink(path)
  }

  realpath(path: string): string {
    this.#begin('realpath', path)
    return this.#inner.realpath(path)
  }

  readdir(path: string): string[] {
    this.#begin('readdir', path)
    return this.#inner.readdir(path)
  }

  open(path: string): number {
    this.#begin('open', path)
    const fd = this.#inner.open(path)
    this.openFiles.set(fd, path)
    return fd
  }

  read(fd: number, target: Buffer, targetOffset: number, length: number, position: number): number {
    this.#begin('read', this.#pathOf(fd))
    return this.#inner.read(fd, target, targetOffset, Math.min(length, this.shorten(length)), position)
  }

  close(fd: number): void {
    // A close that fails has closed all the same, as on Linux.
    const path = this.#pathOf(fd)
    this.#inner.close(fd)
    this.openFiles.delete(fd)
    this.#begin('close', path)
  }

  fileSystemBytes(path: string): number {
    this.#begin('fileSystemBytes', path)
    return this.#inner.fileSystemBytes(path)
  }

  #pathOf(fd: number): string {
    const path = this.openFiles.get(fd)
    if (path !== undefined) return path
    const misuse = new Error(`descriptor ${fd} is used, and is not open`)
    this.misuses.push(misuse.stack ?? '')
    throw misuse
  }

  #begin(operation: ReadOperation, path: string): void {
    this.counts.set(operation, (this.counts.get(operation) ?? 0) + 1)
    const code = this.fault(operation, path)
    if (code !== null) throw Object.assign(new Error(`${code}: ${operation} '${path}'`), { code })
  }
}
