// From events to rows: one a request. A request's start is told only where no end of it is: a watch that is open, a failed
// authentication, which has no other event. Everything told is redacted. Bound: STARTED_MAX requests whose end is awaited.
import { type EventFacts, LEVEL, NAME, RESPONSE_OBJECT, USERNAME } from '../event.ts'
import { AuditFilter } from '../filter.ts'
import { LEVEL_METADATA, type Policy } from '../policy/policy.ts'
import type { Mask } from '../redact/mask.ts'
import type { Filters } from './filters.ts'
import { type Row, rowOf } from './row.ts'
import type { OnEvent } from './scan.ts'

const STARTED_MAX = 20_000

/** Bodies are of no use to a table: they are left out before anything else is done. */
const NO_BODIES: Policy = {
  rules: [
    {
      level: LEVEL_METADATA,
      users: [],
      userGroups: [],
      verbs: [],
      resources: [],
      namespaces: [],
      nonResourceURLs: [],
      omitStages: 0,
      omitManagedFields: false,
    },
  ],
  omitStages: 0,
  omitManagedFields: false,
}

/** Gets a row and, where they were asked for, the event as JSON, redacted. */
export type OnRow = (row: Row, event: string) => void

interface Started {
  row: Row
  event: string
  /** When it was read, in the caller's time. */
  readAt: number
}

export class Requests {
  readonly #filters: Filters
  readonly #onRow: OnRow
  readonly #filter: AuditFilter
  /** In the order in which they were read. */
  readonly #started = new Map<string, Started>()
  readonly #now: () => number

  /** `withBodies`: events are given with their bodies. `now` is any monotonic time. */
  constructor(filters: Filters, mask: Mask, withBodies: boolean, now: () => number, onRow: OnRow) {
    this.#filters = filters
    this.#onRow = onRow
    this.#now = now
    const lineBytesMax = Number.POSITIVE_INFINITY
    this.#filter = new AuditFilter({ policy: withBodies ? null : NO_BODIES, mask, lineBytesMax })
  }

  readonly onEvent: OnEvent = (facts, line, start, end) => {
    const filters = this.#filters
    if (filters.rejects(facts, line, start, end)) return true
    const filter = this.#filter
    let state = filter.judge(line, start, end)
    while (state === 'working') state = filter.step()
    const event = filter.buffer.toString('utf8', filter.start, filter.end)
    const row = rowOf(event, facts.has(NAME) ? '' : givenName(facts))
    if (row === null) return false
    row.level = facts.text(LEVEL) // not what leaving bodies out made of it
    if (!filters.acceptsRequest(row)) return true
    const isAccepted = filters.acceptsResult(row)
    if (filters.hasStages) {
      if (isAccepted) this.#onRow(row, event)
      return true
    }
    if (row.stage !== 'ResponseStarted') {
      this.#started.delete(row.request)
      if (isAccepted) this.#onRow(row, event)
    } else if (!facts.has(USERNAME)) {
      if (isAccepted) this.#onRow(row, event)
    } else if (isAccepted) {
      this.#started.set(row.request, { row, event, readAt: this.#now() })
      if (this.#started.size > STARTED_MAX) this.#tellFirst()
    }
    return true
  }

  /** Tells the requests that have begun, and of which no end was read since `readBefore`. */
  tellStarted(readBefore = Number.POSITIVE_INFINITY): void {
    for (const { readAt } of this.#started.values()) {
      if (readAt >= readBefore) return
      this.#tellFirst()
    }
  }

  #tellFirst(): void {
    for (const [key, { row, event }] of this.#started) {
      this.#started.delete(key)
      this.#onRow(row, event)
      return
    }
  }
}

/** The name that the server gave, where the request named none. */
function givenName(facts: EventFacts): string {
  if (!facts.has(RESPONSE_OBJECT)) return ''
  try {
    const text = facts.buffer.toString('utf8', facts.startOf(RESPONSE_OBJECT), facts.endOf(RESPONSE_OBJECT))
    const { kind, metadata } = JSON.parse(text) as { kind?: unknown; metadata?: { name?: unknown } | null }
    return kind !== 'Status' && typeof metadata?.name === 'string' ? metadata.name : ''
  } catch {
    return ''
  }
}
