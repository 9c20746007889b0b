// A conversation about one shipment's bulk, from the first answer that is not a plain success until each record's fate is
// known or the rest is given up: what stands in the file is read and sent again later. Records that the server could not
// take now (429, 503) are sent again alone, from the bytes that are encoded already, a few times and only as long as that
// takes seconds: others of the shipment wait for them. A repeat is free (409), so that nothing has to be remembered of what
// was given up but the dead letters. What is refused as a whole, or answered at too great length, is divided until it stands alone.

import type { Events } from '../../core/events.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Fate, Sent } from './classify.ts'
import type { BulkRecords } from './records.ts'
import type { Answer, BulkRequests } from './requests.ts'

/** So often what the server could not take is sent again alone. */
const ROUNDS_MAX = 3
/** Longer than this nobody waits for it. */
const WAIT_MS_MAX = 5000
/** So often a record that gets server errors is sent beside one that is taken each time, before it is condemned. */
const TRIALS = 8
/** So many divisions without one success, beyond those that one record needs: it is not a record. */
const FAILURES_SPARE = 4

/** The type of a whole bulk's failure, of which no record is named. */
const SERVER_ERROR = 'server_error'

export type Refusal = Exclude<Fate, { kind: 'delivered' }>

export interface ConversationDeps {
  sink: string
  lane: string
  hasIds: boolean
  requests: BulkRequests
  events: Events
  clock: Clock
  /** The delay before repeat number `attempt` (1 for the first). */
  delayMs(attempt: number): number
  /** Writes the letters of these records; false when the disk does not take them. */
  bury(records: readonly number[], refusals: readonly Refusal[]): Promise<boolean>
  /** A bulk of so many bytes was too large. */
  tooLarge(bytes: number): void
  /** Server errors for the whole were seen so often that a record may be the cause. */
  isSuspect: boolean
  /** No neighbour is waited for any more. */
  mayProbe: boolean
  signal: AbortSignal
}

/** What became of a record; 0: it is open. */
const TAKEN = 1
const BURIED = 2

export class Conversation {
  readonly #records: BulkRecords
  readonly #deps: ConversationDeps
  readonly #state: Uint8Array
  /** Why the records that are open are open; the first of those that ended it. */
  #failure: Answer | null = null
  #hasTaken = false
  #failures = 0
  /** Open records and what the server said of them last. */
  #waiting = new Map<number, Refusal>()

  constructor(records: BulkRecords, deps: ConversationDeps) {
    this.#records = records
    this.#deps = deps
    this.#state = new Uint8Array(records.count)
  }

  /** Goes on from the answer to the whole bulk. Afterwards `isDone` tells of each record, `failure` of the others. */
  async run(first: Answer): Promise<void> {
    await this.#settle(
      Array.from({ length: this.#records.count }, (_, record) => record),
      first,
    )
    for (let round = 1; round <= ROUNDS_MAX && this.#failure === null; round++) {
      const again = [...this.#waiting].filter(([, { kind }]) => kind === 'retry').map(([record]) => record)
      const waitMs = this.#deps.delayMs(round)
      if (again.length === 0 || waitMs > WAIT_MS_MAX) break
      await this.#deps.clock.sleep(waitMs, this.#deps.signal)
      if (this.#deps.signal.aborted) break
      for (const record of again) this.#waiting.delete(record)
      await this.#send(again)
    }
    if (this.#failure === null) await this.#judge()
  }

  isDone(record: number): boolean {
    return this.#state[record] !== 0
  }

  /** Why the records that are not done are not; null when all are. */
  get failure(): Answer | null {
    if (this.#failure !== null) return this.#failure
    const refusals = [...this.#waiting.values()]
    const worst = refusals.find(({ kind }) => kind === 'halt') ?? refusals[0]
    if (worst === undefined) return null
    const { kind, status, type, says } = worst
    return { status, outcome: { kind: kind === 'halt' ? 'halt' : 'retry', reason: type, message: says } }
  }

  get hasTaken(): boolean {
    return this.#hasTaken
  }

  async #send(records: readonly number[]): Promise<void> {
    await this.#settle(records, await this.#bulk(records))
  }

  #bulk(records: readonly number[]): Promise<Answer> {
    const { hasIds, requests } = this.#deps
    const idOf = (index: number) => this.#records.action(records[index] as number)._id as string
    const sent: Sent = { count: records.length, idOf: hasIds ? idOf : null }
    return requests.bulk(this.#records.body(records), sent)
  }

  async #settle(records: readonly number[], answer: Answer): Promise<void> {
    const { outcome } = answer
    if (outcome.kind === 'delivered') this.#taken(records)
    else if (outcome.kind === 'items') await this.#settleEach(records, outcome.fates, answer)
    else if (outcome.kind === 'split' && outcome.reason === 'too_large') await this.#divideLarge(records, answer)
    else if (outcome.kind === 'split' && records.length > 1) {
      await this.#sendHalves(records, Math.ceil(records.length / 2), answer)
    } else if (outcome.kind === 'refused' || (answer.status === 500 && this.#deps.isSuspect)) {
      await this.#divide(records, answer)
    } else this.#failure = answer
  }

  #taken(records: readonly number[]): void {
    for (const record of records) this.#state[record] = TAKEN
    this.#hasTaken ||= records.length > 0
  }

  /**
   * Sends what shows whether server and index work: a record that was taken by the index of that one, or a probe where there is
   * none and none is waited for any more.
   */
  #controlFor(record: number): (() => Promise<Answer>) | null {
    const { _index } = this.#records.action(record)
    const good = this.#state.findIndex((state, i) => state === TAKEN && this.#records.action(i)._index === _index)
    if (good >= 0) return () => this.#bulk([good])
    if (!this.#deps.mayProbe) return null
    const { body, id } = this.#records.probe(record)
    return () => this.#deps.requests.bulk(body, { count: 1, idOf: () => id })
  }

  async #settleEach(records: readonly number[], fates: readonly Fate[], answer: Answer): Promise<void> {
    const rejected: number[] = []
    const refusals: Refusal[] = []
    for (const [index, fate] of fates.entries()) {
      const record = records[index] as number
      if (fate.kind === 'delivered') this.#taken([record])
      else if (fate.kind === 'reject') {
        rejected.push(record)
        refusals.push(fate)
      } else this.#waiting.set(record, fate)
    }
    await this.#bury(rejected, refusals, answer)
  }

  async #bury(records: readonly number[], refusals: readonly Refusal[], answer: Answer): Promise<void> {
    if (records.length === 0) return
    if (await this.#deps.bury(records, refusals)) for (const record of records) this.#state[record] = BURIED
    else this.#failure = { ...answer, outcome: { kind: 'retry', reason: 'dead_letters', message: 'no dead letters' } }
  }

  /** Halves by bytes; a record that is too large alone is condemned in the server's own words. */
  async #divideLarge(records: readonly number[], answer: Answer): Promise<void> {
    const bytes = records.map((record) => this.#records.bytesOf(record))
    const total = bytes.reduce((sum, each) => sum + each, 0)
    if (records.length === 1) {
      const message = `${total} bytes`
      const refusal: Refusal = { kind: 'reject', status: answer.status, type: 'too_large', message, says: message }
      return this.#bury(records, [refusal], answer)
    }
    this.#deps.tooLarge(total)
    let half = 0
    let middle = 0
    while (middle < records.length - 1 && half + (bytes[middle] as number) <= total / 2)
      half += bytes[middle++] as number
    await this.#sendHalves(records, Math.max(1, middle), answer)
  }

  async #divide(records: readonly number[], answer: Answer): Promise<void> {
    const { outcome, status } = answer
    if (records.length === 1) {
      const says = outcome.kind === 'refused' ? outcome.says : `${status}`
      const type = outcome.kind === 'refused' ? outcome.type : SERVER_ERROR
      const message = 'message' in outcome ? outcome.message : ''
      this.#waiting.set(records[0] as number, { kind: 'suspect', status, type, message, says })
      return
    }
    if (!this.#hasTaken && ++this.#failures > Math.ceil(Math.log2(this.#records.count)) + FAILURES_SPARE) {
      this.#failure = answer
      return
    }
    await this.#sendHalves(records, Math.ceil(records.length / 2), answer)
  }

  async #sendHalves(records: readonly number[], middle: number, { outcome }: Answer): Promise<void> {
    const { events, sink, lane } = this.#deps
    const reason = 'reason' in outcome ? outcome.reason : 'refused'
    events.emit('sink.split', { sink, lane, reason, records: records.length })
    for (const half of [records.slice(0, middle), records.slice(middle)]) {
      if (this.#failure === null) await this.#send(half)
    }
  }

  /** Deals with the suspects, each beside a record that was taken. */
  async #judge(): Promise<void> {
    for (const [record, refusal] of this.#waiting) {
      if (refusal.kind !== 'suspect' || this.#failure !== null) continue
      const control = this.#controlFor(record)
      if (control === null) continue
      const verdict = await this.#try(record, control, refusal)
      if (verdict === 'taken') {
        this.#waiting.delete(record)
        this.#taken([record])
      } else if (verdict.kind === 'reject') {
        this.#waiting.delete(record)
        const { status, type: reason, says: message } = verdict
        await this.#bury([record], [verdict], { status, outcome: { kind: 'retry', reason, message } })
      } else this.#waiting.set(record, verdict)
    }
  }

  /**
   * A record that gets a server error, or has its bulk refused, is condemned only if that happens every time while another
   * record is taken every time: a server that fails now and then is not told. A server error that does not say what it is
   * about does not take the place of what was said of the record.
   */
  async #try(record: number, control: () => Promise<Answer>, first: Refusal): Promise<Refusal | 'taken'> {
    let said = first
    for (let trial = 0; trial < TRIALS; trial++) {
      const beside = await control()
      if (!isTaken(beside)) {
        this.#failure = beside
        return said
      }
      const now = refusalOf(await this.#bulk([record]))
      if (now === null) return 'taken'
      if (now.kind !== 'suspect') return now
      if (now.type !== SERVER_ERROR) said = now
    }
    return { ...said, kind: 'reject' }
  }
}

function isTaken({ outcome }: Answer): boolean {
  return outcome.kind === 'delivered' || (outcome.kind === 'items' && outcome.fates[0]?.kind === 'delivered')
}

/** What was said of a single record; null: it was taken. */
function refusalOf({ outcome, status }: Answer): Refusal | null {
  if (outcome.kind === 'delivered') return null
  if (outcome.kind === 'items') {
    const fate = outcome.fates[0] as Fate
    return fate.kind === 'delivered' ? null : fate
  }
  const { message } = outcome
  if (outcome.kind === 'refused') return { kind: 'suspect', status, type: outcome.type, message, says: outcome.says }
  const kind = status === 500 ? 'suspect' : outcome.kind === 'halt' ? 'halt' : 'retry'
  return { kind, status, type: outcome.reason, message, says: message }
}
