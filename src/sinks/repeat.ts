// What is to be sent again: when, and how it is told. Full jitter over a delay that grows with the failures, or what the server asks
// for; what does not mend itself is asked for again slowly, and said.
import { backoffDelayMs } from '../core/backoff.ts'
import type { Events } from '../core/events.ts'
import type { Random } from '../ports/random.ts'

/** What does not mend itself is asked for again as if it had failed so often more. */
const HALTED_ATTEMPTS = 4

export interface RepeatDeps {
  sink: string
  events: Events
  random: Random
  backoff: { delayMsMin: number; delayMsMax: number }
  /** Counts a repeat, by the status for which it is. */
  retried(status: number): void
}

/** An answer for which something is to be repeated; `halt` is one that no repeat mends. */
export interface Failure {
  status: number
  outcome: { kind: string; message?: string; afterMs?: number }
}

/** Tells of a lane's `attempt`-th failure in turn, and returns the milliseconds after which it is tried again. */
export function tellRepeat({ outcome, status }: Failure, lane: string, attempt: number, deps: RepeatDeps): number {
  const { sink, events, random, backoff } = deps
  const { message = '' } = outcome
  if (outcome.kind === 'halt') {
    const delayMs = backoffDelayMs(attempt + HALTED_ATTEMPTS, backoff, random)
    events.emit('sink.halted', { sink, status, message, delayMs })
    return delayMs
  }
  const delayMs = backoffDelayMs(attempt, backoff, random, outcome.afterMs)
  deps.retried(status)
  events.emit('sink.retry', { sink, lane, status, code: String(status || 'error'), message, attempt, delayMs })
  return delayMs
}
