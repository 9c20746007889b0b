// The process's own standard output, as a port.
import { write } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorCode } from '../core/errors.ts'

export interface Output {
  /** Resolves when all of `data` was taken. Rejects when the other end is gone (EPIPE) or the disk is full. */
  write(data: Buffer): Promise<void>
}

/** Writes to a descriptor on the thread pool, so that a slow reader of a pipe blocks no one but this sink. */
export function outputTo(fd: number): Output {
  return {
    async write(data) {
      let done = 0
      while (done < data.length) {
        try {
          done += await writeSome(fd, data, done)
        } catch (error) {
          // The pipe may have been made non-blocking by whoever shares it.
          if (errorCode(error) !== 'EAGAIN') throw error
          await sleep(10)
        }
      }
    },
  }
}

function writeSome(fd: number, data: Buffer, from: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, data, from, data.length - from, null, (error, written) => (error ? reject(error) : resolve(written)))
  })
}
