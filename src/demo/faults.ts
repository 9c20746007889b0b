// What an embedded receiver can do wrong on purpose. A hook sees each push request and says which fault it meets.
import type { Push, PushEntry } from './push-proto.ts'

/** How much of the push is stored although the sender is not told: all, nothing, or the first half of its entries. */
export type StoreShare = 'all' | 'none' | 'half'

export type Fault =
  /** This answer instead of the store's. `store` is `none` when left out. */
  | { kind: 'answer'; status: number; headers?: Record<string, string>; body?: string; store?: StoreShare }
  /** The connection is reset before any answer. */
  | { kind: 'reset'; store: StoreShare }
  /** The raw HTTP answer ends after so many bytes, and the connection with it. With `all` it is the store's own answer, else a 204. */
  | { kind: 'cut'; afterBytes: number; store: StoreShare }
  /** No answer until the receiver closes. */
  | { kind: 'hang'; store: StoreShare }
  /** Stored at once, answered `delayMs` later. */
  | { kind: 'slow'; delayMs: number }
  /** Stored at once, answered when `until` resolves. */
  | { kind: 'hold'; until: Promise<unknown> }
  /** Nothing is stored and `status` (500) answered if an entry matches; else as usual. */
  | { kind: 'poison'; matches: (entry: PushEntry) => boolean; status?: number; body?: string }

export interface FaultRequest {
  /** Counts the push requests of this receiver from 1. */
  n: number
  tenant: string
  headers: Readonly<Record<string, string | string[] | undefined>>
  /** Decoded when first asked for; null when the body is no push. */
  readonly push: Push | null
}

export type FaultHook = (request: FaultRequest) => Fault | null

/** The first half of a push's entries, rounded up, with the streams that they are in. */
export function firstHalf(push: Push): Push {
  let left = Math.ceil(push.streams.reduce((sum, { entries }) => sum + entries.length, 0) / 2)
  const streams = push.streams.map(({ labels, entries }) => {
    const half = entries.slice(0, left)
    left -= half.length
    return { labels, entries: half }
  })
  return { streams: streams.filter(({ entries }) => entries.length > 0) }
}

/** Whether any entry of the push matches. */
export function holds(push: Push, matches: (entry: PushEntry) => boolean): boolean {
  return push.streams.some(({ entries }) => entries.some(matches))
}
