// Of which files it is certain that all that come before them are known, while names move under our eyes. Owns what is not
// known: names that lead nobody knows where, and whether names and files go together at all. Bound: one record for each name
// that is listed; neither is waited for longer than SETTLE_MS_MAX.
import { compareOrder, type FileOrder, hasPlaceForEver, LIVE } from '../discover/names.ts'
import type { TailedFile } from './file.ts'

/** A file that cannot be opened for so long is gone on without. */
const SETTLE_MS_MAX = 10_000

/** A name of which it is not known what it leads to; monotonic ms, and where that would come; null: anywhere. */
interface Unknown {
  since: number
  at: number
  order: FileOrder | null
}

export class Placing {
  readonly #files: readonly TailedFile[]
  /** By name, what it is not known to lead to; '' for all names. Null: there is nothing. */
  #unknown: Map<string, Unknown> | null = null
  /** Those that the look that is under way has found. */
  #found: Map<string, Unknown> | null = null
  /** Monotonic ms since which names and files do not go together; null: they do. */
  #blindSince: number | null = null

  constructor(files: readonly TailedFile[]) {
    this.#files = files
  }

  /** A look begins. */
  begin(): void {
    this.#found = null
  }

  /** It is not known what the name leads to; null: where that would come is not known either. */
  noteUnknown(path: string, order: FileOrder | null, now: number): void {
    this.#note(path, order, now, this.#unknown?.get(path)?.since ?? now)
  }

  /** Nobody has tried what the name leads to, for names and files do not go together: its time begins when they do again. */
  noteUntried(path: string, order: FileOrder, now: number): void {
    const before = this.#unknown?.get(path)
    this.#note(path, order, now, before === undefined ? now : before.since + now - before.at)
  }

  #note(path: string, order: FileOrder | null, at: number, since: number): void {
    this.#found ??= new Map()
    this.#found.set(path, { since, at, order })
  }

  /** Whether what the name leads to is not known yet, and may be before long. */
  isAwaited(path: string, now: number): boolean {
    const unknown = this.#found?.get(path)
    return unknown !== undefined && now - unknown.since <= SETTLE_MS_MAX
  }

  /** The look has ended: what it has not found unknown is known. */
  end(): void {
    this.#unknown = this.#found
  }

  /** Not even the names could be listed. */
  noteUnlisted(now: number): void {
    this.#unknown ??= new Map()
    if (!this.#unknown.has('')) this.#unknown.set('', { since: now, at: now, order: null })
  }

  clear(): void {
    this.#unknown = null
  }

  /** Whether everything is known, or was waited for long enough. */
  isSettled(now: number): boolean {
    if (this.#unknown === null) return true
    return [...this.#unknown.values()].every(({ since }) => now - since > SETTLE_MS_MAX)
  }

  /**
   * Of which files it is certain that all that come before them are known: those that were met under the same name twice
   * in succession, or have no name any more, with no name among those before them that leads nobody knows where. What was
   * listed between two looks at a file is what there was while it had that name.
   */
  place(pathsBefore: ReadonlyMap<TailedFile, string>, present: ReadonlySet<TailedFile>, now: number): void {
    const waited = [...(this.#found?.values() ?? [])].filter(({ since }) => now - since <= SETTLE_MS_MAX)
    for (const [file, path] of pathsBefore) {
      const isMet = present.has(file)
      const isNamed = file.fd >= 0 && file.linked && file.unlinkedAt === null
      if (isMet ? file.path !== path : isNamed) continue
      const order = isMet || hasPlaceForEver(file.order) ? file.order : null
      file.placed = waited.every((each) => order !== null && each.order !== null && compareOrder(each.order, order) > 0)
    }
  }

  allPlaced(): void {
    for (const file of this.#files) file.placed = true
  }

  /**
   * Whether names and files do not go together (`isMoving`) and some file was not met whose place among the others changes
   * with its name: then nobody knows where others belong. Not for ever: it may have gone elsewhere.
   */
  isBlind(present: ReadonlySet<TailedFile>, now: number, isMoving: () => boolean): boolean {
    // What comes after a live file is known when all that comes before it is, and what has no name left is not missed.
    const isMissed = (file: TailedFile) =>
      file.fd >= 0 &&
      file.linked &&
      file.unlinkedAt === null &&
      !present.has(file) &&
      !hasPlaceForEver(file.order) &&
      !(file.placed && file.order.rank === LIVE)
    if (!this.#files.some(isMissed) || !isMoving()) {
      this.#blindSince = null
      return false
    }
    this.#blindSince ??= now
    return now - this.#blindSince <= SETTLE_MS_MAX
  }
}
