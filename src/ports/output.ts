// The process's own standard output, as a port.
import { fstatSync, write } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorCode } from '../core/errors.ts'

export interface Output {
  /**
   * Writes whole lines. Resolves when all of `data` was taken; writes come out one after the other. Rejects with the system's error when the
   * other end is gone (EPIPE) or the disk is full; its `takenBytes` is how much was taken before.
   */
  write(data: Buffer): Promise<void>
}

/** How much of the data was taken before a write failed. */
export function takenBytes(error: unknown): number {
  const bytes = (error as { takenBytes?: unknown } | null)?.takenBytes
  return typeof bytes === 'number' ? bytes : 0
}

/** What a pipe takes as a whole or not at all, whoever else writes to it (PIPE_BUF, pipe(7)). */
const PIPE_BYTES = 4096

/**
 * Writes to a descriptor on the thread pool, so that a slow reader of a pipe blocks no one but this sink. A pipe gets whole
 * lines in pieces that it takes as one, so that no other writer's lines come into the middle of ours; only a line that is
 * longer by itself may be torn, if the pipe is full just then.
 */
export function outputTo(fd: number): Output {
  const isPipe = isFifo(fd)
  // A write that is stuck may be followed by one of the next agent, after a reload: never into the middle of its lines.
  let last: Promise<unknown> = Promise.resolve()
  return {
    write(data) {
      const written = last.then(() => writeAll(fd, data, isPipe))
      last = written.catch(() => {})
      return written
    },
  }
}

function isFifo(fd: number): boolean {
  try {
    return fstatSync(fd).isFIFO()
  } catch {
    return false // closed: the first write tells
  }
}

async function writeAll(fd: number, data: Buffer, isPipe: boolean): Promise<void> {
  let done = 0
  let end = 0
  while (done < data.length) {
    // The rest of a piece that was taken in part goes first.
    if (done === end) end = isPipe ? pieceEnd(data, done) : data.length
    try {
      done += await writeSome(fd, data, done, end)
    } catch (error) {
      // The pipe may have been made non-blocking by whoever shares it.
      if (errorCode(error) !== 'EAGAIN') throw Object.assign(error as Error, { takenBytes: done })
      await sleep(10)
    }
  }
}

/** Where the lines from `from` on end that fit in one piece; the first one does in any case. */
function pieceEnd(data: Buffer, from: number): number {
  if (data.length - from <= PIPE_BYTES) return data.length
  const last = data.lastIndexOf(10, from + PIPE_BYTES - 1)
  if (last >= from) return last + 1
  const newline = data.indexOf(10, from)
  return newline < 0 ? data.length : newline + 1
}

function writeSome(fd: number, data: Buffer, from: number, end: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, data, from, end - from, null, (error, written) => (error ? reject(error) : resolve(written)))
  })
}
