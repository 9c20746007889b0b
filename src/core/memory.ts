// Memory of buffers that goes back at once instead of at some later collection: the collector does not see how much it is. Whoever
// gives it back has had the last look; the buffer is empty from then on.

/** Gives all back that the buffer lies in, whoever else may lie there. */
export function release(bytes: Buffer): void {
  if (bytes.buffer.byteLength > 0) (bytes.buffer as ArrayBuffer).transfer(0)
}

/** Gives it back if the buffer is alone in it. */
export function releaseIfAlone(bytes: Buffer): void {
  if (bytes.length === bytes.buffer.byteLength) release(bytes)
}

/** Gives all back that the buffer lies in, unless that may be node's pool, where small ones of all kinds lie together. */
export function releaseUnlessPooled(bytes: Buffer): void {
  const mayBePooled = bytes.buffer.byteLength === Buffer.poolSize && bytes.length < Buffer.poolSize / 2
  if (!mayBePooled) release(bytes)
}
