// V8's own limits, derived from the memory limit. They can be set only when the runtime starts, so the process replaces
// itself (execve: same pid, same descriptors) when it was started without them.
import { parseArgs } from 'node:util'

const MEBIBYTE = 1024 * 1024
const MARK = '--max-old-space-size'
/** Of V8 13. Another version may not know them, and a flag that is not known ends the process. */
const FLAGS_13 = ['--no-separate-gc-phases', '--no-incremental-marking-task', '--invocation-count-for-maglev=2000']
/** What is neither heap nor buffers: code, libraries. */
const REST_MIB = 20
/** Of a sidecar with a few files, which there may be one of in each pod. */
export const STREAM_MEMORY_BYTES = 40 * MEBIBYTE
/**
 * V8's flags for a sidecar. With thousands of files (12 KiB each) it needs more than its 40 MiB, and must not end for it.
 */
export const STREAM_FLAGS = heapFlags(256 * MEBIBYTE)

/**
 * V8's flags for a process that may use `memoryBytes` of anonymous memory. The old generation gets half, or what an eighth and the
 * rest leave, if that is more. What it does not need it does not take: audit logs take 38 MiB with a heap of 52 and of 76. But where the heap is full the
 * process ends, and before that all of it is marked again and again. At 96 MiB 2,000 lineages that are written to take 45 MiB: with a heap of 52 that was
 * a fifth of the CPU time, and 2,250 lineages were the end; with 64 it takes 82 MiB in all, and 2,600 lineages 87. Buffers may be a quarter of the memory:
 * full ones with a full heap exceed the limit by an eighth, where a cgroup leaves a third.
 *
 * The heap is small and hardly grows (buffers lie outside), so a small young generation is the cheapest: measured over 1 GiB of lines, a tenth less
 * CPU and 12 MiB less at the peak than with V8's own choices. No threads of V8's own: one of them may still compile when the process ends, and now and
 * then the end waits for it for ever (seen in 2 of 30 early ends; without threads in none of 54; nodejs/node#54918).
 *
 * A whole collection takes 20 ms at once, and 50 ms with 2,000 files, so it is marked in steps, and these in proportion to
 * what is allocated. By tasks of V8's own between turns it would be through in half a second, and take all the CPU that an
 * allowance of a fifth of a core has in that time: with 2,000 files that are written to, 18 to 22 % of the
 * kernel's periods were throttled so, 7 to 12 % are without. In the meantime young objects are collected as ever: where V8 holds that back the heap grows by 10 MiB until the marking is
 * done, which is then done at once. Marking that begins at 70 % of V8's limit takes 40 ms less of the first second, but where events are large a
 * collection then is done at once (29 ms).
 *
 * A function is optimised when it was called 2,000 times instead of 400. Most of ours are called once for a block or a push, and what
 * is called for each line is WebAssembly: of 100 ms for optimising 300 functions in the first second of CPU, in which a
 * quarter of a GiB is read, 50 are left. (That what is called for each line is optimised fully later, too, costs bulks more than it saves.)
 * `v8` is its version.
 */
export function heapFlags(memoryBytes: number, v8 = process.versions.v8): string[] {
  const memoryMiB = memoryBytes / MEBIBYTE
  const oldMiB = Math.floor(Math.max(32, memoryMiB / 2, (7 * memoryMiB) / 8 - REST_MIB))
  return [
    `${MARK}=${oldMiB}`,
    '--max-semi-space-size=1',
    ...(v8.startsWith('13.') ? FLAGS_13 : []),
    '--single-threaded',
    '--disable-warning=ExperimentalWarning',
  ]
}

/** Replaces the process by one under the limits, unless it was given limits already. Returns if it cannot. */
export function restartUnderLimits(memoryBytes: number): void {
  restartWith(heapFlags(memoryBytes))
}

/** The same with these flags. */
export function restartWith(flags: readonly string[]): void {
  const given = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ')
  if (given.includes(MARK) || process.execve === undefined) return
  const { argv, execArgv, execPath, env } = process
  process.removeAllListeners('warning') // execve is called experimental, to nobody's use
  // One arena for all threads: glibc's many keep freed memory each for itself (6 MiB at the peak, at full speed). And what
  // is large goes back to the system when it is freed: left alone, glibc keeps all the larger pieces as soon as it has seen
  // one of them freed (25 MiB, with an event of 2 MiB now and then). Of the rest up to a MiB is kept: with the 128 KiB that it is as
  // a rule, nearly each body of a push was given back and asked for again, page by page.
  const allocator = {
    MALLOC_ARENA_MAX: '1',
    MALLOC_MMAP_THRESHOLD_: '262144',
    MALLOC_TRIM_THRESHOLD_: '1048576',
  }
  const environment = { ...allocator, ...(env as Record<string, string>) }
  process.execve(execPath, [execPath, ...execArgv, ...flags, ...argv.slice(1)], environment)
}

/**
 * The same under the limit in the configuration that `args` name, before anything else is loaded. A configuration that
 * is missing or has errors is left to the command to report.
 */
export async function restartUnderConfig(args: readonly string[]): Promise<void> {
  const options = { config: { type: 'string', short: 'c' } } as const
  const { config } = parseArgs({ args: [...args], options, strict: false }).values
  if (typeof config !== 'string') return
  const { loadConfigFile } = await import('./config/load.ts')
  const loaded = loadConfigFile(config, process.env)
  if (!('config' in loaded)) return
  restartUnderLimits(loaded.config.limits.memory)
}
