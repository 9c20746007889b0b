// One lineage of files in memory, for targets that read many small worlds a second: what a reader needs of a file system
// and no more.
import type { FileStat, ReadFileSystem } from '../../src/ports/fs.ts'
import type { Candidate, Listing } from '../../src/tail/candidates.ts'

interface MemoryFile extends Candidate {
  ino: number
  content: Buffer
}

export class MemoryFiles implements Listing {
  readonly fs: ReadFileSystem
  readonly #files: MemoryFile[] = []
  #version = 0

  constructor() {
    const byPath = (path: string) => this.#files.find((file) => file.path === path) ?? null
    const statOf = (file: MemoryFile | null): FileStat | null =>
      file && { dev: 1, ino: file.ino, size: file.content.length, mtimeMs: 0, nlink: 1, kind: 'file' }
    const missing = (path: string) => Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' })
    this.fs = {
      stat: (path) => statOf(byPath(path)),
      lstat: (path) => statOf(byPath(path)),
      fstat: (fd) => statOf(this.#files[fd] ?? null) as FileStat,
      readlink: (path) => {
        throw missing(path)
      },
      realpath: (path) => path,
      readdir: () => [],
      open: (path) => this.#files.findIndex((file) => file.path === path),
      read: (fd, target, targetOffset, length, position) =>
        (this.#files[fd] as MemoryFile).content.copy(target, targetOffset, position, position + length),
      close: () => {},
      fileSystemBytes: () => 1e12,
    }
  }

  add(candidate: Candidate, content: Buffer): void {
    this.#files.push({ ...candidate, ino: this.#files.length + 1, content })
    this.#version++
  }

  version(): number {
    return this.#version
  }

  candidates(): Candidate[] {
    return this.#files
  }
}
