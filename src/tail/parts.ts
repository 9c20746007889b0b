// What the parts of one reader share. Types alone.
import type { Continuity } from '../audit/continuity/continuity.ts'
import type { Account } from './account.ts'
import type { Cursor } from './cursor.ts'
import type { Lineage } from './lineage.ts'
import type { Lines } from './lines.ts'
import type { ReaderDeps, ReaderOptions } from './reader-options.ts'

/** One reader's parts, as far as they work with each other. */
export interface ReaderParts {
  readonly lineage: Lineage
  readonly options: ReaderOptions
  readonly deps: ReaderDeps
  readonly cursor: Cursor
  readonly account: Account
  readonly lines: Lines
  /** Of an audit log: what is missing in it. */
  readonly continuity: Continuity | null
}
