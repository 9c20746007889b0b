// What Linux tells of processes and of the machine, read from /proc. Times are CPU seconds, sizes bytes. A process that
// is gone reads as null.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

export interface ProcessStatus {
  rssAnon: number
  rss: number
  rssPeak: number
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return null // It ended between two looks.
  }
}

/** The fields of /proc/PID/stat behind the command's name: [0] is field 3 of proc(5). */
function statFields(pid: number | 'self'): number[] | null {
  const text = read(`/proc/${pid}/stat`)
  if (text === null) return null
  const fields = text.slice(text.lastIndexOf(')') + 2)
  return fields.split(' ').map(Number)
}

/** CPU seconds, user and system, of all threads and of the children it has waited for. */
export function cpuSeconds(pid: number): number | null {
  const fields = statFields(pid)
  return fields === null ? null : (fields[11]! + fields[12]! + fields[13]! + fields[14]!) / TICKS_PER_SECOND
}

/** CPU seconds of this process's children that have ended, with all that they waited for. */
export function cpuSecondsOfEndedChildren(): number {
  const fields = statFields('self')!
  return (fields[13]! + fields[14]!) / TICKS_PER_SECOND
}

export function processStatus(pid: number): ProcessStatus | null {
  const text = read(`/proc/${pid}/status`)
  if (text === null) return null
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? 0) * 1024
  return { rssAnon: kib('RssAnon'), rss: kib('VmRSS'), rssPeak: kib('VmHWM') }
}

/** Voluntary and involuntary context switches over all threads. */
export function contextSwitches(pid: number): { voluntary: number; involuntary: number } | null {
  const sums = { voluntary: 0, involuntary: 0 }
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const text = read(`/proc/${pid}/task/${thread}/status`) ?? ''
      sums.voluntary += Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(text)?.[1] ?? 0)
      sums.involuntary += Number(/^nonvoluntary_ctxt_switches:\s*(\d+)/m.exec(text)?.[1] ?? 0)
    }
  } catch {
    return null // It ended between two looks.
  }
  return sums
}

/** What each thread of a process waits for in the kernel, the main thread first. */
export function threadWaits(pid: number): string {
  const threads = readdirSync(`/proc/${pid}/task`).sort((a, b) => Number(a) - Number(b))
  return threads.map((thread) => read(`/proc/${pid}/task/${thread}/wchan`) ?? '?').join(', ')
}

/** How many different files below `directory` (a real path) a process has open. */
export function openFiles(pid: number, directory: string): number {
  const found = new Set<string>()
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const target = readlinkSync(`/proc/${pid}/fd/${fd}`)
      if (target.startsWith(`${directory}/`)) found.add(target)
    } catch {
      // It was closed between two looks.
    }
  }
  return found.size
}

/** The process and its descendants. */
export function processTree(pid: number): number[] {
  const found = [pid]
  for (let index = 0; index < found.length; index++) {
    const children = read(`/proc/${found[index]}/task/${found[index]}/children`) ?? ''
    found.push(...children.split(' ').filter(Boolean).map(Number))
  }
  return found
}

/** The cores that this process may run on. */
export function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(read('/proc/self/status') ?? '')?.[1] ?? '0'
  return list.split(',').flatMap((range) => {
    const [from, to] = range.split('-').map(Number)
    return Array.from({ length: (to ?? from!) - from! + 1 }, (_, index) => from! + index)
  })
}

/** One line about the machine; no names, no paths. */
export function machine(): string {
  const model = cpus()[0]?.model ?? 'unknown CPU'
  return `${model}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`
}
