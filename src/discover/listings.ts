// The two ways in which the files of a lineage lie in directories.
import { basename, dirname, join, resolve } from 'node:path'
import { errorCode } from '../core/errors.ts'
import type { FileStat, ReadFileSystem } from '../ports/fs.ts'
import type { Candidate, Listing } from '../tail/candidates.ts'
import { isUnderRoots } from '../tail/guard.ts'
import type { Directories, Directory } from './directory.ts'
import { compareSiblings, genericSibling, kubeletSibling, LIVE } from './names.ts'

/** Files of one base name in one directory: the live file and what rotation made of its predecessors. */
export class GenericListing implements Listing {
  readonly #directory: Directory
  readonly #base: string
  readonly #path: string
  readonly #fs: ReadFileSystem
  readonly #version = new Versions()
  #isLink = false

  constructor(directories: Directories, path: string, fs: ReadFileSystem) {
    this.#directory = directories.at(dirname(path))
    this.#base = basename(path)
    this.#path = path
    this.#fs = fs
  }

  version(): number {
    const listed = this.#directory.refresh()
    if (!this.#version.has(0, listed)) this.#isLink = this.#fs.lstat(this.#path)?.kind === 'symlink'
    this.#version.note(0, listed)
    // What a link leads to may be rotated where it lies, which does not show in the link's directory.
    if (this.#isLink) {
      const target = this.#target()
      this.#version.note(1, target?.dev ?? -1)
      this.#version.note(2, target?.ino ?? -1)
    }
    return this.#version.number
  }

  #target(): FileStat | null {
    try {
      return this.#fs.stat(this.#path)
    } catch {
      return null // whoever opens it meets the same error, and tells it
    }
  }

  candidates(): Candidate[] {
    return genericCandidates(this.#directory, this.#base)
  }
}

/** A container's directory. With Docker its `N.log` are links to files that Docker rotates in a directory of its own. */
export class ContainerListing implements Listing {
  readonly #directory: Directory
  readonly #directories: Directories
  readonly #fs: ReadFileSystem
  readonly #roots: readonly string[]
  readonly #version = new Versions()
  /** By restart: where the link leads. Null: there are no links. */
  #linked: Map<number, { directory: Directory; base: string }> | null = null
  /** Restarts whose link led to something at some time: if it dangles now, its file was deleted. */
  #resolved: Set<number> | null = null

  /** Links are followed only to directories under `roots`. */
  constructor(directories: Directories, path: string, roots: readonly string[], fs: ReadFileSystem) {
    this.#directories = directories
    this.#directory = directories.at(path)
    this.#roots = roots
    this.#fs = fs
  }

  version(): number {
    const listed = this.#directory.refresh()
    if (!this.#version.has(0, listed)) this.#readLinks()
    this.#version.note(0, listed)
    let part = 0
    for (const { directory } of this.#linked?.values() ?? []) this.#version.note(++part, directory.refresh())
    return this.#version.number
  }

  candidates(): Candidate[] {
    const candidates: Candidate[] = []
    for (const name of this.#directory.names ?? []) {
      const sibling = kubeletSibling(name)
      if (sibling === null) continue
      const { order, compressed } = sibling
      const linked = order.rank === LIVE ? this.#linked?.get(order.restart) : undefined
      const there = linked === undefined ? [] : genericCandidates(linked.directory, linked.base)
      if (there.length > 0) {
        this.#resolved ??= new Set()
        this.#resolved.add(order.restart)
      } else if (linked === undefined || this.#resolved?.has(order.restart) !== true) {
        candidates.push({ path: join(this.#directory.path, name), order, compressed })
      }
      for (const each of there) candidates.push({ ...each, order: { restart: order.restart, rank: each.order.rank } })
    }
    return candidates.sort(compareSiblings)
  }

  #readLinks(): void {
    this.#linked = null
    for (const name of this.#directory.names ?? []) {
      const sibling = kubeletSibling(name)
      if (sibling?.order.rank !== LIVE) continue
      const target = this.#targetOf(join(this.#directory.path, name))
      if (target === null) continue
      // A link to elsewhere stands for itself, and will be refused: not even the directory is looked into.
      if (!isUnderRoots(this.#fs, target, this.#roots)) continue
      const directory = this.#directories.at(dirname(target))
      this.#linked ??= new Map()
      this.#linked.set(sibling.order.restart, { directory, base: basename(target) })
    }
  }

  /** Where a link leads, one step; null for what is no link, or is gone again. */
  #targetOf(path: string): string | null {
    try {
      if (this.#fs.lstat(path)?.kind !== 'symlink') return null
      return resolve(this.#directory.path, this.#fs.readlink(path))
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'EINVAL') throw error
      return null
    }
  }
}

/** One number that moves when one of several does. */
class Versions {
  number = 0
  readonly #parts: number[] = []

  has(part: number, value: number): boolean {
    return this.#parts[part] === value
  }

  note(part: number, value: number): void {
    if (this.#parts[part] === value) return
    this.#parts[part] = value
    this.number++
  }
}

function genericCandidates(directory: Directory, base: string): Candidate[] {
  const own = genericSibling(base)
  // A file whose own name is that of a rotated one, while there is none that it was rotated from.
  if (own.base !== base) {
    const order = { restart: 0, rank: LIVE }
    const isThere = directory.names?.includes(base) === true
    return isThere ? [{ path: join(directory.path, base), order, compressed: own.compressed }] : []
  }
  const names = directory.group((name) => genericSibling(name).base).get(base) ?? []
  return names
    .map((name) => {
      const { order, compressed } = genericSibling(name)
      return { path: join(directory.path, name), order, compressed }
    })
    .sort(compareSiblings)
}
