// A conversation: one stream's entries in pushes of their own, until each entry's fate is known or the whole is to be
// tried again later. Only a push of a single stream has an answer that can be believed. What Loki refuses by name goes
// its own way (the dead letters, or the `late` stream), the rest is pushed again; what cannot be named is divided until it
// stands alone. Nothing is waited for in here: what fails for a while is read and sent again later, and as everything
// that was said is said again then and every repeat makes the same entries, nothing has to be remembered but the letters.
import type { Events } from '../../core/events.ts'
import { PROBE_ATTEMPTS } from '../probe.ts'
import type { Refused } from '../sink.ts'
import type { Burial, Verdict } from './burial.ts'
import type { LokiOutcome } from './classify.ts'
import type { LokiLane } from './lane.ts'
import { byTime, selectRefused } from './refused.ts'
import type { Answer, LokiRequests } from './requests.ts'
import type { LokiFinding } from './sentences.ts'
import type { LokiStream } from './stream.ts'
import type { Stretch } from './stretch.ts'
import { streamHeader } from './wire.ts'

/** So many divisions by a server error without one success, beyond those that one record needs: it is the server. */
const FAILURES_SPARE = 4
/** So often a record and a good one are pushed in turn before the one is condemned for a server error. */
const ROUNDS = 8

export interface ConversationDeps {
  sink: string
  requests: LokiRequests
  events: Events
}

/** `settled`: every entry's fate is known. `again`: not; read it again later, and less of it at once. */
export type ConversationEnd =
  | { kind: 'settled'; refused: Refused[] }
  | { kind: 'again'; answer: Answer; recordsMax?: number }

/** Entries that go under one header: the stream's own, or that of a late one. */
interface Group {
  indexes: readonly number[]
  header: Buffer
  isLate: boolean
  /** Loki told of all in it that was too far behind: what is left was stored, and is only behind since then. */
  isBehindTold: boolean
}

type Refusal = Extract<LokiOutcome, { kind: 'refused' }>

// Every private method that talks returns null when it has dealt with what it was given, else the answer in its way.
export class Conversation {
  /** Seconds of the newest entry that was stored in the stream itself; -Infinity for none. */
  newestSeconds = Number.NEGATIVE_INFINITY
  hasStored = false
  readonly #stretch: Stretch
  readonly #stream: LokiStream
  readonly #lane: LokiLane
  readonly #burial: Burial
  readonly #deps: ConversationDeps
  /** An entry that its stream has judged: pushed once more it shows whether the stream is being served. */
  #good: number | null = null
  /** Stands for it where there is none and none is waited for any more. */
  #probe: Buffer | null = null
  /** Entries that got a server error while nothing was stored yet. */
  #suspects: { index: number; answer: Answer }[] = []
  /** A server error is taken for the fault of a record. */
  #isDividing = false
  #failures = 0
  /** Something was dealt with. */
  #touched = false

  constructor(stretch: Stretch, stream: LokiStream, lane: LokiLane, burial: Burial, deps: ConversationDeps) {
    this.#stretch = stretch
    this.#stream = stream
    this.#lane = lane
    this.#burial = burial
    this.#deps = deps
  }

  /** Goes on from the answer to the whole stretch, which was not a success. */
  async run(first: Answer): Promise<ConversationEnd> {
    const { count, header } = this.#stretch
    const whole = { indexes: this.#stretch.alive, header, isLate: false, isBehindTold: false }
    const failure = (await this.#settle(whole, first)) ?? (await this.#judge(whole))
    if (failure === null) return { kind: 'settled', refused: this.#burial.refused }
    const { outcome, status } = failure
    if (status === 500 && first.status !== 500) this.#lane.suspicion.note()
    if (status === 500 && this.#isDividing) {
      // All in it failed, which says nothing of a single one: with more neighbours it may.
      this.#lane.acquit()
      return { kind: 'again', answer: failure, recordsMax: Number.POSITIVE_INFINITY }
    }
    // Less at once, so that a server that lets little through at a time comes to the end of it.
    if (this.#touched && outcome.kind !== 'refused') {
      return { kind: 'again', answer: failure, recordsMax: Math.ceil(count / 2) }
    }
    return { kind: 'again', answer: failure }
  }

  #push({ indexes, header }: Group): Promise<Answer> {
    return this.#pushBody(this.#stretch.body(indexes, header))
  }

  async #pushBody(body: Buffer): Promise<Answer> {
    const { requests } = this.#deps
    let answer = await requests.push(body, this.#lane.tenant)
    // What was said so far would be said for nothing: of two servers behind one address the other may be well.
    if (isPassing(answer)) answer = await requests.push(body, this.#lane.tenant)
    return answer
  }

  /** Deals with a group from the answer to it on. */
  async #settle(group: Group, first: Answer): Promise<Answer | null> {
    let answer = first
    let rest = group
    for (;;) {
      const { outcome } = answer
      if (outcome.kind === 'delivered') {
        this.#stored(rest)
        return null
      }
      if (outcome.kind === 'refused') {
        if (isJudged(answer) && !rest.isLate) this.#good ??= this.#behindIn(rest, outcome)
        const failure = await this.#takeOut(rest, outcome, answer)
        if (failure !== null) return failure
        const left = this.#alive(rest)
        if (left.indexes.length === 0) return null
        if (left.indexes.length === rest.indexes.length) return this.#divide(rest, answer)
        rest = left
      } else if (concernsEntries(answer, this.#mayDivide)) {
        return this.#divide(rest, answer)
      } else return answer
      answer = await this.#push(rest)
    }
  }

  get #mayDivide(): boolean {
    return this.#isDividing || this.#lane.suspicion.isSuspect
  }

  #alive(group: Group): Group {
    return { ...group, indexes: group.indexes.filter((index) => this.#stretch.isAlive(index)) }
  }

  /** An entry of the group that its stream refused by name. */
  #behindIn(group: Group, { findings }: Refusal): number | null {
    for (const finding of findings) {
      const [index] = isListed(finding) ? selectRefused(finding, this.#stretch, group.indexes, false).indexes : []
      if (index !== undefined) return index
    }
    return null
  }

  #stored({ indexes, isLate }: Group): void {
    const { events, sink } = this.#deps
    this.#touched = true
    this.#stretch.remove(indexes)
    if (isLate) {
      events.emit('records.late', { sink, lane: this.#lane.key, records: indexes.length })
      return
    }
    this.hasStored = true
    this.#good ??= indexes[0] as number
    for (const index of indexes) this.newestSeconds = Math.max(this.newestSeconds, this.#stretch.seconds[index]!)
  }

  async #bury(indexes: readonly number[], verdict: Verdict, answer: Answer): Promise<Answer | null> {
    if (!(await this.#burial.bury(indexes, verdict))) return answer
    this.#touched = true
    return null
  }

  /** Takes out of the group what the findings name; nothing, when they name nothing in it. */
  async #takeOut(group: Group, { findings, message }: Refusal, answer: Answer): Promise<Answer | null> {
    const { status } = answer
    const isOnlyList = findings.filter(isListed).length === 1
    // What a finding means is among all that was pushed, whatever the findings before it have taken out.
    for (const finding of findings) {
      const { indexes } = this.#alive(group)
      const { reason } = finding
      let failure: Answer | null
      if (reason === 'per_stream_rate_limited') failure = answer
      // In a push of one stream, a label set that cannot be parsed is this one's.
      else if (finding.scope !== 'entry') failure = await this.#bury(indexes, { reason, message, status }, answer)
      else if (reason === 'too_new')
        failure = await this.#takeNewer(group, finding, { reason, message, status }, answer)
      else {
        const { indexes: meant, complete } = selectRefused(finding, this.#stretch, group.indexes, isOnlyList)
        const named = meant.filter((index) => this.#stretch.isAlive(index))
        const isBehind = reason === 'too_far_behind' || reason === 'out_of_order'
        if (!isBehind || group.isLate) failure = await this.#bury(named, { reason, message, status }, answer)
        else if (group.isBehindTold) {
          this.#stretch.remove(named)
          failure = null
        } else failure = await this.#sendLate(named)
        if (isBehind && failure === null) group.isBehindTold ||= complete
      }
      if (failure !== null) return failure
    }
    return null
  }

  /**
   * Too new are the newest entries, but Loki tells of one only: where they begin is looked for with single entries, first
   * the newest that is left.
   */
  async #takeNewer(group: Group, finding: LokiFinding, verdict: Verdict, answer: Answer): Promise<Answer | null> {
    const known = new Set(selectRefused(finding, this.#stretch, group.indexes, false).indexes)
    const sorted = byTime(this.#alive(group).indexes, this.#stretch)
    let low = 0
    let high = sorted.findIndex((index) => known.has(index))
    if (high < 0) return null // a finding before this one led to them
    for (let middle = high - 1; low < high; middle = Math.floor((low + high) / 2)) {
      const probe = { ...group, indexes: [sorted[middle] as number] }
      const said = await this.#push(probe)
      const { outcome } = said
      if (outcome.kind === 'refused' && outcome.findings.some(({ reason }) => reason === 'too_new')) high = middle
      else {
        const failure = await this.#settle(probe, said)
        if (failure !== null) return failure
        low = middle + 1
      }
    }
    const newer = sorted.slice(high).filter((index) => this.#stretch.isAlive(index))
    return this.#bury(newer, verdict, answer)
  }

  /** Pushes entries that are too far behind once more, each in the stream of its own hour, where it is in order. */
  async #sendLate(indexes: readonly number[]): Promise<Answer | null> {
    const byHour = Map.groupBy(indexes, (index) => Math.floor(this.#stretch.seconds[index]! / 3600))
    for (const [hour, group] of byHour) {
      const late = `${new Date(hour * 3_600_000).toISOString().slice(0, 13)}Z`
      const header = streamHeader({ ...this.#stream.labels, late })
      const lateGroup = { indexes: group, header, isLate: true, isBehindTold: false }
      const failure = await this.#settle(lateGroup, await this.#push(lateGroup))
      if (failure !== null) return failure
    }
    return null
  }

  /** Pushes the halves of a group that was refused as a whole; what stands alone is condemned. */
  async #divide(group: Group, cause: Answer): Promise<Answer | null> {
    const { indexes } = group
    if (cause.status === 500) this.#isDividing = true
    if (indexes.length === 1) return this.#condemn(indexes[0] as number, cause)
    if (cause.status === 500 && this.#good === null) {
      const needed = Math.ceil(Math.log2(this.#stretch.count))
      if (++this.#failures > needed + FAILURES_SPARE) return cause
    }
    const reason = 'reason' in cause.outcome ? cause.outcome.reason : 'refused'
    this.#deps.events.emit('sink.split', {
      sink: this.#deps.sink,
      lane: this.#lane.key,
      reason,
      records: indexes.length,
    })
    const middle = Math.ceil(indexes.length / 2)
    for (const half of [indexes.slice(0, middle), indexes.slice(middle)]) {
      const part = { ...group, indexes: half }
      const failure = await this.#settle(part, await this.#push(part))
      if (failure !== null) return failure
    }
    return null
  }

  /**
   * A record that is refused alone. In the sink's own words that is enough; a server error condemns it only if it gets it
   * every time while another record of the same stream is taken every time: a server that fails now and then is not told.
   */
  async #condemn(index: number, cause: Answer): Promise<Answer | null> {
    const { outcome, status } = cause
    const message = outcome.kind === 'delivered' ? '' : outcome.message
    if (outcome.kind === 'refused') {
      return this.#bury([index], { reason: outcome.findings[0]?.reason ?? 'refused', message, status }, cause)
    }
    if (outcome.kind === 'split') return this.#bury([index], { reason: 'too_large', message, status }, cause)
    const control = this.#good === null ? this.#probe : this.#stretch.body([this.#good])
    if (control === null) {
      this.#suspects.push({ index, answer: cause })
      return null
    }
    const { header } = this.#stretch
    const suspect = { indexes: [index], header, isLate: false, isBehindTold: false }
    for (let round = 1; ; round++) {
      const beside = await this.#pushBody(control)
      if (!isJudged(beside)) return beside
      if (round === ROUNDS) return this.#bury([index], { reason: 'server_error', message, status }, cause)
      const again = await this.#push(suspect)
      if (again.outcome.kind === 'delivered') {
        this.#stored(suspect)
        return null
      }
      if (again.status !== 500) return again
    }
  }

  /** Deals with those that were suspect before anything was stored. */
  async #judge(group: Group): Promise<Answer | null> {
    const suspects = this.#suspects
    this.#suspects = []
    for (const { index, answer } of suspects) {
      if (this.#good === null) {
        if (this.#lane.attempts < PROBE_ATTEMPTS) return answer
        this.#probe ??= this.#stretch.probe(index)
      }
      const alone = { ...group, indexes: [index] }
      const failure = await this.#settle(alone, await this.#push(alone))
      if (failure !== null) return failure
    }
    return null
  }
}

/** Whether entries have to be named; else all is read and sent again as it is. `mayDivide`: a server error may be a record's fault. */
export function concernsEntries({ outcome, status }: Answer, mayDivide: boolean): boolean {
  return outcome.kind === 'refused' || outcome.kind === 'split' || (status === 500 && mayDivide)
}

/** Whether the stream itself has judged, taking entries or not. The other refusals come from before it. */
function isJudged({ outcome }: Answer): boolean {
  return outcome.kind === 'delivered' || (outcome.kind === 'refused' && outcome.findings.some(isListed))
}

/** Whether the same push may find a better answer at once. */
function isPassing({ status, same }: Answer): boolean {
  return (status >= 502 && status <= 504) || same === 'HTTP_RESET'
}

function isListed(finding: LokiFinding): boolean {
  return 'timestamps' in finding
}
