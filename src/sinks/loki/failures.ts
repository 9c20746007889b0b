// Which lanes of a Loki sink are being repeated, and which of them are refused for what no repeat mends.
import { type RepeatDeps, tellRepeat } from '../repeat.ts'
import type { SinkState } from '../sink.ts'
import type { LokiLane } from './lane.ts'
import type { Answer } from './requests.ts'

export class LokiFailures {
  readonly #deps: RepeatDeps
  readonly #retrying = new Set<string>()
  /** Lanes whose last answer was one that no repeat mends: a tenant may be refused while the others are served. */
  readonly #halted = new Set<string>()

  constructor(deps: RepeatDeps) {
    this.#deps = deps
  }

  get state(): SinkState['state'] {
    if (this.#halted.size > 0) return 'halted'
    return this.#retrying.size > 0 ? 'retrying' : 'ok'
  }

  isHalted(laneKey: string): boolean {
    return this.#halted.has(laneKey)
  }

  forget(laneKey: string): void {
    this.#retrying.delete(laneKey)
    this.#halted.delete(laneKey)
  }

  /** Everything of the lane's has come to its end. */
  settled(lane: LokiLane): void {
    this.#halted.delete(lane.key)
    lane.clearServerErrors()
    if (lane.attempts === 0) return
    const { attempts } = lane
    lane.attempts = 0
    this.#retrying.delete(lane.key)
    this.#deps.events.emit('sink.recovered', { sink: this.#deps.sink, lane: lane.key, attempts })
  }

  /** Notes a failure that is to be repeated and returns the delay. */
  failed(lane: LokiLane, answer: Answer): number {
    lane.attempts++
    this.#retrying.add(lane.key)
    if (answer.outcome.kind === 'halt') this.#halted.add(lane.key)
    return tellRepeat(answer, lane.key, lane.attempts, this.#deps)
  }
}
