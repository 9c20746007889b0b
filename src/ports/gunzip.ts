// Decompression, as a port.
import { constants, createGunzip, gunzipSync } from 'node:zlib'

export interface Gunzip {
  /** The first decompressed bytes of a gzip file whose first bytes are `compressed`; empty when it is not gzip. */
  head(compressed: Buffer): Buffer
  /** A new stream. `onData` gets decompressed bytes that are the receiver's to keep; `onEnd` null, or why it failed. */
  stream(onData: (data: Buffer) => void, onEnd: (failure: string | null) => void): GunzipStream
}

export interface GunzipStream {
  /** Feeds compressed bytes, which must not change until `done` is called. */
  write(compressed: Buffer, done: () => void): void
  end(): void
  destroy(): void
}

export const realGunzip: Gunzip = {
  head(compressed) {
    try {
      return gunzipSync(compressed, { finishFlush: constants.Z_SYNC_FLUSH })
    } catch {
      return Buffer.alloc(0) // not gzip, or damaged from the start: such a file has no head to be known by
    }
  },
  stream(onData, onEnd) {
    const gunzip = createGunzip({ chunkSize: 64 * 1024 })
    let ended = false
    const finish = (failure: string | null) => {
      if (ended) return
      ended = true
      onEnd(failure)
    }
    gunzip.on('data', onData)
    gunzip.on('end', () => finish(null))
    gunzip.on('error', (error) => finish(error.message))
    return {
      write: (compressed, done) => void gunzip.write(compressed, () => done()),
      end: () => void gunzip.end(),
      destroy() {
        ended = true
        gunzip.destroy()
      },
    }
  },
}
