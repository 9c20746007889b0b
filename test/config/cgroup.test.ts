// Contents as kernels and runtimes write them: cgroup v1 and v2, with a namespace of its own and without one.
import t from 'tap'
import { cgroupLimits } from '../../src/config/cgroup.ts'
import type { ReadFileSystem } from '../../src/ports/fs.ts'

/** A file system of these files alone. Reads are short, as those of /proc are. */
function files(contents: Record<string, string>): { fs: ReadFileSystem; opened: () => number } {
  const open = new Map<number, Buffer>()
  let next = 3
  const fs: Pick<ReadFileSystem, 'open' | 'read' | 'close'> = {
    open(path) {
      const content = contents[path]
      if (content === undefined) throw Object.assign(new Error(path), { code: 'ENOENT' })
      open.set(next, Buffer.from(content))
      return next++
    },
    read(fd, target, targetOffset, length, position) {
      const content = open.get(fd)!
      if (content.toString() === 'EIO') throw Object.assign(new Error('EIO'), { code: 'EIO' })
      return content.copy(target, targetOffset, position, Math.min(position + 50, position + length))
    },
    close: (fd) => void open.delete(fd),
  }
  return { fs: fs as ReadFileSystem, opened: () => open.size }
}

const V2_MOUNT = '31 23 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n'
const V1_MOUNTS = `30 23 0:26 / /proc rw,nosuid - proc proc rw
31 23 0:27 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
32 31 0:28 / /sys/fs/cgroup/cpu,cpuacct ro,relatime - cgroup cgroup rw,cpu,cpuacct
33 31 0:29 / /sys/fs/cgroup/memory ro,relatime master:16 - cgroup cgroup rw,memory
`
const V1_GROUPS = '11:memory:/pods/a\n4:cpu,cpuacct:/pods/a\n1:name=systemd:/pods/a\n0::/pods/a\n'
const UNLIMITED_V1 = '9223372036854771712\n'
const SLICE = '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-2.scope'
/** docker on cgroup v1, without a namespace: the path is the host's, and the mount's root is that very path. */
const DOCKER = '/docker/1f6c'
const dockerMounts = V1_MOUNTS.replaceAll(' / /sys/fs/cgroup/', ` ${DOCKER} /sys/fs/cgroup/`)

const table: [
  what: string,
  contents: Record<string, string>,
  memory: [number, string] | null,
  cpu: [number, string] | null,
][] = [
  ['no cgroups at all', {}, null, null],
  [
    'v2 in a namespace of its own, as in a pod',
    {
      '/proc/self/cgroup': '0::/\n',
      '/proc/self/mountinfo': V2_MOUNT,
      '/sys/fs/cgroup/memory.max': '134217728\n',
      '/sys/fs/cgroup/cpu.max': '20000 100000\n',
    },
    [134_217_728, '/sys/fs/cgroup/memory.max'],
    [200, '/sys/fs/cgroup/cpu.max'],
  ],
  [
    'v2 without a limit',
    {
      '/proc/self/cgroup': '0::/\n',
      '/proc/self/mountinfo': V2_MOUNT,
      '/sys/fs/cgroup/memory.max': 'max\n',
      '/sys/fs/cgroup/cpu.max': 'max 100000\n',
    },
    null,
    null,
  ],
  [
    'v2 on the host: the smallest on the way up, the root has none',
    {
      '/proc/self/cgroup': `0::${SLICE}\n`,
      '/proc/self/mountinfo': V2_MOUNT,
      [`/sys/fs/cgroup${SLICE}/memory.max`]: 'max\n',
      [`/sys/fs/cgroup${SLICE}/cpu.max`]: '150000 100000\n',
      '/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/memory.max': '268435456\n',
      '/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/memory.max': '1073741824\n',
      '/sys/fs/cgroup/kubepods.slice/cpu.max': '50000 50000\n',
    },
    [268_435_456, '/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/memory.max'],
    [1000, '/sys/fs/cgroup/kubepods.slice/cpu.max'],
  ],
  [
    'v2 by a path outside of what is mounted: the mount is our own',
    {
      '/proc/self/cgroup': '0::/../../system.slice/x.service\n',
      '/proc/self/mountinfo': V2_MOUNT,
      '/sys/fs/cgroup/memory.max': '67108864\n',
      '/sys/fs/cgroup/cpu.max': '1000 100000\n',
    },
    [67_108_864, '/sys/fs/cgroup/memory.max'],
    [10, '/sys/fs/cgroup/cpu.max'],
  ],
  [
    'v1 with limits, the memory of which is less further up',
    {
      '/proc/self/cgroup': V1_GROUPS,
      '/proc/self/mountinfo': V1_MOUNTS,
      '/sys/fs/cgroup/memory/pods/a/memory.limit_in_bytes': '134217728\n',
      '/sys/fs/cgroup/memory/pods/memory.limit_in_bytes': '100000000\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': UNLIMITED_V1,
      '/sys/fs/cgroup/cpu,cpuacct/pods/a/cpu.cfs_quota_us': '50000\n',
      '/sys/fs/cgroup/cpu,cpuacct/pods/a/cpu.cfs_period_us': '100000\n',
      '/sys/fs/cgroup/cpu,cpuacct/pods/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/cpu,cpuacct/pods/cpu.cfs_period_us': '100000\n',
    },
    [100_000_000, '/sys/fs/cgroup/memory/pods/memory.limit_in_bytes'],
    [500, '/sys/fs/cgroup/cpu,cpuacct/pods/a/cpu.cfs_quota_us'],
  ],
  [
    'v1 in docker without a namespace; what is above the mount is told by memory.stat',
    {
      '/proc/self/cgroup': `9:memory:${DOCKER}\n2:cpu,cpuacct:${DOCKER}\n`,
      '/proc/self/mountinfo': dockerMounts,
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': UNLIMITED_V1,
      '/sys/fs/cgroup/memory/memory.stat': `cache 1\nrss 2\nhierarchical_memory_limit 200000000\nhierarchical_memsw_limit ${UNLIMITED_V1}`,
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '100000\n',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
    },
    [200_000_000, '/sys/fs/cgroup/memory/memory.stat'],
    [1000, '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us'],
  ],
  [
    'v1 without limits',
    {
      '/proc/self/cgroup': V1_GROUPS,
      '/proc/self/mountinfo': V1_MOUNTS,
      '/sys/fs/cgroup/memory/pods/a/memory.limit_in_bytes': UNLIMITED_V1,
      '/sys/fs/cgroup/memory/pods/a/memory.stat': `hierarchical_memory_limit ${UNLIMITED_V1}`,
      '/sys/fs/cgroup/cpu,cpuacct/pods/a/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/cpu,cpuacct/pods/a/cpu.cfs_period_us': '100000\n',
    },
    null,
    null,
  ],
  [
    'both: memory is in v1, CPU in v2',
    {
      '/proc/self/cgroup': '3:memory:/a\n0::/a\n',
      '/proc/self/mountinfo': `${V1_MOUNTS.replace(/^32.*\n/m, '')}${V2_MOUNT.replace('/sys/fs/cgroup ', '/sys/fs/cgroup/unified ')}`,
      '/sys/fs/cgroup/memory/a/memory.limit_in_bytes': '99999744\n',
      '/sys/fs/cgroup/unified/a/cpu.max': '25000 100000\n',
    },
    [99_999_744, '/sys/fs/cgroup/memory/a/memory.limit_in_bytes'],
    [250, '/sys/fs/cgroup/unified/a/cpu.max'],
  ],
  [
    'a mount point with a space in it',
    {
      '/proc/self/cgroup': '0::/\n',
      '/proc/self/mountinfo': V2_MOUNT.replace('/sys/fs/cgroup ', '/my\\040groups '),
      '/my groups/memory.max': '67108864\n',
    },
    [67_108_864, '/my groups/memory.max'],
    null,
  ],
  [
    'nonsense, nothing, and what cannot be read',
    {
      '/proc/self/cgroup': '0::/\n',
      '/proc/self/mountinfo': V2_MOUNT,
      '/sys/fs/cgroup/memory.max': 'EIO',
      '/sys/fs/cgroup/cpu.max': '0 0\n',
    },
    null,
    null,
  ],
]

for (const [what, contents, memory, cpu] of table) {
  t.test(what, async (t) => {
    const { fs, opened } = files(contents)
    const limit = (pair: [number, string] | null) => (pair === null ? null : { value: pair[0], file: pair[1] })
    t.same(cgroupLimits(fs), { memory: limit(memory), cpu: limit(cpu) })
    t.equal(opened(), 0, 'nothing is left open')
  })
}
