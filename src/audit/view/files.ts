// Audit logs in the order in which they were written: rotated files, the oldest first, plain or compressed, then the live one,
// and with it what comes later. Nothing is read twice: not a file that was named and is a sibling too, nor one that is
// renamed or compressed meanwhile. Bound: one block of one file at a time.
import { basename, dirname, join } from 'node:path'
import { errorCode, errorMessage } from '../../core/errors.ts'
import { compareSiblings, genericSibling, LIVE, type SiblingName } from '../../discover/names.ts'
import type { FileStat, ReadFileSystem } from '../../ports/fs.ts'
import type { Gunzip } from '../../ports/gunzip.ts'
import { Lines, type Scan } from './scan.ts'

const COMPRESSED_BYTES = 64 * 1024

export interface LogDeps {
  fs: ReadFileSystem
  gunzip: Gunzip
  scan: Scan
  /** Called between blocks; what it returns is waited for. */
  flush: () => Promise<void>
  /** Hears of a file that could not be read, or not to its end. Reading goes on with the next. */
  problem: (path: string, message: string) => void
  /** Of what is no regular file. */
  openStream: (path: string) => AsyncIterable<Buffer>
}

interface Sibling extends SiblingName {
  path: string
}

/** Reads a stream, compressed or not. */
export async function readStream(deps: LogDeps, name: string, chunks: AsyncIterable<Buffer>): Promise<void> {
  const lines = new Lines(deps.scan)
  let unzip: Unzip | null | undefined
  try {
    for await (const chunk of chunks) {
      unzip ??= isGzip(chunk) ? new Unzip(deps, lines) : null
      if (unzip === null) lines.push(chunk)
      else if (!(await unzip.write(chunk))) break
      await deps.flush()
    }
    const failure = await unzip?.end()
    if (failure) deps.problem(name, failure)
  } catch (error) {
    deps.problem(name, errorMessage(error))
  }
  lines.finish()
  await deps.flush()
}

/** A log by its path: with its rotated files where the path is a live one's. */
export class Log {
  readonly path: string
  readonly #deps: LogDeps
  /** `dev:ino` of what was read, over all logs of a command. */
  readonly #seen: Set<string>
  #fd = -1
  #position = 0
  #lines: Lines
  /** Rotated files that are known: their ranks, which are one file's for ever, or what they are. */
  #known = new Set<string>()

  constructor(deps: LogDeps, path: string, seen: Set<string>) {
    this.path = path
    this.#deps = deps
    this.#seen = seen
    this.#lines = new Lines(deps.scan)
  }

  /** Reads all there is; to be followed, it leaves what has no newline for later. */
  async read(isFollowed: boolean): Promise<void> {
    const { fs, problem } = this.#deps
    let stat: FileStat | null
    try {
      stat = fs.stat(this.path)
    } catch (error) {
      return problem(this.path, errorMessage(error))
    }
    if (stat?.kind === 'directory') return problem(this.path, 'is a directory')
    if (stat !== null && stat.kind !== 'file') {
      return readStream(this.#deps, this.path, this.#deps.openStream(this.path))
    }
    if (genericSibling(basename(this.path)).order.rank !== LIVE) return this.#readWhole(this.path)
    // The live file is opened first: when it is renamed while older ones are read, it is the same file still.
    this.#open()
    if (this.#fd >= 0) {
      const live = identity(fs.fstat(this.#fd))
      if (this.#seen.has(live)) return this.#release() // named twice
      this.#seen.add(live)
    }
    const siblings = this.#siblings()
    for (const sibling of siblings) await this.#readSibling(sibling)
    if (this.#fd < 0) {
      if (siblings.length === 0 || isFollowed) problem(this.path, 'there is no such file')
      return
    }
    await this.#drain()
    if (!isFollowed) this.close()
  }

  /** Reads what came since, in this file or in those that followed it. */
  async poll(): Promise<void> {
    const { fs, problem } = this.#deps
    try {
      if (this.#fd < 0) this.#open()
      if (this.#fd < 0) return
      await this.#drain()
      const stat = fs.stat(this.path)
      if (stat === null) return // between rename and creation
      const held = fs.fstat(this.#fd)
      if (stat.ino !== held.ino || stat.dev !== held.dev) {
        await this.#drain()
        this.close()
        await this.#readBetween(held)
        this.#open()
        if (this.#fd >= 0) await this.#drain()
      } else if (held.size < this.#position) {
        problem(this.path, `was cut from ${this.#position} bytes to ${held.size}; reading it from its start`)
        this.#lines.finish()
        this.#position = 0
      }
    } catch (error) {
      problem(this.path, errorMessage(error))
      this.close()
    }
  }

  /** The end of the live file: its last line is taken as it is. */
  close(): void {
    if (this.#fd < 0) return
    this.#lines.finish()
    this.#release()
  }

  #open(): void {
    const { fs, problem } = this.#deps
    try {
      this.#fd = fs.open(this.path)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') problem(this.path, errorMessage(error))
      return
    }
    this.#position = 0
  }

  #release(): void {
    this.#deps.fs.close(this.#fd)
    this.#fd = -1
  }

  /** Reads the live file to where it ends now. */
  async #drain(): Promise<void> {
    const { fs, flush } = this.#deps
    if (this.#position === 0 && isGzipFile(fs, this.#fd)) {
      await this.#unzip(this.#fd, this.path, this.#lines)
      this.#position = fs.fstat(this.#fd).size
      return
    }
    for (;;) {
      const bytes = this.#lines.fill((target, offset, length) =>
        fs.read(this.#fd, target, offset, length, this.#position),
      )
      this.#position += bytes
      await flush()
      if (bytes === 0) return
    }
  }

  /** Rotated files, oldest first; of a file and its compressed form only the first. */
  #siblings(): Sibling[] {
    const { fs, problem } = this.#deps
    const directory = dirname(this.path)
    const base = basename(this.path)
    let names: string[] = []
    try {
      names = fs.readdir(directory)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') problem(directory, errorMessage(error))
    }
    const siblings = names
      .map((name) => ({ ...genericSibling(name), path: join(directory, name) }))
      .filter((sibling) => sibling.base === base && sibling.order.rank !== LIVE)
      .sort(compareSiblings)
    return siblings.filter((sibling, index) => sibling.order.rank !== siblings[index - 1]?.order.rank)
  }

  async #readSibling(sibling: Sibling): Promise<void> {
    this.#known.add(sibling.order.rank)
    await this.#readWhole(sibling.path)
  }

  /** What was rotated away since the file that was held, which is read. */
  async #readBetween(held: FileStat): Promise<void> {
    const { fs } = this.#deps
    const siblings = this.#siblings()
    // Numbers move from file to file: the file that was held is the first of those that are newer.
    const isNumbered = siblings.some((sibling) => sibling.order.rank.startsWith('n'))
    const at = siblings.findIndex(({ path }) => {
      const stat = fs.stat(path)
      return stat !== null && stat.ino === held.ino && stat.dev === held.dev
    })
    const fresh =
      isNumbered || at >= 0
        ? siblings.slice(at < 0 ? siblings.length : at + 1)
        : siblings.filter((sibling) => !this.#known.has(sibling.order.rank)).slice(1) // the first is the held one, compressed
    for (const sibling of siblings) this.#known.add(sibling.order.rank)
    for (const sibling of fresh) await this.#readSibling(sibling)
  }

  async #readWhole(path: string): Promise<void> {
    const { fs, problem, flush } = this.#deps
    let fd: number
    let opened = path
    try {
      fd = fs.open(path)
    } catch (error) {
      // Compressed since it was listed.
      if (errorCode(error) !== 'ENOENT' || path.endsWith('.gz')) return problem(path, errorMessage(error))
      try {
        opened = `${path}.gz`
        fd = fs.open(opened)
      } catch {
        return problem(path, errorMessage(error))
      }
    }
    const lines = new Lines(this.#deps.scan)
    try {
      const stat = fs.fstat(fd)
      if (stat.kind !== 'file') return problem(opened, 'is no file')
      if (this.#seen.has(identity(stat))) return
      this.#seen.add(identity(stat))
      if (isGzipFile(fs, fd)) await this.#unzip(fd, opened, lines)
      else {
        for (let position = 0; ; ) {
          const bytes = lines.fill((target, offset, length) => fs.read(fd, target, offset, length, position))
          position += bytes
          await flush()
          if (bytes === 0) break
        }
      }
    } catch (error) {
      problem(opened, errorMessage(error))
    } finally {
      fs.close(fd)
      lines.finish()
      await flush()
    }
  }

  async #unzip(fd: number, path: string, lines: Lines): Promise<void> {
    const { fs, flush, problem } = this.#deps
    const unzip = new Unzip(this.#deps, lines)
    const compressed = Buffer.allocUnsafeSlow(COMPRESSED_BYTES)
    for (let position = 0; ; ) {
      const bytes = fs.read(fd, compressed, 0, COMPRESSED_BYTES, position)
      if (bytes === 0) break
      position += bytes
      if (!(await unzip.write(compressed.subarray(0, bytes)))) break
      await flush()
    }
    const failure = await unzip.end()
    if (failure !== null) problem(path, failure)
  }
}

/** What is compressed, on its way to lines. */
class Unzip {
  readonly #stream: ReturnType<Gunzip['stream']>
  readonly #ended: Promise<string | null>
  #hasEnded = false

  constructor({ gunzip }: LogDeps, lines: Lines) {
    let end: (failure: string | null) => void = () => {}
    this.#ended = new Promise((resolve) => (end = resolve))
    this.#stream = gunzip.stream(
      (data) => lines.push(data),
      (failure) => {
        this.#hasEnded = true
        end(failure)
      },
    )
  }

  /** False once nothing more can be taken. */
  async write(compressed: Buffer): Promise<boolean> {
    if (this.#hasEnded) return false
    await Promise.race([new Promise<void>((done) => this.#stream.write(compressed, done)), this.#ended])
    return !this.#hasEnded
  }

  /** Why it could not be read to its end; null when it was. */
  async end(): Promise<string | null> {
    if (!this.#hasEnded) this.#stream.end()
    const failure = await this.#ended
    this.#stream.destroy()
    return failure
  }
}

function identity({ dev, ino }: FileStat): string {
  return `${dev}:${ino}`
}

function isGzip(bytes: Buffer): boolean {
  return bytes.length > 1 && bytes[0] === 0x1f && bytes[1] === 0x8b
}

function isGzipFile(fs: ReadFileSystem, fd: number): boolean {
  const first = Buffer.alloc(2)
  return fs.read(fd, first, 0, 2, 0) === 2 && isGzip(first)
}
