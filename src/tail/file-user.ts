// The contract between a lineage and who reads its files. Types alone.
import type { TailedFile } from './file.ts'

/** What a reader tells its lineage, so that files are kept as long as they are needed. */
export interface FileUser {
  /** The earliest file that the reader may still have to read; null before it has begun. */
  readonly oldestNeeded: TailedFile | null
  /** The file that it reads; null before it has begun. */
  readonly current: TailedFile | null
  /** The last file of which it has read something; null: it would go back before its first one. */
  readonly begun: TailedFile | null
  /** It has a place to find again, and has not found it yet. */
  readonly isSearching: boolean
  /** The lineage was looked at. */
  looked(): void
  /** Called when there are files that were not there before, in whatever place. */
  filesCame(): void
  /** How far it read a file that it has left; undefined when it never read it. */
  leftAt(file: TailedFile): number | undefined
}
