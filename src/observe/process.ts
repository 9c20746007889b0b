// What the kernel says of this process, read when somebody asks and never by a timer. About 0.1 ms on Linux; elsewhere
// what there is no portable source for is null.
import { readdirSync, readFileSync } from 'node:fs'
import { type EventLoopMonitorOptions, monitorEventLoopDelay } from 'node:perf_hooks'

export interface ProcessStatus {
  residentBytes: number
  /** RssAnon: resident memory without the pages of mapped files, which the kernel can take back. */
  anonymousBytes: number | null
  /** User and system time since start. */
  cpuSeconds: number
  openFds: number | null
  maxFds: number | null
}

/** Reads /proc/self; never throws. */
export function readProcess(): ProcessStatus {
  const status = readProc('status')
  const cpu = process.cpuUsage()
  return {
    residentBytes: kibibytes(status, 'VmRSS') ?? process.memoryUsage.rss(),
    anonymousBytes: kibibytes(status, 'RssAnon'),
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    openFds: countFds(),
    maxFds: numberOrNull(/^Max open files\s+(\d+)/m.exec(readProc('limits'))?.[1]),
  }
}

/** Time that turns of the event loop took since the last look, in seconds; null where it cannot be measured. */
export type ReadLoopDelay = () => { p99: number; max: number } | null

/**
 * Measures every turn in libuv's own hooks, which costs nothing when idle; the usual sampling by a timer takes 0.3 % of a
 * core at 20 ms. A runtime that does not know `samplePerIteration` gets a timer that never fires, and the answer is null.
 */
export function watchLoopDelay(): ReadLoopDelay {
  const options: EventLoopMonitorOptions = { samplePerIteration: true, resolution: 2 ** 31 - 1 }
  const histogram = monitorEventLoopDelay(options)
  histogram.enable()
  // The first sample covers the wait in which the measuring began, so the first look only empties the histogram.
  let begun = false
  return () => {
    const delay =
      begun && histogram.count > 0 ? { p99: histogram.percentile(99) / 1e9, max: histogram.max / 1e9 } : null
    begun = true
    histogram.reset()
    return delay
  }
}

function kibibytes(status: string, name: string): number | null {
  const value = numberOrNull(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1])
  return value === null ? null : value * 1024
}

function countFds(): number | null {
  try {
    // Without the one that reading the directory takes.
    return readdirSync('/proc/self/fd').length - 1
  } catch {
    return null
  }
}

function readProc(name: string): string {
  try {
    return readFileSync(`/proc/self/${name}`, 'utf8')
  } catch {
    return ''
  }
}

function numberOrNull(text: string | undefined): number | null {
  return text === undefined ? null : Number(text)
}
