// Decompression in virtual time: what the thread pool does takes a while, and always the same while.
import { constants, gunzipSync } from 'node:zlib'
import type { Clock } from '../../src/ports/clock.ts'
import { type Gunzip, realGunzip } from '../../src/ports/gunzip.ts'

const STEP_MS = 2
const CHUNK_BYTES = 64 * 1024

/** Like realGunzip; of damaged data nothing comes but the end. */
export function simGunzip(clock: Clock): Gunzip {
  return {
    head: (compressed) => realGunzip.head(compressed),
    stream(onData, onEnd) {
      let input = Buffer.alloc(0)
      let given = 0
      let closed = false
      // zlib has no stream that works while one waits: all so far is decompressed anew, which is little.
      const inflate = (finishFlush: number) => {
        const all = gunzipSync(input, { finishFlush })
        for (; given < all.length; given = Math.min(all.length, given + CHUNK_BYTES)) {
          onData(Buffer.from(all.subarray(given, given + CHUNK_BYTES)))
        }
      }
      const finish = (failure: string | null) => {
        if (closed) return
        closed = true
        onEnd(failure)
      }
      return {
        write(compressed, done) {
          const copy = Buffer.from(compressed)
          clock.after(STEP_MS, () => {
            if (closed) return
            input = Buffer.concat([input, copy])
            try {
              inflate(constants.Z_SYNC_FLUSH)
              done()
            } catch (error) {
              finish((error as Error).message)
            }
          })
        },
        end() {
          clock.after(STEP_MS, () => {
            try {
              inflate(constants.Z_FINISH)
              finish(null)
            } catch (error) {
              finish((error as Error).message)
            }
          })
        },
        destroy() {
          closed = true
        },
      }
    },
  }
}
