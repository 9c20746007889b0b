// The process's own standard output, as a port.
import { write } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorCode } from '../core/errors.ts'

export interface Output {
  /**
   * Resolves when all of `data` was taken; writes come out one after the other. Rejects with the system's error when the
   * other end is gone (EPIPE) or the disk is full; its `takenBytes` is how much was taken before.
   */
  write(data: Buffer): Promise<void>
}

/** How much of the data was taken before a write failed. */
export function takenBytes(error: unknown): number {
  const bytes = (error as { takenBytes?: unknown } | null)?.takenBytes
  return typeof bytes === 'number' ? bytes : 0
}

/** Writes to a descriptor on the thread pool, so that a slow reader of a pipe blocks no one but this sink. */
export function outputTo(fd: number): Output {
  // A write that is stuck may be followed by one of the next agent, after a reload: never into the middle of its lines.
  let last: Promise<unknown> = Promise.resolve()
  return {
    write(data) {
      const written = last.then(() => writeAll(fd, data))
      last = written.catch(() => {})
      return written
    },
  }
}

async function writeAll(fd: number, data: Buffer): Promise<void> {
  let done = 0
  while (done < data.length) {
    try {
      done += await writeSome(fd, data, done)
    } catch (error) {
      // The pipe may have been made non-blocking by whoever shares it.
      if (errorCode(error) !== 'EAGAIN') throw Object.assign(error as Error, { takenBytes: done })
      await sleep(10)
    }
  }
}

function writeSome(fd: number, data: Buffer, from: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, data, from, data.length - from, null, (error, written) => (error ? reject(error) : resolve(written)))
  })
}
