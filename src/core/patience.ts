// How long somebody waits for work that may never end: a sink that does not answer, a disk that hangs.

/** Resolves when `work` does, or when `signal` aborts, whichever is first; rejects as `work` does. The work goes on. */
export async function patiently(work: Promise<unknown>, signal?: AbortSignal): Promise<void> {
  const { promise: gaveUp, resolve } = Promise.withResolvers<void>()
  if (signal?.aborted) resolve()
  signal?.addEventListener('abort', () => resolve(), { once: true })
  await Promise.race([work, gaveUp])
}
