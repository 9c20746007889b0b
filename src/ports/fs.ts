// The file system as the agent sees it. The reading half is synchronous: log files are local and nearly always in the
// page cache, a read of 512 KiB costs less than the hand-over to a thread, and without an await between look and read
// there is nothing in between to think about. The writing half (state) is asynchronous, because fsync waits for disks.

export type FileKind = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'device'

export interface FileStat {
  dev: number
  ino: number
  /** Bytes. */
  size: number
  /** Milliseconds since the epoch. */
  mtimeMs: number
  /** 0 once the last name is gone. */
  nlink: number
  kind: FileKind
}

/** Reading. Every method throws the system's error (`code` ENOENT, EACCES, EIO, …) unless it says otherwise. */
export interface ReadFileSystem {
  /** Follows links; null when nothing is there (ENOENT, ENOTDIR). */
  stat(path: string): FileStat | null
  /** Does not follow links; null when nothing is there. */
  lstat(path: string): FileStat | null
  fstat(fd: number): FileStat
  readlink(path: string): string
  realpath(path: string): string
  /** Names in a directory, in no order. */
  readdir(path: string): string[]
  /** Opens for reading without blocking (O_NONBLOCK, O_NOCTTY), so that a FIFO or a device cannot hold the process. */
  open(path: string): number
  /** Positional read; returns the number of bytes, 0 at the end. May be short. */
  read(fd: number, target: Buffer, targetOffset: number, length: number, position: number): number
  close(fd: number): void
  /** Size in bytes of the file system that holds `path`. */
  fileSystemBytes(path: string): number
}

/** A file being written. */
export interface WriteHandle {
  /** Writes all of `data` at the end of the file, or throws (ENOSPC, …) after having written any part of it. */
  append(data: Buffer): Promise<void>
  /** fdatasync. */
  sync(): Promise<void>
  truncate(lengthBytes: number): Promise<void>
  close(): Promise<void>
}

/** Writing below `stateDir`. Every method throws the system's error. */
export interface WriteFileSystem {
  readFile(path: string): Promise<Buffer>
  /** Opens for appending, creating the file with mode 0600; with `truncate` it starts empty. */
  openAppend(path: string, truncate: boolean): Promise<WriteHandle>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  /** Like mkdir -p, mode 0700. */
  mkdir(path: string): Promise<void>
  /** fsync of a directory, which makes creations and renames in it durable. */
  syncDirectory(path: string): Promise<void>
  list(path: string): Promise<string[]>
}

export interface FileSystem {
  reads: ReadFileSystem
  writes: WriteFileSystem
}
