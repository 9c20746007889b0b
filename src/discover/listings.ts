// The two ways in which the files of a lineage lie in directories.
import { basename, dirname, join, resolve } from 'node:path'
import type { ReadFileSystem } from '../ports/fs.ts'
import type { Candidate, Listing } from '../tail/lineage.ts'
import type { Directories, Directory } from './directory.ts'
import { compareOrder, genericSibling, kubeletSibling, LIVE } from './names.ts'

/** Files of one base name in one directory: the live file and what rotation made of its predecessors. */
export class GenericListing implements Listing {
  readonly #directory: Directory
  readonly #base: string

  constructor(directories: Directories, path: string) {
    this.#directory = directories.at(dirname(path))
    this.#base = basename(path)
  }

  version(): number {
    return this.#directory.refresh()
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
  /** By restart: where the link leads. */
  #linked = new Map<number, { directory: Directory; base: string }>()
  #linkedVersion = -1
  #version = 0
  #sum = -1

  constructor(directories: Directories, path: string, fs: ReadFileSystem) {
    this.#directories = directories
    this.#directory = directories.at(path)
    this.#fs = fs
  }

  version(): number {
    let sum = this.#directory.refresh()
    if (this.#linkedVersion !== sum) {
      this.#readLinks()
      this.#linkedVersion = sum
    }
    for (const { directory } of this.#linked.values()) sum += directory.refresh()
    if (sum !== this.#sum) this.#version++
    this.#sum = sum
    return this.#version
  }

  candidates(): Candidate[] {
    const candidates: Candidate[] = []
    for (const name of this.#directory.names ?? []) {
      const sibling = kubeletSibling(name)
      if (sibling === null) continue
      const { restart, rank } = sibling.order
      const linked = rank === LIVE ? this.#linked.get(restart) : undefined
      if (linked === undefined) {
        candidates.push({
          path: join(this.#directory.path, name),
          order: sibling.order,
          compressed: sibling.compressed,
        })
        continue
      }
      for (const each of genericCandidates(linked.directory, linked.base)) {
        candidates.push({ ...each, order: { restart, rank: each.order.rank } })
      }
    }
    return candidates.sort((a, b) => compareOrder(a.order, b.order))
  }

  #readLinks(): void {
    this.#linked = new Map()
    for (const name of this.#directory.names ?? []) {
      const sibling = kubeletSibling(name)
      const path = join(this.#directory.path, name)
      if (sibling === null || this.#fs.lstat(path)?.kind !== 'symlink') continue
      const target = resolve(this.#directory.path, this.#fs.readlink(path))
      this.#linked.set(sibling.order.restart, {
        directory: this.#directories.at(dirname(target)),
        base: basename(target),
      })
    }
  }
}

function genericCandidates(directory: Directory, base: string): Candidate[] {
  const names = directory.group((name) => genericSibling(name).base).get(base) ?? []
  return names
    .map((name) => {
      const { order, compressed } = genericSibling(name)
      return { path: join(directory.path, name), order, compressed }
    })
    .sort((a, b) => compareOrder(a.order, b.order))
}
