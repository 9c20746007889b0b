// What file names say. Pure. Container logs are named by the kubelet (pkg/kubelet/kuberuntime/legacy.go, logs/container_log_manager.go):
//   /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log -> /var/log/pods/NAMESPACE_POD_UID/CONTAINER/RESTART.log
//   RESTART.log.YYYYMMDD-HHMMSS, later with .gz
// Other files are rotated by logrotate (NAME.N, NAME-YYYYMMDD, with .gz) or by lumberjack (NAME-2006-01-02T15-04-05.000.EXT).

/** Position of a file among its siblings: compare by restart, then rank; the live file's rank is LIVE. */
export interface FileOrder {
  restart: number
  rank: string
}

export const LIVE = '\uffff'

export interface SiblingName {
  /** The name of the live file of this series. */
  base: string
  order: FileOrder
  compressed: boolean
}

export function compareOrder(a: FileOrder, b: FileOrder): number {
  return a.restart - b.restart || (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0)
}

/** Whether a rank is one file's for ever; numbers move from file to file with each rotation. */
export function isUnique(rank: string): boolean {
  return rank !== '' && !rank.startsWith('n')
}

/** Whether a file of this order keeps it, whatever becomes of its name: that of the time of its rotation. */
export function hasPlaceForEver({ rank }: FileOrder): boolean {
  return isUnique(rank) && rank !== LIVE
}

/** In reading order; a file comes before its own compressed form. */
export function compareSiblings(a: Omit<SiblingName, 'base'>, b: Omit<SiblingName, 'base'>): number {
  return compareOrder(a.order, b.order) || Number(a.compressed) - Number(b.compressed)
}

export interface ContainerLink {
  pod: string
  namespace: string
  container: string
}

const CONTAINER_LINK = /^([a-z0-9][-a-z0-9.]*)_([a-z0-9][-a-z0-9]*)_([a-z0-9][-a-z0-9]*)-[0-9a-f]{64}\.log$/

/** Takes `POD_NAMESPACE_CONTAINER-ID.log` apart; null when it is not such a name. */
export function parseContainerLink(name: string): ContainerLink | null {
  const match = CONTAINER_LINK.exec(name)
  return match === null ? null : { pod: match[1]!, namespace: match[2]!, container: match[3]! }
}

/** A name that the kubelet may give to the link to a container's log: the container's ID could be any. */
export function containerLinkOf({ pod, namespace, container }: ContainerLink): string {
  return `${pod}_${namespace}_${container}-${'0'.repeat(64)}.log`
}

export interface PodLogPath {
  /** The container's directory. */
  directory: string
  namespace: string
  pod: string
  podUid: string
  container: string
  /** File name in the directory. */
  name: string
}

const POD_LOG_PATH = /^(.*\/([^/_]+)_([^/_]+)_([^/_]+)\/([^/]+))\/([^/]+)$/

/** Takes `…/NAMESPACE_POD_UID/CONTAINER/NAME` apart; null when the path has another shape. */
export function parsePodLogPath(path: string): PodLogPath | null {
  const match = POD_LOG_PATH.exec(path)
  if (match === null || kubeletSibling(match[6]!) === null) return null
  return {
    directory: match[1]!,
    namespace: match[2]!,
    pod: match[3]!,
    podUid: match[4]!,
    container: match[5]!,
    name: match[6]!,
  }
}

const KUBELET_NAME = /^(\d{1,9})\.log(?:\.([0-9][0-9A-Za-z_.-]*?))?(\.gz)?$/

/** A name in a container's directory; null for others and for the kubelet's `.tmp` files, which become `.gz`. */
export function kubeletSibling(name: string): SiblingName | null {
  const match = KUBELET_NAME.exec(name)
  if (match === null || match[2]?.endsWith('.tmp')) return null
  const compressed = match[3] !== undefined
  return {
    base: '',
    order: { restart: Number(match[1]), rank: match[2] ?? (compressed ? '' : LIVE) },
    compressed,
  }
}

const NUMBERED = /^(.+)\.(\d{1,5})$/
const DATED = /^(.+?)[-.](\d{8}(?:[-T_.]?\d{2,9}|-\d{10})?|\d{4}-\d\d-\d\d(?:[-T_.]\d\d[-_]?\d\d(?:[-_]?\d\d)?)?)$/
const LUMBERJACK = /^(.+)-(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3})(\.[^.]+)?$/

/** A name outside of a container's directory. A name that shows no rotation is its own base, live. */
export function genericSibling(name: string): SiblingName {
  const compressed = name.endsWith('.gz')
  const plain = compressed ? name.slice(0, -3) : name
  const lumberjack = LUMBERJACK.exec(plain)
  if (lumberjack !== null) {
    return sibling(lumberjack[1]! + (lumberjack[3] ?? ''), `d${lumberjack[2]}`, compressed)
  }
  const dated = DATED.exec(plain)
  if (dated !== null) return sibling(dated[1]!, `d${dated[2]!.replace(/[^0-9]/g, '')}`, compressed)
  const numbered = NUMBERED.exec(plain)
  // app.log.2 is older than app.log.1
  if (numbered !== null)
    return sibling(numbered[1]!, `n${String(99_999 - Number(numbered[2])).padStart(5, '0')}`, compressed)
  return sibling(name, LIVE, compressed)
}

function sibling(base: string, rank: string, compressed: boolean): SiblingName {
  return { base, order: { restart: 0, rank }, compressed }
}
