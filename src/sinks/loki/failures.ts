// Which lanes of a Loki sink are being repeated, and when each is to be tried again: full jitter over a delay that grows with
// its failures, or what the server asks for. What no repeat mends is repeated slowly, and said.
import { backoffDelayMs } from '../../core/backoff.ts'
import type { Events } from '../../core/events.ts'
import type { Random } from '../../ports/random.ts'
import type { SinkState } from '../sink.ts'
import type { LokiLane } from './lane.ts'
import type { Answer } from './requests.ts'

export interface LokiFailuresDeps {
  sink: string
  backoff: { delayMsMin: number; delayMsMax: number }
  /** By code; counted up. */
  retries: Record<string, number>
  events: Events
  random: Random
}

export class LokiFailures {
  readonly #deps: LokiFailuresDeps
  readonly #retrying = new Set<string>()
  /** Lanes whose last answer was one that no repeat mends: a tenant may be refused while the others are served. */
  readonly #halted = new Set<string>()

  constructor(deps: LokiFailuresDeps) {
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

  /** Everything of a stream, or of the lane, has come to its end. */
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
    const { outcome, status } = answer
    const { sink, backoff, retries, events, random } = this.#deps
    lane.attempts++
    this.#retrying.add(lane.key)
    const attempt = lane.attempts
    const message = outcome.kind === 'delivered' ? '' : outcome.message
    if (outcome.kind === 'halt') {
      this.#halted.add(lane.key)
      const delayMs = backoffDelayMs(attempt + 4, backoff, random)
      events.emit('sink.halted', { sink, status, message, delayMs })
      return delayMs
    }
    const afterMs = outcome.kind === 'retry' ? outcome.afterMs : undefined
    const delayMs = backoffDelayMs(attempt, backoff, random, afterMs)
    const code = String(status || 'error')
    retries[code] = (retries[code] ?? 0) + 1
    events.emit('sink.retry', { sink, lane: lane.key, status, code, message, attempt, delayMs })
    return delayMs
  }
}
