// A disk in memory that knows what has reached it, and may refuse, stop halfway, or lose its power. It is as unkind as
// POSIX allows: a file's bytes are safe only after its sync, its name only after the sync of its directory, and after a
// failed sync the bytes it was for are never written, whatever later syncs say. One seed decides all that is left open.
// Files and directories only, no links; held to the writing half of test/ports/fs.conformance.ts.
import type { FileStat, FileSystem, ReadFileSystem, WriteFileSystem, WriteHandle } from '../../src/ports/fs.ts'

export type Operation = keyof WriteFileSystem | 'append' | 'sync' | 'truncate'
type Change = { append: Buffer } | { truncateTo: number }

interface Inode {
  ino: number
  /** What a reader sees. */
  content: Buffer
  /** What is on the disk for certain. */
  synced: Buffer
  /** What was done since, of which a power cut keeps a part. */
  unsynced: Change[]
  /** Where the bytes begin that the next sync is for. */
  dirtyFrom: number
  /** Ranges that a failed sync gave up. */
  given: { from: number; to: number }[]
}

interface NameChange {
  directory: string
  apply(names: Map<string, Inode>): void
}

export class FaultyFileSystem implements FileSystem {
  /** Asked before every operation; a code (`ENOSPC`) makes it fail. A failing append has written a part. */
  fault: (operation: Operation, path: string) => string | null = () => null
  /** Awaited before every operation: a disk that is slow, or does not answer at all. */
  delay: (operation: Operation, path: string) => Promise<void> = () => Promise.resolve()
  /** Size of the disk, for those who ask. */
  bytesTotal = 100 * 1024 ** 3
  /** Every operation, in order. */
  readonly log: string[] = []
  /** Handles for writing that nobody has closed. */
  openHandles = 0
  readonly reads: ReadFileSystem
  readonly writes: WriteFileSystem
  #names: Map<string, Inode>
  #durableNames: Map<string, Inode>
  #nameChanges: NameChange[] = []
  readonly #directories: Set<string>
  #inodeCount = 0
  #off = false
  readonly #random: () => number
  readonly #open: (Inode | null)[] = []

  constructor(seed = 1, names = new Map<string, Inode>(), directories = new Set(['/'])) {
    this.#random = seededRandom(seed)
    this.#names = names
    this.#durableNames = new Map(names)
    this.#directories = directories
    for (const { ino } of names.values()) this.#inodeCount = Math.max(this.#inodeCount, ino)
    this.reads = this.#makeReads()
    this.writes = this.#makeWrites()
  }

  /** The process is killed: what it wrote is there for the next one. This object refuses all from now on. */
  kill(): FaultyFileSystem {
    this.#off = true
    const next = new FaultyFileSystem(this.#seed(), this.#names, this.#directories)
    next.#durableNames = this.#durableNames
    next.#nameChanges = this.#nameChanges
    return next
  }

  /** The power fails: of what was not synced any part is lost, torn or full of zeros. Returns the disk as it comes back. */
  powerCut(): FaultyFileSystem {
    this.#off = true
    const names = new Map(this.#durableNames)
    // The changes of one directory reach the disk in order, as in a journal, but how many of them is open.
    for (const directory of this.#directories) {
      const changes = this.#nameChanges.filter((change) => change.directory === directory)
      for (const change of changes.slice(0, this.#upTo(changes.length))) change.apply(names)
    }
    const survivors = new Map<Inode, Inode>()
    for (const inode of new Set(names.values())) survivors.set(inode, this.#afterPowerCut(inode))
    const kept = new Map([...names].map(([path, inode]) => [path, survivors.get(inode)!]))
    return new FaultyFileSystem(this.#seed(), kept, this.#directories)
  }

  /** Writes a file as if it had always been there. */
  plant(path: string, content: Buffer | string): void {
    const bytes = Buffer.from(content)
    const inode = newInode(++this.#inodeCount, bytes)
    this.#names.set(path, inode)
    this.#durableNames.set(path, inode)
    this.#directories.add(parentOf(path))
  }

  /** Somebody else appends to a file that is there. */
  scribble(path: string, content: Buffer | string): void {
    change(this.#existing(path, 'scribble'), { append: Buffer.from(content) })
  }

  /** What a reader of `path` would get; null when there is no such file. */
  peek(path: string): Buffer | null {
    return this.#names.get(path)?.content ?? null
  }

  #afterPowerCut({ ino, synced, unsynced }: Inode): Inode {
    let content = synced
    const applied = this.#upTo(unsynced.length)
    for (const change of unsynced.slice(0, applied)) content = changed(content, change)
    const next = unsynced[applied]
    if (next && 'append' in next) {
      content = changed(content, { append: next.append.subarray(0, this.#upTo(next.append.length)) })
    }
    const bytes = Buffer.from(content)
    // A length may reach the disk before the bytes do.
    if (bytes.length > synced.length && this.#random() < 0.3) {
      const from = synced.length + this.#upTo(bytes.length - synced.length)
      bytes.fill(0, from, from + this.#upTo(bytes.length - from))
    }
    return newInode(ino, bytes)
  }

  #makeWrites(): WriteFileSystem {
    return {
      readFile: async (path) => {
        await this.#begin('readFile', path)
        if (this.#directories.has(path)) throw systemError('EISDIR', 'readFile', path)
        return Buffer.from(this.#existing(path, 'readFile').content)
      },
      openAppend: async (path, truncate) => {
        await this.#begin('openAppend', path)
        if (this.#directories.has(path)) throw systemError('EISDIR', 'openAppend', path)
        if (!this.#directories.has(parentOf(path))) throw systemError('ENOENT', 'openAppend', path)
        let inode = this.#names.get(path)
        if (inode === undefined) {
          const created = newInode(++this.#inodeCount, Buffer.alloc(0))
          this.#changeNames(path, (names) => names.set(path, created))
          inode = created
        } else if (truncate) change(inode, { truncateTo: 0 })
        return this.#handle(path, inode)
      },
      rename: async (from, to) => {
        await this.#begin('rename', from)
        const inode = this.#existing(from, 'rename')
        this.#changeNames(to, (names) => {
          names.set(to, inode)
          if (names.get(from) === inode) names.delete(from)
        })
      },
      unlink: async (path) => {
        await this.#begin('unlink', path)
        this.#existing(path, 'unlink')
        this.#changeNames(path, (names) => names.delete(path))
      },
      mkdir: async (path) => {
        await this.#begin('mkdir', path)
        if (this.#names.has(path)) throw systemError('EEXIST', 'mkdir', path)
        for (let directory = path; directory !== '/'; directory = parentOf(directory)) this.#directories.add(directory)
      },
      syncDirectory: async (path) => {
        await this.#begin('syncDirectory', path)
        if (!this.#directories.has(path)) throw systemError('ENOENT', 'syncDirectory', path)
        for (const done of this.#nameChanges) if (done.directory === path) done.apply(this.#durableNames)
        this.#nameChanges = this.#nameChanges.filter((done) => done.directory !== path)
      },
      list: async (path) => {
        await this.#begin('list', path)
        return this.#list(path)
      },
    }
  }

  #handle(openedAs: string, inode: Inode): WriteHandle {
    const name = () => [...this.#names].find(([, named]) => named === inode)?.[0] ?? openedAs
    this.openHandles++
    return {
      append: async (data) => {
        const code = await this.#ask('append', name())
        const half = this.#upTo(data.length)
        // In two parts with a turn between, so that a kill can come in the middle of it.
        change(inode, { append: Buffer.from(data.subarray(0, half)) })
        if (code !== null) throw systemError(code, 'append', name())
        await null
        this.#mustBeOn()
        change(inode, { append: Buffer.from(data.subarray(half)) })
      },
      sync: async () => {
        const code = await this.#ask('sync', name())
        if (code !== null) {
          inode.given.push({ from: inode.dirtyFrom, to: inode.content.length })
          inode.dirtyFrom = inode.content.length
          throw systemError(code, 'sync', name())
        }
        inode.synced = Buffer.from(inode.content)
        for (const { from, to } of inode.given) inode.synced.fill(0, from, to)
        inode.unsynced = []
        inode.dirtyFrom = inode.content.length
      },
      truncate: async (lengthBytes) => {
        await this.#begin('truncate', name())
        change(inode, { truncateTo: lengthBytes })
      },
      close: async () => {
        this.openHandles--
      },
    }
  }

  #makeReads(): ReadFileSystem {
    const stat = (path: string) => {
      const inode = this.#names.get(path)
      if (inode) return this.#stat(inode)
      return this.#directories.has(path) ? directoryStat : null
    }
    const opened = (fd: number) => {
      const inode = this.#open[fd]
      if (!inode) throw systemError('EBADF', 'read', String(fd))
      return inode
    }
    return {
      stat,
      lstat: stat,
      fstat: (fd) => this.#stat(opened(fd)),
      readlink: (path) => {
        throw systemError('EINVAL', 'readlink', path)
      },
      realpath: (path) => path,
      readdir: (path) => this.#list(path),
      open: (path) => this.#open.push(this.#existing(path, 'open')) - 1,
      read: (fd, target, targetOffset, length, position) =>
        opened(fd).content.copy(target, targetOffset, position, position + length),
      close: (fd) => {
        opened(fd)
        this.#open[fd] = null
      },
      fileSystemBytes: (path) => {
        if (stat(path) === null) throw systemError('ENOENT', 'statfs', path)
        return this.bytesTotal
      },
    }
  }

  #stat(inode: Inode): FileStat {
    const nlink = [...this.#names.values()].filter((named) => named === inode).length
    return { dev: 1, ino: inode.ino, size: inode.content.length, mtimeMs: 0, nlink, kind: 'file' }
  }

  #list(path: string): string[] {
    if (this.#names.has(path)) throw systemError('ENOTDIR', 'list', path)
    const all = [...this.#names.keys(), ...this.#directories]
    return all.filter((name) => parentOf(name) === path && name !== '/').map((name) => name.slice(path.length + 1))
  }

  #existing(path: string, operation: string): Inode {
    const inode = this.#names.get(path)
    if (inode === undefined) throw systemError('ENOENT', operation, path)
    return inode
  }

  #changeNames(path: string, apply: (names: Map<string, Inode>) => void): void {
    apply(this.#names)
    this.#nameChanges.push({ directory: parentOf(path), apply })
  }

  async #begin(operation: Operation, path: string): Promise<void> {
    const code = await this.#ask(operation, path)
    if (code !== null) throw systemError(code, operation, path)
  }

  async #ask(operation: Operation, path: string): Promise<string | null> {
    await this.delay(operation, path)
    this.#mustBeOn()
    this.log.push(`${operation} ${path}`)
    return this.fault(operation, path)
  }

  #mustBeOn(): void {
    if (this.#off) throw systemError('EIO', 'use', 'a file system that is gone')
  }

  /** A whole number from 0 to `max`, both included. */
  #upTo(max: number): number {
    return Math.floor(this.#random() * (max + 1))
  }

  #seed(): number {
    return this.#upTo(0x7fff_ffff)
  }
}

const directoryStat: FileStat = { dev: 1, ino: 0, size: 0, mtimeMs: 0, nlink: 1, kind: 'directory' }

function newInode(ino: number, content: Buffer): Inode {
  return { ino, content, synced: content, unsynced: [], dirtyFrom: content.length, given: [] }
}

function change(inode: Inode, done: Change): void {
  inode.content = changed(inode.content, done)
  inode.unsynced.push(done)
  if ('append' in done) return
  inode.dirtyFrom = Math.min(inode.dirtyFrom, done.truncateTo)
  // What is written here after a truncate is new, and can be synced again.
  inode.given = inode.given
    .map(({ from, to }) => ({ from, to: Math.min(to, done.truncateTo) }))
    .filter(({ from, to }) => from < to)
}

function changed(content: Buffer, done: Change): Buffer {
  return 'append' in done ? Buffer.concat([content, done.append]) : content.subarray(0, done.truncateTo)
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/'
}

function systemError(code: string, operation: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${operation} '${path}'`), { code })
}

/** Mulberry32: small, and the same on every machine. */
function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
