// A cgroup for a child process, where this one may make one (root, with the controllers of v1 or v2 at hand). It says
// what the kernel made of the limits: killed or not, throttled or not.
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import type { Test } from 'tap'
import { errorMessage } from '../../src/core/errors.ts'
import { eventually } from './process.ts'

const ROOT = '/sys/fs/cgroup'
const PERIOD_US = 100_000

export interface Cgroup {
  /** A command that runs the rest of its arguments in the group. */
  prefix: string[]
  /** Periods of the CPU quota in which the group ran, and those in which it was stopped. */
  throttling(): { periods: number; throttled: number }
  /** The most memory that was charged to it, page cache included, and how often the limit killed. */
  memory(): { bytesMax: number; kills: number }
}

interface Limits {
  memoryBytes?: number
  millicores?: number
}

let made = 0

/** A test, or who else ends. */
type Owner = Pick<Test, 'teardown'>

/** Makes a group that ends with its owner; a sentence that says why there is none, where that cannot be done here. */
export function makeCgroup(t: Owner, limits: Limits): Cgroup | string {
  try {
    return existsSync(`${ROOT}/cgroup.controllers`) ? makeV2(t, limits) : makeV1(t, limits)
  } catch (error) {
    return errorMessage(error)
  }
}

function makeV1(t: Owner, { memoryBytes, millicores }: Limits): Cgroup {
  const memory = directory(t, `${ROOT}/memory`)
  const cpu = directory(t, `${ROOT}/cpu`)
  if (memoryBytes !== undefined) writeFileSync(`${memory}/memory.limit_in_bytes`, String(memoryBytes))
  if (millicores !== undefined) {
    writeFileSync(`${cpu}/cpu.cfs_period_us`, String(PERIOD_US))
    writeFileSync(`${cpu}/cpu.cfs_quota_us`, String((PERIOD_US * millicores) / 1000))
  }
  return {
    prefix: into(memory, cpu),
    throttling: () => throttling(cpu),
    memory: () => ({
      bytesMax: Number(readFileSync(`${memory}/memory.max_usage_in_bytes`, 'latin1')),
      kills: field(`${memory}/memory.oom_control`, 'oom_kill'),
    }),
  }
}

function makeV2(t: Owner, { memoryBytes, millicores }: Limits): Cgroup {
  writeFileSync(`${ROOT}/cgroup.subtree_control`, '+memory +cpu')
  const group = directory(t, ROOT)
  if (memoryBytes !== undefined) {
    writeFileSync(`${group}/memory.max`, String(memoryBytes))
    if (existsSync(`${group}/memory.swap.max`)) writeFileSync(`${group}/memory.swap.max`, '0')
  }
  if (millicores !== undefined) writeFileSync(`${group}/cpu.max`, `${(PERIOD_US * millicores) / 1000} ${PERIOD_US}`)
  return {
    prefix: into(group),
    throttling: () => throttling(group),
    memory: () => {
      const peak = `${group}/memory.peak`
      const bytesMax = existsSync(peak) ? Number(readFileSync(peak, 'latin1')) : 0
      return { bytesMax, kills: field(`${group}/memory.events`, 'oom_kill') }
    },
  }
}

function directory(t: Owner, parent: string): string {
  const path = `${parent}/taffrail-test-${process.pid}-${++made}`
  mkdirSync(path)
  t.teardown(() =>
    // The kernel lets go of a process a moment after its end.
    eventually(
      () => `${path} can be removed`,
      () => {
        try {
          rmdirSync(path)
          return true
        } catch {
          return false
        }
      },
    ),
  )
  return path
}

function into(...directories: string[]): string[] {
  const enter = directories.map((path) => `echo $$ > ${path}/cgroup.procs`).join(' && ')
  return ['sh', '-c', `${enter} && exec "$@"`, 'sh']
}

function throttling(directory: string): { periods: number; throttled: number } {
  const stat = `${directory}/cpu.stat`
  return { periods: field(stat, 'nr_periods'), throttled: field(stat, 'nr_throttled') }
}

function field(file: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(readFileSync(file, 'latin1'))?.[1] ?? 0)
}
