// What a reader is given. Types alone.
import type { AuditLinesOptions } from '../audit/lines.ts'
import type { Events } from '../core/events.ts'
import type { Ledger } from '../core/ledger.ts'
import type { Clock } from '../ports/clock.ts'
import type { ReadFileSystem } from '../ports/fs.ts'
import type { Gunzip } from '../ports/gunzip.ts'

export interface ReaderOptions {
  sink: string
  format: 'container' | 'plain'
  startAt: 'beginning' | 'end'
  /** Milliseconds, null: off. */
  startAgeMax: number | null
  lineBytesMax: number
  /** Of an audit log: what is kept of it. */
  audit?: Pick<AuditLinesOptions, 'policy' | 'mask' | 'isSpool' | 'shape'>
  ledger: Ledger
  /** Read to the end, then take every file as finished. */
  once: boolean
  /** Lines of a container's restarts do not go out together: `fill` ends where another one's begin. */
  endsAtRestart?: boolean
  /** It was decided by the process before how lines go out: it may have handed some out. */
  decidedBefore?: boolean
  /** Called when a `wait` is over. */
  wake: () => void
}

export interface ReaderDeps {
  fs: ReadFileSystem
  clock: Clock
  gunzip: Gunzip
  events: Events
}
