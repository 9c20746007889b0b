// The checkpoint log as a file: appended to, and now and then written anew beside itself and renamed into place.
// Invariant: `append` adds to a file all of whose bytes are sound and durable, or not at all; where that is in doubt
// (a failed sync, a failed truncate, a log that somebody else wrote) only `rewrite` is possible. Not reentrant: one
// call at a time.
import { errorCode } from '../core/errors.ts'
import type { WriteFileSystem, WriteHandle } from '../ports/fs.ts'

const DAMAGED_COUNT_MAX = 3

export class LogFile {
  readonly path: string
  readonly #directory: string
  readonly #fs: WriteFileSystem
  /** Null when the file must be written anew. */
  #handle: WriteHandle | null = null
  /** Sound and durable bytes in the file. */
  #bytes = 0
  #bytesRewritten = 0
  /** An append did not end well: there may be more in the file than `#bytes`. */
  #torn = false

  constructor(directory: string, fs: WriteFileSystem) {
    this.path = `${directory}/checkpoints.log`
    this.#directory = directory
    this.#fs = fs
  }

  get mustRewrite(): boolean {
    return this.#handle === null
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Bytes that the file had when it was last written anew: about what is live. */
  get bytesRewritten(): number {
    return this.#bytesRewritten
  }

  /** All that is in the file; null when there is none. */
  async read(): Promise<Buffer | null> {
    try {
      return await this.#fs.readFile(this.path)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return null
      throw error
    }
  }

  /** Resolves when `chunks` are durable at the end of the file. Whatever is thrown, a later call mends it. */
  async append(chunks: Iterable<Buffer>): Promise<void> {
    const handle = this.#handle
    if (handle === null) throw new Error('checkpoint log: append to a file that must be written anew')
    if (this.#torn) await this.#orAbandon(handle.truncate(this.#bytes))
    this.#torn = true
    const bytes = await appendAll(handle, chunks)
    // After a failed sync the pages count as clean although they are not on the disk: a second sync would lie.
    await this.#orAbandon(handle.sync())
    this.#bytes += bytes
    this.#torn = false
  }

  /** Replaces the file by `chunks`; the old one stays until the new one is on the disk. */
  async rewrite(chunks: Iterable<Buffer>): Promise<void> {
    await this.#abandon()
    const temporary = `${this.path}.tmp`
    const handle = await this.#fs.openAppend(temporary, true)
    let bytes: number
    try {
      bytes = await appendAll(handle, chunks)
      await handle.sync()
      await this.#fs.rename(temporary, this.path)
      await this.#fs.syncDirectory(this.#directory)
    } catch (error) {
      await quietly(handle.close())
      // A full disk needs its bytes back; should this fail too, the next attempt starts with emptying it.
      await quietly(this.#fs.unlink(temporary))
      throw error
    }
    this.#handle = handle
    this.#torn = false
    this.#bytes = this.#bytesRewritten = bytes
  }

  /**
   * Keeps a damaged log for people, as `checkpoints.log.damaged-TIME`, the latest three of them. It is a copy: the log
   * itself stays in place until `rewrite` replaces it, so that no crash in between loses what is sound in it. Returns
   * the path of the copy.
   */
  async keepDamaged(data: Buffer, nowMs: number): Promise<string> {
    const prefix = 'checkpoints.log.damaged-'
    const name = prefix + new Date(nowMs).toISOString().replaceAll(':', '-')
    const path = `${this.#directory}/${name}`
    const handle = await this.#fs.openAppend(path, true)
    try {
      await handle.append(data)
      await handle.sync()
    } catch (error) {
      await quietly(this.#fs.unlink(path))
      throw error
    } finally {
      await quietly(handle.close())
    }
    const kept = (await this.#fs.list(this.#directory)).filter((other) => other.startsWith(prefix)).sort()
    for (const old of kept.slice(0, -DAMAGED_COUNT_MAX)) await quietly(this.#fs.unlink(`${this.#directory}/${old}`))
    return path
  }

  async close(): Promise<void> {
    await this.#abandon()
  }

  async #orAbandon(operation: Promise<void>): Promise<void> {
    try {
      await operation
    } catch (error) {
      await this.#abandon()
      throw error
    }
  }

  async #abandon(): Promise<void> {
    const handle = this.#handle
    this.#handle = null
    if (handle !== null) await quietly(handle.close())
  }
}

async function appendAll(handle: WriteHandle, chunks: Iterable<Buffer>): Promise<number> {
  let bytes = 0
  for (const chunk of chunks) {
    await handle.append(chunk)
    bytes += chunk.length
  }
  return bytes
}

/** For what is tidied up only: all that counts was synced before, or is being reported already. */
async function quietly(operation: Promise<void>): Promise<void> {
  try {
    await operation
  } catch {
    // Nothing depends on it.
  }
}
