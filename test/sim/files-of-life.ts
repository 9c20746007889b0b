// The file system as one process of the agent gets it: the simulated disk for logs, the state directory's own for the
// rest, and what goes wrong on the way. Before every call the process may be killed, time passes, and others on the node
// may act: nothing but the call itself is one step. Invariant: when the process is dead its descriptors are closed.
import type { FileStat, ReadFileSystem } from '../../src/ports/fs.ts'
import type { Draw } from './draw.ts'
import type { Faults } from './faults.ts'
import type { SimClock } from './sim-clock.ts'
import { type Inode, type SimDisk, systemError } from './sim-disk.ts'
import type { Trace } from './trace.ts'

/** Descriptors of the state directory's files are told from the disk's by this. */
const STATE_FD = 1_000_000

/** Calls from the opening of a file until it is known which one it is. */
const CALLS_OF_OPENING_MAX = 100

/** A descriptor of the process. */
interface Opened {
  /** What it had been shown of the file before. */
  toldBytes: number
  /** Calls, and errors that were made up, until then. */
  calls: number
  errors: number
}

export interface FilesDeps {
  clock: SimClock
  disk: SimDisk
  /** Reads below `stateDirectory`. */
  state: ReadFileSystem
  stateDirectory: string
  draw: Draw
  faults: Faults
  trace: Trace
  /** Called before every call; throws when the process is dead. */
  step: () => void
  isStorming: () => boolean
}

export class FilesOfLife implements ReadFileSystem {
  /** Errors that were made up. */
  errorCount = 0
  readonly #deps: FilesDeps
  readonly #open = new Map<number, Opened>()
  #calls = 0
  /** How much the process was shown of each file that it had open. */
  readonly #told = new Map<Inode, number>()

  constructor(deps: FilesDeps) {
    this.#deps = deps
  }

  toldBytes(inode: Inode): number {
    return this.#told.get(inode) ?? 0
  }

  /** The file has another content from now on. */
  forget(inode: Inode): void {
    this.#told.delete(inode)
  }

  stat(path: string): FileStat | null {
    if (this.#isState(path)) return this.#deps.state.stat(path)
    this.#before('stat', path)
    return this.#deps.disk.reads.stat(path)
  }

  lstat(path: string): FileStat | null {
    this.#before('lstat', path)
    return this.#deps.disk.reads.lstat(path)
  }

  fstat(fd: number): FileStat {
    this.#before('fstat', String(fd))
    const stat = this.#deps.disk.reads.fstat(fd)
    this.#tell(fd, stat.size)
    return stat
  }

  readlink(path: string): string {
    this.#before('readlink', path)
    return this.#deps.disk.reads.readlink(path)
  }

  realpath(path: string): string {
    this.#before('realpath', path)
    return this.#deps.disk.reads.realpath(path)
  }

  readdir(path: string): string[] {
    this.#before('readdir', path)
    return this.#deps.disk.reads.readdir(path)
  }

  open(path: string): number {
    if (this.#isState(path)) return STATE_FD + this.#deps.state.open(path)
    this.#before('open', path)
    const fd = this.#deps.disk.reads.open(path)
    const toldBytes = this.toldBytes(this.#deps.disk.opened(fd))
    this.#open.set(fd, { toldBytes, calls: this.#calls, errors: this.errorCount })
    return fd
  }

  read(fd: number, target: Buffer, targetOffset: number, length: number, position: number): number {
    if (fd >= STATE_FD) return this.#deps.state.read(fd - STATE_FD, target, targetOffset, length, position)
    this.#before('read', String(fd))
    const { disk, draw, faults, trace } = this.#deps
    const isShort = length > 1 && faults.on.has('shortReads') && this.#deps.isStorming() && draw.chance(faults.rate)
    const got = disk.reads.read(fd, target, targetOffset, isShort ? draw.int(1, length - 1) : length, position)
    trace.count(got)
    if (got > 0) this.#tell(fd, position + got)
    return got
  }

  close(fd: number): void {
    if (fd >= STATE_FD) {
      this.#deps.state.close(fd - STATE_FD)
      return
    }
    this.#before('close', String(fd))
    this.#takeBack(fd)
    this.#open.delete(fd)
    this.#deps.disk.reads.close(fd)
  }

  fileSystemBytes(path: string): number {
    return this.#deps.disk.reads.fileSystemBytes(path)
  }

  /** The process is dead: the kernel closes what it had open. */
  closeAll(): void {
    for (const fd of this.#open.keys()) this.#deps.disk.reads.close(fd)
    this.#open.clear()
  }

  #isState(path: string): boolean {
    return path.startsWith(this.#deps.stateDirectory)
  }

  /** A file that could not be looked at when it was opened, and was closed again at once, counts as not seen. */
  #takeBack(fd: number): void {
    const opened = this.#open.get(fd)
    if (opened === undefined || opened.errors === this.errorCount) return
    if (this.#calls - opened.calls > CALLS_OF_OPENING_MAX) return
    const inode = this.#deps.disk.opened(fd)
    if (inode.opens === 1) this.#told.set(inode, opened.toldBytes)
  }

  #tell(fd: number, bytes: number): void {
    const inode = this.#deps.disk.opened(fd)
    this.#told.set(inode, Math.max(this.toldBytes(inode), bytes))
  }

  #before(
    operation: 'read' | 'open' | 'close' | 'stat' | 'lstat' | 'fstat' | 'readdir' | 'readlink' | 'realpath',
    path: string,
  ): void {
    const { clock, draw, faults, trace, step, isStorming } = this.#deps
    step()
    this.#calls++
    trace.count(operation.length)
    clock.pass(0.002)
    if (faults.interleaving > 0 && draw.chance(faults.interleaving)) clock.actEarly()
    if (!isStorming() || operation === 'close') return
    const code = this.#fault(operation)
    if (code === null) return
    this.errorCount++
    trace.note('file error', `${code} ${operation} ${path}`)
    throw systemError(code, operation, path)
  }

  #fault(operation: string): string | null {
    const { draw, faults } = this.#deps
    if (faults.on.has('noDescriptors') && (operation === 'open' || operation === 'readdir')) {
      return draw.chance(faults.rate) ? 'EMFILE' : null
    }
    const mayFail = faults.on.has('readErrors') && ['read', 'open', 'readdir', 'stat', 'fstat'].includes(operation)
    return mayFail && draw.chance(faults.rate / 4) ? 'EIO' : null
  }
}
