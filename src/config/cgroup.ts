// The limits that the kernel puts on this process: memory and CPU of its cgroup and of those around it, as far as they
// can be seen from here. Reads /proc/self/cgroup and /proc/self/mountinfo (cgroups(7), cgroup-v2.rst) through the file
// system port; nothing is written and nothing throws: what cannot be read is no limit.
import { posix } from 'node:path'
import type { ReadFileSystem } from '../ports/fs.ts'

export interface CgroupLimit {
  /** Bytes of memory, or thousandths of a core. */
  value: number
  /** The file that says so. */
  file: string
}

export interface CgroupLimits {
  /** null: no limit. */
  memory: CgroupLimit | null
  cpu: CgroupLimit | null
}

/** From here on a limit is none: cgroup v1 says "unlimited" as 2^63 less a page. */
const BYTES_NONE = 2 ** 50
/** No file that is read here is longer, but /proc/self/mountinfo on a node with thousands of mounts. */
const TEXT_BYTES_MAX = 4 * 1024 * 1024
/** The kernel itself allows so many levels and no more by default (cgroup.max.depth is far less in practice). */
const LEVELS_MAX = 64

/** A place in one hierarchy: the directories from the process's own cgroup up to the topmost that is mounted. */
interface Place {
  version: 1 | 2
  directories: string[]
}

/** The limits that hold for this process: of each kind the smallest one on the way up. */
export function cgroupLimits(fs: ReadFileSystem): CgroupLimits {
  const cgroups = readText(fs, '/proc/self/cgroup')
  const mounts = readText(fs, '/proc/self/mountinfo')
  return {
    memory: smallest(memoryLimits(fs, placeOf('memory', cgroups, mounts))),
    cpu: smallest(cpuLimits(fs, placeOf('cpu', cgroups, mounts))),
  }
}

function* memoryLimits(fs: ReadFileSystem, place: Place | null): Generator<CgroupLimit> {
  for (const directory of place?.directories ?? []) {
    const file = `${directory}/${place?.version === 2 ? 'memory.max' : 'memory.limit_in_bytes'}`
    yield* bytesIn(file, readText(fs, file))
    if (place?.version === 2) continue
    // What groups allow that lie above the mount, such as the pod's, is told by nobody else.
    const stat = `${directory}/memory.stat`
    yield* bytesIn(stat, /^hierarchical_memory_limit (\d+)$/m.exec(readText(fs, stat))?.[1] ?? '')
  }
}

function* bytesIn(file: string, text: string): Generator<CgroupLimit> {
  const value = /^\d+\s*$/.test(text) ? Number(text) : 0
  if (value > 0 && value < BYTES_NONE) yield { value, file }
}

function* cpuLimits(fs: ReadFileSystem, place: Place | null): Generator<CgroupLimit> {
  for (const directory of place?.directories ?? []) {
    const file = `${directory}/${place?.version === 2 ? 'cpu.max' : 'cpu.cfs_quota_us'}`
    const text = readText(fs, file).trim()
    const both = place?.version === 2 ? text : `${text} ${readText(fs, `${directory}/cpu.cfs_period_us`).trim()}`
    const [, quotaUs, periodUs] = /^(\d+) (\d+)$/.exec(both) ?? []
    const value = Math.floor((1000 * Number(quotaUs)) / Number(periodUs))
    if (Number.isFinite(value) && Number(quotaUs) > 0) yield { value: Math.max(1, value), file }
  }
}

/** Of equal ones the first, which is the nearest. */
function smallest(limits: Iterable<CgroupLimit>): CgroupLimit | null {
  let least: CgroupLimit | null = null
  for (const limit of limits) if (least === null || limit.value < least.value) least = limit
  return least
}

/** Where the process is in the hierarchy of a controller; null where that is not mounted. Version 1 first: a controller is in one of both. */
function placeOf(controller: string, cgroups: string, mounts: string): Place | null {
  for (const version of [1, 2] as const) {
    const path = cgroupPath(version, controller, cgroups)
    const mount = mountOf(version, controller, mounts)
    if (path !== null && mount !== null) return { version, directories: directories(path, mount) }
  }
  return null
}

/** Lines of /proc/self/cgroup: `4:memory:/a/b`, `1:cpu,cpuacct:/a`, `0::/a` for version 2. */
function cgroupPath(version: 1 | 2, controller: string, cgroups: string): string | null {
  for (const line of cgroups.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    if (controllers === undefined || path === undefined) continue
    if (version === 2 ? controllers === '' : controllers.split(',').includes(controller)) return path
  }
  return null
}

interface Mount {
  /** Which cgroup is seen at the mount point. */
  root: string
  point: string
}

/** Lines of /proc/self/mountinfo: `35 23 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory`. */
function mountOf(version: 1 | 2, controller: string, mounts: string): Mount | null {
  for (const line of mounts.split('\n')) {
    const [before = '', after = ''] = line.split(' - ')
    const [, , , root, point] = before.split(' ')
    const [type, , options = ''] = after.split(' ')
    if (root === undefined || point === undefined) continue
    const fits = version === 2 ? type === 'cgroup2' : type === 'cgroup' && options.split(',').includes(controller)
    if (fits) return { root: unescaped(root), point: unescaped(point) }
  }
  return null
}

/** Spaces and the like are written as `\040`. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}

/** The process's directory and those around it. Where its path lies outside of the mount, what is mounted is its own. */
function directories(path: string, { root, point }: Mount): string[] {
  const inside = posix.relative(root, path)
  const own = inside.startsWith('..') ? point : posix.join(point, inside)
  const all = [own]
  while (all.at(-1) !== point && all.length < LEVELS_MAX) all.push(posix.dirname(all.at(-1) as string))
  return all
}

/** '' when it cannot be read. */
function readText(fs: ReadFileSystem, path: string): string {
  let fd: number
  try {
    fd = fs.open(path)
  } catch {
    return ''
  }
  try {
    // Sizes of such files are told as 0: what a read gives is what there is.
    let content = Buffer.alloc(0)
    const block = Buffer.alloc(64 * 1024)
    while (content.length < TEXT_BYTES_MAX) {
      const got = fs.read(fd, block, 0, block.length, content.length)
      if (got === 0) break
      content = Buffer.concat([content, block.subarray(0, got)])
    }
    return content.toString('utf8')
  } catch {
    return ''
  } finally {
    fs.close(fd)
  }
}
