// V8's own limits, derived from the memory limit. They can be set only when the runtime starts, so the process replaces
// itself (execve: same pid, same descriptors) when it was started without them.

const MEBIBYTE = 1024 * 1024
const MARK = '--max-old-space-size'

/** V8's flags for a process that may use `memoryBytes` of anonymous memory. */
export function heapFlags(memoryBytes: number): string[] {
  // Half for the old generation: what is not ours there is code and libraries, about 20 MiB. Small young generations
  // cost a few more collections and keep the peak near the mean (measured: 12 MiB less, no difference in CPU).
  const oldMiB = Math.max(32, Math.floor(memoryBytes / MEBIBYTE / 2))
  return [`${MARK}=${oldMiB}`, '--max-semi-space-size=2', '--disable-warning=ExperimentalWarning']
}

/** Replaces the process by one under the limits, unless it has them or was given others. Returns if it cannot. */
export function restartUnderLimits(memoryBytes: number): void {
  const given = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ')
  if (given.includes(MARK) || process.execve === undefined) return
  const { argv, execArgv, execPath, env } = process
  process.removeAllListeners('warning') // execve is called experimental, to nobody's use
  process.execve(
    execPath,
    [execPath, ...execArgv, ...heapFlags(memoryBytes), ...argv.slice(1)],
    env as Record<string, string>,
  )
}
