// How the audit events of a segment are pushed: each stage and verb is a stream of its own, and each stream's fate is its own.
// What a failed attempt had delivered of some of them is remembered (audit-streams.ts) and not pushed again.
import type { Part } from '../../batch/part.ts'
import type { Segment } from '../../batch/shipment.ts'
import type { Events } from '../../core/events.ts'
import type { DeadLetters } from '../../deliver/dead-letter.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Refused, SegmentResult } from '../sink.ts'
import type { AuditGroup, AuditStreams } from './audit-streams.ts'
import { Burial, forgetLetters } from './burial.ts'
import { Conversation, type ConversationEnd, concernsEntries } from './conversation.ts'
import type { LokiFailures } from './failures.ts'
import type { LokiLane } from './lane.ts'
import type { Answer, LokiRequests } from './requests.ts'
import { type Load, streamsOf } from './segments.ts'
import { Stretch } from './stretch.ts'

export interface AuditShippingDeps {
  sink: string
  /** Of a push that several streams share. */
  bytesMax: number
  requests: LokiRequests
  failures: LokiFailures
  clock: Clock
  events: Events
  deadLetters: DeadLetters
}

export class AuditShipping {
  readonly #deps: AuditShippingDeps

  constructor(deps: AuditShippingDeps) {
    this.#deps = deps
  }

  /**
   * Audit events: a stream for each stage and verb. Calm ones share a push, with one other at its end; the rest have one of
   * their own; all that are not done with by this are sent again.
   */
  async ship(shipment: Load, segment: Segment, lane: LokiLane): Promise<SegmentResult> {
    const audit = lane.audit as AuditStreams
    const refused: Refused[] = []
    let failure: { answer: Answer; recordsMax?: number } | null = null
    for (const index of streamsOf(segment)) {
      const part = shipment.parts[index]
      const groups = audit.groups(index, segment.ends[index])
      const blockOf = (some: readonly AuditGroup[]) => audit.block(index, part, segment.ends[index], some)
      const now = this.#now
      const together = sharing(groups, now, this.#deps.bytesMax)
      const rest = groups.filter((group) => !together.includes(group))
      const push = (group: AuditGroup) => this.#deps.requests.pushBlock(() => blockOf([group]), lane.tenant)
      const answered = (group: AuditGroup, answer: Promise<Answer>) =>
        this.#answered(lane, audit, segment, index, part, group, answer)
      if (together.length > 0) {
        const answer = await this.#deps.requests.pushBlock(() => blockOf(together), lane.tenant)
        for (const { stream, bytes } of together) stream.pushed(this.#now, bytes)
        if (answer.outcome.kind !== 'delivered') rest.push(...together)
        else {
          for (const group of together) {
            this.#stored(audit, index, group)
            if (group.next !== null) rest.push(group.next)
          }
        }
      }
      const ends = await Promise.all(
        rest.map(async (first) => {
          const refusedOfStream: Refused[] = []
          let answer = push(first)
          for (let group: AuditGroup | null = first; group !== null; group = group.next) {
            const end: ConversationEnd = await answered(group, answer)
            if (end.kind === 'again') return end
            refusedOfStream.push(...end.refused)
            if (group.next !== null) answer = push(group.next)
          }
          return { kind: 'settled' as const, refused: refusedOfStream }
        }),
      )
      for (const end of ends) {
        if (end.kind === 'again') failure ??= end
        else refused.push(...end.refused)
      }
    }
    if (failure !== null) {
      audit.failed()
      const limit = failure.recordsMax === undefined ? {} : { recordsMax: failure.recordsMax }
      return {
        kind: 'again',
        delayMs: this.#deps.failures.failed(lane, failure.answer),
        ackedStreams: [],
        refused: [],
        ...limit,
      }
    }
    for (const index of streamsOf(segment)) {
      for (const stream of audit.streams) forgetLetters(segment, index, stream, shipment.parts[index])
    }
    audit.settled()
    this.#deps.failures.settled(lane)
    return { kind: 'acked', refused }
  }

  /** What becomes of one stream's records of a segment that were in a push of their own. */
  async #answered(
    lane: LokiLane,
    audit: AuditStreams,
    segment: Segment,
    index: 0 | 1,
    part: Part,
    group: AuditGroup,
    push: Promise<Answer>,
  ): Promise<ConversationEnd> {
    const { stream, bytes } = group
    const answer = await push
    stream.pushed(this.#now, bytes)
    if (answer.outcome.kind === 'delivered') {
      this.#stored(audit, index, group)
      return { kind: 'settled', refused: [] }
    }
    stream.refused()
    if (answer.status === 500) lane.suspicion.note()
    // Of many streams at once: what lies compressed is taken apart only where entries have to be named.
    if (!concernsEntries(answer, lane.suspicion.isSuspect)) return { kind: 'again', answer }
    const records = audit.recordsOf(index, group, segment.endRecords[index])
    const own = new Stretch(part, records, stream.header, audit.message(index, part, segment.ends[index], group))
    const { sink, requests, clock, events, deadLetters } = this.#deps
    const burial = new Burial(segment, index, stream, own, { sink, tenant: lane.tenant, deadLetters, events, clock })
    const conversation = new Conversation(own, stream, lane, burial, { sink, requests, events })
    const end = await conversation.run(answer)
    if (conversation.hasStored) stream.delivered(this.#now, conversation.newestSeconds)
    return end
  }

  /** All of a group's records were delivered. */
  #stored(audit: AuditStreams, index: 0 | 1, group: AuditGroup): void {
    const { stream, next } = group
    stream.delivered(this.#now, next === null ? stream.pendingNewest : stream.pendingOldest)
    audit.stored(index, group)
  }

  get #now(): number {
    return this.#deps.clock.monotonic()
  }
}

/**
 * What of a lane's audit streams shares a push: the calm ones, and as the last one, of which the answer tells, one that is
 * only fast. (Loki divides a push among its ingesters in the order of its streams, so it is the last one of each that gets
 * it.) None where it would be alone. What does not fit in it goes alone.
 */
function sharing(groups: readonly AuditGroup[], now: number, bytesMax: number): AuditGroup[] {
  let bytesLeft = bytesMax
  const fits = ({ bytes }: AuditGroup) => {
    if (bytes > bytesLeft) return false
    bytesLeft -= bytes
    return true
  }
  const calm = groups.filter((group) => group.stream.isCalm(now) && fits(group))
  const last = groups.find((group) => !calm.includes(group) && group.stream.isWelcome(now) && fits(group))
  const together = last === undefined ? calm : [...calm, last]
  return together.length > 1 ? together : []
}
