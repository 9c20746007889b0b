// The lanes of an elasticsearch sink and how each of them fares: failures, delays, and what that makes of the sink as a whole.
// Invariant: a lane's failures are counted from its own last success, whatever others do meanwhile, so that a record that fails
// a whole bulk is looked for on a cluster that is well. Bound: what is buried of a lane is forgotten when its segment is settled.
import { backoffDelayMs } from '../../core/backoff.ts'
import { type RepeatDeps, tellRepeat } from '../repeat.ts'
import type { SinkState } from '../sink.ts'
import { Suspicion } from '../suspicion.ts'
import type { Answer } from './requests.ts'

/** What the sink remembers of a lane from one shipment to the next. */
export class ElasticLane {
  readonly key: string
  /** Failures since the last success. */
  attempts = 0
  /** It was held up while others were not: it goes alone until it succeeds. */
  solo = false
  /** Records whose dead letters are written while their segment is not settled yet. */
  readonly buried = new Set<string>()
  readonly #suspicion = new Suspicion()

  constructor(key: string) {
    this.key = key
  }

  /** Notes the answer to a bulk that it had a part in; whether one of its records may be why the server fails. */
  suspects({ status }: Answer): boolean {
    if (status === 500) this.#suspicion.note()
    return this.#suspicion.isSuspect
  }

  /** It was looked for among these records, and not one of them was taken. */
  foundNone(): void {
    this.#suspicion.acquit()
  }

  taken(): void {
    this.#suspicion.clear()
  }
}

export class ElasticLanes {
  readonly #deps: RepeatDeps
  readonly #lanes = new Map<string, ElasticLane>()
  readonly #retrying = new Set<string>()
  #halted = false

  constructor(deps: RepeatDeps) {
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

  delayMs(attempt: number): number {
    return backoffDelayMs(attempt, this.#deps.backoff, this.#deps.random)
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
  failed(lanes: readonly ElasticLane[], answer: Answer): number {
    for (const lane of lanes) {
      lane.attempts++
      if (this.#lanes.has(lane.key)) this.#retrying.add(lane.key)
    }
    if (answer.outcome.kind === 'halt') this.#halted = true
    const attempt = lanes.reduce((most, { attempts }) => Math.max(most, attempts), 1)
    return tellRepeat(answer, lanes[0]?.key ?? '', attempt, this.#deps)
  }
}
