// A conversation: one stream's entries in a push of their own, until each entry's fate is known or the whole is to be
// tried again later. Only a push of a single stream has an answer that can be believed. What Loki refuses by name goes
// its own way (the dead letters, or the `late` stream), the rest is pushed again; what cannot be named is bisected.
import { backoffDelayMs } from '../../core/backoff.ts'
import type { Events } from '../../core/events.ts'
import type { Labels } from '../../core/labels.ts'
import type { DeadLetter, DeadLetters } from '../../deliver/dead-letter.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Random } from '../../ports/random.ts'
import type { Refused } from '../sink.ts'
import type { LokiOutcome } from './classify.ts'
import { selectRefused } from './refused.ts'
import type { Answer, LokiRequests } from './requests.ts'
import type { LokiLane } from './stream.ts'
import type { Stretch } from './stretch.ts'
import { readMetadata, streamHeader } from './wire.ts'

/** So many equal server errors in a row on one batch make it suspect. */
export const SAME_ERRORS_MAX = 3
/** A bisection without a single success ends after so many pushes: then it is the server, not a record. */
const BISECTION_FAILURES_MAX = 12

export interface ConversationDeps {
  sink: string
  requests: LokiRequests
  deadLetters: DeadLetters
  events: Events
  clock: Clock
  random: Random
  backoff: { delayMsMin: number; delayMsMax: number }
  /** Aborts when the agent gives up waiting. */
  signal: AbortSignal
}

/** `settled`: every entry's fate is known. `again`: nothing of it is, or too little; read it again later. */
export type ConversationEnd =
  | { kind: 'settled'; refused: Refused[] }
  | { kind: 'again'; answer: Answer; recordsMax?: number; bytesMax?: number }

export class Conversation {
  readonly #stretch: Stretch
  readonly #stream: number
  readonly #lane: LokiLane
  readonly #path: () => string
  readonly #deps: ConversationDeps
  readonly #refused: Refused[] = []
  /** Loki once told of all that was too far behind; the others were stored, and are only behind now. */
  #behindTold = false
  /** Something was dealt with already, so a failure is waited out here instead of reading all again. */
  #touched = false

  constructor(stretch: Stretch, stream: number, lane: LokiLane, path: () => string, deps: ConversationDeps) {
    this.#stretch = stretch
    this.#stream = stream
    this.#lane = lane
    this.#path = path
    this.#deps = deps
  }

  /** Goes on from the answer to the whole stretch, which was not a success. */
  async run(first: Answer): Promise<ConversationEnd> {
    const { requests } = this.#deps
    let answer = first
    for (let attempt = 1; ; attempt++) {
      const { outcome } = answer
      const alive = this.#stretch.alive
      if (outcome.kind === 'delivered' || alive.length === 0) return this.#settled()
      if (outcome.kind === 'refused') {
        const dealt = await this.#deal(outcome, answer)
        if (!dealt) return { kind: 'again', answer }
        attempt = 0
      } else if (outcome.kind === 'split') {
        if (alive.length === 1) {
          if (!(await this.#bury(alive, outcome.reason, outcome.message, answer.status)))
            return { kind: 'again', answer }
          return this.#settled()
        }
        this.#tellSplit(outcome.reason, alive.length)
        const end = await this.#bisect(alive, answer)
        if (end === 'unclear') return { kind: 'again', answer, recordsMax: Math.ceil(alive.length / 2) }
        return this.#settled()
      } else if (this.#isSuspect(answer) && alive.length > 0) {
        this.#tellSplit(outcome.reason, alive.length)
        const end = await this.#bisect(alive, answer)
        if (end === 'unclear') return { kind: 'again', answer }
        return this.#settled()
      } else {
        if (!this.#touched || this.#deps.signal.aborted) return { kind: 'again', answer }
        await this.#wait(outcome, attempt, answer)
      }
      if (this.#stretch.alive.length === 0) return this.#settled()
      answer = await requests.push(this.#stretch.body(this.#stretch.alive))
    }
  }

  #settled(): ConversationEnd {
    return { kind: 'settled', refused: this.#refused }
  }

  /** The same plain server error again and again on this lane, which may be the fault of a record. */
  #isSuspect(answer: Answer): boolean {
    const { sameError } = this.#lane
    return answer.status === 500 && sameError.signature === answer.same && sameError.count >= SAME_ERRORS_MAX
  }

  async #wait(outcome: LokiOutcome, attempt: number, answer: Answer): Promise<void> {
    const { clock, backoff, random, signal, requests, events, sink } = this.#deps
    const afterMs = outcome.kind === 'retry' ? outcome.afterMs : undefined
    const limits = outcome.kind === 'halt' ? { ...backoff, delayMsMin: backoff.delayMsMax } : backoff
    const delayMs = backoffDelayMs(attempt, limits, random, afterMs)
    const code = String(answer.status || 'error')
    requests.retries[code] = (requests.retries[code] ?? 0) + 1
    const { message } = answer.outcome as { message: string }
    events.emit('sink.retry', { sink, lane: this.#lane.key, status: answer.status, code, message, attempt, delayMs })
    await clock.sleep(delayMs, signal)
  }

  /** Deals with a refusal; false when it could not be (the dead letters take nothing). */
  async #deal(outcome: Extract<LokiOutcome, { kind: 'refused' }>, answer: Answer): Promise<boolean> {
    let named = 0
    for (const finding of outcome.findings) {
      // In a push of one stream, a label set that cannot be parsed is this one's.
      if (finding.scope !== 'entry') {
        return this.#bury(this.#stretch.alive, finding.reason, outcome.message, answer.status)
      }
      const selection = selectRefused(finding, this.#stretch)
      const indexes = selection.indexes.filter((index) => this.#stretch.isAlive(index))
      named += indexes.length
      if (finding.reason === 'per_stream_rate_limited') return false
      if (finding.reason !== 'too_far_behind' && finding.reason !== 'out_of_order') {
        if (!(await this.#bury(indexes, finding.reason, outcome.message, answer.status))) return false
        continue
      }
      // After a full account, what is named now was stored then: only the stream's newest time has moved.
      if (this.#behindTold) this.#stretch.remove(indexes)
      else if (!(await this.#sendLate(indexes, outcome.message))) return false
      this.#behindTold ||= selection.complete
    }
    if (named > 0) return true
    const end = await this.#bisect(this.#stretch.alive, answer)
    return end !== 'unclear'
  }

  /** Pushes entries that are too far behind once more, each in the stream of its own hour, where it is in order. */
  async #sendLate(indexes: readonly number[], message: string): Promise<boolean> {
    if (indexes.length === 0) return true
    const stretch = this.#stretch
    const byHour = Map.groupBy(indexes, (index) => Math.floor(stretch.seconds[index]! / 3600))
    const { labels } = this.#lane.streams[this.#stream as 0 | 1]
    for (const [hour, group] of byHour) {
      const header = streamHeader({ ...labels, late: `${new Date(hour * 3_600_000).toISOString().slice(0, 13)}Z` })
      for (let attempt = 1; ; attempt++) {
        const answer = await this.#deps.requests.push(stretch.body(group, header))
        const { outcome } = answer
        if (outcome.kind === 'delivered') {
          this.#deps.events.emit('records.late', { sink: this.#deps.sink, lane: this.#lane.key, records: group.length })
          stretch.remove(group)
          this.#touched = true
          break
        }
        if (outcome.kind === 'refused' || outcome.kind === 'split') {
          const reason = (outcome.kind === 'refused' && outcome.findings[0]?.reason) || 'too_far_behind'
          if (!(await this.#bury(group, reason, outcome.message || message, answer.status))) return false
          break
        }
        if (this.#deps.signal.aborted) return false
        await this.#wait(outcome, attempt, answer)
      }
    }
    return true
  }

  /**
   * Pushes ever smaller parts until what is refused stands alone. A refusal in the sink's own words condemns a single
   * record; a server error only when other pushes succeed meanwhile. `unclear`: nothing succeeded, nothing is condemned.
   */
  async #bisect(indexes: readonly number[], cause: Answer): Promise<'done' | 'unclear'> {
    const { requests, signal } = this.#deps
    const failingSince = this.#lane.sameError.since
    const suspects: { index: number; answer: Answer }[] = []
    let failures = 0
    let successes = 0
    const work: (readonly number[])[] = indexes.length > 1 ? halves(indexes) : [indexes]
    while (work.length > 0) {
      const group = work.shift() as readonly number[]
      let answer = cause
      for (let attempt = 1; group.length !== indexes.length; attempt++) {
        answer = await requests.push(this.#stretch.body(group))
        const { outcome } = answer
        const transient = outcome.kind === 'halt' || (outcome.kind === 'retry' && answer.status !== 500)
        if (!transient) break
        if (signal.aborted || attempt > 5) return 'unclear'
        await this.#wait(outcome, attempt, answer)
      }
      if (answer.outcome.kind === 'delivered') {
        successes++
        this.#stretch.remove(group)
        this.#touched = true
      } else if (group.length > 1) {
        failures++
        work.unshift(...halves(group))
      } else {
        failures++
        suspects.push({ index: group[0] as number, answer })
      }
      const elsewhere = requests.okAt > failingSince
      if (successes === 0 && !elsewhere && failures >= BISECTION_FAILURES_MAX) return 'unclear'
    }
    for (const { index, answer } of suspects) {
      const { outcome, status } = answer
      const inWords = outcome.kind === 'refused' || outcome.kind === 'split'
      if (!inWords && successes === 0 && requests.okAt <= failingSince) return 'unclear'
      const reason = outcome.kind === 'refused' ? (outcome.findings[0]?.reason ?? 'refused') : 'server_error'
      const message = outcome.kind === 'delivered' ? '' : outcome.message
      if (!(await this.#bury([index], outcome.kind === 'split' ? 'too_large' : reason, message, status)))
        return 'unclear'
    }
    this.#lane.sameError = { signature: '', count: 0, since: 0 }
    return 'done'
  }

  /** Writes dead letters and takes the entries out; false when the disk does not take them. */
  async #bury(indexes: readonly number[], reason: string, message: string, status: number): Promise<boolean> {
    if (indexes.length === 0) return true
    const { deadLetters, events, sink } = this.#deps
    const { part, firstRecord } = this.#stretch
    const chosen = [...indexes]
    try {
      await deadLetters.write(chosen.map((index) => this.#letter(index, reason, message, status)))
    } catch {
      return false // the dead letters have told of it
    }
    let bytes = 0
    let lines = 0
    for (const index of chosen) {
      bytes += part.bytesOf(firstRecord + index)
      lines += part.linesOf(firstRecord + index)
    }
    this.#refused.push({ kind: 'deadLettered', reason, stream: this.#stream, bytes, lines })
    const lane = this.#lane.key
    events.emit('records.deadLettered', { sink, lane, reason, records: chosen.length, bytes, message })
    this.#stretch.remove(chosen)
    this.#touched = true
    return true
  }

  #letter(index: number, reason: string, message: string, status: number): DeadLetter {
    const { part, firstRecord } = this.#stretch
    const { buffer } = part
    const entry = this.#stretch.entry(index)
    const line = buffer.subarray(entry.lineStart, entry.lineEnd)
    const metadata: Labels = readMetadata(buffer, entry.metadataStart, entry.metadataEnd)
    return {
      at: new Date(this.#deps.clock.now()).toISOString(),
      sink: this.#deps.sink,
      lane: this.#lane.key,
      reason,
      message: message.slice(0, 1024),
      status,
      path: this.#path(),
      offset: part.offsetOf(firstRecord + index),
      bytes: part.bytesOf(firstRecord + index),
      timestamp: (BigInt(entry.seconds) * 1_000_000_000n + BigInt(entry.nanos)).toString(),
      labels: this.#lane.streams[this.#stream as 0 | 1].labels,
      metadata,
      line: line.toString('utf8'),
    }
  }

  #tellSplit(reason: string, records: number): void {
    this.#deps.events.emit('sink.split', { sink: this.#deps.sink, lane: this.#lane.key, reason, records })
  }
}

function halves<T>(items: readonly T[]): (readonly T[])[] {
  const middle = Math.ceil(items.length / 2)
  return [items.slice(0, middle), items.slice(middle)]
}
