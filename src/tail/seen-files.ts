// What a checkpoint says of the files behind its place: those that were seen and are not acknowledged, so that one that is
// gone at the next start is a hole of known size. Each has its second witness where it ends; it is read again only when the
// file has grown. Bound: LATER_FILES_MAX files.
import type { SeenFile } from '../checkpoint/position.ts'
import type { ReadFileSystem } from '../ports/fs.ts'
import type { Gunzip } from '../ports/gunzip.ts'
import { insist, insistOnWitness, keepsHead, readHead, sameHead, type TailedFile } from './file.ts'
import type { ReaderDeps } from './reader-options.ts'
import { comesBefore, type Missing } from './resume.ts'

/** Files after the committed one that a checkpoint names. */
const LATER_FILES_MAX = 256

/** What is said of a file; `file` null: it is missing. */
export interface Later {
  seen: SeenFile
  file: TailedFile | null
}

export class SeenFiles {
  readonly #fs: ReadFileSystem
  readonly #gunzip: Gunzip
  readonly #failed: (error: unknown) => void
  // Most readers never have one: it is made when it is needed, for there may be thousands.
  #witnessOf: WeakMap<TailedFile, { offset: number; witness: string }> | null = null

  /** `failed` is told when a file cannot be read; it is named without a witness then. */
  constructor({ fs, gunzip }: Pick<ReaderDeps, 'fs' | 'gunzip'>, failed: (error: unknown) => void) {
    this.#fs = fs
    this.#gunzip = gunzip
    this.#failed = failed
  }

  /** The files after `file`, in reading order, with those that are missing before each; not those that are a hole already. */
  after(
    file: TailedFile,
    files: readonly TailedFile[],
    allMissing: readonly Missing[],
    isHole: (file: TailedFile) => boolean,
  ): Later[] {
    const later: Later[] = []
    let missing = allMissing
    for (let i = files.indexOf(file) + 1; i < files.length && later.length < LATER_FILES_MAX; i++) {
      const each = files[i] as TailedFile
      const due = missing.filter((one) => comesBefore(one, each))
      missing = missing.filter((one) => !due.includes(one))
      const seen = isHole(each) ? null : this.#seen(each)
      later.push(...due.map(unread), ...(seen === null ? [] : [{ seen, file: each }]))
    }
    return [...later, ...missing.map(unread)]
  }

  #seen(file: TailedFile): SeenFile | null {
    const { path, dev, ino, head, compressed, gone, mtimeMs, sizeSeen, filled, placed } = file
    if (head.bytes === 0 || (sizeSeen === 0 && !compressed) || (filled && !placed)) return null
    const seen = { path, dev, ino, head: head.hash, headBytes: head.bytes, ...this.endOf(file), mtimeMs }
    return { ...seen, ...(compressed && { compressed }), ...(gone !== null && { gone }) }
  }

  /** Where a file ended when it was last seen, and the second witness there, as far as they are known. */
  endOf(file: TailedFile): Pick<SeenFile, 'offset' | 'witness'> {
    const { compressed, gone, sizeSeen } = file
    let known = this.#witnessOf?.get(file) ?? { offset: 0, witness: '' }
    if (!compressed && gone === null && known.offset !== sizeSeen) {
      try {
        const witness = insistOnWitness(this.#fs, file.fd, sizeSeen)
        // What is read may be of what came instead since the last look, which is no witness.
        known = { offset: sizeSeen, witness: insist(() => this.#isSame(file)) ? witness : '' }
      } catch (error) {
        this.#failed(error)
      }
      this.#witnessOf ??= new WeakMap()
      this.#witnessOf.set(file, known)
    }
    return known
  }

  /** Whether the file still begins as it was seen. */
  #isSame(file: TailedFile): boolean {
    const { fd, head } = file
    if (head.bytes === 0 || keepsHead(this.#fs, file)) return true
    return sameHead(this.#fs, fd, false, this.#gunzip, readHead(this.#fs, fd, false, this.#gunzip), head)
  }
}

function unread({ seen }: Missing): Later {
  return { seen, file: null }
}
