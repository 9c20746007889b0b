// The lanes of an elasticsearch sink and how each of them fares: failures, delays, and what that makes of the sink as a whole.
// Invariant: a lane's failures are counted from its own last success, whatever others do meanwhile, so that a record that fails
// a whole bulk is looked for on a cluster that is well. Bound: what is buried of a lane is forgotten when its segment is settled.
import { backoffDelayMs } from '../../core/backoff.ts'
import type { Events } from '../../core/events.ts'
import type { Random } from '../../ports/random.ts'
import type { SinkState } from '../sink.ts'
import type { Answer } from './requests.ts'

/** After so many server errors for whole bulks of a lane a record may be the cause. */
const SERVER_ERRORS_MAX = 3
/** Where none was found it is looked for again after twice as many, but at the latest after so many more. */
const SERVER_ERRORS_MORE_MAX = 32
/** What does not mend itself is asked for again as if it had failed so often more. */
const HALTED_ATTEMPTS = 4

/** What the sink remembers of a lane from one shipment to the next. */
export class ElasticLane {
  readonly key: string
  /** Failures since the last success. */
  attempts = 0
  /** It was held up while others were not: it goes alone until it succeeds. */
  solo = false
  /** Records whose dead letters are written while their segment is not settled yet. */
  readonly buried = new Set<string>()
  #serverErrors = 0
  #suspectAt = SERVER_ERRORS_MAX

  constructor(key: string) {
    this.key = key
  }

  /** Notes the answer to a bulk that it had a part in; whether one of its records may be why the server fails. */
  suspects({ status }: Answer): boolean {
    if (status === 500) this.#serverErrors++
    return this.#serverErrors >= this.#suspectAt
  }

  /** It was looked for among these records, and not one of them was taken. */
  foundNone(): void {
    this.#suspectAt = this.#serverErrors + Math.min(this.#serverErrors, SERVER_ERRORS_MORE_MAX)
  }

  taken(): void {
    this.#serverErrors = 0
    this.#suspectAt = SERVER_ERRORS_MAX
  }
}

export interface LanesDeps {
  sink: string
  events: Events
  random: Random
  delays: { delayMsMin: number; delayMsMax: number }
  /** Counts a repeat, by the status for which it is. */
  retried(status: number): void
}

export class ElasticLanes {
  readonly #deps: LanesDeps
  readonly #lanes = new Map<string, ElasticLane>()
  readonly #retrying = new Set<string>()
  #halted = false

  constructor(deps: LanesDeps) {
    this.#deps = deps
  }

  /** Makes the lane, if it is not there. */
  add(key: string): void {
    if (!this.#lanes.has(key)) this.#lanes.set(key, new ElasticLane(key))
  }

  get(key: string): ElasticLane {
    const lane = this.#lanes.get(key)
    if (lane === undefined) throw new Error(`no lane for ${key}`)
    return lane
  }

  has(key: string): boolean {
    return this.#lanes.has(key)
  }

  forget(key: string): void {
    this.#lanes.delete(key)
    this.#retrying.delete(key)
  }

  get state(): SinkState['state'] {
    return this.#halted ? 'halted' : this.#retrying.size > 0 ? 'retrying' : 'ok'
  }

  delayMs(attempt: number, afterMs?: number): number {
    return backoffDelayMs(attempt, this.#deps.delays, this.#deps.random, afterMs)
  }

  /** Everything of a lane in a shipment has come to its end. */
  settled(lane: ElasticLane): void {
    this.#halted = false
    lane.solo = false
    lane.taken()
    if (lane.attempts === 0) return
    const { attempts, key } = lane
    lane.attempts = 0
    this.#retrying.delete(key)
    this.#deps.events.emit('sink.recovered', { sink: this.#deps.sink, lane: key, attempts })
  }

  /** Notes a failure for which what these lanes sent is to be repeated; returns the delay, which is the same for all. */
  failed(lanes: readonly ElasticLane[], { outcome, status }: Answer): number {
    for (const lane of lanes) {
      lane.attempts++
      if (this.#lanes.has(lane.key)) this.#retrying.add(lane.key)
    }
    const attempt = lanes.reduce((most, { attempts }) => Math.max(most, attempts), 1)
    const { events, sink } = this.#deps
    const message = 'message' in outcome ? outcome.message : ''
    if (outcome.kind === 'halt') {
      this.#halted = true
      const delayMs = this.delayMs(attempt + HALTED_ATTEMPTS)
      events.emit('sink.halted', { sink, status, message, delayMs })
      return delayMs
    }
    const delayMs = this.delayMs(attempt, outcome.kind === 'retry' ? outcome.afterMs : undefined)
    this.#deps.retried(status)
    const [{ key: lane }] = lanes as [ElasticLane]
    const code = String(status || 'error')
    events.emit('sink.retry', { sink, lane, status, code, message, attempt, delayMs })
    return delayMs
  }
}
