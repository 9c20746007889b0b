// The file system of the machine, over node:fs. What each method promises is said in fs.ts and held by
// test/ports/fs.conformance.ts. Invariant: no descriptor opened here is left behind by a call that throws.
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  type Stats,
  statfsSync,
  statSync,
} from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { errorCode } from '../core/errors.ts'
import type { FileKind, FileStat, FileSystem, ReadFileSystem, WriteFileSystem, WriteHandle } from './fs.ts'

const { O_APPEND, O_CREAT, O_DIRECTORY, O_NOCTTY, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY, S_IFMT } = constants
const NO_ENTRY_IS_UNDEFINED = { throwIfNoEntry: false } as const

const reads: ReadFileSystem = {
  stat: (path) => statOrNull(statSync(path, NO_ENTRY_IS_UNDEFINED)),
  lstat(path) {
    try {
      return statOrNull(lstatSync(path, NO_ENTRY_IS_UNDEFINED))
    } catch (error) {
      // Unlike statSync, lstatSync throws this one.
      if (errorCode(error) === 'ENOTDIR') return null
      throw error
    }
  },
  fstat: (fd) => fileStat(fstatSync(fd)),
  readlink: (path) => readlinkSync(path),
  realpath: (path) => realpathSync.native(path),
  readdir: (path) => readdirSync(path),
  open: (path) => openSync(path, O_RDONLY | O_NONBLOCK | O_NOCTTY),
  read: (fd, target, targetOffset, length, position) => readSync(fd, target, targetOffset, length, position),
  close: (fd) => closeSync(fd),
  fileSystemBytes(path) {
    const { blocks, bsize } = statfsSync(path)
    return blocks * bsize
  },
}

const writes: WriteFileSystem = {
  readFile: (path) => readFile(path),
  async openAppend(path, truncate) {
    const handle = await open(path, O_WRONLY | O_CREAT | O_APPEND | (truncate ? O_TRUNC : 0), 0o600)
    return new RealWriteHandle(handle)
  },
  rename: (from, to) => rename(from, to),
  unlink: (path) => unlink(path),
  async mkdir(path) {
    const first = await mkdir(path, { recursive: true, mode: 0o700 })
    if (first === undefined) return
    // What is synced in a directory is worth nothing if its own name is lost.
    for (let made = resolve(path); made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made))
  },
  syncDirectory,
  async list(path) {
    try {
      return await readdir(path)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return []
      throw error
    }
  },
}

/** The machine's own files. A list of a directory that does not exist is empty; a directory made is durable. */
export const realFileSystem: FileSystem = { reads, writes }

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, O_RDONLY | O_DIRECTORY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

class RealWriteHandle implements WriteHandle {
  readonly #handle: FileHandle

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  async append(data: Buffer): Promise<void> {
    let offset = 0
    while (offset < data.length) {
      // O_APPEND: the kernel finds the end, also after a truncate.
      const { bytesWritten } = await this.#handle.write(data, offset, data.length - offset, null)
      if (bytesWritten === 0) throw new Error(`write of ${data.length - offset} bytes took none of them`)
      offset += bytesWritten
    }
  }

  sync(): Promise<void> {
    return this.#handle.datasync()
  }

  truncate(lengthBytes: number): Promise<void> {
    return this.#handle.truncate(lengthBytes)
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

function statOrNull(stats: Stats | undefined): FileStat | null {
  return stats === undefined ? null : fileStat(stats)
}

function fileStat(stats: Stats): FileStat {
  const { dev, ino, size, mtimeMs, nlink, mode } = stats
  return { dev, ino, size, mtimeMs, nlink, kind: fileKind(mode) }
}

function fileKind(mode: number): FileKind {
  switch (mode & S_IFMT) {
    case constants.S_IFREG:
      return 'file'
    case constants.S_IFDIR:
      return 'directory'
    case constants.S_IFLNK:
      return 'symlink'
    case constants.S_IFIFO:
      return 'fifo'
    case constants.S_IFSOCK:
      return 'socket'
    default:
      return 'device'
  }
}
