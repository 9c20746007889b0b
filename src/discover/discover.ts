// Which lineages a source has now. A scan lists the directories of the source's patterns and reads what the names and
// links say; it opens nothing.
import { basename, dirname, join, resolve } from 'node:path'
import picomatch from 'picomatch'
import type { FileSourceConfig } from '../config/config.ts'
import { errorCode } from '../core/errors.ts'
import type { Events } from '../core/events.ts'
import type { LineageInfo } from '../core/lineage-info.ts'
import type { ReadFileSystem } from '../ports/fs.ts'
import type { Listing } from '../tail/candidates.ts'
import type { Directories } from './directory.ts'
import { compilePattern, findMatches, type Pattern } from './glob.ts'
import { apiServerOf, containerKey, fileKey } from './lineage-key.ts'
import { ContainerListing, GenericListing } from './listings.ts'
import { containerLinkOf, genericSibling, LIVE, type PodLogPath, parseContainerLink, parsePodLogPath } from './names.ts'

export interface Discovered {
  info: LineageInfo
  /** What it is a log of, whoever reads it and by whatever path. */
  identity: string
  /** The file that its path leads to, if that is a link. */
  target: string
  roots: readonly string[]
  listing: () => Listing
}

/** Whether a source's files are containers' logs, in their format. */
export function readsContainers(source: FileSourceConfig): boolean {
  return source.type === 'containers' || (source.type === 'audit' && source.format === 'cri')
}

function podIdentity({ namespace, pod, container, podUid }: PodLogPath): string {
  return `${namespace}/${pod}/${container}/${podUid}`
}

const DOCKER_ROOT = '/var/lib/docker/containers'
/** After a first scan that was not whole; twice as long after each more. */
const RETRY_MS = 1000

/** One for each source, in their order. What audit sources find is theirs alone. */
export function discoveriesFor(
  sources: readonly FileSourceConfig[],
  fs: ReadFileSystem,
  shared: Directories,
  events: Events,
): Discovery[] {
  const discoveries = sources.map((source) => new Discovery(source, fs, shared, events))
  const auditing = discoveries.filter(({ source }) => source.type === 'audit')
  for (const each of discoveries) if (!auditing.includes(each)) each.leavesTo = auditing
  return discoveries
}

export class Discovery {
  readonly source: FileSourceConfig
  /** The fixed parts of the patterns: where new names appear. */
  readonly directories: readonly string[]
  readonly #patterns: readonly Pattern[]
  readonly #excluded: (path: string) => boolean
  readonly #fs: ReadFileSystem
  readonly #shared: Directories
  readonly #events: Events
  /** What these find is theirs alone: nothing goes round an audit source's policy and redaction. */
  leavesTo: readonly Discovery[] = []
  readonly #isOfContainers: boolean
  /** Nothing has failed since the last scan began. */
  isWhole = true
  /** Scans in turn, before the last one, that were not whole. */
  #failedBefore = 0
  #versions = ''

  constructor(source: FileSourceConfig, fs: ReadFileSystem, shared: Directories, events: Events) {
    this.source = source
    this.#isOfContainers = readsContainers(source)
    this.#fs = fs
    this.#shared = shared
    this.#events = events
    this.#patterns = source.paths.map(compilePattern)
    this.#excluded = source.exclude.length === 0 ? () => false : picomatch([...source.exclude], { dot: true })
    this.directories = [...new Set(this.#patterns.map((pattern) => pattern.fixed))]
  }

  /**
   * Milliseconds after which to scan again although nothing seems to have changed: soon where new names may appear in
   * directories below those that `changed` looks at, and at first sooner where something could not be looked at.
   */
  get rescanMs(): number {
    const usual = this.#patterns.every((pattern) => pattern.depth === 0) ? 60_000 : 10_000
    return this.isWhole ? usual : Math.min(usual, RETRY_MS * 2 ** this.#failedBefore)
  }

  /** Cheap: whether names came or went in the patterns' own directories since the last call. */
  changed(): boolean {
    const versions = this.directories.map((path) => this.#refresh(path)).join(' ')
    if (versions === this.#versions) return false
    this.#versions = versions
    return true
  }

  /** All lineages that can be seen now, by key. */
  scan(): Map<string, Discovered> {
    this.#failedBefore = this.isWhole ? 0 : this.#failedBefore + 1
    this.isWhole = true
    const found = new Map<string, Discovered>()
    const others = new Set(this.leavesTo.flatMap((other) => [...other.scan().values()].map(({ identity }) => identity)))
    for (const pattern of this.#patterns) {
      const onError = (path: string, error: unknown) => this.failed(path, 'readdir', error)
      for (const path of findMatches(this.#fs, pattern, onError)) {
        if (this.#excluded(path)) continue
        const each = this.#isOfContainers ? this.#container(path, pattern) : this.#file(path, pattern)
        if (each === null || found.has(each.info.key) || others.has(each.identity)) continue
        const names = [...new Set([each.info.path, each.target])]
        if (this.leavesTo.some((other) => names.some((name) => other.claims(name)))) continue
        found.set(each.info.key, each)
      }
    }
    return found
  }

  /**
   * Whether the log is this source's by the names that it has at some time, those that are there now or not: a file is renamed
   * before the next one is made, and a link goes before the next one comes.
   */
  claims(path: string): boolean {
    if (this.#matches(path)) return true
    const pod = parsePodLogPath(path)
    if (pod === null) return this.#matches(join(dirname(path), genericSibling(basename(path)).base))
    if (this.#matches(join(pod.directory, '0.log'))) return true
    return this.#patterns.some(({ fixed }) => this.#matches(join(fixed, containerLinkOf(pod))))
  }

  /** A link in /var/log/containers, or a file of the pods directory itself. */
  #container(path: string, pattern: Pattern): Discovered | null {
    const target = this.#target(path)
    if (target === null) return null
    const pod = parsePodLogPath(target)
    if (pod === null) return this.#file(path, pattern)
    const { namespace, pod: name, podUid, container, directory } = pod
    return {
      info: {
        source: this.source.name,
        sourceType: this.source.type,
        key: containerKey(this.source.name, namespace, name, container, podUid),
        path,
        namespace,
        pod: name,
        podUid,
        container,
      },
      identity: podIdentity(pod),
      target,
      roots: this.#roots(pattern),
      listing: () => new ContainerListing(this.#shared, directory, this.#roots(pattern), this.#fs),
    }
  }

  /** Where a link leads, or the path itself; null when it is gone or cannot be read. */
  #target(path: string): string | null {
    try {
      if (this.#fs.lstat(path)?.kind === 'symlink') return resolve(dirname(path), this.#fs.readlink(path))
      return path
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') this.failed(path, 'readlink', error)
      return null
    }
  }

  #file(path: string, pattern: Pattern): Discovered | null {
    // A rotated file belongs to its live file's lineage, provided that one matches too.
    const sibling = genericSibling(basename(path))
    const live = join(dirname(path), sibling.base)
    const base = sibling.order.rank === LIVE || !this.#matches(live) ? path : live
    const { name, type } = this.source
    // A link of the kubelet's that leads elsewhere than usual still says whose log it is.
    const link = this.#isOfContainers ? parseContainerLink(basename(path)) : null
    const { namespace, pod, container } = link ?? { namespace: '', pod: '', container: '' }
    const target = this.#target(base) ?? base
    const podLog = parsePodLogPath(target)
    return {
      info: {
        source: name,
        sourceType: type,
        key: fileKey(name, base),
        path: base,
        namespace,
        pod,
        podUid: '',
        container,
        ...apiServerOf(this.source, base),
      },
      identity: podLog === null ? target : podIdentity(podLog),
      target,
      roots: this.#roots(pattern),
      listing: () => new GenericListing(this.#shared, base, this.#fs),
    }
  }

  #matches(path: string): boolean {
    return this.#patterns.some((pattern) => pattern.matches(path)) && !this.#excluded(path)
  }

  #roots(pattern: Pattern): readonly string[] {
    if (this.source.roots !== null) return this.source.roots
    if (!this.#isOfContainers) return [pattern.fixed]
    return [join(dirname(pattern.fixed), 'pods'), DOCKER_ROOT]
  }

  #refresh(path: string): number {
    try {
      return this.#shared.at(path).refresh()
    } catch (error) {
      this.failed(path, 'readdir', error)
      return -1
    }
  }

  /** Something could not be looked at that may be there all the same. */
  failed(path: string, operation: string, error: unknown): void {
    this.isWhole = false
    this.#events.emit('file.error', { source: this.source.name, path, operation, error })
  }
}
