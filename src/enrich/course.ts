// The course of one list+watch, apart from all I/O: what to ask next, from where, and when. Follows the API's own
// rules (kubernetes.io/docs/reference/using-api/api-concepts: efficient detection of changes): a paged list, then a watch
// from its resourceVersion, bookmarks that move that on, and a new list when the server says that it is too old to go on
// from. Invariant: a watch begins where a whole list or an event ended; what cannot be trusted leads to a list.
import { backoffDelayMs } from '../core/backoff.ts'
import type { Random } from '../ports/random.ts'

const BACKOFF = { delayMsMin: 250, delayMsMax: 30_000 }
/** What only an operator can mend (401, 403, 404) is asked for less and less often, but soon enough after it was. */
const REFUSED_BACKOFF = { delayMsMin: 1000, delayMsMax: 60_000 }
/** Failures of a watch, one after the other and without an event between them, after which its resourceVersion is given up. */
const WATCH_FAILURES_MAX = 3
/** A watch that ended well but sooner is not asked for again at once: something ends them all. */
const WATCH_MS_MIN = 1000
/**
 * A server that lost its memory tells all agents at once to list again, which for the latest state is no small thing to it.
 * Not longer: a pod that comes and goes meanwhile stays unknown.
 */
const RELIST_MS_MAX = 1000
/** Within this time a server has sent a bookmark (seen: after 60 to 120 s, and before it ends a watch). */
const BOOKMARK_MS_MAX = 150_000

/** What to ask for. `resourceVersion` 0: any state will do, of the server's memory; '': the latest. */
export type Want =
  | { kind: 'list'; resourceVersion: '0' | ''; continue: string }
  | { kind: 'watch'; resourceVersion: string }

/** How a request ended. `code` 0: there was no answer, or it broke off; with 410 in a watch's ERROR event as with HTTP 410. */
export type End =
  | { kind: 'page'; resourceVersion: string; continue: string }
  | { kind: 'closed'; afterMs: number }
  | { kind: 'silent' }
  | { kind: 'failed'; code: number; retryAfterMs?: number }

/** What follows: after so long, and whether a list must be made that replaces all that is known. */
export interface Next {
  delayMs: number
  /** Why a new list is made although there was a watch; null otherwise. */
  relist: 'expired' | 'untrusted' | null
}

export class Course {
  want: Want = { kind: 'list', resourceVersion: '0', continue: '' }
  /** Ends in a row that were failures. */
  failures = 0
  /** Of these, refusals (401, 403, 404) in a row: a server that comes back refuses for a moment, after any number of other failures. */
  #refusals = 0
  readonly #random: Random
  /** The watch under way has said something. */
  #heard = false
  /** A list broke off between two pages because its state was gone; the next one is asked for without pages. */
  isUnpaged = false

  constructor(random: Random) {
    this.#random = random
  }

  /** An event or a bookmark of the watch came, with its object's resourceVersion. */
  heard(resourceVersion: string): void {
    this.#heard = true
    this.failures = 0
    this.#refusals = 0
    if (resourceVersion !== '') this.want = { kind: 'watch', resourceVersion }
  }

  /** The request for `want` came to its end; sets the next `want`. */
  ended(end: End): Next {
    switch (end.kind) {
      case 'page':
        return this.#page(end.resourceVersion, end.continue)
      case 'closed':
        // One that never said a word hangs on a version that is not there (yet): of another server, or of a store that
        // was restored.
        if (!this.#heard && end.afterMs >= BOOKMARK_MS_MAX) return this.#untrusted()
        if (!this.#heard && end.afterMs < WATCH_MS_MIN) this.failures++
        this.#heard = false
        return { delayMs: end.afterMs < WATCH_MS_MIN ? this.#delay() : 0, relist: null }
      case 'silent':
        if (!this.#heard) return this.#untrusted()
        this.#heard = false
        this.failures++
        return { delayMs: 0, relist: null }
      case 'failed':
        return this.#failed(end.code, end.retryAfterMs)
    }
  }

  #page(resourceVersion: string, rest: string): Next {
    this.failures = 0
    this.#refusals = 0
    this.#heard = false
    if (rest !== '') this.want = { kind: 'list', resourceVersion: '', continue: rest }
    else {
      this.isUnpaged = false
      this.want = { kind: 'watch', resourceVersion }
    }
    return { delayMs: 0, relist: null }
  }

  #failed(code: number, retryAfterMs: number | undefined): Next {
    const { want } = this
    const wasHeard = this.#heard
    this.#heard = false
    this.failures++
    if (code === 410) {
      // Between two pages: all of it in one answer, which cannot grow too old.
      if (want.kind === 'list') this.isUnpaged ||= want.continue !== ''
      this.want = { kind: 'list', resourceVersion: '', continue: '' }
      const delayMs = this.failures === 1 ? this.#random() * RELIST_MS_MAX : this.#delay()
      return { delayMs, relist: 'expired' }
    }
    if (want.kind === 'list' && want.continue !== '' && code !== 0 && code < 500 && code !== 429) {
      this.want = { kind: 'list', resourceVersion: '', continue: '' }
    }
    // A server that does not know the version (another store, a damaged one) answers 400 or 500 to it for ever.
    const isRefused = code === 401 || code === 403 || code === 404
    const isStuck = code === 400 || code === 422 || (code !== 0 && code !== 429 && this.failures >= WATCH_FAILURES_MAX)
    let relist: Next['relist'] = null
    if (want.kind === 'watch' && !wasHeard && !isRefused && isStuck) {
      this.want = { kind: 'list', resourceVersion: '', continue: '' }
      relist = 'untrusted'
    }
    this.#refusals = isRefused ? this.#refusals + 1 : 0
    const delayMs = isRefused
      ? backoffDelayMs(this.#refusals, REFUSED_BACKOFF, this.#random, retryAfterMs)
      : backoffDelayMs(this.failures, BACKOFF, this.#random, retryAfterMs)
    return { delayMs, relist }
  }

  #untrusted(): Next {
    this.failures++
    this.want = { kind: 'list', resourceVersion: '', continue: '' }
    return { delayMs: this.failures === 1 ? 0 : this.#delay(), relist: 'untrusted' }
  }

  #delay(): number {
    return backoffDelayMs(Math.max(1, this.failures), BACKOFF, this.#random)
  }
}
