// What one lineage says of files that cannot be read, or must not be: events, and counters. Invariant: a refusal is told
// once for each name and reason, for as long as the name is listed; an error each time. Bound: one reason for a listed name.
import type { Events } from '../core/events.ts'
import type { LineageInfo } from '../core/lineage-info.ts'
import type { Candidate } from './candidates.ts'

export class Reports {
  /** The lineage's own. */
  readonly path: string
  readonly #source: string
  readonly #events: Events
  readonly #counters: { filesRefused: number; fileErrors: number }
  // Most lineages refuse nothing: it is made when it is needed.
  #reasons: Map<string, string> | null = null

  constructor({ source, path }: LineageInfo, events: Events, counters: { filesRefused: number; fileErrors: number }) {
    this.path = path
    this.#source = source
    this.#events = events
    this.#counters = counters
  }

  get errors(): number {
    return this.#counters.fileErrors
  }

  refused(path: string, reason: string): void {
    if (this.#reasons?.get(path) === reason) return
    this.#reasons ??= new Map()
    this.#reasons.set(path, reason)
    this.#counters.filesRefused++
    this.#events.emit('file.refused', { source: this.#source, path, reason })
  }

  failed(path: string, operation: string, error: unknown): void {
    this.#counters.fileErrors++
    this.#events.emit('file.error', { source: this.#source, path, operation, error })
  }

  /** It was opened: another refusal would be news. */
  opened(path: string): void {
    this.#reasons?.delete(path)
  }

  forgetUnlisted(candidates: readonly Candidate[]): void {
    for (const path of this.#reasons?.keys() ?? []) {
      if (!candidates.some((candidate) => candidate.path === path)) this.#reasons?.delete(path)
    }
  }
}
