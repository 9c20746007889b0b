// The file system that the node's logs lie on: inodes, names, links, descriptors, times; in memory. It knows no faults
// (files-of-life.ts has them) and is held to the reading half of test/ports/fs.conformance.ts. Invariant: an inode
// lives as long as it has a name or is open; then its number may be given to another one.
import type { FileKind, FileStat, ReadFileSystem } from '../../src/ports/fs.ts'

const LINKS_MAX = 40
/** A node's usual disk. */
const FILE_SYSTEM_BYTES = 100 * 1024 ** 3
/** The kernel's clock ticks: two changes within one tick have one modification time. */
const TICK_MS = 4

export interface Inode {
  ino: number
  kind: FileKind
  /** Content is `bytes[0, size)`. */
  bytes: Buffer
  size: number
  mtimeMs: number
  nlink: number
  opens: number
  /** Of a directory. */
  entries: Map<string, Inode> | null
  /** Of a link. */
  target: string
}

export interface SimDiskOptions {
  /** Wall clock. */
  now: () => number
  /** Which of the free inode numbers to take again; -1: a new one. */
  reuse: (free: readonly number[]) => number
}

export class SimDisk {
  /** Called when the last name and the last descriptor of a file are gone. */
  onFree: (inode: Inode) => void = () => {}
  /** Called when a name or the size of a file changes, except that it grows. */
  onChange: (what: string) => void = () => {}
  readonly reads: ReadFileSystem
  readonly #options: SimDiskOptions
  readonly #root: Inode
  readonly #byNumber = new Map<number, Inode>()
  readonly #descriptors: ({ inode: Inode; path: string } | null)[] = []
  #lastIno = 1
  #free: number[] = []

  constructor(options: SimDiskOptions) {
    this.#options = options
    this.#root = this.#newInode('directory')
    this.reads = this.#makeReads()
  }

  /** The inode that has the number now. */
  byNumber(ino: number): Inode | null {
    return this.#byNumber.get(ino) ?? null
  }

  /** What the descriptor is open on. */
  opened(fd: number): Inode {
    return this.#opened(fd).inode
  }

  /** What is at a path, following links; null when nothing is. */
  at(path: string): Inode | null {
    return this.#find(path, true).inode
  }

  append(inode: Inode, data: Buffer | string): void {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data
    const needed = inode.size + bytes.length
    if (needed > inode.bytes.length) {
      const grown = Buffer.alloc(Math.max(needed, inode.bytes.length * 2, 4096))
      inode.bytes.copy(grown, 0, 0, inode.size)
      inode.bytes = grown
    }
    bytes.copy(inode.bytes, inode.size)
    inode.size = needed
    inode.mtimeMs = this.#tick()
  }

  truncate(inode: Inode, lengthBytes: number): void {
    this.onChange(`truncate inode ${inode.ino} from ${inode.size} to ${lengthBytes}`)
    inode.bytes.fill(0, lengthBytes)
    inode.size = lengthBytes
    inode.mtimeMs = this.#tick()
  }

  /** A new file; what had the name loses it. */
  create(path: string, content: Buffer | string = ''): Inode {
    const inode = this.#newInode('file')
    this.#name(path, inode)
    this.onChange(`create ${path}: inode ${inode.ino}, ${content.length} bytes`)
    if (content.length > 0) this.append(inode, content)
    return inode
  }

  fifo(path: string): void {
    this.#name(path, this.#newInode('fifo'))
  }

  symlink(target: string, path: string): void {
    const inode = this.#newInode('symlink')
    inode.target = target
    this.#name(path, inode)
  }

  /** Like mkdir -p. */
  mkdir(path: string): void {
    let made = ''
    for (const name of path.split('/').slice(1)) {
      made += `/${name}`
      if (this.#find(made, true).inode === null) this.#name(made, this.#newInode('directory'))
    }
  }

  rename(from: string, to: string): void {
    const { parent, name, inode } = this.#find(from, false)
    if (inode === null || parent === null) throw systemError('ENOENT', 'rename', from)
    this.onChange(`rename ${from} to ${to}: inode ${inode.ino}, ${inode.size} bytes`)
    this.#name(to, inode)
    parent.entries?.delete(name)
    parent.mtimeMs = this.#tick()
    inode.nlink--
  }

  unlink(path: string): void {
    const { parent, name, inode } = this.#find(path, false)
    if (inode === null || parent === null) throw systemError('ENOENT', 'unlink', path)
    this.onChange(`unlink ${path}: inode ${inode.ino}, ${inode.size} bytes`)
    parent.entries?.delete(name)
    parent.mtimeMs = this.#tick()
    this.#dropName(inode)
  }

  /** Like rm -r; nothing when nothing is there. */
  remove(path: string): void {
    const { inode } = this.#find(path, false)
    if (inode === null) return
    for (const name of [...(inode.entries?.keys() ?? [])]) this.remove(`${path}/${name}`)
    this.unlink(path)
  }

  #tick(): number {
    return Math.floor(this.#options.now() / TICK_MS) * TICK_MS
  }

  #newInode(kind: FileKind): Inode {
    const index = this.#options.reuse(this.#free)
    const ino = index < 0 ? ++this.#lastIno : (this.#free.splice(index, 1)[0] as number)
    const entries = kind === 'directory' ? new Map<string, Inode>() : null
    const inode = { ino, kind, bytes: Buffer.alloc(0), size: 0, mtimeMs: this.#tick(), nlink: 0, opens: 0, entries }
    const made: Inode = { ...inode, target: '' }
    this.#byNumber.set(ino, made)
    return made
  }

  #name(path: string, inode: Inode): void {
    const { parent, name, inode: before } = this.#find(path, false)
    if (parent === null) throw systemError('ENOENT', 'open', path)
    parent.entries?.set(name, inode)
    parent.mtimeMs = this.#tick()
    inode.nlink++
    if (before !== null && before !== inode) this.#dropName(before)
  }

  #dropName(inode: Inode): void {
    inode.nlink--
    this.#freeUnused(inode)
  }

  #freeUnused(inode: Inode): void {
    if (inode.nlink > 0 || inode.opens > 0) return
    this.#byNumber.delete(inode.ino)
    this.#free.push(inode.ino)
    this.onFree(inode)
  }

  /** Walks a path. `parent` null: a directory on the way is missing. Throws ELOOP and, for a file on the way, ENOTDIR. */
  #find(path: string, follow: boolean): { parent: Inode | null; name: string; inode: Inode | null; real: string } {
    let links = 0
    let stack: { name: string; inode: Inode }[] = []
    let names = path.split('/').filter((name) => name !== '' && name !== '.')
    const realOf = (name: string) => `/${[...stack.map((each) => each.name), name].join('/')}`
    while (names.length > 0) {
      const name = names.shift() as string
      if (name === '..') {
        stack.pop()
        continue
      }
      const parent = stack.at(-1)?.inode ?? this.#root
      if (parent.entries === null) throw systemError('ENOTDIR', 'walk', path)
      const inode = parent.entries.get(name) ?? null
      if (inode === null) return { parent: names.length === 0 ? parent : null, name, inode: null, real: realOf(name) }
      if (inode.kind === 'symlink' && (follow || names.length > 0)) {
        if (++links > LINKS_MAX) throw systemError('ELOOP', 'walk', path)
        if (inode.target.startsWith('/')) stack = []
        names = [...inode.target.split('/').filter((part) => part !== '' && part !== '.'), ...names]
        continue
      }
      if (names.length === 0) return { parent, name, inode, real: realOf(name) }
      stack.push({ name, inode })
    }
    const last = stack.pop()
    if (last === undefined) return { parent: null, name: '', inode: this.#root, real: '/' }
    return { parent: stack.at(-1)?.inode ?? this.#root, name: last.name, inode: last.inode, real: realOf(last.name) }
  }

  #opened(fd: number): { inode: Inode; path: string } {
    const opened = this.#descriptors[fd]
    if (!opened) throw systemError('EBADF', 'use', String(fd))
    return opened
  }

  #existing(path: string, follow: boolean, operation: string): { inode: Inode; real: string } {
    const { inode, real } = this.#find(path, follow)
    if (inode === null) throw systemError('ENOENT', operation, path)
    return { inode, real }
  }

  #makeReads(): ReadFileSystem {
    const statAt = (path: string, follow: boolean) => {
      try {
        const { inode } = this.#find(path, follow)
        return inode === null ? null : statOf(inode)
      } catch (error) {
        if ((error as { code?: string }).code === 'ENOTDIR') return null
        throw error
      }
    }
    return {
      stat: (path) => statAt(path, true),
      lstat: (path) => statAt(path, false),
      fstat: (fd) => statOf(this.#opened(fd).inode),
      readlink: (path) => {
        const descriptor = /^\/proc\/self\/fd\/(\d+)$/.exec(path)
        if (descriptor !== null) return this.#opened(Number(descriptor[1])).path
        const { inode } = this.#existing(path, false, 'readlink')
        if (inode.kind !== 'symlink') throw systemError('EINVAL', 'readlink', path)
        return inode.target
      },
      realpath: (path) => this.#existing(path, true, 'realpath').real,
      readdir: (path) => {
        const { inode } = this.#existing(path, true, 'readdir')
        if (inode.entries === null) throw systemError('ENOTDIR', 'readdir', path)
        return [...inode.entries.keys()]
      },
      open: (path) => {
        const { inode, real } = this.#existing(path, true, 'open')
        inode.opens++
        return this.#descriptors.push({ inode, path: real }) - 1
      },
      read: (fd, target, targetOffset, length, position) => {
        const { inode } = this.#opened(fd)
        if (inode.kind === 'directory') throw systemError('EISDIR', 'read', String(fd))
        const end = Math.min(inode.size, position + length)
        return end <= position ? 0 : inode.bytes.copy(target, targetOffset, position, end)
      },
      close: (fd) => {
        const { inode } = this.#opened(fd)
        this.#descriptors[fd] = null
        inode.opens--
        this.#freeUnused(inode)
      },
      fileSystemBytes: (path) => {
        this.#existing(path, true, 'statfs')
        return FILE_SYSTEM_BYTES
      },
    }
  }
}

function statOf({ ino, size, mtimeMs, nlink, kind }: Inode): FileStat {
  return { dev: 1, ino, size: kind === 'directory' ? 4096 : size, mtimeMs, nlink, kind }
}

export function systemError(code: string, operation: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${operation} '${path}'`), { code })
}
